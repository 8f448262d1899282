"""A journal in a file: SQLite in WAL mode, one transaction for each turn of the event loop.

The transaction is made in the thread of the event loop. It takes tens of microseconds (milliseconds with `full`), and a
thread of its own would wait for the interpreter's lock longer than that. Where another process holds the file locked,
the event loop goes on and the transaction is tried again.

Beside `runs.db` lie `runs.db.anchor` (see `anchor.py`) and the folder `runs.db.owners` (see `owner.py`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from masdsl.journal.anchor import Anchor, BadMark, Mark
from masdsl.journal.base import Durability
from masdsl.journal.chain import digest
from masdsl.journal.commit import PATIENCE
from masdsl.journal.database import INSERT_RUN, MAGIC, Locked, Stored, selected
from masdsl.journal.errors import JournalBusy, JournalDamaged, JournalError, JournalFull, JournalVersion
from masdsl.journal.files import Files
from masdsl.journal.owner import Owner
from masdsl.journal.record import Record
from masdsl.journal.stored import StoredJournal

VERSION: Final = 2
"""The version of the tables; a file of a newer one is refused, one of an older one is brought up to this one.

Since 2, several rows may be one record, and a reply may have its step's value. What 1 has is right in 2 as it is.
"""
APPLICATION: Final = 0x6D617364
"""SQLite's `application_id` of our files: `masd`."""

SCHEMA: Final = """
CREATE TABLE journal (
    identity BLOB NOT NULL, generation INTEGER NOT NULL, takeovers INTEGER NOT NULL, slots INTEGER NOT NULL
);
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, slot INTEGER NOT NULL UNIQUE,
    program TEXT NOT NULL, flow TEXT NOT NULL, created REAL NOT NULL, changed REAL NOT NULL,
    parent TEXT, parent_seq INTEGER NOT NULL, status TEXT NOT NULL, owner TEXT NOT NULL, epoch INTEGER NOT NULL,
    header BLOB NOT NULL, genesis BLOB NOT NULL, seal BLOB NOT NULL
);
CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;
CREATE TABLE entry (run INTEGER NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL, hash BLOB NOT NULL);
CREATE UNIQUE INDEX entry_of_run ON entry (run, seq);
CREATE TABLE free (slot INTEGER PRIMARY KEY);
"""

Migration = Callable[[sqlite3.Connection], None]
MIGRATIONS: Final[dict[int, Migration]] = {1: lambda db: None}
"""Version of a file -> what brings it to the next one, inside a transaction."""

_INSERT_ALONE: Final = (
    "INSERT INTO entry (run, seq, record, hash) SELECT ?, ?, ?, ? WHERE (SELECT takeovers FROM journal) = ?"
)
_LOCKED: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_NO_ROOM: Final = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOMEM,
}
_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What `sqlite3` raises: also where SQLite's own message quotes a damaged file."""
_READ_FAILED: Final = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
_SHORT_WAIT: Final = 0.01
"""Seconds for which another process may hold up the event loop."""
_WAL_BYTES: Final = 8 * 1024 * 1024
_WAL_PAGES: Final = 2000
"""Pages (of 4,096 bytes) after which the log is written back, waiting for the disk: they fit `_WAL_BYTES`."""


class SqliteJournal(StoredJournal):
    """The journal in a file, made where it is missing (in a folder for the user alone, where that is missing too).

    `durability` is `normal` (acknowledged rows survive the death of the process; a loss of power may cost the last
    ones, which is found) or `full` (they survive that too).

    With `accept` the anchor is made anew from what the file holds, whatever that is: after a backup without an anchor
    was restored, or a loss of power. Rows that were changed still show; rows that are missing at a run's end do not.

    Raises JournalVersion, JournalDamaged, JournalFull (no place to write), JournalBusy (locked for `PATIENCE` seconds).
    """

    def __init__(
        self, path: str | os.PathLike[str], durability: Durability = "normal", *, accept: bool = False
    ) -> None:
        super().__init__()
        if durability not in ("normal", "full"):
            raise ValueError(f"{durability!r} is no durability; those are normal, full")
        self.path = os.path.abspath(os.fspath(path))
        self._durable = durability == "full"
        self._accept = accept
        self._owner: Owner | None = None
        self._db: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        try:
            self._connect()
        except BaseException as error:
            self._disconnect()
            if isinstance(error, _ERRORS):
                self._refuse(error)
            if isinstance(error, Locked):
                raise JournalBusy("", f"{self.path} is locked by another process ({error}); try again later") from None
            if isinstance(error, OSError):
                raise JournalFull(self.path, error.strerror or str(error)) from None
            raise

    def __str__(self) -> str:
        return self.path

    # ---------------------------------------------------------------- opening

    def _connect(self) -> None:
        self._files = Files(self.path)
        self._db = db = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        self._cursor = db.cursor()
        self._waits = PATIENCE
        [(version,)] = db.execute("PRAGMA user_version")
        [(application,)] = db.execute("PRAGMA application_id")
        if version > VERSION and application == APPLICATION:
            raise JournalVersion(
                f"{self.path} was written by a newer masdsl (tables of version {version}, this one knows {VERSION}); "
                "install that one, or choose another place"
            )
        if application not in (0, APPLICATION):
            raise JournalVersion(f"{self.path} is the database of another program; choose another place")
        if application == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._wal()
        db.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        db.execute("PRAGMA fullfsync = ON")  # macOS only
        db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
        self._begin(patient=True)
        try:
            [(version,)] = db.execute("PRAGMA user_version")
            [(application,)] = db.execute("PRAGMA application_id")
            if application == 0:
                self._make(version)
            elif version < VERSION:
                self._migrate(version)
            self._owner = Owner(f"{self.path}.owners")
            self._owner.clean_up()
            if self._accept:
                self._make_anchor()
            self._check_anchor()
            self._commit()
        except BaseException:
            self._rollback()
            raise
        self._token = self._owner.token

    def _wal(self) -> None:
        """Switch to a write-ahead log; two processes that make the same file do so one after the other."""
        assert self._db is not None
        until = time.monotonic() + PATIENCE
        while True:
            try:
                [(mode,)] = self._db.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) not in _LOCKED or time.monotonic() > until:
                    raise
                time.sleep(_SHORT_WAIT)
        if mode != "wal":
            raise JournalError(f"{self.path} is in a place where SQLite cannot keep a write-ahead log; choose another")

    def _make(self, version: int) -> None:
        """Make the tables and the anchor in an empty file."""
        assert self._db is not None
        [(tables,)] = self._db.execute("SELECT count(*) FROM sqlite_master")
        if tables or version:
            raise JournalVersion(f"{self.path} is the database of another program; choose another place")
        anchor = f"{self.path}.anchor"
        if os.path.exists(anchor):
            earlier = Anchor(anchor, create=False)
            try:
                used = earlier.read(0).seq > 0
            except BadMark:
                used = os.path.getsize(anchor) > 64
            finally:
                earlier.close()
            if used:
                raise JournalDamaged("", 0, f"{self.path} is empty, but {anchor} speaks of runs in it; or remove both")
        self._identity = os.urandom(16)
        for statement in SCHEMA.split(";"):
            self._db.execute(statement)
        self._db.execute("INSERT INTO journal VALUES (?, 0, 0, 0)", (self._identity,))
        self._db.execute(f"PRAGMA application_id = {APPLICATION}")
        self._db.execute(f"PRAGMA user_version = {VERSION}")
        self._anchor = Anchor(anchor, create=True)
        self._anchor.write({0: Mark(self._identity, 0, MAGIC, 1)})
        if self._durable:
            self._anchor.sync()
            _sync_folder(self._files.folder)

    def _migrate(self, version: int) -> None:
        """Bring tables of an older version up to this one's."""
        assert self._db is not None
        while version < VERSION:
            step = MIGRATIONS.get(version)
            if step is None:
                raise JournalVersion(
                    f"{self.path} has tables of version {version}, which this masdsl cannot read any more; "
                    "choose another place, or read it with an older one"
                )
            step(self._db)
            version += 1
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _make_anchor(self) -> None:
        """Make the anchor anew from the tables."""
        assert self._owner is not None
        if self._owner.others():
            raise JournalBusy("", f"{self.path} is in use by another process; wait for its end, or stop it")
        if self._anchor is None:
            self._anchor = Anchor(f"{self.path}.anchor", create=True)
        [(identity,)] = self._execute("SELECT identity FROM journal")
        marks = {0: Mark(identity, self._state()[1], MAGIC, 1)}
        for run, slot, seq, genesis, epoch, head in self._execute(
            "SELECT id, slot, parent_seq, genesis, epoch, (SELECT hash FROM entry WHERE run = number ORDER BY seq DESC"
            " LIMIT 1) FROM run"
        ):
            if head is not None:
                [(seq,)] = self._execute(
                    "SELECT max(seq) FROM entry WHERE run = (SELECT number FROM run WHERE id = ?)", (run,)
                )
            marks[slot] = Mark(digest(run), seq, head or genesis, epoch)
        self._anchor.write(marks)
        self._anchor.sync()

    def _check_anchor(self) -> None:
        """Open the anchor. Raises JournalDamaged where it is another journal's, or ahead of the tables."""
        path = f"{self.path}.anchor"
        try:
            if self._anchor is None:
                self._anchor = Anchor(path, create=False)
            mark = self._anchor.read(0)
        except FileNotFoundError:
            raise JournalDamaged("", 0, f"its anchor {path} is missing; or open it with `accept`") from None
        except BadMark as error:
            raise JournalDamaged("", 0, f"{path}: {error}") from None
        found = self._execute("SELECT identity FROM journal")
        self._identity = found[0][0] if len(found) == 1 else b""
        _, generation = self._state()
        if mark.key != self._identity or mark.head != MAGIC:
            raise JournalDamaged("", 0, f"{path} is the anchor of another journal")
        if mark.seq > generation:
            raise JournalDamaged("", 0, f"{self.path} is older than its anchor: runs that it held are missing")

    # ---------------------------------------------------------------- the database

    def _begin(self, *, patient: bool, alone: bool = False) -> None:
        self._write_first("BEGIN IMMEDIATE", (), patient=patient)

    def _write_first(self, sql: str, values: Sequence[Any], *, patient: bool) -> int:
        """Run the statement by which a transaction begins; return how many rows it changed."""
        db = self._connection()
        self._files.check(self._anchor)
        waits = PATIENCE if patient else _SHORT_WAIT
        try:
            if waits != self._waits:
                db.execute(f"PRAGMA busy_timeout = {int(waits * 1000)}")
                self._waits = waits
            return self._connected().execute(sql, values).rowcount
        except _ERRORS as error:
            if _code(error) in _LOCKED:
                raise Locked(str(error)) from None
            self._refuse(error)

    def _commit(self) -> None:
        try:
            self._connected().execute("COMMIT")
        except _ERRORS as error:
            self._refuse(error)

    def _rollback(self) -> None:
        db = self._connection()
        if db.in_transaction:
            try:
                db.execute("ROLLBACK")
            except _ERRORS:  # it was rolled back already, by the error that is told
                pass

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._files.check(self._anchor)
        self._execute("BEGIN")
        try:
            yield
        finally:
            self._rollback()

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        try:
            return self._connected().execute(sql, values).fetchall()
        except _ERRORS as error:
            self._refuse(error)

    def _insert_run(self, record: Record) -> int:
        try:
            cursor = self._connected().execute(INSERT_RUN, record[1:])
        except _ERRORS as error:
            self._refuse(error)
        return cursor.lastrowid or 0 if cursor.rowcount == 1 else 0

    def _insert_alone(self, entry: Stored, takeovers: int, *, patient: bool) -> bool:
        return self._write_first(_INSERT_ALONE, (*entry, takeovers), patient=patient) == 1

    def _insert(self, entries: Sequence[Stored]) -> None:
        try:
            self._connected().executemany("INSERT INTO entry (run, seq, record, hash) VALUES (?, ?, ?, ?)", entries)
        except _ERRORS as error:
            self._refuse(error)

    def _entries(self, record: Record, upto: int | None) -> Iterator[tuple[Any, Any, Any]]:
        last = record.parent_seq
        try:
            for row in self._connection().execute(*selected(record, upto)):
                yield row
                last = row[0]
        except _ERRORS as error:
            raise JournalDamaged(record.id, last + 1, f"row {last + 1} cannot be read ({error})") from None

    def _is_alive(self, owner: str) -> bool:
        return self._owner is not None and self._owner.is_alive(owner)

    def _shrink(self) -> None:
        self._execute("PRAGMA incremental_vacuum")
        try:
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except JournalError:  # others are reading
            pass

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = self._cursor = None
        if self._anchor is not None:
            self._anchor.close()
        if self._owner is not None:
            self._owner.close()

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise RuntimeError(f"the journal {self.path} is closed")
        return self._db

    def _connected(self) -> sqlite3.Cursor:
        """Return the cursor of what is done at once, under the lock; a connection makes one for each statement."""
        if self._cursor is None:
            raise RuntimeError(f"the journal {self.path} is closed")
        return self._cursor

    def _refuse_anchor(self, error: OSError) -> NoReturn:
        raise JournalFull(f"{self.path}.anchor", error.strerror or str(error)) from None

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise the journal's error for one of SQLite's."""
        code = _code(error)
        if code in _LOCKED:
            raise JournalBusy("", f"{self.path} is locked by another process ({error}); try again later") from None
        extended = getattr(error, "sqlite_errorcode", 0)
        if code in _NO_ROOM or (code == sqlite3.SQLITE_IOERR and extended not in _READ_FAILED):
            raise JournalFull(self.path, str(error)) from None
        raise JournalDamaged("", 0, f"{self.path}: {error}") from None


def _code(error: Exception) -> int:
    """Return SQLite's primary code of an error."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _sync_folder(folder: str) -> None:
    if os.name == "posix":
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
