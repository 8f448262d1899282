"""The bound of every flow of a program: statement by statement, with sizes of values followed along.

Calls, tokens and money add; loops and samples multiply; branches take the cheaper and the dearer one; the options of a
fallback add up at worst, because a failed attempt is paid for. Seconds follow the critical path: what does not need
each other runs at the same time.

The least is over the runs that do not fail and in which no call is refused by a budget. A step in such a run may fail
where something catches that: an `else`, or the default of a flow. An agent fails after a call of its model at the
earliest, a tool without any; and beside a step that fails, what it does not wait for need not have made a call yet
(`masdsl/check/order.py`). The most is over all runs.

Sizes of values: a block is looked at with what is known about names where it begins (`masdsl/bounds/kinds.py`). A loop
whose names grow is looked at round by round, which makes the cost of a list that it fills a triangle, not a square; a
flow is looked at once for each set of sizes that it is called with. Both are given up, for the declared types, where a
program would take too long: the bound is then greater, and still one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, assert_never

from masdsl.bounds.amounts import FREE, NO_COST, NOTHING, Least, Range
from masdsl.bounds.clock import Clock, effects, limited
from masdsl.bounds.growth import element_of, items_added
from masdsl.bounds.kinds import constant, kind_of, narrowed, union, wider
from masdsl.bounds.parts import added
from masdsl.bounds.requests import NO_COUNTS, AgentCosts, Counts, Prices, StepCost, tool_cost
from masdsl.bounds.result import Bounds, FlowBound, Part, SliceBound
from masdsl.bounds.ways import Rounds, Ways, leasts, repeated, totals
from masdsl.check.order import Order, order_of
from masdsl.check.program import (
    Append,
    Attempt,
    Bind,
    Block,
    Const,
    Each,
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
from masdsl.limits import WAITS_AT_WAYS_OUT
from masdsl.types import List, Nothing, Optional, Type

UNROLLED_ROUNDS = 64
"""Rounds of a loop that are looked at one by one; further ones in `CHUNKS` groups."""
CHUNKS = 16
STATEMENTS = 4_000
"""Statements that are looked at beyond one time each; after that, declared sizes have to do."""
CONTEXTS = 64
"""Sets of sizes for which a flow is looked at."""


def bound(program: Program, prices: Prices, counts: Counts = NO_COUNTS) -> Bounds:
    """Return what the flows of a program cost at least and at worst, at these prices, with what makes the cost.

    `counts` are the tokenizers of models, by agents, where they are at hand.
    """
    analysis = _Analysis(program, AgentCosts(program, prices, counts))
    for flow in program.flows:  # callees stand before callers
        analysis.declared(flow)
    return Bounds(analysis.flows, tuple(analysis.slices.values()), entry_flows(program))


def entry_flows(program: Program) -> tuple[str, ...]:
    """Return the keys of the flows that a run starts with: `main`, or else those of the module that no other calls."""
    own = [flow for flow in program.flows if not flow.module and not flow.statics]
    if any(flow.name == "main" for flow in own):
        return tuple(flow.key for flow in own if flow.name == "main")
    sides = right_sides(node for flow in program.flows for node in statements_of(flow.body))
    called = {step.callee for side in sides for step in invokes(side) if step.kind == "flow"}
    return tuple(flow.key for flow in own if flow.key not in called)


class _Found(NamedTuple):
    """What a statement does: the ways it ends, the least with which it fails, its time, and what `Part` says of it."""

    ways: Ways
    fails: Least | None = None
    seconds: int = 0
    path: str = ""
    what: str = ""
    parts: tuple[Part, ...] = ()
    others: tuple[Part, ...] = ()


class _Body(NamedTuple):
    """What a block does: the ways it ends, the statements in it that cost something, the least with which it fails."""

    ways: Ways
    parts: tuple[Part, ...]
    fails: Least | None
    seconds: int


class _Flow(NamedTuple):
    """A flow as its callers see it, and what they do not: see FlowBound."""

    cost: StepCost
    body: _Body


Env = dict[str, Type]


class _Analysis:
    def __init__(self, program: Program, costs: AgentCosts) -> None:
        self._program = program
        self._agents = {agent.key: agent for agent in program.agents}
        self._tools = {tool.key: tool for tool in program.tools}
        self._flows = {flow.key: flow for flow in program.flows}
        self._costs = costs
        self._effects = effects(program)
        self._orders: dict[str, Order] = {}
        self._known: dict[tuple[str, tuple[Type, ...]], _Flow] = {}
        self._contexts: dict[str, int] = {}
        self._left = STATEMENTS
        self.flows: dict[str, FlowBound] = {}
        self.slices: dict[int, SliceBound] = {}

    # ------------------------------------------------------------ flows

    def declared(self, flow: Flow) -> None:
        """Find the bound of a flow for inputs of any size that its parameters allow."""
        found = self._flow(flow, tuple(param.type for param in flow.params))
        whole = found.body.ways.range
        self.flows[flow.key] = FlowBound(
            key=flow.key,
            least=found.cost.range.least.spent,
            required=whole.least.required,
            most=found.cost.range.most,
            needed=whole.most,
            seconds=found.cost.seconds,
            needed_seconds=found.body.seconds,
            parts=found.body.parts,
        )

    def _flow(self, flow: Flow, kinds: tuple[Type, ...]) -> _Flow:
        known = self._known.get((flow.key, kinds))
        if known is not None:
            return known
        widest = tuple(param.type for param in flow.params)
        if kinds != widest:
            used = self._contexts[flow.key] = self._contexts.get(flow.key, 0) + 1
            if used > CONTEXTS or self._left <= 0:
                return self._flow(flow, widest)
        if flow.key not in self._orders:
            self._orders[flow.key] = order_of(flow)
        walk = _Walk(self, flow, kinds == widest)
        body = walk.block(flow.body, dict(zip((param.name for param in flow.params), kinds, strict=True)))
        whole = body.ways.range
        least = whole.least
        if flow.has_default and body.fails is not None:
            least = least.lower(body.fails)
        cost = StepCost(
            Range(least, whole.most.under(flow.limits)),
            None if flow.has_default else body.fails,
            limited(body.seconds, flow.limits),
        )
        known = self._known[flow.key, kinds] = _Flow(cost, body)
        return known

    def called(self, node: Invoke, env: Mapping[str, Type], slices: tuple[Limits | None, ...]) -> StepCost:
        """Return what a call of an agent, a tool or a flow costs; `slices` are those of its flow around it."""
        passed = {name: kind_of(value, env) for name, value in node.arguments}
        if node.kind == "tool":
            tool = self._tools[node.callee]
            return self._costs.design(tool, slices) if tool.designs else tool_cost(tool)
        callee = self._agents[node.callee] if node.kind == "agent" else self._flows[node.callee]
        kinds = tuple(
            narrowed(passed[param.name], param.type) if param.name in passed else constant(param.default, param.type)
            for param in callee.params
        )
        if isinstance(callee, Flow):
            return self._flow(callee, kinds).cost
        return self._costs.step(callee, kinds)

    def spend(self) -> bool:
        """Take note that a statement is looked at; say whether there is room for looking at more than each once."""
        self._left -= 1
        return self._left > 0

    @property
    def has_room(self) -> bool:
        """Whether statements may be looked at more than once."""
        return self._left > 0

    def order(self, key: str) -> Order:
        """Return what the statements of a flow wait for."""
        return self._orders[key]

    def is_effect(self, node: Invoke) -> bool:
        """Say whether a call changes the world."""
        return (node.kind, node.callee) in self._effects

    def name(self, node: Invoke) -> str:
        """Return the name of what is called."""
        tables: dict[str, Mapping[str, Flow]] = {"flow": self._flows}
        if node.kind in tables:
            return self._flows[node.callee].name
        return (self._agents if node.kind == "agent" else self._tools)[node.callee].name


class _Walk:
    """Goes through the body of one flow, for one set of sizes; `tells` says whether slices are to be recorded."""

    def __init__(self, analysis: _Analysis, flow: Flow, tells: bool) -> None:
        self._analysis = analysis
        self._key = flow.key
        self._limits = flow.limits
        self._order = analysis.order(flow.key)
        self._tells = tells
        self._slices: tuple[Limits, ...] = ()

    # ------------------------------------------------------------ statements

    def block(self, block: Block, env: Env) -> _Body:
        """Return what a block costs that begins with these sizes; `env` then holds those behind it."""
        ways = Ways(NO_COST)
        parts: list[Part] = []
        fails: Least | None = None
        spent: dict[int, Least] = {}
        clock = Clock(sum(self._order.touches[id(node)].ways_out for node in block) * len(block) > WAITS_AT_WAYS_OUT)
        for number, statement in enumerate(block):
            self._analysis.spend()
            found = self._statement(statement, env)
            if ways.behind is not None and found.fails is not None:
                before = self._order.before[id(statement)]
                failing = found.fails
                for place, least in spent.items():
                    if before >> place & 1:
                        failing = least.then(failing)
                fails = leasts(fails, failing)
            if found.ways.behind is not None and found.ways.behind.least is not FREE:
                spent[number] = found.ways.behind.least
            if ways.behind is not None:
                clock.take(self._order.touches[id(statement)], found.seconds, self._changes_world(statement))
            ways = ways.then(found.ways)
            whole = found.ways.range
            if whole.most != NOTHING or found.seconds:
                parts.append(
                    Part(
                        found.path,
                        found.what,
                        statement.span,
                        whole.least.spent,
                        whole.most,
                        found.seconds,
                        found.parts,
                        found.others,
                    )
                )
        return _Body(ways, tuple(parts), fails, clock.end)

    def _statement(self, node: Statement, env: Env) -> _Found:
        match node:
            case Bind():
                cost, kind = self._rhs(node.value, env)
                env[node.name] = narrowed(kind, node.type)
                return _Found(Ways(cost.range), cost.fails, cost.seconds, node.path, self._says(node.value, env))
            case Return():
                cost, _ = self._rhs(node.value, env)
                what = self._says(node.value, env)
                return _Found(Ways(None, None, cost.range), cost.fails, cost.seconds, node.path, what)
            case Append():
                env[node.name] = self._longer(node, env)
                return _Found(Ways(NO_COST))
            case Until():
                return _Found(_until(node))
            case Loop():
                return self._loop(node, node.times, node.times, env, f"loop of {node.times}")
            case For():
                items = kind_of(node.items, env)
                low, high = (items.low, items.high) if isinstance(items, List) else (0, 0)
                return self._loop(node, low, high, env, f"for over at most {high}")
            case Within():
                return self._within(node, env)
            case If() | Match():
                return self._branches(node, env)
            case _:
                assert_never(node)

    def _longer(self, node: Append, env: Env) -> Type:
        before, more = env.get(node.name, node.type), kind_of(node.value, env)
        if not isinstance(before, List) or not isinstance(more, List):
            return node.type
        if not before.high or not more.high:
            element = more.element if more.high else before.element
        else:
            element = wider(before.element, more.element, node.type.element)
        return narrowed(List(element, before.low + more.low, before.high + more.high), node.type)

    def _within(self, node: Within, env: Env) -> _Found:
        around, self._slices = self._slices, (*self._slices, node.limits)
        body = self.block(node.body, env)
        self._slices = around
        if self._tells and id(node) not in self._analysis.slices:
            required = body.ways.range.least.required
            self._analysis.slices[id(node)] = SliceBound(self._key, node.limits, around, required, body.parts)
        seconds = limited(body.seconds, node.limits)
        return _Found(body.ways.under(node.limits), body.fails, seconds, node.path, "slice of the budget", body.parts)

    def _branches(self, node: If | Match, env: Env) -> _Found:
        found: list[_Body] = []
        after: list[Env] = []
        for block in blocks_of(node):
            inside = dict(env)
            found.append(self.block(block, inside))
            if found[-1].ways.behind is not None:
                after.append(inside)
        ways, _, fails, seconds = found[0]
        for other in found[1:]:
            ways = ways.or_else(other.ways)
            fails = leasts(fails, other.fails)
            seconds = max(seconds, other.seconds)
        self._merge(env, after)
        dearest = max(found, key=lambda body: body.ways.range.most)
        others = tuple(part for body in found if body is not dearest for part in body.parts)
        what = "if" if isinstance(node, If) else "match"
        return _Found(ways, fails, seconds, node.path, what, dearest.parts, others)

    def _merge(self, env: Env, after: list[Env]) -> None:
        """Put what holds behind branches into `env`; a name of which nothing is known keeps its declared type."""
        env.clear()
        for name in set.intersection(*map(set, after)) if after else ():
            merged = _widest([inside[name] for inside in after])
            if merged is not None:
                env[name] = merged

    # ------------------------------------------------------------ loops

    def _loop(self, node: Loop | For, low: int, high: int, env: Env, what: str) -> _Found:
        bodies = self._rounds(node, high, env)
        rounds: Rounds = [(body.ways, count) for body, count in bodies]
        reached = len(list(totals(rounds)))
        fails = leasts(*(body.fails for body, _ in bodies))
        seconds = sum(body.seconds * count for body, count in bodies)
        parts = added([(body.parts, count) for body, count in bodies[:reached]])
        return _Found(repeated(rounds, low), fails, seconds, node.path, what, parts)

    def _rounds(self, node: Loop | For, high: int, env: Env) -> list[tuple[_Body, int]]:
        """Return how the rounds of a loop go, in order, and how many in a row go alike; later ones are no cheaper."""
        carried = {name for name in self._order.touches[id(node)].binds if name in env}
        now = dict(env)
        for name in carried:
            env.pop(name, None)
        if isinstance(node, For):
            now[node.var] = self._item(node, now)
        bodies: list[tuple[_Body, int]] = []
        done = 0
        while done < high:
            if not self._analysis.has_room or done == UNROLLED_ROUNDS:
                bodies += self._further(node, high, done, now, carried)
                break
            before = {name: now.get(name) for name in carried}
            inside = dict(now)
            body = self.block(node.body, inside)
            after = {name: inside.get(name) for name in carried}
            if body.ways.behind is None:
                bodies.append((body, 1))
                break
            if after == before or not carried:
                bodies.append((body, high - done))
                break
            bodies.append((body, 1))
            done += 1
            for name, kind in after.items():
                if kind is None:
                    now.pop(name, None)
                else:
                    now[name] = kind
        return bodies

    def _further(self, node: Loop | For, high: int, done: int, env: Env, carried: set[str]) -> list[tuple[_Body, int]]:
        """Return the rounds that are not looked at one by one: in groups, as the last one of each group goes."""
        growth = {name: step for name in carried if (step := items_added(node.body, name)) is not None}
        rest = high - done
        chunks = min(CHUNKS, rest) if growth and self._analysis.has_room else 1
        bodies: list[tuple[_Body, int]] = []
        ended = 0
        for chunk in range(1, chunks + 1):
            begun, ended = ended, rest * chunk // chunks
            inside = {name: kind for name, kind in env.items() if name not in carried}
            for name, step in growth.items():
                known = env.get(name)
                if isinstance(known, List):
                    kind = element_of(node.body, name)
                    inside[name] = List(kind, known.low, known.high + (ended - 1) * step)
            body = self.block(node.body, inside)
            bodies.append((body, ended - begun))
        return bodies

    def _item(self, node: For, env: Env) -> Type:
        items = kind_of(node.items, env)
        return narrowed(items.element, node.var_type) if isinstance(items, List) and items.high else node.var_type

    # ------------------------------------------------------------ right-hand sides

    def _rhs(self, node: Rhs, env: Env) -> tuple[StepCost, Type]:
        match node:
            case Sample():
                one, kind = self._attempt(node.body, env)
                fails = one.fails if node.count else None
                seconds = one.seconds * (node.count if self._has_effect(node.body) else min(node.count, 1))
                made = List(kind, node.count, node.count)
                return StepCost(one.range.times(node.count, node.count), fails, seconds), narrowed(made, node.type)
            case Each():
                items = kind_of(node.items, env)
                low, high, item = 0, 0, node.var_type
                if isinstance(items, List) and items.high:
                    low, high, item = items.low, items.high, narrowed(items.element, node.var_type)
                inside = dict(env)
                inside[node.var] = item
                one, kind = self._attempt(node.body, inside)
                low = 0 if node.condition is not None else low
                seconds = one.seconds * (high if self._has_effect(node.body) else min(high, 1))
                made = List(kind, low, high)
                cost = StepCost(one.range.times(low, high), one.fails if high else None, seconds)
                return cost, narrowed(made, node.type) if high else node.type
            case _:
                return self._attempt(node, env)

    def _attempt(self, node: Attempt, env: Env) -> tuple[StepCost, Type]:
        match node:
            case Invoke():
                return self._analysis.called(node, env, (self._limits, *self._slices)), node.type
            case Fallback():
                return self._fallback(node, env), node.type
            case _:
                return NO_STEP, kind_of(node, env)

    def _fallback(self, node: Fallback, env: Env) -> StepCost:
        """Add up the options that can be reached: those behind one that may fail or be none."""
        least: Least | None = None
        fails: Least | None = None
        spent, most, seconds = FREE, NOTHING, 0
        for option in node.options:
            found, _ = self._attempt(option, env)
            least = leasts(least, spent.then(found.range.least))
            most = most.plus(found.range.most)
            seconds += found.seconds
            fails = None if found.fails is None else spent.then(found.fails)
            passed = found.fails
            if isinstance(option.type, Optional | Nothing):
                passed = leasts(found.range.least, passed)
            if passed is None:
                break
            spent = spent.then(passed)
        return StepCost(Range(least or FREE, most), fails, seconds)

    # ------------------------------------------------------------ about statements

    def _changes_world(self, node: Statement) -> bool:
        sides = right_sides((node,)) if isinstance(node, Bind | Return) else right_sides(statements_of((node,)))
        return any(self._analysis.is_effect(step) for side in sides for step in invokes(side))

    def _has_effect(self, node: Attempt) -> bool:
        return any(self._analysis.is_effect(step) for step in invokes(node))

    def _says(self, node: Rhs, env: Env) -> str:
        match node:
            case Sample():
                return f"{node.count} of {self._says(node.body, env)}"
            case Each():
                items = kind_of(node.items, env)
                high = items.high if isinstance(items, List) else 0
                return f"each of at most {high}: {self._says(node.body, env)}"
            case Fallback():
                return " else ".join(self._says(option, env) for option in node.options)
            case Invoke():
                return self._analysis.name(node)
            case _:
                return "a value"


NO_STEP = StepCost(NO_COST, None, 0)


def _until(node: Until) -> Ways:
    value = node.condition.value if isinstance(node.condition, Const) else None
    return Ways(None if value is True else NO_COST, None if value is False else NO_COST)


def _widest(kinds: list[Type]) -> Type | None:
    """Return what holds for all of these types, or None where their sizes cannot be compared."""
    merged: Type | None = kinds[0]
    for kind in kinds[1:]:
        merged = None if merged is None else union(merged, kind)
    return merged
