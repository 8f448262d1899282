"""What a worker of an engine does for a growth: a tree is an item (`masdsl.batch.base.Work`).

A tree that was begun is grown again with what the journal has of it: nothing is paid twice, and it is the same tree.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from masdsl import ProgramError
from masdsl.batch.base import Chunk, ChunkDone, EngineFault, Job, Outcome
from masdsl.batch.graders import grader_of
from masdsl.batch.grading import Grader, GraderFault
from masdsl.batch.models import BatchModels
from masdsl.batch.reading import Samples
from masdsl.batch.rows import DataFault
from masdsl.check.program import Flow
from masdsl.config import Config, NoModel, find_model, load_config
from masdsl.diagnostics.base import Findings
from masdsl.journal import Journal
from masdsl.meta.fitting import declared_tools, granted_to
from masdsl.meta.host import BadTask, Host, offered_tools, shape_of
from masdsl.meta.queries import task_for
from masdsl.meta.task import Task
from masdsl.meta.team import context_of
from masdsl.runtime.models.base import ModelError, ModelResolver
from training.trees.asking import Replies
from training.trees.growing import Grown, Growth, Team
from training.trees.instances import Bench
from training.trees.plan import (
    NOBODY,
    RULES,
    Branches,
    Generator,
    Plan,
    Player,
    Queries,
    Runs,
    Success,
    Work,
    World,
)
from training.trees.players import Asked, Bindings, Desktop, Repairs, Templates
from training.trees.tree import Role, tree_to_json

FORMAT: Final = 1
MODULE: Final = "training.trees.worker"
_TABLES: Final[Mapping[str, Any]] = {
    "queries": Queries,
    "success": Success,
    "world": World,
    "branches": Branches,
    "generator": Generator,
    "implementer": Player,
    "rectifier": Player,
    "runs": Runs,
    "work": Work,
}


class Description(NamedTuple):
    """What every worker of a growth has to know: `id` names its trees, `samples_hash` is that of the queries' file."""

    id: str
    plan: Plan
    samples_path: str
    samples_hash: str
    samples: int


def read_description(path: str) -> Description:
    """Return what a file says. Raises EngineFault."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        tables = {
            name: _TABLES[name](**{key: tuple(one) if isinstance(one, list) else one for key, one in table.items()})
            for name, table in data["plan"].items()
        }
        return Description(data["id"], Plan(**tables), data["samples_path"], data["samples_hash"], data["samples"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise EngineFault(f"{path} describes no growth of trees: {fault}; begin in another folder") from None


async def run_chunk(job: Job, chunk: Chunk, journal: Journal) -> ChunkDone:
    """Grow the trees of a chunk. Raises EngineFault, JournalError."""
    loop = asyncio.get_running_loop()
    opened = _opened.setdefault(loop, {})
    if job.batch not in opened:
        opened[job.batch] = Grower(job)
    return await opened[job.batch].make(chunk, journal)


async def close_all() -> None:
    """Close the models and files of all growths of this event loop."""
    for one in _opened.pop(asyncio.get_running_loop(), {}).values():
        await one.close()


def failed_run(job: Job, chunk: Chunk, journal: Journal, why: str) -> ChunkDone:
    """Return the outcome of a tree that cannot be grown."""
    return ChunkDone(chunk, (_outcome(chunk.first, Grown(None, {}, why)),), (0.0,))


def _outcome(number: int, grown: Grown) -> Outcome:
    tree = None if grown.tree is None else tree_to_json(grown.tree)
    value = {"tree": tree, "counts": grown.counts, "why": grown.why}
    return Outcome(number, "trees", "", number, 0, "failed" if tree is None else "ended", value, None, why=grown.why)


class Grower:
    """A growth that is opened in a process, on one event loop."""

    def __init__(self, job: Job) -> None:
        described = read_description(job.batch)
        self.id, self._plan = described.id, described.plan
        self._samples = Samples(described.samples_path, described.samples_hash, described.samples)
        self._config = configuration(self._plan)
        self._models = BatchModels(self._config, self._plan.folder, job.workers)
        self._grader = grader_for(self._plan)
        self._room = asyncio.Semaphore(max(job.at_once, 1))

    async def close(self) -> None:
        """Close models and samples."""
        self._samples.close()
        await self._models.close()

    async def make(self, chunk: Chunk, journal: Journal) -> ChunkDone:
        """Grow the trees of a chunk, one after another: their runs are what goes on at once."""
        outcomes, seconds = [], []
        for number in range(chunk.first, chunk.last):
            began = time.monotonic()
            outcomes.append(_outcome(number, await self._grown(number, journal)))
            seconds.append(time.monotonic() - began)
        return ChunkDone(chunk, tuple(outcomes), tuple(seconds), worker=str(os.getpid()))

    async def _grown(self, number: int, journal: Journal) -> Grown:
        plan = self._plan
        sample = self._samples[number]
        try:
            task, shape, host = task_in(plan, self._config, sample.inputs["query"])
        except BadTask as fault:
            return Grown(None, {}, str(fault))
        seed = int.from_bytes(sha256(f"{plan.work.seed}/{number}".encode()).digest()[:6])
        name = f"{self.id}-{number}"
        try:
            team = team_of(plan, host, self._models.of_run({}))
        except (ModelError, DataFault) as fault:
            raise EngineFault(str(fault)) from None
        replies = await Replies.opened(journal, name, task.query, seed)
        try:
            bench = Bench(host, journal, self._models, plan.runs.limits, self._room, self._grader, sample)
            top = Desktop(task, shape, host, task.budget, seed)
            return await Growth(name, plan, team, top, bench, replies).grow()
        except ProgramError as error:
            raise EngineFault(f"a program of {name} has errors by now: {error}") from None
        finally:
            await replies.close()


_opened: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Grower]] = WeakKeyDictionary()


def configuration(plan: Plan) -> Config:
    """Return the configuration that a plan's models are in. Raises EngineFault for one with mistakes."""
    findings = Findings()
    config = load_config(plan.folder, findings)
    if not findings.ok:
        raise EngineFault(str(ProgramError(findings.sorted())).strip())
    return config


def task_in(plan: Plan, config: Config, query: str) -> tuple[Task, Flow, Host]:
    """Return the task of a query, the flow that it asks for, and what may be used for it. Raises BadTask."""
    tools = offered_tools(config) if plan.runs.tools is None else plan.runs.tools
    task = task_for(query, Host(config), budget=plan.runs.limits, tools=tools)
    host = granted_to(Host(config), declared_tools(task))
    return task, shape_of(task, host), host


def grader_for(plan: Plan) -> Grader:
    """Return what says R_p. Raises EngineFault for a grader that cannot be used here."""
    try:
        grader = grader_of(plan.success.grader, plan.folder)
    except GraderFault as fault:
        raise EngineFault(f"[success] grader = `{plan.success.grader}` cannot be used: {fault}") from None
    if grader is None:
        raise EngineFault('[success] needs a `grader`, as in: grader = "exact"')
    return grader


def team_of(plan: Plan, host: Host, models: ModelResolver) -> Team:
    """Return who plays the roles. Raises ModelError for a model that is not there, and DataFault for systems."""
    asked: dict[Role, Asked] = {}
    played: Mapping[Role, Generator | Player] = {
        "generator": plan.generator,
        "implementer": plan.implementer,
        "rectifier": plan.rectifier,
    }
    for role, player in played.items():
        if player.by not in (RULES, NOBODY):
            is_tier = _is_tier(host.config, player.by)
            model = models(player.by, tier=is_tier)
            asked[role] = Asked(model, context_of(host, player.by, tier=is_tier))
    return Team(
        Templates(plan.generator, asked.get("generator")),
        None if plan.implementer.by == NOBODY else Bindings(plan.implementer, asked.get("implementer")),
        None if plan.rectifier.by == NOBODY else Repairs(plan.rectifier, asked.get("rectifier")),
        asked,
        plan.generator.by != NOBODY,
    )


def _is_tier(config: Config, name: str) -> bool:
    """Whether a name is that of a tier; one that is nothing is told as a tier that is not there."""
    if name in config.tiers:
        return True
    try:
        find_model(config, name, tier=False)
    except NoModel:
        return True
    return False
