"""How many calls a program makes: at least, at worst, and where.

A call is one request to a model (`masdsl/sizes.py`). An agent makes 1 + its retries; with tools and `steps s` it asks
its model up to s + 1 times, each with its retries. A tool makes none. Statements add, loops and samples multiply,
branches take the cheaper and the dearer one, the options of a fallback add up at worst: a failed attempt is paid for.

The least is over the runs that do not fail and in which no call is refused by a budget, so a budget below it can never
be enough. A step in such a run may fail where something catches that: an `else`, or the default of a flow. An agent
fails after a call of its model at the earliest, a tool without any; and beside a step that fails, what it does not wait
for need not have made a call yet (`masdsl/check/order.py`).

The most is over all runs. Integers are exact, however large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, assert_never

from masdsl.check.order import ended_before
from masdsl.check.program import (
    Agent,
    Append,
    Attempt,
    Bind,
    Block,
    Const,
    Each,
    Expr,
    Fallback,
    Flow,
    For,
    If,
    Invoke,
    Limits,
    Loop,
    Match,
    Program,
    Return,
    Rhs,
    Sample,
    Statement,
    Until,
    Within,
)
from masdsl.check.uses import blocks_of, invokes, right_sides, statements_of
from masdsl.diagnostics.bounds import calls
from masdsl.node import Span
from masdsl.types import List, Nothing, Optional


class Range(NamedTuple):
    """Calls: at least and at most."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        """Return one after the other."""
        return Range(self.least + other.least, self.most + other.most)

    def times(self, low: int, high: int) -> Range:
        """Return it repeated `low` to `high` times."""
        return Range(self.least * low, self.most * high)

    def under(self, limits: Limits | None) -> Range:
        """Return it under a budget, which cuts the worst case off."""
        if limits is None or limits.calls is None:
            return self
        return Range(self.least, min(self.most, limits.calls))


class Part(NamedTuple):
    """A statement's share: `path` is its address, `what` says what it does.

    `parts` are the statements inside it (of branches, the dearest one's); it runs them up to `rounds` times.
    """

    path: str
    what: str
    span: Span
    least: int
    most: int
    rounds: int
    parts: tuple[Part, ...]


class FlowBound(NamedTuple):
    """The calls of a flow instance: `least` to `most`.

    `required` is the least for a value of its own: the default, after a failure, may cost less. `needed` is the most it
    would make without its own budget.
    """

    key: str
    least: int
    most: int
    required: int
    needed: int
    parts: tuple[Part, ...]

    @property
    def headline(self) -> str:
        """One sentence for people: `Worst case: 13 calls.`"""
        return f"Worst case: {calls(self.most)}."


class SliceBound(NamedTuple):
    """A `within calls ..` of flow `key`: what its block needs at least, whatever way it takes."""

    key: str
    limits: Limits
    least: int
    parts: tuple[Part, ...]


class Bounds(NamedTuple):
    """The bounds of all flow instances by key, of all slices, and the keys of the flows that a run may start with."""

    flows: Mapping[str, FlowBound]
    slices: tuple[SliceBound, ...]
    entries: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The worst case of the dearest entry, as a sentence."""
        bounds = [self.flows[key] for key in self.entries]
        return max(bounds, key=lambda bound: bound.most).headline if bounds else "Worst case: 0 calls."


def bound_calls(program: Program) -> Bounds:
    """Return the least and the most calls of every flow of a program, with the statements that make them."""
    analysis = _Analysis(program)
    for flow in program.flows:  # callees stand before callers
        analysis.flow(flow)
    return Bounds(analysis.flows, tuple(analysis.slices), entry_flows(program))


def entry_flows(program: Program) -> tuple[str, ...]:
    """Return the keys of the flows that a run starts with: `main`, or else those of the module that no other calls."""
    own = [flow for flow in program.flows if not flow.module and not flow.statics]
    if any(flow.name == "main" for flow in own):
        return tuple(flow.key for flow in own if flow.name == "main")
    sides = right_sides(node for flow in program.flows for node in statements_of(flow.body))
    called = {step.callee for side in sides for step in invokes(side) if step.kind == "flow"}
    return tuple(flow.key for flow in own if flow.key not in called)


class _Ways(NamedTuple):
    """How a block can end, each with its calls, None where it cannot: behind it, out of its loop, out of its flow."""

    behind: Range | None
    out: Range | None = None
    back: Range | None = None

    def then(self, next_one: _Ways) -> _Ways:
        if self.behind is None:
            return self
        return _Ways(
            None if next_one.behind is None else self.behind.plus(next_one.behind),
            _either(self.out, None if next_one.out is None else self.behind.plus(next_one.out)),
            _either(self.back, None if next_one.back is None else self.behind.plus(next_one.back)),
        )

    def or_else(self, other: _Ways) -> _Ways:
        return _Ways(_either(self.behind, other.behind), _either(self.out, other.out), _either(self.back, other.back))

    def under(self, limits: Limits) -> _Ways:
        return _Ways(*(None if way is None else way.under(limits) for way in self))

    @property
    def range(self) -> Range:
        ways = [way for way in self if way is not None]
        return Range(min(way.least for way in ways), max(way.most for way in ways)) if ways else NO_CALLS


NO_CALLS = Range(0, 0)


def _either(one: Range | None, other: Range | None) -> Range | None:
    if one is None or other is None:
        return one or other
    return Range(min(one.least, other.least), max(one.most, other.most))


def _lower(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)


class _Effort(NamedTuple):
    """The calls of a right-hand side that gives a value, and the least with which it fails, None where it cannot."""

    calls: Range
    fails: int | None = None


class _Body(NamedTuple):
    """What a block does: the ways it ends, the statements in it that make calls, the least with which it fails."""

    ways: _Ways
    parts: tuple[Part, ...]
    fails: int | None


class _Analysis:
    def __init__(self, program: Program) -> None:
        self._agents = {agent.key: agent for agent in program.agents}
        self._tools = {tool.key: tool for tool in program.tools}
        self._flows = {flow.key: flow for flow in program.flows}
        self.flows: dict[str, FlowBound] = {}
        self.slices: list[SliceBound] = []
        self._key = ""
        self._fails: dict[str, int | None] = {}
        self._before: Mapping[int, int] = {}

    def flow(self, flow: Flow) -> None:
        self._key = flow.key
        self._before = ended_before(flow)
        body = self._block(flow.body)
        required, needed = body.ways.range
        most = body.ways.range.under(flow.limits).most
        least = _lower(required, body.fails) if flow.has_default else required
        self.flows[flow.key] = FlowBound(flow.key, least, most, required, needed, body.parts)
        self._fails[flow.key] = None if flow.has_default else body.fails

    # ------------------------------------------------------------ statements

    def _block(self, block: Block) -> _Body:
        ways = _Ways(NO_CALLS)
        parts: list[Part] = []
        fails: int | None = None
        spent: dict[int, int] = {}
        for number, statement in enumerate(block):
            found = self._statement(statement)
            if ways.behind is not None and found.fails is not None and (fails is None or found.fails < fails):
                before = self._before[id(statement)]
                fails = _lower(found.fails + sum(spent[place] for place in spent if before >> place & 1), fails)
            ways = ways.then(found.ways)
            if found.ways.behind is not None and found.ways.behind.least:
                spent[number] = found.ways.behind.least
            least, most = found.ways.range
            if most:
                parts.append(Part(found.path, found.what, statement.span, least, most, found.rounds, found.parts))
        return _Body(ways, tuple(parts), fails)

    def _statement(self, node: Statement) -> _Found:
        match node:
            case Bind():
                found = self._rhs(node.value)
                return _Found(_Ways(found.calls), found.fails, node.path, self._says(node.value))
            case Return():
                found = self._rhs(node.value)
                return _Found(_Ways(None, None, found.calls), found.fails, node.path, self._says(node.value))
            case Append():
                return _Found(_Ways(NO_CALLS))
            case Until():
                return _Found(_until(node))
            case Loop():
                body = self._block(node.body)
                ways = _repeated(body.ways, node.times, node.times)
                fails = body.fails if node.times else None
                return _Found(ways, fails, node.path, f"loop of {node.times}", body.parts, node.times)
            case For():
                body = self._block(node.body)
                low, high = _length(node.items)
                fails = body.fails if high else None
                what = f"for over at most {high}"
                return _Found(_repeated(body.ways, low, high), fails, node.path, what, body.parts, high)
            case Within():
                body = self._block(node.body)
                self.slices.append(SliceBound(self._key, node.limits, body.ways.range.least, body.parts))
                return _Found(body.ways.under(node.limits), body.fails, node.path, "slice of the budget", body.parts)
            case If():
                return self._branches(node, "if")
            case Match():
                return self._branches(node, "match")
            case _:
                assert_never(node)

    def _branches(self, node: If | Match, what: str) -> _Found:
        found = [self._block(block) for block in blocks_of(node)]
        ways, _, fails = found[0]
        for other in found[1:]:
            ways = ways.or_else(other.ways)
            fails = other.fails if fails is None else _lower(fails, other.fails)
        dearest = max(found, key=lambda body: body.ways.range.most)
        return _Found(ways, fails, node.path, what, dearest.parts)

    # ------------------------------------------------------------ right-hand sides

    def _rhs(self, node: Rhs) -> _Effort:
        match node:
            case Sample():
                one = self._attempt(node.body)
                return _Effort(one.calls.times(node.count, node.count), one.fails if node.count else None)
            case Each():
                one = self._attempt(node.body)
                low, high = _length(node.items)
                calls = one.calls.times(0 if node.condition is not None else low, high)
                return _Effort(calls, one.fails if high else None)
            case _:
                return self._attempt(node)

    def _attempt(self, node: Attempt) -> _Effort:
        match node:
            case Invoke():
                return self._invoke(node)
            case Fallback():
                return self._fallback(node)
            case _:
                return _Effort(NO_CALLS)

    def _invoke(self, node: Invoke) -> _Effort:
        match node.kind:
            case "agent":
                agent = self._agents[node.callee]
                return _Effort(agent_calls(agent), None if agent.has_default else 1)
            case "tool":
                return _Effort(NO_CALLS, None if self._tools[node.callee].has_default else 0)
            case _:
                bound = self.flows[node.callee]
                return _Effort(Range(bound.least, bound.most), self._fails[node.callee])

    def _fallback(self, node: Fallback) -> _Effort:
        """Add up the options that can be reached: those behind one that may fail or be none."""
        least: int | None = None
        fails: int | None = None
        spent = most = 0
        for option in node.options:
            found = self._attempt(option)
            least = _lower(spent + found.calls.least, least)
            most += found.calls.most
            fails = None if found.fails is None else spent + found.fails
            passed = found.fails
            if isinstance(option.type, Optional | Nothing):
                passed = _lower(found.calls.least, passed)
            if passed is None:
                break
            spent += passed
        return _Effort(Range(least or 0, most), fails)

    def _says(self, node: Rhs) -> str:
        match node:
            case Sample():
                return f"{node.count} of {self._says(node.body)}"
            case Each():
                return f"each of at most {_length(node.items)[1]}: {self._says(node.body)}"
            case Fallback():
                return " else ".join(self._says(option) for option in node.options)
            case Invoke():
                return self._names(node)
            case _:
                return "a value"

    def _names(self, node: Invoke) -> str:
        match node.kind:
            case "agent":
                return self._agents[node.callee].name
            case "tool":
                return self._tools[node.callee].name
            case _:
                return self._flows[node.callee].name


class _Found(NamedTuple):
    """What a statement does: the ways it ends, the least calls with which it fails, and what `Part` says about it."""

    ways: _Ways
    fails: int | None = None
    path: str = ""
    what: str = ""
    parts: tuple[Part, ...] = ()
    rounds: int = 1


def agent_calls(agent: Agent) -> Range:
    """Return the calls of one step of an agent, its retries included, and its questions between uses of tools."""
    rounds = agent.steps if agent.tools else 0
    return Range(1, (1 + agent.retries) * (rounds + 1))


def _length(items: Expr) -> tuple[int, int]:
    return (items.type.low, items.type.high) if isinstance(items.type, List) else (0, 0)


def _until(node: Until) -> _Ways:
    value = node.condition.value if isinstance(node.condition, Const) else None
    return _Ways(None if value is True else NO_CALLS, None if value is False else NO_CALLS)


def _repeated(body: _Ways, low: int, high: int) -> _Ways:
    """Return the ways of a loop whose body runs between `low` and `high` times unless it is left before."""
    if high == 0:
        return _Ways(NO_CALLS)
    before_last = body.behind.times(high - 1, high - 1) if body.behind else NO_CALLS
    behind: Range | None = NO_CALLS if low == 0 else None
    if body.behind is not None:
        behind = _either(behind, body.behind.times(low, high))
    if body.out is not None:
        behind = _either(behind, Range(body.out.least, before_last.most + body.out.most))
    back = None if body.back is None else Range(body.back.least, before_last.most + body.back.most)
    return _Ways(behind, None, back)
