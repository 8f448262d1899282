"""CTO of trained players in all three roles of MAS² (arXiv:2509.24323): after SFT, and after preferences of each role.

Three small models (`training.experiments.parts.casting`) write templates, bindings and patches. Arms differ in which of
them are trained further by CTO, on pairs of the same trees, which the players after SFT have grown; and, for all three,
in what the paper leaves open: rewards of at most 1, and Delta V divided by its mean. Each is measured on held-out
queries of the world, and on the same queries with other models behind the tiers: the paper's cross-backbone test.
Beside them are players by rules, and rules that are told the family of the query.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any, Final, NamedTuple

from masdsl.batch.statistics import Interval, holm, mean_interval, paired_test
from masdsl.meta.emission import Terms
from masdsl.meta.retrieval import Known, nearest
from masdsl.meta.roles import Desk, PoolGenerator
from masdsl.runtime import Limits
from masdsl.runtime.models.base import ChatModel
from masdsl.runtime.models.transformers_model import TransformersModel
from training.data.pools import PoolSystem, Query
from training.experiments.parts.casting import CALLS, Arm, Casting
from training.experiments.parts.chain import WORLD, Tell, loaded
from training.experiments.parts.playing import Played, Remembering, played, read_played, write_played
from training.experiments.parts.playing import run as run_bound
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.experiments.parts.running import Did, World, difference_of, queries_in
from training.trees.tree import ROLES, Role

EACH: Final[Mapping[Size, int]] = {"small": 1, "full": 15}
"""Held-out queries of each family that are played."""
BASE: Final = "SFT alone"
ARMS: Final = (
    Arm("L_CTO, generator", ("generator",)),
    Arm("L_CTO, implementer", ("implementer",)),
    Arm("L_CTO, rectifier", ("rectifier",)),
    Arm("L_CTO, all three"),
    Arm("all three, R up to 1", capped=True),
    Arm("all three, Delta V / mean", normalise="mean"),
)
RULES: Final = "rules in all roles"
TOLD: Final = "rules, told the family"
WORLDS: Final = {"here": "", "shifted": "shifted"}
_FILES: Final = {"here": "held-out.jsonl", "shifted": "same.jsonl"}
_HEADS: Final = {
    "here": "**Simulated**: held-out queries, the world of training",
    "shifted": "**Simulated**: the same queries, other models behind the tiers",
}
_TIERS: Final = ("fast", "default", "smart")

Runs = Mapping[str, Sequence[Sequence[Played]]]
"""What became of the queries, for each arm and seed."""


class Stage(NamedTuple):
    """A world that is played in, with its queries."""

    name: str
    world: World
    queries: tuple[Query, ...]


def run(size: Size, out: str, tell: Tell) -> Report:
    """Train the players in every way, and let them play in both worlds."""
    casting = Casting(out, size, tell)
    troupe = _Troupe(casting)
    found: dict[str, Runs] = {}
    for name, folder in WORLDS.items():
        place = os.path.join(casting.world, folder)
        queries = _few(queries_in(place, _FILES[name]), EACH[size])
        found[name] = _runs(casting, troupe, Stage(name, World(place, queries), queries), tell)
    return _report(casting, found)


def _runs(casting: Casting, troupe: _Troupe, stage: Stage, tell: Tell) -> Runs:
    """Return what becomes of the queries of a world under all arms."""
    found = {BASE: [_kept(casting, stage, "sft", partial(troupe.play, stage, {}))]}
    for arm in ARMS:
        found[arm.name] = []
        for seed in casting.scale.seeds[: arm.seeds]:
            adapters = casting.adapters(arm, seed)
            part = f"{arm.folder}-{'-'.join(arm.roles)}-{seed}"
            found[arm.name].append(_kept(casting, stage, part, partial(troupe.play, stage, adapters)))
        tell(f"{stage.name}, {arm.name}: right {_mean(found[arm.name], _right):.1%}")
    pool = casting.pool()[0]
    found[RULES] = [_kept(casting, stage, "rules", partial(_by_rules, stage, pool, None))]
    found[TOLD] = [_kept(casting, stage, "told", partial(_by_rules, stage, pool, casting.by_family()))]
    return found


def _few(queries: Sequence[Query], most: int) -> tuple[Query, ...]:
    """Return the first queries of each family."""
    taken: Counter[str] = Counter()
    found = []
    for query in queries:
        family = str(query.metadata["family"])
        taken[family] += 1
        if taken[family] <= most:
            found.append(query)
    return tuple(found)


def _kept(casting: Casting, stage: Stage, part: str, make: Callable[[], list[Played]]) -> list[Played]:
    path = os.path.join(casting.out, "parts", stage.name, f"{part}.jsonl")
    known = read_played(path)
    if known is None:
        known = make()
        write_played(known, path)
    return known


class _Troupe:
    """The players that are loaded; of one adapter there is one, which remembers what it was asked."""

    def __init__(self, casting: Casting) -> None:
        self._casting = casting
        self._models: dict[tuple[Role, str], ChatModel] = {}
        self._quiet: dict[str, dict[tuple[str, str], Did]] = {}

    def _model(self, role: Role, adapter: str) -> ChatModel:
        if (role, adapter) not in self._models:
            backbone = loaded(self._casting.player(role), adapter or None)
            backbone.model.eval()
            model = TransformersModel(role, loaded=tuple(backbone), timeout=600)
            self._models[role, adapter] = Remembering(model)
        return self._models[role, adapter]

    def play(self, stage: Stage, adapters: Mapping[Role, str]) -> list[Played]:
        """Return what becomes of the queries with these adapters, and players after SFT in the other roles."""
        models = {role: self._model(role, adapters.get(role, "")) for role in ROLES}
        return played(models, stage.queries, stage.world, self._quiet.setdefault(stage.name, {}))


def _by_rules(stage: Stage, pool: Sequence[PoolSystem], told: Mapping[str, PoolSystem] | None) -> list[Played]:
    """Return what becomes of queries with rules in all roles; `told` is the system of each family."""
    world = stage.world
    known = [Known(one.name, one.text, one.about, one.about) for one in pool]
    desk = Desk(world.host, world.shape, Limits(calls=CALLS), Terms(), lambda model: model)
    done = []
    for query in stage.queries:
        if told is None:
            examples = nearest(query.text, known, len(known))
            task = world.task._replace(query=query.text)
            text = asyncio.run(PoolGenerator().generate(task, examples, desk)).text
        else:
            text = told[str(query.metadata["family"])].text
        did = run_bound(world.bound(text), query, world, rectifier=True)
        done.append(Played(next((one.hash[:8] for one in pool if one.text == text), ""), did=did))
    return done


# ---------------------------------------------------------------- what was found


def _right(one: Played) -> float:
    return one.did.score


def _mean(seeds: Sequence[Sequence[Played]], value: Callable[[Played], float]) -> float:
    return fmean(value(one) for seed in seeds for one in seed)


def _by_query(seeds: Sequence[Sequence[Played]], value: Callable[[Played], float]) -> list[float]:
    """Return the mean over seeds for each query."""
    return [fmean(map(value, column)) for column in zip(*seeds, strict=True)]


def rewards(runs: Runs) -> dict[str, list[float]]:
    """Return R (8) for each query, the mean over seeds: of a success the mean cost of all runs on it / its own cost."""
    means = []
    for column in zip(*(seed for seeds in runs.values() for seed in seeds), strict=True):
        costs = [one.did.picodollars for one in column if one.did.picodollars]
        means.append(fmean(costs) if costs else 0.0)

    def of(seed: Sequence[Played]) -> list[float]:
        return [
            one.did.score * mean / one.did.picodollars if one.did.picodollars else 0.0
            for one, mean in zip(seed, means, strict=True)
        ]

    return {name: [fmean(column) for column in zip(*map(of, seeds), strict=True)] for name, seeds in runs.items()}


class Compared(NamedTuple):
    """An arm beside SFT alone in one world: its gain in right answers and in R, and p of each, adjusted."""

    gain: Interval
    p: float
    p_reward: float


def compared(found: Mapping[str, Runs]) -> dict[tuple[str, str], Compared]:
    """Return every arm beside SFT alone in each world; p is adjusted for all of them, for each of the two figures."""
    keys, differences, tests, of_reward = [], [], [], []
    for world, runs in found.items():
        worth = rewards(runs)
        base = _by_query(runs[BASE], _right)
        for name, seeds in runs.items():
            if name != BASE:
                own = _by_query(seeds, _right)
                keys.append((world, name))
                differences.append(difference_of([one - two for one, two in zip(own, base, strict=True)]))
                tests.append(paired_test(own, base).p)
                of_reward.append(paired_test(worth[name], worth[BASE]).p)
    beside = map(Compared, differences, holm(tests), holm(of_reward))
    return dict(zip(keys, beside, strict=True))


def _report(casting: Casting, found: Mapping[str, Runs]) -> Report:
    beside = compared(found)
    tables = []
    for world, runs in found.items():
        tables += [_outcomes(world, runs, beside), _writing(world, runs)]
    card = casting.card()
    scale = casting.scale
    return Report(
        question="CTO of trained players in all three roles",
        world=WORLD,
        over="held-out queries (the mean over seeds of each)",
        tables=tuple(tables),
        picture=Picture(
            "mUSD / query",
            "right",
            tuple(
                Series(f"{name}, {world}", (Point(1e3 * _mean(seeds, lambda one: one.did.usd), _interval(seeds)),))
                for world, runs in found.items()
                for name, seeds in runs.items()
                if name in (BASE, "L_CTO, all three", "all three, R up to 1", RULES, TOLD)
            ),
        ),
        facts={
            "scale": scale._asdict(),
            "systems by inter-consistency": {name: one.name for name, one in casting.by_family().items()},
            "pairs": casting.count(casting.pairs()),
            "pairs, R up to 1": casting.count(casting.pairs(capped=True)),
            "trees": {key: card[key] for key in ("trajectories", "trajectories_that_succeeded", "runs", "forks")},
            "options in trees": card["options"],
            "refused in trees": card["refused"],
        },
        raw={world: {name: _raw(seeds) for name, seeds in runs.items()} for world, runs in found.items()},
        reading=(
            "R is (8) with the mean cost of all runs on a query in this table, so it can be compared within a table "
            "alone. Seeds are of the preference stage; all arms begin from the same players after SFT, and learn from "
            "the same trees. Where intervals of gains hold 0, nothing is shown."
        ),
    )


def _interval(seeds: Sequence[Sequence[Played]]) -> Interval:
    return mean_interval(_by_query(seeds, _right))


def _outcomes(world: str, runs: Runs, beside: Mapping[tuple[str, str], Compared]) -> Table:
    columns = ("right (%)", "gain (points)", "p (Holm)", "mUSD / query", "R", "p of R (Holm)")
    worth = rewards(runs)
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, seeds in runs.items():
        one = beside.get((world, name))
        told: tuple[Cell, ...] = (None, None) if one is None else (one.gain, one.p)
        cost = 1e3 * _mean(seeds, lambda played: played.did.usd)
        rows.append((name, (_interval(seeds), *told, cost, fmean(worth[name]), None if one is None else one.p_reward)))
    return Table(_HEADS[world], columns, tuple(rows))


def _writing(world: str, runs: Runs) -> Table:
    columns = (
        "programs valid (%)", "systems", "bindings valid (%)", "fast / default / smart (%)", "asked / run",
        "patches valid (%)", "ended (%)",
    )  # fmt: skip
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, seeds in runs.items():
        everything = [one for seed in seeds for one in seed]
        to_bind = [one.bound for one in everything if one.bound is not None]
        tiers = [tier for one in everything for tier in one.tiers]
        asked = sum(one.did.asked for one in everything)
        is_rules = name in (RULES, TOLD)
        repairs = sum(one.did.patched if is_rules else one.repairs for one in everything)
        shares = " / ".join(f"{100 * tiers.count(tier) / len(tiers):.0f}" for tier in _TIERS) if tiers else None
        programs = f"{100 * _mean(seeds, lambda played: bool(played.system)):.0f}"
        rows.append(
            (
                name,
                (
                    None if is_rules else programs,
                    len({one.system for one in everything if one.system}),
                    f"{100 * fmean(to_bind):.0f}" if to_bind else None,
                    shares,
                    round(asked / len(everything), 3),
                    f"{100 * repairs / asked:.0f}" if asked else None,
                    f"{100 * _mean(seeds, lambda played: played.did.ended):.0f}",
                ),
            )
        )
    return Table(f"What the roles write: {_HEADS[world]}", columns, tuple(rows))


def _raw(seeds: Sequence[Sequence[Played]]) -> list[dict[str, Any]]:
    """Return the numbers of each seed, a list over queries each."""
    return [
        {
            "right": [one.did.score for one in seed],
            "picodollars": [one.did.picodollars for one in seed],
            "system": [one.system for one in seed],
            "fixed": [one.fixed for one in seed],
            "bound": [one.bound for one in seed],
            "tiers": [list(one.tiers) for one in seed],
            "asked": [one.did.asked for one in seed],
            "patched": [one.did.patched for one in seed],
            "ended": [one.did.ended for one in seed],
        }
        for seed in seeds
    ]
