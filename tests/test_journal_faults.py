"""Journals in a file when things go wrong: killed writers, damaged files, races, no room, files that are gone."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from masdsl.journal import (
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalVersion,
    RunExists,
    UnknownRun,
)
from masdsl.journal import commit as commit_module
from masdsl.journal import files as files_module
from masdsl.journal import sqlite as sqlite_module
from masdsl.journal.anchor import RECORD
from masdsl.journal.sqlite import SqliteJournal
from tests.harness import journals
from tests.harness.journals import append, header, is_right

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the attacks are made by forked processes")


_SETTLED = files_module.SETTLED


def _attack(name: str, *arguments: object) -> str:
    """Run one of the attacks in a process of its own: it forks, and pytest may have threads."""
    command = [sys.executable, "-m", f"tests.bench.{name}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_killed_writers_lose_no_acknowledged_row() -> None:
    assert "kills: 60" in _attack("journal_kill", 60, 1)


@pytest.mark.slow
def test_no_damage_is_read_as_if_it_were_right() -> None:
    assert "refused" in _attack("journal_damage", 300, 7)


@pytest.mark.slow
def test_a_run_has_one_owner() -> None:
    assert "races: 60" in _attack("journal_races", 60)


def test_the_attack_finds_a_journal_without_an_anchor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The damages can fail: a journal that does not look at its anchor is caught."""
    monkeypatch.setattr("masdsl.journal.stored._compare", lambda *_: None)
    monkeypatch.setattr(SqliteJournal, "_check_anchor", lambda self: None)
    with pytest.raises(AssertionError, match="silently wrong|unknown|listed"):
        journals.damages(300, tmp_path)


def test_the_attack_finds_a_journal_without_a_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(run: str, start: int, head: bytes, stored: Any) -> Any:
        from masdsl.journal.codec import unpack_rows

        for seq, record, stored_hash in stored:
            rows = unpack_rows(start + 1, record)
            yield [row._replace(seq=seq - len(rows) + number) for number, row in enumerate(rows, 1)], stored_hash

    monkeypatch.setattr("masdsl.journal.stored.verified", unchecked)
    with pytest.raises(Exception):  # noqa: B017  a wrong row, or a traceback where a refusal belongs
        journals.damages(300, tmp_path)


# ---------------------------------------------------------------- the first wrong row


def _closed_journal(folder: Path, rows: int = 20) -> Path:
    path = folder / "runs.db"
    with SqliteJournal(path) as journal:
        run = journal.create(header("a"))
        for seq in range(1, rows + 1):
            append(run, "a", seq)
    return path


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("DELETE FROM entry WHERE seq = 7", 7),
        ("DELETE FROM entry WHERE seq > 15", 16),
        ("UPDATE entry SET record = (SELECT record FROM entry WHERE seq = 3) WHERE seq = 9", 9),
        ("UPDATE entry SET seq = 30 WHERE seq = 1", 1),
        ("UPDATE entry SET hash = zeroblob(16) WHERE seq = 20", 20),
        ("UPDATE run SET status = 'ended'", 0),
        ("UPDATE run SET header = zeroblob(9)", 0),
        ("UPDATE run SET owner = zeroblob(9), status = 7", 0),
    ],
)
def test_damage_names_the_first_wrong_row(tmp_path: Path, statement: str, seq: int) -> None:
    path = _closed_journal(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with SqliteJournal(path) as journal:
        for look in (journal.read, journal.resume):
            with pytest.raises(JournalDamaged) as caught:
                look("a")
            assert (caught.value.run, caught.value.seq) == ("a", seq)
            assert "backup" in str(caught.value)
        if seq == 0:
            assert [line.status for line in journal.list()] == ["damaged" if "status" in statement else "running"]
            journal.delete("a")
            assert list(journal.list()) == []
        if seq > 1:
            rescued = journal.fork("a", seq - 1, header("rescued"))
            assert all(is_right(row, "a", number) for number, row in enumerate(rescued.rows(), 1))
            append(rescued, "rescued", seq)
            assert len(journal.read("rescued")[1]) == seq


def test_a_rolled_back_file_is_refused_and_accepted_only_on_request(tmp_path: Path) -> None:
    path = _closed_journal(tmp_path, 5)
    shutil.copy(path, tmp_path / "backup")
    with SqliteJournal(path) as journal:
        append(journal.resume("a"), "a", 6)
    shutil.copy(tmp_path / "backup", path)
    with SqliteJournal(path) as journal:
        with pytest.raises(JournalDamaged, match="row 6, acknowledged once"):
            journal.resume("a")
        with pytest.raises(JournalBusy, match="in use"):
            SqliteJournal(path, accept=True)
    with SqliteJournal(path, accept=True) as journal:
        assert len(journal.resume("a").rows()) == 5
    with SqliteJournal(path) as journal:
        assert len(journal.resume("a").rows()) == 5


@pytest.mark.parametrize("ruin", ["missing", "empty", "zeros", "another's"])
def test_without_its_anchor_a_journal_is_refused(tmp_path: Path, ruin: str) -> None:
    path, anchor = _closed_journal(tmp_path), tmp_path / "runs.db.anchor"
    (tmp_path / "other").mkdir()
    other = _closed_journal(tmp_path / "other")
    match ruin:
        case "missing":
            anchor.unlink()
        case "empty":
            anchor.write_bytes(b"")
        case "zeros":
            anchor.write_bytes(bytes(anchor.stat().st_size))
        case _:
            shutil.copy(f"{other}.anchor", anchor)
    with pytest.raises(JournalDamaged, match="anchor"):
        SqliteJournal(path)
    with SqliteJournal(path, accept=True) as journal:
        assert len(journal.read("a")[1]) == 20


def test_the_database_may_be_ahead_of_its_anchor(tmp_path: Path) -> None:
    """A process died between the commit and the anchor: rows that nobody was told of."""
    path = _closed_journal(tmp_path, 5)
    anchor = (tmp_path / "runs.db.anchor").read_bytes()
    with SqliteJournal(path) as journal:
        append(journal.resume("a"), "a", 6)
    (tmp_path / "runs.db.anchor").write_bytes(anchor)
    with SqliteJournal(path) as journal:
        assert len(journal.read("a")[1]) == 6
        assert len(journal.resume("a").rows()) == 6


def test_a_deleted_database_is_not_begun_anew_in_silence(tmp_path: Path) -> None:
    path = _closed_journal(tmp_path)
    path.unlink()
    with pytest.raises(JournalDamaged, match="is empty"):
        SqliteJournal(path)
    (tmp_path / "runs.db.anchor").unlink()
    path.unlink(missing_ok=True)
    with SqliteJournal(path) as journal, pytest.raises(UnknownRun):
        journal.read("a")


def test_a_first_opening_that_was_broken_off_is_made_good(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    SqliteJournal(path).close()
    path.write_bytes(b"")  # the anchor was made, the tables were not
    with SqliteJournal(path) as journal:
        journal.create(header("a"))


def test_records_of_the_anchor_are_used_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with SqliteJournal(path) as journal:
        for _ in range(30):
            asyncio.run(journal.create(header("a")).close())
            journal.delete("a")
    assert (tmp_path / "runs.db.anchor").stat().st_size == 2 * RECORD


# ---------------------------------------------------------------- rows that are stored together


def _burst(run: Any, name: str, first: int, count: int) -> None:
    async def work() -> None:
        await asyncio.gather(*(append(run, name, first + number) for number in range(count)))

    asyncio.run(work())


def _stored(path: Path) -> list[int]:
    """Return the numbers of the last rows of all records."""
    with sqlite3.connect(path) as db:
        found = [seq for (seq,) in db.execute("SELECT seq FROM entry ORDER BY run, seq")]
    db.close()
    return found


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("DELETE FROM entry WHERE seq = 6", 4),
        ("DELETE FROM entry WHERE seq = 3", 1),
        ("DELETE FROM entry WHERE seq = 9", 7),
        ("UPDATE entry SET seq = 5 WHERE seq = 6", 4),
        ("UPDATE entry SET seq = 0 WHERE seq = 3", 1),
        ("UPDATE entry SET hash = x'' WHERE seq = 6", 4),
        ("UPDATE entry SET record = (SELECT record FROM entry WHERE seq = 3) WHERE seq = 6", 4),
        ("UPDATE entry SET record = substr(record, 1, instr(record, x'0a') - 1) WHERE seq = 6", 4),
        ("UPDATE entry SET record = record || x'0a' || record WHERE seq = 9", 7),
        ("UPDATE entry SET record = record || x'0a' WHERE seq = 9", 7),
    ],
)
def test_damage_names_the_first_of_rows_that_are_stored_together(tmp_path: Path, statement: str, seq: int) -> None:
    path = tmp_path / "runs.db"
    with SqliteJournal(path) as journal:
        run = journal.create(header("short"))
        for first in (1, 4, 7):
            _burst(run, "short", first, 3)
    assert _stored(path) == [3, 6, 9]
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with SqliteJournal(path) as journal:
        for look in (journal.read, journal.resume):
            with pytest.raises(JournalDamaged) as caught:
                look("short")
            assert caught.value.seq == seq


def test_a_fork_may_begin_amid_rows_that_are_stored_together(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with SqliteJournal(path) as journal:
        run = journal.create(header("short"))
        for first in (1, 4):
            _burst(run, "short", first, 3)
        for upto in range(7):
            child = journal.fork("short", upto, header(f"c{upto}"))
            append(child, f"c{upto}", upto + 1)
            again = journal.fork(f"c{upto}", max(upto - 1, 0), header(f"d{upto}"))
            _burst(again, f"d{upto}", max(upto, 1), 2)
    with SqliteJournal(path) as journal:
        for upto in range(7):
            rows = journal.read(f"c{upto}")[1]
            assert len(rows) == upto + 1 and is_right(rows[-1], f"c{upto}", upto + 1)
            assert all(is_right(row, "short", seq) for seq, row in enumerate(rows[:-1], 1))
            rows = journal.resume(f"d{upto}").rows()
            assert [row.path for row in rows] == ["main.short"] * max(upto - 1, 0) + [f"main.d{upto}"] * 2


def test_long_rows_are_records_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def work(run: Any) -> None:
        texts = ["a", "b", "c" * 5000, "d", "e" * 4000, "f" * 4000, "g" * 4000, "h" * 4000, "i" * 4000]
        await asyncio.gather(*(run.append("done", body={"text": text}) for text in texts))
        assert [row.body["text"] for row in run.rows()] == texts

    with SqliteJournal(path) as journal:
        asyncio.run(work(journal.create(header("a"))))
    assert _stored(path) == [2, 3, 8, 9]


def test_a_file_of_version_1_is_read_and_written(tmp_path: Path) -> None:
    """It has one row in each record; all else is the same."""
    path = _closed_journal(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    with SqliteJournal(path) as journal:
        run = journal.resume("a")
        assert len(run.rows()) == 20
        _burst(run, "a", 21, 3)
    assert _stored(path) == [*range(1, 21), 23]
    with SqliteJournal(path) as journal:
        assert all(is_right(row, "a", seq) for seq, row in enumerate(journal.read("a")[1], 1))
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchall() == [(sqlite_module.VERSION,)]
    db.close()


# ---------------------------------------------------------------- owners


def test_a_run_that_has_ended_is_nobodys_until_something_is_added(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with SqliteJournal(path) as one, SqliteJournal(path) as other:
        run = one.create(header("a"))
        append(run, "a", 1)
        run.set_status("ended")
        assert [line.owned for line in other.list()] == [False]
        append(run, "a", 2)
        assert [line.owned for line in other.list()] == [True]
        with pytest.raises(JournalBusy, match="alive"):
            other.resume("a")
        run.set_status("ended")
        taken = other.resume("a")
        append(taken, "a", 3)
        taken.set_status("ended")
        asyncio.run(taken.close())
        with pytest.raises(JournalBusy, match="taken over"):
            append(run, "a", 3)
        asyncio.run(run.close())
        again = other.resume("a")
        again.set_status("ended")
        one.delete("a")
        fresh = one.create(header("a"))
        fresh.set_status("ended")
        with pytest.raises(JournalBusy, match="taken over"):
            append(again, "a", 4)
        asyncio.run(again.close())
        append(fresh, "a", 1)
        assert len(fresh.rows()) == 1


def test_who_lost_a_run_writes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with SqliteJournal(path) as one, SqliteJournal(path) as other:
        run, unhurt = one.create(header("a")), one.create(header("b"))
        append(run, "a", 1)
        with pytest.raises(JournalBusy, match="alive"):
            other.resume("a")
        with pytest.raises(JournalBusy):
            other.delete("a")
        assert [line.owned for line in other.list()] == [True, True]
        for file in (tmp_path / "runs.db.owners").iterdir():  # somebody removed the locks
            if file.name == one._token:
                file.unlink()
        taken = other.resume("a")
        append(taken, "a", 2)
        for _ in range(2):
            with pytest.raises(JournalBusy, match="taken over"):
                append(run, "a", 2)
        append(unhurt, "b", 1)
        append(taken, "a", 3)
        asyncio.run(run.close())
        asyncio.run(taken.close())
        assert all(is_right(row, "a", seq) for seq, row in enumerate(one.read("a")[1], 1))
        assert len(one.resume("a").rows()) == 3


def test_a_run_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    script = f"""
        import sys, time
        from masdsl.journal.sqlite import SqliteJournal
        from tests.harness.journals import append, header
        journal = SqliteJournal({str(tmp_path / "runs.db")!r})
        append(journal.create(header("a")), "a", 1)
        print("ready", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    with SqliteJournal(tmp_path / "runs.db") as journal:
        with pytest.raises(JournalBusy):
            journal.resume("a")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert len(journal.resume("a").rows()) == 1
    SqliteJournal(tmp_path / "runs.db").close()  # removes what the killed one left, and its own
    assert list((tmp_path / "runs.db.owners").iterdir()) == []


def test_a_forked_child_may_not_use_its_parents_journal(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "runs.db") as journal:
        run = journal.create(header("a"))
        child = os.fork()
        if not child:
            try:
                append(run, "a", 1)
            except RuntimeError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        append(run, "a", 1)
        assert len(run.rows()) == 1


def test_two_processes_cannot_begin_the_same_run(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def work() -> None:
        with SqliteJournal(path) as one, SqliteJournal(path) as other:
            first, second, third = one.create(header("a")), other.create(header("a")), other.create(header("b"))
            told = await asyncio.gather(
                append(first, "a", 1), append(second, "a", 1), append(third, "b", 1), return_exceptions=True
            )
            assert [type(one) for one in told] in ([int, RunExists, int], [RunExists, int, int])

    asyncio.run(work())


def test_a_parent_that_was_deleted_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def work() -> None:
        with SqliteJournal(path) as one, SqliteJournal(path) as other:
            parent = one.create(header("a"))
            await append(parent, "a", 1)
            await parent.close()
            child = other.fork("a", 1, header("b"))
            one.delete("a")
            with pytest.raises(UnknownRun):
                await append(child, "b", 2)

    asyncio.run(work())


# ---------------------------------------------------------------- no room, no file, no lock


async def _append_until_it_fails(run: Any, name: str, most: int) -> tuple[int, JournalError]:
    for seq in range(1, most):
        try:
            await append(run, name, seq)
        except JournalError as error:
            return seq - 1, error
    raise AssertionError("nothing failed")


_LIMITED = """
    import asyncio, resource, sys
    from pathlib import Path
    from masdsl.journal.sqlite import SqliteJournal
    from tests.harness.journals import header
    from tests.test_journal_faults import _append_until_it_fails

    async def work():
        journal = SqliteJournal(sys.argv[1], sys.argv[2])
        run = journal.create(header("a"))
        await run.append("patch", body={})
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        done, error = await _append_until_it_fails(run, "a", 5000)
        print(done, type(error).__name__)
        try:
            await run.append("done")
        except type(error):
            print("still")
        await run.close()

    asyncio.run(work())
"""


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_limit_on_the_files_size_is_a_full_journal(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "runs.db"
    command = [sys.executable, "-c", textwrap.dedent(_LIMITED), str(path), durability]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, error, still = done.stdout.split()
    assert (error, still) == ("JournalFull", "still")
    assert int(rows) > 10
    with SqliteJournal(path) as journal:
        run = journal.resume("a")
        assert len(run.rows()) >= 1 + int(rows)
        append(run, "a", len(run.rows()) + 1)


def test_a_full_disk_is_a_full_journal(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:

        async def work() -> int:
            with SqliteJournal(tmp_path / "runs.db") as journal:
                run = journal.create(header("a"))
                other = journal.create(header("b"))
                done, error = await _append_until_it_fails(run, "a", 5000)
                assert isinstance(error, JournalFull)
                assert "make room" in str(error)
                with pytest.raises(JournalFull):
                    await append(run, "a", done + 1)
                with pytest.raises(JournalFull):
                    while True:
                        await append(other, "b", 1)
                return done

        done = asyncio.run(work())
        assert done > 10
        with SqliteJournal(tmp_path / "runs.db") as journal:
            rows = journal.read("a")[1]
            assert len(rows) >= done
            assert all(is_right(row, "a", seq) for seq, row in enumerate(rows, 1))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("settled", [files_module.SETTLED, 20_000_000], ids=["at once", "later"])
@pytest.mark.parametrize("suffix", ["", "-wal", ".anchor"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_gone_is_told_before_more_is_acknowledged(
    tmp_path: Path, suffix: str, how: str, settled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So soon after the last change in the folder each file is looked at; later, the folder alone."""
    monkeypatch.setattr(files_module, "SETTLED", settled)
    monkeypatch.setattr(files_module, "SOON_SETTLED", settled)
    path = tmp_path / "runs.db"

    async def work() -> None:
        with SqliteJournal(path) as journal:
            run = journal.create(header("a"))
            await append(run, "a", 1)
            if settled < _SETTLED:
                await asyncio.sleep(0.1)
            await append(run, "a", 2)
            assert (journal._files._unchanged_since is not None) == (settled < _SETTLED)
            file = Path(f"{path}{suffix}")
            data = file.read_bytes()
            file.rename(tmp_path / "elsewhere")
            if how == "replaced":
                file.write_bytes(data)
            with pytest.raises(JournalDamaged, match="while it was in use"):
                await append(run, "a", 3)
            with pytest.raises(JournalDamaged):
                journal.resume("b")

    asyncio.run(work())


@pytest.mark.parametrize(
    ("changed", "ago", "is_settled"),
    [
        (1_700_000_000_123_456_789, 1_000_000, False),
        (1_700_000_000_123_456_789, files_module.SOON_SETTLED + 1, True),
        (1_700_000_000_120_000_000, files_module.SOON_SETTLED + 1, False),  # by a clock of seconds, for all we know
        (1_700_000_000_000_000_000, 1_999_999_999, False),
        (1_700_000_000_000_000_000, files_module.SETTLED + 1, True),
        (1_700_000_000_123_456_789, -1, False),
        (0, files_module.SETTLED + 1, False),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="Windows has no time of the last change")
def test_a_folder_is_trusted_once_its_time_cannot_be_that_of_another_change(
    tmp_path: Path, changed: int, ago: int, is_settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_module.Files(str(tmp_path / "runs.db"))

    class Status:
        st_dev, st_ino, st_ctime_ns = 1, 2, changed

    with monkeypatch.context() as patched:
        patched.setattr("os.stat", lambda _: Status)
        patched.setattr("time.time_ns", lambda: changed + ago)
        found = files._last_change()
    assert found == ((1, 2, changed) if is_settled else None)


def test_an_anchor_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(tmp_path / "runs.db") as journal:
        run = journal.create(header("a"))
        append(run, "a", 1)

        def refuse(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("masdsl.journal.anchor.Anchor.write", refuse)
            with pytest.raises(JournalFull, match="Input/output"):
                append(run, "a", 2)
        with pytest.raises(JournalFull):
            append(run, "a", 2)
        asyncio.run(run.close())
        rows = journal.resume("a").rows()  # the row was stored, and nobody was told
        assert [row.seq for row in rows] == [1, 2]


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFull):
        SqliteJournal(tmp_path / "file" / "runs.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(JournalError, match="no file"):
        SqliteJournal(tmp_path / "folder")
    (tmp_path / "text").write_text("this is not a database at all, but a text that is long enough" * 99)
    with pytest.raises(JournalDamaged):
        SqliteJournal(tmp_path / "text")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalFull):
            SqliteJournal(tmp_path / "runs.db")
    finally:
        tmp_path.chmod(0o700)


def _while_locked(path: Path, work: Callable[[sqlite3.Connection], Awaitable[None]]) -> None:
    async def locked() -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            await work(other)
        finally:
            other.close()

    asyncio.run(locked())


def test_while_the_file_is_locked_the_event_loop_goes_on(tmp_path: Path) -> None:
    with SqliteJournal(tmp_path / "runs.db") as journal:
        run = journal.create(header("a"))

        async def work(other: sqlite3.Connection) -> None:
            waiting = [append(run, "a", seq) for seq in range(1, 4)]
            turns = 0
            while turns < 20:
                await asyncio.sleep(0.001)
                turns += 1
            assert not any(one.done() for one in waiting)
            other.execute("ROLLBACK")
            assert await asyncio.gather(*waiting) == [1, 2, 3]

        _while_locked(tmp_path / "runs.db", work)
        assert all(is_right(row, "a", seq) for seq, row in enumerate(run.rows(), 1))


def test_a_file_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteJournal(tmp_path / "runs.db") as journal:
        run = journal.create(header("a"))
        monkeypatch.setattr(commit_module, "PATIENCE", 0.02)
        monkeypatch.setattr(sqlite_module, "PATIENCE", 0.02)

        async def work(other: sqlite3.Connection) -> None:
            with pytest.raises(JournalBusy, match="locked by another process"):
                await append(run, "a", 1)
            with pytest.raises(JournalBusy):
                journal.delete("a")

        _while_locked(tmp_path / "runs.db", work)
        assert list(journal.read("a")[1]) == []


# ---------------------------------------------------------------- versions and size


def test_files_of_other_versions_and_programs_are_refused(tmp_path: Path) -> None:
    path = _closed_journal(tmp_path)

    def say(*statements: str) -> None:
        with sqlite3.connect(path) as db:
            for statement in statements:
                db.execute(statement)
        db.close()

    say(f"PRAGMA user_version = {sqlite_module.VERSION + 1}")
    with pytest.raises(JournalVersion, match="newer masdsl"):
        SqliteJournal(path)
    say(f"PRAGMA user_version = {sqlite_module.VERSION}", "PRAGMA application_id = 9")
    with pytest.raises(JournalVersion, match="another program"):
        SqliteJournal(path)
    path = tmp_path / "other.db"
    say("CREATE TABLE t (a)")
    with pytest.raises(JournalVersion, match="another program"):
        SqliteJournal(path)


def test_older_files_are_brought_up_to_date_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _closed_journal(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 0")
        db.execute("ALTER TABLE free RENAME TO unused")
    db.close()
    with pytest.raises(JournalVersion, match="cannot read any more"):
        SqliteJournal(path)
    monkeypatch.setitem(
        sqlite_module.MIGRATIONS, 0, lambda db: db.execute("ALTER TABLE unused RENAME TO free") and None
    )
    for _ in range(2):
        with SqliteJournal(path) as journal:
            assert len(journal.read("a")[1]) == 20
            journal.create(header(f"b{_}"))


def test_what_is_deleted_gives_its_room_back(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with SqliteJournal(path) as journal:
        small = None
        for _ in range(3):
            run = journal.create(header("a"))
            for seq in range(1, 400):
                append(run, "a", seq)
            asyncio.run(run.close())
            large = path.stat().st_size + Path(f"{path}-wal").stat().st_size
            journal.delete("a")
            size = path.stat().st_size + Path(f"{path}-wal").stat().st_size
            small = small or size
            assert size <= small < large


def test_ten_thousand_runs_fit_into_one_file(tmp_path: Path) -> None:
    async def fill() -> None:
        async def one(number: int) -> None:
            run = journal.create(header(f"r{number}"))
            for seq in range(1, 4):
                await append(run, f"r{number}", seq)
            await run.close()

        await asyncio.gather(*map(one, range(10_000)))

    with SqliteJournal(tmp_path / "runs.db") as journal:
        asyncio.run(fill())
    with SqliteJournal(tmp_path / "runs.db") as journal:
        assert [line.id for line in journal.list(limit=3)] == ["r9999", "r9998", "r9997"]
        assert sum(line.rows for line in journal.list()) == 30_000
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1

        assert journal._db is not None
        journal._db.set_progress_handler(step, 100)
        rows = journal.resume("r5000").rows()
        journal._db.set_progress_handler(None, 0)
        assert all(is_right(row, "r5000", seq) for seq, row in enumerate(rows, 1))
        assert steps < 50, "SQLite took 5,000 steps and more: resuming one run reads the others"
        assert journal.prune(2e10) == 9_999
