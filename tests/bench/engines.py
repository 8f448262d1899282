"""What a batch costs on each engine: `python -m tests.bench.engines [--runs 10000] [--engines local dbos ray]`.

The program asks a scripted model five times in each run (three samples, then two steps). Beside it, in the same
minute, bare asyncio makes as many awaits of a model that answers at once. `--scale` makes 1,000, 10,000 and 100,000
runs on `local`, in a process of their own each, and shows whether a run costs the same and the coordinator stays flat.

`--journal postgresql://..` is the database that `dbos` and `ray` use; without it a server is started for `dbos`
(Debian's `postgresql`), and `ray` keeps a file on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from masdsl.batch.engines import engine_named
from tests.harness.engines import make, project
from tests.harness.postgres import server

PROGRAM: Final = """mas 1
budget calls 5
agent solver(question: text(60)) -> text(40) "Solve {{ question }}."
agent checker(question: text(60), answer: text(40)) -> bool "Is {{ answer }} right for {{ question }}?"
flow main(question: text(60)) -> text {
  drafts = 3 of solver(question)
  final = solver(drafts[0])
  ok = checker(question, final)
  if ok {
    return final
  }
  return drafts[1]
}
"""
CALLS: Final = 5


def bare(runs: int) -> float:
    """Return the runs a second of asyncio alone, 32 at a time."""

    async def model(prompt: str) -> str:
        await asyncio.sleep(0)
        return "four"

    async def run(number: int) -> str:
        drafts = await asyncio.gather(*(model(f"Solve question {number}.") for _ in range(3)))
        final = await model(f"Solve {drafts[0]}.")
        return final if await model(f"Is {final} right?") else drafts[1]

    async def some(numbers: Iterator[int]) -> None:
        for number in numbers:
            await run(number)

    async def all_of_them() -> None:
        numbers = iter(range(runs))
        await asyncio.gather(*(some(numbers) for _ in range(32)))

    began = time.perf_counter()
    asyncio.run(all_of_them())
    return runs / (time.perf_counter() - began)


def one(engine: str, runs: int, workers: int, journal: str) -> dict[str, object]:
    """Make a batch in this process, and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        program = project(Path(folder, "project"), PROGRAM)
        cpu = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        ended = make(Path(folder, "batch"), program, runs, engine_named(engine), workers=workers, journal=journal)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = time.process_time() + children.ru_utime - cpu
        return {
            "engine": engine,
            "runs": runs,
            "workers": workers,
            "made": ended.made,
            "seconds": ended.seconds,
            "cpu_ms_per_run": 1000 * used / runs,
            "coordinator_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "sha256": _hash(Path(folder, "batch", "outcomes.jsonl")),
        }


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def apart(engine: str, runs: int, workers: int, journal: str) -> dict[str, object]:
    """Make a batch in a process of its own, so that memory and imports are its own."""
    asked = ["--one", engine, "--runs", str(runs), "--workers", str(workers), "--journal", journal]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.engines", *asked], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stdout}{done.stderr}")
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engines")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--engines", nargs="*", default=["local", "dbos", "ray"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--journal", default="")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.runs, options.workers, options.journal)))
        return
    asyncio_alone = bare(20_000)
    print(f"bare asyncio: {asyncio_alone:,.0f} runs/s of {CALLS} awaits\n")
    print(
        "| engine | workers | runs | seconds | runs/s | bare asyncio"
        " | ms of CPU a run | of the server | coordinator MB | outcomes |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    sizes = (1_000, 10_000, 100_000) if options.scale else (options.runs,)
    for engine in ["local"] if options.scale else options.engines:
        for workers in (options.workers,) if options.scale else range(1, options.workers + 1):
            for runs in sizes:
                server_cpu = "-"
                if engine == "dbos" and not options.journal:
                    with server() as postgres:
                        before = postgres.cpu_seconds()
                        found = apart(engine, runs, workers, f"{postgres.url}/postgres")
                        server_cpu = f"{1000 * (postgres.cpu_seconds() - before) / runs:.2f}"
                else:
                    found = apart(engine, runs, workers, options.journal)
                speed = runs / float(str(found["seconds"]))
                shown = [
                    engine,
                    workers,
                    f"{runs:,}",
                    f"{found['seconds']:.1f}",
                    f"{speed:,.0f}",
                    f"{asyncio_alone / speed:.0f}x",
                    "-" if engine == "ray" else f"{found['cpu_ms_per_run']:.2f}",  # its actors are no children of ours
                    server_cpu,
                    f"{found['coordinator_mb']:.0f}",
                    found["sha256"],
                ]
                print("| " + " | ".join(map(str, shown)) + " |", flush=True)


if __name__ == "__main__":
    main()
