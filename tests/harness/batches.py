"""Batches for tests and benchmarks: a small program over made-up samples, with a scripted model and a counting tool."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from masdsl.batch.base import Batch, Engine, Job, Lineup, Sample
from masdsl.batch.coordinator import Coordinator, Ended
from masdsl.batch.store import JOURNAL, Store, write_samples
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
solver = ["one", "two", "three", "four"]
checker = [true]
"""
TOOLS = """import os, time

def seen(text: str) -> int:
    with open(os.environ.get("SEEN", "/dev/null"), "a") as file:
        file.write(f"{text}\\n")
    time.sleep(float(os.environ.get("SEEN_SECONDS", "0")))
    return 1
"""


def project(folder: Path, program: str = PROGRAM) -> Path:
    """Write a program with its configuration to a folder; return the program's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.mas").write_text(program)
    (folder / "replies.toml").write_text(SCRIPT)
    (folder / "seen_tool.py").write_text(TOOLS)
    (folder / "mas.toml").write_text(
        '[tiers]\ndefault = "scripted"\n[models.scripted]\nkind = "scripted"\npath = "replies.toml"\n'
        '[tools]\n"test.seen" = "seen_tool:seen"\n'
    )
    return folder / "p.mas"


def begun(folder: Path, program: Path, count: int, **changes: Any) -> tuple[Store, Batch]:
    """Begin a batch of a program over so many samples in a folder."""
    lineup = Lineup("configured", {})
    samples: Iterable[Sample] = (Sample(n, {"question": f"question {n}"}, "four") for n in range(count))
    path, digest, found = write_samples(str(folder), samples)
    system = describe("p", str(program), None, [lineup])
    batch = Batch("b", (system,), (lineup,), path, digest, found, **changes)
    store = Store(str(folder))
    return store, store.begin(batch)


def made(
    folder: Path, program: Path, count: int, engine: Engine, *, workers: int = 1, journal: str = "", **options: Any
) -> tuple[Ended, bytes]:
    """Make a batch, or go on with it; return how it ended, and its outcomes as they are stored."""
    store, batch = begun(folder, program, count)
    try:
        job = Job(store.path("batch.json"), journal or store.path(JOURNAL), workers=workers)
        ended = Coordinator(store, batch, engine, job, **options).make()
    finally:
        store.close()
    return ended, (folder / "outcomes.jsonl").read_bytes()


def calls_seen(path: Path) -> list[str]:
    """Return what the program's tool was called with."""
    return path.read_text().splitlines() if os.path.exists(path) else []
