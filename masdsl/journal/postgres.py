"""A journal on a Postgres server, for runs on any number of machines; the extra `masdsl[scale]`.

The tables, the chain and the rules are those of `sqlite.py`. Commits are made in a thread, which waits for the server
without holding the interpreter; what is added meanwhile is the next transaction. An owner is alive as long as its
session holds an advisory lock, which the server releases when the connection ends.

There is no anchor: a server that was set back to an older backup holds older runs, and says nothing of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import psycopg

from masdsl.journal.base import Durability
from masdsl.journal.commit import PATIENCE
from masdsl.journal.database import INSERT_RUN, Locked, Stored, selected
from masdsl.journal.errors import JournalBusy, JournalDamaged, JournalFull, JournalVersion
from masdsl.journal.record import Record
from masdsl.journal.stored import StoredJournal

VERSION: Final = 2
"""The version of the tables; see `sqlite.py`."""

SCHEMA: Final = """
CREATE TABLE journal (
    version BIGINT NOT NULL, generation BIGINT NOT NULL, takeovers BIGINT NOT NULL
);
CREATE TABLE run (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL UNIQUE, slot BIGINT NOT NULL,
    program TEXT NOT NULL, flow TEXT NOT NULL, created DOUBLE PRECISION NOT NULL, changed DOUBLE PRECISION NOT NULL,
    parent TEXT, parent_seq BIGINT NOT NULL, status TEXT NOT NULL, owner TEXT NOT NULL, epoch BIGINT NOT NULL,
    header BYTEA NOT NULL, genesis BYTEA NOT NULL, seal BYTEA NOT NULL
);
CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;
CREATE TABLE entry (run BIGINT NOT NULL, seq BIGINT NOT NULL, record BYTEA NOT NULL, hash BYTEA NOT NULL,
    PRIMARY KEY (run, seq));
"""

_NOTICES_LOSS: Final = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}
"""What makes the server end a session within seconds, and so free its runs, whose machine is not to be reached."""
_SPACE: Final = 0x6D617364  # the first key of our advisory locks, as far as they are not owners
_WRITING: Final = 1


class PostgresJournal(StoredJournal):
    """The journal in the schema `masdsl` of a database, made where it is missing.

    With durability `normal` the server answers before a commit is in its log: acknowledged rows survive the death of
    this process; a crash of the server may cost those of its last half second. `full` waits for the log to be written.

    Raises JournalFull where the server cannot be reached or used, JournalVersion, JournalBusy.
    """

    def __init__(self, dsn: str, durability: Durability = "full") -> None:
        super().__init__()
        if durability not in ("normal", "full"):
            raise ValueError(f"{durability!r} is no durability; those are normal, full")
        self._durable = durability == "full"
        self._db: psycopg.Connection[tuple[Any, ...]] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._token = os.urandom(7).hex()
        try:
            self._db = psycopg.connect(dsn, autocommit=True, prepare_threshold=2)
            info = self._db.info
            self._name = f"{info.host}:{info.port}/{info.dbname}"
            self._db.execute(f"SET lock_timeout = {int(PATIENCE * 1000)}")
            self._db.execute(f"SET synchronous_commit = {'on' if self._durable else 'off'}")
            for name, value in _NOTICES_LOSS.items():
                self._db.execute(f"SET {name} = {value}".encode())
            self._db.execute("SELECT pg_advisory_lock(%s)", (_number(self._token),))
            self._make()
        except psycopg.Error as error:
            self._disconnect()
            raise JournalFull("on Postgres", str(error).strip()) from None
        except BaseException:
            self._disconnect()
            raise

    def __str__(self) -> str:
        return self._name

    def _make(self) -> None:
        """Make the tables where they are missing."""
        db = self._connection()
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_SPACE,))
            if db.execute("SELECT to_regclass('masdsl.journal')").fetchall() == [(None,)]:
                db.execute("CREATE SCHEMA IF NOT EXISTS masdsl")
                db.execute("SET LOCAL search_path = masdsl")
                for statement in SCHEMA.strip().rstrip(";").split(";\n"):
                    db.execute(statement.encode())
                db.execute("INSERT INTO journal VALUES (%s, 0, 0)", (VERSION,))
        db.execute("SET search_path = masdsl")
        db.execute("UPDATE journal SET version = 2 WHERE version = 1")  # what 1 has is right in 2 as it is
        versions = db.execute("SELECT version FROM journal").fetchall()
        if versions != [(VERSION,)]:
            raise JournalVersion(
                f"the journal in {self._name} has tables of version {versions}, this masdsl knows {VERSION}; "
                "install the masdsl that wrote them, or choose another database"
            )

    # ---------------------------------------------------------------- group commit in a thread

    def hasten(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave it to the thread: the event loop does not wait for the server."""

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Store what was added; what is added until that is done is stored after it."""
        if not self._queue:
            self._ticking = None
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "masdsl-journal")
        done = loop.run_in_executor(self._thread, self.flush)
        done.add_done_callback(lambda _: self._again(loop, done))

    def _again(self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
        if not done.cancelled():
            done.exception()  # whoever waits for a row was told
        self._tick(loop)

    # ---------------------------------------------------------------- the database

    def _begin(self, *, patient: bool, alone: bool = False) -> None:
        db = self._connection()
        # Commits go side by side; what changes owners or removes runs waits for them, and they for it.
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        try:
            db.execute("BEGIN")
            db.execute(f"SELECT {lock}(%s, %s)".encode(), (_SPACE, _WRITING))
        except psycopg.errors.LockNotAvailable as error:
            self._rollback()
            raise Locked(str(error).strip()) from None
        except psycopg.Error as error:
            self._rollback()
            self._refuse(error)

    def _commit(self) -> None:
        self._execute("COMMIT")

    def _rollback(self) -> None:
        try:
            self._connection().execute("ROLLBACK")
        except psycopg.Error:  # the connection is gone, and the transaction with it
            pass

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self._rollback()

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        try:
            cursor = self._connection().execute(sql.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else ()
        except psycopg.Error as error:
            self._refuse(error)

    def _insert_run(self, record: Record) -> int:
        found = self._execute(f"{INSERT_RUN} RETURNING number", record[1:])
        return int(found[0][0]) if found else 0

    def _insert(self, entries: Sequence[Stored]) -> None:
        if entries:
            self._execute(
                "INSERT INTO entry (run, seq, record, hash)"
                " SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bytea[], ?::bytea[])",
                [list(column) for column in zip(*entries, strict=True)],
            )

    def _entries(self, record: Record, upto: int | None) -> Iterator[tuple[Any, Any, Any]]:
        yield from self._execute(*selected(record, upto))

    def _is_alive(self, owner: str) -> bool:
        number = _number(owner)
        found = self._execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = ?::oid"
            " AND objid = ?::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (number >> 32, number & 0xFFFFFFFF),
        )
        return bool(found)

    def _disconnect(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._db is None:
            raise RuntimeError("the journal is closed")
        return self._db

    def _refuse(self, error: psycopg.Error) -> NoReturn:
        """Raise the journal's error for one of the server's."""
        text = " ".join(str(error).split())
        if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.SerializationFailure):
            raise JournalBusy(
                "", f"the journal {self} is locked by another process ({text}); try again later"
            ) from None
        if isinstance(error, psycopg.errors.IntegrityError | psycopg.errors.DataError | psycopg.errors.UndefinedTable):
            raise JournalDamaged("", 0, f"{self}: {text}") from None
        raise JournalFull(str(self), text) from None


def _number(token: str) -> int:
    """Return the number of the advisory lock of an owner; 0 for what is no owner."""
    try:
        return int(token, 16) & 0x7FFFFFFFFFFFFFFF
    except ValueError:
        return 0
