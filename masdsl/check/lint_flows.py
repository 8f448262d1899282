"""Lints about where values go: calls and values that cannot reach the output, values that are replaced unused.

A value counts when what is returned depends on it: as a part of it, or through a decision (a condition, a `match`, an
`until`) on the way there, or as an input of a tool with an effect. Everything else is found by going backwards through
a flow with the set of names whose values count, round and round until nothing is added. It is the faint-variable
analysis of compilers: a value that only feeds values that do not count does not count either, loops included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from masdsl.check.program import (
    Append,
    Bind,
    Block,
    For,
    If,
    Loop,
    Match,
    Program,
    Return,
    Statement,
    Until,
    Within,
)
from masdsl.check.uses import Scan, blocks_of, invokes, program_callees, reads, right_sides, statements_of
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.lints import DeadCall, Overwritten, UnusedValue
from masdsl.node import Span
from masdsl.types import List

MAX_PASSES = 16
"""Rounds of the analysis before it gives up. A program takes about two more than its loops are deep."""


def dead_values(program: Program, scan: Scan, effects: frozenset[str]) -> Iterator[Diagnostic]:
    """Report the calls and values of a flow that cannot reach its output; `effects` are what changes the world."""
    slicing = _Slice(effects, scan)
    live = slicing.run()
    if live is None:
        return
    binds = [node for node in scan.statements if isinstance(node, Bind)]
    counted = {node.name for node in binds if id(node) in slicing.counts}
    for node in binds:
        if id(node) in slicing.counts or node.name.startswith("_"):
            continue
        again = _replaced_by(node, binds)
        if again is not None and node.name in counted:
            yield Overwritten(node.name, _name_of(again), span=_name_of(node))
        elif invokes(node.value):
            callee = program_callees(program)[invokes(node.value)[0].callee].name
            yield DeadCall(node.name, callee, node.span, span=node.span)
        else:
            yield UnusedValue(node.name, node.span, span=_name_of(node))
    for param in scan.flow.params:
        first = next((node for node in binds if node.name == param.name), None)
        if first is not None and param.name not in live and param.name in counted:
            yield Overwritten(param.name, _name_of(first), span=param.span)


def effectful(program: Program) -> frozenset[str]:
    """Return the keys of the tools, agents and flows that may change the world."""
    keys = {tool.key for tool in program.tools if tool.effect}
    if not keys:
        return frozenset()
    keys |= {agent.key for agent in program.agents if not keys.isdisjoint(agent.tools)}
    for flow in program.flows:  # callees stand before callers
        if any(step.callee in keys for value in right_sides(statements_of(flow.body)) for step in invokes(value)):
            keys.add(flow.key)
    return frozenset(keys)


def _replaced_by(node: Bind, binds: list[Bind]) -> Bind | None:
    """Return the binding of the same name that comes next in the text, or the first one where none follows."""
    others = [other for other in binds if other.name == node.name and other is not node]
    after = [other for other in others if other.span.start >= node.span.end]
    return after[0] if after else others[0] if others else None


def _name_of(node: Bind) -> Span:
    return Span(node.span.start, node.span.start + len(node.name))


class _Slice:
    """The statements that count, found by going backwards until nothing changes."""

    def __init__(self, effects: frozenset[str], scan: Scan) -> None:
        self._effects = effects
        self._body = scan.flow.body
        self._around: dict[int, Statement] = {}
        self._carried: dict[int, set[str]] = {}
        self._known: dict[int, frozenset[str]] = {}
        self._grew = False
        self.counts: set[int] = set()
        for node in scan.statements:
            for block in blocks_of(node):
                self._around.update((id(inner), node) for inner in block)

    def run(self) -> set[str] | None:
        """Mark what counts and return the names whose values count at the start; None where that takes too long."""
        for _ in range(MAX_PASSES):
            self._grew = False
            live = self._block(self._body, set(), set(), None)
            if not self._grew:
                return live
        return None

    def _mark(self, node: Statement) -> None:
        """A statement counts, and so do the constructs around it."""
        inner: Statement | None = node
        while inner is not None and id(inner) not in self.counts:
            self.counts.add(id(inner))
            self._grew = True
            inner = self._around.get(id(inner))

    def _block(self, block: Block, live: set[str], out: set[str], loop: Statement | None) -> set[str]:
        """Change `live` from what counts behind a block to what counts before it; `out` counts behind its `loop`."""
        for node in reversed(block):
            live = self._statement(node, live, out, loop)
        return live

    def _statement(self, node: Statement, live: set[str], out: set[str], loop: Statement | None) -> set[str]:
        match node:
            case Bind():
                if node.name in live or any(step.callee in self._effects for step in invokes(node.value)):
                    self._mark(node)
                    live.discard(node.name)
                    live |= self._reads(node)
            case Append():
                if node.name in live:
                    self._mark(node)
                    live |= self._reads(node)
            case Return():
                self._mark(node)
                live = set(reads(node.value))
            case Until():
                live |= out
                if id(loop) in self.counts:  # how many rounds there are decides about what counts in them
                    self._mark(node)
                    live |= reads(node.condition)
            case Loop() | For():
                live = self._loop(node, live)
            case Within():
                live = self._block(node.body, live, out, loop)
            case If() | Match():
                before: set[str] = set()
                for block in blocks_of(node):
                    before |= self._block(block, set(live), out, loop)
                if isinstance(node, If) and not node.orelse:
                    before |= live
                if id(node) in self.counts:
                    before |= _decides(node)
                live = before
            case _:
                assert_never(node)
        return live

    def _reads(self, node: Bind | Append) -> frozenset[str]:
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = reads(node.value)
        return known

    def _loop(self, node: Loop | For, live: set[str]) -> set[str]:
        carried = self._carried.setdefault(id(node), set())
        before = self._block(node.body, live | carried, live, node)
        if isinstance(node, For):
            before.discard(node.var)
        if not before <= carried:
            carried |= before
            self._grew = True
        if id(node) not in self.counts:
            return live
        if isinstance(node, For):
            before |= reads(node.items)
            if not isinstance(node.items.type, List) or node.items.type.low == 0:
                before |= live
        return before


def _decides(node: If | Match) -> frozenset[str]:
    """Return the names that decide which block runs."""
    if isinstance(node, Match):
        return reads(node.subject)
    return frozenset[str]().union(*(reads(branch.condition) for branch in node.branches))
