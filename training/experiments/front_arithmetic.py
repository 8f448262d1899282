"""Accuracy against cost with a real model: the arithmetic world, SmolLM2-135M in this process, Python in the sandbox.

The ways are those of the simulated front (`training.experiments.front`) as far as one model and no documents allow,
and the generator that comes with masdsl: it writes a system for each query, under 6 calls, as `mas solve` lets it, and
the simplest system takes the place of what does not fit. A cost is seconds of the processor (`local`): there is no
money in it. What the generator writes for a query counts as part of the query's cost, and is shown apart; what its
training took is in masdsl/meta/generator/README.md.

Queries are bare sums, differences and products of small numbers, so many of each: of twelve of all kinds and numbers
SmolLM2 solved none, by one call in free text or with a record of steps and answer.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from masdsl.meta.roles import Generator
from masdsl.meta.shipped import SHA256, shipped_generator
from training.data.grouping import by_metadata
from training.data.pools import PoolSystem, Query, read_systems
from training.data.selection import select
from training.experiments.parts.local import REPLY_TOKENS, TEXT_CHARACTERS, LocalWorld, TimedCalls
from training.experiments.parts.reports import Cell, Picture, Report, Series, Size, Table
from training.experiments.parts.running import Did, made_world, mean, queries_in
from training.experiments.parts.searching import ARITHMETIC, Found, search, self_consistency
from training.experiments.parts.ways import Measure, Opened, Way, accuracy, always, nearest_system, point, scores_of
from training.stage.record import digest_of
from training.worlds.arithmetic import make_arithmetic
from training.worlds.simulated import CHECKOUT

FIXED: Final[Mapping[str, str]] = {
    "chain of thought": "maslab_cot",
    "debate": "maslab_llm_debate",
    "DyLAN": "maslab_dylan",
    "GPTSwarm, one node": "gptswarm_io",
    "GPTSwarm, chain": "gptswarm_cot",
}
"""GPTSwarm's adversarial swarm answers with letters, and its trees read files and the web: nothing here is for them."""
CANDIDATES: Final = ("number", "vote_number")
"""Systems that were written for sums, among those that the shipped generator was trained to choose."""
POOL: Final = ("adas_cot_sc", "gptswarm_cot", "gptswarm_io", "maslab_cot", *CANDIDATES)
"""What is measured on the training queries; debate and DyLAN, at 7 and up to 11 calls a query, are not."""
KINDS: Final = ("difference", "product", "sum")
SHIPPED: Final = "shipped generator"
CALLS: Final = 6
"""What a system of the shipped generator may make, as where it was measured."""
MADE: Final = 200
"""Queries of the world, to train on and held out, of which those of an experiment are taken."""
CPU: Final = Measure("CPU s / query", lambda run: run.seconds)


class Extent(NamedTuple):
    """How large it is made: queries of each kind, kinds, systems of the pool, samples of the self-consistencies.

    The search evaluates at most so many `programs`.
    """

    train: int
    held_out: int
    kinds: tuple[str, ...]
    pool: tuple[str, ...]
    fixed: tuple[str, ...]
    samples: tuple[int, ...] = (1, 3, 5)
    programs: int = 200
    seed: int = 0


SIZES: Final[Mapping[Size, Extent]] = {
    "small": Extent(1, 1, KINDS[:1], ("maslab_cot", "number"), ("chain of thought",), (1, 2), programs=2),
    "full": Extent(4, 15, KINDS, POOL, tuple(FIXED)),
}


def run(
    size: Size, out: str, tell: Callable[[str], None], generator: Callable[[], Generator] = shipped_generator
) -> Report:
    """Return accuracy and cost of all ways. Raises what making and opening a world does, and ModelError.

    What stands in `OUT/world/mas.toml` answers: another model may be put there before the first call.
    """
    extent = SIZES[size]
    folder = made_world(
        make_arithmetic, os.path.join(out, "world"), seed=extent.seed, train=MADE, held_out=MADE, paraphrased=0.0
    )
    calls = TimedCalls(out)
    given = digest_of(os.path.join(folder, "mas.toml"))
    train, test = (
        Opened(LocalWorld(folder, queries, calls), queries, out, extent.seed, given)
        for name, count in (("train.jsonl", extent.train), ("held-out.jsonl", extent.held_out))
        for queries in (_of_each_kind(queries_in(folder, name), count, extent.kinds),)
    )
    names = {*extent.pool, *(FIXED[name] for name in extent.fixed)}
    systems = read_systems([_place(name) for name in sorted(names)], train.queries, train.world.host, tools=True)[0]
    pool = [one for one in systems if one.name in extent.pool]
    bound = {one.name: train.world.bound(one.text) for one in systems}
    table = {}
    for name in extent.pool:
        table[name] = train.runs(name, bound[name])
        tell(f"{name} on {len(train.queries)} training queries: done")
    ways, found = _ways(extent, train, pool, bound, table, tell)
    tell(f"the search evaluated {len(found.tried)} programs")
    config = train.world.host.config
    grid = {
        f"{count} sample{'s' * (count > 1)}": self_consistency(count, "default", config) for count in extent.samples
    }
    learned = {name: train.runs(f"sc-{name}", text) for name, text in grid.items()}
    shipped, own = _shipped(test, generator())
    tell(f"{SHIPPED}: {own} of {len(test.queries)} systems are its own")
    measured = {}
    for way in (*ways, shipped):
        measured[way.name] = test.asked(way)
        tell(f"{way.name}, held out: done")
    measured |= {name: test.runs(f"sc-{name}", text) for name, text in grid.items()}
    tell(f"{calls.made} calls were made by this command, all others were kept")
    return _report(extent, [*ways, shipped], found, own, learned, measured, table)


def _place(name: str) -> str:
    folder = "training/generator/candidates/numbers" if name in CANDIDATES else "examples/pool"
    return os.path.join(CHECKOUT, folder, f"{name}.mas")


def _of_each_kind(queries: Sequence[Query], count: int, kinds: Sequence[str]) -> tuple[Query, ...]:
    """Return the first so many queries of each kind with small numbers, in their order."""
    found: dict[str, list[Query]] = {}
    for one in queries:
        if one.metadata["level"] == "small":
            found.setdefault(one.metadata["family"], []).append(one)
    taken = {one.id for name in kinds for one in found[name][:count]}
    return tuple(one for one in queries if one.id in taken)


# ---------------------------------------------------------------- ways


def _ways(
    extent: Extent,
    train: Opened,
    pool: Sequence[PoolSystem],
    bound: Mapping[str, str],
    table: Mapping[str, Sequence[Did]],
    tell: Callable[[str], None],
) -> tuple[list[Way], Found]:
    ways = [Way(name, always(bound[FIXED[name]])) for name in extent.fixed]
    ways.append(Way("nearest system", partial(nearest_system, train, pool, bound)))
    built = tuple(one for runs in table.values() for one in runs)
    names = [one.name for one in pool]
    everything = by_metadata([one._replace(metadata={"all": ""}) for one in train.queries], ["all"])
    scores = scores_of({name: table[name] for name in names}, "tokens")
    [single] = select(scores, everything, [one.hash for one in pool])
    best = names[single.system or 0]
    ways.append(Way(f"best single system ({best})", always(bound[best]), built))

    def evaluate(text: str) -> list[Did]:
        runs = train.runs("search", text)
        tell(f"the search: {mean([one.score for one in runs]):.2f} for {mean([one.seconds for one in runs]):.1f} s")
        return runs

    found = search(
        train.world.host,
        evaluate,
        budget=sum(one.seconds for one in built),
        most=extent.programs,
        seed=extent.seed,
        space=ARITHMETIC,
        cost=CPU.of,
    )
    return [*ways, Way("search", always(found.best.text), found.runs)], found


def _shipped(test: Opened, generator: Generator) -> tuple[Way, int]:
    """Return the systems that a generator writes for each query, and how many of them are its own."""
    world = test.world
    assert isinstance(world, LocalWorld)
    texts: dict[str, str] = {}
    writing: dict[str, Did] = {}
    own = 0
    for query in test.queries:
        text, is_own, writing[query.id] = asyncio.run(world.written(generator, query, CALLS))
        texts[query.id] = world.bound(text)
        own += is_own
    return Way(SHIPPED, lambda query: texts[query.id], writing=writing), own


# ---------------------------------------------------------------- what was found


def _report(
    extent: Extent,
    ways: Sequence[Way],
    found: Found,
    own: int,
    learned: Mapping[str, Sequence[Did]],
    measured: Mapping[str, Sequence[Did]],
    table: Mapping[str, Sequence[Did]],
) -> Report:
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for way in ways:
        runs = measured[way.name]
        wrote = way.writing.values()
        rows.append((way.name, (*_built(way.construction), *_used(runs), mean([one.seconds for one in wrote]) or None)))
    rows += [(f"self-consistency, {name}", (*_built(()), *_used(measured[name]), None)) for name in learned]
    columns = (
        "runs", "k tokens", "CPU s", "wall s",
        "calls / query", "tokens / query", "CPU s / query", "wall s / query", "of these CPU s writing",
    )  # fmt: skip
    title = "**Real model**: construction (in all), then inference, held out"
    tables = (
        accuracy("**Real model**, held out", [way.name for way in ways], learned, measured, CPU),
        Table(title, columns, tuple(rows), False),
    )
    series = [Series(way.name.partition(" (best")[0], (point(measured[way.name], CPU),)) for way in ways]
    series.append(Series("self-consistency, by samples", tuple(point(measured[name], CPU) for name in learned)))
    steps = [one.score for one in found.tried]
    queries = len(next(iter(measured.values())))
    return Report(
        question="Accuracy against cost: ways to come to a system, with a real model",
        world="arithmetic; a real model answers: SmolLM2-135M-Instruct, 4 bits, in this process, on one core",
        over="queries",
        tables=tables,
        picture=Picture("CPU seconds per query", "right answers, held out", tuple(series), log=True),
        facts={
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "pool": list(extent.pool),
            "training queries": len(next(iter(table.values()))),
            "held-out queries": queries,
            "seed": extent.seed,
            "reply tokens": REPLY_TOKENS,
            "text characters": TEXT_CHARACTERS,
            "generator": SHA256,
            "generator's own systems": own,
            "search": {"programs": len(steps), "refused edits": found.refused, "scores": steps, "best": found.best},
        },
        raw={
            "construction": {way.name: list(way.construction) for way in ways},
            "writing": {way.name: way.writing for way in ways if way.writing},
            "pool on training queries": {name: list(runs) for name, runs in table.items()},
            "self-consistency on training queries": {name: list(runs) for name, runs in learned.items()},
            "held out": {name: list(runs) for name, runs in measured.items()},
        },
        reading=(
            f"The search evaluated {len(steps)} programs and refused {found.refused} edits that gave no sound program; "
            f"{own} of {queries} systems of the shipped generator are its own. Replies are cut at {REPLY_TOKENS} "
            f"tokens, texts of typed replies at {TEXT_CHARACTERS} characters. number and vote_number were written for "
            "sums. A gain is over self-consistency at equal cost, in pairs over queries; p is adjusted for all ways."
        ),
    )


def _built(runs: Sequence[Did]) -> tuple[Cell, ...]:
    if not runs:
        return 0, None, None, None
    tokens, cpu, wall = (sum(one) for one in zip(*((did.tokens, did.seconds, did.wall) for did in runs), strict=True))
    return len(runs), tokens / 1000, cpu, wall


def _used(runs: Sequence[Did]) -> tuple[Cell, ...]:
    values = zip(*((did.calls, did.tokens, did.seconds, did.wall) for did in runs), strict=True)
    return tuple(mean([float(one) for one in column]) for column in values)
