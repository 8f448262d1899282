"""MAS6xx: prompts, the templates that agents send to models."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix
from masdsl.diagnostics.suggest import near_fix


class PromptSyntax(Diagnostic):
    """A prompt is not a template: a mark is opened and not closed, a tag has no end, an expression is incomplete.

    Why: text between `{{` and `}}` is a value to insert, and `{% if %}` and `{% for %}` reach to their `{% end.. %}`.
    To send the marks themselves to the model, write them between `{% raw %}` and `{% endraw %}`.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic }."
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

    code = "MAS601"
    problem: str

    def title(self) -> str:
        return f"the prompt cannot be read: {self.problem}"

    def label(self) -> str:
        return "the template stops making sense here"

    def help(self) -> str:
        return "close every `{{` with `}}`, `{%` with `%}`, `if` with `{% endif %}` and `for` with `{% endfor %}`"


class UndefinedInPrompt(Diagnostic):
    """A prompt mentions a name that is no parameter of its agent.

    Why: an agent sees what it is given and nothing else, so a prompt can only use the agent's parameters and the
    variables of its own `for` loops.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topics }}."
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

    code = "MAS602"
    name: str
    near: str | None

    def title(self) -> str:
        return f"`{self.name}` is not a parameter of this agent"

    def label(self) -> str:
        return "the prompt cannot see this name"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        return f"add `{self.name}` to the agent's parameters, or take it out of the prompt"

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class UnknownPromptField(Diagnostic):
    """A prompt reads a field that the value does not have.

    Why: a value has the fields of its declared type, so this could never be filled in.

    Bad:
        mas 1
        type Review { ok: bool, issues: text(60)[8] }
        agent coder(review: Review) -> text "Mend: {{ review.isues }}"
        flow main(review: Review) -> text {
          return coder(review)
        }

    Good:
        mas 1
        type Review { ok: bool, issues: text(60)[8] }
        agent coder(review: Review) -> text "Mend: {{ review.issues }}"
        flow main(review: Review) -> text {
          return coder(review)
        }
    """

    code = "MAS603"
    field: str
    kind: str
    fields: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"`{self.kind}` has no field `{self.field}`"

    def label(self) -> str:
        return "no such field"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        if not self.fields:
            return "only records have fields; print the value itself"
        return "it has " + ", ".join(f"`{field}`" for field in self.fields)

    def fix(self) -> Fix | None:
        return near_fix(self.field, self.near, self.span)


class ForbiddenInPrompt(Diagnostic):
    """A prompt uses a part of the template language that prompts do not have.

    Why: a prompt inserts values, repeats over lists and leaves parts out; it computes nothing and calls nothing. So it
    cannot reach anything but its parameters, and its size can be bounded before it runs.

    Bad:
        mas 1
        agent writer(topic) -> text "{% set t = topic %}Write about {{ t }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic|upper }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS604"
    what: str
    instead: str

    def title(self) -> str:
        return f"a prompt may not use {self.what}"

    def label(self) -> str:
        return "not part of prompts"

    def help(self) -> str:
        return self.instead


class UnknownPromptFilter(Diagnostic):
    """A prompt uses a filter or a test that prompts do not have.

    Why: the few filters are those whose result is plain text, a number or an item, whatever the value.

    Bad:
        mas 1
        agent writer(topic) -> text "Write about {{ topic|uper }}."
        flow main(topic) -> text {
          return writer(topic)
        }

    Good:
        mas 1
        agent writer(topic) -> text "Write about {{ topic|upper }}."
        flow main(topic) -> text {
          return writer(topic)
        }
    """

    code = "MAS605"
    sort: str
    name: str
    known: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"there is no {self.sort} `{self.name}` in prompts"

    def label(self) -> str:
        return f"unknown {self.sort}"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        return f"the {self.sort}s of prompts are " + ", ".join(f"`{name}`" for name in self.known)

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class PromptFilterMisuse(Diagnostic):
    """A filter in a prompt is applied to a value that it cannot work on, or has the wrong arguments.

    Why: the type of every value is known, so that a prompt never fails when it is filled in.

    Bad:
        mas 1
        agent writer(words: int) -> text "Write {{ words|upper }} words."
        flow main(words: int) -> text {
          return writer(words)
        }

    Good:
        mas 1
        agent writer(words: int) -> text "Write {{ words }} words."
        flow main(words: int) -> text {
          return writer(words)
        }
    """

    code = "MAS606"
    name: str
    problem: str
    usage: str

    def title(self) -> str:
        return f"`{self.name}` {self.problem}"

    def label(self) -> str:
        return "does not fit"

    def help(self) -> str:
        return f"it is used like {self.usage}"


class PromptLoopOverOne(Diagnostic):
    """A `for` in a prompt goes over something that is no list.

    Why: a text would be taken letter by letter and a record field name by field name, which nobody means.

    Bad:
        mas 1
        agent coder(notes) -> text "Mend: {% for note in notes %}- {{ note }} {% endfor %}"
        flow main(notes) -> text {
          return coder(notes)
        }

    Good:
        mas 1
        agent coder(notes: text(60)[8]) -> text "Mend: {% for note in notes %}- {{ note }} {% endfor %}"
        flow main(notes: text(60)[8]) -> text {
          return coder(notes)
        }
    """

    code = "MAS607"
    kind: str

    def title(self) -> str:
        return f"a prompt can only loop over a list, and this is `{self.kind}`"

    def label(self) -> str:
        return "not a list"

    def help(self) -> str:
        return "print the value itself, or declare the parameter as a list, as in `notes: text(60)[8]`"


class MaybeNoneInPrompt(Diagnostic):
    """A prompt uses something that may be `none` as if it were always there.

    Why: `none` has no fields, no items and no length; filling the prompt in would fail just when the value is missing.

    Bad:
        mas 1
        agent coder(notes: text(60)[8]?) -> text "Mend: {% for note in notes %}- {{ note }} {% endfor %}"
        flow main(notes: text(60)[8]) -> text {
          return coder(notes)
        }

    Good:
        mas 1
        agent coder(notes: text(60)[8]?) -> text
          "{% if notes %}Mend: {% for note in notes %}- {{ note }} {% endfor %}{% else %}Write it.{% endif %}"
        flow main(notes: text(60)[8]) -> text {
          return coder(notes)
        }
    """

    code = "MAS608"
    what: str

    def title(self) -> str:
        return f"{self.what} may be `none` here"

    def label(self) -> str:
        return "may be missing"

    def help(self) -> str:
        return "put it between `{% if .. is not none %}` and `{% endif %}`, or give it a value with `|default(..)`"


class UnknownWordInPrompt(Diagnostic):
    """A prompt compares an enum with a word that it does not have.

    Why: the comparison would be false for ever, and the part that it guards never sent.

    Bad:
        mas 1
        type Kind = math | code
        agent solver(kind: Kind, task) -> text "{% if kind == \\"maths\\" %}Show each step. {% endif %}{{ task }}"
        flow main(kind: Kind, task) -> text {
          return solver(kind, task)
        }

    Good:
        mas 1
        type Kind = math | code
        agent solver(kind: Kind, task) -> text "{% if kind == \\"math\\" %}Show each step. {% endif %}{{ task }}"
        flow main(kind: Kind, task) -> text {
          return solver(kind, task)
        }
    """

    code = "MAS609"
    word: str
    enum: str
    words: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"`{self.word}` is not a word of `{self.enum}`"

    def label(self) -> str:
        return "never equal"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        return "its words are " + ", ".join(f"`{word}`" for word in self.words)


class PromptCondition(Diagnostic):
    """A condition in a prompt compares what cannot be compared, or always comes out the same.

    Why: the part that it guards would be sent always or never, so either the condition or the part is a mistake.

    Bad:
        mas 1
        agent writer(words: int) -> text "{% if words == \\"many\\" %}Write at length. {% endif %}"
        flow main(words: int) -> text {
          return writer(words)
        }

    Good:
        mas 1
        agent writer(words: int) -> text "{% if words > 500 %}Write at length. {% endif %}"
        flow main(words: int) -> text {
          return writer(words)
        }
    """

    code = "MAS610"
    problem: str
    advice: str

    def title(self) -> str:
        return self.problem

    def label(self) -> str:
        return "this condition"

    def help(self) -> str:
        return self.advice


class PromptNameTaken(Diagnostic):
    """A loop variable of a prompt has a name that it cannot have, or a parameter has one that templates keep.

    Why: one name means one thing, and templates give `loop` and `self` a meaning of their own.

    Bad:
        mas 1
        agent coder(notes: text[8]) -> text "{% for notes in notes %}- {{ notes }} {% endfor %}"
        flow main(notes: text[8]) -> text {
          return coder(notes)
        }

    Good:
        mas 1
        agent coder(notes: text[8]) -> text "{% for note in notes %}- {{ note }} {% endfor %}"
        flow main(notes: text[8]) -> text {
          return coder(notes)
        }
    """

    code = "MAS611"
    name: str
    problem: str

    def title(self) -> str:
        return f"`{self.name}` {self.problem}"

    def label(self) -> str:
        return "choose another name"

    def help(self) -> str:
        return "rename it to a lower-case word that nothing else in this prompt is called"


class PromptTooLarge(Diagnostic):
    """A prompt is larger or more nested than prompts may be.

    Why: every program is checked in bounded time, whoever wrote it. Long material belongs in a parameter.

    Bad:
        mas 1
        agent writer(rows: text[4][4]) -> text
          "{% for a in rows %}{% for b in a %}{% for c in a %}{{ b }}{{ c }}{% endfor %}{% endfor %}{% endfor %}"
        flow main(rows: text[4][4]) -> text {
          return writer(rows)
        }

    Good:
        mas 1
        agent writer(rows: text[4][4]) -> text
          "{% for a in rows %}{% for b in a %}{{ b }} {% endfor %}{% endfor %}"
        flow main(rows: text[4][4]) -> text {
          return writer(rows)
        }
    """

    code = "MAS612"
    what: str
    limit: str

    def title(self) -> str:
        return f"the prompt {self.what}"

    def label(self) -> str:
        return "over the limit"

    def help(self) -> str:
        return f"a prompt may have {self.limit}; pass long material as a parameter, or use two agents"
