"""MAS8xx: patches and bindings. The programs of these pages are patches or bindings, for the `program.mas` beside."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix, Label
from masdsl.diagnostics.suggest import near_fix
from masdsl.node import Span


class StalePatch(Diagnostic):
    """A patch was written for another program.

    Why: an edit that was right for one program may do something else in another, and nobody would notice. `on` names
    the program by the hash of its canonical text without comments, or by the first digits of it, at least four.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          return writer(topic)
        }

    Bad:
        patch 1 on "0000"
        bind writer = smart

    Good:
        patch 1
        bind writer = smart
    """

    code = "MAS801"
    base: str
    actual: str

    def title(self) -> str:
        return f"the patch is for program `{self.base}`, and this is `{self.actual}`"

    def label(self) -> str:
        return "another program"

    def help(self) -> str:
        return "make the patch anew with `mas diff`; without `on` it is for any program in which its addresses exist"


class UnknownPlace(Diagnostic):
    """An edit names something that the program does not have.

    Why: an edit that goes nowhere is a mistake, and the rest of the patch relies on it.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          draft = writer(topic)
          return draft
        }

    Bad:
        patch 1
        replace main.draf = writer("tea")

    Good:
        patch 1
        replace main.draft = writer("tea")
    """

    code = "MAS802"
    name: str
    where: str
    near: str | None
    known: tuple[str, ...]

    def title(self) -> str:
        return f"{self.where} has no `{self.name}`"

    def label(self) -> str:
        return "unknown address"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        shown = ", ".join(f"`{name}`" for name in self.known[:8])
        return f"there {'is' if len(self.known) == 1 else 'are'} {shown}" if shown else "there is nothing in it to name"

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span) if self.name.isidentifier() else None


class WrongEdit(Diagnostic):
    """An edit cannot be made at its address.

    Why: each edit is about one kind of place: `set` about a property, `wrap` and `after` about statements, `otherwise`
    about what a step binds.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          draft = writer(topic)
          return draft
        }

    Bad:
        patch 1
        set main.draft.times = 2

    Good:
        patch 1
        otherwise main.draft = topic
    """

    code = "MAS803"
    problem: str
    advice: str

    def title(self) -> str:
        return self.problem

    def help(self) -> str:
        return self.advice


class WrongValue(Diagnostic):
    """A property is set to a value that it cannot have.

    Why: what `set` writes has to be what a program may say at that place.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          return writer(topic)
        }

    Bad:
        patch 1
        set writer.retry = "twice"

    Good:
        patch 1
        set writer.retry = 2
    """

    code = "MAS804"
    path: str
    expected: str

    def title(self) -> str:
        return f"`{self.path}` cannot be this"

    def label(self) -> str:
        return "unfit value"

    def help(self) -> str:
        return f"expected: {self.expected}"


class ConflictingEdits(Diagnostic):
    """Two edits of a patch write the same place.

    Why: the second would undo the first, so one of them is a mistake.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          return writer(topic)
        }

    Bad:
        patch 1
        bind writer = smart
        set writer.on = fast

    Good:
        patch 1
        bind writer = smart
    """

    code = "MAS805"
    path: str
    first: Span

    def title(self) -> str:
        return f"`{self.path}` is written twice"

    def label(self) -> str:
        return "the second time"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.first, "the first time"),)

    def help(self) -> str:
        return "keep one of the two edits"


class NameInUse(Diagnostic):
    """An edit gives something a name that is taken.

    Why: one name means one thing in a whole program; two things under one name would be mixed up.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          return writer(topic)
        }

    Bad:
        patch 1
        rename writer = topic

    Good:
        patch 1
        rename writer = author
    """

    code = "MAS806"
    name: str
    what: str

    def title(self) -> str:
        return f"`{self.name}` is {self.what} already"

    def label(self) -> str:
        return "taken"

    def help(self) -> str:
        return "choose another name, or `drop` or `replace` the one that has it"


class FaultyAfterPatch(Diagnostic):
    """The program would be wrong after an edit.

    Why: a patch is applied whole or not at all, and only to give a program that checks: well typed, and within its
    budget.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200) on fast
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          draft = writer(topic)
          return draft
        }

    Bad:
        patch 1
        replace main.draft = writer(topics)

    Good:
        patch 1
        replace main.draft = writer(topic + "!")
    """

    code = "MAS807"
    fault: str
    said: str
    what: str
    advice: str

    def title(self) -> str:
        return f"the program would be wrong: {self.said} ({self.fault})"

    def label(self) -> str:
        return self.what

    def help(self) -> str:
        return self.advice


class UnknownRole(Diagnostic):
    """A binding names a role that the program does not have.

    Why: the role that was meant would stay without a model.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200)
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          return writer(topic)
        }

    Bad:
        bind 1
        writr = fast

    Good:
        bind 1
        writer = fast
    """

    code = "MAS808"
    name: str
    near: str | None
    known: tuple[str, ...]

    def title(self) -> str:
        return f"the program has no role `{self.name}`"

    def label(self) -> str:
        return "unknown role"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        shown = ", ".join(f"`{name}`" for name in self.known[:8])
        return (
            f"roles without a model: {shown}" if shown else "every agent of the program has a model; remove this line"
        )

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span)


class RoleBoundTwice(Diagnostic):
    """A binding assigns a role twice.

    Why: only one of the two models can be meant.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200)
          "Write about {{ topic }}."

        flow main(topic) -> text(200) {
          return writer(topic)
        }

    Bad:
        bind 1
        writer = fast
        writer = smart

    Good:
        bind 1
        writer = fast
    """

    code = "MAS809"
    name: str
    first: Span

    def title(self) -> str:
        return f"the role `{self.name}` is bound twice"

    def label(self) -> str:
        return "the second time"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.first, "the first time"),)

    def help(self) -> str:
        return "keep one of the two lines"


class RoleTaken(Diagnostic):
    """A binding assigns a role that has a model in the program.

    Why: a binding fills in what a template leaves open. What the author of the template has decided is changed by a
    patch, which says so.

    Setup:

    File program.mas:
        mas 1

        agent writer(topic) -> text(200)
          "Write about {{ topic }}."

        agent editor(draft) -> text(200) on fast
          "Edit {{ draft }}."

        flow main(topic) -> text(200) {
          draft = writer(topic)
          return editor(draft)
        }

    Bad:
        bind 1
        writer = fast
        editor = smart

    Good:
        bind 1
        writer = fast
    """

    code = "MAS810"
    name: str
    model: str

    def title(self) -> str:
        return f"the role `{self.name}` has the model `{self.model}` already"

    def label(self) -> str:
        return "assigned in the program"

    def help(self) -> str:
        return f"remove the line, or change the program with a patch: `bind {self.name} = ..`"


class MergeConflict(Diagnostic):
    """Two changes of one program cannot both be made.

    Why: `mas merge` joins changes of different declarations, properties and statements by itself. Where both sides
    changed the same thing in different ways, somebody has to choose.
    """

    code = "MAS811"
    address: str
    left: str
    right: str

    def title(self) -> str:
        return f"both sides changed `{self.address}`: the left one {self.left}, the right one {self.right}"

    def label(self) -> str:
        return "changed on both sides"

    def help(self) -> str:
        return "choose between the two, between the marks <<<<<<< and >>>>>>>, and merge again or check the result"
