"""The engine `local`: worker processes on this machine, which share one journal.

A worker is a process of its own with an event loop, so that a batch uses every core and survives whatever happens to
one of them. It has two chunks at a time: when the last runs of one are under way, those of the next begin. Workers end
when their parent does, however that happens: their input ends.

A worker that dies is replaced, and its chunks are made again, each alone from then on, so that it shows whose fault it
was. A chunk that has ended `DEATHS` workers is taken apart into its runs, and a run that has ended so many is failed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import IO, Any, Final, NamedTuple

from masdsl.batch.base import Chunk, ChunkDone, EngineFault, Job, make_chunk, work_of
from masdsl.batch.engines.deaths import DEATHS, Deaths
from masdsl.batch.engines.paths import python_path
from masdsl.batch.engines.supply import Supply
from masdsl.batch.engines.wire import from_wire
from masdsl.journal import JournalError, open_journal

CHUNKS_AT_ONCE: Final = 2
_GRACE: Final = 10.0
"""Seconds that workers have to leave by themselves at the end."""


class LocalEngine:
    """Worker processes on this machine; with no workers, the runs are made in this process."""

    name = "local"
    aim = 1.0

    def work(self, job: Job, chunks: Iterator[Chunk | None]) -> Iterator[ChunkDone]:
        """Yield every chunk when it is done; see `Engine`."""
        if job.workers == 0:
            return _here(job, chunks)
        return _Parent(job, chunks).work()


def _here(job: Job, chunks: Iterator[Chunk | None]) -> Iterator[ChunkDone]:
    """Make the chunks in this process, one after the other."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise EngineFault("an event loop runs in this thread already; give the batch worker processes (workers=1)")
    work = work_of(job)
    with asyncio.Runner() as runner:
        try:
            journal = open_journal(job.journal)
        except JournalError as error:
            raise EngineFault(str(error)) from error
        try:
            for chunk in chunks:
                if chunk is not None:
                    yield runner.run(make_chunk(job, chunk, journal))
        except JournalError as error:
            raise EngineFault(str(error)) from error
        finally:
            runner.run(work.close_all())
            journal.close()


class _Message(NamedTuple):
    """What a worker said; None at its end."""

    worker: _Worker
    data: dict[str, Any] | None


class _Worker:
    """A worker process, and the chunks that it has."""

    def __init__(self, job: Job, said: SimpleQueue[_Message]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "masdsl.batch.engines.local_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": python_path()},
        )
        self.chunks: list[Chunk] = []
        self.is_ready = False
        self.is_alone = False
        """Whether its chunk is one that it should have alone."""
        self._send(job._asdict())
        assert self.process.stdout is not None
        threading.Thread(target=self._read, args=(self.process.stdout, said), daemon=True).start()

    def _read(self, lines: IO[bytes], said: SimpleQueue[_Message]) -> None:
        with lines:
            for line in lines:
                try:
                    said.put(_Message(self, json.loads(line)))
                except ValueError:  # it died while it wrote
                    break
        said.put(_Message(self, None))

    def _send(self, data: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(data).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:  # it is dead: `_read` says so
            pass

    def give(self, chunk: Chunk, *, alone: bool) -> None:
        """Let it make a chunk."""
        self.chunks.append(chunk)
        self.is_alone = alone
        self._send(chunk)

    def leave(self) -> None:
        """Let it end by itself."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError:
            pass

    def end(self, seconds: float) -> int:
        """Wait for its end, and hasten that after so many seconds; return the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class _Parent:
    """Who has the workers."""

    def __init__(self, job: Job, chunks: Iterator[Chunk | None]) -> None:
        self._job = job
        self._supply = Supply(chunks)
        self._said: SimpleQueue[_Message] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._deaths = Deaths()
        self._unborn = 0

    def work(self) -> Iterator[ChunkDone]:
        try:
            while True:
                self._hand_out()
                if not any(worker.chunks for worker in self._workers):
                    if self._supply.is_empty:
                        return
                    if not self._workers:
                        raise EngineFault("no chunk is to be had, and none is under way: a fault of masdsl")
                worker, data = self._said.get()
                if data is None:
                    yield from self._bury(worker)
                elif "fault" in data:
                    raise EngineFault(data["fault"])
                elif "done" in data:
                    done = from_wire(data["done"])
                    worker.chunks.remove(done.chunk)
                    self._deaths.done(done.chunk)
                    yield done
                else:
                    worker.is_ready = True
                    self._unborn = 0
        finally:
            for worker in self._workers:
                worker.leave()
            for worker in self._workers:
                worker.end(_GRACE)

    def _hand_out(self) -> None:
        """Give chunks to workers that have room, and make workers as long as there are chunks for them."""
        for at_once in range(1, CHUNKS_AT_ONCE + 1):  # everybody has one before anybody has two
            for worker in list(self._workers):
                if len(worker.chunks) < at_once and not (worker.is_alone and worker.chunks):
                    self._give(worker)
            while at_once == 1 and len(self._workers) < self._job.workers:
                chunk = self._supply.next()
                if chunk is None:
                    break
                self._workers.append(_Worker(self._job, self._said))
                self._workers[-1].give(chunk, alone=chunk in self._deaths)

    def _give(self, worker: _Worker) -> None:
        chunk = self._supply.next(again=not worker.chunks)  # one to be made alone only where it is idle
        if chunk is not None:
            worker.give(chunk, alone=chunk in self._deaths)

    def _bury(self, worker: _Worker) -> Iterator[ChunkDone]:
        """Take over the chunks of a worker that has died."""
        code = worker.end(0.1)
        worker.leave()
        self._workers.remove(worker)
        if not worker.is_ready:
            self._unborn += 1
            if self._unborn >= DEATHS:
                raise EngineFault(f"workers end before they begin ({_ended(code)}); what they said is above")
            self._supply.put_back(*worker.chunks)
            for chunk in worker.chunks:
                self._deaths.suspect(chunk)
            return
        for chunk in worker.chunks:
            parts = self._deaths.died(chunk)
            self._supply.put_back(*parts)
            if not parts:
                yield self._failed(chunk, f"its run ended {DEATHS} workers, one after the other ({_ended(code)})")

    def _failed(self, chunk: Chunk, why: str) -> ChunkDone:
        """Return the outcome of a run that cannot be made, with what it did cost."""
        journal = open_journal(self._job.journal)
        try:
            return work_of(self._job).failed_run(self._job, chunk, journal, why)
        finally:
            journal.close()


def _ended(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
