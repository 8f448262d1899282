"""How the contenders of a batch stand: scores with intervals, what a run takes, who beats whom, and at which cost.

A contender is a system under a lineup. Outcomes are read once; what is held of each is two numbers a sample.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import isnan, nan
from typing import Any, Final, NamedTuple

from masdsl.batch.base import Batch, Outcome
from masdsl.batch.statistics import (
    Interval,
    Mixture,
    Paired,
    Point,
    holm,
    is_equal_cost,
    mean_interval,
    mixed,
    mixture_at,
    paired_test,
    pareto_front,
)

MOST_REASONS: Final = 10
"""Different reasons of failures that are told for each contender."""
_REASON: Final = 120
_KINDS: Final = 10_000
MEASURES: Final = ("picodollars", "tokens", "calls")
_SUMS: Final = ("calls", "tokens_in", "tokens_out", "picodollars", "judge_calls", "judge_tokens", "judge_picodollars")


class Contender(NamedTuple):
    """A system under a lineup, and what its runs gave and took together.

    `runs` have an outcome; of these, `failed` have no value, and `graded` have a score. `reasons` are the most frequent
    ones of failures. `scores` is the mean score on each sample, NaN where there is none.
    """

    system: str
    lineup: str
    runs: int
    failed: int
    graded: int
    sums: Mapping[str, int]
    reasons: tuple[tuple[str, int], ...]
    scores: array[float]

    def known(self) -> list[float]:
        """Return the scores of the samples that have one."""
        return [score for score in self.scores if not isnan(score)]

    @property
    def name(self) -> str:
        """How tables and plots call it, where the lineup matters."""
        return f"{self.system} / {self.lineup}"

    def mean(self, measure: str) -> float:
        """Return what a run takes in the mean: picodollars, tokens (of both directions) or calls, without a judge's."""
        whole = self.sums["tokens_in"] + self.sums["tokens_out"] if measure == "tokens" else self.sums[measure]
        return whole / self.runs if self.runs else 0.0


class Standing(NamedTuple):
    """How a contender stands: the interval of its score (None without one), the cost of a run, if none beats it."""

    contender: Contender
    interval: Interval | None
    cost: float
    on_front: bool


class Pair(NamedTuple):
    """Two contenders, by their numbers, on the samples that both have; `adjusted` is p after Holm's correction."""

    first: int
    second: int
    test: Paired
    adjusted: float
    equal_cost: bool


class AtEqualCost(NamedTuple):
    """A contender beside the best mixture of the others that costs no more in the mean."""

    contender: int
    mixture: Mixture
    test: Paired
    adjusted: float


class Standings(NamedTuple):
    """How all contenders stand. `measure` is what `cost` is: picodollars, tokens or calls."""

    measure: str
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    at_equal_cost: tuple[AtEqualCost, ...]


class _Tally:
    """What is known so far of one contender."""

    def __init__(self, samples: int) -> None:
        self.runs = self.failed = self.graded = 0
        self.sums = dict.fromkeys(_SUMS, 0)
        self.reasons: Counter[str] = Counter()
        self.scores = array("d", bytes(8 * samples))
        self.counts = array("I", bytes(array("I").itemsize * samples))

    def add(self, outcome: Outcome) -> None:
        self.runs += 1
        if outcome.status != "ended":
            self.failed += 1
            reason = outcome.why.partition("\n")[0][:_REASON]
            if reason in self.reasons or len(self.reasons) < _KINDS:
                self.reasons[reason] += 1
        for name in _SUMS:
            self.sums[name] += getattr(outcome, name)
        if outcome.score is not None:
            self.graded += 1
            self.scores[outcome.sample] += outcome.score
            self.counts[outcome.sample] += 1

    def contender(self, system: str, lineup: str) -> Contender:
        pairs = zip(self.scores, self.counts, strict=True)
        means = array("d", (score / count if count else nan for score, count in pairs))
        reasons = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))[:MOST_REASONS]
        return Contender(system, lineup, self.runs, self.failed, self.graded, self.sums, tuple(reasons), means)


class Tallies:
    """What the runs of each contender of a batch gave, counted while their outcomes pass by."""

    def __init__(self, batch: Batch) -> None:
        self._samples = batch.samples
        names = [(one.name, two.name) for one in batch.systems for two in batch.lineups]
        self._tallies = {name: _Tally(batch.samples) for name in names}

    def counted(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield outcomes as they come, and count them; those of no contender are yielded only."""
        for outcome in outcomes:
            tally = self._tallies.get((outcome.system, outcome.lineup))
            if tally is not None and 0 <= outcome.sample < self._samples:
                tally.add(outcome)
            yield outcome

    def contenders(self) -> tuple[Contender, ...]:
        """Return what was counted, in the order of the batch."""
        return tuple(tally.contender(*names) for names, tally in self._tallies.items())


def contenders_of(batch: Batch, outcomes: Iterable[Outcome]) -> tuple[Contender, ...]:
    """Return what the runs of each contender gave, in the order of the batch."""
    tallies = Tallies(batch)
    for _ in tallies.counted(outcomes):
        pass
    return tallies.contenders()


def standings_of(contenders: Sequence[Contender], *, seed: int = 0) -> Standings:
    """Return how contenders stand. Those without any score are in no comparison."""
    measure = measure_of(contenders)
    costs = [one.mean(measure) for one in contenders]
    intervals = [mean_interval(scores, seed=seed) if (scores := one.known()) else None for one in contenders]
    known = [at for at, interval in enumerate(intervals) if interval is not None]
    points = [Point(costs[at], interval.mean) for at in known if (interval := intervals[at]) is not None]
    front = {known[at] for at in pareto_front(points)}
    return Standings(
        measure,
        tuple(
            Standing(one, interval, cost, at in front)
            for at, (one, interval, cost) in enumerate(zip(contenders, intervals, costs, strict=True))
        ),
        _pairs(contenders, costs, known, seed),
        _at_equal_cost(contenders, known, points, seed),
    )


def measure_of(contenders: Sequence[Contender]) -> str:
    """Return in what costs are compared: money where all calls have a price, else tokens, else calls."""
    made = [one for one in contenders if one.sums["calls"]]
    return next((name for name in MEASURES if made and all(one.mean(name) for one in made)), "calls")


def _pairs(
    contenders: Sequence[Contender], costs: Sequence[float], known: Sequence[int], seed: int
) -> tuple[Pair, ...]:
    found = [
        (one, two, paired_test(*_common(contenders[one].scores, contenders[two].scores), seed=seed))
        for one, two in combinations(known, 2)
    ]
    adjusted = holm([test.p for _, _, test in found])
    return tuple(
        Pair(one, two, test, p, is_equal_cost(costs[one], costs[two]))
        for (one, two, test), p in zip(found, adjusted, strict=True)
    )


def _common(*columns: array[float]) -> list[list[float]]:
    """Return the scores of several contenders on the samples that all have."""
    rows = [row for row in zip(*columns, strict=True) if not any(map(isnan, row))]
    return [[row[at] for row in rows] for at in range(len(columns))]


def _at_equal_cost(
    contenders: Sequence[Contender], known: Sequence[int], points: Sequence[Point], seed: int
) -> tuple[AtEqualCost, ...]:
    """Compare each contender with the best mixture of the others at its cost, where there is one."""
    found: list[tuple[int, Mixture, Paired]] = []
    for place, at in enumerate(known):
        others = [*known[:place], *known[place + 1 :]]
        mixture = mixture_at(points[place].cost, [*points[:place], *points[place + 1 :]])
        if mixture is None:
            continue
        mixture = Mixture(others[mixture.first], others[mixture.second], mixture.share)
        own, one, two = _common(*(contenders[number].scores for number in (at, mixture.first, mixture.second)))
        found.append((at, mixture, paired_test(own, mixed(mixture.share, one, two), seed=seed)))
    adjusted = holm([test.p for _, _, test in found])
    return tuple(AtEqualCost(*one, p) for one, p in zip(found, adjusted, strict=True))


def cost_text(cost: float, measure: str) -> str:
    """Return a mean cost with its unit, to three figures."""
    if measure == "picodollars":
        return f"${_figures(cost / 10**12)}"
    return f"{_figures(cost)} {measure}"


def _figures(value: float) -> str:
    if not value:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_json(found: Standings) -> dict[str, Any]:
    """Return standings as JSON data, without the scores of single samples."""
    names = [{"system": one.contender.system, "lineup": one.contender.lineup} for one in found.standings]
    return {
        "measure": found.measure,
        "standings": [
            {
                **name,
                "runs": one.contender.runs,
                "failed": one.contender.failed,
                "graded": one.contender.graded,
                "score": None if one.interval is None else one.interval._asdict(),
                "mean_cost": one.cost,
                "on_front": one.on_front,
                "sums": dict(one.contender.sums),
                "reasons": [{"reason": reason, "runs": count} for reason, count in one.contender.reasons],
            }
            for name, one in zip(names, found.standings, strict=True)
        ],
        "pairs": [
            {"first": names[one.first], "second": names[one.second]}
            | {**one.test._asdict(), "adjusted_p": one.adjusted, "equal_cost": one.equal_cost}
            for one in found.pairs
        ],
        "at_equal_cost": [
            {
                "contender": names[one.contender],
                "mixture": {
                    "first": names[one.mixture.first],
                    "second": names[one.mixture.second],
                    "share": one.mixture.share,
                },
                **one.test._asdict(),
                "adjusted_p": one.adjusted,
            }
            for one in found.at_equal_cost
        ],
    }
