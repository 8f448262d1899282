"""What is known at places of a program: for what writes a program piece by piece, or helps somebody to.

The checker tells a `Watch` what it finds out on its way; it never asks one anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masdsl.types import Type

if TYPE_CHECKING:
    from masdsl.check.context import Callee, Frame
    from masdsl.check.scope import ModuleScope, Names
    from masdsl.syntax import ast


class Watch:
    """Is told what a check finds out, also about a program with errors; by itself it keeps nothing.

    Where something is checked several times (a loop's body, several instances of a flow), it is told each time.
    """

    def scopes(self, own: ModuleScope, imported: tuple[ModuleScope, ...]) -> None:
        """The declarations are known: those of the program's own module, and of all that it imports."""

    def statement(
        self, frame: Frame, node: ast.Statement, names: Names, bound_here: frozenset[str], exits: bool
    ) -> None:
        """A statement is reached with these names; its block binds some itself; `exits`: nothing gets there."""

    def binding(self, frame: Frame, name: ast.Name, kind: Type) -> None:
        """A parameter, a bound name or the name of an item has this type."""

    def expression(self, frame: Frame, node: ast.Expr, kind: Type) -> None:
        """An expression or a step has this type."""

    def call(self, frame: Frame, node: ast.Call, callee: Callee) -> None:
        """A step calls this."""


class Cursor(Watch):
    """A place to look at: the offset in the program's own module at which a statement begins.

    After a check `reached` says whether the checker came by, and then `names` are the bound names with their types in
    order of binding, `bound_here` those that the innermost block binds itself, `exits` says that nothing gets there,
    `loops` is how many loops are around it, and `returns` the type of the flow. Where a place is checked several times
    the last time counts.
    """

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.reached = False
        self.names: dict[str, Type] = {}
        self.bound_here: frozenset[str] = frozenset()
        self.exits = False
        self.loops = 0
        self.returns: Type | None = None

    def statement(
        self, frame: Frame, node: ast.Statement, names: Names, bound_here: frozenset[str], exits: bool
    ) -> None:
        """Keep what is known in front of the statement at the cursor."""
        if node.span.start != self.offset or frame.scope.name:
            return
        self.reached = True
        self.names = {name: names[name] for name in reversed(list(names))}
        self.bound_here = bound_here
        self.exits = exits
        self.loops = len(frame.loops)
        self.returns = frame.returns
