"""The engine `ray`: workers are actors of a Ray cluster (`masdsl[ray]`), beside the servers of models that run there.

The cluster is the one of `RAY_ADDRESS`, as everywhere in Ray; without it one is started on this machine for the batch.
Steps go to the journal, as on every engine: on several machines that has to be a Postgres database. An actor that dies
is replaced, and its chunks are made again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import Any, Final

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from masdsl.batch.base import Chunk, ChunkDone, EngineFault, Job, make_chunk, work_of
from masdsl.batch.engines.deaths import Deaths
from masdsl.batch.engines.paths import python_path
from masdsl.batch.engines.supply import Supply
from masdsl.batch.engines.wire import from_wire, to_wire
from masdsl.journal import Journal, JournalError, open_journal
from masdsl.tracing.exporting import begin, is_asked_for, variables

AT_ONCE: Final = 2
"""Chunks of a worker at a time: when the last runs of one are under way, those of the next begin."""
_WAIT: Final = 5.0
_LEAVE: Final = 8.0
"""Seconds that actors have at the end to send the spans that they still have."""


class RayEngine:
    """Actors of a Ray cluster."""

    name = "ray"
    aim = 2.0

    def work(self, job: Job, chunks: Iterator[Chunk | None]) -> Iterator[ChunkDone]:
        """Yield every chunk when it is done; see `Engine`."""
        started = not ray.is_initialized()
        if started:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            try:
                ray.init(
                    namespace="masdsl",
                    include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
                    log_to_driver=True,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, RayError, RuntimeError, ValueError) as error:
                raise EngineFault(f"the Ray cluster cannot be used: {_line(error)}") from None
        try:
            nodes = sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]
            if nodes > 1 and "://" not in job.journal:
                raise EngineFault(
                    f"the Ray cluster has {nodes} nodes, and a journal in a file is for one machine: give a database as"
                    " --journal postgresql://user@host/database"
                )
            yield from _Driver(job, chunks).work()
        finally:
            if started:
                ray.shutdown()


class _Worker:
    """An actor: a process with an event loop, and a connection to the journal."""

    def __init__(self, journal: str) -> None:
        self._url = journal
        self._journal: Journal | None = None
        self._end_traces = begin(os.environ, lambda why: None)  # the command that began the batch has told why not

    async def make(self, job: dict[str, Any], chunk: tuple[int, ...]) -> dict[str, Any]:
        """Make a chunk; a batch that cannot go on is a `fault`, a lost journal an `error`."""
        try:
            if self._journal is None:
                self._journal = open_journal(self._url, "full" if "://" in self._url else "normal")
            made = Job(**job)
            return {"done": to_wire(await make_chunk(made, Chunk(*chunk), self._journal))}
        except EngineFault as fault:
            return {"fault": str(fault)}
        except JournalError as error:
            journal, self._journal = self._journal, None
            if journal is not None:
                try:
                    journal.close()
                except JournalError:  # what was not stored was not acknowledged
                    pass
            return {"error": str(error)}

    async def leave(self) -> None:
        """Send the spans that are still to be sent."""
        await asyncio.to_thread(self._end_traces)


class _Driver:
    """Who hands out chunks to actors."""

    def __init__(self, job: Job, chunks: Iterator[Chunk | None]) -> None:
        self._job = job
        self._supply = Supply(chunks)
        self._deaths = Deaths()
        self._make = ray.remote(_Worker).options(
            num_cpus=1,
            max_concurrency=AT_ONCE,
            runtime_env={"env_vars": {"PYTHONPATH": python_path(), **variables(os.environ)}},
        )
        self._actors: list[Any] = []
        self._under_way: dict[Any, tuple[Any, Chunk]] = {}

    def work(self) -> Iterator[ChunkDone]:
        try:
            while True:
                self._hand_out()
                if not self._under_way:
                    if self._supply.is_empty:
                        return
                    raise EngineFault("no chunk is to be had, and none is under way: a fault of masdsl")
                ready, _ = ray.wait(list(self._under_way), num_returns=1, timeout=_WAIT)
                for reference in ready:
                    yield from self._taken(reference)
        finally:
            self._let_leave()
            for actor in self._actors:
                ray.kill(actor)

    def _let_leave(self) -> None:
        """Give actors that trace the time to send what they have."""
        if is_asked_for(os.environ):
            try:
                ray.get([actor.leave.remote() for actor in self._actors], timeout=_LEAVE)
            except RayError:  # a trace is not worth more than its batch
                pass

    def _hand_out(self) -> None:
        """Give chunks to actors that have room, and start as many actors as there are chunks for."""
        for at_once in range(1, AT_ONCE + 1):
            while at_once == 1 and len(self._actors) < max(self._job.workers, 1):
                chunk = self._supply.next()
                if chunk is None:
                    break
                self._actors.append(self._make.remote(self._job.journal))
                self._give(self._actors[-1], chunk)
            for actor in self._actors:
                if sum(one is actor for one, _ in self._under_way.values()) < at_once:
                    chunk = self._supply.next()
                    if chunk is None:
                        return
                    self._give(actor, chunk)

    def _give(self, actor: Any, chunk: Chunk) -> None:
        self._under_way[actor.make.remote(self._job._asdict(), tuple(chunk))] = actor, chunk

    def _taken(self, reference: Any) -> Iterator[ChunkDone]:
        """Yield what came back; have made again what did not."""
        actor, chunk = self._under_way.pop(reference)
        try:
            told = ray.get(reference)
        except RayActorError:
            if actor in self._actors:
                self._actors.remove(actor)
            yield from self._died(chunk)
            return
        except RayTaskError as error:
            raise EngineFault(f"a worker failed: {_line(error)}; this is a fault of masdsl") from error
        if "fault" in told:
            raise EngineFault(told["fault"])
        if "error" in told:
            self._supply.failed(chunk, told["error"])
            return
        self._deaths.done(chunk)
        yield from_wire(told["done"])

    def _died(self, chunk: Chunk) -> Iterator[ChunkDone]:
        parts = self._deaths.died(chunk)
        self._supply.put_back(*parts)
        if not parts:
            with open_journal(self._job.journal) as journal:
                yield work_of(self._job).failed_run(self._job, chunk, journal, "its run ended worker after worker")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
