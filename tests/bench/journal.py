"""What a row of a journal costs: `python -m tests.bench.journal [rows]`.

Beside it, in turns, what SQLite itself takes for the same bytes: `executemany` in one transaction (nothing is cheaper),
and a transaction for each row or for each turn, without chain, anchor, owner, JSON or futures.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from masdsl.journal import MemoryJournal, RunHeader, commit, open_journal
from masdsl.journal.base import Journal
from masdsl.journal.codec import pack_row
from tests.bench.measure import Cost, in_turns, table

BODY = {
    "text": "The answer is 42, since six times seven is forty-two. " * 4,
    "finish": "stop",
    "model": "small-1",
    "tokens_in": 812,
    "tokens_out": 64,
    "picodollars": 1_234_000,
    "seconds": 1.25,
}
ARGS, DECL = bytes(range(16)), bytes(range(16, 32))
WIDE = 100


def header(run: str) -> RunHeader:
    return RunHeader(run, "bench", {"bench.mas": "mas 1\n"}, "main", {}, 0, "frozen", 0.0, "0")


def _here(work: Callable[[str], None]) -> Callable[[], Cost]:
    """Return a function that measures `work` in a new folder, which is made and removed outside of the time."""

    def measure() -> Cost:
        folder = tempfile.mkdtemp(prefix="journal-bench-")
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            work(str(Path(folder, "runs.db")))
            return Cost(time.perf_counter() - wall, time.process_time() - cpu, 0.0)
        finally:
            shutil.rmtree(folder)

    return measure


def _bare(rows: int, at_once: int, durability: str = "NORMAL") -> Callable[[str], None]:
    def work(path: str) -> None:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {durability}")
        db.execute("CREATE TABLE entry (run INTEGER, seq INTEGER, record BLOB, hash BLOB)")
        db.execute("CREATE UNIQUE INDEX entry_of_run ON entry (run, seq)")
        record = pack_row("reply", "main.answer.solve", (1, 2), 1000, ARGS, DECL, time.time(), BODY)
        for first in range(0, rows, at_once):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?)",
                [(number % WIDE, number, record, ARGS) for number in range(first, min(first + at_once, rows))],
            )
            db.execute("COMMIT")
        db.close()

    return work


def _journal(
    rows: int, wide: int, durability: str = "normal", where: str = "", *, chain: bool = True
) -> Callable[[str], None]:
    async def one(journal: Journal, name: str, count: int) -> None:
        run = journal.create(header(name))
        for _ in range(count):
            await run.append("reply", "main.answer.solve", (1, 2), 1000, ARGS, DECL, BODY)
        await run.close()

    async def run(journal: Journal) -> None:
        await asyncio.gather(*(one(journal, f"r{number}", rows // wide) for number in range(wide)))

    def work(path: str) -> None:
        journal = MemoryJournal() if where == ":memory:" else open_journal(path, durability)  # type: ignore[arg-type]
        module: Any = commit  # what it imports is replaced for a while
        link = module.link
        module.link = link if chain else lambda head, seq, record: head
        try:
            asyncio.run(run(journal))
            journal.close()
        finally:
            module.link = link

    return work


def main(rows: int = 10_000) -> None:
    few = max(rows // 20, WIDE)
    cases: list[tuple[str, int, Callable[[str], None]]] = [
        ("bare sqlite3, executemany, one transaction", rows, _bare(rows, rows)),
        ("bare sqlite3, one transaction each 100 rows", rows, _bare(rows, WIDE)),
        ("journal, 100 runs at once", rows, _journal(rows, WIDE)),
        ("the same without the chain", rows, _journal(rows, WIDE, chain=False)),
        ("bare sqlite3, one transaction each row", rows, _bare(rows, 1)),
        ("journal, one run", rows, _journal(rows, 1)),
        ("the same without the chain", rows, _journal(rows, 1, chain=False)),
        ("bare sqlite3, synchronous=FULL, each row", few, _bare(few, 1, "FULL")),
        ("journal, full, one run", few, _journal(few, 1, "full")),
        ("journal, full, 100 runs at once", few, _journal(few, WIDE, "full")),
        ("journal in memory, 100 runs at once", rows, _journal(rows, WIDE, where=":memory:")),
    ]
    costs = in_turns(3, *(_here(work) for _, _, work in cases))
    least = costs[0].cpu / rows
    print(f"{rows:,} rows of {len(pack_row('reply', 'main.answer.solve', (1, 2), 0, ARGS, DECL, 1.5, BODY))} bytes\n")
    lines = [
        (
            name,
            f"{cost.cpu / count * 1e6:.1f}",
            f"{cost.wall / count * 1e6:.1f}",
            f"{cost.cpu / count / least:.1f}",
        )
        for (name, count, _), cost in zip(cases, costs, strict=True)
    ]
    print(table(("", "CPU µs/row", "wall µs/row", "CPU, executemany = 1"), lines))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
