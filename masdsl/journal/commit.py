"""Group commit: the rows that are added in one turn of the event loop are one transaction (some, if they are many).

Whoever waits for them is told after the commit and after the anchor. A transaction that fails fails for good for the
runs in it: their later rows fail with the same error, so that no row is ever there without those before it; `resume`
reads what is stored and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from threading import RLock
from typing import Final, NamedTuple

from masdsl.journal.anchor import Mark
from masdsl.journal.base import Written
from masdsl.journal.chain import link
from masdsl.journal.database import Database, Locked
from masdsl.journal.errors import JournalBusy, JournalError, RunExists, UnknownRun
from masdsl.journal.record import COLUMNS, CREATED, Change, Record, StoredRun

PATIENCE: Final = 10.0
"""Seconds to wait for another process that holds the database locked."""
MOST_AT_ONCE: Final = 500
"""Rows of one transaction; after it others have their turn of the event loop."""

_running_loop = asyncio._get_running_loop
_PAUSE: Final = 0.005
_Loop = asyncio.AbstractEventLoop
_Told = tuple[asyncio.Future[int], bytes | Change, int, JournalError | None]


class Entry(NamedTuple):
    """Something to be stored: a row (its record and hash), or a change of the run."""

    run: StoredRun
    seq: int
    what: bytes | Change
    head: bytes
    waiting: asyncio.Future[int] | None


class GroupCommit(Database):
    """The queue of what is to be stored, and how it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = RLock()  # of the queue; taken after `_using`
        self._queue: list[Entry] = []
        self._open: dict[str, StoredRun] = {}
        self._ticking: _Loop | None = None
        self._blocked_since: float | None = None

    def flush(self) -> None:
        """Store everything that was added so far, and wait for it. What fails fails at whoever waits for it."""
        with self._using:
            while self._queue:
                self._write(patient=True)

    def add(self, run: StoredRun, what: bytes | Change) -> Awaitable[int]:
        """Queue a row's record, or a change. Raises RuntimeError for a closed run."""
        with self._lock:
            if run.closed:
                raise RuntimeError(f"run {run.record.id!r} is closed; resume it to add rows")
            head = b""
            if run.error is None and type(what) is bytes:
                run.seq += 1
                head = run.head = link(run.head, run.seq, what)
            loop = _running_loop()
            waiting = None if loop is None or what is CREATED else loop.create_future()
            if run.error is not None:
                if waiting is None:
                    raise run.error
                _settle(waiting, what, 0, run.error)
                return waiting
            seq = run.seq
            self._queue.append(Entry(run, seq, what, head, waiting))
            if loop is not None and self._ticking is not loop:
                self._ticking = loop
                loop.call_soon(self._tick, loop)
        if waiting is not None:
            return waiting
        if loop is not None:
            return Written(seq)
        self.flush()
        if run.error is not None:
            raise run.error
        return Written(seq)

    def release(self, run: StoredRun) -> Awaitable[int]:
        """Queue that a run is given back; nothing can be added to it any more."""
        with self._using, self._lock:
            if run.error is None:
                try:
                    return self.add(run, Change(release=True))
                finally:
                    run.closed = True
            run.closed = True
            self._open.pop(run.record.id, None)
            if run.record.number:
                self._give_back(run.record)
            return Written(run.seq)

    def _tick(self, loop: _Loop) -> None:
        """Store what was added in this turn of the event loop."""
        self._ticking = None
        if not self._queue:
            return
        tried = self._write(patient=False)
        if self._queue:
            self._ticking = loop
            if tried:
                loop.call_soon(self._tick, loop)
            else:
                loop.call_later(_PAUSE, self._tick, loop)

    def _write(self, *, patient: bool) -> bool:
        """Store the queue; say whether that was tried. Not `patient`: another process may hold the database."""
        with self._using:
            self._check_process()
            error: JournalError | None = None
            try:
                self._begin(patient=patient)
                self._blocked_since = None
            except Locked as locked:
                now = time.monotonic()
                self._blocked_since = self._blocked_since or now
                if not patient and now - self._blocked_since < PATIENCE:
                    return False
                self._blocked_since = None
                error = JournalBusy("", f"the journal is locked by another process ({locked}); try again later")
            except JournalError as failure:
                error = failure
            with self._lock:
                batch = self._queue[:MOST_AT_ONCE]
                del self._queue[:MOST_AT_ONCE]
            try:
                if error is None:
                    self._store(batch)
            except JournalError as failure:
                error = failure
            except BaseException:
                error = JournalError("the journal was interrupted while it wrote; resume the run")
                raise
            finally:
                for entry in batch:
                    if error is not None and entry.run.error is None:
                        entry.run.error = error
                    if type(entry.what) is Change and entry.what.release:
                        self._open.pop(entry.run.record.id, None)
                _tell(batch)
            return True

    def _store(self, batch: Sequence[Entry]) -> None:
        """Store entries in the transaction that was begun, and mark them in the anchor. Raises JournalError."""
        runs = dict.fromkeys(entry.run for entry in batch)
        made = False
        try:
            takeovers, generation = self._state()
            for run in runs:
                if run.error is None and run.record.number == 0:
                    self._insert_run(run)
                    made = True
                elif run.error is None and run.checked != takeovers:
                    self._check_owner(run)
                run.checked = takeovers
            rows = []
            for run, seq, what, head, _ in batch:
                if run.error is None:
                    if isinstance(what, bytes):
                        rows.append((run.record.number, seq, what, head))
                        run.stored = seq, head
                    elif what is not CREATED:
                        self._change(run, what)
            self._insert(rows)
            if made and self._anchor is not None:
                self._execute("UPDATE journal SET generation = generation + 1")
                if self._durable:
                    self._anchored(self._anchor.sync)
            self._commit()
        except BaseException:
            self._rollback()
            raise
        if self._anchor is not None:
            for run in runs:
                if run.error is None:
                    self._write_mark(run)
            if made:
                self._write_generation(generation + 1)
            if self._durable:
                self._anchored(self._anchor.sync)

    def _insert_run(self, run: StoredRun) -> None:
        parent = run.record.parent
        if self._look_up(run.record.id) is not None:
            run.error = RunExists(run.record.id)
            return
        if parent is not None and self._look_up(parent) is None:
            run.error = UnknownRun(parent)
            return
        record = run.record._replace(slot=self._take_slot()).sealed()
        marks = ", ".join("?" * (len(record) - 1))
        self._execute(
            f"INSERT INTO run ({COLUMNS[8:]}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING",
            record[1:],
        )
        [(number, seal)] = self._execute("SELECT number, seal FROM run WHERE id = ?", (record.id,))
        if seal != record.seal:
            run.error = RunExists(record.id)
            return
        run.record = record._replace(number=number)
        if self._anchor is not None:
            self._put_mark(record.slot, Mark(run.key, *run.stored, record.epoch))

    def _take_slot(self) -> int:
        if self._anchor is None:
            return 0
        [(slot,)] = self._execute("SELECT min(slot) FROM free")
        if slot is not None:
            self._execute("DELETE FROM free WHERE slot = ?", (slot,))
        else:
            self._execute("UPDATE journal SET slots = slots + 1")
            [(slot,)] = self._execute("SELECT slots FROM journal")
        return int(slot)

    def _check_owner(self, run: StoredRun) -> None:
        record = self._look_up(run.record.id)
        if record is None or record.owner != self._token or record.epoch != run.record.epoch:
            run.error = JournalBusy(run.record.id, "was taken over by another process, so nothing more is written here")

    def _change(self, run: StoredRun, change: Change) -> None:
        record = run.record._replace(changed=time.time(), epoch=run.record.epoch + 1)
        if change.status is not None:
            record = record._replace(status=change.status)
        if change.release:
            record = record._replace(owner="")
        run.record = self._update(record)

    def _update(self, record: Record) -> Record:
        record = record.sealed()
        self._execute(
            "UPDATE run SET changed = ?, status = ?, owner = ?, epoch = ?, seal = ? WHERE number = ?",
            (record.changed, record.status, record.owner, record.epoch, record.seal, record.number),
        )
        return record

    def _give_back(self, record: Record) -> None:
        """Make a run nobody's, if it is ours. What prevents that is no matter: the lock ends with this process."""

        def give() -> None:
            stored = self._look_up(record.id)
            if stored is not None and stored.owner == self._token:
                self._update(stored.checked()._replace(owner="", epoch=stored.epoch + 1, changed=time.time()))

        try:
            self._write_alone(give)
        except JournalError:
            pass

    def _write_mark(self, run: StoredRun, *, sync: bool = False) -> None:
        if self._anchor is not None:
            self._put_mark(run.record.slot, Mark(run.key, *run.stored, run.record.epoch))
            if sync and self._durable:
                self._anchored(self._anchor.sync)


def _tell(batch: Sequence[Entry]) -> None:
    """Tell those who wait how it went, each in its own event loop."""
    here = _running_loop()
    elsewhere: dict[_Loop, list[_Told]] = {}
    for run, seq, what, _, waiting in batch:
        if waiting is None:
            continue
        loop = waiting.get_loop()
        if loop is here:
            _settle(waiting, what, seq, run.error)
        else:
            elsewhere.setdefault(loop, []).append((waiting, what, seq, run.error))
    for loop, told in elsewhere.items():
        try:
            loop.call_soon_threadsafe(_settle_all, told)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            continue


def _settle(waiting: asyncio.Future[int], what: bytes | Change, seq: int, error: JournalError | None) -> None:
    if waiting.done():
        return
    if error is None:
        waiting.set_result(seq)
    else:
        waiting.set_exception(error)
        if type(what) is Change:
            waiting.exception()  # nobody has to wait for a status


def _settle_all(told: Sequence[_Told]) -> None:
    for one in told:
        _settle(*one)
