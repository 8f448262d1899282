"""Whether the topology that is emitted for a query is the same for other wordings of it.

Paraphrases are those of the world; beside them the same words are asked again, greedy and sampled (the floor and what
sampling alone changes). Topologies are compared by `training.experiments.parts.topology`.
"""

from __future__ import annotations

import os
from statistics import fmean
from typing import Any, Final

from masdsl.batch.statistics import mean_interval
from training.experiments.parts.chain import WORLD, Chain, Tell, loaded
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.experiments.parts.topology import topology_of
from training.rates.asking import Asked
from training.rates.measuring import Measured

TEMPERATURE = 1.0
AGAIN = 3
"""Samples of the same words: as many as the world has paraphrases."""
_MOST: Final[dict[Size, int]] = {"small": 2, "full": 16}


def run(size: Size, out: str, tell: Tell) -> Report:
    """Ask for queries, their paraphrases, and again; compare the topologies of what is emitted."""
    chain = Chain.beside(out, size, tell)
    model = chain.model()
    originals = chain.asked("held-out.jsonl", limit=_MOST[size])
    known = {one.id for one in originals}
    wordings = tuple(one for one in chain.asked("paraphrases.jsonl") if one.extra["of"] in known)
    backbone = loaded(model)

    def emitted(asked: tuple[Asked, ...], name: str, **how: Any) -> tuple[Measured, ...]:
        return chain.written(backbone, asked, os.path.join(out, f"{name}.jsonl"), run=False, **how)

    first = emitted(originals, "queries")
    said = emitted(wordings, "paraphrases")
    sampled = [
        emitted(originals, f"again-{seed}", temperature=TEMPERATURE, seed=1000 * seed) for seed in range(1, AGAIN + 1)
    ]
    host = chain.host()
    of = {one.id: topology_of(one.program, host) for one in first}
    families = {one.id: one.family for one in originals}
    paraphrased = {
        id: [
            topology_of(one.program, host) for one, asked in zip(said, wordings, strict=True) if asked.extra["of"] == id
        ]
        for id in of
    }
    again = {one.id: [topology_of(seed[at].program, host) for seed in sampled] for at, one in enumerate(first)}
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    series = []
    for name, others in (("paraphrases, greedy", paraphrased), (f"same words, temperature {TEMPERATURE:g}", again)):
        same = {id: _same(of[id], found) for id, found in others.items() if of[id] and found}
        every = [one for found in others.values() for one in found]
        rows.append((name, (_mean(list(same.values())), _mean([float(bool(one)) for one in every]), len(set(every)))))
        points = [
            Point(family, mean_interval([value for id, value in same.items() if families[id] == family]))
            for family in sorted({families[id] for id in same})
        ]
        series.append(Series(name, tuple(points)))
    return Report(
        question="Is the emitted topology the same for other wordings of a query?",
        world=WORLD,
        over="held-out queries (the mean over the wordings or samples of each)",
        tables=(
            Table(
                "Topologies beside that of the query's own words, greedy",
                ("same (%)", "has one (%)", "different ones"),
                tuple(rows),
            ),
        ),
        picture=Picture("family", "same topology", tuple(series)) if any(one.points for one in series) else None,
        facts={"scale": chain.scale._asdict(), "queries": len(of), "paraphrases": len(wordings), "samples": AGAIN},
        raw={"queries": of, "paraphrases": paraphrased, "again": again},
        reading=(
            f"{len(of)} queries, of which {sum(map(bool, of.values()))} got a program that checks, with "
            f"{len({one for one in of.values() if one})} topologies. A program that does not check has no topology, "
            "and is counted as another one; queries whose own program has none are left out of the first column."
        ),
    )


def _same(own: str, others: list[str]) -> float:
    return fmean(float(one == own) for one in others)


def _mean(values: list[float]) -> Any:
    return mean_interval(values) if values else None
