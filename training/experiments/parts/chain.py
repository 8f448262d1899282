"""The chain that experiments on training share: simulated world, rows, SFT of a tiny model, trees, pairs, CTO, rates.

Every stage is the function behind a command of `training`, works in a folder of its own, and is not done again. The
model is `training.models.tiny`'s with a tokenizer learned from the rows. The pool are six short systems, so that such a
model can learn to write them: one call, reasoning, votes, two ways of a reviewed answer, and a look into documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from masdsl.batch.systems import config_of
from masdsl.meta.emission import Terms
from masdsl.meta.host import Host
from masdsl.meta.queries import wait
from masdsl.meta.systems import compact
from masdsl.meta.task import SIGNATURE
from masdsl.meta.trained import TrainedGenerator, compact_text
from masdsl.runtime.models.transformers_model import TransformersModel
from training.cto import plan as cto_plan
from training.data import plan as data_plan
from training.data.construction import construct
from training.data.export import Example, unique, write_examples
from training.data.grouping import Group, by_metadata
from training.data.pools import PoolSystem, Query, read_queries, read_systems, write_text
from training.data.scores import read_table
from training.data.selection import select
from training.experiments.parts.reports import Size
from training.models.backbone import Backbone, Base, Located, load
from training.models.tiny import Tiny
from training.pairs.command import main as make_pairs
from training.rates.asking import Asked, read_asked
from training.rates.measuring import Measured, measure
from training.rates.rates import REPLY_TOKENS
from training.sft.training import Data, Settings
from training.stage.faults import TrainingFault
from training.trainer.optimisation import Optimisation
from training.trees import plan as trees_plan
from training.trees.tree import Role
from training.worlds.simulated import CHECKOUT, make_simulated

Tell: TypeAlias = Callable[[str], None]
Pairing: TypeAlias = Literal["family", "query", "random"]
"""Which system a query is paired with: that of its family with the highest summed score (MAS-GPT's inter-consistency),
the cheapest that solved that very query, or any."""
WORLD: Final = "simulated (training/worlds/simulator.py), no claim about any real model"
TOOLS: Final = ('tool look_up(query) -> text else "Nothing was found." from "world.look_up"',)
"""What every query is granted, and every program declares: so a prompt says nothing about the system that fits."""
CALLS: Final = 12
GRADER: Final = "exact"
SYSTEMS: Final = tuple(
    os.path.join(CHECKOUT, *place.split("/"))
    for place in (
        "examples/pool/gptswarm_io.mas",
        "examples/pool/adas_cot.mas",
        "examples/pool/adas_cot_sc.mas",
        "examples/pool/aflow_drop.mas",
        "training/worlds/systems/checked.mas",
        "training/worlds/systems/look_up.mas",
    )
)


class Scale(NamedTuple):
    """How large a chain is: queries of the world, steps of SFT and CTO, trees, seeds, and the model."""

    train: int
    held_out: int
    steps: int
    batch: int
    trees: int
    cto_steps: int
    cto_batch: int
    seeds: tuple[int, ...]
    tiny: Tiny


SCALES: Final[dict[Size, Scale]] = {
    "small": Scale(12, 4, 3, 4, 6, 2, 2, (0,), Tiny(hidden=32, layers=1, heads=2, vocabulary=400)),
    "full": Scale(96, 40, 300, 16, 32, 40, 8, (0, 1, 2, 3, 4), Tiny(hidden=64, layers=2, heads=4, vocabulary=768)),
}


class Pool(NamedTuple):
    """What is paired: queries to train on, systems, and the folder with the scores of each on each."""

    queries: tuple[Query, ...]
    systems: tuple[PoolSystem, ...]
    folder: str

    def table(self) -> Any:
        """Return the scores and costs (`training.data.scores.Table`)."""
        return read_table(os.path.join(self.folder, "evaluation"))


class Chain(NamedTuple):
    """The stages in a folder, at a scale; `tell` is told how they go on."""

    folder: str
    scale: Scale
    tell: Tell

    @classmethod
    def beside(cls, out: str, size: Size, tell: Tell) -> Chain:
        """Return the chain beside a folder: experiments whose folders are beside one another share it."""
        return cls(os.path.join(os.path.dirname(os.path.abspath(out)), f"chain-{size}"), SCALES[size], tell)

    def host(self) -> Host:
        """Return what may be used in the world."""
        return Host(config_of(os.path.join(self.world(), "program.mas")))

    def model(self) -> str:
        """Return the model after SFT on each query's cheapest system: what most experiments begin from."""
        return trained(examples(self.pool(), "query"), os.path.join(self.folder, "sft"), self.scale, self.tell)

    def world(self) -> str:
        """Return the folder of the world; made once."""
        folder = os.path.join(self.folder, "world")
        if not os.path.exists(os.path.join(folder, "world.json")):
            make_simulated(folder, train=self.scale.train, held_out=self.scale.held_out, paraphrased=1.0)
        return folder

    def systems(self) -> str:
        """Return a folder with the systems of the pool, each of which declares all tools that are granted."""
        folder = os.path.join(self.world(), "systems")
        for path in SYSTEMS:
            kept = os.path.join(folder, os.path.basename(path))
            if not os.path.exists(kept):
                with open(path, encoding="utf-8") as file:
                    write_text(kept, with_tools(compact(file.read())))
        return folder

    def pool(self) -> Pool:
        """Run every system on every query to train on, as `training.data` does; what was run is not run again."""
        folder = os.path.join(self.world(), "data")
        path, places = os.path.join(self.world(), "train.jsonl"), (self.systems(),)
        plan = data_plan.Plan(
            data_plan.Queries((path,)),
            data_plan.Systems(places, most_calls=CALLS, tools=True),
            data_plan.Evaluation(GRADER, seed=0, workers=0),
            data_plan.Groups("metadata", ("family",)),
        )
        if not os.path.exists(os.path.join(folder, "card.json")):
            construct(plan, folder, tell=self.tell)
        queries = read_queries((path,))
        host = Host(config_of(os.path.join(folder, "systems", "pool.mas")))
        found, _ = read_systems(places, queries, host, most_calls=CALLS, tools=True)
        return Pool(tuple(queries), found, folder)

    def pairs(self, *, cost: Literal["picodollars", "nothing"] = "picodollars") -> str:
        """Grow trees whose players are rules (K = 4, N = 2); return the file of pairs of the generator.

        Templates are drawn from the pool, and asked for in the words of SFT, so that prompts and actions are of one
        kind. Where `cost` is nothing, a value is the share of successes (`training.trees.values`).
        """
        from training.trees.command import grow

        path = os.path.join(self.folder, "pairs.jsonl" if cost == "picodollars" else f"pairs-{cost}.jsonl")
        trees = os.path.join(self.world(), "trees")
        rules = trees_plan.Player("rules")
        plan = trees_plan.Plan(
            trees_plan.Queries((os.path.join(self.world(), "train.jsonl"),), limit=self.scale.trees),
            trees_plan.Success(GRADER),
            generator=trees_plan.Generator("rules", asked="trained", systems=(self.systems(),)),
            implementer=rules,
            rectifier=trees_plan.Player("nobody"),
            runs=trees_plan.Runs(calls=CALLS, tools=TOOLS, outages=()),
            work=trees_plan.Work(workers=0),
        )
        if not os.path.exists(path):
            grow(plan, trees)
            if make_pairs([os.path.join(trees, "trees.jsonl"), "-o", path, "--role", "generator", "--cost", cost]):
                raise TrainingFault(f"the trees in {trees} give no pairs; grow more of them")
        return path

    def asked(self, name: str, *, limit: int = 0) -> tuple[Asked, ...]:
        """Return the queries of a file of the world, asked as in training."""
        path = os.path.join(self.world(), name)
        return tuple(one._replace(tools=TOOLS) for one in read_asked((path,), limit=limit, calls=CALLS, grader=GRADER))

    def written(
        self,
        backbone: Backbone,
        asked: Sequence[Asked],
        kept: str,
        *,
        decoder: bool = False,
        run: bool = True,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> tuple[Measured, ...]:
        """Return what a model writes for queries, run and graded; kept in the file `kept`, and not measured again."""
        found = read_kept(kept)
        if found is not None:
            return found
        generator = TrainedGenerator(TransformersModel("tiny", loaded=tuple(backbone), timeout=600))
        terms = Terms(
            tries=1, seed=seed, temperature=temperature, reply_tokens=REPLY_TOKENS, constrained=decoder, timeout=600
        )
        host = self.host()
        backbone.model.eval()
        done: list[Measured] = []

        async def work() -> None:
            for at, one in enumerate(asked):
                done.append(await measure(generator, one, host, terms._replace(seed=seed + at), run=run))

        wait(work)
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        write_text(kept, "".join(json.dumps(one.to_json()) + "\n" for one in done))
        return tuple(done)


# ---------------------------------------------------------------- rows


def with_tools(program: str) -> str:
    """Return a program in compact text that declares all tools that are granted, as the decoder writes it."""
    first, rest = program.split("\n", 1)
    return compact_text("\n".join((first, *(one for one in TOOLS if one not in rest), rest)))


def examples(given: Pool, pairing: Pairing, *, seed: int = 0) -> tuple[Example, ...]:
    """Return examples under a pairing, for those queries that the system of their family solves."""
    table, hashes = given.table(), [one.hash for one in given.systems]
    found = []
    chance = Random(f"pairing {seed}")
    for choice in select(table, by_metadata(given.queries, ("family",)), hashes):
        for at in choice.group.members:
            cell = None if choice.system is None else table.cells[choice.system][at]
            if choice.system is None or cell is None or cell.score <= 0.5:
                continue
            system = choice.system
            if pairing == "random":
                system = chance.randrange(len(hashes))
            elif pairing == "query":
                own = select(table, [Group("", (at,))], hashes)[0].system
                system = system if own is None else own
            found.append(_example(given.queries[at], given.systems[system], pairing))
    if not found:
        raise TrainingFault("no system of the pool solved a query of the world; make it larger")
    return unique(found)


def _example(query: Query, system: PoolSystem, pairing: Pairing) -> Example:
    provenance = {"pairing": pairing, "system": system.name}
    name, program = f"{query.id}/{system.name}", with_tools(compact(system.text))
    return Example(name, query.text, system.about, program, system.hash, provenance, SIGNATURE, TOOLS, CALLS)


# ---------------------------------------------------------------- SFT


def sft_settings(paths: Sequence[str], scale: Scale, *, seed: int = 0, max_length: int = 768) -> Settings:
    """Return how the tiny model is trained: all weights, the same for every data set."""
    return Settings(
        Data(tuple(paths)),
        Base("tiny", tiny=scale.tiny._replace(seed=seed)),
        training=Optimisation(
            method="full",
            learning_rate=4e-3,
            steps=scale.steps,
            batch=scale.batch,
            at_once=scale.batch,
            max_length=max_length,
            warmup=0.05,
            seed=seed,
            save_every=scale.steps,
            log_every=max(1, scale.steps // 20),
        ),
    )


def trained(rows: Sequence[Example], folder: str, scale: Scale, tell: Tell, *, seed: int = 0) -> str:
    """Fine-tune a tiny model on examples in compact text; return the folder of the model."""
    path = os.path.join(folder, "rows.jsonl")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        write_examples(rows, path, "compact")
    return trained_on(path, folder, scale, tell, seed=seed)


def trained_on(path: str, folder: str, scale: Scale, tell: Tell, *, seed: int = 0, max_length: int = 768) -> str:
    """Fine-tune a tiny model on a file of rows; return the folder of the model."""
    from training.sft.training import train
    from training.trainer.watching import quiet

    quiet()
    train(sft_settings((path,), scale, seed=seed, max_length=max_length), folder, tell=tell)
    return os.path.join(folder, "model")


# ---------------------------------------------------------------- CTO


def preferring(
    model: str,
    path: str,
    folder: str,
    scale: Scale,
    kind: cto_plan.Loss,
    tell: Tell,
    *,
    seed: int,
    clip: float | None = None,
    normalise: Literal["none", "mean"] = "none",
    role: Role = "generator",
    learning_rate: float = 1e-3,
) -> dict[str, Any]:
    """Train a LoRA adapter of a model on the pairs of a role by one of the losses; return its manifest.

    `clip` and `normalise` are of Delta V.
    """
    from training.cto.stage import run
    from training.trainer.watching import quiet

    quiet()
    plan = cto_plan.Plan(
        Base(model),
        cto_plan.Data(path, role=role, clip=clip, normalise=normalise),
        loss=cto_plan.Objective(kind),
        training=cto_plan.Training(
            learning_rate=learning_rate,
            steps=scale.cto_steps,
            batch=scale.cto_batch,
            at_once=scale.cto_batch,
            max_length=768,
            seed=seed,
            save_every=scale.cto_steps,
        ),
    )
    return run(plan, folder, tell=tell)[0]


# ---------------------------------------------------------------- what comes out


def loaded(model: str, adapter: str | None = None) -> Backbone:
    """Return a trained model, with an adapter where there is one."""
    from training.models.adapters import load_adapter

    base = Located(model, model)
    backbone = load(base)
    return backbone if adapter is None else backbone._replace(model=load_adapter(backbone.model, adapter, base))


def read_kept(path: str) -> tuple[Measured, ...] | None:
    """Return measurements that are there already; None where there are none."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return tuple(Measured(**json.loads(line)) for line in file)
