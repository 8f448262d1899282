"""L_CTO on plain numbers, (11) of MAS²: worked by hand, against DPO, and its gradient against differences."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from training.cto.preference_loss import LogProbabilities, cto_gradient, cto_loss, dpo_loss, margin, score_dpo_loss

LOGS = st.floats(-60, 0)
PAIRS = st.builds(LogProbabilities, LOGS, LOGS, LOGS, LOGS)
WEIGHTED = st.lists(st.tuples(PAIRS, st.floats(0, 5)), min_size=1, max_size=5)
BETAS = st.floats(0.01, 2)


def test_by_hand() -> None:
    """beta = 1/2. Both pairs have weight outside the log-sigmoid; E_D is their mean.

    first:  margin = 1/2 * ((-10 + 12) - (-9 + 9)) = 1,   -log sigma(1)  = log(1 + e^-1) = 0.3132617, times 2
    second: margin = 1/2 * ((-6 + 6) - (-4 + 8))   = -2,  -log sigma(-2) = log(1 + e^2)  = 2.1269280, times 1/2
    loss = (0.6265234 + 1.0634640) / 2 = 0.8449937

    d/d log pi(win): -2 * 1/2 * sigma(-1) / 2 = -0.2689414 / 2, and -1/2 * 1/2 * sigma(2) / 2 = -0.8807971 / 8
    """
    pairs = [LogProbabilities(-10, -9, -12, -9), LogProbabilities(-6, -4, -6, -8)]
    assert [margin(one, 0.5) for one in pairs] == [1, -2]
    assert cto_loss(pairs, [2, 0.5], 0.5) == pytest.approx(0.8449937, abs=1e-7)
    slopes = cto_gradient(pairs, [2, 0.5], 0.5)
    assert [one.chosen for one in slopes] == pytest.approx([-0.2689414 / 2, -0.8807971 / 8], abs=1e-7)
    assert [one.rejected for one in slopes] == pytest.approx([0.2689414 / 2, 0.8807971 / 8], abs=1e-7)


def test_a_model_that_equals_its_reference_has_lost_nothing_but_log_2() -> None:
    same = LogProbabilities(-3, -7, -3, -7)
    assert cto_loss([same, same], [1, 3]) == pytest.approx(2 * math.log(2))
    assert dpo_loss([same]) == pytest.approx(math.log(2))


@given(WEIGHTED, BETAS)
def test_weight_1_is_dpo(pairs: list[tuple[LogProbabilities, float]], beta: float) -> None:
    """DPO as its paper writes it: - mean of log sigma(beta log(pi/ref)(win) - beta log(pi/ref)(lose))."""
    told = [-math.log(1 / (1 + math.exp(-(beta * (a - c) - beta * (b - d))))) for (a, b, c, d), _ in pairs]
    alone = [one for one, _ in pairs]
    expected = sum(told) / len(told)
    assert cto_loss(alone, [1] * len(alone), beta) == pytest.approx(expected, abs=1e-9)
    assert dpo_loss(alone, beta) == cto_loss(alone, [1.0] * len(alone), beta)


@given(PAIRS, BETAS, st.floats(0, 100))
def test_loss_and_gradient_are_proportional_to_the_weight(pair: LogProbabilities, beta: float, weight: float) -> None:
    assert cto_loss([pair], [weight], beta) == pytest.approx(weight * dpo_loss([pair], beta))
    (plain,), (scaled,) = cto_gradient([pair], [1], beta), cto_gradient([pair], [weight], beta)
    assert scaled == pytest.approx((weight * plain.chosen, weight * plain.rejected))


@given(WEIGHTED, BETAS)
def test_the_gradient_is_that_of_the_loss(pairs: list[tuple[LogProbabilities, float]], beta: float) -> None:
    alone, weights = [one for one, _ in pairs], [weight for _, weight in pairs]
    step = 1e-4
    for number, slope in enumerate(cto_gradient(alone, weights, beta)):
        for name in ("chosen", "rejected"):
            moved = []
            for sign in (1, -1):
                changed = list(alone)
                changed[number] = alone[number]._replace(**{name: getattr(alone[number], name) + sign * step})
                moved.append(cto_loss(changed, weights, beta))
            assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(getattr(slope, name), rel=1e-4, abs=1e-6)


@given(PAIRS, BETAS, st.floats(0.1, 5))
def test_the_loss_falls_with_the_chosen_and_rises_with_the_rejected(
    pair: LogProbabilities, beta: float, weight: float
) -> None:
    (slope,) = cto_gradient([pair], [weight], beta)
    assert slope.chosen == -slope.rejected < 0


@given(WEIGHTED)
def test_a_pair_without_weight_pulls_nothing_but_counts_in_the_mean(
    pairs: list[tuple[LogProbabilities, float]],
) -> None:
    alone, weights = [one for one, _ in pairs], [weight for _, weight in pairs]
    assume(any(weights))
    more = cto_loss([*alone, alone[0]], [*weights, 0.0])
    assert more == pytest.approx(cto_loss(alone, weights) * len(alone) / (len(alone) + 1))
    assert cto_gradient([*alone, alone[0]], [*weights, 0.0])[-1] == (0, 0)


def test_score_dpo_by_hand() -> None:
    """beta = 1/2, s_w = 3/4, s_l = 1/2; ratios -2 - -6 = 4 and -4 - -2 = -2: 1/2 * (3/4 * 4 - 1/2 * -2) = 2.

    -log sigma(2) = log(1 + e^-2) = 0.1269280; plain DPO has the margin 1/2 * (4 + 2) = 3.
    """
    pair = LogProbabilities(-2, -4, -6, -2)
    assert score_dpo_loss([pair], [(0.75, 0.5)], 0.5) == pytest.approx(0.1269280, abs=1e-7)
    assert margin(pair, 0.5) == 3
    with pytest.raises(ValueError, match="the scores of pair 0 are 1.5 and 0"):
        score_dpo_loss([pair], [(1.5, 0)], 0.5)


@given(WEIGHTED, BETAS)
def test_score_dpo_with_sure_scores_is_dpo(pairs: list[tuple[LogProbabilities, float]], beta: float) -> None:
    alone = [one for one, _ in pairs]
    assert score_dpo_loss(alone, [(1, 0)] * len(alone), beta) == pytest.approx(dpo_loss(alone, beta))


def test_far_margins_neither_overflow_nor_lose_the_loss() -> None:
    wrong = LogProbabilities(-1e6, 0, 0, -1e6)
    assert cto_loss([wrong], [1], 1) == 2e6
    right = LogProbabilities(0, -1e6, -1e6, 0)
    assert cto_loss([right], [1], 1) == 0
    assert cto_gradient([wrong, right], [1, 1], 1) == ((-0.5, 0.5), (0, 0))


@pytest.mark.parametrize(
    ("pairs", "weights", "beta", "told"),
    [
        ([], [], 0.1, "no pairs"),
        ([LogProbabilities(0, 0, 0, 0)], [1, 1], 0.1, "1 pairs and 2 weights"),
        ([LogProbabilities(0, 0, 0, 0)], [-1], 0.1, "the weight of pair 0 is -1"),
        ([LogProbabilities(0, 0, 0, 0)], [math.nan], 0.1, "the weight of pair 0 is nan"),
        ([LogProbabilities(0, -math.inf, 0, 0)], [1], 0.1, "log-probability of pair 0"),
        ([LogProbabilities(0, 0, 0, 0)], [1], 0, "beta is 0"),
        ([LogProbabilities(0, 0, 0, 0)], [1], math.inf, "beta is inf"),
    ],
)
def test_what_has_no_loss_is_told(pairs: list[LogProbabilities], weights: list[float], beta: float, told: str) -> None:
    for function in (cto_loss, cto_gradient):
        with pytest.raises(ValueError, match=told):
            function(pairs, weights, beta)
