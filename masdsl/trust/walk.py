"""One flow in one context: its statements, passed through until nothing is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, assert_never

from masdsl.check.program import (
    Agent,
    Append,
    Attempt,
    Bind,
    Block,
    Each,
    Expr,
    Fallback,
    Flow,
    For,
    If,
    Invoke,
    Loop,
    Match,
    Return,
    Rhs,
    Sample,
    Statement,
    Tool,
    Until,
    Within,
)
from masdsl.check.uses import invokes
from masdsl.trust.contexts import Context, Contexts, Given, Summary
from masdsl.trust.expressions import label_of, value_of
from masdsl.trust.labels import (
    CLEAN,
    INTEGRITY,
    ITEM,
    MODEL,
    PLAIN,
    Label,
    Reason,
    Value,
    either,
    join,
    through,
)
from masdsl.trust.policy import Policy
from masdsl.trust.results import Breach, StepLabels
from masdsl.types import Optional

Names = dict[str, Value]


class Surroundings(NamedTuple):
    """What all walks of a program share. `tight` are the keys of flows whose own budget may run out."""

    policy: Policy
    callees: Mapping[str, Agent | Tool | Flow]
    tools: Mapping[str, Tool]
    contexts: Contexts
    tight: frozenset[str]


class Exits(NamedTuple):
    """What decides whether a block is left: the flow as a whole by `return`, or the loop around it by `until`."""

    flow: Label = CLEAN
    loop: Label = CLEAN

    def joined(self, other: Exits) -> Exits:
        """Return what decides about either."""
        return Exits(join(self.flow, other.flow), join(self.loop, other.loop))


class Outcome(NamedTuple):
    """What a step comes to: its value, and what decides whether it fails; None where it cannot."""

    value: Value
    fails: Label | None = None


class _Head:
    """What comes back to the beginning of a loop: names, and what decides whether there is another round."""

    def __init__(self) -> None:
        self.names: Names = {}
        self.control: Label = CLEAN
        self.spends: Label = CLEAN


class Walk:
    """Passes through a flow; `breaches` and `steps` are those of the last pass.

    A breach comes with the reason of its taint, as the context sees it.
    """

    def __init__(self, around: Surroundings, context: Context, *, is_tight: bool) -> None:
        self._around = around
        self._policy = around.policy
        self._context = context
        self._flow = context.flow
        self._given = context.given
        self._heads: dict[int, _Head] = {}
        self._leaving: list[list[Names]] = []
        self.breaches: list[tuple[Breach, Reason]] = []
        self.steps: list[StepLabels] = []
        self._fails: Label | None = None  # as long as nothing can fail
        self._failing: Expr | Invoke | None = None  # the first step found that can
        self._spends: Label = CLEAN
        self._result: Value = PLAIN
        self._stopped: Label = CLEAN
        self._starved: Label = CLEAN
        self._is_tight = is_tight or self._flow.key in around.tight
        self._guarded = context.given.guarded or self._flow.has_default

    def run(self) -> None:
        """Pass through the flow until nothing is new, and put into the context's summary what it comes to."""
        given = self._given
        before: object = None
        while before != (now := self._extent()):
            before = now
            self.breaches, self.steps = [], []
            self._stopped = self._stoppers() if self._guarded else CLEAN
            self._starved = join(given.starved, self._spends) if self._is_tight else given.starved
            self._block(self._flow.body, dict(given.values), given.control)
        result, fails = self._result, self._fails
        if self._flow.has_default and fails is not None:
            result, fails = result.under(fails), None
        self._context.summary = Summary(result, fails, self._spends)

    def _stoppers(self) -> Label:
        """Return what decides which steps have begun by the time that a failure stops the flow.

        That is what makes it fail and, since steps run at the same time, whatever may hold others up.
        """
        if self._fails is None or self._failing is None:
            return self._given.stopped
        late = through(self._spends, "late", "", self._failing.span, self._flow.module)
        return join(self._given.stopped, self._fails, late)

    def _extent(self) -> object:
        """Return how much is known; what is known only ever grows."""
        heads = [
            ({name: value.shape() for name, value in head.names.items()}, *map(frozenset, (head.control, head.spends)))
            for head in self._heads.values()
        ]
        fails = None if self._fails is None else frozenset(self._fails)
        return heads, self._result.shape(), fails, frozenset(self._spends)

    # ------------------------------------------------------------ statements

    def _block(self, block: Block, names: Names | None, control: Label) -> tuple[Names | None, Exits]:
        """Pass through a block; the names are None where control does not come to its end."""
        exits = Exits()
        for node in block:
            if names is None:
                break
            names, left = self._statement(node, names, join(control, exits.flow))
            exits = exits.joined(left)
        return names, exits

    def _statement(self, node: Statement, names: Names, control: Label) -> tuple[Names | None, Exits]:
        match node:
            case Bind():
                value = self._side(node.value, names, control)
                if not value.parts and not invokes(node.value):
                    value = Value(through(value.label, "bind", node.name, node.span, self._flow.module))
                names[node.name] = value.under(control)
                return names, Exits()
            case Append():
                names[node.name] = either(names[node.name], value_of(node.value, names)).under(control)
                return names, Exits()
            case Until():
                self._leaving[-1].append(dict(names))
                return names, Exits(loop=join(control, self._asked(node.condition, names)))
            case Return():
                self._result = either(self._result, self._side(node.value, names, control).under(control))
                return None, Exits(flow=control)
            case Loop():
                return self._repeated(node, node.body, names, control)
            case For():
                items = value_of(node.items, names)
                inside = join(control, self._asks(items.label, node.items))
                return self._repeated(node, node.body, names, inside, {node.var: items.part(ITEM)})
            case Within():
                return self._slice(node, names, control)
            case If():
                blocks = []
                for branch in node.branches:
                    control = join(control, self._asked(branch.condition, names))
                    blocks.append((branch.body, control))
                return self._branches([*blocks, (node.orelse, control)], names)
            case Match():
                control = join(control, self._asked(node.subject, names))
                others = () if node.orelse is None else ((node.orelse, control),)
                return self._branches([*((arm.body, control) for arm in node.arms), *others], names)
            case _:
                assert_never(node)

    def _branches(self, blocks: Iterable[tuple[Block, Label]], names: Names) -> tuple[Names | None, Exits]:
        exits = Exits()
        ends = []
        for block, control in blocks:
            end, left = self._block(block, dict(names), control)
            exits = exits.joined(left)
            if end is not None:
                ends.append(end)
        return _merged(ends), exits

    def _repeated(
        self, node: Loop | For, body: Block, names: Names, control: Label, bound: Names | None = None
    ) -> tuple[Names | None, Exits]:
        head = self._heads.setdefault(id(node), _Head())
        outer = names.keys()
        self._leaving.append([])
        begin = _merged([names, head.names]) or {}
        end, exits = self._block(body, {**begin, **(bound or {})}, join(control, head.control))
        leaving = [one for one in (*self._leaving.pop(), end) if one is not None]
        if isinstance(node, For):
            leaving.append(names)  # there may be no item
        after = _merged([{name: one[name] for name in outer if name in one} for one in leaving])
        if end is not None:
            head.names = _merged([head.names, {name: end[name] for name in outer if name in end}]) or {}
        head.control = join(head.control, exits.loop, exits.flow)
        return after, Exits(flow=exits.flow)

    def _slice(self, node: Within, names: Names, control: Label) -> tuple[Names | None, Exits]:
        """Pass through a slice of the budget, which may run out."""
        head = self._heads.setdefault(id(node), _Head())
        starved, spends = self._starved, self._spends
        self._starved = join(starved, head.spends)
        self._spends = CLEAN
        end = self._block(node.body, names, control)
        head.spends = join(head.spends, self._spends)
        self._starved, self._spends = starved, join(spends, self._spends)
        return end

    def _asked(self, node: Expr, names: Names) -> Label:
        """Return the taints of a condition."""
        return self._asks(label_of(node, names), node)

    def _asks(self, label: Label, node: Expr | Invoke) -> Label:
        return through(label, "asks", "", node.span, self._flow.module)

    # ------------------------------------------------------------ right-hand sides

    def _side(self, node: Rhs, names: Names, control: Label) -> Value:
        match node:
            case Sample():
                one = self._attempt(node.body, names, control)
                return Value(CLEAN, {ITEM: one})
            case Each():
                items = value_of(node.items, names)
                inner = {**names, node.var: items.part(ITEM)}
                chosen = self._asks(items.label, node.items)
                if node.condition is not None:
                    chosen = join(chosen, self._asked(node.condition, inner))
                one = self._attempt(node.body, inner, join(control, chosen))
                return Value(chosen, {ITEM: one})
            case _:
                return self._attempt(node, names, control)

    def _attempt(self, node: Attempt, names: Names, control: Label) -> Value:
        """Pass through a step whose failure nothing catches but what is around the flow."""
        options: tuple[Expr | Invoke, ...] = node.options if isinstance(node, Fallback) else (node,)
        reached: Label = CLEAN
        value = PLAIN
        for number, option in enumerate(options):
            is_last = number == len(options) - 1
            outcome = self._option(option, names, join(control, reached), caught=not is_last)
            value = either(value, outcome.value)
            if outcome.fails is not None:
                fails = through(outcome.fails, "fails", "", option.span, self._flow.module)
                if is_last:
                    self._fails = join(self._fails or CLEAN, fails, reached, control)
                    self._failing = self._failing or option
                reached = join(reached, fails)
            if isinstance(option.type, Optional) and not is_last:
                reached = join(reached, self._asks(outcome.value.label, option))
        return value.under(reached) if len(options) > 1 else value

    def _option(self, node: Expr | Invoke, names: Names, control: Label, caught: bool) -> Outcome:
        if not isinstance(node, Invoke):
            return Outcome(value_of(node, names))
        values = {name: value_of(value, names) for name, value in node.arguments}
        callee = self._around.callees[node.callee]
        match callee:
            case Flow():
                outcome = self._flow_called(node, callee, values, control, caught)
            case Agent():
                outcome = self._agent_called(node, callee, values, control)
            case Tool():
                outcome = self._tool_called(node, callee, values, control)
        return outcome

    # ------------------------------------------------------------ calls

    def _tool_called(self, node: Invoke, tool: Tool, values: Names, control: Label) -> Outcome:
        takes = self._policy.takes[tool.key]
        endorsed = []
        for name, argument in node.arguments:
            label = values[name].all()
            allowed = takes
            if (tool.key, name) in self._policy.endorsed:
                allowed = allowed | INTEGRITY
                endorsed += [name] if _missing(label, takes) else []
            self._breach("argument", label, allowed, tool.key, name, node, argument)
        self._breach("choice", join(control, self._stopped), takes, tool.key, "", node, node)
        seen = join(*(value.all() for value in values.values()))
        label = join(through(seen, "tool", tool.name, node.span, self._flow.module), self._brought(tool, node))
        return self._leaf(node, tool, label, join(seen, control), control, endorsed)

    def _agent_called(self, node: Invoke, agent: Agent, values: Names, control: Label) -> Outcome:
        seen = join(*(value.all() for value in values.values()))
        tools = [self._around.tools[key] for key in agent.tools]
        brought = join(*(self._brought(tool, node, agent) for tool in tools))
        model: Label = {MODEL: Reason("model", agent.name, node.span, self._flow.module)}
        takes = self._policy.takes[agent.key]
        for name, argument in node.arguments:
            self._breach("argument", values[name].all(), takes, agent.key, name, node, argument)
        self._breach("choice", join(control, self._stopped), takes, agent.key, "", node, node)
        self._breach("reads", brought, takes, agent.key, "", node, node)
        label = join(through(seen, "agent", agent.name, node.span, self._flow.module), brought, model)
        for tool in tools:
            decided = join(label, control, self._stopped)
            self._breach("agent", decided, self._policy.takes[tool.key], tool.key, agent.name, node, node)
        return self._leaf(node, agent, label, join(seen, control), control, ())

    def _leaf(
        self, node: Invoke, callee: Agent | Tool, label: Label, given: Label, control: Label, endorsed: Iterable[str]
    ) -> Outcome:
        """Return what a step of an agent or a tool comes to: it fails because of what it was touched by, or of the
        budget.
        """
        kept = self._policy.kept.get((self._flow.key, node.path), ())
        label = join(label, dict.fromkeys(kept, Reason("kept", callee.name, node.span, self._flow.module)))
        fails = join(label, through(self._starved, "budget", "", node.span, self._flow.module))
        self._spends = join(self._spends, label, control)
        gives = join(label, fails) if callee.has_default else label
        self._note(node, control, given, gives, endorsed)
        return Outcome(Value(gives), None if callee.has_default else fails)

    def _flow_called(self, node: Invoke, flow: Flow, values: Names, control: Label, caught: bool) -> Outcome:
        module = self._flow.module
        passed = {param.name: values.get(param.name, PLAIN) for param in flow.params}
        guarded = caught or self._guarded
        given = Given(passed, control, self._stopped, self._starved, guarded)
        context, given = self._around.contexts.of_call(self._context, node, flow, given)
        summary = context.summary
        value = context.settled_value(summary.value, given, node, module)
        fails = None if summary.fails is None else context.settled(summary.fails, given, node, module)
        self._spends = join(self._spends, context.settled(summary.spends, given, node, module))
        self._note(node, control, join(control, *(one.all() for one in values.values())), value.all(), ())
        return Outcome(value, fails)

    def _brought(self, tool: Tool, node: Invoke, agent: Agent | None = None) -> Label:
        """Return the taints of what a tool gives by itself."""
        kind, name = ("source", tool.name) if agent is None else ("lends", f"{agent.name} {tool.name}")
        reason = Reason(kind, name, node.span, self._flow.module)
        return dict.fromkeys(sorted(self._policy.brings[tool.key]), reason)

    def _breach(
        self, kind: str, label: Label, takes: frozenset[str], callee: str, what: str, step: Invoke, at: Expr | Invoke
    ) -> None:
        for taint in _missing(label, takes):
            breach = Breach(kind, taint, callee, what, step.path, at.span, self._flow.module)
            self.breaches.append((breach, label[taint]))

    def _note(self, step: Invoke, control: Label, given: Label, gives: Label, endorsed: Iterable[str]) -> None:
        labels = (frozenset(join(control, self._stopped)), frozenset(given), frozenset(gives))
        self.steps.append(StepLabels(self._flow.key, step, *labels, tuple(endorsed)))


def _merged(ends: Iterable[Names]) -> Names | None:
    """Return the names of all ends, each with what it may have at any of them; None where there is no end."""
    merged: Names | None = None
    for end in ends:
        if merged is None:
            merged = dict(end)
            continue
        for name, value in end.items():
            known = merged.get(name)
            if known is not value:
                merged[name] = value if known is None else either(known, value)
    return merged


def _missing(label: Label, takes: frozenset[str]) -> list[str]:
    """Return the taints that a label has and may not have."""
    return [taint for taint in sorted(label) if taint not in takes]
