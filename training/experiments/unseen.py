"""Queries of domains that training never saw (law and medicine), beside held-out ones of the world.

The questions are ours (training/worlds/unseen.py). The simulated models know them as choices of medium difficulty; what
is measured is what the trained model emits for words it has never met.
"""

from __future__ import annotations

import os
from statistics import fmean
from typing import Final

from masdsl.batch.statistics import mean_interval
from training.experiments.parts.chain import WORLD, Chain, Tell, loaded
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table

STAGES: Final = ("parses", "checks", "fits", "ran", "score")
_MOST: Final[dict[Size, int]] = {"small": 1, "full": 16}


def run(size: Size, out: str, tell: Tell) -> Report:
    """Measure what is emitted for both, without and with the decoder."""
    chain = Chain.beside(out, size, tell)
    model = chain.model()
    backbone = loaded(model)
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    series, raw = [], {}
    for name, file in (("held out", "held-out.jsonl"), ("law and medicine", "unseen.jsonl")):
        asked = chain.asked(file)
        step = max(1, len(asked) // _MOST[size])
        asked = asked[::step][: _MOST[size]]  # evenly, so that both domains are there
        for decoder in (False, True):
            told = f"{name}, {'decoder' if decoder else 'no decoder'}"
            kept = os.path.join(out, f"{told}.jsonl")
            found = chain.written(backbone, asked, kept, decoder=decoder)
            shares = tuple(mean_interval([float(getattr(one, stage)) for one in found]) for stage in STAGES)
            systems = len({one.hash for one in found if one.hash})
            rows.append((told, (*shares, systems, round(fmean(one.tokens_out for one in found)))))
            series.append(Series(told, tuple(map(Point, STAGES, shares))))
            raw[told] = [one.to_json() for one in found]
    columns = ("parses (%)", "checks (%)", "fits (%)", "runs (%)", "right (%)", "systems", "tokens")
    return Report(
        question="What is emitted for queries of domains that training never saw?",
        world=WORLD,
        over="queries",
        tables=(Table("What the same model emits", columns, tuple(rows)),),
        picture=Picture("stage", "share of queries", tuple(series)),
        facts={"scale": chain.scale._asdict(), "queries": {name: len(found) for name, found in raw.items()}},
        raw=raw,
        reading=(
            "Right answers to law and medicine say what simulated models know, not what a model would: compare the "
            "stages before them."
        ),
    )
