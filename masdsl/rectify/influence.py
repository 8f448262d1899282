"""What a patch may change in a run: which steps get other inputs, run another number of times, or give other values.

Two programs are compared, statement by statement, by address. What differs is where the influence begins; it goes along
data (names, parameters, values of flows) and control (branches, loops, early returns), and never ends early: everything
that might be influenced is. Whether a step fails is not followed.

Two questions are answered with it. May something that a patch brought reach a tool that changes the world? And which
finished steps are surely still steps of the patched program, with the same inputs?
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal, NamedTuple

from masdsl.check.program import (
    Agent,
    Append,
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
    Program,
    Return,
    Rhs,
    Sample,
    Statement,
    Tool,
    Until,
    Within,
)
from masdsl.check.uses import blocks_of, invokes, program_callees, reads, statements_of
from masdsl.rectify.capabilities import reached
from masdsl.rectify.locate import steps

Declarations = Literal["nothing", "content", "anything"]
"""Which changes of an agent or a tool count: none; what it says and sees (not which model it is on, how long its
replies may be and how often it is asked); any."""

_NOT_CONTENT = {"model": None, "is_model_name": False, "max_tokens": None, "retries": 0, "timeout": None}


class Influence(NamedTuple):
    """`steps` are (key of the flow, address in it); `effects` the addresses of steps that may change the world.

    `rounds` are the loops and samples of the entry flow that run another number of times, and how often they run now:
    their steps are the same as far as they still happen. (Where the question is about effects there are none: their
    steps are in `steps`.)
    """

    steps: frozenset[tuple[str, str]]
    effects: tuple[str, ...]
    rounds: tuple[tuple[str, int], ...] = ()


def influence(
    before: Program,
    after: Program,
    entry: str,
    declarations: Declarations,
    limited: Callable[[Program], frozenset[str]] | None = None,
    redo: Collection[str] = (),
) -> Influence:
    """Return what the difference between two programs may change in a run of the flow `entry` (a key of `after`).

    `limited` gives the keys of the tools of a program whose uses are asked about. Steps at the addresses to `redo`,
    around and below them count as changed: they happen once more, and may give other values.

    Without `limited` the question is about finished steps: then a further option that a step gets in case it fails
    changes nothing for what has not failed.
    """
    analysis = _Analysis(before, after, entry, declarations, limited, redo)
    analysis.run()
    return Influence(frozenset(analysis.steps), tuple(sorted(analysis.effects)), tuple(sorted(analysis.rounds.items())))


class _Known:
    """What is known of a flow: all of it only ever grows."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.controlled = False
        self.returns = False

    def size(self) -> tuple[int, bool, bool]:
        return len(self.names), self.controlled, self.returns


class _Exits(NamedTuple):
    """Whether a block may be left in another round, or its flow at another place, than before."""

    loop: bool = False
    flow: bool = False

    def joined(self, other: _Exits) -> _Exits:
        return _Exits(self.loop or other.loop, self.flow or other.flow)


class _Analysis:
    def __init__(
        self,
        before: Program,
        after: Program,
        entry: str,
        declarations: Declarations,
        limited: Callable[[Program], frozenset[str]] | None,
        redo: Collection[str],
    ) -> None:
        self._callees = program_callees(after)
        self._old_callees = program_callees(before)
        self._tools = {tool.key: tool for tool in after.tools}
        self._old_tools = {tool.key: tool for tool in before.tools}
        nothing: frozenset[str] = frozenset()
        self._limited, self._old_limited = (limited(after), limited(before)) if limited else (nothing, nothing)
        self._declarations = declarations
        self.entry = entry
        self.is_about_steps = limited is None
        self._redo = [f"{path}." for path in redo]
        self.rounds: dict[str, int] = {}
        live = reached(after, entry)
        self._flows = [flow for flow in after.flows if flow.key in live]
        self._before = before
        self._entry = next((flow for flow in after.flows if flow.key == entry), None)
        self._old_flows = {_identity(flow): flow for flow in before.flows}
        self._known = {flow.key: _Known() for flow in self._flows}
        self.steps: set[tuple[str, str]] = set()
        self.effects: set[str] = set()

    def run(self) -> None:
        while True:
            sizes = [known.size() for known in self._known.values()]
            for flow in self._flows:
                _FlowWalk(self, flow, self._known[flow.key], self._old_flows.get(_identity(flow))).run()
            if sizes == [known.size() for known in self._known.values()]:
                break
        self.effects |= self._gone()

    def _gone(self) -> set[str]:
        """Return the steps that might have changed the world and are no longer there."""
        entry = None if self._entry is None else self._old_flows.get(_identity(self._entry))
        live = reached(self._before, entry.key) if entry is not None else frozenset()
        kept = {(_identity(place.flow), place.step.path) for flow in self._flows for place in steps(flow)}
        gone = set()
        for flow in self._before.flows:
            if flow.key in live:
                for place in steps(flow):
                    callee = self._old_callees[place.step.callee]
                    if _acts(callee, self._old_limited) and (_identity(flow), place.step.path) not in kept:
                        gone.add(place.step.path)
        return gone

    def gives_other_values(self, key: str) -> bool:
        """Whether a callee may give other values for the same inputs."""
        callee = self._callees[key]
        if isinstance(callee, Flow):
            return self._known[key].returns
        return self.is_changed(callee)

    def is_redone(self, path: str) -> bool:
        """Whether the step at an address, one around it or one below it is to be done again."""
        return any(f"{path}.".startswith(again) or again.startswith(f"{path}.") for again in self._redo)

    def is_changed(self, callee: Agent | Tool) -> bool:
        if self._declarations == "nothing":
            return False
        old = self._old_callees.get(callee.key)
        if self._declarations == "content" and isinstance(callee, Agent) and isinstance(old, Agent):
            if any(self._tools[name] != self._old_tools.get(name) for name in callee.tools):
                return True
            return bool(callee.replace(**_NOT_CONTENT) != old.replace(**_NOT_CONTENT))
        return old != callee

    def acts(self, step: Invoke) -> bool:
        """Whether a step uses a limited tool by itself."""
        return _acts(self._callees[step.callee], self._limited)

    def called(self, flow: Flow, step: Invoke, *, controlled: bool, names: set[str]) -> None:
        """Take note of a call: whether it happens, or with which inputs, may be influenced."""
        callee = self._callees[step.callee]
        arguments = [name for name, value in step.arguments if reads(value) & names]
        if controlled or arguments:
            self.steps.add((flow.key, step.path))
        if isinstance(callee, Flow):
            known = self._known[callee.key]
            known.controlled = known.controlled or controlled
            known.names.update(arguments)
        elif self.acts(step) and (controlled or arguments or self.is_changed(callee)):
            self.effects.add(step.path)


def _acts(callee: Agent | Tool | Flow, limited: frozenset[str]) -> bool:
    if isinstance(callee, Agent):
        return not limited.isdisjoint(callee.tools)
    return callee.key in limited


def _identity(flow: Flow) -> tuple[Any, ...]:
    return flow.module, flow.name, flow.statics


class _FlowWalk:
    """One pass through a flow."""

    def __init__(self, analysis: _Analysis, flow: Flow, known: _Known, old: Flow | None) -> None:
        self._analysis = analysis
        self._flow = flow
        self._known = known
        self._names = known.names
        self._later: set[str] = set()  # names that may have another value from here on
        self._old = old
        self._depth = 0
        self._is_precise = analysis.is_about_steps and flow.key == analysis.entry

    def run(self) -> None:
        flow, old = self._flow, self._old
        if old is None or old.params != flow.params:
            self._known.controlled = True
        elif (old.has_default, old.default, old.returns) != (flow.has_default, flow.default, flow.returns):
            self._known.returns = True
        self._block(flow.body, None if old is None else old.body, self._known.controlled)

    def _block(self, block: Block, old: Block | None, controlled: bool) -> _Exits:
        exits = _Exits()
        pairs = _paired(block, old)
        if old is not None:
            if pairs is None:
                controlled = True
            else:
                kept = {id(partner) for partner in pairs if partner is not None}
                for gone in old:
                    if id(gone) not in kept:
                        self._names.update(_bound((gone,)))
                        exits = exits.joined(_leaves((gone,)))
        for number, statement in enumerate(block):
            partner = None if pairs is None else pairs[number]
            under = controlled or exits.flow or exits.loop
            is_end = number == len(block) - 1 and block is self._flow.body
            exits = exits.joined(self._statement(statement, partner, under, is_end))
        return exits

    def _statement(self, node: Statement, old: Statement | None, controlled: bool, is_end: bool) -> _Exits:
        match node:
            case Bind() | Return():
                return self._side(node, old, controlled, is_end)
            case Append():
                if controlled or node != old or self._is_touched(node.value):
                    self._names.add(node.name)
                return _Exits()
            case Until():
                return _Exits(loop=controlled or node != old or self._is_touched(node.condition))
            case Loop() | For() | Within():
                return self._repeated(node, old, controlled)
            case If():
                conditions = [branch.condition for branch in node.branches]
                other = old if isinstance(old, If) and len(old.branches) == len(node.branches) else None
                same = other is not None and conditions == [branch.condition for branch in other.branches]
                under = controlled or not same or any(map(self._is_touched, conditions))
            case Match():
                other_match = old if isinstance(old, Match) and len(old.arms) == len(node.arms) else None
                same = (
                    other_match is not None
                    and node.subject == other_match.subject
                    and [arm.words for arm in node.arms] == [arm.words for arm in other_match.arms]
                )
                under = controlled or not same or self._is_touched(node.subject)
        olds: Iterable[Block | None] = blocks_of(old) if same and old is not None else ()
        exits = _Exits()
        before = [*olds]
        for number, block in enumerate(blocks_of(node)):
            exits = exits.joined(self._block(block, before[number] if number < len(before) else None, under))
        if len(before) > len(blocks_of(node)):
            exits = exits.joined(_leaves(before[-1] or ()))
            self._names.update(_bound(before[-1] or ()))
        return exits

    def _repeated(self, node: Loop | For | Within, old: Statement | None, controlled: bool) -> _Exits:
        partner = old if type(old) is type(node) else None
        same, body = False, None
        match node, partner:
            case Loop(), Loop():
                same = node.times == partner.times
                body = partner.body
            case For(), For():
                same = (node.var, node.items) == (partner.var, partner.items)
                body = partner.body
                same = same and not self._is_touched(node.items)
            case Within(), Within():
                same, body = True, partner.body  # a slice only refuses; whether a step fails is not followed
            case _:
                pass
        under = controlled or not same
        if isinstance(node, Loop) and isinstance(partner, Loop) and not same and self._is_precise and not self._depth:
            self._analysis.rounds[node.path] = node.times
            under = controlled
        if isinstance(node, For) and under:
            self._names.add(node.var)
        self._depth += not isinstance(node, Within)
        # values are carried from one round to the next: a second look sees what the first one found
        exits = self._block(node.body, body, under)
        exits = exits.joined(self._block(node.body, body, under or exits.loop or exits.flow))
        self._depth -= not isinstance(node, Within)
        if not same and under == controlled and isinstance(node, Loop) and partner is not None:
            self._later |= _bound((node, partner))  # it ends in another round: not in it, but behind it
        return exits if isinstance(node, Within) else _Exits(flow=exits.flow)

    def _is_touched(self, value: Expr | Rhs) -> bool:
        """Whether something may have another value because of a name in it."""
        read = reads(value)
        return not (read.isdisjoint(self._names) and read.isdisjoint(self._later))

    def _side(self, node: Bind | Return, old: Statement | None, controlled: bool, is_end: bool) -> _Exits:
        analysis = self._analysis
        names = self._names | self._later
        changed = controlled or node != old or analysis.is_redone(node.path)
        counted = _counted(node, names)
        called = changed or counted
        if self._is_precise and not controlled and isinstance(old, Bind | Return):
            if _has_more_options(node.value, old.value):
                changed = called = False
            elif not self._depth and _has_other_count(node.value, old.value):
                assert isinstance(node.value, Sample)
                analysis.rounds[node.path] = node.value.count
                called = False
        other = changed or self._is_touched(node.value)
        for step in invokes(node.value):
            analysis.called(self._flow, step, controlled=called or counted, names=names)
            other = other or analysis.gives_other_values(step.callee)
        if isinstance(node, Bind):
            if other:
                self._names.add(node.name)
            return _Exits()
        self._known.returns = self._known.returns or other
        return _Exits(flow=changed and not is_end)


def _has_more_options(new: Rhs, old: Rhs) -> bool:
    """Whether a right-hand side is another one with further options behind its own."""
    if isinstance(new, Sample) and isinstance(old, Sample) and new.count == old.count:
        return _has_more_options(new.body, old.body)
    if isinstance(new, Each) and isinstance(old, Each):
        same = (new.var, new.items, new.condition) == (old.var, old.items, old.condition)
        return same and _has_more_options(new.body, old.body)
    if not isinstance(new, Fallback):
        return False
    options: tuple[object, ...] = old.options if isinstance(old, Fallback) else (old,)
    return new.options[: len(options)] == options and not isinstance(old, Sample | Each)


def _has_other_count(new: Rhs, old: Rhs) -> bool:
    """Whether a right-hand side differs from another one in the number of its samples alone."""
    return isinstance(new, Sample) and isinstance(old, Sample) and new.body == old.body and new.count != old.count


def _counted(node: Bind | Return, names: set[str]) -> bool:
    """Whether how often the steps of a right-hand side run may be influenced: the list or condition of an `each`."""
    items = getattr(node.value, "items", None)
    condition = getattr(node.value, "condition", None)
    return any(part is not None and not isinstance(part, tuple) and reads(part) & names for part in (items, condition))


def _paired(block: Block, old: Block | None) -> list[Statement | None] | None:
    """Return, for each statement, the one that it was before; None for all where the order has changed."""
    if old is None:
        return [None] * len(block)
    by_path = {path: node for node in old if (path := getattr(node, "path", None)) is not None}
    places = {id(node): number for number, node in enumerate(old)}
    unnamed = [node for node in old if getattr(node, "path", None) is None]
    partners: list[Statement | None] = []
    for node in block:
        path = getattr(node, "path", None)
        found: Statement | None = None
        if path is not None:
            found = by_path.get(path)
        else:
            found = next((one for one in unnamed if one == node), None)
            if found is not None:
                unnamed = [one for one in unnamed if one is not found]
        partners.append(found)
    order = [places[id(node)] for node in partners if node is not None]
    return partners if order == sorted(order) else None


def _bound(block: Block) -> set[str]:
    """Return the names that statements bind."""
    return {node.name for node in statements_of(block) if isinstance(node, Bind | Append)}


def _leaves(block: Block) -> _Exits:
    """Return how statements that are gone might have left the flow or the loop around them."""
    nodes = list(statements_of(block))
    return _Exits(any(isinstance(node, Until) for node in nodes), any(isinstance(node, Return) for node in nodes))
