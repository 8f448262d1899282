"""Value-scaled loss against DPO, Score-DPO and KTO: the same base, pairs, steps and seeds; what is emitted then.

MAS² (arXiv:2509.24323) scales each pair's loss by the difference of values (11), and does not compare it with DPO.
One arm is on pairs of the same trees by success alone, whatever it cost: values are shares then, as the scores of
Score-DPO are to be.
"""

from __future__ import annotations

import os
from statistics import fmean
from typing import Any, Final, Literal, NamedTuple

from masdsl.batch.statistics import mean_interval
from training.cto.plan import Loss
from training.cto.rows import read_preferences
from training.experiments.parts.chain import WORLD, Chain, Tell, loaded, preferring
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.rates.measuring import Measured


class Arm(NamedTuple):
    """A loss that is compared, with the highest Delta V that counts (None: all do, the paper's form).

    By `normalise` Delta V is divided by its mean. Where `cost` is nothing, pairs are made of shares of successes.
    """

    name: str
    kind: Loss
    folder: str
    clip: float | None = None
    normalise: Literal["none", "mean"] = "none"
    cost: Literal["picodollars", "nothing"] = "picodollars"


ARMS: Final = (
    Arm("L_CTO", "cto", "cto"),
    Arm("L_CTO, Delta V up to 5", "cto", "cto-clipped", clip=5.0),
    Arm("DPO", "dpo", "dpo"),
    Arm("Score-DPO", "score-dpo", "score-dpo"),
    Arm("KTO", "kto", "kto"),
    Arm("L_CTO, Delta V of mean 1", "cto", "cto-mean", normalise="mean"),
    Arm("Score-DPO, pairs by success", "score-dpo", "score-dpo-success", cost="nothing"),
)


def run(size: Size, out: str, tell: Tell) -> Report:
    """Train with each loss and each seed, and measure what is emitted for held-out queries."""
    chain = Chain.beside(out, size, tell)
    model = chain.model()
    files = {arm.cost: chain.pairs(cost=arm.cost) for arm in ARMS}
    asked = chain.asked("held-out.jsonl")
    before = chain.written(loaded(model), asked, os.path.join(chain.folder, "sft", "held-out.jsonl"))
    rows: list[tuple[str, tuple[Cell, ...]]] = [("SFT alone", (*_figures([before]), None, None))]
    series = [Series("SFT alone", (_point([before]),))]
    raw: dict[str, Any] = {"SFT alone": [_scores(before)]}
    for arm in ARMS:
        found, manifests = [], []
        for seed in chain.scale.seeds:
            folder = os.path.join(out, f"{arm.folder}-{seed}")
            manifests.append(
                preferring(
                    model,
                    files[arm.cost],
                    folder,
                    chain.scale,
                    arm.kind,
                    tell,
                    seed=seed,
                    clip=arm.clip,
                    normalise=arm.normalise,
                )
            )
            adapter = os.path.join(folder, "generator", "model")
            kept = os.path.join(folder, "held-out.jsonl")
            found.append(chain.written(loaded(model, adapter), asked, kept))
        lasts = [one["last"] for one in manifests]
        rows.append((arm.name, (*_figures(found), _last(lasts, "rewards/margins"), _last(lasts, "rewards/accuracies"))))
        series.append(Series(arm.name, (_point(found),)))
        raw[arm.name] = [{**_scores(one), "last step": last} for one, last in zip(found, lasts, strict=True)]
    columns = ("fits (%)", "right (%)", "calls of a run", "tokens of a run", "margin", "pairs in order")
    return Report(
        question="Does scaling the loss by the difference of values help?",
        world=WORLD,
        over="held-out queries (the mean over seeds of each)",
        tables=(Table("What is emitted after training on the same pairs", columns, tuple(rows)),),
        picture=Picture("tokens of a run", "right", tuple(series)),
        facts={
            "scale": chain.scale._asdict(),
            "pairs": {cost: len(read_preferences(path)) for cost, path in files.items()},
            "base": "tiny, SFT on the cheapest system that solved each query",
            "beta": 0.1,
        },
        raw=raw,
        reading=(
            "Margin and order are those of the last step's pairs, by the implicit reward. A loss is better where more "
            "answers are right at no more tokens; where intervals overlap, nothing is shown."
        ),
    )


def _last(lasts: list[dict[str, Any]], name: str) -> Cell:
    """Return the mean over seeds of what the last step logged; None for losses that log no such thing."""
    return round(fmean(one[name] for one in lasts), 3) if all(name in one for one in lasts) else None


def _over_seeds(found: list[tuple[Measured, ...]], name: str) -> list[float]:
    """Return a figure of each query, its mean over seeds."""
    return [fmean(float(getattr(one, name)) for one in same) for same in zip(*found, strict=True)]


def _figures(found: list[tuple[Measured, ...]]) -> tuple[Cell, ...]:
    ran = [one for seed in found for one in seed if one.ran]
    return (
        mean_interval(_over_seeds(found, "fits")),
        mean_interval(_over_seeds(found, "score")),
        round(fmean(one.calls for one in ran), 2) if ran else None,
        round(fmean(one.run_tokens for one in ran)) if ran else None,
    )


def _point(found: list[tuple[Measured, ...]]) -> Point:
    return Point(fmean(_over_seeds(found, "run_tokens")), mean_interval(_over_seeds(found, "score")))


def _scores(found: tuple[Measured, ...]) -> dict[str, Any]:
    return {
        "score": [one.score for one in found],
        "fits": [one.fits for one in found],
        "calls": [one.calls for one in found],
        "run_tokens": [one.run_tokens for one in found],
        "hash": [one.hash[:8] for one in found],
    }
