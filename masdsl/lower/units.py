"""A flow's body as units: statements over Python variables, each with what the schedule has to know about it.

A unit is a statement with everything in it. It reads and writes variables of the blocks around it, it may have steps
(something to wait for), effects (whose order counts) and ways out (`return`, or `until` of a loop around it), of which
`ways_out` are how many. `endless` means that control never gets behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from masdsl.check.program import Limits
from masdsl.lower import ir
from masdsl.node import Node, Span
from masdsl.types import Enum, List, Type

# ---------------------------------------------------------------- right-hand sides


class Call(Node):
    """A call of an agent, a tool or a flow under Python names. `effect`: it changes the world."""

    path: str
    callee: str
    arguments: ir.Arguments
    type: Type
    effect: bool


class Options(Node):
    """The first of the options that neither fails nor is none; at least one of them is a call."""

    options: tuple[ir.Expr | Call, ...]
    type: Type


Attempt: TypeAlias = ir.Expr | Call | Options


class Draws(Node):
    """`count` times the same attempt, with steps."""

    count: int
    body: Call | Options
    type: List


class Mapped(Node):
    """The attempt for every item that satisfies the condition, with steps. `element` is the items' type in the body."""

    var: str
    element: Type
    items: ir.Expr
    condition: ir.Expr | None
    body: Call | Options
    type: List


Value: TypeAlias = Attempt | Draws | Mapped

# ---------------------------------------------------------------- units


class Unit:
    """A statement; see the module docstring.

    `before` are the types that Python knows of the variables it reads, `after` of those that it writes.
    """

    __slots__ = ("after", "before", "effects", "endless", "exits", "reads", "span", "steps", "ways_out", "writes")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.before: Mapping[str, Type] = {}
        self.after: Mapping[str, Type] = {}
        self.reads: frozenset[str] = frozenset()
        self.writes: frozenset[str] = frozenset()
        self.steps = False
        self.effects = False
        self.exits = False
        self.ways_out = 0
        self.endless = False

    @property
    def label(self) -> str:
        """What helpers for this unit are called after."""
        raise NotImplementedError

    def read(self, names: Iterable[str], known: Mapping[str, Type]) -> None:
        """Note what the unit reads, and what is known of it."""
        self.reads = frozenset(names)
        self.before = {name: known[name] for name in self.reads if name in known}


class Binding(Unit):
    """`name = value`."""

    __slots__ = ("name", "path", "value")

    def __init__(self, span: Span, path: str, name: str, value: Value) -> None:
        super().__init__(span)
        self.path = path
        self.name = name
        self.value = value

    @property
    def label(self) -> str:
        """What helpers for this unit are called after."""
        return self.name


class Leaving(Unit):
    """`until condition`."""

    __slots__ = ("condition",)

    def __init__(self, span: Span, condition: ir.Expr) -> None:
        super().__init__(span)
        self.condition = condition
        self.exits = True
        self.ways_out = 1


class Returning(Unit):
    """`return value`; `type` is the flow's."""

    __slots__ = ("path", "type", "value")

    def __init__(self, span: Span, path: str, value: Value, kind: Type) -> None:
        super().__init__(span)
        self.path = path
        self.value = value
        self.type = kind
        self.exits = True
        self.ways_out = 1


class Construct(Unit):
    """A statement with blocks. `path` is its address."""

    __slots__ = ("path",)

    def __init__(self, span: Span, path: str) -> None:
        super().__init__(span)
        self.path = path

    @property
    def label(self) -> str:
        """What helpers for this unit are called after."""
        return self.path.rpartition(".")[2]


class Rounds(Construct):
    """`loop times`."""

    __slots__ = ("body", "frame", "times")

    def __init__(self, span: Span, path: str, frame: str, times: int) -> None:
        super().__init__(span, path)
        self.frame = frame
        self.times = times
        self.body: list[Unit] = []


class Visits(Construct):
    """`for var in items`."""

    __slots__ = ("body", "frame", "items", "var")

    def __init__(self, span: Span, path: str, frame: str, var: str, items: ir.Expr) -> None:
        super().__init__(span, path)
        self.frame = frame
        self.var = var
        self.items = items
        self.body: list[Unit] = []


class Slice(Construct):
    """`within limits`."""

    __slots__ = ("body", "frame", "limits")

    def __init__(self, span: Span, path: str, frame: str, limits: Limits) -> None:
        super().__init__(span, path)
        self.frame = frame
        self.limits = limits
        self.body: list[Unit] = []


class Way:
    """A guarded block: the condition's or the words', and where it stands."""

    __slots__ = ("body", "condition", "span", "words")

    def __init__(self, span: Span, condition: ir.Expr | None, words: tuple[str, ...]) -> None:
        self.span = span
        self.condition = condition
        self.words = words
        self.body: list[Unit] = []


class Choice(Construct):
    """`if`: the ways in order, the last without a condition (an empty one stands for no `else`)."""

    __slots__ = ("ways",)

    def __init__(self, span: Span, path: str) -> None:
        super().__init__(span, path)
        self.ways: list[Way] = []


class Matching(Construct):
    """`match`: the ways by their words; one without words is the `else`."""

    __slots__ = ("subject", "type", "ways")

    def __init__(self, span: Span, path: str, subject: ir.Expr, kind: Enum) -> None:
        super().__init__(span, path)
        self.subject = subject
        self.type = kind
        self.ways: list[Way] = []


# ---------------------------------------------------------------- variables in expressions


def variables_in(node: object) -> frozenset[str]:
    """Return the variables that an expression or a right-hand side reads."""
    found: set[str] = set()
    bound: set[str] = set()
    pending: list[object] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, ir.Var):
            found.add(part.name)
        elif isinstance(part, tuple):
            pending.extend(part)
        elif isinstance(part, Node) and not isinstance(part, ir.Const):
            if isinstance(part, ir.Select | Mapped):
                bound.add(part.var)
            pending.extend(getattr(part, field) for field in part._fields if field != "type")
    return frozenset(found - bound)
