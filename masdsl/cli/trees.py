"""Work on many files: in this process where they are few, else in several, with the same results in the same order.

A command says what is to be done with one file as a `Work`; `over` does it with all of them and yields what came of
each, in the order of the files, as soon as it and those before it are done. Nothing of a file is kept once its outcome
is yielded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from masdsl.cli.boundary import UsageError
from masdsl.cli.files import STDIN
from masdsl.diagnostics.base import Finding, Suppressed

if TYPE_CHECKING:
    from argparse import ArgumentParser

T = TypeVar("T")

PAYS: Final = 48 * 1024
"""Bytes of programs (times the weight of the work) from which on several processes are faster than one: starting two
of them takes as long as checking about 20 KB, and two save half of the time at best. Measured by
`python -m tests.bench.bench_trees --break-even`.
"""
PAYS_SPAWNED: Final = 128 * 1024
"""The same where a process cannot be a copy of this one and has to import everything anew."""
MOST_JOBS: Final = 256


class Outcome(NamedTuple, Generic[T]):
    """What came of one file: its findings, those that it or the configuration allows, and what the work is about; None
    where that could not be made.
    """

    path: str
    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...]
    value: T | None


class Work(Protocol[T]):
    """What is done with one file. It must be fit for pickling, so that other processes can do it too."""

    @property
    def weight(self) -> int:
        """How many times longer than a check this takes."""

    def known(self, path: str) -> Outcome[T] | None:
        """Return the outcome where it is known already; quick, never raises for what is wrong with the file."""

    def done(self, path: str) -> Outcome[T]:
        """Do the work. What is wrong with the file, or goes wrong with it, is among the findings."""


def over(paths: Sequence[str], work: Work[T], *, jobs: int | None = None) -> Iterator[Outcome[T]]:
    """Yield the outcome of each path, in their order.

    At most `jobs` processes work at the same time (by default as many as there are processors for this one), and fewer
    where more would not pay. A file whose process dies has that as its finding; the others go on.
    """
    most = usable_processors() if jobs is None else jobs
    if most < 2 or len(paths) < 2 or STDIN in paths:  # standard input can be read by one process only
        for path in paths:
            yield work.known(path) or work.done(path)
        return
    method, pays = start_method()
    unknown: list[int] = []
    ready: dict[int, Outcome[T]] = {}
    size = 0
    for at, path in enumerate(paths):
        outcome = work.known(path)
        if outcome is None:
            unknown.append(at)
            size += bytes_of(path) * work.weight
        elif unknown:
            ready[at] = outcome
        else:
            yield outcome
        if size >= pays and len(unknown) > 1:
            from masdsl.cli.workers import over_processes

            yield from over_processes(paths, work, most, method, unknown, ready, at + 1)
            return
    first = unknown[0] if unknown else len(paths)
    for at in range(first, len(paths)):
        yield ready.pop(at) if at in ready else work.done(paths[at])


def start_method() -> tuple[str, int]:
    """Return how processes are started here, and from how many bytes of programs on that pays.

    A copy of this process is made where that is safe: where the system's libraries bear it, and no other thread could
    hold a lock at that moment.
    """
    import sys
    import threading

    if sys.platform == "linux" and threading.active_count() == 1:
        return "fork", PAYS
    return "spawn", PAYS_SPAWNED


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def bytes_of(path: str) -> int:
    """Return the size of a file; 0 where it has none."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def add_jobs_option(parser: ArgumentParser) -> None:
    """Add the option `--jobs` of the commands that work on trees; its value is None or at least 1."""
    parser.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="work in at most N processes (default: one for each processor, where that is faster)",
    )


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_JOBS:
        raise UsageError(f"`--jobs {text}` is no number of processes", f"give a number from 1 to {MOST_JOBS}")
    return int(text)
