"""What a journal needs of a database, and of the anchor beside it; all else is said once, on top of this."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from masdsl.journal.anchor import Anchor, BadMark, Mark
from masdsl.journal.chain import digest
from masdsl.journal.errors import JournalBusy, JournalDamaged
from masdsl.journal.record import COLUMNS, Record

Stored: TypeAlias = tuple[int, int, bytes, bytes]
"""Rows as they are stored together: number of the run, number of the last row, record, hash."""
MAGIC: Final = b"masdsl journal\0\0"

INSERT_RUN: Final = (
    f"INSERT INTO run ({', '.join(Record._fields[1:])}) VALUES ({', '.join('?' * len(Record._fields[1:]))})"
    " ON CONFLICT (id) DO NOTHING"
)

_Result = TypeVar("_Result")


class Locked(Exception):
    """Another process holds the database locked just now."""


def selected(record: Record, upto: int | None) -> tuple[str, tuple[int, ...]]:
    """Return the statement, and its values, that gives a run's own rows as far as the one that has row `upto`."""
    whole, end = "SELECT seq, record, hash FROM entry WHERE run = ?", " ORDER BY seq"
    if upto is None:
        return f"{whole}{end}", (record.number,)
    until = "(SELECT min(seq) FROM entry WHERE run = ? AND seq >= ?)"
    return f"{whole} AND seq <= coalesce({until}, ?){end}", (record.number, record.number, upto, upto)


class Database(ABC):
    """A connection, used by one thread at a time under the lock `_using`. A subclass knows the database.

    `_anchor` is None where there is none; `_durable`: a commit outlives a loss of power; `_token`: who owns our runs.
    """

    _anchor: Anchor | None = None
    _durable: bool = False
    _identity: bytes = b""
    _token: str

    def __init__(self) -> None:
        self._using = RLock()
        self._process = os.getpid()

    @abstractmethod
    def _begin(self, *, patient: bool, alone: bool = False) -> None:
        """Begin a transaction that may write; `alone`: one that changes owners or removes runs.

        No other one of that kind, and none that it concerns, is under way. Raises Locked, after `PATIENCE` seconds
        where it is `patient`.
        """

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _rollback(self) -> None: ...

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside belongs to one moment."""

    @abstractmethod
    def _execute(self, sql: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Run a statement. Raises JournalError."""

    @abstractmethod
    def _insert_run(self, record: Record) -> int:
        """Store a new run; return its number, 0 where there is one of its name."""

    @abstractmethod
    def _insert(self, entries: Sequence[Stored]) -> None:
        """Store rows."""

    def _insert_alone(self, entry: Stored, takeovers: int, *, patient: bool) -> bool:
        """Store rows in a transaction of their own, if there were just so many takeovers; say whether that was done.

        Raises Locked like `_begin`, and JournalError.
        """
        return False

    @abstractmethod
    def _entries(self, record: Record, upto: int | None) -> Iterator[tuple[Any, Any, Any]]:
        """Yield seq, record and hash of a run's own rows, in order, as far as the one that has row `upto`.

        Raises JournalDamaged at what cannot be read.
        """

    @abstractmethod
    def _is_alive(self, owner: str) -> bool: ...

    def _shrink(self) -> None:  # noqa: B027 a server does that by itself
        """Give room that is free back to the system, as far as that takes no long time."""

    @abstractmethod
    def _disconnect(self) -> None: ...

    def _write_alone(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` returns, done in a transaction of its own. Raises JournalError."""
        self._check_process()
        try:
            self._begin(patient=True, alone=True)
        except Locked as locked:
            raise JournalBusy("", f"the journal is locked by another process ({locked}); try again later") from None
        try:
            _, before = self._state()
            result = work()
            _, generation = self._state()
            self._commit()
        except BaseException:
            self._rollback()
            raise
        if generation != before:
            self._put_marks({0: self._generation_mark(generation)})
        return result

    def _state(self) -> tuple[int, int]:
        """Return how many takeovers there were, and how many runs were made and deleted."""
        found = self._execute("SELECT takeovers, generation FROM journal")
        if len(found) != 1 or not all(type(value) is int for value in found[0]):
            raise JournalDamaged("", 0, "its table `journal` is not what was written")
        return found[0][0], found[0][1]

    def _look_up(self, run: str) -> Record | None:
        found = self._execute(f"SELECT {COLUMNS} FROM run WHERE id = ?", (run,))
        return Record(*found[0]) if found else None

    def _mark_in(self, run: str, slot: int) -> Mark | None:
        anchor = self._anchor
        if anchor is None:
            return None
        try:
            mark = anchor.read(slot)
        except BadMark as error:
            raise JournalDamaged(run, 0, str(error)) from None
        except OSError as error:
            self._refuse_anchor(error)
        if mark.key != digest(run):
            raise JournalDamaged(run, 0, "its record in the anchor is that of another run")
        return mark

    def _generation_mark(self, generation: int) -> Mark:
        return Mark(self._identity, generation, MAGIC, 1)

    def _put_marks(self, marks: Mapping[int, Mark]) -> None:
        if self._anchor is not None:
            try:
                self._anchor.write(marks)
            except OSError as error:
                self._refuse_anchor(error)

    def _sync_marks(self) -> None:
        """Wait until all marks are on the disk, where a loss of power must not cost them."""
        if self._durable and self._anchor is not None:
            try:
                self._anchor.sync()
            except OSError as error:
                self._refuse_anchor(error)

    def _refuse_anchor(self, error: OSError) -> NoReturn:
        """Raise the journal's error for what kept the anchor from being read or written."""
        raise error

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise RuntimeError("this journal was opened before the process was forked; open it anew in the child")
