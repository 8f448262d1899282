"""MAS97x: what does not translate to another framework, or from one."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic


class NotExported(Diagnostic):
    """A part of a program says what the framework that it is exported to cannot say.

    Why: an exported program gives what the program gives here, for the same replies of the models. What would change
    that is refused, never left out; docs/interop.md has the list for each framework.

    To go on: say it in another way, as the help proposes, or run the program here.
    """

    code = "MAS970"
    what: str
    target: str
    why: str
    instead: str

    def title(self) -> str:
        return f"{self.what} does not translate to {self.target}: {self.why}"

    def label(self) -> str:
        return "has no counterpart"

    def help(self) -> str:
        return self.instead
