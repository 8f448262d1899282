"""What has ended for certain when a statement begins, although steps run beside each other; and what it may wait for.

A step waits for what it needs and for nothing else (`masdsl/lower/schedule.py`): for the statements that gave the names
it reads, and for those before it that may lead out of its block. What is found here is never too much, but it may be
too little: effects also wait for each other, and so does whoever reads a name that all branches of an `if` have bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from masdsl.check.program import Append, Bind, Block, Flow, For, Loop, Return, Statement, Until, Within
from masdsl.check.uses import blocks_of, expressions_of, reads


class Touch(NamedTuple):
    """What a statement or block reads from before it, what it binds, and whether it may leave its loop or its flow.

    `ways_out` is in how many places it may.
    """

    reads: frozenset[str]
    binds: frozenset[str]
    stops: bool
    returns: bool
    ways_out: int = 0

    @property
    def leaves(self) -> bool:
        """Whether control may go elsewhere than to the next statement."""
        return self.stops or self.returns


class Order(NamedTuple):
    """By `id` of a statement: those of its block that have ended before it (bit n is the one at place n), its touch."""

    before: Mapping[int, int]
    touches: Mapping[int, Touch]


def order_of(flow: Flow) -> Order:
    """Return what the statements of a flow surely wait for, and what each reads and binds."""
    order = _Order(param.name for param in flow.params)
    order.block(flow.body)
    return Order(order.before, order.touches)


_NOTHING: frozenset[str] = frozenset()


class _Order:
    def __init__(self, names: Iterable[str]) -> None:
        self.before: dict[int, int] = {}
        self.touches: dict[int, Touch] = {}
        self._visible = set(names)

    def block(self, block: Block) -> Touch:
        writer: dict[str, int] = {}
        own: list[str] = []
        read: set[str] = set()
        bound: set[str] = set()
        stops = returns = False
        ways_out = 0
        known: list[int] = []
        since_way_out = 0
        for number, node in enumerate(block):
            touch = self.touches[id(node)] = self._statement(node)
            ways_out += touch.ways_out
            before = since_way_out
            for name in touch.reads:
                if name in writer:
                    before |= known[writer[name]]
            self.before[id(node)] = before
            known.append(before | 1 << number)
            read |= touch.reads - bound
            bound |= touch.binds
            for name in _binds_here(node):
                if name not in self._visible:
                    self._visible.add(name)
                    own.append(name)
            for name in touch.binds & self._visible:
                writer[name] = number
            if touch.stops or touch.returns:
                since_way_out = known[number]
            stops, returns = stops or touch.stops, returns or touch.returns
        self._visible.difference_update(own)
        return Touch(frozenset(read), frozenset(bound), stops, returns, ways_out)

    def _statement(self, node: Statement) -> Touch:
        read = _NOTHING.union(*(reads(expression) for expression in expressions_of(node)))
        match node:
            case Bind():
                return Touch(read, frozenset((node.name,)), False, False)
            case Append():
                return Touch(read | {node.name}, frozenset((node.name,)), False, False)
            case Until() | Return():
                return Touch(read, _NOTHING, isinstance(node, Until), isinstance(node, Return), 1)
            case _:
                inner = [self.block(block) for block in blocks_of(node)]
                own = frozenset((node.var,)) if isinstance(node, For) else _NOTHING
                return Touch(
                    read.union(*(touch.reads - own for touch in inner)),
                    _NOTHING.union(*(touch.binds - own for touch in inner)),
                    any(touch.stops for touch in inner) and not isinstance(node, Loop | For),
                    any(touch.returns for touch in inner),
                    sum(touch.ways_out for touch in inner),
                )


def _binds_here(node: Statement) -> Iterable[str]:
    """Return the names that a statement binds for those behind it."""
    match node:
        case Bind() | Append():
            return (node.name,)
        case Within():
            return (name for inner in node.body for name in _binds_here(inner))
        case _:
            return ()
