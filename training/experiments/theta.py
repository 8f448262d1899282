"""When should the rectifier be asked? theta_C swept under injected faults, in the simulated world.

    A_R(s_t) = C(s_t) > theta_C  or  O(s_t) = Failure              (5)

Source: MAS² (arXiv:2509.24323), which names no theta_C.

The same systems answer the same queries without a rectifier, with one that is asked about failures alone, and with
thresholds from half of a run's budget on. The rectifier is the one of rules (`masdsl.rectify.rules`): it asks no model,
so a run's cost is that of its own calls. Faults of models and tools are injected by the world, at three levels. A run
may take as many calls as its system does at worst (`ample`), or three fifths of that, rounded up (`tight`): what is
refused then is a failure, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from masdsl.batch.statistics import holm, mean_interval, paired_test
from masdsl.meta.systems import repairable
from masdsl.runtime import Limits
from training.data.pools import Query, read_systems
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.experiments.parts.running import (
    Did,
    World,
    difference_of,
    kept,
    mean,
    over_queries,
    queries_in,
    simulated,
)
from training.worlds.simulated import CHECKOUT

TRIES: Final = 3
"""Patches that a run may have."""
THETAS: Final = (0.5, 0.65, 0.8, 0.95)
BUDGETS: Final = {"ample": 1.0, "tight": 0.6}
SYSTEMS: Final = (
    "examples/pool/gptswarm_cot.mas",
    "examples/pool/masgpt_self_consistency.mas",
    "examples/pool/maslab_dylan.mas",
    "examples/pool/maslab_llm_debate.mas",
    "examples/pool/self_refine.mas",
    "training/worlds/systems/calculate.mas",
    "training/worlds/systems/look_up.mas",
)
NOBODY: Final = "no rectifier"
FAILURES: Final = "failures only"


class Extent(NamedTuple):
    """How large it is made: `faults` are factors of the models' faults with the share of requests that tools fail."""

    faults: tuple[tuple[float, float], ...]
    queries: int
    systems: tuple[str, ...]
    thetas: tuple[float, ...]
    seed: int = 0


SIZES: Final[Mapping[Size, Extent]] = {
    "small": Extent(((15.0, 0.5),), 2, SYSTEMS[1::5], (0.5,)),
    "full": Extent(((1.0, 0.1), (10.0, 0.4)), 32, SYSTEMS, THETAS),
}


class Condition(NamedTuple):
    """Faults of the world, the budget of a run, and when the rectifier is asked."""

    faults: float
    tool_fails: float
    budget: str
    asked: str


def run(size: Size, out: str, tell: Callable[[str], None]) -> Report:
    """Return what came of all conditions, over systems and queries. Raises what making and opening a world does."""
    extent = SIZES[size]
    found: dict[Condition, dict[str, list[Did]]] = {}
    for faults, tool_fails in extent.faults:
        folder = simulated(
            os.path.join(out, f"world-{faults:g}"),
            seed=extent.seed,
            train=1,
            held_out=extent.queries,
            faults=faults,
            tool_fails=tool_fails,
        )
        queries = queries_in(folder, "held-out.jsonl")
        world = World(folder, queries)
        paths = [os.path.join(CHECKOUT, path) for path in extent.systems]
        systems, _ = read_systems(paths, queries, world.host, tools=True)
        bound = {one.name: world.bound(one.text) for one in systems}
        for budget in BUDGETS:
            for asked in (NOBODY, FAILURES, *(f"theta {theta:.0%}" for theta in extent.thetas)):
                condition = Condition(faults, tool_fails, budget, asked)
                found[condition] = {
                    name: _runs(world, out, name, text, queries, condition, extent) for name, text in bound.items()
                }
                tell(f"faults x {faults:g}, {budget} budget, {asked}: done")
    return _report(found, extent)


def _runs(
    world: World, out: str, name: str, text: str, queries: tuple[Query, ...], condition: Condition, extent: Extent
) -> list[Did]:
    most = world.most_calls(text)
    # In whole percent, so that no rounding of binary fractions adds a call.
    calls = max(1, -(-most * round(100 * BUDGETS[condition.budget]) // 100))
    theta = None
    if condition.asked not in (NOBODY, FAILURES):
        theta = float(condition.asked.removeprefix("theta ").removesuffix("%")) / 100
    if condition.asked != NOBODY:
        text = repairable(text, TRIES, theta)
    settings = [text, [one.id for one in queries], condition, calls, extent.seed]
    made = partial(
        world.runs,
        text,
        queries,
        seed=extent.seed,
        rectifier=condition.asked != NOBODY,
        limits=Limits(calls=calls),
    )
    return kept(out, name, settings, made)


# ---------------------------------------------------------------- what was found


def _gain(runs: Mapping[str, list[Did]], base: Mapping[str, list[Did]]) -> list[float]:
    """Return by how much more of the systems' runs were right on each query than without a rectifier."""
    with_it, without = (over_queries(one, lambda did: did.score) for one in (runs, base))
    return [one - other for one, other in zip(with_it, without, strict=True)]


def _report(found: Mapping[Condition, Mapping[str, list[Did]]], extent: Extent) -> Report:
    rows: dict[float, list[tuple[str, tuple[Cell, ...]]]] = {}
    p_values, places = [], []
    for condition, runs in found.items():
        base = found[condition._replace(asked=NOBODY)]
        if condition.asked != NOBODY:
            mine, others = (over_queries(one, lambda did: did.score) for one in (runs, base))
            p_values.append(paired_test(mine, others).p)
            places.append(condition)
    adjusted = dict(zip(places, holm(p_values), strict=True))
    for condition, runs in found.items():
        base = found[condition._replace(asked=NOBODY)]
        every = [one for part in runs.values() for one in part]
        gain = None if condition.asked == NOBODY else difference_of(_gain(runs, base))
        spent, before = (mean(over_queries(one, lambda did: did.usd)) for one in (runs, base))
        cells: tuple[Cell, ...] = (
            round(mean([one.asked for one in every]), 3),
            round(mean([one.patched for one in every]), 3),
            f"{100 * mean([one.ended for one in every]):.1f}",
            mean_interval(over_queries(runs, lambda did: did.score)),
            gain,
            adjusted.get(condition),
            f"{spent / before:.2f}" if before else None,
            round(mean([one.calls for one in every]), 2),
        )
        rows.setdefault(condition.faults, []).append((f"{condition.budget}, {condition.asked}", cells))
    columns = ("asked / run", "patches / run", "ended (%)", "right (%)", "gain (points)", "p (Holm)", "cost", "calls")
    tables = tuple(
        Table(
            f"**Simulated**: models' faults x {faults:g}, tools fail {tool_fails:.0%} of requests "
            "(cost: beside no rectifier)",
            columns,
            tuple(rows[faults]),
        )
        for faults, tool_fails in extent.faults
    )
    order = (FAILURES, *(f"theta {theta:.0%}" for theta in reversed(extent.thetas)))
    series = tuple(
        Series(
            f"faults x {faults:g}, {budget}",
            tuple(
                Point(asked, difference_of(_gain(found[at._replace(asked=asked)], found[at._replace(asked=NOBODY)])))
                for asked in order
            ),
        )
        for faults, tool_fails in extent.faults
        for budget in BUDGETS
        for at in (Condition(faults, tool_fails, budget, NOBODY),)
    )
    return Report(
        question="When should the rectifier be asked: theta_C under injected faults",
        world="simulated; models are rules, no claim about any real model",
        over="queries (of each, the mean over systems)",
        tables=tables,
        picture=Picture("when it is asked", "gain in right answers over no rectifier", series),
        facts={
            "systems": list(extent.systems),
            "queries": extent.queries,
            "seed": extent.seed,
            "rectifier": f"rules, at most {TRIES} patches a run",
            "budgets (share of the worst case of calls)": BUDGETS,
            "faults": extent.faults,
        },
        raw=[[*condition, {name: list(runs) for name, runs in one.items()}] for condition, one in found.items()],
        reading=(
            "Gains are paired: the same systems, queries and seeds with and without a rectifier; p is for no "
            f"difference at all, adjusted for all {len(p_values)} comparisons. The rectifier costs nothing itself, and "
            "its rules know nothing of answers: a default or a dropped step lets a run end, which does not make it "
            "right."
        ),
    )
