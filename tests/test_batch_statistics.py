"""Statistics of batches: worked examples from the literature, laws, and scipy where it is installed."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.batch import statistics
from masdsl.batch.statistics import (
    Mixture,
    Point,
    holm,
    is_equal_cost,
    mean_interval,
    mixed,
    mixture_at,
    paired_test,
    pareto_front,
    sign_test,
    wilson,
)

# ---------------------------------------------------------------- one mean

# Newcombe (1998), table I: the examples, method 3 (Wilson without a correction).
NEWCOMBE = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]


@pytest.mark.parametrize(("right", "count", "low", "high"), NEWCOMBE)
def test_wilson(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_is_symmetric(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count))
    low, high = wilson(right, count)
    assert 0 <= low <= right / count <= high <= 1 and low < high
    assert (1 - high, 1 - low) == pytest.approx(wilson(count - right, count))


@pytest.mark.parametrize(("right", "count"), [(1, 0), (-1, 3), (4, 3)])
def test_what_is_no_share(right: int, count: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(right, count)


@pytest.mark.parametrize(
    ("values", "method"),
    [
        ([0, 1, 1], "wilson"),
        ([1.0] * 4, "wilson"),
        ([0.5, 1.0], "bootstrap"),
        ([0.0, 0.2] * 150, "bootstrap"),
        ([0.0, 0.2] * 151, "normal"),
        ([0, 1] * 5_000, "wilson"),
    ],
)
def test_which_interval(values: list[float], method: str) -> None:
    found = mean_interval(values)
    assert (found.method, found.samples) == (method, len(values))
    assert found.low <= found.mean <= found.high
    assert found == mean_interval(values), "its seed is fixed"


def test_no_mean_of_nothing() -> None:
    with pytest.raises(ValueError, match="no sample"):
        mean_interval([])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_an_interval_lies_between_the_least_and_the_largest(values: list[float]) -> None:
    found = mean_interval(values)
    assert 0 <= found.low <= found.mean + 1e-12 and found.mean - 1e-12 <= found.high <= 1
    if found.method == "bootstrap":
        assert min(values) - 1e-12 <= found.low <= found.high <= max(values) + 1e-12


def test_bootstrap_and_normal_agree_where_both_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    values = [chance.random() ** 2 for _ in range(300)]
    drawn = mean_interval(values)
    monkeypatch.setattr(statistics, "MOST_BOOTSTRAPPED", 0)
    normal = mean_interval(values)
    assert (drawn.low, drawn.high) == pytest.approx((normal.low, normal.high), abs=0.004)


def test_an_interval_covers_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 draws of 40 samples with 3 repetitions each; a system's chance differs from sample to sample."""
    monkeypatch.setattr(statistics, "RESAMPLES", 400)
    chance = random.Random(11)
    covered = 0
    for _ in range(300):
        rates = [chance.random() for _ in range(40)]
        values = [sum(chance.random() < rate for _ in range(3)) / 3 for rate in rates]
        found = mean_interval(values)
        covered += found.low <= 0.5 <= found.high
    assert 0.915 <= covered / 300 <= 0.98


# ---------------------------------------------------------------- two systems

SIGNS = [
    (0, 0, 1.0),
    (1, 0, 1.0),
    (5, 5, 1.0),
    (5, 0, 2 / 32),
    (11, 4, 0.11847),  # examples/pool/README.md
    (12, 2, 0.01294),
    (9, 1, 2 * 11 / 1024),
]


@pytest.mark.parametrize(("more", "less", "p"), SIGNS)
def test_sign_test(more: int, less: int, p: float) -> None:
    assert sign_test(more, less) == pytest.approx(p, abs=5e-6) == sign_test(less, more)


def test_a_large_sign_test_is_as_exact_as_a_small_one() -> None:
    for more, less in ((520, 480), (600, 401), (501, 500), (1000, 2), (900, 850)):
        count, few = more + less, min(more, less)
        exact = min(1.0, 2 * sum(math.comb(count, number) for number in range(few + 1)) / 2**count)
        assert sign_test(more, less) == pytest.approx(exact, rel=1e-9)
    assert sign_test(60_000, 0) == 0.0


# Fisher's sign-flip test of Darwin's plants (The Design of Experiments, 1935, section 21), differences in eighths of an
# inch: 863 of 2^15 assignments in each direction have a sum of at least 314.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_permutation_test_of_darwins_plants(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [one / 100 for one in DARWIN]
    drawn = paired_test(scores, [0.0] * 15)
    assert (drawn.more, drawn.less, drawn.method) == (13, 2, "drawn")
    assert drawn.p == pytest.approx(1726 / 2**15, abs=0.006)
    monkeypatch.setattr(statistics, "MOST_ENUMERATED", 15)
    assert paired_test(scores, [0.0] * 15)[4:] == (1726 / 2**15, "exact")


PAIRS: list[tuple[list[float], list[float], int, int, float, float, str]] = [
    ([1, 1, 0, 0], [0, 1, 0, 1], 1, 1, 0.0, 1.0, "sign"),
    ([1] * 6, [0] * 6, 6, 0, 1.0, 2 / 64, "sign"),
    ([1, 0.5], [0.5, 0.0], 2, 0, 0.5, 0.5, "exact"),
    ([0.5, 0.5, 0.5], [0, 0, 1], 2, 1, 1 / 6, 1.0, "exact"),
    ([], [], 0, 0, 0.0, 1.0, "sign"),
    ([0.3, 0.7], [0.3, 0.7], 0, 0, 0.0, 1.0, "sign"),
]


@pytest.mark.parametrize(("first", "second", "more", "less", "difference", "p", "method"), PAIRS)
def test_paired(
    first: list[float], second: list[float], more: int, less: int, difference: float, p: float, method: str
) -> None:
    found = paired_test(first, second)
    assert found[:3] + found[5:] == (len(first), more, less, method)
    assert (found.difference, found.p) == pytest.approx((difference, p))


def test_only_the_same_samples_are_paired() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_test([1, 0], [1])


SCORES = st.lists(st.tuples(*[st.sampled_from([0, 0.25, 0.5, 1.0])] * 2), max_size=30)


@given(SCORES)
@settings(max_examples=30, deadline=None)
def test_a_paired_test_is_symmetric(pairs: list[tuple[float, float]]) -> None:
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    there, back = paired_test(first, second), paired_test(second, first)
    assert (there.p, there.more, there.less) == (back.p, back.less, back.more)
    assert there.difference == -back.difference and 0 < there.p <= 1


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_the_exact_test_counts_assignments_of_signs(differences: list[float]) -> None:
    sums = [
        sum(a * b for a, b in zip(differences, signs, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = sum(abs(one) >= abs(sum(differences)) for one in sums) / len(sums)
    assert paired_test(differences, [0.0] * len(differences)).p == pytest.approx(expected)


def test_drawn_and_normal_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    first = [round(chance.random(), 2) for _ in range(250)]
    second = [round(chance.random() * 0.94, 2) for _ in range(250)]
    drawn = paired_test(first, second)
    monkeypatch.setattr(statistics, "MOST_VALUES", 0)
    normal = paired_test(first, second)
    assert (drawn.method, normal.method) == ("drawn", "normal")
    assert drawn.p == pytest.approx(normal.p, abs=0.015)


def test_a_test_without_a_difference_is_significant_as_seldom_as_it_says() -> None:
    chance = random.Random(7)
    hits = sum(
        paired_test(*([chance.choice([0, 0.5, 1.0]) for _ in range(12)] for _ in range(2))).p <= 0.05
        for _ in range(300)
    )
    assert hits / 300 <= 0.08


HOLM = [
    ([], []),
    ([0.03], [0.03]),
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
    ([0.5, 0.9], [1.0, 1.0]),
    ([0.02, 0.02], [0.04, 0.04]),
]


@pytest.mark.parametrize(("values", "adjusted"), HOLM)
def test_holm(values: list[float], adjusted: list[float]) -> None:
    assert holm(values) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_no_smaller_keeps_the_order_and_is_no_larger_than_bonferroni(values: list[float]) -> None:
    found = holm(values)
    for at, one in enumerate(values):
        assert one <= found[at] <= 1 and found[at] <= max(len(values) * one, max(found, default=0))
        assert all(found[at] <= found[other] for other, two in enumerate(values) if one <= two)


def test_the_same_as_scipy() -> None:
    scipy = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    for more, less in ((11, 4), (60, 41), (700, 640)):
        assert sign_test(more, less) == pytest.approx(scipy.binomtest(more, more + less).pvalue, rel=1e-9)
    for right, count in ((3, 10), (999, 1000)):
        found = scipy.binomtest(right, count).proportion_ci(method="wilson")
        assert wilson(right, count) == pytest.approx((found.low, found.high))


# ---------------------------------------------------------------- cost

POINTS = [Point(1, 0.2), Point(2, 0.5), Point(3, 0.4), Point(4, 0.55), Point(10, 0.9), Point(11, 0.9)]


def test_the_front() -> None:
    assert pareto_front(POINTS) == [0, 1, 3, 4]
    assert pareto_front([Point(1, 0.5), Point(1, 0.5), Point(1, 0.4)]) == [0, 1]
    assert pareto_front([]) == []


@given(st.lists(st.builds(Point, st.integers(0, 6).map(float), st.integers(0, 6).map(float)), max_size=10))
def test_the_front_is_what_nobody_beats(points: list[Point]) -> None:
    def beats(one: Point, two: Point) -> bool:
        return one.cost <= two.cost and one.score >= two.score and one != two

    assert sorted(pareto_front(points)) == [
        at for at, point in enumerate(points) if not any(beats(other, point) for other in points)
    ]


MIXTURES = [
    (0.5, None),
    (1.0, Mixture(0, 1, 1.0)),
    (1.5, Mixture(0, 1, 0.5)),
    (2.0, Mixture(1, 4, 1.0)),
    (4.0, Mixture(1, 4, 0.75)),
    (10.0, Mixture(4, 4, 1.0)),
    (99.0, Mixture(4, 4, 1.0)),
]


@pytest.mark.parametrize(("cost", "mixture"), MIXTURES)
def test_the_best_mixture_at_a_cost(cost: float, mixture: Mixture | None) -> None:
    assert mixture_at(cost, POINTS) == mixture


@given(
    st.lists(st.builds(Point, st.integers(1, 9).map(float), st.integers(0, 9).map(float)), min_size=1, max_size=7),
    st.floats(0, 10),
)
def test_no_mixture_of_two_is_better(points: list[Point], cost: float) -> None:
    found = mixture_at(cost, points)
    reachable = [
        share * one.score + (1 - share) * two.score
        for one in points
        for two in points
        for share in ([1.0] if one.cost <= cost else [])
        + ([(two.cost - cost) / (two.cost - one.cost)] if one.cost <= cost < two.cost else [])
    ]
    if found is None:
        assert not reachable
        return
    [score] = mixed(found.share, [points[found.first].score], [points[found.second].score])
    assert score == pytest.approx(max(reachable))
    spent = found.share * points[found.first].cost + (1 - found.share) * points[found.second].cost
    assert spent <= cost + 1e-9


def test_equal_cost() -> None:
    assert is_equal_cost(100, 105) and is_equal_cost(105, 100) and is_equal_cost(0, 0)
    assert not is_equal_cost(100, 106) and not is_equal_cost(0, 1)
