"""Accuracy against cost: ways to come to a system, and what each takes to be made and to be used (simulated world).

Every way chooses on the world's training queries, and is measured on queries that it has not seen, here and in the
shifted world: the same queries, other models behind the tiers (the cross-backbone test of MAS², arXiv:2509.24323).

fixed programs       chain of thought, self-consistency, debate, DyLAN and GPTSwarm, as the pool has them
nearest system       per query the nearest of the pool (`masdsl.meta.roles.PoolGenerator`)
best single system   the one system of the pool that scores most on the training queries
one for each family  the choice by inter-consistency (`training.data.selection`); it is told each query's family
search               AFlow-style edits (`training.experiments.parts.searching`), given what the pool's table has cost

All are implemented by the rules (`masdsl.meta.roles.CheapestImplementer`), except for the search, which binds itself.
Self-consistency at equal cost is the best mixture of 12 self-consistencies (1 to 9 samples on each tier) that costs no
more in the mean, chosen on the training queries as well (`training.experiments.parts.ways`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from training.data.grouping import by_metadata
from training.data.pools import PoolSystem, read_systems
from training.data.selection import select
from training.experiments.parts.reports import Cell, Picture, Report, Series, Size, Table
from training.experiments.parts.running import Did, World, mean, queries_in, simulated
from training.experiments.parts.searching import SAMPLES, TIERS, Found, search, self_consistency
from training.experiments.parts.ways import Measure, Opened, Way, accuracy, always, nearest_system, point, scores_of
from training.worlds.simulated import CHECKOUT

FIXED: Final[Mapping[str, str]] = {
    "chain of thought": "maslab_cot",
    "self-consistency (MAS-GPT's)": "masgpt_self_consistency",
    "self-consistency (ADAS's)": "adas_cot_sc",
    "debate": "maslab_llm_debate",
    "DyLAN": "maslab_dylan",
    "GPTSwarm, one node": "gptswarm_io",
    "GPTSwarm, chain": "gptswarm_cot",
    "GPTSwarm, adversarial": "gptswarm_adversarial",
}
OTHERS: Final = ("adas_step_back", "adas_teacher_student", "aflow_hotpotqa", "react", "self_refine")
OF_THE_WORLD: Final = ("calculate", "checked", "look_up", "route")
"""Systems that were written for this world, so they know its families and tools."""
NEAREST: Final = "nearest system"
BEST: Final = "best single system"
FAMILIES: Final = "one for each family"
SEARCH: Final = "search"
TEST_SETS: Final = ("held out", "shifted models")


class Extent(NamedTuple):
    """How large it is made; `searched` is which part of the training queries a search evaluates on: every n-th.

    It evaluates at most so many `programs`.
    """

    train: int
    held_out: int
    pool: tuple[str, ...]
    samples: tuple[int, ...]
    searched: int = 2
    programs: int = 200
    seed: int = 0


_POOL: Final = (*FIXED.values(), *OTHERS, *OF_THE_WORLD)
SIZES: Final[Mapping[Size, Extent]] = {
    "small": Extent(4, 4, (*FIXED.values(), "look_up"), (1, 3), searched=1, programs=4),
    "full": Extent(80, 100, _POOL, SAMPLES),
}


MONEY: Final = Measure("mUSD / query", lambda run: run.usd, 1e3)


def run(size: Size, out: str, tell: Callable[[str], None]) -> Report:
    """Return accuracy and cost of all ways. Raises what making and opening a world does."""
    extent = SIZES[size]
    folder = simulated(os.path.join(out, "world"), seed=extent.seed, train=extent.train, held_out=extent.held_out)
    opened = [
        Opened(World(place, queries), queries, out, extent.seed)
        for place, name in ((folder, "train.jsonl"), (folder, "held-out.jsonl"), (f"{folder}/shifted", "same.jsonl"))
        for queries in (queries_in(place, name),)
    ]
    train, tests = opened[0], dict(zip(TEST_SETS, opened[1:], strict=True))
    pool = _pool(extent, train)
    bound = {one.name: train.world.bound(one.text) for one in pool}
    table = {name: train.runs(name, text) for name, text in bound.items()}
    tell(f"the pool of {len(pool)} systems on {len(train.queries)} training queries: done")
    ways, found = _ways(extent, train, pool, bound, table)
    tell(f"the search evaluated {len(found.tried)} programs")
    config = train.world.host.config
    grid = {(count, tier): self_consistency(count, tier, config) for count in extent.samples for tier in TIERS}
    names = {key: f"sc-{key[0]}-{key[1]}" for key in grid}
    learned = {key: train.runs(names[key], text) for key, text in grid.items()}
    measured: dict[str, dict[str, list[Did]]] = {}
    for where, test in tests.items():
        for way in ways:
            measured.setdefault(where, {})[way.name] = test.asked(way)
        for key, text in grid.items():
            measured[where][_label(*key)] = test.runs(names[key], text)
        tell(f"{where}: done")
    return _report(extent, ways, found, {_label(*key): runs for key, runs in learned.items()}, measured, table)


def _label(samples: int, tier: str) -> str:
    return f"{samples} on {tier}"


def _pool(extent: Extent, train: Opened) -> tuple[PoolSystem, ...]:
    places = [
        os.path.join(CHECKOUT, "training/worlds/systems" if name in OF_THE_WORLD else "examples/pool", f"{name}.mas")
        for name in extent.pool
    ]
    return read_systems(places, train.queries, train.world.host, tools=True)[0]


# ---------------------------------------------------------------- ways


def _ways(
    extent: Extent,
    train: Opened,
    pool: Sequence[PoolSystem],
    bound: Mapping[str, str],
    table: Mapping[str, Sequence[Did]],
) -> tuple[list[Way], Found]:
    ways = [Way(name, always(bound[system])) for name, system in FIXED.items()]
    ways.append(Way(NEAREST, partial(nearest_system, train, pool, bound)))
    built = tuple(one for runs in table.values() for one in runs)
    names = [one.name for one in pool]
    scores = scores_of({name: table[name] for name in names}, "picodollars")
    hashes = [one.hash for one in pool]
    everything = by_metadata([one._replace(metadata={"all": ""}) for one in train.queries], ["all"])
    families = by_metadata(train.queries, ["family"])
    [single] = select(scores, everything, hashes)
    best = names[single.system or 0]
    chosen = {
        choice.group.name.removeprefix("family="): best if choice.system is None else names[choice.system]
        for choice in select(scores, families, hashes)
    }
    ways.append(Way(f"{BEST} ({best})", always(bound[best]), built))
    told = ", ".join(chosen[one] for one in sorted(chosen))
    ways.append(Way(f"{FAMILIES} ({told})", lambda query: bound[chosen[query.metadata["family"]]], built))
    queries = train.queries[:: extent.searched]
    budget = sum(one.picodollars for one in built)
    found = search(
        train.world.host,
        lambda text: train.runs("search", text, queries),
        budget=budget,
        most=extent.programs,
        seed=extent.seed,
    )
    return [*ways, Way(SEARCH, always(found.best.text), found.runs)], found


# ---------------------------------------------------------------- what was found


def _report(
    extent: Extent,
    ways: Sequence[Way],
    found: Found,
    learned: Mapping[str, Sequence[Did]],
    measured: Mapping[str, Mapping[str, Sequence[Did]]],
    table: Mapping[str, Sequence[Did]],
) -> Report:
    names = [way.name for way in ways]
    tables = [
        accuracy(f"**Simulated**, {where}", names, learned, runs, MONEY, other_costs=where != TEST_SETS[0])
        for where, runs in measured.items()
    ]
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for way in ways:
        here = measured[TEST_SETS[0]][way.name]
        rows.append((way.name, (len(way.construction), *_taken(way.construction, sum), *_taken(here, mean))))
    columns = ("runs", "USD", "k tokens", "model s", "mUSD / query", "tokens / query", "model s / query")
    tables.append(Table("**Simulated**: construction (in all), then inference, held out", columns, tuple(rows), False))
    series = [
        Series(way.name.partition(" (")[0] if way.construction else way.name, (point(runs[way.name], MONEY),))
        for runs in (measured[TEST_SETS[0]],)
        for way in ways
    ]
    for tier in TIERS:
        points = tuple(point(measured[TEST_SETS[0]][_label(count, tier)], MONEY) for count in extent.samples)
        series.append(Series(f"self-consistency on {tier}", points))
    steps = [one.score for one in found.tried]
    return Report(
        question="Accuracy against cost: ways to come to a system",
        world="simulated; models are rules, no claim about any real model",
        over="queries",
        tables=tuple(tables),
        picture=Picture("USD per query (simulated)", "right answers, held out", tuple(series), log=True),
        facts={
            "pool": list(extent.pool),
            "training queries": extent.train,
            "held-out queries": extent.held_out,
            "seed": extent.seed,
            "search": {"programs": len(steps), "refused edits": found.refused, "scores": steps, "best": found.best},
        },
        raw={
            "construction": {way.name: list(way.construction) for way in ways},
            "pool on training queries": {name: list(runs) for name, runs in table.items()},
            "self-consistency on training queries": {name: list(runs) for name, runs in learned.items()},
            **{where: {name: list(runs) for name, runs in one.items()} for where, one in measured.items()},
        },
        reading=(
            f"The search evaluated {len(steps)} programs on every {extent.searched}. training query, and refused "
            f"{found.refused} edits that gave no sound program. `one for each family` is told the family of a query, "
            "which others are not; calculate, checked, look_up and route were written for this world. A gain is over "
            "self-consistency at equal cost, in pairs over queries; p is adjusted for all ways of a table."
        ),
    )


def _taken(runs: Sequence[Did], of: Callable[[list[float]], float]) -> tuple[float | None, ...]:
    """Return USD, thousands of tokens and model seconds of a construction, or their parts of a thousand of a run."""
    if not runs:
        return None, None, None
    factors = (1.0, 1e-3, 1.0) if of is sum else (1e3, 1.0, 1.0)
    values = ([one.usd for one in runs], [float(one.tokens) for one in runs], [one.seconds for one in runs])
    return tuple(factor * of(one) for factor, one in zip(factors, values, strict=True))
