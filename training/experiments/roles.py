"""With and without each of the three roles of MAS² (arXiv:2509.24323), played by rules, in the simulated world.

What is learned, and how: on trees of the training queries (`training.trees`, meta-agents by rules), V(v) by (9) is
averaged over all options of one name: for each family the system of the pool (generator); for each family and system
the way of binding it, of `adequate`, `cheapest` and `dearest` (implementer); for each trigger the kind of patch, by
the word of its first edit, or leaving the run alone (rectifier). The role then takes what had the highest mean: no
model is trained here, and the family of a query is told. Without a role, the generator's place is taken by the nearest
system, the implementer's by the tier `default` everywhere, the rectifier's by nobody.

Beside it stand all three roles learned in the same way by the share of successes alone, whatever they cost; the
built-in rules of all roles; and on trees of the held-out queries the best trajectory of each tree:
an upper bound for choices among what was sampled there, which nobody can reach who does not know the answers; and the
mean over all trajectories, which is what choices at random come to.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product
from typing import Any, Final, Literal, NamedTuple

from masdsl.batch.statistics import holm, mean_interval, paired_test
from masdsl.check.program import Program
from masdsl.decode.binding import open_roles
from masdsl.diagnostics.base import Findings
from masdsl.meta.emission import Terms
from masdsl.meta.retrieval import Known, about, nearest, title
from masdsl.meta.roles import Desk, PoolGenerator, by_price
from masdsl.meta.systems import parsed, repairable, with_binding
from masdsl.rectify import Proposal, Rectifier, State
from masdsl.rectify.rules import proposals
from masdsl.runtime import Limits
from training.data.pools import PoolSystem, Query, read_systems
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.experiments.parts.running import Did, World, difference_of, kept, mean, queries_in, score_of, simulated
from training.trees.command import Paths, grow
from training.trees.plan import RULES, Branches, Generator, Plan, Player, Queries, Runs, Success, Work
from training.trees.tree import Tree, decisions, paths, tree_from_json
from training.trees.values import values
from training.worlds.simulated import CHECKOUT

ROLES: Final = ("generator", "implementer", "rectifier")
BINDINGS: Final = ("adequate", "cheapest", "dearest")
ALONE: Final = "left alone"
_LOOKED_AT: Final = 8
"""Patches of the rules among which a kind is looked for."""
SYSTEMS: Final = (
    "examples/pool/adas_step_back.mas",
    "examples/pool/gptswarm_cot.mas",
    "examples/pool/gptswarm_io.mas",
    "examples/pool/masgpt_self_consistency.mas",
    "examples/pool/maslab_cot.mas",
    "training/worlds/systems/calculate.mas",
    "training/worlds/systems/checked.mas",
    "training/worlds/systems/look_up.mas",
)
TOOLS: Final = (
    'tool look_up(query) -> text else "Nothing was found." from "world.look_up"',
    'tool calculate(expression: text(60)) -> text(20) else "no result" from "world.calculate"',
)


class Extent(NamedTuple):
    """How large it is made; `bounded` is of how many held-out queries trees are grown, for the bounds."""

    train: int
    held_out: int
    bounded: int
    systems: tuple[str, ...]
    faults: float = 10.0
    tool_fails: float = 0.4
    calls: int = 8
    seed: int = 0


SIZES: Final[Mapping[Size, Extent]] = {
    "small": Extent(2, 2, 1, SYSTEMS[2::5]),
    "full": Extent(40, 60, 24, SYSTEMS),
}


class Learned(NamedTuple):
    """What was learned: a system for each family, a way of binding, a kind of patch; with the mean values behind it."""

    systems: Mapping[str, str]
    bindings: Mapping[tuple[str, str], str]
    patches: Mapping[str, str]
    means: Mapping[str, Mapping[str, tuple[float, int]]]


class LearnedRectifier:
    """Proposes the first patch of the rules that is of the kind learned for the trigger, else their first one."""

    name = "learned kind of patch"
    trusted = True

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds

    async def propose(self, state: State) -> Proposal | str:
        """Return a patch, or why there is none."""
        kind = self._kinds.get("cost" if state.trigger.kind == "threshold" else "failure", "")
        if kind == ALONE:
            return "runs are left alone: what was learned says so"
        found = list(islice(proposals(state), _LOOKED_AT))
        if not found:
            return "no rule gives a patch that may be applied"
        return next((one for one in found if _kind_of(one.patch) == kind), found[0])


def _kind_of(patch: str) -> str:
    """Return the word that the first edit of a patch begins with, as trees call it."""
    return next((line.split()[0] for line in patch.splitlines()[1:] if line.strip()), "")


def run(size: Size, out: str, tell: Callable[[str], None]) -> Report:
    """Return what came of all eight choices of roles. Raises what growing trees and opening a world does."""
    extent = SIZES[size]
    folder = simulated(
        os.path.join(out, "world"),
        seed=extent.seed,
        train=extent.train,
        held_out=extent.held_out,
        faults=extent.faults,
        tool_fails=extent.tool_fails,
    )
    train, queries = queries_in(folder, "train.jsonl"), queries_in(folder, "held-out.jsonl")
    grown = list(_grown(extent, folder, "train.jsonl", None, os.path.join(out, "trees")))
    learned, by_success = learn(grown, train, by="value"), learn(grown, train, by="success")
    tell(f"learned of {extent.train} trees: {', '.join(f'{one}: {name}' for one, name in learned.systems.items())}")
    bounds = [one for one, _ in _grown(extent, folder, "held-out.jsonl", extent.bounded, os.path.join(out, "bounds"))]
    world = World(folder, queries)
    places = [os.path.join(CHECKOUT, path) for path in extent.systems]
    pool, _ = read_systems(places, queries, world.host, tools=True)
    cast = Cast(world, {one.name: one for one in pool}, learned, queries, out, extent)
    found: dict[str, list[Did]] = {}
    for has in product((False, True), repeat=len(ROLES)):
        name = " + ".join(role for role, is_there in zip(ROLES, has, strict=True) if is_there) or "no role"
        found[name] = cast.runs(*has)
        tell(f"{name}: done")
    found["all three, learned by success alone"] = cast._replace(learned=by_success).runs(True, True, True)
    found["built-in rules of all roles"] = cast.by_rules()
    return _report(extent, learned, by_success, found, bounds)


def _grown(
    extent: Extent, folder: str, name: str, limit: int | None, out: str
) -> Iterator[tuple[Tree, Mapping[str, str]]]:
    """Grow trees, unless they are there, and yield them with the names of their options."""
    plan = Plan(
        queries=Queries((os.path.join(folder, name),), limit),
        success=Success("exact"),
        branches=Branches(rounds=1),
        generator=Generator(
            RULES,
            examples=1,
            candidates=len(extent.systems),
            systems=tuple(os.path.join(CHECKOUT, path) for path in extent.systems),
        ),
        implementer=Player(RULES),
        rectifier=Player(RULES),
        runs=Runs(calls=extent.calls, tools=TOOLS, outages=()),
        work=Work(workers=0, seed=extent.seed),
    )
    grow(plan, out)
    number = 0
    while os.path.exists(path := Paths(out).grown(number)):
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        yield tree_from_json(value["tree"]), value["counts"]["labels"]
        number += 1


# ---------------------------------------------------------------- learning


def learn(
    grown: Sequence[tuple[Tree, Mapping[str, str]]], queries: Sequence[Query], *, by: Literal["value", "success"]
) -> Learned:
    """Return what had the highest mean in trees, for each role; of equal ones the first by name.

    The mean is of V(v), or of the share of the trajectories through v that succeeded, whatever they cost.
    """
    family_of = {one.text: str(one.metadata["family"]) for one in queries}
    seen: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for tree, labels in grown:
        family, value_of = family_of[tree.query], values(tree)
        for decision in decisions(tree):
            for option in decision.options:
                found = value_of[option.node]
                if found.mean is None:
                    continue
                value = float(found.mean) if by == "value" else found.successes / found.trajectories
                label = labels[option.node]
                if decision.role == "generator":
                    seen["generator", family][label].append(value)
                elif decision.role == "implementer":
                    system = labels[option.node.partition(".")[0]]
                    if label in BINDINGS:
                        seen["implementer", family, system][label].append(value)
                else:
                    seen["rectifier", str(decision.trigger)][label].append(value)
    best = {key: min(named, key=lambda one: (-mean(named[one]), one)) for key, named in seen.items()}
    return Learned(
        {key[1]: name for key, name in best.items() if key[0] == "generator"},
        {(key[1], key[2]): name for key, name in best.items() if key[0] == "implementer"},
        {key[1]: name for key, name in best.items() if key[0] == "rectifier"},
        {
            ", ".join(key): {name: (mean(of), len(of)) for name, of in sorted(named.items())}
            for key, named in sorted(seen.items())
        },
    )


# ---------------------------------------------------------------- playing


class Cast(NamedTuple):
    """The players of the roles, and what they play with."""

    world: World
    pool: Mapping[str, PoolSystem]
    learned: Learned
    queries: tuple[Query, ...]
    out: str
    extent: Extent

    def runs(self, generates: bool, implements: bool, rectifies: bool) -> list[Did]:
        """Return the runs on all queries with these roles."""
        systems = {}
        for query in self.queries:
            family = str(query.metadata["family"])
            name = self.learned.systems.get(family) if generates else None
            name = name or self._nearest(query)
            way = self.learned.bindings.get((family, name), BINDINGS[0]) if implements else ""
            systems[query.id] = self._bound(name, way)
        rectifier = LearnedRectifier(self.learned.patches) if rectifies else False
        return self._made(systems, rectifier, dict(self.learned.patches) if rectifies else None)

    def by_rules(self) -> list[Did]:
        """Return the runs with the built-in rules in all roles: nearest system, adequate tiers, first patch."""
        systems = {one.id: self._bound(self._nearest(one), BINDINGS[0]) for one in self.queries}
        return self._made(systems, rectifier=True, told="rules")

    def _made(self, systems: Mapping[str, str], rectifier: Rectifier | bool, told: Any) -> list[Did]:
        found: dict[str, Did] = {}
        for text in dict.fromkeys(systems.values()):
            asked = [one for one in self.queries if systems[one.id] == text]
            program = repairable(text, 1) if rectifier else text
            settings = [program, [one.id for one in asked], told, self.extent]
            made = partial(
                self.world.runs,
                program,
                asked,
                seed=self.extent.seed,
                rectifier=rectifier,
                limits=Limits(calls=self.extent.calls),
            )
            found |= zip((one.id for one in asked), kept(self.out, "runs", settings, made), strict=True)
        return [found[one.id] for one in self.queries]

    def _nearest(self, query: Query) -> str:
        known = [Known(one.name, one.text, title(one.text), about(one.text)) for one in self.pool.values()]
        examples = nearest(query.text, known, len(known))
        host = self.world.host
        desk = Desk(host, self.world.shape, Limits(calls=self.extent.calls), Terms(), lambda model: model)
        said = asyncio.run(PoolGenerator().generate(self.world.task._replace(query=query.text), examples, desk))
        return next(one.system.name for one in examples if one.system.text == said.text)

    def _bound(self, name: str, way: str) -> str:
        text = self.pool[name].text
        if way in ("", BINDINGS[0]):
            return self.world.bound(text) if way else text
        tree = parsed(text)
        program: Program | None = self.world.host.check(text, Findings())
        assert tree is not None and program is not None, "it is a system of the pool"
        tier = by_price(self.world.host.pool(program))[0 if way == "cheapest" else -1].tier.name
        binding = "bind 1\n" + "".join(f"{role} = {tier}\n" for role in open_roles(tree))
        return with_binding(text, binding) or text


# ---------------------------------------------------------------- what was found


def _report(
    extent: Extent, learned: Learned, by_success: Learned, found: Mapping[str, Sequence[Did]], bounds: Sequence[Tree]
) -> Report:
    base = [one.score for one in found["no role"]]
    compared = {name: [one.score for one in runs] for name, runs in found.items() if name != "no role"}
    adjusted = dict(zip(compared, holm([paired_test(one, base).p for one in compared.values()]), strict=True))
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, runs in found.items():
        scores = compared.get(name)
        gain = None if scores is None else difference_of([one - two for one, two in zip(scores, base, strict=True)])
        cost = 1e3 * mean([one.usd for one in runs])
        asked, ended = mean([one.asked for one in runs]), mean([one.ended for one in runs])
        rows.append((name, (score_of(runs), gain, adjusted.get(name), cost, round(asked, 3), f"{100 * ended:.0f}")))
    columns = ("right (%)", "gain (points)", "p (Holm)", "mUSD / query", "asked / run", "ended (%)")
    title_ = f"**Simulated**: models' faults x {extent.faults:g}, tools fail {extent.tool_fails:.0%} of requests"
    best, chance = _bounds(bounds)
    return Report(
        question="With and without each of the three roles, by rules",
        world="simulated; models are rules, no claim about any real model",
        over="queries",
        tables=(
            Table(title_, columns, tuple(rows)),
            Table(
                f"**Simulated**: trees of the first {len(bounds)} held-out queries",
                ("right (%)",),
                (
                    ("best trajectory of each tree (upper bound)", (mean_interval(best),)),
                    ("all trajectories (choices at random)", (mean_interval(chance),)),
                ),
            ),
        ),
        picture=Picture(
            "roles",
            "right answers, held out",
            (Series("", tuple(Point(one, score_of(of)) for one, of in found.items())),),
        ),
        facts={**extent._asdict(), "systems for families": learned.systems, "patches by trigger": learned.patches}
        | {"bindings": {", ".join(key): way for key, way in learned.bindings.items()}}
        | {"systems for families, by success": by_success.systems},
        raw={
            **{name: list(runs) for name, runs in found.items()},
            "mean values in trees, and over how many options": learned.means,
            "mean successes in trees, and over how many options": by_success.means,
            "best of tree": best,
            "mean of tree": chance,
        },
        reading=(
            f"Learned for families: {_listed(learned.systems)}. Patches: {_listed(learned.patches)}. "
            f"By success alone: {_listed(by_success.systems)}. Patches: {_listed(by_success.patches)}. "
            "The learned choices are told the family of a query; what stands for a missing role is not. V weighs a "
            "success by how little it cost, so the highest value need not have the most right answers."
        ),
    )


def _listed(learned: Mapping[str, str]) -> str:
    return "; ".join(f"{one}: {name}" for one, name in sorted(learned.items())) or "none"


def _bounds(trees: Sequence[Tree]) -> tuple[list[float], list[float]]:
    """Return for each tree whether any trajectory succeeds, and the share of those that do."""
    ends = [[float(end.success) for _, end in paths(tree.root)] for tree in trees]
    return [max(one) for one in ends if one], [mean(one) for one in ends if one]
