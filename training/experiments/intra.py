"""Intra-consistency and inter-consistency against pairing at random: four ways to make the same rows, and two more.

MAS-GPT (arXiv:2503.03686, section 3) gives a group of queries one system (inter-consistency), and then lets a teacher
fit its prompts to each query, which is kept where it scores no less (intra-consistency). Its ablation has no pairing at
random, and says nothing about how much of what is kept is chance. Here every arm is a construction by `training.data`,
whose refining stage asks a **simulated** teacher (`training.worlds.teacher`), in a **simulated** world whose models
heed words of method (`training.worlds.methods`); the rows train the same small model in the same steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Final, Literal, NamedTuple

from masdsl.batch.statistics import Interval, holm, mean_interval, paired_test
from masdsl.meta.systems import compact
from masdsl.meta.task import SIGNATURE
from training.data.construction import construct, read_refinements
from training.data.export import unique
from training.data.plan import Evaluation, Export, Groups, Plan, Queries, Refinement, Systems
from training.data.pools import Query, read_queries, write_text
from training.experiments.parts.chain import (
    CALLS,
    GRADER,
    SCALES,
    TOOLS,
    WORLD,
    Chain,
    Scale,
    Tell,
    loaded,
    trained,
    with_tools,
)
from training.experiments.parts.prompting import KINDS, Copied, Kind, Made, Tried, copied, kind_of, tried
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.experiments.parts.running import difference_of, mean, simulated
from training.rates.measuring import Measured
from training.stage.faults import TrainingFault
from training.worlds.simulated import TEACHER

METHOD: Final = 1.0
MISFIT: Final = 1.0
"""Log odds that a fitting method adds, and that one of another family takes away: set before anything was measured."""
BUDGET: Final = "calls 5000"
"""What the teacher may take for one construction."""
PLACE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "refinable")
"""Six systems as in the other experiments on training, whose agents are their own: those of the standard library cannot
be refined, since a program does not hold their prompts."""


class Arm(NamedTuple):
    """A way to make rows: any system for a query or the best of its family; who refines for what, in how many runs."""

    name: str
    folder: str
    system: Literal["best", "random"]
    unit: Literal["query", "group"] | None = None
    repetitions: int = 1


ARMS: Final = (
    Arm("any system", "any", "random"),
    Arm("any system + intra", "any-intra", "random", "query"),
    Arm("inter", "inter", "best"),
    Arm("inter + intra", "inter-intra", "best", "query"),
    Arm("inter + intra, 10 runs a score", "inter-intra-10", "best", "query", 10),
    Arm("inter + intra for a family", "inter-intra-family", "best", "group"),
)
COMPARED: Final = (
    ("any system + intra", "any system"),
    ("inter", "any system"),
    ("inter + intra", "inter"),
    ("inter + intra, 10 runs a score", "inter"),
    ("inter + intra for a family", "inter"),
    ("inter + intra", "any system + intra"),
)
"""Pairs of arms, chosen beforehand."""


class Extent(NamedTuple):
    """How large it is: the chain's scale, draws of the pairing at random, how many of the held-out queries the trained
    model is asked, runs for what a prompt really does, numbers of runs to decide by, and rows that each held-out query
    is answered by.
    """

    scale: Scale
    draws: int
    asked: int
    samples: int
    decided_by: tuple[int, ...]
    copies: int


SIZES: Final[dict[Size, Extent]] = {
    "small": Extent(SCALES["small"]._replace(train=8, seeds=(0,)), 1, 2, 4, (1, 2), 1),
    "full": Extent(SCALES["full"]._replace(held_out=80, steps=240, batch=8, seeds=(0,)), 3, 60, 40, (1, 5, 20), 8),
}


def run(size: Size, out: str, tell: Tell) -> Report:
    """Make the rows of every arm, train on them, and measure what is emitted for held-out queries."""
    extent, out = SIZES[size], os.path.abspath(out)
    scale = extent.scale
    folder = simulated(
        os.path.join(out, "world"), train=scale.train, held_out=scale.held_out, method=METHOD, misfit=MISFIT
    )
    queries = {one.id: one for one in read_queries([os.path.join(folder, "train.jsonl")])}
    made = {(arm.name, seed): _made(arm, seed, folder, tell) for arm in ARMS for seed in _draws(arm, extent)}
    chosen = {one.id for one in made["inter", 0].rows}
    if not chosen:
        raise TrainingFault("no system of the pool solved a query of the world; make it larger")
    chain = Chain(out, scale, tell)
    asked = chain.asked("held-out.jsonl", limit=extent.asked)
    by_query = {arm.name: made[arm.name, 0] for arm in ARMS if arm.unit == "query"}
    prompts = tried(by_query, queries, folder, out, extent.samples)
    found: dict[str, list[tuple[Measured, ...]]] = {arm.name: [] for arm in ARMS}
    for seed in scale.seeds:
        for arm in ARMS:
            rows = [one for one in made[arm.name, _draw(arm, seed)].rows if one.id in chosen]
            place = os.path.join(out, f"{arm.folder}-{seed}")
            model = trained(rows, place, scale, tell, seed=seed)
            measured = chain.written(loaded(model), asked, os.path.join(place, "held-out.jsonl"))
            found[arm.name].append(measured)
            tell(f"{arm.name}, seed {seed}: {sum(one.score for one in measured):g} of {len(measured)} right")
    held = read_queries([os.path.join(folder, "held-out.jsonl")])
    itself = {
        arm.name: copied(
            [made[arm.name, seed] for seed in _draws(arm, extent)], chosen, queries, held, folder, out, extent.copies
        )
        for arm in ARMS
    }
    return _report(extent, made, chosen, queries, found, prompts, itself)


def _draw(arm: Arm, seed: int) -> int:
    """Return the seed of the pairing: only one at random has more than one."""
    return seed if arm.system == "random" else 0


def _draws(arm: Arm, extent: Extent) -> list[int]:
    return sorted({_draw(arm, seed) for seed in (*extent.scale.seeds, *range(extent.draws))})


# ---------------------------------------------------------------- rows


def _made(arm: Arm, seed: int, folder: str, tell: Tell) -> Made:
    """Construct the rows of an arm; what is there is not made again."""
    places = os.path.join(folder, "systems")
    for name in sorted(os.listdir(PLACE)):
        if name.endswith(".mas"):
            with open(os.path.join(PLACE, name), encoding="utf-8") as file:
                write_text(os.path.join(places, name), with_tools(compact(file.read())))
    own = os.path.join(folder, f"data-{arm.folder}-{seed}")
    plan = Plan(
        Queries((os.path.join(folder, "train.jsonl"),)),
        Systems((places,), most_calls=CALLS, tools=True),
        Evaluation(GRADER, seed=0, workers=0),
        Groups("query" if arm.system == "random" else "metadata", ("family",), seed=seed, system=arm.system),
        Refinement(
            teacher=TEACHER.tier if arm.unit else None,
            unit=arm.unit or "query",
            budget=BUDGET if arm.unit else None,
            repetitions=arm.repetitions if arm.repetitions > 1 else None,
        ),
        # Which queries are taken is decided once, by inter-consistency, for all arms alike.
        Export(keep="all" if arm.system == "random" else "solved"),
    )
    done = construct(plan, own, tell=tell)
    rows = tuple(
        one._replace(program=with_tools(compact(one.program)), signature=SIGNATURE, tools=TOOLS, calls=CALLS)
        for one in done.examples
    )
    return Made(unique(rows), read_refinements(own) if arm.unit else {}, done.card, own)


# ---------------------------------------------------------------- what was found


def _report(
    extent: Extent,
    made: Mapping[tuple[str, int], Made],
    chosen: set[str],
    queries: Mapping[str, Query],
    found: Mapping[str, Sequence[tuple[Measured, ...]]],
    prompts: Sequence[Tried],
    copies: Mapping[str, Sequence[Copied]],
) -> Report:
    right = {name: _over_seeds(several, lambda one: one.score) for name, several in found.items()}
    itself = {name: [one.score for one in several] for name, several in copies.items()}
    ps = holm([paired_test(right[one], right[other]).p for one, other in COMPARED])
    own_ps = holm([paired_test(itself[one], itself[other]).p for one, other in COMPARED])
    compared: list[tuple[str, tuple[Cell, ...]]] = []
    for (one, other), p, own_p in zip(COMPARED, ps, own_ps, strict=True):
        by_seed = [
            100 * (fmean(each.score for each in first) - fmean(each.score for each in second))
            for first, second in zip(found[one], found[other], strict=True)
        ]
        seeds = ", ".join(f"{each:+.0f}" for each in by_seed)
        cells = (_gain(itself[one], itself[other]), own_p, _gain(right[one], right[other]), p, seeds)
        compared.append((f"{one}, beside: {other}", cells))
    differences = ("gain of the rows (points)", "p (Holm)", "gain after SFT (points)", "p (Holm) after SFT", "by seed")
    direct = tuple(
        (name, (mean_interval(of), round(mean([one.tokens for one in copies[name]])))) for name, of in itself.items()
    )
    rows = tuple((name, _emitted(several)) for name, several in found.items())
    yields = tuple((arm.name, _yield(made[arm.name, 0], chosen)) for arm in ARMS if arm.unit)
    decided = [one for one in prompts if one.arm != _TENFOLD]
    by_others = (f"by {runs} other runs (%)" for runs in extent.decided_by)
    columns = ("scored", "really changes (points)", "kept by 1 run (%)", *by_others, "kept by 10 runs (%)")
    kinds: list[tuple[str, tuple[Cell, ...]]] = []
    for kind in KINDS:
        of = [one for one in decided if one.kind == kind]
        ten = [one for one in prompts if one.arm == _TENFOLD and one.kind == kind]
        kinds.append((_KIND_NAMES[kind], (len(of), *_of_kind(of, ten, extent))))
    worse = [one for one in decided if one.change < -_CLEARLY]
    ten = [one for one in prompts if one.arm == _TENFOLD and one.change < -_CLEARLY]
    told = f"any that really loses more than {100 * _CLEARLY:g} points"
    kinds.append((told, (len(worse), *_of_kind(worse, ten, extent))))
    held = ("fits (%)", "right (%)", "with a fitting method (%)", "with another's (%)", "tokens of a run", "programs")
    given = (
        "teacher's calls",
        "its k tokens",
        "faults told",
        "patches scored",
        "kept",
        "rows refined",
        "programs of rows",
    )
    return Report(
        question="What do inter- and intra-consistency add to pairing at random?",
        world=f"{WORLD}; prompts have words of method, and the teacher is simulated as well",
        over="held-out queries (the mean over seeds of each); in the last table over patches",
        tables=(
            Table(
                "**Simulated**: the rows' own programs on held-out queries", ("right (%)", "tokens of a run"), direct
            ),
            Table("**Simulated**: what is emitted after SFT on the same queries", held, rows),
            Table("**Simulated**: differences", differences, tuple(compared)),
            Table("**Simulated**: what the teacher gave, seed 0", given, yields),
            Table("**Simulated**: patches of one query, seed 0", columns, tuple(kinds)),
        ),
        picture=Picture(
            "rows",
            "right answers, held out",
            (
                Series("the rows' own programs", tuple(Point(name, mean_interval(of)) for name, of in itself.items())),
                Series("after SFT", tuple(Point(name, mean_interval(of)) for name, of in right.items())),
            ),
        ),
        facts={"scale": extent.scale._asdict(), "method": METHOD, "misfit": MISFIT, "teacher": dict(TEACHER.options)}
        | {"queries of the rows": len(chosen), "runs of each prompt": extent.samples},
        raw={
            "held out": {name: [[one.to_json() for one in each] for each in of] for name, of in found.items()},
            "rows": {
                f"{name}, {seed}": [one.row("compact") for one in each.rows] for (name, seed), each in made.items()
            },
            "units": {
                arm.name: {" ".join(ids): one.to_json() for ids, one in made[arm.name, 0].units.items()}
                for arm in ARMS
                if arm.unit
            },
            "copied": {name: list(of) for name, of in copies.items()},
            "patches": [one._asdict() for one in prompts],
            "families": {one.id: one.metadata["family"] for one in queries.values()},
        },
        reading=(
            "Queries are those that the system of their family solves. The rows' own programs: each held-out query is "
            "answered by rows of its family in turn, without a model that has learned them. A patch is kept where its "
            "runs on the query score no less than those of the base. Really: by runs with other seeds than those that "
            "decided; other runs are drawn of these, and 10 runs are those of the arm that has them. Seeds are of the "
            "model, and of the pairing where it is at random; the teacher has one."
        ),
    )


_TENFOLD: Final = "inter + intra, 10 runs a score"
_CLEARLY: Final = 0.1
"""From which loss on a patch is worse: what so many runs can tell from chance, about."""
_KIND_NAMES: Final[dict[Kind, str]] = {
    "fits": "a method of the query's family",
    "neither": "none",
    "misleads": "a method of another family",
}


def _gain(one: Sequence[float], other: Sequence[float]) -> Interval:
    return difference_of([first - second for first, second in zip(one, other, strict=True)])


def _over_seeds(several: Sequence[tuple[Measured, ...]], value: Callable[[Measured], float]) -> list[float]:
    return [fmean(value(one) for one in same) for same in zip(*several, strict=True)]


def _emitted(several: Sequence[tuple[Measured, ...]]) -> tuple[Cell, ...]:
    ran = [one for each in several for one in each if one.ran]
    fits = mean_interval(_over_seeds(several, lambda one: float(one.fits)))
    right = mean_interval(_over_seeds(several, lambda one: one.score))
    kinds = [kind_of(one.program, one.family) if one.fits else None for each in several for one in each]
    shares = [round(100 * fmean(one == kind for one in kinds), 1) for kind in ("fits", "misleads")]
    programs = fmean(len({one.hash for one in each if one.fits}) for each in several)
    return fits, right, *shares, round(fmean(one.run_tokens for one in ran)) if ran else None, round(programs, 1)


def _yield(made: Made, chosen: set[str]) -> tuple[Cell, ...]:
    units = made.units.values()
    rows = [one for one in made.rows if one.id in chosen]
    return (
        sum(one.spent.calls for one in units),
        round(sum(one.spent.tokens for one in units) / 1000, 1),
        sum(len(one.refused) for one in units),
        sum(len(one.attempts) for one in units),
        sum(bool(one.patch) for one in units),
        f"{sum(bool(one.provenance['patch']) for one in rows)} of {len(rows)}",
        len({one.hash for one in rows}),
    )


def _of_kind(of: Sequence[Tried], ten: Sequence[Tried], extent: Extent) -> tuple[Cell, ...]:
    if not of:
        return (None,) * (3 + len(extent.decided_by))
    return (
        difference_of([one.change for one in of]),
        mean_interval([float(one.accepted) for one in of]),
        *(mean_interval([one.taken(runs) for one in of]) for runs in extent.decided_by),
        mean_interval([float(one.accepted) for one in ten]) if ten else None,
    )
