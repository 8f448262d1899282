"""MAS55x: text that is not trusted and what it may decide, secrets and who may read them."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Label


class _Reached(Diagnostic):
    """What all of these have in common.

    `callee` is the tool or agent, `granted` the name under which a tool is granted (the model's, for an agent),
    `source` where the text comes from, `what` the argument or the agent in between, `trail` the way from there.
    """

    callee: str
    granted: str
    source: str
    what: str
    trail: tuple[Label, ...]

    def labels(self) -> tuple[Label, ...]:
        return self.trail


class UntrustedArgument(_Reached):
    """Text that is not trusted reaches an argument of a tool that must not be told what to do by it.

    Why: whoever wrote a web page, a mail or a document can put instructions into it, and a model that reads it may
    follow them. So what comes from there, and all that was made of it, may not decide what a tool does that changes the
    world. The way from its source is shown; a text stays untrusted whatever agents and functions it goes through. Which
    tools bring such text, and what other tools may take, is the host's to say, under `[trust]` in mas.toml.

    Setup:
        File mas.toml:
            [tools]
            "web.get" = "web:get"
            "mail.send" = "mail:send"
            [trust.sources]
            "web.get" = "untrusted"
            "mail.send" = "trusted"

    Bad:
        mas 1
        tool fetch(url) -> text else "" from "web.get"
        tool send(body) -> bool else false from "mail.send" effect
        agent reader(page) -> text else "" "Sum up {{ page }}"
        flow main(url) -> text {
          page = fetch(url)
          summary = reader(page)
          sent = send("About the page: " + summary)
          return "sent: " + text(sent)
        }

    Good:
        mas 1
        tool fetch(url) -> text else "" from "web.get"
        tool send(body) -> bool else false from "mail.send" effect
        agent reader(page) -> text else "" "Sum up {{ page }}"
        flow main(url) -> text {
          page = fetch(url)
          summary = reader(page)
          sent = send("Somebody asked about " + url)
          return summary + text(sent)
        }
    """

    code = "MAS551"
    kind: str
    choices: int | None
    """How many values the argument may have, where they are few and the host could endorse it."""

    def title(self) -> str:
        return f"{_texts(self.kind)} reaches the argument `{self.what}` of `{self.callee}`"

    def label(self) -> str:
        return f"depends on {self.source}"

    def help(self) -> str:
        if self.choices is not None:
            table = f'[trust.endorse."{self.granted}"] {self.what} = {self.choices}'
            return f"pass something else, or have the host endorse this argument in mas.toml: {table}"
        return f"pass something that does not depend on {self.source}; {_host(self.granted, self.kind)}"


class UntrustedChoice(_Reached):
    """Text that is not trusted decides whether, or how often, a tool is used that it must not decide about.

    Why: who can choose whether a mail is sent has sent it. A tool is guarded by the conditions of the branches and
    loops around it, by what may have left the flow or the loop before it, by the list that an `each` or `for` goes
    through, and by steps whose failure leads to an `else`. Steps run at the same time: where one can fail in a
    flow that is called with an `else`, it also counts who was late by then. Give such a step an `else` of its own.

    Setup:
        File mas.toml:
            [tools]
            "web.get" = "web:get"
            "mail.send" = "mail:send"
            [trust.sources]
            "web.get" = "untrusted"
            "mail.send" = "trusted"

    Bad:
        mas 1
        tool fetch(url) -> text else "" from "web.get"
        tool send(body) -> bool else false from "mail.send" effect
        flow main(url) -> bool {
          page = fetch(url)
          if contains(page, "urgent") {
            return send("Something is urgent.")
          }
          return false
        }

    Good:
        mas 1
        tool fetch(url) -> text else "" from "web.get"
        tool send(body) -> bool else false from "mail.send" effect
        flow main(url) -> bool {
          page = fetch(url)
          sent = send("Somebody asked about " + url)
          if contains(page, "urgent") {
            return sent
          }
          return false
        }
    """

    code = "MAS552"
    kind: str

    def title(self) -> str:
        return f"{_texts(self.kind)} decides whether `{self.callee}` is used"

    def label(self) -> str:
        return f"happens depending on {self.source}"

    def help(self) -> str:
        return f"use `{self.callee}` where nothing depends on {self.source}; {_host(self.granted, self.kind)}"


class UntrustedAgent(_Reached):
    """An agent that has seen text that is not trusted may use a tool that such text must not decide about.

    Why: a model chooses itself when it uses its tools and with which arguments, and it chooses by all that it has read:
    its prompt, and what its tools gave before.

    Setup:
        File mas.toml:
            [tools]
            "web.get" = "web:get"
            "mail.send" = "mail:send"
            [trust.sources]
            "web.get" = "untrusted"
            "mail.send" = "trusted"

    Bad:
        mas 1
        tool fetch(url) -> text else "" from "web.get"
        tool send(body) -> bool else false from "mail.send" effect
        agent clerk(task) -> text tools [fetch, send] "Do this: {{ task }}"
        flow main(task) -> text { return clerk(task) }

    Good:
        mas 1
        tool fetch(url) -> text else "" from "web.get"
        tool send(body) -> bool else false from "mail.send" effect
        agent researcher(task) -> text tools [fetch] "Find out: {{ task }}"
        agent clerk(task) -> text tools [send] "Tell those who care about this, and repeat it: {{ task }}"
        flow main(task) -> text {
          told = clerk(task)
          found = researcher(told)
          return found
        }
    """

    code = "MAS553"
    kind: str

    def title(self) -> str:
        return f"`{self.what}` may use `{self.callee}` after it has seen {_texts(self.kind)}"

    def label(self) -> str:
        return f"sees what depends on {self.source}"

    def help(self) -> str:
        return f"take `{self.callee}` out of its tools, or keep {self.source} away; {_host(self.granted, self.kind)}"


class SecretShown(_Reached):
    """A secret reaches a tool, or the model of an agent, that may not read it.

    Why: the host says under `[trust.secrets]` in mas.toml what is secret and who may read it. Whatever was made of a
    secret tells something about it, and an agent's model reads all that its prompt shows and all that its tools give.

    Setup:
        File mas.toml:
            [tools]
            "hr.salary" = "hr:salary"
            [tiers]
            smart = "openai/gpt-4o-mini"
            [trust.secrets.salaries]
            from = ["hr.salary"]
            readers = ["smollm2"]

    Bad:
        mas 1
        tool salary(name) -> int else 0 from "hr.salary"
        agent writer(name, earns: int) -> text on smart "Write to {{ name }}."
        flow main(name) -> text {
          earns = salary(name)
          return writer(name, earns)
        }

    Good:
        mas 1
        tool salary(name) -> int else 0 from "hr.salary"
        agent writer(name, earns: int) -> text on fast "Write to {{ name }}."
        flow main(name) -> text {
          earns = salary(name)
          return writer(name, earns)
        }
    """

    code = "MAS554"
    secret: str

    def title(self) -> str:
        return f"the secret `{self.secret}` reaches {self.callee}, which may not read it"

    def label(self) -> str:
        return f"tells of {self.source}"

    def help(self) -> str:
        return _reader(self.secret, self.granted)


class SecretTold(_Reached):
    """A secret decides whether, or how often, somebody who may not read it is asked.

    Why: who is asked only if a salary is high knows that it is high, whatever the question is.

    Setup:
        File mas.toml:
            [tools]
            "hr.salary" = "hr:salary"
            [tiers]
            smart = "openai/gpt-4o-mini"
            [trust.secrets.salaries]
            from = ["hr.salary"]
            readers = ["smollm2"]

    Bad:
        mas 1
        tool salary(name) -> int else 0 from "hr.salary"
        agent writer(name) -> text on smart "Congratulate {{ name }}."
        flow main(name) -> text {
          earns = salary(name)
          if earns > 1000 {
            return writer(name)
          }
          return "no"
        }

    Good:
        mas 1
        tool salary(name) -> int else 0 from "hr.salary"
        agent writer(name) -> text on smart "Congratulate {{ name }}."
        flow main(name) -> text {
          earns = salary(name)
          wishes = writer(name)
          if earns > 1000 {
            return wishes
          }
          return "no"
        }
    """

    code = "MAS555"
    secret: str

    def title(self) -> str:
        return f"the secret `{self.secret}` decides whether {self.callee} is asked, which may not read it"

    def label(self) -> str:
        return f"happens depending on {self.source}"

    def help(self) -> str:
        return _reader(self.secret, self.granted)


def _texts(kind: str) -> str:
    return "what a model wrote" if kind == "model" else "untrusted text"


def _host(granted: str, kind: str) -> str:
    return f'only the host may allow more, in mas.toml: [trust.effects] "{granted}" = "{kind}"'


def _reader(secret: str, granted: str) -> str:
    return f'leave it out, or have the host add "{granted}" to the readers in mas.toml, [trust.secrets.{secret}]'
