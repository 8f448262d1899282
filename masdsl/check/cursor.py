"""What is known at one place of a program: which names a statement there could use, and with which types.

For what writes a program piece by piece, or helps somebody to: the place is that of a statement, whose own meaning does
not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masdsl.types import Type

if TYPE_CHECKING:
    from masdsl.check.context import Frame
    from masdsl.check.scope import Names


class Cursor:
    """A place to look at: the offset in the program's own module at which a statement begins.

    After a check `reached` says whether the checker came by, and then `names` are the bound names with their types in
    order of binding, `bound_here` those that the innermost block binds itself, `exits` says that nothing gets there,
    `loops` is how many loops are around it, and `returns` the type of the flow. Where a place is checked several times
    (a loop's body, several instances of a flow), the last time counts.
    """

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.reached = False
        self.names: dict[str, Type] = {}
        self.bound_here: frozenset[str] = frozenset()
        self.exits = False
        self.loops = 0
        self.returns: Type | None = None

    def note(self, frame: Frame, names: Names, bound_here: frozenset[str], exits: bool) -> None:
        """Keep what is known in front of the statement at the cursor."""
        self.reached = True
        self.names = {name: names[name] for name in reversed(list(names))}
        self.bound_here = bound_here
        self.exits = exits
        self.loops = len(frame.loops)
        self.returns = frame.returns
