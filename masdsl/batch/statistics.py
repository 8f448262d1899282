"""What scores say: means with intervals, paired tests, the front of accuracy against cost. `docs/eval.md` has it all.

The unit is the sample. Repetitions of a run on one sample are no further evidence of how a system does on other
samples, so they are averaged first, and everything here counts samples (clusters, in the words of Miller, 2024).
Nothing depends on the clock or on the order of dictionaries; where chance is needed, its seed is fixed.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise, product
from statistics import NormalDist, fmean
from typing import Final, NamedTuple

LEVEL: Final = 0.95
RESAMPLES: Final = 2_000
"""Of a bootstrap."""
FLIPS: Final = 10_000
"""Random assignments of signs of a permutation test."""
MOST_BOOTSTRAPPED: Final = 300
"""Samples up to which a mean is bootstrapped: beyond, its normal approximation says the same."""
MOST_ENUMERATED: Final = 12
"""Samples with a difference up to which all assignments of signs are tried."""
MOST_VALUES: Final = 300
"""Different differences up to which assignments of signs are drawn."""
EQUAL_COST: Final = 1.05
"""Two mean costs are equal where the one is at most so many times the other."""


class Interval(NamedTuple):
    """A mean with its confidence interval; `method` is wilson, bootstrap or normal. `samples` is what it rests on."""

    mean: float
    low: float
    high: float
    samples: int
    method: str


class Paired(NamedTuple):
    """How two systems compare on the samples that both have.

    `more` and `less` count the samples on which the first has the higher and the lower score; `difference` is the mean
    one. `p` is two-sided, for no difference at all; `method` is sign, exact, drawn or normal.
    """

    samples: int
    more: int
    less: int
    difference: float
    p: float
    method: str


# ---------------------------------------------------------------- one mean


def mean_interval(values: Sequence[float], *, level: float = LEVEL, seed: int = 0) -> Interval:
    """Return the mean of scores, one for each sample, with a confidence interval.

    Where all are 0 or 1 it is Wilson's score interval (Wilson, 1927). Otherwise, up to `MOST_BOOTSTRAPPED` samples, it
    is the percentile bootstrap over samples (Efron, 1979) of `RESAMPLES` resamples with a fixed seed; beyond, the
    normal approximation with the standard error of the mean. Raises ValueError without samples.
    """
    count = len(values)
    if not count:
        raise ValueError("no sample, no mean")
    mean = fmean(values)
    if all(value in (0, 1) for value in values):
        return Interval(mean, *wilson(round(sum(values)), count, level=level), count, "wilson")
    if count <= MOST_BOOTSTRAPPED:
        chance = random.Random(f"{seed}/{count}")
        means = sorted(fmean(chance.choices(values, k=count)) for _ in range(RESAMPLES))
        cut = (1 - level) / 2
        return Interval(mean, _quantile(means, cut), _quantile(means, 1 - cut), count, "bootstrap")
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1) / count)
    reach = _z(level) * spread
    return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach), count, "normal")


def wilson(right: int, count: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval for a share of `right` of `count`. Raises ValueError for what is no share."""
    if not 0 <= right <= count or not count:
        raise ValueError(f"{right} of {count} is no share")
    z, share = _z(level), right / count
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    low, high = (middle - reach) / scale, (middle + reach) / scale
    return 0.0 if right == 0 else max(0.0, low), 1.0 if right == count else min(1.0, high)


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values, between two of them by the line through both."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


# ---------------------------------------------------------------- two systems


def sign_test(more: int, less: int) -> float:
    """Return the two-sided p of the exact sign test; on scores of 0 and 1 this is McNemar's exact test (1947).

    Of `more + less` samples with a difference, each is as likely to be in favour of either: the p is twice the binomial
    tail, at most 1.
    """
    count, few = more + less, min(more, less)
    if not count:
        return 1.0
    if count <= 1_000:  # in whole numbers
        return min(1.0, 2 * sum(math.comb(count, number) for number in range(few + 1)) / (1 << count))
    term = math.exp(math.lgamma(count + 1) - math.lgamma(few + 1) - math.lgamma(count - few + 1) - count * math.log(2))
    tail, number = term, few
    while number > 0 and term > tail * 1e-17:
        term *= number / (count - number + 1)
        tail += term
        number -= 1
    return min(1.0, 2 * tail)


def paired_test(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> Paired:
    """Compare the scores of two systems on the same samples, in the same order.

    Where all differences are -1, 0 or 1, by the exact sign test. Otherwise by the permutation test of the mean
    difference: were both systems alike, each sample's difference would have either sign. With at most
    `MOST_ENUMERATED` differences that are not 0, all signs are tried; otherwise `FLIPS` are drawn with a fixed seed,
    where p counts the observed one in (Phipson and Smyth, 2010); with more than `MOST_VALUES` different differences
    the sum of signed differences is taken as normal. Raises ValueError for different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores cannot be paired with {len(second)}")
    found = [round(one - two, 12) for one, two in zip(first, second, strict=True)]
    more, less = sum(one > 0 for one in found), sum(one < 0 for one in found)
    mean = math.fsum(found) / len(found) if found else 0.0
    sizes = [abs(one) for one in found if one]
    if all(size == 1 for size in sizes):
        return Paired(len(found), more, less, mean, sign_test(more, less), "sign")
    p, method = _permutation(sizes, abs(math.fsum(found)), seed)
    return Paired(len(found), more, less, mean, p, method)


def _permutation(sizes: Sequence[float], observed: float, seed: int) -> tuple[float, str]:
    """Return how likely signed sizes sum up to at least `observed`, either way, and how that was found."""
    least = observed - 1e-9
    if len(sizes) <= MOST_ENUMERATED:
        hits = sum(
            abs(math.fsum(map(math.copysign, sizes, signs))) >= least for signs in product((1, -1), repeat=len(sizes))
        )
        return hits / 2 ** len(sizes), "exact"
    groups = Counter(sizes)
    if len(groups) > MOST_VALUES:
        spread = math.sqrt(math.fsum(size * size for size in sizes))
        return min(1.0, 2 * NormalDist().cdf(-observed / spread)), "normal"
    chance = random.Random(f"{seed}/{len(sizes)}")
    draw = chance.getrandbits
    pairs = sorted(groups.items())
    whole = math.fsum(sizes)
    hits = 0
    for _ in range(FLIPS):
        positive = sum(size * draw(count).bit_count() for size, count in pairs)
        hits += abs(2 * positive - whole) >= least
    return (hits + 1) / (FLIPS + 1), "drawn"


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many there are, by Holm's step-down procedure (1979), in their order."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[at]))
        adjusted[at] = highest
    return adjusted


# ---------------------------------------------------------------- accuracy against cost


class Point(NamedTuple):
    """What a system costs in one run, in any unit, and its mean score."""

    cost: float
    score: float


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other one beats, by ascending cost.

    One beats another where it costs no more and scores no less, and one of both is strictly better. Of equal points all
    are on the front.
    """
    front: list[int] = []
    best = -math.inf
    for at in sorted(range(len(points)), key=lambda at: (points[at].cost, -points[at].score)):
        if points[at].score > best or (front and points[at] == points[front[-1]]):
            front.append(at)
            best = points[at].score
    return front


def is_equal_cost(one: float, two: float) -> bool:
    """Whether two mean costs count as equal (`EQUAL_COST`)."""
    return max(one, two) <= EQUAL_COST * min(one, two)


class Mixture(NamedTuple):
    """Two systems, of which the first runs on each sample with a probability `share`, else the second."""

    first: int
    second: int
    share: float


def mixture_at(cost: float, points: Sequence[Point]) -> Mixture | None:
    """Return the best mixture of systems whose expected cost is at most this; None where each costs more.

    Whoever has two systems has all mixtures of them as well: for each sample one of both by lot. What they score at
    most lies on the upper hull of the points (the classical argument for ROC curves: Provost and Fawcett, 2001). A
    mixture of one system alone names it twice.
    """
    hull = _upper_hull(points)
    if not hull or points[hull[0]].cost > cost:
        return None
    for one, two in pairwise(hull):
        if points[two].cost > cost:
            share = (points[two].cost - cost) / (points[two].cost - points[one].cost)
            return Mixture(one, two, share)
    return Mixture(hull[-1], hull[-1], 1.0)


def _upper_hull(points: Sequence[Point]) -> list[int]:
    """Return the corners of the upper hull, from the cheapest to the best, by ascending cost."""
    hull: list[int] = []
    for at in pareto_front(points):
        if hull and points[at] == points[hull[-1]]:
            continue
        while len(hull) > 1 and not _bends_down(points[hull[-2]], points[hull[-1]], points[at]):
            hull.pop()
        hull.append(at)
    return hull


def _bends_down(one: Point, two: Point, three: Point) -> bool:
    return (two.score - one.score) * (three.cost - two.cost) > (three.score - two.score) * (two.cost - one.cost)


def mixed(share: float, first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Return what a mixture is expected to score on each sample, of the scores of its two systems there."""
    return [share * one + (1 - share) * two for one, two in zip(first, second, strict=True)]
