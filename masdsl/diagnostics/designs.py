"""MAS95x: what a model wrote, as a design for a task: a program, a binding or a patch that it was asked for."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix


class NothingWritten(Diagnostic):
    """A model was asked for a program, a binding or a patch, and there is none in its reply.

    Why: what is taken is the last fenced block that begins with `mas 1` (`bind 1`, `patch 1`), or else everything from
    that line on. A reply without it cannot be repaired.

    To go on: the model is asked again, and told the form.
    """

    code = "MAS950"
    what: str
    first_line: str

    def title(self) -> str:
        return f"the reply holds no {self.what}"

    def label(self) -> str:
        return "nothing to take"

    def help(self) -> str:
        return f"write the whole {self.what} in one fenced block whose first line is `{self.first_line}`"


class OtherEntry(Diagnostic):
    """A program that was written for a task does not have the flow that the task asks for.

    Why: whoever set the task calls that flow, with the inputs of the task's signature, and relies on its type.

    To go on: a flow that takes as many inputs gets the head that the task asks for; otherwise the model is told.
    """

    code = "MAS951"
    signature: str
    found: str
    change: Fix | None = None

    def title(self) -> str:
        found = f"; it has `{self.found}`" if self.found else ""
        return f"the program has no `{self.signature}`{found}"

    def label(self) -> str:
        return "not the flow of the task"

    def help(self) -> str:
        return f"end the program with `{self.signature} {{ .. }}`, exactly so"

    def fix(self) -> Fix | None:
        return self.change


class OtherTool(Diagnostic):
    """A program that was written for a task declares one of its tools in another way than the task does.

    Why: what a tool takes and gives, and whether it has an `effect`, is for the task to say. A program that leaves out
    `effect` would be held to less.

    To go on: the declaration of the task is put in its place, under the program's own name for it.
    """

    code = "MAS952"
    name: str
    declaration: str
    change: Fix | None = None

    def title(self) -> str:
        return f"the tool `{self.name}` is granted with another declaration"

    def label(self) -> str:
        return "not as it is granted"

    def help(self) -> str:
        return f"declare it as: {self.declaration}"

    def fix(self) -> Fix | None:
        return self.change


class AsksNobody(Diagnostic):
    """Nothing that an agent says can change the answer of a program that was written for a task.

    Why: it would answer with what stands in its text, or with what it was asked, whatever its agents find out. A model
    that does not know what to write often ends with such a program: `return ""` behind steps that nobody uses.

    To go on: the model is asked again.
    """

    code = "MAS953"

    def title(self) -> str:
        return "no agent decides about what `main` returns: its answer is the same whatever they say"

    def label(self) -> str:
        return "its answer hangs on no agent"

    def help(self) -> str:
        return "return what an agent gives: `answer = solver(query)`, then `return answer`"


class NotInPool(Diagnostic):
    """A binding names a model that is not in the pool it was to choose from.

    Why: the pool is what the host offers for this session, with its prices. A name beside it would be a model that
    nobody has offered.

    To go on: the model is told the names of the pool.
    """

    code = "MAS954"
    name: str
    pool: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"`{self.name}` is not in the pool"

    def label(self) -> str:
        return "no tier of the pool"

    def help(self) -> str:
        known = ", ".join(f"`{one}`" for one in self.pool)
        return f"did you mean `{self.near}`? The pool has {known}" if self.near else f"take one of {known}"

    def fix(self) -> Fix | None:
        return Fix(f"write `{self.near}`", ((self.span, self.near),)) if self.near else None


class LeavesSlice(Diagnostic):
    """A program that was designed for a step may take more than what is left of the slice of the budget around it.

    Why: the step's worst case is that slice, which was proved before the run began. A program that may be stopped half
    way through is not begun.

    To go on: the model is told, and writes a smaller one: fewer steps, or texts with sizes, as in `text(200)`.
    """

    code = "MAS955"
    needed: str
    left: str

    def title(self) -> str:
        return f"`main` may need {self.needed}, and {self.left} are left"

    def label(self) -> str:
        return "does not fit"

    def help(self) -> str:
        return "use fewer steps, and give texts sizes, as in `-> text(200)`"


class AsksByName(Diagnostic):
    """An agent of a program that was designed for a step names a model of its own instead of a tier.

    Why: what the step may cost in USD was proved with the prices of the configuration's tiers.

    To go on: the model is told the tiers.
    """

    code = "MAS956"
    agent: str
    model: str
    tiers: tuple[str, ...]

    def title(self) -> str:
        return f'the agent `{self.agent}` names the model "{self.model}", and only tiers may be asked here'

    def label(self) -> str:
        return "no tier"

    def help(self) -> str:
        known = ", ".join(f"`{one}`" for one in self.tiers)
        return f"write `on` and one of {known}, or leave `on` out" if known else "leave `on` out"


class OtherModule(Diagnostic):
    """A program that was designed for a step uses a module that is none of the standard library.

    Why: a design depends on nothing but the language, its standard library and the tools that are granted.

    To go on: the model is told to declare what it needs itself.
    """

    code = "MAS957"
    module: str

    def title(self) -> str:
        return f"the program uses the module `{self.module}`, and only those of the standard library may be used here"

    def label(self) -> str:
        return "not in the standard library"

    def help(self) -> str:
        return "declare what you need of it in the program itself"
