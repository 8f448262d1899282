"""How much a run may still cost at worst, and how much is left for that.

    rest(P, s)  <=  worst(P) - paid(finished steps of s that surely are steps of P, with the same inputs)

A run of P from the beginning in which those steps cost what they did cost would stay below worst(P), so what is left of
it stays below the difference. A finished step counts only where nothing in the program that could influence it was
changed, and where its agent may still be asked as often and say as much; money is counted at the price that P has for
it now. Everything else that has been finished counts as if it were still to come: the figure is never too low, and may
be too high.

That holds for calls, tokens and money. For time there is no such figure: the seconds of a budget go on while the
rectifier thinks. The ledger keeps them, as it keeps everything, call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from masdsl.bounds.amounts import NOTHING, Amounts
from masdsl.bounds.flows import bound
from masdsl.bounds.measures import MEASURES, lowest
from masdsl.bounds.requests import Counts, Prices
from masdsl.check.program import Agent, Limits, Program
from masdsl.journal.base import Row
from masdsl.rectify.influence import Declarations, Influence, influence
from masdsl.rectify.locate import trail
from masdsl.runtime.past import gives_value

COUNTED: Final = ("calls", "tokens", "usd")
"""The measures in which the rest is known; seconds are not."""


class StepCost(NamedTuple):
    """What a finished step cost; `value` is its value as JSON data. One that `failed` has none, and the run went on."""

    path: str
    indices: tuple[int, ...]
    calls: int
    tokens_in: int
    tokens_out: int
    picodollars: int
    value: object
    failed: bool = False

    @property
    def address(self) -> str:
        """The step's address, such as `main.refine.code[1]`."""
        return f"{self.path}[{','.join(map(str, self.indices))}]" if self.indices else self.path


def finished_steps(rows: Iterable[Row]) -> tuple[StepCost, ...]:
    """Return the steps of a run that have a value, or have failed, in that order, and what each cost.

    Of a call that was made more than once, because a process died or a step was tried again, the last time counts: so
    the cost is one that a step can have in a single run.
    """
    paid: dict[tuple[str, tuple[int, ...]], dict[int, Row]] = {}
    done: dict[tuple[str, tuple[int, ...]], object] = {}
    values: dict[int, object] = {}
    for row in rows:
        key = row.path, row.indices
        if row.kind in ("reply", "fault"):
            paid.setdefault(key, {})[row.part] = row
        if gives_value(row):
            done.pop(key, None)
            done[key] = values[row.seq] = row.body["value"]
        elif row.kind == "claim":
            done.pop(key, None)
            done[key] = values.get(row.body.get("seq", 0))
        elif row.kind == "failed":
            done.pop(key, None)
            done[key] = _FAILED
    return tuple(_cost(key, tuple(paid.get(key, {}).values()), value) for key, value in done.items())


_FAILED: Final = object()


def _cost(key: tuple[str, tuple[int, ...]], calls: tuple[Row, ...], value: object) -> StepCost:
    sums = [sum(row.body.get(name) or 0 for row in calls) for name in ("tokens_in", "tokens_out", "picodollars")]
    failed = value is _FAILED
    return StepCost(*key, len(calls), sums[0], sums[1], sums[2], None if failed else value, failed)


NO_INFLUENCE: Final = Influence(frozenset(), ())


class Rates(NamedTuple):
    """What a program's agents cost: prices and tokenizers, by their keys."""

    prices: Prices
    counts: Counts


class Rest(NamedTuple):
    """The worst case of what is left of a program: calls, tokens and picodollars."""

    calls: int
    tokens: int
    usd: int

    def to_json(self) -> dict[str, int]:
        """Return it by measure."""
        return self._asdict()


class Version(NamedTuple):
    """A program that a run goes by: the first one, or one made by a patch. `entry` is the key of the flow that runs.

    `kept` are taints that its steps have from the versions before it, by key of the flow and address (`kept`).
    """

    program: Program
    entry: str
    rates: Rates
    kept: Mapping[tuple[str, str], frozenset[str]] = {}


def rest(
    now: Version,
    history: Sequence[Version],
    finished: Sequence[StepCost],
    *,
    before: Version | None = None,
    redo: Sequence[str] = (),
    strict: bool = False,
) -> Rest:
    """Return the worst case of what is left of a run that goes by `now`.

    `finished` are the steps that a run by `before` (left out: by `now` itself) has come past since it last began at the
    top, so that they surely are steps of that program; `history` are all versions by which they may have been paid.
    With addresses to `redo` nothing that is finished counts: what is done again may give another value, which may go
    anywhere. `strict` is the policy under which changed agents are asked again.
    """
    worst = bound(now.program, now.rates.prices, now.rates.counts).flows[now.entry].most
    paid = NOTHING
    if not redo:
        changed = NO_INFLUENCE
        if before is not None:
            declarations: Declarations = "anything" if strict else "nothing"
            changed = influence(before.program, now.program, now.entry, declarations)
        for step in finished:
            paid = paid.plus(_still_paid(now, history, step, changed))
    return Rest(max(worst.calls - paid.calls, 0), max(worst.tokens - paid.tokens, 0), max(worst.usd - paid.usd, 0))


def _still_paid(now: Version, history: Sequence[Version], step: StepCost, changed: Influence) -> Amounts:
    """Return what a finished step takes away from the worst case of the program as it is now."""
    places = trail(now.program, now.program.flow(now.entry), step.path)
    if not places or any((place.flow.key, place.step.path) in changed.steps for place in places):
        return NOTHING
    outermost = places[0].step.path
    for path, times in changed.rounds:
        is_there = outermost == path or outermost.startswith(f"{path}.")
        if is_there and not (step.indices and step.indices[0] < times):
            return NOTHING
    key = places[-1].step.callee
    agent = _agent(now.program, key)
    olds = [(_agent(one.program, key), one.rates) for one in history]
    if agent is None or not all(old is not None and _may_cost_as_much(agent, old) for old, _ in olds):
        return NOTHING
    count = now.rates.counts.get(key)
    if any(rates.counts.get(key) != count for _, rates in olds):
        return Amounts(step.calls, 0, 0, 0, 0)
    price = now.rates.prices.get(key)
    usd = 0
    if price is not None:
        usd = price.of(step.tokens_in, step.tokens_out)
        if all(rates.prices.get(key) == price for _, rates in olds):
            usd = min(usd, step.picodollars)
    return Amounts(step.calls, step.tokens_in, step.tokens_out, step.tokens_in + step.tokens_out, usd)


def _agent(program: Program, key: str) -> Agent | None:
    return next((agent for agent in program.agents if agent.key == key), None)


def _may_cost_as_much(agent: Agent, old: Agent) -> bool:
    """Whether everything that a step may have cost as `old` it may cost as `agent`: only the model may differ."""
    return agent.replace(model=old.model, is_model_name=old.is_model_name) == old


# ---------------------------------------------------------------- what is left


def left_of(limits: Iterable[Limits | None], spent: Mapping[str, int]) -> dict[str, int | None]:
    """Return what is left in each measure; None where nothing limits it. Amounts are picodollars and microseconds."""
    together = tuple(limits)
    left: dict[str, int | None] = {}
    for measure in MEASURES:
        most = lowest(measure, *together)
        left[measure] = None if most is None else max(most - spent.get(measure, 0), 0)
    return left


Pricing = Callable[[Program], Rates]
"""Says what the agents of a program cost, as the configuration or the host has it."""
