"""Journals on a real Postgres server: what `test_journal.py` does not ask of all journals."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from masdsl.journal import JournalBusy, JournalDamaged, JournalFull, JournalVersion, RunExists, open_journal
from masdsl.journal.base import Durability
from tests.harness.journals import append, header, is_right

pytest_plugins = ("tests.harness.postgres",)


def _opened(url: str, durability: Durability = "full") -> Any:
    return open_journal(url, durability)


def test_a_killed_writer_loses_no_acknowledged_row(postgres: str) -> None:
    script = f"""
        import asyncio
        from masdsl.journal import open_journal
        from tests.harness.journals import append, header
        async def main():
            journal = open_journal({postgres!r})
            run = journal.resume("a") if any(journal.list()) else journal.create(header("a"))
            seq = len(run.rows())
            while True:
                seq += 1
                print(await append(run, "a", seq), flush=True)
        asyncio.run(main())
    """
    last = 0
    for kill in range(5):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            last = int(line)
            if last % 40 == 7 * kill:
                break
        process.send_signal(signal.SIGKILL)
        last = max([last, *map(int, process.stdout.read().split("\n")[:-1])])
        process.wait()
        process.stdout.close()
        with _opened(postgres) as journal:
            rows = journal.read("a")[1]
            assert len(rows) >= last > 0
            assert all(is_right(row, "a", seq) for seq, row in enumerate(rows, 1))
            for _ in range(200):  # until the server has noticed
                if not next(journal.list()).owned:
                    break
            else:
                pytest.fail("the server still holds the lock of a process that is gone")


def test_a_run_has_one_owner(postgres: str) -> None:
    async def work() -> None:
        with _opened(postgres) as one, _opened(postgres, "normal") as other:
            run = one.create(header("a"))
            await append(run, "a", 1)
            with pytest.raises(JournalBusy, match="alive"):
                other.resume("a")
            with pytest.raises(JournalBusy):
                other.delete("a")
            assert [line.owned for line in other.list()] == [True]
            await run.close()
            taken = other.resume("a")
            assert await append(taken, "a", 2) == 2
            with pytest.raises(JournalBusy):
                one.resume("a")

    asyncio.run(work())


def test_two_processes_cannot_begin_the_same_run(postgres: str) -> None:
    async def work() -> None:
        with _opened(postgres) as one, _opened(postgres) as other:
            runs = one.create(header("a")), other.create(header("a")), other.create(header("b"))
            names = "a", "a", "b"
            told = await asyncio.gather(
                *(append(run, name, 1) for run, name in zip(runs, names, strict=True)), return_exceptions=True
            )
            assert sorted(type(one).__name__ for one in told) == ["RunExists", "int", "int"]
            assert RunExists in map(type, told[:2])

    asyncio.run(work())


def test_who_lost_its_session_writes_nothing_more(postgres: str) -> None:
    import psycopg

    async def work() -> None:
        with _opened(postgres) as one, _opened(postgres) as other:
            run = one.create(header("a"))
            await append(run, "a", 1)
            with psycopg.connect(postgres, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (one._db.info.backend_pid,))
            for _ in range(2):
                with pytest.raises(JournalFull):
                    await append(run, "a", 2)
            taken = other.resume("a")
            assert await append(taken, "a", 2) == 2
            assert len(taken.rows()) == 2

    asyncio.run(work())


def test_the_fence_holds_where_the_lock_does_not(postgres: str) -> None:
    async def work() -> None:
        with _opened(postgres) as one, _opened(postgres) as other:
            run = one.create(header("a"))
            await append(run, "a", 1)
            one._execute("SELECT pg_advisory_unlock_all()")
            taken = other.resume("a")
            with pytest.raises(JournalBusy, match="taken over"):
                await append(run, "a", 2)
            assert await append(taken, "a", 2) == 2

    asyncio.run(work())


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("DELETE FROM entry WHERE seq = 3", 3),
        ("UPDATE entry SET record = (SELECT record FROM entry WHERE seq = 1) WHERE seq = 2", 2),
        ("UPDATE run SET status = 'ended'", 0),
    ],
)
def test_damage_names_the_first_wrong_row(postgres: str, statement: str, seq: int) -> None:
    with _opened(postgres) as journal:
        run = journal.create(header("a"))
        for number in range(1, 6):
            append(run, "a", number)
        journal._execute(statement)
        with pytest.raises(JournalDamaged) as caught:
            journal.read("a")
        assert (caught.value.run, caught.value.seq) == ("a", seq)


def test_what_is_added_while_a_commit_is_under_way_is_the_next_one(postgres: str) -> None:
    commits = 0

    async def work() -> None:
        nonlocal commits
        with _opened(postgres) as journal:
            commit = journal._commit

            def counted() -> None:
                nonlocal commits
                commits += 1
                commit()

            journal._commit = counted
            runs = [journal.create(header(f"r{number}")) for number in range(50)]

            async def ten(run: Any) -> None:
                for seq in range(1, 11):
                    await append(run, run.header.id, seq)

            await asyncio.gather(*map(ten, runs))
            assert commits < 60
            assert all(is_right(row, "r7", seq) for seq, row in enumerate(journal.read("r7")[1], 1))

    asyncio.run(work())


def test_servers_that_are_not_there_and_other_versions_are_told(postgres: str) -> None:
    from masdsl.journal.postgres import VERSION

    with pytest.raises(JournalFull, match="Postgres"):
        _opened("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    with _opened(postgres) as journal:
        journal._execute("UPDATE journal SET version = 1")
    with _opened(postgres) as journal:  # what 1 has is right in 2 as it is
        assert journal._execute("SELECT version FROM journal") == [(VERSION,)]
        journal._execute("UPDATE journal SET version = version + 1")
    with pytest.raises(JournalVersion, match="version"):
        _opened(postgres)
