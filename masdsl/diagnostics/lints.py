"""MAS7xx: lints, warnings about programs that are sound and probably not meant.

Every class has a name (`lint`) by which `[lints]` of a configuration turns it off or makes it an error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

from masdsl.diagnostics.base import SAFE, SUGGESTED, WARNING, Diagnostic, Fix, Label
from masdsl.node import Span


class Lint(Diagnostic):
    """Base of the lints; `lint` is the name in configurations."""

    severity = WARNING
    lint: ClassVar[str] = ""


def at_severity(diagnostic: Diagnostic, severity: str) -> Diagnostic:
    """Return the diagnostic with another severity: a lint that a configuration has made an error."""
    if diagnostic.severity == severity:
        return diagnostic
    values = {field: getattr(diagnostic, field) for field in diagnostic._fields}
    return _variant(type(diagnostic), severity)(**values, span=diagnostic.span)


@lru_cache(maxsize=64)
def _variant(kind: type[Diagnostic], severity: str) -> type[Diagnostic]:
    def reduce(self: Diagnostic) -> tuple[Any, ...]:
        values = tuple(getattr(self, field) for field in self._fields)
        return _rebuilt, (kind, values, self.span, severity)

    body = {"severity": severity, "__doc__": kind.__doc__, "__module__": kind.__module__, "__reduce__": reduce}
    make: Any = type(kind)
    variant: type[Diagnostic] = make(kind.__name__, (kind,), body)
    return variant


def _rebuilt(kind: type[Diagnostic], values: tuple[Any, ...], span: Span, severity: str) -> Diagnostic:
    return at_severity(kind(*values, span=span), severity)


class DeadCall(Lint):
    """A call is paid for and its result cannot reach what the flow returns.

    Why: nothing that the flow returns, and no decision on the way there, depends on it. Published systems have lost a
    fifth of their bill to such calls. Calls of tools with `effect` are exempt.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent critic(draft) -> text "Criticise {{ draft }}."
        flow main(topic) -> text {
          draft = writer(topic)
          notes = critic(draft)
          return draft
        }

    Good:
        mas 1
        agent writer(topic, notes = "") -> text "Write about {{ topic }}. {{ notes }}"
        agent critic(draft) -> text "Criticise {{ draft }}."
        flow main(topic) -> text {
          draft = writer(topic)
          notes = critic(draft)
          return writer(topic, notes)
        }
    """

    code = "MAS701"
    lint = "dead_call"
    name: str
    callee: str
    statement: Span

    def title(self) -> str:
        return f"the call of `{self.callee}` is paid for, and its result `{self.name}` cannot reach the output"

    def label(self) -> str:
        return "nothing that is returned depends on this"

    def help(self) -> str:
        return f"use `{self.name}`, or take the call out"

    def fix(self) -> Fix | None:
        return Fix("take the call out", ((self.statement, ""),), SUGGESTED)


class Overwritten(Lint):
    """A name gets a value that is replaced before anything uses it.

    Why: the first value is lost, and if it came from a call, so is what the call cost.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          loop 2 {
            draft = writer(topic)
          }
          return draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = writer(topic)
          loop 2 {
            draft = writer(draft)
          }
          return draft
        }
    """

    code = "MAS702"
    lint = "overwritten"
    name: str
    again: Span

    def title(self) -> str:
        return f"this value of `{self.name}` is replaced before anything uses it"

    def label(self) -> str:
        return "lost"

    def help(self) -> str:
        return f"use `{self.name}` before it is replaced, or take this value out"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.again, "replaced here"),)


class Unused(Lint):
    """A type, agent, tool or flow is declared and never used.

    Why: it is probably left over, or a call of it was forgotten. In a file with a flow `main`, what counts is what
    `main` and the tests use; a file without one is a library, whose declarations are there for others.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent critic(draft) -> text "Criticise {{ draft }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent critic(draft) -> text "Criticise {{ draft }}."
        flow main(topic) -> text {
          draft = writer(topic)
          return critic(draft)
        }
    """

    code = "MAS703"
    lint = "unused"
    what: str
    name: str
    whole: Span

    def title(self) -> str:
        return f"{self.what} `{self.name}` is never used"

    def label(self) -> str:
        return "declared here"

    def help(self) -> str:
        return "use it, or take the declaration out"

    def fix(self) -> Fix | None:
        return Fix("take the declaration out", ((self.whole, ""),), SUGGESTED)


class UnusedImport(Lint):
    """A name is imported and never used.

    Why: it costs the reader time, and the checker the reading of a module.

    Bad:
        mas 1
        use std.vote
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        use std.vote
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          drafts = 3 of writer(topic)
          return vote(drafts)
        }
    """

    code = "MAS704"
    lint = "unused_import"
    name: str
    removal: Span
    """What to delete: the whole `use`, or the name and a comma."""

    def title(self) -> str:
        return f"`{self.name}` is imported and never used"

    def label(self) -> str:
        return "imported here"

    def help(self) -> str:
        return "take it out of the `use`"

    def fix(self) -> Fix | None:
        return Fix("take it out", ((self.removal, ""),), SAFE)


class UnusedParameter(Lint):
    """A flow has a parameter that its body never reads.

    Why: whoever calls the flow passes a value that makes no difference. A name that starts with `_` says that this is
    meant.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic, style) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic, style) -> text "Write about {{ topic }} in this style: {{ style }}."
        flow main(topic, style) -> text {
          return writer(topic, style)
        }
    """

    code = "MAS705"
    lint = "unused_parameter"
    flow: str
    name: str

    def title(self) -> str:
        return f"parameter `{self.name}` of flow `{self.flow}` is never used"

    def label(self) -> str:
        return "never read"

    def help(self) -> str:
        return f"use `{self.name}`, take it out, or call it `_{self.name}`"


class UnusedValue(Lint):
    """A name is bound and its value cannot reach what the flow returns.

    Why: it is probably left over, or another name was meant further down.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          title = upper(topic)
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          title = upper(topic)
          return writer(title)
        }
    """

    code = "MAS706"
    lint = "unused_value"
    name: str
    statement: Span

    def title(self) -> str:
        return f"`{self.name}` cannot reach the output"

    def label(self) -> str:
        return "nothing that is returned depends on this"

    def help(self) -> str:
        return f"use `{self.name}`, or take it out"

    def fix(self) -> Fix | None:
        return Fix("take it out", ((self.statement, ""),), SUGGESTED)


class UntilNeverTrue(Lint):
    """An `until` cannot become true while the loop goes on, so it makes one round, or all of them.

    Why: a loop ends early when something that changes in it reaches a goal. If what the condition looks at never
    changes, that is decided before the loop begins; if it can never have that value, every round is paid for.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent judge(draft) -> bool "Is this good? {{ draft }}"
        flow main(topic) -> text {
          draft = writer(topic)
          good = judge(draft)
          loop 3 {
            until good
            draft = writer(draft)
          }
          return draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        agent judge(draft) -> bool "Is this good? {{ draft }}"
        flow main(topic) -> text {
          draft = writer(topic)
          loop 3 {
            good = judge(draft)
            until good
            draft = writer(draft)
          }
          return draft
        }
    """

    code = "MAS707"
    lint = "until_never"
    reason: str
    is_false: bool

    def title(self) -> str:
        what = "cannot become true" if self.is_false else "ends the loop in its first round or never"
        return f"this `until` {what}: {self.reason}"

    def label(self) -> str:
        return "the loop never ends early here" if self.is_false else "decided before the loop begins"

    def help(self) -> str:
        return "test something that the loop changes, or take the `until` out"


class UntilAlwaysTrue(Lint):
    """An `until` is always true, so the loop never makes a second round.

    Why: a loop of one round is no loop; the condition is probably not what was meant.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = topic
          loop 3 {
            draft = writer(draft)
            until true
          }
          return draft
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          draft = topic
          loop 3 {
            draft = writer(draft)
            until len(draft) > 500
          }
          return draft
        }
    """

    code = "MAS708"
    lint = "until_always"

    def title(self) -> str:
        return "this `until` is always true: the loop makes no second round"

    def label(self) -> str:
        return "leaves the loop every time"

    def help(self) -> str:
        return "test something that the loop changes, or take the loop away"


class BranchOnText(Lint):
    """A decision hangs on the exact words of a free text that a model wrote.

    Why: a model says `Yes.`, `YES`, `yes!` or `I think so`. With an enum or a bool as its output the reply is parsed,
    asked for again when it does not fit, and always one of the known words.

    Bad:
        mas 1
        agent judge(draft) -> text "Is this good? Answer yes or no. {{ draft }}"
        flow main(draft) -> text {
          verdict = judge(draft)
          if verdict == "yes" {
            return draft
          }
          return verdict
        }

    Good:
        mas 1
        type Verdict = yes | no
        agent judge(draft) -> Verdict "Is this good? {{ draft }}"
        flow main(draft) -> text {
          verdict = judge(draft)
          if verdict == Verdict.yes {
            return draft
          }
          return "no"
        }
    """

    code = "MAS709"
    lint = "branch_on_text"
    word: str

    def title(self) -> str:
        return f"this compares free text that a model wrote with `{self.word}`"

    def label(self) -> str:
        return "depends on the model's exact words"

    def help(self) -> str:
        return "let the agent give an enum, as in `type Verdict = yes | no`, or a bool, and compare that"


class Clipped(Lint):
    """A value may be larger than the place that it goes to, and is cut off there.

    Why: sizes are promises about cost, so what is too long is clipped rather than refused. A clipped text has usually
    lost its end.

    Bad:
        mas 1
        agent writer(topic) -> text(2000) "Write about {{ topic }}."
        agent editor(draft: text(500)) -> text(500) "Edit {{ draft }}."
        flow main(topic) -> text(500) {
          draft = writer(topic)
          return editor(draft)
        }

    Good:
        mas 1
        agent writer(topic) -> text(2000) "Write about {{ topic }}."
        agent editor(draft: text(2000)) -> text(500) "Edit {{ draft }}."
        flow main(topic) -> text(500) {
          draft = writer(topic)
          return editor(draft)
        }
    """

    code = "MAS710"
    lint = "clipped"
    place: str
    given: str
    taken: str

    def title(self) -> str:
        return f"up to {self.given} go to {self.place}, which takes {self.taken}: the rest is cut off"

    def label(self) -> str:
        return f"up to {self.given}"

    def help(self) -> str:
        return f"let {self.place} take {self.given}, or make what goes there smaller"


class SameSamples(Lint):
    """Several samples are drawn from an agent with temperature 0.

    Why: at temperature 0 a model gives the same reply again, so a vote among the samples is a vote among copies.

    Bad:
        mas 1
        agent solver(task) -> text temp 0 "Solve {{ task }}."
        flow main(task) -> text {
          answers = 5 of solver(task)
          return majority(answers)
        }

    Good:
        mas 1
        agent solver(task) -> text temp 0.7 "Solve {{ task }}."
        flow main(task) -> text {
          answers = 5 of solver(task)
          return majority(answers)
        }
    """

    code = "MAS711"
    lint = "same_samples"
    count: int
    agent: str

    def title(self) -> str:
        return f"{self.count} samples of `{self.agent}` at temperature 0 are {self.count} times the same"

    def label(self) -> str:
        return "copies"

    def help(self) -> str:
        return f"give `{self.agent}` a temperature, such as `temp 0.7`, or call it once"


class Unreachable(Lint):
    """A statement stands where the program never gets.

    Why: the statement above it always returns or leaves the loop, so one of the two is a mistake.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
          return topic
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic) else topic
        }
    """

    code = "MAS712"
    lint = "unreachable"
    leaves: Span
    rest: Span
    """This statement and those behind it."""

    def title(self) -> str:
        return "this is never reached"

    def label(self) -> str:
        return "never runs"

    def help(self) -> str:
        return "take it out, or make what is above it depend on a condition"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.leaves, "always leaves here"),)

    def fix(self) -> Fix | None:
        return Fix("take it out, with what follows", ((self.rest, ""),), SUGGESTED)


class SingleBraces(Lint):
    """A prompt has a parameter's name between single braces, which is plain text in a prompt.

    Why: `{topic}` is how Python writes it. In a prompt a value stands between two braces on each side.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {topic}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS713"
    lint = "single_braces"
    name: str

    def title(self) -> str:
        return f"`{{{self.name}}}` is plain text in a prompt, not the value of `{self.name}`"

    def label(self) -> str:
        return "sent as it stands"

    def help(self) -> str:
        return f"write `{{{{ {self.name} }}}}`"

    def fix(self) -> Fix | None:
        return Fix(f"write `{{{{ {self.name} }}}}`", ((self.span, f"{{{{ {self.name} }}}}"),), SUGGESTED)


class InsertionInText(Lint):
    """A text in a flow has the name of a value between braces, which is plain text there.

    Why: only prompts have insertions. Everywhere else braces stay as they are, and the value is not used. Texts are put
    together with `+`, and `text(n)` makes a text of a number.

    Bad:
        mas 1
        agent writer(task) -> text "Do it: {{ task }}"
        flow main(topic) -> text {
          return writer("Write about {{ topic }}.") else topic
        }

    Good:
        mas 1
        agent writer(task) -> text "Do it: {{ task }}"
        flow main(topic) -> text {
          return writer("Write about " + topic + ".") else topic
        }
    """

    code = "MAS714"
    lint = "insertion_in_text"
    name: str
    written: str

    def title(self) -> str:
        return f"`{self.written}` is plain text in a flow, not the value of `{self.name}`"

    def label(self) -> str:
        return "stays as it is"

    def help(self) -> str:
        return f'put texts together with `+`, as in `"..." + {self.name}`; `text({self.name})` makes a text of a number'
