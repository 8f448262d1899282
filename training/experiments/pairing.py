"""Inter-consistency against pairing each query with its own best system, and with any system.

MAS-GPT (arXiv:2503.03686, section 3) gives all queries of a group one system, so that alike queries have alike answers;
its ablation is in accuracy on real models, and has no pairing at random.
"""

from __future__ import annotations

import os
from collections import Counter
from statistics import fmean
from typing import Any, Final

from masdsl.batch.statistics import mean_interval
from training.experiments.parts.chain import (
    WORLD,
    Chain,
    Pairing,
    Tell,
    examples,
    loaded,
    trained,
)
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table

_NAMES: Final[dict[Pairing, str]] = {
    "family": "one system for a family (inter-consistency)",
    "query": "the cheapest that solved the query",
    "random": "any system",
}


def run(size: Size, out: str, tell: Tell) -> Report:
    """Train on the same queries under each pairing, and measure what is emitted for held-out queries."""
    chain = Chain.beside(out, size, tell)
    given = chain.pool()
    asked = chain.asked("held-out.jsonl")
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    series: list[Series] = []
    raw: dict[str, Any] = {}
    for pairing, name in _NAMES.items():
        made = examples(given, pairing)
        folder = os.path.join(chain.folder, "sft") if pairing == "query" else os.path.join(out, pairing)
        model = trained(made, folder, chain.scale, tell)
        found = chain.written(loaded(model), asked, os.path.join(folder, "held-out.jsonl"))
        ran = [one for one in found if one.ran]
        shares = [mean_interval([float(getattr(one, stage)) for one in found]) for stage in ("fits", "score")]
        cost: list[Cell] = (
            [round(fmean(one.calls for one in ran), 2), round(fmean(one.run_tokens for one in ran))]
            if ran
            else [None, None]
        )
        rows.append(
            (name, (len({one.hash for one in made}), *shares, *cost, len({one.hash for one in found if one.hash})))
        )
        series.append(Series(name, (Point(fmean(one.run_tokens for one in found), shares[1]),)))
        raw[pairing] = {
            "rows": dict(Counter(one.provenance["system"] for one in made)),
            "held out": [one.to_json() for one in found],
        }
    columns = ("systems of the rows", "fits (%)", "right (%)", "calls of a run", "tokens of a run", "systems emitted")
    facts: dict[str, Any] = {
        "scale": chain.scale._asdict(),
        "rows": {name: sum(raw[name]["rows"].values()) for name in raw},
    }
    return Report(
        question="Which system should a query be paired with for fine-tuning?",
        world=WORLD,
        over="held-out queries",
        tables=(Table("What is emitted after SFT on the same queries", columns, tuple(rows)),),
        picture=Picture("tokens of a run", "right", tuple(series)),
        facts=facts,
        raw=raw,
        reading=(
            "Queries are those that the system of their family solves. One seed; runs that gave no value count as "
            "wrong, and not in calls and tokens."
        ),
    )
