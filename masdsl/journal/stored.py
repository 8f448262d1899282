"""Journals in a database: ownership, verification, lineage, on top of group commit."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, Self

from masdsl.journal.anchor import Mark
from masdsl.journal.base import Row, RunHeader, RunSummary, check_name, check_status
from masdsl.journal.chain import genesis, verified
from masdsl.journal.codec import pack_header
from masdsl.journal.commit import GroupCommit
from masdsl.journal.errors import JournalBusy, JournalDamaged, RunExists, RunHasChildren, UnknownRun
from masdsl.journal.record import COLUMNS, CREATED, Record, StoredRun

_PAGE: Final = 100
_LINE: Final = COLUMNS.replace("header, ", "")


class StoredJournal(GroupCommit):
    """A journal in a database; see `Journal`. A subclass knows the database: `SqliteJournal`, `PostgresJournal`."""

    def create(self, header: RunHeader) -> StoredRun:
        """Begin a run; it is stored with its first row, or before. Raises RunExists, ValueError."""
        if header.parent is not None or header.parent_seq is not None:
            header = header._replace(parent=None, parent_seq=None)
        run = self._new(header, b"")
        run.history = ()  # nothing is to be read: that would store the run by itself, in a transaction of its own
        return run

    def fork(self, run: str, upto_seq: int, header: RunHeader) -> StoredRun:
        """Begin a run with the first rows of another one. Raises UnknownRun, JournalDamaged, RunExists, ValueError."""
        with self._using:
            self.flush()
            with self._snapshot():
                parent = self._find(run)
                last = self._last_seq(parent)
                if not 0 <= upto_seq <= last:
                    raise ValueError(f"run {run!r} has {last} rows, so it cannot be forked at row {upto_seq}")
                _, head = self._history(parent, upto_seq)
        return self._new(header._replace(parent=run, parent_seq=upto_seq), head)

    def resume(self, run: str) -> StoredRun:
        """Take over a run that no living process owns. Raises UnknownRun, JournalBusy, JournalDamaged."""
        with self._using:
            self.flush()
            if run in self._open:
                raise JournalBusy(run, "is open already in this process")
            record, takeovers = self._own(run)
            try:
                mark = self._mark_in(record.id, record.slot)
                with self._snapshot():
                    rows, head = self._history(record, mark=mark)
                opened = StoredRun(self, record._replace(header=b""), record.read_header(), _last(rows), head)
                self._write_mark(opened)
            except BaseException:
                self._give_back(record)
                raise
            opened.history = rows
            opened.checked = takeovers
            self._open[run] = opened
            return opened

    def read(self, run: str) -> tuple[RunHeader, Sequence[Row]]:
        """Return a run and its rows, verified, without owning it. Raises UnknownRun, JournalDamaged."""
        with self._using:
            self.flush()
            while True:
                with self._snapshot():
                    slot = self._find(run).slot
                mark = self._mark_in(run, slot)  # before the rows: another process may be adding some
                with self._snapshot():
                    record = self._find(run)
                    if record.slot == slot:
                        return record.read_header(), self._history(record, mark=mark)[0]

    def list(
        self, *, limit: int | None = None, before: str | None = None, status: str | None = None
    ) -> Iterator[RunSummary]:
        """Yield runs, newest first. Raises UnknownRun for `before`."""
        with self._using:
            self.flush()
            with self._snapshot():
                below = 2**62 if before is None else self._find(before).number
                expected, generation = self._check_runs(), self._state()[1]
        alive: dict[str, bool] = {"": False}
        seen = 0
        while limit is None or limit > 0:
            with self._using:
                page = self._execute(
                    f"SELECT {_LINE}, (SELECT max(seq) FROM entry WHERE run = number) FROM run"
                    " WHERE number < ? ORDER BY number DESC LIMIT ?",
                    (below, _PAGE if limit is None or status else min(limit, _PAGE)),
                )
            if not page:
                with self._using, self._snapshot():
                    is_same = (self._check_runs(), self._state()[1]) == (expected, generation)  # nobody came or went
                    if before is None and seen < expected and is_same:
                        raise JournalDamaged("", 0, f"it should hold {expected} runs, and {seen} are found")
                return
            seen += len(page)
            for *fields, last in page:
                summary = self._summary(Record._make((*fields[:12], b"", *fields[12:])), last, alive)
                if status in (None, summary.status):
                    yield summary
                    limit = limit - 1 if limit is not None else None
                    if limit == 0:
                        return
            below = page[-1][0]

    def delete(self, run: str) -> None:
        """Forget a run. Raises UnknownRun, JournalBusy, RunHasChildren."""
        with self._using:
            self.flush()
            self._write_alone(lambda: self._remove(self._look_up(run) or self._find(run)))  # a damaged one may go
            self._shrink()

    def prune(self, before: float) -> int:
        """Forget all runs unchanged since `before` that nobody owns or was forked from; return how many went."""
        removed, below = 0, 2**62
        with self._using:
            self.flush()
            while True:  # the newest first, so that children go before their parents
                page = self._execute(
                    f"SELECT {COLUMNS} FROM run WHERE number < ? AND changed < ? ORDER BY number DESC LIMIT ?",
                    (below, before, _PAGE),
                )
                if not page:
                    break
                below = page[-1][0]
                removed += self._write_alone(partial(self._remove_all, page))
            self._shrink()
        return removed

    def close(self) -> None:
        """Write what is left, give all runs back and close the database. Closing twice is no mistake."""
        with self._using:
            if self._process != os.getpid():
                return
            try:
                self.flush()
                for run in list(self._open.values()):
                    run.closed = True
                    if run.record.number:
                        self._give_back(run.record)
            finally:
                self._open.clear()
                self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---------------------------------------------------------------- runs

    def _new(self, header: RunHeader, before: bytes) -> StoredRun:
        check_name(header.id)
        check_status(header.status)
        with self._using:
            if header.id in self._open or self._look_up(header.id) is not None:
                raise RunExists(header.id)
            stored = pack_header(header)
            start = header.parent_seq or 0
            record = Record(
                number=0,
                id=header.id,
                slot=0,
                program=_storable(header.program),
                flow=_storable(header.flow),
                created=float(header.created),
                changed=time.time(),
                parent=header.parent,
                parent_seq=start,
                status=header.status,
                owner=self._token,
                epoch=1,
                header=stored,
                genesis=genesis(header.id, stored, before),
                seal=b"",
            )
            run = self._open[header.id] = StoredRun(self, record, header, start, record.genesis)
            try:
                self.add(run, CREATED)
            except BaseException:
                del self._open[header.id]
                raise
            return run

    def _own(self, run: str) -> tuple[Record, int]:
        """Make a run ours; return it, and the count of takeovers."""

        def take() -> tuple[Record, int]:
            record = self._find(run)
            if record.owner not in ("", self._token) and self._is_alive(record.owner):
                raise JournalBusy(run, "is owned by another process that is alive; wait for its end, or stop it")
            self._execute("UPDATE journal SET takeovers = takeovers + 1")
            record = record._replace(owner=self._token, epoch=record.epoch + 1, changed=time.time())
            return self._update(record), self._state()[0]

        return self._write_alone(take)

    def _remove(self, record: Record) -> None:
        if record.id in self._open or (record.owner not in ("", self._token) and self._is_alive(record.owner)):
            raise JournalBusy(record.id, "is open; close it first")
        child = self._execute("SELECT id FROM run WHERE parent = ? LIMIT 1", (record.id,))
        if child:
            raise RunHasChildren(record.id, child[0][0])
        self._execute("DELETE FROM entry WHERE run = ?", (record.number,))
        self._execute("DELETE FROM run WHERE number = ?", (record.number,))
        if self._anchor is not None:
            self._execute("INSERT INTO free (slot) VALUES (?)", (record.slot,))
            self._execute("UPDATE journal SET generation = generation + 1")

    def _remove_all(self, page: Sequence[tuple[Any, ...]]) -> int:
        """Remove those that may be; return how many."""
        removed = 0
        for fields in page:
            try:
                self._remove(Record(*fields))
            except (JournalBusy, RunHasChildren):
                continue
            removed += 1
        return removed

    def _find(self, run: str) -> Record:
        record = self._look_up(run)
        if record is None:
            self._check_runs(run)
            raise UnknownRun(run, str(self))
        if record.id != run:
            raise JournalDamaged(run, 0, "its index is damaged")
        return record.checked()

    def _check_runs(self, missing: str = "") -> int:
        """Return how many runs there are. Raises JournalDamaged where some are gone, `missing` from its index only."""
        [(count,)] = self._execute("SELECT count(*) FROM run")
        if self._anchor is not None:
            [(slots, free)] = self._execute("SELECT slots, (SELECT count(*) FROM free) FROM journal")
            if type(slots) is not int or count != slots - free:
                raise JournalDamaged(
                    "", 0, f"it should hold {slots} runs less {free} deleted ones, and there are {count}"
                )
        if missing and self._anchor is not None:
            found = self._execute(f"SELECT {COLUMNS} FROM run ORDER BY number")
            if len(found) != count or any(Record(*fields).checked().id == missing for fields in found):
                raise JournalDamaged(missing, 0, "its index is damaged")
        return int(count)

    def _last_seq(self, record: Record) -> int:
        [(last,)] = self._execute("SELECT max(seq) FROM entry WHERE run = ?", (record.number,))
        if last is not None and type(last) is not int:
            raise JournalDamaged(record.id, 1, "the number of its last row is unreadable")
        return record.parent_seq if last is None else last

    def _history(
        self, record: Record, upto: int | None = None, mark: Mark | None = None
    ) -> tuple[Sequence[Row], bytes]:
        """Return the verified rows of a run and its parents up to row `upto`, and the hash that the next row follows.

        With `mark` the run has come at least as far as its anchor says.
        """
        parts: list[tuple[Record, int | None]] = [(record, upto)]
        seen = {record.id}
        while (current := parts[-1][0]).parent is not None:
            limit = parts[-1][1]
            limit = current.parent_seq if limit is None else min(limit, current.parent_seq)
            parent = self._look_up(current.parent)
            if parent is None or parent.id in seen:
                raise JournalDamaged(current.id, 1, f"run {current.parent!r}, whose rows it began with, is missing")
            seen.add(parent.id)
            parts.append((parent.checked(), limit))
        rows: list[Row] = []
        head = b""
        for current, limit in reversed(parts):
            start = current.parent_seq
            if limit is not None and limit <= start:
                continue  # the rows are those of its parents
            if genesis(current.id, current.header, head) != current.genesis:
                raise JournalDamaged(
                    current.id, start + 1 if start else 0, "its header, or what it began after, differs"
                )
            marked = current.genesis if mark is not None and mark.seq == start else None
            last, head = start, current.genesis
            for stored, following in verified(current.id, start, head, self._entries(current, limit)):
                last, head = stored[-1].seq, following
                rows.extend(stored if limit is None or last <= limit else stored[: limit - last])
                if mark is not None and last == mark.seq and current is record:
                    marked = head
            if limit is not None and last < limit:
                raise JournalDamaged(current.id, last + 1, f"row {last + 1} is missing")
            if current is record and mark is not None:
                _compare(record, mark, last, marked)
        return rows, head

    def _summary(self, record: Record, last: int | None, alive: dict[str, bool]) -> RunSummary:
        try:
            status = record.checked().status
        except JournalDamaged:  # what it says of itself may be of any type
            return RunSummary(str(record.id), "", "", "damaged", 0.0, 0.0, 0, None, False)
        if record.owner not in alive:
            alive[record.owner] = self._is_alive(record.owner)
        count = record.parent_seq if last is None else last
        return RunSummary(
            *(record.id, record.program, record.flow, status, record.created, record.changed),
            *(count, record.parent, record.id in self._open or alive[record.owner]),
        )


def _compare(record: Record, mark: Mark, last: int, marked: bytes | None) -> None:
    """Raise JournalDamaged where a verified run is not the one that its anchor speaks of."""
    if mark.seq > last:
        missing = f"row {last + 1}" if mark.seq == last + 1 else f"rows {last + 1} to {mark.seq}"
        raise JournalDamaged(record.id, last + 1, f"{missing}, acknowledged once, are missing")
    if marked != mark.head:
        raise JournalDamaged(record.id, max(mark.seq, 1), f"row {mark.seq} is not the one that was acknowledged")
    if mark.epoch > record.epoch:
        raise JournalDamaged(record.id, 0, "what is stored about it is older than what was acknowledged")


def _last(rows: Sequence[Row]) -> int:
    return rows[-1].seq if rows else 0


def _storable(text: str) -> str:
    """Return a text for people as a database can keep it."""
    stored = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
    return text if stored == text else stored
