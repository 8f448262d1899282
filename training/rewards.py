"""What a reply of a generator is worth, by the compiler and the executor: rewards for GRPO, without a model of rewards.

parses    a program can be taken out of it that has no mistake of syntax
checks    and the checker finds no error
fits      and its `main` has the task's signature, and its worst case no more calls than there are
right     and what it answers, run on the query, is graded: from 0 to 1

Each is 0 where the one before is. TRL (`GRPOTrainer`) calls a reward with lists and takes the weighted sum; nothing
here needs TRL. Source of the idea: GRPO, arXiv:2402.03300; which rewards there are is ours. A run is seeded by its
query, so a program that is written twice for a query is run once. What a model in training writes is untrusted: it gets
no tools.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl.batch.base import Sample
from masdsl.batch.data import read_samples, wanted_by
from masdsl.batch.grading import Grader
from masdsl.config import DEFAULT_TIER
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.meta.extract import extract
from masdsl.meta.fitting import granted_to
from masdsl.meta.host import Fit, Host, fit_of, model_for, shape_of
from masdsl.meta.systems import parsed
from masdsl.meta.task import Task
from masdsl.runtime import Limits, RunFailed, StepFailed
from masdsl.runtime.failures import InputError
from masdsl.runtime.models.base import ModelError
from masdsl.runtime.shapes import plain
from training.settings import TrainingFault

Reward: TypeAlias = Callable[..., list[float]]
NAMES: Final = ("parses", "checks", "fits", "right")


class Grounds(NamedTuple):
    """What replies are judged on: where systems run, what they look like, the queries, and who grades.

    `limits` are those of one run; a system's worst case may not have more calls. `at_once` is how many runs are under
    way together.
    """

    host: Host
    task: Task
    samples: tuple[Sample, ...]
    grader: Grader
    limits: Limits
    at_once: int = 8


def grounds_of(
    host: Host,
    queries: str,
    grader: Grader,
    *,
    signature: str,
    limits: Limits,
    limit: int | None = None,
    at_once: int = 8,
) -> Grounds:
    """Return what replies are judged on, for the queries of a data set.

    Raises TrainingFault for queries that cannot be read or graded, and where no model can be asked; and what
    `masdsl.batch.data.read_samples` and `masdsl.meta.host.shape_of` raise.
    """
    host = granted_to(host, ())
    task = Task("", signature)
    findings = Findings()
    samples = tuple(read_samples(queries, wanted_by(shape_of(task, host)), findings, limit=limit, answered=True))
    if not findings.ok:
        raise TrainingFault(render_short(findings.sorted()).rstrip())
    if not samples:
        raise TrainingFault(f"{queries} has no queries, so there is nothing to write systems for; name another file")
    for sample in samples:
        fault = grader.fault_of(sample)
        if fault:
            raise TrainingFault(f"query {sample.number} of {queries} cannot be graded by {grader.spec}: {fault}")
    try:
        model_for(host, DEFAULT_TIER)
    except ModelError as error:
        raise TrainingFault(
            f"systems cannot be run here: {error}; set up a model in {host.config.path or 'mas.toml'}"
        ) from None
    return Grounds(host, task, samples, grader, limits, at_once)


class Judge:
    """Judges replies to the queries of some grounds, and remembers what it has seen."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._shape = shape_of(grounds.task, grounds.host)
        self._fits: dict[str, Fit] = {}
        self._scores: dict[tuple[str, int], float] = {}
        self.failures: list[str] = []
        """Why runs gave no value, each with its step: for whoever wonders about rewards of 0."""

    def queries(self) -> tuple[str, ...]:
        """Return the queries as texts, in order: a generator is told the one input, or all as JSON."""
        return tuple(
            str(next(iter(one.inputs.values()))) if len(one.inputs) == 1 else json.dumps(dict(one.inputs))
            for one in self._grounds.samples
        )

    def parses(self, reply: str) -> bool:
        """Whether a program can be read in a reply."""
        return parsed(extract(reply, "mas").text) is not None

    def checks(self, reply: str) -> bool:
        """Whether the program in a reply has no errors."""
        text = extract(reply, "mas").text
        return bool(text) and self._grounds.host.check(text, Findings()) is not None

    def fits(self, reply: str) -> bool:
        """Whether it is one for these queries, and within their calls at worst."""
        return self._fit(reply).program is not None

    async def scores(self, replies: Sequence[str], numbers: Sequence[int]) -> list[float]:
        """Return what the systems in replies answer, graded, each on the query of its number."""
        asked = list(zip(replies, numbers, strict=True))
        gate = asyncio.Semaphore(self._grounds.at_once)
        new = [one for one in dict.fromkeys(asked) if one not in self._scores]
        found = await asyncio.gather(*(self._score(reply, number, gate) for reply, number in new))
        self._scores.update(zip(new, found, strict=True))
        return [self._scores[one] for one in asked]

    def _fit(self, reply: str) -> Fit:
        text = extract(reply, "mas").text
        if text not in self._fits:
            self._fits[text] = fit_of(text, self._shape, self._grounds.host, self._grounds.limits)
        return self._fits[text]

    async def _score(self, reply: str, number: int, gate: asyncio.Semaphore) -> float:
        program, sample = self._fit(reply).program, self._grounds.samples[number]
        if program is None:
            return 0.0
        async with gate:
            loaded = self._grounds.host.loaded(program)
            try:
                result = await loaded.start(
                    "main", sample.inputs, rectifier=False, seed=number, budget=self._grounds.limits
                )
            except (RunFailed, StepFailed, InputError) as failure:
                self.failures.append(str(failure))
                return 0.0
            score = await self._grounds.grader.score(plain(result.value), sample, seed=number)
        if score.score is None:
            self.failures.append(score.why)
        return score.score or 0.0


def said(completion: Any) -> str:
    """Return the text of a completion of TRL's: a text, or messages of which the last one counts."""
    if isinstance(completion, str):
        return completion
    return str(completion[-1]["content"]) if completion else ""


def rewards_of(judge: Judge) -> tuple[Reward, ...]:
    """Return the rewards as TRL calls them, in the order of `NAMES`: with completions and the column `sample`."""

    def parses(completions: Sequence[Any], **rest: Any) -> list[float]:
        return [float(judge.parses(said(one))) for one in completions]

    def checks(completions: Sequence[Any], **rest: Any) -> list[float]:
        return [float(judge.checks(said(one))) for one in completions]

    def fits(completions: Sequence[Any], **rest: Any) -> list[float]:
        return [float(judge.fits(said(one))) for one in completions]

    def right(completions: Sequence[Any], sample: Sequence[int], **rest: Any) -> list[float]:
        return asyncio.run(judge.scores([said(one) for one in completions], sample))

    return parses, checks, fits, right
