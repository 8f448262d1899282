"""Ways to come to a system, compared: what each gives for a query, and a table of accuracy at a cost.

Self-consistency at equal cost is the best mixture of several self-consistencies that costs no more in the mean, chosen
on the training queries (`masdsl.batch.statistics.mixture_at`; docs/eval.md, "At equal cost").
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from masdsl.batch.statistics import Point as CostPoint
from masdsl.batch.statistics import holm, mixed, mixture_at, paired_test, pareto_front
from masdsl.meta.emission import Terms
from masdsl.meta.retrieval import Known, about, nearest, title
from masdsl.meta.roles import Desk, PoolGenerator
from masdsl.runtime import Limits
from training.data.pools import PoolSystem, Query
from training.data.scores import Cell as Scored
from training.data.scores import Measure as Measured
from training.data.scores import Table as ScoreTable
from training.experiments.parts.reports import Cell, Point, Table
from training.experiments.parts.running import Did, World, difference_of, kept, mean, score_of


class Measure(NamedTuple):
    """What a cost is: the name of its column, what of a run it is, and by what that is multiplied in tables."""

    name: str
    of: Callable[[Did], float]
    factor: float = 1.0


class Opened(NamedTuple):
    """A world with the queries that are asked in it, and where runs are kept.

    `given` is what else they follow from, as the digest of a configuration.
    """

    world: World
    queries: tuple[Query, ...]
    out: str
    seed: int
    given: str = ""

    def runs(self, name: str, text: str, queries: Sequence[Query] | None = None) -> list[Did]:
        """Return the runs of a system on queries, by default all: those of another call, where there was one."""
        asked = self.queries if queries is None else queries
        if not asked:
            return []
        settings = [os.path.relpath(self.world.folder, self.out), text, [one.id for one in asked], self.seed]
        settings += [self.given] if self.given else []
        return kept(self.out, name, settings, partial(self.world.runs, text, asked, seed=self.seed))

    def asked(self, way: Way) -> list[Did]:
        """Return the runs of what a way gives for each query, in the order of the queries."""
        by_system: dict[str, list[Query]] = {}
        for query in self.queries:
            by_system.setdefault(way.system(query), []).append(query)
        found: dict[str, Did] = {}
        for text, queries in by_system.items():
            name = way.name.replace(" ", "-").replace("'", "").replace("(", "").replace(")", "").replace(",", "")
            found |= zip((one.id for one in queries), self.runs(name, text, queries), strict=True)
        found |= {name: found[name].with_writing(did) for name, did in way.writing.items()}
        return [found[one.id] for one in self.queries]


class Way(NamedTuple):
    """A way to come to systems: what it gives for a query, and the runs that it took to come to that.

    `writing` is what it took to write the system of a query, by the query's id.
    """

    name: str
    system: Callable[[Query], str]
    construction: tuple[Did, ...] = ()
    writing: Mapping[str, Did] = {}


def always(text: str) -> Callable[[Query], str]:
    """Return what gives one system for every query."""
    return lambda query: text


def nearest_system(train: Opened, pool: Sequence[PoolSystem], bound: Mapping[str, str], query: Query) -> str:
    """Return the system that the pool's generator gives for a query, implemented by the rules."""
    known = [Known(one.name, one.text, title(one.text), about(one.text)) for one in pool]
    examples = nearest(query.text, known, len(known))
    desk = Desk(train.world.host, train.world.shape, Limits(), Terms(), lambda model: model)
    said = asyncio.run(PoolGenerator().generate(train.world.task._replace(query=query.text), examples, desk))
    names = {one.system.text: one.system.name for one in examples}
    return bound[names[said.text]] if said.text in names else train.world.bound(said.text)


def scores_of(table: Mapping[str, Sequence[Did]], measure: Measured) -> ScoreTable:
    """Return the runs of systems on queries as `training.data.selection` takes them."""
    cells = tuple(tuple(Scored(one.score, getattr(one, measure)) for one in runs) for runs in table.values())
    return ScoreTable(tuple(table), cells, measure, sum(len(runs) for runs in table.values()))


# ---------------------------------------------------------------- tables


def point(runs: Sequence[Did], cost: Measure) -> Point:
    """Return a place in a picture of accuracy against cost."""
    return Point(mean([cost.of(one) for one in runs]), score_of(runs))


def _costs(runs: Iterable[Sequence[Did]], cost: Measure) -> list[CostPoint]:
    return [CostPoint(mean([cost.of(one) for one in part]), mean([one.score for one in part])) for part in runs]


def accuracy(
    title: str,
    ways: Sequence[str],
    learned: Mapping[str, Sequence[Did]],
    runs: Mapping[str, Sequence[Did]],
    cost: Measure,
    *,
    other_costs: bool = False,
) -> Table:
    """Return how ways and self-consistencies fared on queries.

    `learned` are the runs of the self-consistencies on the training queries, by which the mixture at equal cost is
    chosen; with `other_costs` they cost what they do on these queries instead: prices are known before anything is
    asked.
    """
    every = [*ways, *learned]
    front = {every[at] for at in pareto_front(_costs((runs[name] for name in every), cost))}
    grid, points = list(learned), _costs(learned.values(), cost)
    if other_costs:
        points = [
            one._replace(cost=mean([cost.of(did) for did in runs[name]]))
            for name, one in zip(grid, points, strict=True)
        ]
    compared: dict[str, tuple[str, list[float], float]] = {}
    for way in ways:
        mine = runs[way]
        mixture = mixture_at(mean([cost.of(one) for one in mine]), points)
        if mixture is not None:
            one, two = grid[mixture.first], grid[mixture.second]
            scores = mixed(mixture.share, *([did.score for did in runs[name]] for name in (one, two)))
            gains = [did.score - other for did, other in zip(mine, scores, strict=True)]
            told = one if one == two else f"{mixture.share:.0%} {one}, else {two}"
            compared[way] = told, gains, paired_test([did.score for did in mine], scores).p
    adjusted = dict(zip(compared, holm([p for _, _, p in compared.values()]), strict=True))
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name in every:
        beside = compared.get(name)
        cells: tuple[Cell, ...] = (
            score_of(runs[name]),
            cost.factor * mean([cost.of(one) for one in runs[name]]),
            "yes" if name in front else "",
            None if beside is None else difference_of(beside[1]),
            adjusted.get(name),
            None if beside is None else beside[0],
        )
        rows.append((name if name not in learned else f"self-consistency, {name}", cells))
    columns = (
        "right (%)",
        cost.name,
        "on the front",
        "gain (points)",
        "p (Holm)",
        "self-consistency at equal cost",
    )
    return Table(title, columns, tuple(rows))
