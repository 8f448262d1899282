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
