"""L_CTO on plain numbers: what the trainer's loss has to be for given log-probabilities, and its gradient.

    (11)  L_CTO = - E_D [ Delta V * log sigma( beta * log(pi(a_win|c) / pi_ref(a_win|c))
                                              - beta * log(pi(a_lose|c) / pi_ref(a_lose|c)) ) ]

Source: MAS² (arXiv:2509.24323), section 3.3; with weight 1 it is DPO (arXiv:2305.18290, equation 7). The weight stands
outside the log-sigmoid: it scales the gradient of a pair, and does not move the margin at which the pair is learned.
ScoreFlow's Score-DPO (arXiv:2502.04306) has scores inside; it is here as well, to be compared with. E_D is the mean
over pairs, not divided by the sum of the weights. beta is not in the paper; 0.1 is TRL's default and ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, isfinite, log1p
from typing import Final, NamedTuple

BETA: Final = 0.1


class LogProbabilities(NamedTuple):
    """log pi(a|c) of both actions of a pair, summed over their tokens, under the model and under the reference."""

    chosen: float
    rejected: float
    reference_chosen: float
    reference_rejected: float


class Slope(NamedTuple):
    """The derivative of the loss after log pi of the chosen and of the rejected action."""

    chosen: float
    rejected: float


def margin(pair: LogProbabilities, beta: float = BETA) -> float:
    """Return what stands inside the log-sigmoid: the difference of implicit rewards."""
    return beta * ((pair.chosen - pair.reference_chosen) - (pair.rejected - pair.reference_rejected))


def dpo_loss(pairs: Sequence[LogProbabilities], beta: float = BETA) -> float:
    """Return the loss of plain DPO. Raises ValueError like `cto_loss`."""
    return cto_loss(pairs, [1.0] * len(pairs), beta)


def cto_loss(pairs: Sequence[LogProbabilities], weights: Sequence[float], beta: float = BETA) -> float:
    """Return L_CTO (11), the mean over pairs of weight * -log sigma(margin).

    Raises ValueError for no pairs, as many weights as pairs missing, a weight that is negative or not finite, a
    log-probability that is not finite, and a beta that is not positive.
    """
    _check(pairs, weights, beta)
    terms = [weight * _softplus(-margin(pair, beta)) for pair, weight in zip(pairs, weights, strict=True)]
    return fsum(terms) / len(pairs)


def score_dpo_loss(
    pairs: Sequence[LogProbabilities], scores: Sequence[tuple[float, float]], beta: float = BETA
) -> float:
    """Return the loss of Score-DPO, the mean of -log sigma(beta * (s_w * ratio_w - (1 - s_l) * ratio_l)).

    A ratio is log(pi(a|c) / pi_ref(a|c)); `scores` are s_w and s_l of each pair, from 0 to 1. With 1 and 0 it is DPO.
    Raises ValueError like `cto_loss`, and for other scores.
    """
    _check(pairs, [1.0] * len(scores), beta)
    terms = []
    for number, (pair, (won, lost)) in enumerate(zip(pairs, scores, strict=True)):
        if not (0 <= won <= 1 and 0 <= lost <= 1):
            raise ValueError(f"the scores of pair {number} are {won} and {lost}; they are numbers from 0 to 1")
        chosen, rejected = pair.chosen - pair.reference_chosen, pair.rejected - pair.reference_rejected
        terms.append(_softplus(-beta * (won * chosen - (1 - lost) * rejected)))
    return fsum(terms) / len(pairs)


def cto_gradient(pairs: Sequence[LogProbabilities], weights: Sequence[float], beta: float = BETA) -> tuple[Slope, ...]:
    """Return the derivatives of L_CTO after the model's log-probabilities, for each pair: proportional to its weight.

    d L / d log pi(a_win) = - weight * beta * sigma(-margin) / n, and the opposite for a_lose. Raises like `cto_loss`.
    """
    _check(pairs, weights, beta)
    found = []
    for pair, weight in zip(pairs, weights, strict=True):
        pull = weight * beta * _sigmoid(-margin(pair, beta)) / len(pairs)
        found.append(Slope(-pull, pull))
    return tuple(found)


def _softplus(x: float) -> float:
    """Return log(1 + e^x), which is -log sigma(-x), without overflow."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def _sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x) without overflow."""
    if x >= 0:
        return 1 / (1 + exp(-x))
    return exp(x) / (1 + exp(x))


def _check(pairs: Sequence[LogProbabilities], weights: Sequence[float], beta: float) -> None:
    if not pairs:
        raise ValueError("there are no pairs, so the loss has no mean")
    if len(pairs) != len(weights):
        raise ValueError(f"there are {len(pairs)} pairs and {len(weights)} weights; each pair has one")
    if not (isfinite(beta) and beta > 0):
        raise ValueError(f"beta is {beta}; it is a finite number above 0")
    for number, (pair, weight) in enumerate(zip(pairs, weights, strict=True)):
        if not (isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of pair {number} is {weight}; it is a finite number from 0 on")
        if not all(map(isfinite, pair)):
            raise ValueError(f"a log-probability of pair {number} is not finite")
