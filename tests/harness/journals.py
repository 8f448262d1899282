"""Journals under attack: processes that are killed while they write, files that are damaged, races for one run.

Every row's content follows from its run and number, so that whoever reads it knows whether it is the one written.
Each function repeats its attack and raises AssertionError at the first wrong outcome; what it returns are counts.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from masdsl.journal import JournalBusy, JournalError, Row, RunHeader, UnknownRun
from masdsl.journal.base import OpenRun
from masdsl.journal.sqlite import SqliteJournal

WRITERS = 6


def header(run: str, **changes: Any) -> RunHeader:
    made = RunHeader(run, "program", {"p.mas": f"mas 1 # {run}\n"}, "main", {"q": run}, 7, "frozen", 1.5, "0")
    return made._replace(**changes)


def content(run: str, seq: int) -> dict[str, Any]:
    """The body of a row; one in sixteen is long enough to be compressed."""
    state = blake2b(f"{run}/{seq}".encode(), digest_size=8).digest()
    return {"value": state.hex() * (600 if state[0] < 16 else 1 + state[1] % 20), "seq": seq, "odd": "\ud800é\0"}


def append(run: OpenRun, name: str, seq: int) -> Any:
    return run.append("reply", f"main.{name}", (seq, 1), 1000, b"a" * 16, b"d" * 16, content(name, seq))


def is_right(row: Row, name: str, seq: int) -> bool:
    return row[:8] == (seq, "reply", f"main.{name}", (seq, 1), 1000, b"a" * 16, b"d" * 16, content(name, seq))


# ---------------------------------------------------------------- kill -9


async def _write_for_ever(path: str, told: int, durability: Any) -> None:
    """Resume or create every run, and append; say on the pipe what was acknowledged."""
    journal = SqliteJournal(path, durability)

    async def one(name: str) -> None:
        try:
            run = journal.resume(name)
        except UnknownRun:
            run = journal.create(header(name))
        rows = run.rows()
        assert all(is_right(row, name, seq) for seq, row in enumerate(rows, 1))
        seq = len(rows)
        while True:
            burst = [append(run, name, seq + number) for number in range(1, 2 + seq % 3)]
            seq += len(burst)
            if not seq % 7:
                run.set_status("stopped")
            for waiting in burst:
                os.write(told, f"{name} {await waiting}\n".encode())

    await asyncio.gather(*(one(f"r{number}") for number in range(WRITERS)))


def _fork(work: Callable[[], Any]) -> int:
    """Run something in a child of this process; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def kill(times: int, folder: Path, seed: int = 0, durability: str = "normal") -> Counter[str]:
    """Kill a writing process so many times, at random moments from its start on; check after each."""
    dice = random.Random(seed)
    counts: Counter[str] = Counter()
    for first in range(0, times, 20):  # a file of its own for each twenty, or reading it would take all the time
        _kill(min(20, times - first), str(folder / f"{first}" / "runs.db"), dice, durability, counts)
    return counts


def _writer(path: str, told: int, durability: str) -> None:
    asyncio.run(_write_for_ever(path, told, durability))


def _kill(times: int, path: str, dice: random.Random, durability: str, counts: Counter[str]) -> None:
    acknowledged: Counter[str] = Counter()
    for _ in range(times):
        reading, told = os.pipe()
        child = _fork(partial(_writer, path, told, durability))
        os.close(told)
        text = b""
        if dice.random() < 0.3:  # early: while it opens, resumes, creates
            time.sleep(dice.random() * 0.03)
        else:
            enough = dice.randrange(1, 6000)
            while len(text) < enough and (more := os.read(reading, 512)):
                text += more
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the writer failed by itself; its traceback is above"
        while more := os.read(reading, 65536):
            text += more
        os.close(reading)
        for line in text.decode().split("\n")[:-1]:
            name, seq = line.split()
            acknowledged[name] = max(acknowledged[name], int(seq))
            counts["acknowledged"] += 1
        if dice.random() < 0.5:  # else the next writer finds the log as it was left
            with SqliteJournal(path) as journal:
                for name in sorted(acknowledged):
                    rows = journal.read(name)[1]
                    assert all(is_right(row, name, seq) for seq, row in enumerate(rows, 1))
                    assert len(rows) >= acknowledged[name], f"{name}: row {acknowledged[name]} was lost"
                    counts["stored, not acknowledged"] += len(rows) > acknowledged[name]
        counts["kills"] += 1
    with SqliteJournal(path) as journal:
        for name, least in acknowledged.items():
            rows = journal.read(name)[1]
            assert len(rows) >= least
            assert all(is_right(row, name, number) for number, row in enumerate(rows, 1))
            counts["rows"] += len(rows)


# ---------------------------------------------------------------- damage


class Original(NamedTuple):
    """Files of a journal, and what they hold; `earlier` are the files at an earlier moment."""

    files: dict[str, bytes]
    earlier: dict[str, bytes]
    truth: dict[str, tuple[RunHeader, list[Row]]]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name[-4:] != "-shm"}


def original(folder: Path, *, closed: bool, rows: int = 40) -> Original:
    """Make a journal of five runs, of which two were forked; `closed` or as a killed process leaves it."""
    shutil.rmtree(folder, ignore_errors=True)
    journal = SqliteJournal(folder / "runs.db")
    earlier: dict[str, bytes] = {}
    runs = {name: journal.create(header(name)) for name in ("a", "b", "c")}

    async def together(first: int, count: int) -> None:
        rows = [(run, name, seq) for name, run in runs.items() for seq in range(first, first + count)]
        await asyncio.gather(*(append(*row) for row in rows))

    for seq in range(1, rows + 1):
        if seq % 10 == 4:
            asyncio.run(together(seq, 3))
        elif seq % 10 not in (5, 6):
            for name, run in runs.items():
                append(run, name, seq)
        if seq == rows // 2:
            runs["a.child"] = journal.fork("a", seq - 3, header("a.child"))
            runs["grandchild"] = journal.fork("a.child", seq - 5, header("grandchild"))
            earlier = _files(folder)
    runs["b"].set_status("ended")
    journal.create(header("gone")).append("done")
    truth = {name: (header, list(rows)) for name in runs for header, rows in [journal.read(name)]}
    if closed:
        journal.close()
    files = _files(folder)
    journal.close()
    return Original(files, earlier, truth)


def _flip(dice: random.Random, data: bytes) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _smear(dice: random.Random, data: bytes) -> bytes:
    at, size = dice.randrange(len(data)), dice.choice((8, 512, 4096))
    return (data[:at] + dice.choice((bytes(size), dice.randbytes(size))) + data[at + size :])[: len(data)]


def _swap_pages(dice: random.Random, data: bytes) -> bytes:
    pages = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    one, other = dice.randrange(len(pages)), dice.randrange(len(pages))
    pages[one], pages[other] = pages[other], pages[one]
    return b"".join(pages)


_STATEMENTS = (
    "UPDATE entry SET record = (SELECT record FROM entry WHERE {there}) WHERE {here}",
    "UPDATE entry SET (record, hash) = (SELECT record, hash FROM entry WHERE {there}) WHERE {here}",
    "UPDATE entry SET (record, hash) = (SELECT record, hash FROM entry WHERE run = 2 AND seq = {seq}) WHERE {here}",
    "UPDATE entry SET seq = CASE seq WHEN {seq} THEN -1 ELSE seq END",
    "DELETE FROM entry WHERE {here}",
    "DELETE FROM entry WHERE run = {run} AND seq >= {seq}",
    "DELETE FROM entry WHERE run = {run}",
    "DELETE FROM run WHERE number = {run}",
    "UPDATE run SET status = 'ended' WHERE number = 1",
    "UPDATE run SET parent_seq = parent_seq - 1 WHERE parent IS NOT NULL",
    "UPDATE run SET parent = 'b' WHERE parent = 'a'",
    "UPDATE run SET header = (SELECT header FROM run WHERE number = 3) WHERE number = {run}",
    "UPDATE run SET id = 'x' WHERE number = {run}",
    "UPDATE run SET id = CASE id WHEN 'a' THEN 'z' ELSE id END",
    "UPDATE run SET number = 100 WHERE number = {run}",
    "UPDATE run SET slot = 100 WHERE number = {run}",
    "UPDATE journal SET generation = generation - 1",
    "UPDATE entry SET hash = zeroblob(16) WHERE {here}",
    "UPDATE entry SET record = cast(record AS TEXT) WHERE {here}",
    "DROP INDEX entry_of_run",
    "PRAGMA user_version = 3",
    "PRAGMA application_id = 1",
)


def damage(dice: random.Random, source: Original) -> tuple[str, dict[str, bytes], list[str]]:
    """Return one damage: its name, the files afterwards, and statements to run on the database."""
    files = dict(source.files)
    name = dice.choices(sorted(files), [1 if "anchor" in name else 3 for name in sorted(files)])[0]
    match dice.choices(range(6), (8, 3, 2, 2, 4, 2))[0]:
        case 0:
            files[name] = _flip(dice, files[name])
            return f"flip {name}", files, []
        case 1:
            files[name] = files[name][: dice.randrange(len(files[name]))]
            return f"cut {name}", files, []
        case 2:
            files[name] = _smear(dice, files[name])
            return f"smear {name}", files, []
        case 3:
            files[name] = _swap_pages(dice, files[name])
            return f"swap pages of {name}", files, []
        case 4:
            run, seq, other = dice.randrange(1, 6), dice.randrange(1, 41), dice.randrange(1, 41)
            here, there = f"run = {run} AND seq = {seq}", f"run = {run} AND seq = {other}"
            statement = dice.choice(_STATEMENTS).format(run=run, seq=seq, here=here, there=there)
            return statement, files, [statement]
        case _:
            stale = dice.choice([{"runs.db"}, {"runs.db-wal"}, {"runs.db", "runs.db-wal"}, {"runs.db.anchor"}])
            gone = dice.random() < 0.4
            for one in stale:
                files.pop(one, None)
                if not gone and one in source.earlier:
                    files[one] = source.earlier[one]
            return f"{'without' if gone else 'earlier'} {' '.join(sorted(stale))}", files, []


def _outcome(folder: Path, source: Original) -> str:
    """Open, list, read and resume everything; raise AssertionError where something wrong is told as right."""
    kinds = set()
    try:
        with SqliteJournal(folder / "runs.db") as journal:
            try:
                listed = {line.id: line.status for line in journal.list()}
            except JournalError:
                listed = None
            for name, (head, rows) in source.truth.items():
                for read in (journal.read, lambda name: _resumed(journal, name)):
                    try:
                        found_header, found = read(name)
                    except UnknownRun:
                        raise AssertionError(f"run {name} is said to be unknown") from None
                    except JournalError as error:
                        assert not isinstance(error, JournalBusy), error
                        kinds.add("refused")
                        continue
                    assert list(found) == rows, f"the rows of {name} are silently wrong"
                    assert found_header == head, f"the header of {name} is silently wrong"
                    kinds.add("right")
                if listed is not None:
                    # a damaged name is shown as it is, and as damaged
                    assert listed.get(name) in (head.status, "damaged") or (
                        name not in listed and "damaged" in listed.values()
                    ), f"{name} is listed wrongly: {listed.get(name)}"
    except JournalError as error:
        assert not isinstance(error, JournalBusy | UnknownRun), error
        return "refused whole"
    return " and ".join(sorted(kinds, reverse=True))


def _resumed(journal: SqliteJournal, name: str) -> tuple[RunHeader, Any]:
    run = journal.resume(name)
    rows = run.rows()
    asyncio.run(run.close())
    return run.header, rows


def damages(times: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Damage a journal so many times, each in another way, and see what it says."""
    sources = [original(folder / "made", closed=closed) for closed in (True, False)]
    counts: Counter[str] = Counter()
    place = folder / "damaged"
    for number in range(times):
        dice = random.Random(f"{seed}/{number}")
        source = dice.choice(sources)
        name, files, statements = damage(dice, source)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file, data in files.items():
            (place / file).write_bytes(data)
        if statements:
            with sqlite3.connect(place / "runs.db", isolation_level=None) as db:
                for statement in statements:
                    try:
                        db.execute(statement)
                    except sqlite3.IntegrityError:
                        pass
            db.close()
        try:
            counts[_outcome(place, source)] += 1
        except AssertionError as error:
            raise AssertionError(f"damage {number} of seed {seed} ({name}): {error}") from error
    return counts


# ---------------------------------------------------------------- races


def _racer(path: str, rounds: int, start: int, results: int) -> None:
    while rounds and os.read(start, 1):
        rounds -= 1
        journal = SqliteJournal(path)
        try:
            run = journal.resume("contested")
        except JournalBusy:
            os.write(results, b"b")
            journal.close()
            continue
        claim = f"{path}.claim"
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL))  # fails where there are two owners
        seq = len(run.rows())
        for _ in range(3):
            seq += 1
            append(run, "contested", seq)
        os.unlink(claim)
        journal.close()
        os.write(results, b"w")


def races(times: int, folder: Path, racers: int = 3) -> Counter[str]:
    """Let processes resume one run at the same moment, so many times; the run has one owner at any time."""
    path = str(folder / "runs.db")
    with SqliteJournal(path) as journal:
        append(journal.create(header("contested")), "contested", 1)
    pipes = [os.pipe() for _ in range(racers)]
    reading, results = os.pipe()
    children = [_fork(partial(_racer, path, times, start, results)) for start, _ in pipes]
    os.close(results)
    counts: Counter[str] = Counter()
    for _ in range(times):
        for _, go in pipes:
            os.write(go, b"g")
        outcome = b""
        while len(outcome) < racers:
            more = os.read(reading, racers)
            assert more, "a racer failed; its traceback is above"
            outcome += more
        assert b"w" in outcome, "nobody could resume the run"
        counts["owners"] += outcome.count(b"w")
        counts["refused"] += outcome.count(b"b")
        counts["races"] += 1
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    with SqliteJournal(path) as journal:
        rows = journal.read("contested")[1]
    assert len(rows) == 1 + 3 * counts["owners"]
    assert all(is_right(row, "contested", seq) for seq, row in enumerate(rows, 1))
    return counts
