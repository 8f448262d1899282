"""Runs of systems in a world, one after the other in this process: what each gave, and what it took.

A run that is made for an experiment keeps no journal, so thousands of them take minutes; what is kept is a part of an
experiment, such as a system on all queries (`kept`). Runs on one query have one seed, whatever the system, so systems
are compared in pairs.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from masdsl.batch.base import Sample
from masdsl.batch.graders import grader_of
from masdsl.batch.models import BatchModels
from masdsl.batch.statistics import Interval, mean_interval
from masdsl.batch.systems import config_of
from masdsl.check.program import Flow
from masdsl.diagnostics.base import Findings
from masdsl.meta.emission import Terms
from masdsl.meta.host import Host, fit_of, main_of, shape_of
from masdsl.meta.roles import CheapestImplementer, Desk, Implementer
from masdsl.meta.systems import with_binding
from masdsl.meta.task import Task
from masdsl.money import PICODOLLARS
from masdsl.rectify import Rectifier
from masdsl.runtime import Limits, Result, RunFailed
from masdsl.runtime.failures import InputError, StepFailed
from masdsl.runtime.models.base import ModelResolver
from masdsl.runtime.shapes import plain
from training.data.pools import Query, read_queries, task_of, write_text
from training.stage.faults import TrainingFault
from training.worlds.files import MARK, WorldFault
from training.worlds.simulated import make_simulated

GRADER: Final = "exact"


class Did(NamedTuple):
    """What became of a run: its score from 0 to 1, and what it took.

    `seconds` are those of its calls of models, one after the other: simulated ones, or of the processor where the model
    is real (`training.experiments.parts.local`); then `wall` are those of the clock. A rectifier was `asked` so often,
    and so many of its patches came into force (`patched`).
    """

    score: float
    ended: bool
    calls: int
    tokens: int
    picodollars: int
    seconds: float
    asked: int = 0
    patched: int = 0
    wall: float = 0.0

    @property
    def usd(self) -> float:
        """What it cost, in simulated USD."""
        return self.picodollars / PICODOLLARS

    def with_writing(self, wrote: Did) -> Did:
        """Return a run with what it took to write its system."""
        return self._replace(
            tokens=self.tokens + wrote.tokens,
            picodollars=self.picodollars + wrote.picodollars,
            seconds=self.seconds + wrote.seconds,
            wall=self.wall + wrote.wall,
        )


class RunModels(Protocol):
    """Models of runs (`masdsl.batch.models.BatchModels`)."""

    def of_run(self, tiers: Mapping[str, str]) -> ModelResolver:
        """Return where a run finds its models."""

    async def close(self) -> None:
        """Close what was opened."""


class World:
    """A world in a folder, opened: its configuration, and what runs in it. Its seconds are simulated ones."""

    def __init__(self, folder: str, queries: Sequence[Query], grader: str = GRADER) -> None:
        """Open a world for queries of it. Raises ProgramError for a configuration with mistakes."""
        self.folder = folder
        self.host = Host(config_of(os.path.join(folder, "system.mas")))
        self.task: Task = task_of(queries, self.host)
        self.shape: Flow = shape_of(self.task, self.host)
        options = {name: entry.options for name, entry in self.host.config.models.items()}
        # Models without a pace: a teacher of prompts, which takes no part in runs, and real ones.
        self._pace = {
            name: (float(one["seconds"]), float(one["speed"])) for name, one in options.items() if "speed" in one
        }
        known = grader_of(grader, folder)
        assert known is not None
        self._grader = known

    def bound(self, text: str, implementer: Implementer | None = None) -> str:
        """Return a template with the binding of an implementer, by default the rules': the cheapest adequate tiers."""
        program = self.host.check(text, Findings())
        if program is None:
            raise TrainingFault("a system of the experiment has errors; was the world changed?")
        desk = Desk(self.host, self.shape, Limits(), Terms(), lambda model: model)
        pool = self.host.pool(program)
        said = asyncio.run((implementer or CheapestImplementer()).implement(self.task, text, pool, desk))
        return (with_binding(text, said.text) if said.text else None) or text

    def most_calls(self, text: str) -> int:
        """Return the proved worst case of calls of a system."""
        fit = fit_of(text, self.shape, self.host, Limits())
        if fit.most is None:
            raise TrainingFault(f"a system of the experiment does not fit: {'; '.join(fit.diagnostics)}")
        return fit.most.calls

    def runs(
        self,
        text: str,
        queries: Sequence[Query],
        *,
        seed: int = 0,
        rectifier: Rectifier | bool = False,
        limits: Limits | None = None,
    ) -> list[Did]:
        """Run a system on queries, and return what became of each run; a run that fails scores 0.

        Raises TrainingFault for a text that is no system here.
        """
        return asyncio.run(self._runs(text, queries, seed, rectifier, limits))

    async def _runs(
        self, text: str, queries: Sequence[Query], seed: int, rectifier: Rectifier | bool, limits: Limits | None
    ) -> list[Did]:
        program = self.host.check(text, Findings())
        main = None if program is None else main_of(program)
        if program is None or main is None:
            raise TrainingFault("a system of the experiment has errors; was the world changed?")
        loaded = self.host.loaded(program)
        key = list(loaded.compiled.flows)[[flow.key for flow in program.flows].index(main.key)]
        models = self.models()
        found = []
        try:
            for query in queries:
                own = int.from_bytes(sha256(f"{seed}/{query.id}".encode()).digest()[:6])
                result, value = None, None
                try:
                    result = await loaded.start(
                        key,
                        {main.params[0].name: query.text},
                        rectifier=rectifier,
                        budget=limits,
                        seed=own,
                        models=models.of_run({}),
                    )
                    value = plain(result.value)
                except RunFailed as failure:
                    result = failure.result
                    ended = False
                except (InputError, StepFailed) as fault:
                    raise TrainingFault(f"the query {query.id} cannot be run: {fault}") from None
                else:
                    ended = True
                found.append(await self._did(result, value, query, ended=ended))
        finally:
            await models.close()
        return found

    def models(self) -> RunModels:
        """Return the models of runs, to be closed after them."""
        return BatchModels(self.host.config, self.folder)

    def seconds(self, result: Result) -> tuple[float, float]:
        """Return the seconds of a run that has just ended, and those of the clock where they are others (else 0)."""
        seconds = 0.0
        for event in result.events:
            if event.kind == "called" and event.model in self._pace:
                start, speed = self._pace[event.model]
                seconds += start + event.tokens_out / speed
        return seconds, 0.0

    async def _did(self, result: Result, value: Any, query: Query, *, ended: bool) -> Did:
        score = 0.0
        if ended:
            said = await self._grader.score(value, Sample(0, {}, query.answer, query.metadata))
            score = said.score or 0.0
        seconds, wall = self.seconds(result)
        patched = sum(one.accepted for one in result.interventions)
        took = (result.calls, result.tokens, result.picodollars, round(seconds, 3))
        return Did(score, ended, *took, len(result.interventions), patched, round(wall, 3))


def simulated(folder: str, **options: Any) -> str:
    """Make a simulated world in a folder unless it is there with these options; return the folder.

    Raises TrainingFault where the folder has something else in it.
    """
    return made_world(make_simulated, folder, **options)


def made_world(make: Callable[..., None], folder: str, **options: Any) -> str:
    """Make a world in a folder unless it is there with these options; return the folder.

    Raises TrainingFault where the folder has something else in it.
    """
    try:
        with open(os.path.join(folder, MARK), encoding="utf-8") as file:
            about = json.load(file)
    except (OSError, ValueError):
        about = {}
    if any(about.get(name) != value for name, value in options.items()) or not about:
        try:
            make(folder, **options)
        except WorldFault as fault:
            raise TrainingFault(str(fault)) from None
    return folder


def queries_in(folder: str, name: str) -> tuple[Query, ...]:
    """Return the queries in a file of a world, in the order of their ids."""
    return read_queries([os.path.join(folder, name)])


def kept(out: str, part: str, settings: Any, make: Callable[[], list[Did]]) -> list[Did]:
    """Return a part of an experiment, `OUT/parts/PART-HASH.json`: made now, unless it is there with these settings.

    The hash is that of the settings: seeds, texts of systems, names of worlds, whatever the part follows from.
    """
    told = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    path = os.path.join(out, "parts", f"{part}-{sha256(told.encode()).hexdigest()[:12]}.json")
    try:
        with open(path, encoding="utf-8") as file:
            return [Did(*row) for row in json.load(file)]
    except (OSError, ValueError, TypeError):
        made = make()
        write_text(path, json.dumps(made) + "\n")
        return made


def score_of(runs: Sequence[Did], seed: int = 0) -> Interval:
    """Return the mean score of runs, one for each query, with its 95 % interval over queries."""
    return mean_interval([one.score for one in runs], seed=seed)


def difference_of(differences: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of paired differences of scores, from -1 to 1, with its 95 % interval."""
    # `mean_interval` is about values from 0 to 1, and takes zeros and ones for shares.
    found = mean_interval([(1 + one) / 2 for one in differences], seed=seed)
    return found._replace(mean=2 * found.mean - 1, low=2 * found.low - 1, high=2 * found.high - 1)


def mean(values: Sequence[float]) -> float:
    """Return the mean; 0 where there is nothing."""
    return sum(values) / len(values) if values else 0.0


def over_queries(runs: Mapping[Any, Sequence[Did]], value: Callable[[Did], float]) -> list[float]:
    """Return the mean of a value over several series of runs on the same queries, for each query."""
    return [mean([value(one) for one in column]) for column in zip(*runs.values(), strict=True)]
