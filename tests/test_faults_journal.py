"""Faults in runs with a journal: what is kept, what is done again, and what a journal that fails does to a run."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from masdsl.journal import JournalBusy, JournalDamaged, JournalError, JournalFull, MemoryJournal, commit
from masdsl.journal.base import OpenRun, Row, RunHeader
from masdsl.journal.sqlite import SqliteJournal
from masdsl.runtime.models.base import Reply
from masdsl.runtime.past import gives_value
from tests.harness.fault_runs import (
    Outcome,
    Position,
    by_chance,
    expected,
    from_then_on,
    guarded,
    once,
    play,
    positions,
    run,
    wrong,
)
from tests.harness.fault_scenes import BY_NAME, SCENES, TOOLS, Lost, Scene, Schedule, Troubled, nothing
from tests.harness.faults import MODEL_KINDS, Context, Kind, says
from tests.harness.journaled import cut, header

NAMES = [scene.name for scene in SCENES]
FIRST = header(inputs={"x": "x"})


def _denied(who: str, number: int) -> Kind | None:
    return None if who in TOOLS else DENIED


DENIED = next(kind for kind in MODEL_KINDS if kind.name == "401")


def one_of_each(position: Position) -> list[Kind]:
    """Return a fault of each consequence, and those with odd texts."""
    kept: dict[Any, Kind] = {}
    for kind in position.kinds:
        if not kind.blocks:
            odd = kind.name if "mega" in kind.name or "surrogate" in kind.name or kind.then == "other value" else ""
            kept.setdefault((kind.then, kind.bills, kind.hangs, odd), kind)
    return list(kept.values())


def done_in(rows: Sequence[Row]) -> set[str]:
    """Return the addresses of the steps that have a value."""
    return {address(row) for row in rows if gives_value(row)}


def address(row: Row) -> str:
    return f"{row.path}[{','.join(map(str, row.indices))}]" if row.indices else row.path


def effects_in_doubt(rows: Sequence[Row]) -> set[str]:
    """Return the addresses of effects that were begun, and have no result."""
    return {address(row) for row in rows if row.body.get("effect")} - done_in(rows)


def faults_of_resuming(scene: Scene, before: Outcome, rows: Sequence[Row]) -> list[str]:
    """Resume a run that has ended; return what is wrong with what that gives."""
    if not isinstance(before.given, Lost):
        again = play(scene, _denied, run=cut(rows, FIRST, len(rows)))
        due: Any = before.given
        calls = 0
    else:
        again = play(scene, run=cut(rows, FIRST, len(rows)))
        doubt = effects_in_doubt(rows) & {before.given.step}
        due = before.given if doubt else scene.value
        calls = len(again.model.calls)
    found = []
    if again.given != due:
        found.append(f"resumed, it gives {again.given!r}, not {due!r}: {again.reason}")
    if len(again.model.calls) > calls or (not calls and again.model.uses):
        found.append(f"resumed, it calls {[call.who for call in (*again.model.calls, *again.model.uses)]}")
    repeated = {call.who for call in again.model.calls} & done_in(rows)
    if repeated:
        found.append(f"resumed, it asks again: {repeated}")
    spent = (again.result.calls, again.result.tokens_in, again.result.tokens_out)
    new = again.model.calls
    most = (
        before.result.calls + len(new),
        before.result.tokens_in + sum(call.tokens_in for call in new),
        before.result.tokens_out + sum(call.tokens_out for call in new),
    )
    if spent != most:
        found.append(f"resumed, the ledger says {spent}, the table {most}")
    return [*found, *again.complaints]


def judged(scene: Scene, schedule: Schedule, due: Any) -> list[str]:
    """Return what is wrong with a journaled run, and with resuming it once it has ended."""
    journaled = MemoryJournal().create(FIRST)
    outcome = play(scene, schedule, run=journaled)
    found = list(wrong(scene, outcome))
    if due is not None and due != outcome.given:
        found.append(f"it gives {outcome.given!r}, not {due!r}: {outcome.reason}")
    return [*found, *faults_of_resuming(scene, outcome, list(journaled.rows()))]


@pytest.mark.parametrize("always", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", [scene.name for scene in SCENES if not scene.tight])
def test_a_run_with_a_fault_goes_on_from_its_journal(name: str, always: bool) -> None:
    scene = BY_NAME[name]
    found = [
        f"{kind.name} at {position.step}, call {position.number}: {fault}"
        for position in positions(name)
        for kind in one_of_each(position)
        for fault in judged(
            scene,
            (from_then_on if always else once)(position, kind),
            expected(scene, position, kind, always=always),
        )
    ]
    assert not found, "\n".join(found[:20])


# ---------------------------------------------------------------- journals that fail


class Failing:
    """A run's journal that fails at one row and ever after; that row is stored, or not, and nobody is told."""

    def __init__(self, inner: OpenRun, at: int, error: Callable[[], JournalError], *, stored: bool) -> None:
        self.inner = inner
        self.left = at
        self.error = error
        self.stored = stored
        self.after = 0

    @property
    def header(self) -> RunHeader:
        return self.inner.header

    def rows(self) -> Sequence[Row]:
        return self.inner.rows()

    def append(self, *args: Any, **more: Any) -> Awaitable[int]:
        self.left -= 1
        if self.left > 0:
            return self.inner.append(*args, **more)
        self.after += self.left < 0
        if self.left == 0 and self.stored:
            self.inner.append(*args, **more)
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        told.set_exception(self.error())
        return told

    def set_status(self, status: str) -> Awaitable[int]:
        return self.inner.set_status(status)

    async def close(self) -> None:
        await self.inner.close()


ERRORS: dict[str, Callable[[], JournalError]] = {
    "disk full": lambda: JournalFull("runs.db", "No space left on device"),
    "locked": lambda: JournalBusy("", "the journal is locked by another process"),
    "vanished": lambda: JournalDamaged("", 0, "its file was deleted while it was in use"),
}


def broken_off(scene: Scene, schedule: Schedule, at: int, error: str, stored: bool) -> tuple[Troubled, list[Row]]:
    """Run a scene whose journal fails at a row; return what was called, and what is stored."""
    inner = MemoryJournal().create(FIRST)
    journaled = Failing(inner, at, ERRORS[error], stored=stored)
    model, complaints = Troubled(scene, schedule), list[str]()
    with pytest.raises(type(ERRORS[error]())):
        guarded(run(scene, model, run=journaled), complaints)
    assert not complaints
    return model, list(inner.rows())


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", [scene.name for scene in SCENES if not scene.tight])
def test_a_journal_that_fails_at_any_row_ends_the_run_and_loses_nothing(name: str, error: str) -> None:
    scene = BY_NAME[name]
    whole = MemoryJournal().create(FIRST)
    undisturbed = play(scene, run=whole)
    for at in range(1, len(whole.rows()) + 1):
        for stored in (False, True):
            before, rows = broken_off(scene, nothing, at, error, stored)
            again = play(scene, run=cut(rows, FIRST, len(rows)))
            where = f"row {at} ({whole.rows()[at - 1].kind}), stored: {stored}"
            doubt = effects_in_doubt(rows)
            agents_tools = {one for one in doubt if one.partition("[")[0].endswith(".send")}
            lost = doubt - agents_tools
            assert again.given == (Lost(*lost) if lost else scene.value), where
            asked = Counter(call.who for call in (*before.calls, *again.model.calls))
            due = Counter(call.who for call in undisturbed.model.calls)
            replied = Counter(address(row) for row in rows if row.kind == "reply")
            intents = Counter(address(row) for row in rows if row.kind == "intent" and "tokens_in" in row.body)
            for who, times in asked.items():
                again_due = intents[who] - replied[who] if not lost else 1
                assert times <= due[who] + max(again_due, 0) or agents_tools, f"{where}: {who} was asked {times} times"
            used = Counter(use.who for use in (*before.uses, *again.model.uses))
            assert used["send"] <= sum(use.who == "send" for use in undisturbed.model.uses), where
            assert not again.complaints


@pytest.mark.parametrize("name", NAMES)
def test_faults_by_chance_before_and_after_the_journal_fails(name: str) -> None:
    scene = BY_NAME[name]
    for seed in range(12):
        schedule = by_chance(seed, 0.3)
        whole = MemoryJournal().create(FIRST)
        play(scene, schedule, run=whole)
        rows = len(whole.rows())
        _, kept = broken_off(scene, schedule, 1 + seed * 7 % rows, list(ERRORS)[seed % 3], seed % 2 == 0)
        journaled = cut(kept, FIRST, len(kept))
        again = play(scene, by_chance(seed + 1000, 0.3), run=journaled)
        assert not again.complaints
        ended = list(journaled.rows())
        replies = Counter((row.path, row.indices, row.part) for row in ended if row.kind == "reply")
        finished = done_in(kept)
        assert not finished & {call.who for call in again.model.calls}, f"seed {seed}"
        paid = [row for row in ended if row.kind in ("reply", "fault")]
        doubtful = _calls_without_an_end(ended)
        assert again.result.calls == len(paid) + len(doubtful), f"seed {seed}: {replies}"
        for name_of in ("tokens_in", "tokens_out", "picodollars"):
            spent = sum(row.body[name_of] for row in (*paid, *doubtful))
            assert getattr(again.result, name_of) == spent, f"seed {seed}"


def _calls_without_an_end(rows: Sequence[Row]) -> list[Row]:
    waiting: dict[Any, list[Row]] = {}
    for row in rows:
        key = (row.path, row.indices, row.part)
        if row.kind == "intent" and "tokens_in" in row.body:
            waiting.setdefault(key, []).append(row)
        elif row.kind in ("reply", "fault") and waiting.get(key):
            waiting[key].pop()
    return [row for intents in waiting.values() for row in intents]


# ---------------------------------------------------------------- a file that fails


def damaging(position: Position, work: Callable[[], object]) -> Schedule:
    """Return the schedule in which a reply comes just after something happened to the journal."""

    async def answer(context: Context) -> Reply:
        work()
        return Reply(context.text)

    return once(position, Kind("damages", "value", "counts", answer))


@pytest.mark.parametrize("how", ["vanished", "locked"])
def test_a_file_that_fails_while_a_program_runs(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "PATIENCE", 0.02)
    path, elsewhere = tmp_path / "runs.db", tmp_path / "elsewhere"
    other: list[sqlite3.Connection] = []

    def lock() -> None:
        other.append(sqlite3.connect(path, isolation_level=None))
        other[0].execute("BEGIN IMMEDIATE")

    scene, complaints = BY_NAME["effects"], list[str]()
    last = [position for position in positions(scene.name) if position.who == "main.s"][-1]
    model = Troubled(scene, damaging(last, lock if how == "locked" else lambda: path.rename(elsewhere)))
    with SqliteJournal(path) as journal:
        with pytest.raises(JournalBusy if how == "locked" else JournalDamaged):
            guarded(run(scene, model, run=journal.create(FIRST)), complaints)
        if how == "vanished":
            elsewhere.rename(path)
        for connection in other:
            connection.close()
    assert not complaints
    with SqliteJournal(path) as journal:
        again = play(scene, run=journal.resume("r1"))
    assert again.given == scene.value
    assert [call.who for call in again.model.calls] == ["main.s"]
    assert not again.model.uses


def test_a_disk_that_fills_up_while_a_program_runs(tmp_path: Path) -> None:
    scene = BY_NAME["effects"]
    long = Kind("long", "other value", "most", says(lambda _: os.urandom(200_000).hex()))
    last = [position for position in positions(scene.name) if position.who == "main.s"][-1]
    child = os.fork()
    if not child:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
            journal = SqliteJournal(tmp_path / "runs.db")
            with pytest.raises(JournalFull):
                guarded(run(scene, Troubled(scene, from_then_on(last, long)), run=journal.create(FIRST)), [])
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with SqliteJournal(tmp_path / "runs.db") as journal:
        again = play(scene, run=journal.resume("r1"))
    assert again.given == scene.value
    assert [call.who for call in again.model.calls] == ["main.s"]
    assert not again.model.uses
