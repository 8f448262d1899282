"""What every journal does, in memory, in a file and on a server; and what is stored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.journal import (
    Journal,
    JournalBusy,
    JournalError,
    MemoryJournal,
    OpenRun,
    RunExists,
    RunHasChildren,
    UnknownRun,
    new_id,
    open_journal,
)
from masdsl.journal.codec import COMPRESSED_FROM, MOST_DEPTH, Unreadable, canonical, pack, unpack, unpack_row
from masdsl.journal.commit import MOST_ROUNDS, MOST_WITHOUT_A_TURN
from masdsl.journal.place import default_path
from masdsl.journal.sqlite import SqliteJournal
from tests.harness.journals import header

pytest_plugins = ("tests.harness.postgres",)


@pytest.fixture(params=["memory", "file", "file, full", "postgres"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        made: Journal = MemoryJournal()
    elif request.param == "postgres":
        made = open_journal(request.getfixturevalue("postgres"))
    else:
        made = SqliteJournal(tmp_path / "runs.db", "full" if "full" in request.param else "normal")
    yield made
    made.close()


def test_rows_come_back_as_they_were_added(journal: Journal) -> None:
    async def work() -> None:
        run = journal.create(header("a", inputs={"odd \ud800": [1, 2.5, None, True, "é\0"]}))
        body = {"text": "\udc80 lone, \x00 and 😀", "list": [[], {}, -0.0, 10**30], "n": None}
        assert await run.append("intent", "main.x", (1, 2), 2001, b"args", b"decl", body) == 1
        assert [*await asyncio.gather(run.append("reply"), run.append("done", "main"), run.append("end"))] == [2, 3, 4]
        before, *others = run.rows()
        assert before[:8] == (1, "intent", "main.x", (1, 2), 2001, b"args", b"decl", body)
        assert abs(before.at - time.time()) < 3600
        assert [(row.seq, row.kind, row.path, row.body) for row in others] == [
            (2, "reply", "", {}),
            (3, "done", "main", {}),
            (4, "end", "", {}),
        ]
        assert journal.read("a") == (run.header, run.rows())
        await run.set_status("ended")
        await run.close()
        await run.close()
        assert journal.read("a")[0] == header("a", status="ended", inputs={"odd \ud800": [1, 2.5, None, True, "é\0"]})

    asyncio.run(work())


def test_what_is_stored_cannot_be_changed_from_outside(journal: Journal) -> None:
    run = journal.create(header("a"))
    body = {"list": [1]}
    run.append("done", body=body)
    body["list"].append(2)
    run.rows()[0].body["list"].append(3)
    assert run.rows()[0].body == {"list": [1]}


def test_a_resumed_run_goes_on_where_it_stood(journal: Journal) -> None:
    async def work() -> None:
        run = journal.create(header("a"))
        await run.append("reply")
        with pytest.raises(JournalBusy):
            journal.resume("a")
        run.append("done")
        await run.close()
        with pytest.raises(RuntimeError):
            run.append("done")
        again = journal.resume("a")
        assert [row.kind for row in again.rows()] == ["reply", "done"]
        assert await again.append("end") == 3
        assert [row.kind for row in again.rows()] == ["reply", "done", "end"]
        with pytest.raises(RuntimeError):
            run.set_status("ended")

    asyncio.run(work())


def test_a_fork_reads_its_parents_rows_and_changes_nothing_in_them(journal: Journal) -> None:
    run = journal.create(header("a"))
    for kind in ("intent", "reply", "done"):
        run.append(kind)
    child = journal.fork("a", 2, header("b"))
    assert (child.header.parent, child.header.parent_seq) == ("a", 2)
    assert [row.kind for row in child.rows()] == ["intent", "reply"]
    child.append("failed")
    run.append("end")
    grandchild = journal.fork("b", 3, header("c"))
    elder = journal.fork("b", 1, header("d"))  # before its parent's own first row
    first = journal.fork("b", 0, header("e"))
    elder.append("patch")
    assert [(row.seq, row.kind) for row in child.rows()] == [(1, "intent"), (2, "reply"), (3, "failed")]
    assert list(grandchild.rows()) == list(child.rows())
    assert [(row.seq, row.kind) for row in elder.rows()] == [(1, "intent"), (2, "patch")]
    assert [(row.seq, row.kind) for row in journal.fork("d", 2, header("f")).rows()] == [(1, "intent"), (2, "patch")]
    assert list(first.rows()) == []
    assert [row.kind for row in run.rows()] == ["intent", "reply", "done", "end"]
    with pytest.raises(ValueError, match="has 4 rows"):
        journal.fork("a", 5, header("g"))
    with pytest.raises(UnknownRun):
        journal.fork("nobody", 0, header("g"))


def test_runs_are_listed_newest_first_and_in_pages(journal: Journal) -> None:
    for number in range(250):
        run = journal.create(header(f"r{number}", created=float(-number)))
        if number == 100:
            run.append("done")
            run.set_status("failed")
    assert [line.id for line in journal.list()] == [f"r{number}" for number in reversed(range(250))]
    assert [line.id for line in journal.list(limit=2)] == ["r249", "r248"]
    assert [line.id for line in journal.list(limit=2, before="r101")] == ["r100", "r99"]
    assert list(journal.list(limit=0)) == []
    (line,) = journal.list(status="failed")
    assert line[:5] == ("r100", "program", "main", "failed", -100.0)
    assert (line.rows, line.parent, line.owned) == (1, None, True)
    with pytest.raises(UnknownRun):
        list(journal.list(before="nobody"))


def test_runs_that_others_make_and_delete_meanwhile_are_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every statement of a reader another process has made a run, deleted one, or both."""
    with SqliteJournal(tmp_path / "runs.db") as ours, SqliteJournal(tmp_path / "runs.db") as others:
        for number in range(150):  # more than a page
            others.create(header(f"r{number}"))
        others.flush()
        others.close()
        made: list[str] = []
        execute = SqliteJournal._execute

        def disturbed(journal: SqliteJournal, sql: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
            found = execute(journal, sql, values)
            if journal is ours and sql.startswith("SELECT"):
                with SqliteJournal(tmp_path / "runs.db") as other:
                    if len(made) % 3 != 1:
                        other.create(header(f"new{len(made)}"))
                        other.flush()
                    if len(made) % 3 != 0:
                        other.delete(f"r{len(made)}")
                    made.append(sql)
            return found

        monkeypatch.setattr(SqliteJournal, "_execute", disturbed)
        monkeypatch.setattr(SqliteJournal, "_shrink", lambda journal: None)  # would wait for us, and we for it
        for name in ("nobody", "new1"):  # one that is never there; one that comes while it is looked for
            with contextlib.suppress(UnknownRun):
                assert ours.read(name)[0].id == name
        for _ in range(3):
            assert len(list(ours.list())) >= 100
            assert len(list(ours.list(before="r149"))) >= 100
        assert len(made) > 10


def test_what_others_need_is_not_deleted(journal: Journal) -> None:
    async def work() -> None:
        run = journal.create(header("a"))
        await run.append("done")
        child = journal.fork("a", 1, header("b"))
        with pytest.raises(JournalBusy):
            journal.delete("a")
        await run.close()
        with pytest.raises(RunHasChildren, match="'b'"):
            journal.delete("a")
        assert journal.prune(time.time() + 9) == 0
        await child.close()
        journal.create(header("c"))
        assert journal.prune(time.time() - 9) == 0
        assert journal.prune(time.time() + 9) == 2
        assert [line.id for line in journal.list()] == ["c"]
        for work in (journal.read, journal.resume, journal.delete):
            with pytest.raises(UnknownRun):
                work("a")
        again = journal.create(header("a"))
        assert await again.append("done") == 1
        await again.close()
        journal.delete("a")

    asyncio.run(work())


def test_names_statuses_and_bodies_are_checked_at_once(journal: Journal) -> None:
    run = journal.create(header("a"))
    with pytest.raises(RunExists):
        journal.create(header("a"))
    for name in ("", "../a", "a b", ".a", "a" * 65, "é", "a\n"):
        with pytest.raises(ValueError, match="cannot be the name"):
            journal.create(header(name))
    with pytest.raises(ValueError, match="no status"):
        journal.create(header("b", status="odd"))
    with pytest.raises(ValueError, match="no status"):
        run.set_status("odd")
    with pytest.raises(UnknownRun):
        journal.resume("b")
    deep: Any = {}
    for _ in range(MOST_DEPTH + 1):
        deep = {"deeper": deep}
    wrong: list[Any] = [
        {"a": math.nan}, {"a": [math.inf]}, {1: "a"}, {None: 1}, {"a": {2: 3}}, {"a": b""}, {"a": {1}}, {"a": object()},
        deep, {"a": 10**5000}, [], "a",
    ]  # fmt: skip
    for body in wrong:
        with pytest.raises((TypeError, ValueError)):
            run.append("done", body=body)
    for kind, path in (("", ""), ("a b", ""), ("done", "é"), ("done", "\ud800")):
        with pytest.raises(TypeError):
            run.append(kind, path)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="deep"):
        run.append("done", body={"loop": loop})
    assert list(run.rows()) == []


def test_any_thread_may_append(journal: Journal) -> None:
    async def work() -> None:
        run = journal.create(header("a"))

        def some(name: str) -> None:
            for number in range(20):
                run.append("done", name, (number,))

        async def more() -> None:
            for number in range(20):
                await run.append("done", "loop", (number,))

        await asyncio.gather(*(asyncio.to_thread(some, f"t{number}") for number in range(3)), more())
        rows = run.rows()
        assert [row.seq for row in rows] == list(range(1, 81))
        for name in ("t0", "t1", "t2", "loop"):
            assert [row.indices[0] for row in rows if row.path == name] == list(range(20))

    asyncio.run(work())


def test_a_cancelled_wait_loses_no_row(journal: Journal) -> None:
    async def work() -> None:
        run = journal.create(header("a"))

        async def one(number: int) -> int:
            return await run.append("done", indices=(number,))

        tasks = [asyncio.create_task(one(number)) for number in range(6)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result for result in results if isinstance(result, int)][-1] == 6
        assert [row.indices for row in run.rows()] == [(number,) for number in range(6)]

    asyncio.run(work())


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows and changes of each transaction that is made from now on."""
    made: list[int] = []
    store = SqliteJournal._store

    def counted(journal: SqliteJournal, batch: Any, **more: Any) -> None:
        made.append(len(batch))
        store(journal, batch, **more)

    monkeypatch.setattr(SqliteJournal, "_store", counted)
    return made


def test_rows_of_one_turn_of_the_loop_are_one_transaction(tmp_path: Path, commits: list[int]) -> None:
    async def work() -> None:
        with SqliteJournal(tmp_path / "runs.db") as journal:
            runs = [journal.create(header(f"r{number}")) for number in range(50)]

            async def three(run: Any) -> None:
                for _ in range(3):
                    await asyncio.gather(run.append("intent"), run.append("reply"))

            await asyncio.gather(*map(three, runs))
            assert len(commits) <= 6

    asyncio.run(work())


def test_where_nothing_else_can_run_a_row_is_stored_when_it_is_waited_for(
    tmp_path: Path, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[object] = []
    tick = SqliteJournal._tick

    def counted(journal: SqliteJournal, loop: Any) -> None:
        ticks.append(loop)
        tick(journal, loop)

    monkeypatch.setattr(SqliteJournal, "_tick", counted)

    async def work(journal: Journal) -> None:
        run = journal.create(header("a"))
        for seq in range(1, 41, 2):
            run.append("reply")
            assert await run.append("intent") == seq + 1
        assert commits == [3, *[2] * 19] and len(ticks) == 0
        other = asyncio.ensure_future(run.append("fault"))
        assert await run.append("end") == 42 and await other == 41
        assert commits[20:] == [2] and len(ticks) <= 1
        pause = asyncio.ensure_future(asyncio.sleep(0))
        assert await run.append("end") == 43
        assert commits[21:] == [1] and len(ticks) >= 1  # something else could run
        await pause

    with SqliteJournal(tmp_path / "runs.db") as journal:
        asyncio.run(work(journal))


def test_a_run_that_only_waits_for_its_journal_lets_others_have_their_turn(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        run = journal.create(header("a"))
        reading, writing = os.pipe()
        told: list[int] = []
        asyncio.get_running_loop().add_reader(reading, lambda: told.append(len(os.read(reading, 1))))
        os.write(writing, b"x")
        for _ in range(MOST_WITHOUT_A_TURN + 2):
            await run.append("done")
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
        os.close(writing)
        assert told == [1]

    with SqliteJournal(tmp_path / "runs.db") as journal:
        asyncio.run(work(journal))


def test_rows_that_nobody_waits_for_go_with_others_and_never_wait_long(tmp_path: Path, commits: list[int]) -> None:
    async def work(journal: Journal) -> None:
        run = journal.create(header("a"))
        assert await run.append("intent") == 1

        async def busy(rounds: int) -> None:
            for _ in range(rounds):
                await asyncio.sleep(0)

        run.append("reply")
        await asyncio.gather(busy(2), busy(2))
        assert await run.append("intent") == 3 and commits == [2, 2]
        run.append("reply")
        await asyncio.gather(busy(MOST_ROUNDS + 2), busy(MOST_ROUNDS + 2))
        assert commits == [2, 2, 1]
        run.append("reply")
        await asyncio.sleep(0.001)  # nothing else to do
        assert commits == [2, 2, 1, 1]
        waiting = asyncio.gather(run.append("reply"))  # waited for, by other means
        await busy(2)
        assert commits == [2, 2, 1, 1, 1] and waiting.done()

    with SqliteJournal(tmp_path / "runs.db") as journal:
        asyncio.run(work(journal))


def test_an_event_loop_that_has_ended_is_no_trouble(tmp_path: Path) -> None:
    async def begin(journal: Journal) -> OpenRun:
        run = journal.create(header("a"))
        run.append("intent")  # nobody waits
        return run

    with SqliteJournal(tmp_path / "runs.db") as journal:
        run = asyncio.run(begin(journal))

        async def go_on() -> int:
            return await run.append("reply")

        assert asyncio.run(go_on()) == 2
    with SqliteJournal(tmp_path / "runs.db") as journal:
        assert [row.kind for row in journal.read("a")[1]] == ["intent", "reply"]


# ---------------------------------------------------------------- what is stored

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(), max_size=9), inner),
    max_leaves=20,
)


@given(JSON.map(lambda value: {"value": value}))
def test_whatever_is_json_is_kept(value: dict[str, Any]) -> None:
    stored = pack(value)
    assert unpack(stored) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(st.text(), st.integers()))
def test_equal_values_have_equal_bytes(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda data: b"z" + data) | JSON.map(pack))
def test_no_bytes_whatever_do_more_than_be_refused(stored: bytes) -> None:
    for read in (unpack, lambda stored: unpack_row(1, stored)):
        try:
            read(stored)
        except Unreadable:
            pass


def test_long_rows_are_compressed_and_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    stored = pack({"text": "a" * 100_000})
    assert len(stored) < 1000
    assert pack({"t": "a" * (COMPRESSED_FROM - 9)})[:1] == b"{"
    assert pack({"t": "a" * (COMPRESSED_FROM - 8)})[:1] == b"z"
    monkeypatch.setattr("masdsl.journal.codec.MOST_BYTES", 50_000)
    with pytest.raises(Unreadable, match="more than"):
        unpack(stored)
    with pytest.raises(ValueError, match="more than"):
        pack({"text": "a" * 100_000})
    whole = b"z" + zlib.compress(b"{}")
    assert unpack(whole) == {}
    for cut in (whole[:-1], whole + b"x", whole[:3], b"z"):
        with pytest.raises(Unreadable):
            unpack(cut)


# ---------------------------------------------------------------- places


def test_journals_are_opened_by_what_is_said_of_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_journal(":memory:"), MemoryJournal)
    with pytest.raises(ValueError, match="durability"):
        open_journal(str(tmp_path / "a.db"), "odd")  # type: ignore[arg-type]
    monkeypatch.delenv("MASDSL_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = open_journal()
    journal.create(header("a"))
    journal.close()
    folder = tmp_path / "state" / "masdsl"
    assert default_path() == str(folder / "runs.db")
    assert sorted(path.name for path in folder.iterdir()) == ["runs.db", "runs.db.anchor", "runs.db.owners"]
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "runs.db", folder / "runs.db.anchor")] == [
        "0o700", "0o600", "0o600",
    ]  # fmt: skip
    folder.chmod(0o777)
    with pytest.raises(JournalError, match="others may write"):
        open_journal()
    monkeypatch.setenv("MASDSL_STATE", str(tmp_path / "mine"))
    assert default_path() == str(tmp_path / "mine" / "runs.db")


@pytest.mark.parametrize("module", ["masdsl.journal", "masdsl.journal.memory"])
def test_a_journal_loads_no_database_before_it_is_opened(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert not {"sqlite3", "psycopg", "asyncio", "pickle"} & set(loaded.stdout.split())


def test_names_of_runs_are_new() -> None:
    assert len({new_id() for _ in range(100)}) == 100
    MemoryJournal().create(header(new_id()))


def _in_threads(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_event_loops_may_share_a_journal(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "runs.db") as journal:

        def loop(name: str) -> None:
            async def work() -> None:
                run = journal.create(header(name))
                for seq in range(1, 51):
                    assert await run.append("done") == seq

            asyncio.run(work())

        _in_threads(*(lambda name=name: loop(name) for name in "abc"))
        assert [len(journal.read(name)[1]) for name in "abc"] == [50, 50, 50]
