"""The contexts of flows: a flow is looked at anew for each set of labels that it is called with.

A context has what its caller gives, as labels whose reasons say that they were given, so that one look serves all
callers; `settled` and `trail` put the callers' reasons in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from masdsl.check.program import Flow, Invoke
from masdsl.node import NOWHERE
from masdsl.trust.labels import CLEAN, CONTROL, GIVEN, PLAIN, STARVED, STOPPED, Label, Reason, Value, join

PRECISE: Final = 8
"""Contexts of a flow that are kept apart; further ones have one label for all that they are given."""
COARSE: Final = 12
"""Where a flow has so many, further ones are one, with every taint."""
WAYS: Final = 20
"""Calls of a flow of another module that a breach in it is told at."""


class Given(NamedTuple):
    """What a call brings with it.

    `values` are those of the parameters. `control` is what decides whether the call happens, `stopped` what may end it
    half way, and `starved` what decides whether the budget has room for a step. `guarded` says that something catches
    its failure, so that others can tell from what follows.
    """

    values: Mapping[str, Value]
    control: Label = CLEAN
    stopped: Label = CLEAN
    starved: Label = CLEAN
    guarded: bool = False

    def shape(self) -> tuple[object, ...]:
        """Return what tells calls apart."""
        values = tuple((name, value.shape()) for name, value in self.values.items())
        parts = (frozenset(label) for label in (self.control, self.stopped, self.starved))
        return values, *parts, self.guarded

    def of(self, name: str, taint: str) -> Reason | None:
        """Return why something that was given has a taint."""
        parts = {CONTROL: self.control, STOPPED: self.stopped, STARVED: self.starved}
        label = parts[name] if name in parts else self.values.get(name, PLAIN).all()
        return label.get(taint)

    def seen_from_inside(self) -> Given:
        """Return the same with reasons that say that it was given."""
        values = {name: _given(name, value) for name, value in self.values.items()}
        control, stopped, starved = (
            _marked(name, label)
            for name, label in ((CONTROL, self.control), (STOPPED, self.stopped), (STARVED, self.starved))
        )
        return Given(values, control, stopped, starved, self.guarded)


def _marked(name: str, label: Label) -> Label:
    return {taint: Reason(GIVEN, name, NOWHERE, "") for taint in label}


def _given(name: str, value: Value) -> Value:
    return Value(_marked(name, value.label), {part: _given(name, inner) for part, inner in value.parts.items()})


class Summary(NamedTuple):
    """What a call comes to: its value, what decides whether it fails (None where it cannot), and what decides how much
    it spends, of budgets and of time.
    """

    value: Value = PLAIN
    fails: Label | None = None
    spends: Label = CLEAN


class Call(NamedTuple):
    """Where a context comes from: a flow, the step in it that calls, and what that gives."""

    context: Context
    step: Invoke
    given: Given


class Context:
    """A flow with what is given to it. `summary` is what is known of it so far; with `is_done` it is all there is.

    `calls` are the calls that come here, by where they stand. A run begins with a context that `is_first`.
    """

    def __init__(self, flow: Flow, given: Given, *, is_first: bool = False) -> None:
        self.flow = flow
        self.given = given if is_first else given.seen_from_inside()
        self.is_first = is_first
        self.calls: dict[tuple[int, str], Call] = {}
        self.summary = Summary()
        self.is_done = False

    def settled(self, label: Label, given: Given, step: Invoke, module: str) -> Label:
        """Return a label of the summary as a caller sees it who gave `given` in the step `step` of `module`."""
        seen = {}
        for taint, reason in label.items():
            root = reason
            while root.before is not None:
                root = root.before
            before = given.of(root.name, taint) if root.kind == GIVEN else reason
            seen[taint] = Reason("flow", self.flow.name, step.span, module, before)
        return seen

    def settled_value(self, value: Value, given: Given, step: Invoke, module: str) -> Value:
        """Do the same for a value."""
        parts = {name: self.settled_value(part, given, step, module) for name, part in value.parts.items()}
        return Value(self.settled(value.label, given, step, module), parts)

    def ways(self) -> Iterator[tuple[Call, ...]]:
        """Yield the calls through which the program's own module comes here, the innermost first.

        There is one way, without calls, where the flow is its own; of very many only some are given.
        """
        if not self.flow.module:
            yield ()
            return
        waiting: list[tuple[Context, tuple[Call, ...]]] = [(self, ())]
        seen = {id(self)}
        found = 0
        while waiting and found < WAYS:
            context, way = waiting.pop()
            for call in context.calls.values():
                if not call.context.flow.module:
                    found += 1
                    yield (*way, call)
                elif id(call.context) not in seen:
                    seen.add(id(call.context))
                    waiting.append((call.context, (*way, call)))

    def trail(self, taint: str, reason: Reason, way: tuple[Call, ...]) -> tuple[Reason, ...]:
        """Return how a taint came about from its source on, through these callers and then the first ones of each."""
        steps: list[Reason] = []
        ahead = list(way)
        context: Context = self
        here: Reason | None = reason
        while here is not None:
            if here.kind != GIVEN:
                steps.append(here)
                here = here.before
                continue
            if not context.calls:
                break
            call = ahead.pop(0) if ahead else next(iter(context.calls.values()))
            steps.append(Reason("flow", context.flow.name, call.step.span, call.context.flow.module))
            here = call.given.of(here.name, taint)
            context = call.context
        return tuple(reversed(steps))


class Contexts:
    """All contexts of a program's flows. `waiting` are those to be looked at, the next one last, some of them twice.

    `every` are all taints that there are.
    """

    def __init__(self, every: frozenset[str]) -> None:
        self._every = every
        self._known: dict[str, dict[tuple[object, ...], Context]] = {}
        self.waiting: list[Context] = []

    def of_call(self, caller: Context, step: Invoke, flow: Flow, given: Given) -> tuple[Context, Given]:
        """Return the context of a call, and what it is given there, which may be more than what the call gives.

        One that is not done waits from now on, and has to be done before the caller is.
        """
        known = self._known.setdefault(flow.key, {})
        shape = given.shape()
        if shape not in known and len(known) >= PRECISE:
            given = self._coarse(flow, given, everything=len(known) >= COARSE)
            shape = given.shape()
        context = known.get(shape)
        if context is None:
            context = known[shape] = Context(flow, given)
        context.calls[id(caller), step.path] = Call(caller, step, given)
        if not context.is_done:
            self.waiting.append(context)
        return context, given

    def _coarse(self, flow: Flow, given: Given, *, everything: bool) -> Given:
        """Return what is given with one label for all of it, or with every taint there is."""
        values = (value.all() for value in given.values.values())
        label = join(*values, given.control, given.stopped, given.starved)
        if everything:
            anything = Reason("flow", flow.name, flow.span, flow.module)
            label = {taint: label.get(taint, anything) for taint in sorted(self._every)}
        return Given({param.name: Value(label) for param in flow.params}, label, label, label, guarded=True)
