"""How many calls a program makes: at least, at worst, and where.

A call is one request to a model (`masdsl/sizes.py`). An agent makes 1 + its retries; with tools and `steps s` it asks
its model up to s + 1 times, each with its retries. A tool makes none. Statements add, loops and samples multiply,
branches take the cheaper and the dearer one, the options of a fallback add up at worst: a failed attempt is paid for.

The least is over the runs in which no call is refused by a budget, so a budget below it can never be enough. The most
is over all runs. Integers are exact, however large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, assert_never

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
from masdsl.check.types import List
from masdsl.diagnostics.bounds import calls
from masdsl.node import Span


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
    """The calls of a flow instance: `least` to `most`. `needed` is the most it would make without its own budget."""

    key: str
    least: int
    most: int
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
    called = {step.callee for flow in program.flows for step in _steps_of(flow.body) if step.kind == "flow"}
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


class _Analysis:
    def __init__(self, program: Program) -> None:
        self._agents = {agent.key: agent for agent in program.agents}
        self._tools = {tool.key: tool for tool in program.tools}
        self._flows = {flow.key: flow for flow in program.flows}
        self.flows: dict[str, FlowBound] = {}
        self.slices: list[SliceBound] = []
        self._key = ""

    def flow(self, flow: Flow) -> None:
        self._key = flow.key
        ways, parts = self._block(flow.body)
        found = ways.range
        self.flows[flow.key] = FlowBound(flow.key, found.least, found.under(flow.limits).most, found.most, parts)

    # ------------------------------------------------------------ statements

    def _block(self, block: Block) -> tuple[_Ways, tuple[Part, ...]]:
        ways = _Ways(NO_CALLS)
        parts: list[Part] = []
        for statement in block:
            found = self._statement(statement)
            ways = ways.then(found.ways)
            least, most = found.ways.range
            if most:
                parts.append(Part(found.path, found.what, statement.span, least, most, found.rounds, found.parts))
        return ways, tuple(parts)

    def _statement(self, node: Statement) -> _Found:
        match node:
            case Bind():
                return _Found(_Ways(self._rhs(node.value)), node.path, self._says(node.value))
            case Return():
                return _Found(_Ways(None, None, self._rhs(node.value)), node.path, self._says(node.value))
            case Append():
                return _Found(_Ways(NO_CALLS))
            case Until():
                return _Found(_until(node))
            case Loop():
                ways, parts = self._block(node.body)
                what = f"loop of {node.times}"
                return _Found(_repeated(ways, node.times, node.times), node.path, what, parts, node.times)
            case For():
                ways, parts = self._block(node.body)
                low, high = _length(node.items)
                return _Found(_repeated(ways, low, high), node.path, f"for over at most {high}", parts, high)
            case Within():
                ways, parts = self._block(node.body)
                self.slices.append(SliceBound(self._key, node.limits, ways.range.least, parts))
                return _Found(ways.under(node.limits), node.path, "slice of the budget", parts)
            case If():
                return self._branches([*(branch.body for branch in node.branches), node.orelse], node.path, "if")
            case Match():
                otherwise = () if node.orelse is None else (node.orelse,)
                return self._branches([*(arm.body for arm in node.arms), *otherwise], node.path, "match")
            case _:
                assert_never(node)

    def _branches(self, blocks: list[Block], path: str, what: str) -> _Found:
        found = [self._block(block) for block in blocks]
        ways = found[0][0]
        for other, _ in found[1:]:
            ways = ways.or_else(other)
        dearest = max(found, key=lambda pair: pair[0].range.most)
        return _Found(ways, path, what, dearest[1])

    # ------------------------------------------------------------ right-hand sides

    def _rhs(self, node: Rhs) -> Range:
        match node:
            case Sample():
                return self._attempt(node.body).times(node.count, node.count)
            case Each():
                low, high = _length(node.items)
                return self._attempt(node.body).times(0 if node.condition is not None else low, high)
            case _:
                return self._attempt(node)

    def _attempt(self, node: Attempt) -> Range:
        match node:
            case Invoke():
                return self._invoke(node)
            case Fallback():
                return self._fallback(node)
            case _:
                return NO_CALLS

    def _invoke(self, node: Invoke) -> Range:
        match node.kind:
            case "agent":
                return agent_calls(self._agents[node.callee])
            case "tool":
                return NO_CALLS
            case _:
                bound = self.flows[node.callee]
                # a flow with a default may fail, and be done, at a tool that comes before its first call
                least = 0 if self._flows[node.callee].has_default else bound.least
                return Range(least, bound.most)

    def _fallback(self, node: Fallback) -> Range:
        least: list[int] = []
        failed = most = 0
        for option in node.options:
            found = self._attempt(option)
            least.append(failed + found.least)
            failed += 1 if isinstance(option, Invoke) and option.kind == "agent" else 0
            most += found.most
        return Range(min(least), most)

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
    """What a statement does: the ways it ends, and what `Part` says about it."""

    ways: _Ways
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


def _steps_of(block: Block) -> list[Invoke]:
    """Return the calls of a block, in order of the text."""
    found: list[Invoke] = []
    for node in block:
        match node:
            case Bind() | Return():
                found += _invokes(node.value)
            case Loop() | For() | Within():
                found += _steps_of(node.body)
            case If():
                for inner in (*(branch.body for branch in node.branches), node.orelse):
                    found += _steps_of(inner)
            case Match():
                for inner in (*(arm.body for arm in node.arms), node.orelse or ()):
                    found += _steps_of(inner)
            case Append() | Until():
                pass
            case _:
                assert_never(node)
    return found


def _invokes(node: Rhs) -> list[Invoke]:
    match node:
        case Invoke():
            return [node]
        case Sample() | Each():
            return _invokes(node.body)
        case Fallback():
            return [step for option in node.options for step in _invokes(option)]
        case _:
            return []
