"""A journaled step beside bare asyncio and LangGraph: `python -m tests.bench.bench_langgraph [--langgraph PYTHON]`.

LangGraph with its SQLite checkpointer is measured in the same turns where it is installed (`pip install -e '.[bench]'`)
or by another Python that has it. Every measurement is a process of its own; what is in the tables are medians. What a
step costs without a journal, and with others, is in `bench_runs`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.measure import plain_environment, table

ROOT = Path(__file__).resolve().parents[2]
LANGGRAPH = "langgraph"
NAMES = {
    "bare": "bare asyncio, nothing kept",
    "masdsl": "masdsl, journal in SQLite",
    LANGGRAPH: "LangGraph, SQLite checkpointer",
}


class Work(NamedTuple):
    """A measurement: of what, in which way, and how many runs."""

    name: str
    mode: str
    runs: int


def works(size: int, in_flight: int, *, with_langgraph: bool) -> list[Work]:
    """Return the measurements of one round."""
    names = [name for name in NAMES if with_langgraph or name != LANGGRAPH]
    few = {LANGGRAPH: 10}
    return [
        *(Work(name, "sequential", max(size // few.get(name, 1), 5)) for name in names),
        *(Work(name, "concurrent", max(size * 2 // few.get(name, 1), 5)) for name in names),
        *(Work(name, "in-flight", max(in_flight // few.get(name, 1) ** 2, 5)) for name in names),
    ]


def measure(work: Work, python: str) -> dict[str, float]:
    """Do one measurement."""
    command = [python, "-m", "tests.bench.step_work", work.name, work.mode, str(work.runs)]
    environment = {**plain_environment(), "LANGSMITH_TRACING": "false"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def has_langgraph(python: str) -> str:
    """Return why LangGraph cannot be measured; nothing where it can."""
    importing = "import langgraph.func, langgraph.checkpoint.sqlite.aio"
    done = subprocess.run([python, "-c", importing], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it cannot be imported"])[-1]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langgraph", metavar="PYTHON", default=os.environ.get("LANGGRAPH_PYTHON", sys.executable))
    parser.add_argument("--runs", type=int, default=300, help="runs one after the other; twice as many at once")
    parser.add_argument("--in-flight", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    missing = has_langgraph(options.langgraph)
    planned = works(options.runs, options.in_flight, with_langgraph=not missing)
    taken: dict[Work, list[dict[str, float]]] = {work: [] for work in planned}
    for _ in range(options.rounds):
        for work in planned:
            taken[work].append(measure(work, options.langgraph if work.name == LANGGRAPH else sys.executable))

    def per_step(name: str, mode: str, what: str) -> float:
        [work] = [one for one in planned if one.name == name and one.mode == mode]
        return statistics.median(one[what] / one["steps"] * 1e6 for one in taken[work])

    names = list(dict.fromkeys(work.name for work in planned))
    rows = []
    for name in names:
        figures = [per_step(name, mode, what) for mode in ("sequential", "concurrent") for what in ("wall", "cpu")]
        rows.append(
            (
                NAMES[name],
                *(f"{one:.0f}" for one in figures),
                f"{figures[0] / per_step('bare', 'sequential', 'wall'):.1f}",
            )
        )
    print("µs for each step; runs of eight steps, one after the other (models take no time), and at once (5 ms)\n")
    print(table(("", "wall", "CPU", "wall at once", "CPU at once", "wall, bare = 1"), rows))
    if not missing:
        ratios = [
            per_step(LANGGRAPH, *way) / per_step("masdsl", *way)
            for way in (("sequential", "cpu"), ("concurrent", "cpu"))
        ]
        print(f"\nLangGraph takes {ratios[0]:.1f} times the CPU one after the other, {ratios[1]:.1f} times at once.")
    if missing:
        print(f"\nLangGraph is not here, so it is not measured: {missing}")
    print("\nRuns in flight in one process, three calls each under way\n")
    held = [
        (NAMES[work.name], f"{work.runs:,}", f"{statistics.median(one['kb'] for one in taken[work]):.1f}")
        for work in planned
        if work.mode == "in-flight"
    ]
    print(table(("", "runs", "KB each"), held))


if __name__ == "__main__":
    main(sys.argv[1:])
