"""Three small trained models for the three roles of MAS², in a simulated world: rows, SFT, trees, pairs, CTO.

world/          models and tools that fail often, so that there is something to repair; `shifted/` has other models
sft/ROLE/       the player of a role after SFT, a model of `training.models.tiny` each, with a tokenizer of its own
rules/          trees whose players are rules: what the implementer and the rectifier imitate (`training.imitation`)
stage/          the world once more, with the three players as models of its mas.toml, and trees that they grow
pairs*.jsonl    preferences of these trees, for all roles
cto/ARM-SEED/   adapters for the roles

The generator learns from pairs by inter-consistency: each family of queries with the system that solved most of it.
Players write plain text, without the decoder, and have one try: what is no program, binding or patch is a failure, in
trees as in evaluation, and nothing takes its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from masdsl.meta.systems import compact
from masdsl.meta.task import SIGNATURE
from training.data import plan as data_plan
from training.data.construction import construct
from training.data.export import Example, unique, write_examples
from training.data.grouping import by_metadata
from training.data.pools import PoolSystem, Query, read_queries, read_systems
from training.data.scores import Table, read_table
from training.data.selection import select
from training.experiments.parts.chain import Scale, Tell, preferring, trained_on
from training.experiments.parts.reports import Size
from training.experiments.parts.running import GRADER, simulated
from training.imitation.rows import write_imitated
from training.models.tiny import Tiny
from training.pairs.command import main as make_pairs
from training.stage.faults import TrainingFault
from training.trees import plan as trees_plan
from training.trees.command import grow
from training.trees.tree import ROLES, Role
from training.worlds.simulated import CHECKOUT

CALLS: Final = 8
"""What a run may take, in trees as in evaluation."""
ROUNDS: Final = 2
"""Repairs of a run at most."""
FAULTS: Final[Mapping[str, float]] = {"faults": 10.0, "tool_fails": 0.4}
TOOLS: Final = (
    'tool look_up(query) -> text else "Nothing was found." from "world.look_up"',
    'tool calculate(expression: text(60)) -> text(20) else "no result" from "world.calculate"',
)
"""What every query is granted, whatever suits it."""
SYSTEMS: Final = tuple(
    os.path.join(CHECKOUT, *place.split("/"))
    for place in (
        "examples/pool/gptswarm_cot.mas",
        "examples/pool/gptswarm_io.mas",
        "examples/pool/masgpt_self_consistency.mas",
        "examples/pool/maslab_cot.mas",
        "training/worlds/systems/calculate.mas",
        "training/worlds/systems/look_up.mas",
    )
)
"""Short systems, all of whose agents wait for a model."""
RATES: Final[Mapping[Role, float]] = {"generator": 3e-4, "implementer": 1e-3, "rectifier": 1e-3}
"""The learning rates of CTO, chosen on queries to train on: with a third the implementer learns nothing, with twice to
three times as much programs and bindings are no longer valid."""
LONGEST: Final[Mapping[Role, int]] = {"generator": 200, "implementer": 60, "rectifier": 80}
"""Tokens of the longest reply that a player is asked for."""
SCALES: Final[Mapping[Size, Scale]] = {
    "small": Scale(12, 4, 3, 4, 4, 2, 2, (0,), Tiny(hidden=32, layers=1, heads=2, vocabulary=400)),
    "full": Scale(96, 100, 300, 16, 96, 40, 8, (0, 1, 2), Tiny(hidden=64, layers=2, heads=4, vocabulary=768)),
}


class Arm(NamedTuple):
    """A way to train the players after SFT by L_CTO: which roles, with which weights and rewards, how often."""

    name: str
    roles: tuple[Role, ...] = ROLES
    normalise: Literal["none", "mean"] = "none"
    capped: bool = False
    seeds: int = 3

    @property
    def folder(self) -> str:
        """The name of its folder; arms that differ in their roles alone have one adapter for each role."""
        return "-".join(filter(None, ("cto", self.normalise.removeprefix("none"), "capped" if self.capped else "")))


class Casting:
    """The stages of one experiment in one folder; what is there is not made again."""

    def __init__(self, out: str, size: Size, tell: Tell) -> None:
        self.out, self.scale, self._tell = os.path.abspath(out), SCALES[size], tell
        self._learns = size != "small"
        self.world = self._world("world")
        self.queries = read_queries((os.path.join(self.world, "train.jsonl"),))

    def _in(self, *parts: str) -> str:
        return os.path.join(self.out, *parts)

    def _world(self, name: str) -> str:
        sizes = {"train": self.scale.train, "held_out": self.scale.held_out}
        return simulated(self._in(name), seed=0, **sizes, **FAULTS)

    # ------------------------------------------------------------ SFT

    def pool(self) -> tuple[tuple[PoolSystem, ...], Table]:
        """Return the systems of the pool with their scores and costs on all queries to train on."""
        folder = os.path.join(self.world, "data")
        plan = data_plan.Plan(
            data_plan.Queries((os.path.join(self.world, "train.jsonl"),)),
            data_plan.Systems(SYSTEMS, most_calls=CALLS, tools=True),
            data_plan.Evaluation(GRADER, seed=0, workers=0),
            data_plan.Groups("metadata", ("family",)),
        )
        if not os.path.exists(os.path.join(folder, "card.json")):
            construct(plan, folder, tell=self._tell)
        host = Host(config_of(os.path.join(folder, "systems", "pool.mas")))
        found, _ = read_systems(SYSTEMS, self.queries, host, most_calls=CALLS, tools=True)
        return tuple(found), read_table(os.path.join(folder, "evaluation"))

    def by_family(self) -> dict[str, PoolSystem]:
        """Return the system of each family of queries by inter-consistency."""
        systems, table = self.pool()
        chosen = select(table, by_metadata(self.queries, ("family",)), [one.hash for one in systems])
        return {
            str(self.queries[one.group.members[0]].metadata["family"]): systems[one.system]
            for one in chosen
            if one.system is not None
        }

    def _examples(self) -> tuple[Example, ...]:
        """Return the pairs of a query with the system of its family, where that solves it."""
        systems, table = self.pool()
        numbers = {one.hash: number for number, one in enumerate(systems)}
        chosen, found = self.by_family(), []
        for at, query in enumerate(self.queries):
            system = chosen.get(str(query.metadata["family"]))
            cell = None if system is None else table.cells[numbers[system.hash]][at]
            if system is not None and cell is not None and cell.score > 0.5:
                found.append(_example(query, system))
        if not found:
            raise TrainingFault("no system of the pool solved a query of the world; make it larger")
        return unique(found)

    def rows(self, role: Role) -> str:
        """Return the file of rows that a role is fine-tuned on."""
        path = self._in("sft", f"{role}.jsonl")
        if os.path.exists(path):
            return path
        if role == "generator":
            write_examples(self._examples(), path, "compact")
        else:
            write_imitated((self._trees_of_rules(),), role, path)
        return path

    def player(self, role: Role) -> str:
        """Return the folder of the model that plays a role after SFT."""
        return trained_on(self.rows(role), self._in("sft", role), self.scale, self._tell)

    # ------------------------------------------------------------ trees

    def _trees_of_rules(self) -> str:
        rules = trees_plan.Player("rules", asked="trained")
        generator = trees_plan.Generator("rules", asked="trained", systems=SYSTEMS)
        return self._grown(self.world, self._in("rules"), generator, rules, rules, self.scale.trees)

    def trees(self) -> str:
        """Return the file of trees that the players grow after SFT: K = 4, N = 2, temperature 1, plain text."""
        stage = self._world("stage")
        config = os.path.join(stage, "mas.toml")
        with open(config, encoding="utf-8") as file:
            text = file.read()
        for role in ROLES:
            if f"[models.{role}]" not in text:
                path = os.path.relpath(self.player(role), stage)
                text += f'\n[models.{role}]\nkind = "transformers"\npath = {json.dumps(path)}\ntimeout = 600\n'
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        asked: dict[str, Any] = {"asked": "trained", "temperature": 1.0, "reasoning_tokens": 0, "constrained": False}
        generator = trees_plan.Generator("generator", reply_tokens=LONGEST["generator"], systems=SYSTEMS, **asked)
        implementer = trees_plan.Player("implementer", reply_tokens=LONGEST["implementer"], **asked)
        rectifier = trees_plan.Player("rectifier", reply_tokens=LONGEST["rectifier"], **asked)
        limit = self.scale.trees if self._learns else 1
        return self._grown(stage, self._in("stage", "trees"), generator, implementer, rectifier, limit)

    def _grown(
        self,
        world: str,
        folder: str,
        generator: trees_plan.Generator,
        implementer: trees_plan.Player,
        rectifier: trees_plan.Player,
        limit: int,
    ) -> str:
        plan = trees_plan.Plan(
            trees_plan.Queries((os.path.join(world, "train.jsonl"),), limit=limit),
            trees_plan.Success(GRADER),
            branches=trees_plan.Branches(rounds=ROUNDS),
            generator=generator,
            implementer=implementer,
            rectifier=rectifier,
            runs=trees_plan.Runs(calls=CALLS, tools=TOOLS, outages=()),
            work=trees_plan.Work(workers=0),
        )
        path = os.path.join(folder, "trees.jsonl")
        if not os.path.exists(path):
            grow(plan, folder)
        return path

    def card(self) -> dict[str, Any]:
        """Return the counts of the players' trees."""
        with open(os.path.join(os.path.dirname(self.trees()), "card.json"), encoding="utf-8") as file:
            card: dict[str, Any] = json.load(file)
        return card

    # ------------------------------------------------------------ CTO

    def pairs(self, *, capped: bool = False) -> str:
        """Return the file of preferences of all roles; `capped` is with rewards of at most 1.

        They are of the trees of the players, in the small size of the experiment of those of rules.
        """
        path = self._in("pairs-capped.jsonl" if capped else "pairs.jsonl")
        trees = self.trees()
        if not self._learns:  # after three steps a player writes nothing that succeeds
            trees = self._trees_of_rules()
        if not os.path.exists(path) and make_pairs([trees, "-o", path, *(["--cap", "1"] if capped else [])]):
            raise TrainingFault(f"the trees in {self._in('stage')} give no pairs; grow more of them")
        return path

    def adapters(self, arm: Arm, seed: int) -> dict[Role, str]:
        """Return the folder of the adapter of each role that an arm trains and that has pairs."""
        path, folder = self.pairs(capped=arm.capped), self._in("cto", f"{arm.folder}-{seed}")
        found: dict[Role, str] = {}
        for role in arm.roles:
            if self.count(path)[role]:
                preferring(
                    self.player(role), path, folder, self.scale, "cto", self._tell,
                    seed=seed, normalise=arm.normalise, role=role, learning_rate=RATES[role],
                )  # fmt: skip
                found[role] = os.path.join(folder, role, "model")
        return found

    def count(self, path: str) -> dict[Role, int]:
        """Return how many preferences of each role a file of pairs has."""
        with open(f"{path}.card.json", encoding="utf-8") as file:
            card = json.load(file)
        return {role: card["roles"][role]["rows"] for role in ROLES}


def _example(query: Query, system: PoolSystem) -> Example:
    provenance = {"pairing": "family", "system": system.name}
    name, program = f"{query.id}/{system.name}", compact(system.text)
    return Example(name, query.text, system.about, program, system.hash, provenance, SIGNATURE, TOOLS, CALLS)
