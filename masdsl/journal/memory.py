"""A journal in the memory of this process: for tests, and for rectifying runs that need no file.

It keeps the same bytes as the others, so whatever cannot be stored is refused here as well. Any thread may use it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator, Sequence
from threading import RLock
from typing import Any, Self

from masdsl.journal.base import Encoded, Row, RunHeader, RunSummary, Written, check_name, check_status
from masdsl.journal.codec import pack_header, pack_row, unpack_header, unpack_row
from masdsl.journal.errors import JournalBusy, RunExists, RunHasChildren, UnknownRun


class _Kept:
    """What is kept of a run: bytes, so that nobody can change it from outside."""

    def __init__(self, header: RunHeader) -> None:
        self.id = header.id
        self.header = pack_header(header)
        self.status = header.status
        self.parent = header.parent
        self.start = header.parent_seq or 0
        self.records: list[bytes] = []
        self.changed = time.time()
        self.owner: MemoryRun | None = None


class MemoryRun:
    """A run of a `MemoryJournal`; see `OpenRun`."""

    def __init__(self, journal: MemoryJournal, kept: _Kept) -> None:
        self._journal = journal
        self._kept = kept
        self._header = unpack_header(kept.header, kept.status)

    @property
    def header(self) -> RunHeader:
        """What the run began with, and its present status."""
        return self._header

    def rows(self) -> Sequence[Row]:
        """Return all rows so far, those of the parents first."""
        with self._journal.lock:
            return self._journal.rows_of(self._kept)

    def append(
        self,
        kind: str,
        path: str = "",
        indices: tuple[int, ...] = (),
        part: int = 0,
        args: bytes = b"",
        decl: bytes = b"",
        body: dict[str, Any] | Encoded | None = None,
    ) -> Awaitable[int]:
        """Add a row; see `OpenRun.append`."""
        record = pack_row(kind, path, indices, part, args, decl, time.time(), {} if body is None else body)
        with self._journal.lock:
            self._check_owned()
            self._kept.records.append(record)
            return Written(self._kept.start + len(self._kept.records))

    def set_status(self, status: str) -> Awaitable[int]:
        """Say how the run stands."""
        with self._journal.lock:
            self._check_owned()
            self._header = self._header._replace(status=check_status(status))
            self._kept.status = status
            self._kept.changed = time.time()
            return Written(self._kept.start + len(self._kept.records))

    async def close(self) -> None:
        """Give the run back."""
        with self._journal.lock:
            if self._kept.owner is self:
                self._kept.owner = None
                self._kept.changed = time.time()

    def _check_owned(self) -> None:
        if self._kept.owner is not self:
            raise RuntimeError(f"run {self._kept.id!r} is closed; resume it to add rows")


class MemoryJournal:
    """Runs in memory; see `Journal`."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._runs: dict[str, _Kept] = {}

    def create(self, header: RunHeader) -> MemoryRun:
        """Begin a run. Raises RunExists, ValueError."""
        return self._begin(header._replace(parent=None, parent_seq=None))

    def resume(self, run: str) -> MemoryRun:
        """Take over a run that is not open. Raises UnknownRun, JournalBusy."""
        with self.lock:
            kept = self._find(run)
            if kept.owner is not None:
                raise JournalBusy(run, "is open already in this process")
            return self._own(kept)

    def fork(self, run: str, upto_seq: int, header: RunHeader) -> MemoryRun:
        """Begin a run with the first rows of another one. Raises UnknownRun, RunExists, ValueError."""
        with self.lock:
            kept = self._find(run)
            most = kept.start + len(kept.records)
            if not 0 <= upto_seq <= most:
                raise ValueError(f"run {run!r} has {most} rows, so it cannot be forked at row {upto_seq}")
            return self._begin(header._replace(parent=run, parent_seq=upto_seq))

    def list(
        self, *, limit: int | None = None, before: str | None = None, status: str | None = None
    ) -> Iterator[RunSummary]:
        """Yield runs, newest first. Raises UnknownRun for `before`."""
        with self.lock:
            names = list(self._runs)
            if before is not None:
                names = names[: names.index(self._find(before).id)]
            found = [self._runs[name] for name in reversed(names)]
            if status is not None:
                found = [kept for kept in found if kept.status == status]
            lines = [self._summary(kept) for kept in found[:limit]]
        yield from lines

    def read(self, run: str) -> tuple[RunHeader, Sequence[Row]]:
        """Return a run and its rows. Raises UnknownRun."""
        with self.lock:
            kept = self._find(run)
            return unpack_header(kept.header, kept.status), self.rows_of(kept)

    def delete(self, run: str) -> None:
        """Forget a run. Raises UnknownRun, JournalBusy, RunHasChildren."""
        with self.lock:
            if self._find(run).owner is not None:
                raise JournalBusy(run, "is open in this process; close it first")
            for kept in self._runs.values():
                if kept.parent == run:
                    raise RunHasChildren(run, kept.id)
            del self._runs[run]

    def prune(self, before: float) -> int:
        """Forget all closed runs without children that are unchanged since `before`; return how many went."""
        with self.lock:
            count = len(self._runs)
            for name in reversed(list(self._runs)):
                kept = self._runs[name]
                if kept.changed < before and kept.owner is None:
                    try:
                        self.delete(name)
                    except RunHasChildren:
                        continue
            return count - len(self._runs)

    def close(self) -> None:
        """Give all runs back."""
        with self.lock:
            for kept in self._runs.values():
                kept.owner = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def rows_of(self, kept: _Kept) -> Sequence[Row]:
        """Return a run's rows, those of its parents first."""
        rows: list[Row] = []
        upto: int | None = None
        while True:
            records = kept.records if upto is None else kept.records[: max(0, upto - kept.start)]
            rows[:0] = [unpack_row(seq, record) for seq, record in enumerate(records, kept.start + 1)]
            if kept.parent is None:
                return rows
            upto = kept.start if upto is None else min(upto, kept.start)
            kept = self._runs[kept.parent]

    def _begin(self, header: RunHeader) -> MemoryRun:
        check_name(header.id)
        check_status(header.status)
        kept = _Kept(header)
        with self.lock:
            if header.id in self._runs:
                raise RunExists(header.id)
            self._runs[header.id] = kept
            return self._own(kept)

    def _own(self, kept: _Kept) -> MemoryRun:
        kept.owner = MemoryRun(self, kept)
        kept.changed = time.time()
        return kept.owner

    def _find(self, run: str) -> _Kept:
        try:
            return self._runs[run]
        except KeyError:
            raise UnknownRun(run) from None

    def _summary(self, kept: _Kept) -> RunSummary:
        header = unpack_header(kept.header, kept.status)
        return RunSummary(
            kept.id,
            header.program,
            header.flow,
            kept.status,
            header.created,
            kept.changed,
            kept.start + len(kept.records),
            kept.parent,
            kept.owner is not None,
        )
