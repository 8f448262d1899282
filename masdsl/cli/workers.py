"""The processes that `trees.over` spreads its work over.

Each worker gets a few paths at a time and answers for one after the other, so that the first path without an answer is
the one that killed it. Workers never see an interrupt of the terminal: this process gets it and ends them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

from masdsl.cli.trees import Outcome, Work, bytes_of
from masdsl.diagnostics.base import Finding
from masdsl.source import Source

T = TypeVar("T")

AHEAD: Final = 8
"""Files that a worker may have before it."""
AHEAD_BYTES: Final = 16 * 1024
"""Bytes of programs that a worker may have before it, unless it is one file."""
AHEAD_TEXT: Final = 4000
"""Bytes of paths that a worker may have before it while it works. They fit into the pipe whatever the system, so that
this process never waits for a worker that waits for it."""
TRIES: Final = 2
"""How many workers a file may kill before it is given up."""
FALSE_STARTS: Final = 3
"""How many workers may end before they are ready, one after the other; then this process does the rest itself."""


class _Worker:
    """A process, this side of the pipe to it, and what it was asked: places in the list of paths, in order."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self.pipe = pipe
        self.ready = False
        self.asked: deque[tuple[int, int, int]] = deque()
        self.size = 0
        self.text = 0

    def has_room(self) -> bool:
        return not self.asked or (len(self.asked) < AHEAD and self.size < AHEAD_BYTES and self.text < AHEAD_TEXT)

    def note(self, at: int, size: int, text: int) -> None:
        self.asked.append((at, size, text))
        self.size += size
        self.text += text

    def answered(self) -> int:
        at, size, text = self.asked.popleft()
        self.size -= size
        self.text -= text
        return at


class _Pool(Generic[T]):
    """The state of one `over_processes`."""

    def __init__(self, paths: Sequence[str], work: Work[T], jobs: int, method: str) -> None:
        self.paths = paths
        self.work = work
        self.jobs = jobs
        self.method = method
        self.workers: list[_Worker] = []
        self.queue: deque[int] = deque()
        self.ready: dict[int, Outcome[T]] = {}
        self.deaths: dict[int, int] = {}
        self.false_starts = 0

    def looked_at(self, at: int) -> None:
        """Take the outcome of a path that is known, or queue it."""
        outcome = self.work.known(self.paths[at])
        if outcome is None:
            self.queue.append(at)
        else:
            self.ready[at] = outcome

    def hire(self) -> None:
        """Start workers while there is enough to do for one more."""
        idle = sum(not worker.asked for worker in self.workers)
        while idle < len(self.queue) and len(self.workers) < self.jobs and self.false_starts < FALSE_STARTS:
            try:
                self.workers.append(_start(self.work, self.method, [worker.pipe for worker in self.workers]))
            except OSError:  # no more processes for this user, or no memory
                self.false_starts = FALSE_STARTS
            idle += 1

    def ask(self, worker: _Worker) -> None:
        """Send a worker as much as it has room for."""
        batch: list[str] = []
        while self.queue and worker.has_room():
            at = self.queue.popleft()
            path = self.paths[at]
            worker.note(at, bytes_of(path) * self.work.weight, len(path) * 4 + 16)
            batch.append(path)
        if batch:
            try:
                worker.pipe.send(batch)
            except OSError:
                pass  # it is dead; `hear` will find that out

    def hear(self, worker: _Worker) -> None:
        """Take what a worker has to say: that it is ready, an outcome, or that it is no more."""
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            self.bury(worker)
            return
        if not worker.ready:
            worker.ready, self.false_starts = True, 0
        else:
            self.ready[worker.answered()] = answer

    def bury(self, worker: _Worker) -> None:
        """Let others do what a dead worker has left."""
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        left = [at for at, _, _ in worker.asked]
        if not worker.ready:
            self.false_starts += 1
        elif left:
            at = left[0]
            self.deaths[at] = self.deaths.get(at, 0) + 1
            if self.deaths[at] >= TRIES:
                self.ready[at] = _lost(self.paths[at], worker.process.exitcode)
                del left[0]
        self.queue.extendleft(reversed(left))

    def close(self, *, at_once: bool) -> None:
        """End all workers; those that have nothing to do end when nobody can ask them any more."""
        for worker in self.workers:
            if at_once or worker.asked:
                worker.process.kill()
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(1)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()


def over_processes(
    paths: Sequence[str],
    work: Work[T],
    jobs: int,
    method: str,
    unknown: Sequence[int],
    ready: dict[int, Outcome[T]],
    looked_at: int,
) -> Iterator[Outcome[T]]:
    """Yield the outcomes of the paths from the first of `unknown` on, in order, with the help of up to `jobs` workers.

    Of the paths before `looked_at`, those in `ready` have outcomes already; `unknown` are places of the others.
    """
    pool = _Pool(paths, work, jobs, method)
    pool.ready.update(ready)
    pool.queue.extend(unknown)
    upcoming = pool.queue[0]
    finished = False
    try:
        if method == "fork":
            # What this file needs is imported then, and the workers are copies of a process that has it.
            pool.ready[upcoming] = work.done(paths[pool.queue.popleft()])
        while upcoming < len(paths):
            while looked_at < len(paths) and len(pool.queue) < AHEAD:
                pool.looked_at(looked_at)
                looked_at += 1
            pool.hire()
            for worker in pool.workers:
                if worker.has_room():
                    pool.ask(worker)
            while upcoming in pool.ready:
                yield pool.ready.pop(upcoming)
                upcoming += 1
            more = looked_at < len(paths) and any(worker.has_room() for worker in pool.workers)
            if not pool.workers:
                if pool.queue:
                    at = pool.queue.popleft()
                    pool.ready[at] = work.done(paths[at])
            elif upcoming < len(paths):
                pipes = {worker.pipe: worker for worker in pool.workers}
                for pipe in wait(list(pipes), 0 if more else None):
                    pool.hear(pipes[pipe])  # type: ignore[index]  # `wait` gives back what it was given
        finished = True
    finally:
        pool.close(at_once=not finished)


def _lost(path: str, exit_code: int | None) -> Outcome[Any]:
    from masdsl.diagnostics.internal import WorkerDied

    code = exit_code or 0
    try:
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        reason = f"signal {-code}"
    return Outcome(path, (Finding(Source(path, ""), WorkerDied(reason)),), (), None)


# ---------------------------------------------------------------- starting, and the other side


def _start(work: Work[Any], method: str, inherited: list[Connection]) -> _Worker:
    """Start a worker. Raises OSError where the system has no room for one."""
    context: Any = get_context(method)
    ours, theirs = context.Pipe()
    closing = [*inherited, ours] if method == "fork" else []
    process = context.Process(target=_serve, args=(work, theirs, closing), daemon=True)
    try:
        with _without_interrupts(method), _nameless_main(method):
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Worker(process, ours)


@contextmanager
def _without_interrupts(method: str) -> Iterator[None]:
    """Keep an interrupt from a process that is just being started: it would end with a traceback of its own.

    A copy inherits that signals wait; another program inherits only that they are ignored.
    """
    if method == "fork":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    try:
        handler: Any = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, which alone gets interrupts
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def _nameless_main(method: str) -> Iterator[None]:
    """Keep a new process from importing the program that called masdsl, which may not be made for that."""
    main = sys.modules.get("__main__")
    if method == "fork" or main is None:
        yield
        return
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(work: Work[Any], pipe: Connection, inherited: Sequence[Connection]) -> None:
    """Do the work on the paths that come through a pipe, until nobody can send any more; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for other in inherited:
            other.close()
        if not inherited:
            from masdsl.cli import collect_garbage_less_often

            collect_garbage_less_often()
        pipe.send(None)
        _answer(pipe, work.done)
        code = 0
    except (EOFError, OSError):
        code = 0  # whoever asked is gone
    finally:
        os._exit(code)  # nothing here needs to be put away, least of all what a copy has of its original


def _answer(pipe: Connection, done: Callable[[str], Outcome[Any]]) -> None:
    while True:
        for path in pipe.recv():
            pipe.send(done(path))
