"""Measuring whole processes and functions, ours and theirs in turns so that the machine's mood hits both alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """What a process took: seconds of wall time and of CPU (user and system), and its peak memory in MiB."""

    wall: float
    cpu: float
    memory: float


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end, without output; raises RuntimeError where it does not succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment) if environment else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {process.returncode}: {errors.decode(errors='replace')[:2000]}"
        )
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def medians(costs: Sequence[Cost]) -> Cost:
    """Return the median of each measure."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def in_turns(rounds: int, *commands: Callable[[], Cost]) -> list[Cost]:
    """Run every command once to warm the caches, then all of them in turns; return the medians of each."""
    for command in commands:
        command()
    taken: list[list[Cost]] = [[] for _ in commands]
    for _ in range(rounds):
        for costs, command in zip(taken, commands, strict=True):
            costs.append(command())
    return [medians(costs) for costs in taken]


def timed(work: Callable[[], object]) -> Callable[[], Cost]:
    """Return a function that measures one call of `work` in this process."""

    def measure() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return Cost(time.perf_counter() - wall, time.process_time() - cpu, 0.0)

    return measure


def plain_environment() -> dict[str, str]:
    """The environment, in which Python may cache compiled modules as it does everywhere else."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    }


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, the others to the right."""
    rule = ["---", *("---:" for _ in headings[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (headings, rule, *rows))


def milliseconds(seconds: float) -> str:
    """Return a time for people: `84 ms`, `18.1 s`."""
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"
