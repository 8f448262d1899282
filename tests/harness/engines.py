"""Batches on engines: a small program over made-up samples, with a scripted model and a counting tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from masdsl.batch.base import Batch, Engine, Job, Lineup, Sample
from masdsl.batch.coordinator import Coordinator, Ended
from masdsl.batch.data import freeze
from masdsl.batch.engines import engine_named
from masdsl.batch.store import JOURNAL, NEW_SAMPLES, Store
from masdsl.batch.systems import describe

PROGRAM = """mas 1
budget calls 8
agent solver(question: text(60)) -> text(40) "Solve {{ question }}."
agent checker(question: text(60), answer: text(40)) -> bool "Is {{ answer }} right for {{ question }}?"
tool seen(text: text(60)) -> int from "test.seen"
flow main(question: text(60)) -> text {
  drafts = 3 of solver(question)
  n = seen(question)
  final = solver(drafts[0])
  ok = checker(question, final)
  if ok {
    return final
  }
  return drafts[1]
}
"""
SCRIPT = """[replies]
"main.drafts[0]" = "one"
"main.drafts[1]" = "two"
"main.drafts[2]" = "three"
"main.final" = "four"
checker = true
"""
"""By step: a queue begins anew when a run is gone on with."""
TOOLS = """import os, time

def seen(text: str) -> int:
    if SECONDS:
        with open(SEEN, "a") as file:
            file.write(f"{text} {os.getpid()}\\n")
        time.sleep(SECONDS)
    return 1
"""


def project(folder: Path, program: str = PROGRAM, *, seconds: float = 0.02) -> Path:
    """Write a program with its configuration to a folder; return the program's path.

    Its tool takes so many seconds, and writes who called it to the file `seen` beside the folder; with 0 neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.mas").write_text(program)
    (folder / "replies.toml").write_text(SCRIPT)
    (folder / "seen_tool.py").write_text(f"{TOOLS}\nSEEN, SECONDS = {str(folder.parent / 'seen')!r}, {seconds}\n")
    (folder / "mas.toml").write_text(
        '[tiers]\ndefault = "scripted"\n[models.scripted]\nkind = "scripted"\npath = "replies.toml"\n'
        '[tools]\n"test.seen" = "seen_tool:seen"\n'
    )
    return folder / "p.mas"


def begun(folder: Path, program: Path, count: int, **changes: Any) -> tuple[Store, Batch]:
    """Begin a batch of a program over so many samples in a folder."""
    lineup = Lineup("configured", {})
    samples: Iterable[Sample] = (Sample(n, {"question": f"question {n}"}, "four") for n in range(count))
    path = str(folder / NEW_SAMPLES)
    frozen = freeze(samples, path)
    system = describe("p", str(program), None, [lineup])[0]
    batch = Batch("b", (system,), (lineup,), path, frozen.sha256, frozen.samples, **changes)
    store = Store(str(folder))
    return store, store.begin(batch)


def make(
    folder: Path, program: Path, count: int, engine: Engine, *, workers: int = 1, journal: str = "", **options: Any
) -> Ended:
    """Make a batch, or go on with it; return how it ended."""
    store, batch = begun(folder, program, count)
    try:
        job = Job(store.path("batch.json"), journal or store.path(JOURNAL), workers=workers)
        return Coordinator(store, batch, engine, job, **options).make()
    finally:
        store.close()


def made(folder: Path, program: Path, count: int, engine: Engine, **options: Any) -> tuple[Ended, bytes]:
    """Do what `make` does; return its outcomes as they are stored, too."""
    ended = make(folder, program, count, engine, **options)
    return ended, (folder / "outcomes.jsonl").read_bytes()


def calls_seen(path: Path) -> list[str]:
    """Return what the program's tool was called with."""
    return path.read_text().splitlines() if os.path.exists(path) else []


class Unfinished(Exception):
    """A batch did not come to its end."""


def started(folder: Path, program: Path, count: int, engine: str, **options: str) -> subprocess.Popen[str]:
    """Start the making of a batch as a process of its own: `python -m tests.harness.engines`."""
    asked = [str(folder), str(program), str(count), engine, *(f"{name}={value}" for name, value in options.items())]
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.harness.engines", *asked],
        cwd=root,
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_calls(folder: Path, least: int, process: subprocess.Popen[str], seconds: float = 200) -> None:
    """Wait until the program's tool was called so often."""
    until = time.monotonic() + seconds
    while len(calls_seen(folder.parent / "seen")) < least:
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            out, err = process.communicate()
            raise Unfinished(f"exit code {process.returncode}: {out}{err}")
        time.sleep(0.05)


def ended_well(process: subprocess.Popen[str], seconds: float = 300) -> None:
    """Wait for the end of a batch. Raises Unfinished."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    if process.returncode != 0:
        raise Unfinished(f"exit code {process.returncode}: {out}{err}")


def workers_of(process: subprocess.Popen[str], word: str) -> list[int]:
    """Return the processes below another one whose command line has a word."""
    found, below = [], [process.pid]
    while below:
        pid = below.pop()
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        below += map(int, listed)
        found += [int(one) for one in listed if word in Path(f"/proc/{one}/cmdline").read_text()]
    return found


def main() -> None:
    folder, program, count, engine, *rest = sys.argv[1:]
    options = dict(one.split("=", 1) for one in rest)
    workers, chunk = int(options.get("workers", 2)), options.get("chunk")
    ended = make(
        Path(folder),
        Path(program),
        int(count),
        engine_named(engine),
        workers=workers,
        journal=options.get("journal", ""),
        chunk=int(chunk) if chunk else None,
    )
    print(json.dumps(ended._asdict()))


if __name__ == "__main__":
    main()
