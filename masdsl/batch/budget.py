"""The budget of a batch: room for the worst case of a run is kept before it is handed out, and given back after.

What a run may take at most is proved (`masdsl.bounds`) or set by its own limits. As no run begins without room for all
of that, the total is never exceeded, however many runs are under way. What is paid and what is only in doubt count
alike: a call whose worker died may have been paid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from masdsl.batch.base import NOTHING, Amount, Batch, ChunkDone, Outcome, System
from masdsl.money import PICODOLLARS, limit_of
from masdsl.runtime.meter import Limits

MEASURES: Final = ("calls", "tokens", "usd")
_FIELDS: Final = dict(zip(MEASURES, Amount._fields, strict=True))


class BadBudget(ValueError):
    """A budget that cannot be kept, or is none; the text says why and what to do."""


class Most(NamedTuple):
    """The limits of a batch in whole units; None where there is none."""

    calls: int | None = None
    tokens: int | None = None
    picodollars: int | None = None

    def has_room(self, amount: Amount) -> bool:
        """Whether an amount is within the limits."""
        return all(limit is None or part <= limit for limit, part in zip(self, amount, strict=True))


NO_MOST: Final = Most()


def most_of(limits: Limits) -> Most:
    """Return the limits of a batch. Raises BadBudget for one of time, which nothing proves."""
    if limits.seconds is not None:
        raise BadBudget("a batch has no budget of time: say how many calls, tokens or usd it may take")
    return Most(limits.calls, limits.tokens, None if limits.usd is None else limit_of(limits.usd))


def parse_budget(text: str) -> Limits:
    """Return the limits that a text says: measures and amounts as in a program's `budget`, such as `usd 5 calls 2k`.

    Raises BadBudget.
    """
    words = text.replace(",", " ").split()
    example = "write it as in --budget 'usd 5 calls 2k'"
    if not words or len(words) % 2:
        raise BadBudget(f"`{text}` is no budget; {example}")
    found: dict[str, float] = {}
    for name, amount in zip(words[::2], words[1::2], strict=True):
        if name not in (*MEASURES, "seconds"):
            raise BadBudget(f"`{name}` is no measure of a budget: there are {', '.join(MEASURES)}; {example}")
        if name in found:
            raise BadBudget(f"the budget says `{name}` twice")
        factor = {"k": 1_000, "M": 1_000_000}.get(amount[-1], 1)
        try:
            found[name] = _number(amount[:-1] if factor > 1 else amount, whole=name in ("calls", "tokens")) * factor
        except ValueError:
            raise BadBudget(f"`{amount}` is no amount of {name}; {example}") from None
    try:
        return Limits(**found)  # type: ignore[arg-type]
    except ValueError as fault:
        raise BadBudget(str(fault)) from None


def _number(text: str, *, whole: bool) -> float:
    return int(text) if whole else float(text)


def worst_of(system: System, limits: Limits, most: Most, judge: System | None) -> Amount:
    """Return what one run of a system takes at most, with its judge, in the measures that are limited.

    Raises BadBudget for a measure that nothing bounds.
    """
    parts = []
    for measure, field in _FIELDS.items():
        if getattr(most, field) is None:
            parts.append(0)
            continue
        own = getattr(limits, measure)
        if own is not None and measure == "usd":
            own = limit_of(own)
        least = [amount for amount in (own, getattr(system, field)) if amount is not None]
        if not least:
            raise BadBudget(
                f"nothing bounds the {measure} of one run of {system.name}, so that a budget in {measure} cannot be "
                f"kept; {_advice(measure)}"
            )
        by_judge = getattr(judge, field) if judge is not None else 0
        if by_judge is None:
            raise BadBudget(f"nothing bounds the {measure} of the judge {judge.path if judge else ''}")
        parts.append(min(least) + by_judge)
    return Amount(*parts)


def _advice(measure: str) -> str:
    advice = f"limit each run: --run-budget '{measure} ..'"
    return advice if measure != "usd" else f"give its models prices (`mas lock`), or {advice}"


class Ledger:
    """What a batch has spent, and what is held for the runs under way. Nothing in it grows with the batch."""

    def __init__(self, most: Most, worst: Callable[[int], Amount]) -> None:
        """Begin with nothing spent; `worst` says what a run may take at most.

        What the cache has saved is taken off when a chunk comes back, also of runs that are still under way: what is
        held for those is their whole worst case, so the total stays an upper bound.
        """
        self.most = most
        self.spent = NOTHING
        self.held = NOTHING
        self._worst = worst
        self._held: dict[int, Amount] = {}
        self._paid: dict[int, Amount] = {}
        """What runs without an outcome have taken so far: part of `spent`."""
        self._doubts: dict[int, Amount] = {}

    def _need(self, number: int) -> Amount:
        worst, paid = self._worst(number), self._paid.get(number, NOTHING)
        return Amount(*(max(most - part, 0) for most, part in zip(worst, paid, strict=True)))

    def fits(self, number: int) -> bool:
        """Whether there is room for a run now."""
        return self.most.has_room(self.spent.plus(self.held).plus(self._need(number)))

    def ever_fits(self, number: int) -> bool:
        """Whether there would be room for a run if those under way took nothing more."""
        return self.most.has_room(self.spent.plus(self._need(number)))

    def hold(self, number: int) -> None:
        """Keep room for a run."""
        need = self._held[number] = self._need(number)
        self.held = self.held.plus(need)

    def settle(self, done: ChunkDone) -> None:
        """Give back what was held for the runs of a chunk, and count what they took."""
        for number in range(done.chunk.first, done.chunk.last):
            self.held = self.held.minus(self._held.pop(number, NOTHING))
        self.spent = self.spent.minus(done.saved)
        made = {outcome.number for outcome in done.outcomes}
        for number, paid, doubtful in done.doubts:
            self.doubt(number, doubtful)
            if number not in made:
                self.begun(number, paid)
        for outcome in done.outcomes:
            self.count(outcome)

    def count(self, outcome: Outcome) -> None:
        """Count what a run took."""
        self.spent = self.spent.plus(taken_by(outcome)).minus(self._paid.pop(outcome.number, NOTHING))

    def begun(self, number: int, paid: Amount) -> None:
        """Count what a run has taken that was broken off."""
        self.spent = self.spent.plus(paid).minus(self._paid.get(number, NOTHING))
        self._paid[number] = paid

    def doubt(self, number: int, doubtful: Amount) -> None:
        """Count what is in doubt of a run, in all."""
        self.spent = self.spent.plus(doubtful).minus(self._doubts.get(number, NOTHING))
        self._doubts[number] = doubtful

    @property
    def doubtful(self) -> Amount:
        """What is in doubt of all runs."""
        total = NOTHING
        for amount in self._doubts.values():
            total = total.plus(amount)
        return total


def taken_by(outcome: Outcome) -> Amount:
    """Return what a run and its judge took."""
    return Amount(
        outcome.calls + outcome.judge_calls,
        outcome.tokens_in + outcome.tokens_out + outcome.judge_tokens,
        outcome.picodollars + outcome.judge_picodollars,
    )


def shown(amount: Amount, measures: Sequence[str] = MEASURES) -> str:
    """Return an amount for people: `12 calls, 3,400 tokens, 0.002 USD`."""
    told = {
        "calls": f"{amount.calls:,} calls",
        "tokens": f"{amount.tokens:,} tokens",
        "usd": f"{amount.picodollars / PICODOLLARS:,.6g} USD",
    }
    return ", ".join(told[measure] for measure in measures)


def worst_cases(
    batch: Batch, most: Most, judge: System | None, priced: Mapping[tuple[str, str], System] | None = None
) -> Callable[[int], Amount]:
    """Return what says what a run of a batch takes at most. Raises BadBudget for a system that nothing bounds.

    `priced` are the systems as they are under each lineup, by both names; without it each is as dear as under the
    dearest lineup.
    """
    worst = {
        (system.name, lineup.name): worst_of(
            system if priced is None else priced[system.name, lineup.name], batch.limits, most, judge
        )
        for system in batch.systems
        for lineup in batch.lineups
    }

    def of(number: int) -> Amount:
        run = batch.run(number)
        return worst[run.system.name, run.lineup.name]

    return of
