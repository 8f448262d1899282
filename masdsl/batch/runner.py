"""What every engine's worker does: the runs of a chunk, each under its id in the journal, graded.

A run that is there already is not made again: one that ended has its outcome in the journal, one that was broken off
goes on. So a chunk may be made any number of times, by any worker, and gives the same outcomes.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from masdsl.batch.base import NOTHING, Amount, Batch, Chunk, ChunkDone, Doubt, EngineFault, Job, Outcome, Run, Sample
from masdsl.batch.data import Wanted, wanted_by
from masdsl.batch.graders import grader_of as grader_named
from masdsl.batch.grading import Grader, GraderFault, Kept
from masdsl.batch.models import BatchModels, models_of
from masdsl.batch.reading import Samples, read_batch
from masdsl.batch.systems import BadSystem, identity, key_of, load
from masdsl.journal import JournalBusy, RunExists, UnknownRun
from masdsl.journal.errors import JournalError
from masdsl.loaded import ProgramError
from masdsl.runtime.failures import InputError, RunFailed, RunStopped, StepFailed
from masdsl.runtime.meter import NO_LIMITS
from masdsl.runtime.past import paid_by, spent_by
from masdsl.runtime.shapes import plain

if TYPE_CHECKING:
    from masdsl.batch.base import Lineup, Status, System
    from masdsl.journal import Journal, Row
    from masdsl.loaded import LoadedProgram
    from masdsl.runtime import Result

PATIENCE: Final = 30.0
"""Seconds to wait for a run whose former owner has not been found dead yet."""
_PAUSE: Final = 0.1
_MEASURED = re.compile(r"\b\d+\.\d+(?= ?(?:s|ms|seconds)\b)")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")


class _Made(NamedTuple):
    """A run that was made, or found: `outcome` is None for one that waits until there is room for its doubts."""

    outcome: Outcome | None
    seconds: float
    resumed: bool = False
    doubt: Doubt | None = None


async def run_chunk(job: Job, chunk: Chunk, journal: Journal) -> ChunkDone:
    """Make the runs of a chunk, at most `job.at_once` at a time with those of other chunks, and return their outcomes.

    What is needed for it is opened once for each event loop, and closed by `close_all`.

    Raises EngineFault where the batch cannot be read, or is not what it was; JournalError.
    """
    loop = asyncio.get_running_loop()
    opened = _opened.setdefault(loop, {})
    if job.batch not in opened:
        opened[job.batch] = Worker(job)
    return await opened[job.batch].make(job, chunk, journal)


async def close_all() -> None:
    """Close the models and files of all batches of this event loop."""
    for worker in _opened.pop(asyncio.get_running_loop(), {}).values():
        await worker.close()


class Worker:
    """A batch that is opened in a process, on one event loop."""

    def __init__(self, job: Job) -> None:
        self.batch: Batch = read_batch(job.batch)
        self._samples = Samples(self.batch.samples_path, self.batch.samples_hash, self.batch.samples)
        self._job = job
        self._loaded: dict[tuple[str, str], tuple[LoadedProgram, str, BatchModels, Wanted]] = {}
        self._models: dict[str, BatchModels] = {}
        self._grader = grader_of(self.batch, job)
        self._room = asyncio.Semaphore(max(job.at_once, 1))  # of all chunks together: first come, first served

    async def close(self) -> None:
        """Close models and samples."""
        self._samples.close()
        for models in self._models.values():
            await models.close()

    async def make(self, job: Job, chunk: Chunk, journal: Journal) -> ChunkDone:
        """Make the runs of a chunk; see `run_chunk`."""
        if not 0 <= chunk.first < chunk.last <= self.batch.runs:
            raise EngineFault(f"the batch has {self.batch.runs} runs, and none from {chunk.first} to {chunk.last - 1}")
        most = chunk.doubts if job.budgeted else None

        async def make(number: int) -> _Made:
            async with self._room:
                return await self._make(self.batch.run(number), journal, most)

        runs = [asyncio.ensure_future(make(number)) for number in range(chunk.first, chunk.last)]
        try:
            ordered = await asyncio.gather(*runs)
        except BaseException:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            raise
        cached, saved = self._taken()
        return ChunkDone(
            chunk,
            tuple(one.outcome for one in ordered if one.outcome is not None),
            seconds=tuple(one.seconds for one in ordered if one.outcome is not None),
            resumed=sum(one.resumed for one in ordered),
            cached=cached,
            saved=saved,
            worker=str(os.getpid()),
            doubts=tuple(one.doubt for one in ordered if one.doubt is not None),
        )

    def _taken(self) -> tuple[int, Amount]:
        """Return how many calls the cache has answered since it was asked last, and what they would have taken."""
        cached, saved = 0, NOTHING
        for models in self._models.values():
            if models.cache is not None:
                hits, amount = models.cache.taken()
                cached, saved = cached + hits, saved.plus(amount)
        return cached, saved

    # ------------------------------------------------------------ one run

    async def _make(self, run: Run, journal: Journal, most_doubts: int | None) -> _Made:
        began = time.monotonic()
        sample = self._samples[run.sample]
        try:
            outcome, resumed, doubt = await self._tried(run, sample, journal, most_doubts)
        except (JournalError, EngineFault):
            raise
        except ProgramError as error:
            raise EngineFault(f"{run.system.path} has errors by now: {error}") from None
        except Exception as fault:  # of ours, or of a tool's: the other runs are none the worse for it
            why = f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}"
            outcome, resumed, doubt = (
                _outcome(run, "failed", why=without_moments(why, self.batch.run_id(run.number))),
                False,
                None,
            )
        if outcome is not None and self._grader is not None:
            kept = Kept(journal, f"{self.batch.run_id(run.number)}-judge")
            outcome = await _graded(self._grader, outcome, sample, run.seed, kept)
        return _Made(outcome, time.monotonic() - began, resumed, doubt)

    async def _tried(
        self, run: Run, sample: Sample, journal: Journal, most_doubts: int | None
    ) -> tuple[Outcome | None, bool, Doubt | None]:
        """Return a run's outcome, whether it was broken off before, and what is in doubt of it.

        The outcome is None where more is in doubt than `most_doubts` calls.
        """
        key = self.batch.run_id(run.number)
        program, flow, models, wanted = self._program(run.system, run.lineup)
        options: dict[str, Any] = {
            "journal": journal,
            "budget": None if self.batch.limits == NO_LIMITS else self.batch.limits,
            "models": models.of_run(run.lineup.tiers),
            "count_doubts": False,
        }
        try:
            return (
                await _ran(
                    run,
                    key,
                    program.start(flow, _inputs(wanted, sample), run_id=key, seed=run.seed, **options),
                ),
                False,
                None,
            )
        except RunExists:
            pass
        until = time.monotonic() + PATIENCE
        while True:
            header, rows = journal.read(key)
            doubt = _doubt(run.number, rows, self._rows_of_judge(journal, key))
            outcome = _ended(run, key, rows) if header.status in ("ended", "failed") else None
            if outcome is not None:
                return outcome, False, doubt
            if most_doubts is not None and doubt is not None and doubt.doubtful.calls > most_doubts:
                return None, True, doubt
            try:
                outcome = await _ran(run, key, program.start(flow, {}, resume=key, **options))
            except JournalBusy:  # who had it has died, or is about to be found dead
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE)
                continue
            return outcome, True, doubt

    def _rows_of_judge(self, journal: Journal, key: str) -> Sequence[Row]:
        if self._grader is None or not self._grader.spec.startswith("judge"):
            return ()
        try:
            return journal.read(f"{key}-judge")[1]
        except UnknownRun:
            return ()

    def _program(self, system: System, lineup: Lineup) -> tuple[LoadedProgram, str, BatchModels, Wanted]:
        """Return a system under a lineup: loaded and compiled once. Raises EngineFault where it is another program."""
        known = self._loaded.get((system.name, lineup.name))
        if known is not None:
            return known
        try:
            loaded = load(system.path, lineup.tiers)
            found = identity(loaded.checked)
            if found != system.program:
                raise EngineFault(
                    f"{system.path} is not the program that the batch began with ({found[:12]}, not "
                    f"{system.program[:12]}); put that one back, or begin a batch of its own in another folder"
                )
            folder = os.path.dirname(system.path)
            place = loaded.config.path or folder
            if place not in self._models:
                self._models[place] = models_of(self.batch, self._job, loaded.config, folder)
            key = key_of(loaded, system.flow)
            own = loaded.checked.flows[list(loaded.compiled.flows).index(key)]
            known = loaded, key, self._models[place], wanted_by(own)
        except ProgramError as error:
            raise EngineFault(f"{system.path} has errors by now: {error}") from None
        except BadSystem as fault:
            raise EngineFault(f"{system.path}: {fault}") from None
        self._loaded[system.name, lineup.name] = known
        return known


_opened: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Worker]] = WeakKeyDictionary()


def _inputs(wanted: Wanted, sample: Sample) -> Mapping[str, Any]:
    """Return a sample's inputs; where each of the batch's programs takes one, it does not matter how that is called."""
    if len(sample.inputs) != 1 or not wanted.query or next(iter(sample.inputs)) in wanted.types:
        return sample.inputs
    return {wanted.query: next(iter(sample.inputs.values()))}


async def _ran(run: Run, key: str, start: Awaitable[Result]) -> Outcome:
    """Return what came of a run, whether it failed or not."""
    try:
        result = await start
    except RunFailed as failure:
        status: Status = "stopped" if isinstance(failure, RunStopped) else "failed"
        why = without_moments(f"{failure.step}: {failure.reason}", key)
        return _outcome(run, status, why=why, result=failure.result)
    except InputError as fault:
        return _outcome(run, "failed", why=f"inputs: {fault}")
    except StepFailed as failed:  # a tool of the configuration cannot be used: nothing was called
        return _outcome(run, "failed", why=without_moments(f"{failed.step}: {failed.reason}", key))
    return _outcome(run, "ended", value=plain(result.value), result=result)


def _outcome(run: Run, status: Status, *, value: Any = None, why: str = "", result: Result | None = None) -> Outcome:
    outcome = Outcome(
        run.number, run.system.name, run.lineup.name, run.sample, run.repetition, status, value, None, why=why
    )
    if result is None:
        return outcome
    return outcome._replace(
        calls=result.calls, tokens_in=result.tokens_in, tokens_out=result.tokens_out, picodollars=result.picodollars
    )


def _ended(run: Run, key: str, rows: Sequence[Row]) -> Outcome | None:
    """Return the outcome of a run that ended, by its rows; None where the last of them was lost."""
    end = next((row for row in reversed(rows) if row.kind == "end"), None)
    if end is None:
        return None
    if "step" in end.body:
        outcome = _outcome(run, "failed", why=without_moments(f"{end.body['step']}: {end.body['reason']}", key))
    else:
        outcome = _outcome(run, "ended", value=end.body.get("value"))
    return _with_counts(outcome, rows)


def _with_counts(outcome: Outcome, rows: Sequence[Row]) -> Outcome:
    """Return an outcome with what its run took for certain, by its rows: calls in doubt are made again, and told."""
    cost, calls, _ = paid_by(rows)
    return outcome._replace(
        calls=calls, tokens_in=cost.tokens_in, tokens_out=cost.tokens_out, picodollars=cost.picodollars or 0
    )


def _doubt(number: int, *runs: Sequence[Row]) -> Doubt | None:
    """Return what is in doubt of a run, by its rows and those of its judge; None where nothing is."""
    paid = doubtful = NOTHING
    for rows in runs:
        certain, more = amounts_of(rows)
        paid, doubtful = paid.plus(certain), doubtful.plus(more)
    return None if doubtful == NOTHING else Doubt(number, paid, doubtful)


def amounts_of(rows: Sequence[Row]) -> tuple[Amount, Amount]:
    """Return what rows of a run say was paid for certain, and what may have been besides."""
    paid, in_all = (
        Amount(found.calls, found.cost.tokens, found.cost.picodollars or 0) for found in (paid_by(rows), spent_by(rows))
    )
    return paid, in_all.minus(paid)


def without_moments(text: str, key: str) -> str:
    """Return a text without what differs between two tries of a run: measured times, its id, addresses in memory."""
    return _ADDRESS.sub("0x..", _MEASURED.sub("..", text.replace(key, "<run>")))


async def _graded(grader: Grader, outcome: Outcome, sample: Sample, seed: int, kept: Kept) -> Outcome:
    """Return an outcome with its score: 0 where there is no value, None where it could not be graded."""
    if outcome.status != "ended":
        return outcome._replace(score=0.0)
    score = await grader.score(outcome.value, sample, seed=seed, kept=kept)
    return outcome._replace(
        score=score.score,
        why=without_moments(score.why, kept.run_id),
        judge_calls=score.calls,
        judge_tokens=score.tokens,
        judge_picodollars=score.picodollars,
    )


def failed_run(job: Job, chunk: Chunk, journal: Journal, why: str) -> ChunkDone:
    """Return the outcome of the one run of a chunk that cannot be made, with what it took before that.

    Raises EngineFault where the batch cannot be read.
    """
    batch = read_batch(job.batch)
    run = batch.run(chunk.first)
    outcome = _outcome(run, "failed", why=why)._replace(score=0.0 if batch.grader else None)
    try:
        rows = journal.read(batch.run_id(run.number))[1]
    except UnknownRun:
        return ChunkDone(chunk, (outcome,), (0.0,))
    doubt = _doubt(run.number, rows)
    return ChunkDone(chunk, (_with_counts(outcome, rows),), (0.0,), 1, doubts=() if doubt is None else (doubt,))


def grader_of(batch: Batch, job: Job) -> Grader | None:
    """Return the grader of a batch, None where it has none. Raises EngineFault for one that cannot be used here."""
    try:
        return grader_named(batch.grader, os.path.dirname(job.batch))
    except GraderFault as fault:
        raise EngineFault(f"the grader `{batch.grader}` cannot be used: {fault}") from None
