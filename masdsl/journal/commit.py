"""Group commit: the rows that are added in one turn of the event loop are one transaction (some, if they are many).

Whoever waits for them is told after the commit and after the anchor. A transaction that fails fails for good for the
runs in it: their later rows fail with the same error, so that no row is ever there without those before it; `resume`
reads what is stored and goes on. Rows of one run that are stored together are one record.

Where nothing else can run when a row is waited for, as in a run that does one thing after the other, the transaction is
made at once, and spares two rounds of the event loop. Rows that nobody waits for may stay for a few rounds, as long as
there is other work: most often it ends in a row that is waited for, and goes with them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import Context
from threading import RLock, get_ident
from typing import Any, Final

from masdsl.journal.anchor import Mark
from masdsl.journal.base import Written
from masdsl.journal.chain import link
from masdsl.journal.codec import together
from masdsl.journal.database import Database, Locked, Stored
from masdsl.journal.errors import JournalBusy, JournalError, RunExists, UnknownRun
from masdsl.journal.record import CREATED, Change, Record, StoredRun

PATIENCE: Final = 10.0
"""Seconds to wait for another process that holds the database locked."""
MOST_AT_ONCE: Final = 500
"""Rows of one transaction; after it others have their turn of the event loop."""
MOST_WITHOUT_A_TURN: Final = 20
"""Transactions that are made at once, one after the other, before the event loop has to look for other work."""
MOST_ROUNDS: Final = 5
"""Rounds of a busy event loop for which rows stay that nobody waits for."""

_running_loop = asyncio._get_running_loop
_PAUSE: Final = 0.005
_Loop = asyncio.AbstractEventLoop
_Told = tuple[asyncio.Future[int], int, JournalError | None]


class Pending(asyncio.Future[int]):
    """Done, with the number of a row, once that is durable."""

    __slots__ = ("journal",)
    journal: GroupCommit

    def __await__(self) -> Generator[Any, None, int]:
        """Wait for it; or do it, where nothing else is to be done meanwhile."""
        if not self.done():
            self.journal.hasten(self.get_loop())
        return super().__await__()

    def add_done_callback(self, function: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Call a function once it is done."""
        self.journal.is_awaited = True
        super().add_done_callback(function, context=context)


_Entry = tuple[StoredRun, int, bytes | Change, Pending | None]
"""Something to be stored: of a run, up to which row of it, that row's record or a change, and who waits."""


class GroupCommit(Database):
    """The queue of what is to be stored, and how it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = RLock()  # of the queue; taken after `_using`
        self._queue: list[_Entry] = []
        self._open: dict[str, StoredRun] = {}
        self._ticking: _Loop | None = None
        self._latest: _Loop | None = None
        self._rounds = 0
        self._without_a_turn = 0
        self._blocked_since: float | None = None
        self.is_awaited = False
        """Whether somebody waits for something in the queue."""

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
            loop = self._loop()
            waiting = None
            if loop is not None and what is not CREATED:
                waiting = Pending(loop=loop)
                waiting.journal = self
            if run.error is not None:
                if waiting is None:
                    raise run.error
                _settle(waiting, 0, run.error)
                return waiting
            if type(what) is bytes:
                run.seq += 1
            seq = run.seq
            self._queue.append((run, seq, what, waiting))
            run.queued += 1
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
        """Queue that a run is given back, where it is not yet; nothing can be added to it any more."""
        with self._using, self._lock:
            if run.error is None and (run.queued or run.record.owner):
                try:
                    return self.add(run, Change(release=True))
                finally:
                    run.closed = True
            run.closed = True
            self._open.pop(run.record.id, None)
            if run.error is not None and run.record.number:
                self._give_back(run.record)
            return Written(run.seq)

    def _loop(self) -> _Loop | None:
        """Return the event loop that runs in this thread, if one does; to ask Python is a system call before 3.12."""
        latest = self._latest
        if latest is None or getattr(latest, "_thread_id", None) != get_ident():
            latest = self._latest = _running_loop()
        return latest

    def hasten(self, loop: _Loop) -> None:
        """Somebody waits for what is in the queue: store it now, where the loop has nothing else to run before that.

        What a loop has to run is known of those of asyncio alone; others take their turn always.
        """
        ready = getattr(loop, "_ready", None)
        self.is_awaited = True
        if ready is None or loop is not self._loop() or self._blocked_since is not None:
            return
        if len(ready) <= (self._ticking is loop) and self._without_a_turn < MOST_WITHOUT_A_TURN:
            self._without_a_turn += 1
            self._write(patient=False)

    def _tick(self, loop: _Loop) -> None:
        """Store what was added in this turn of the event loop."""
        self._without_a_turn = 0
        if self._queue and not self.is_awaited and self._rounds < MOST_ROUNDS and getattr(loop, "_ready", None):
            self._rounds += 1
            loop.call_soon(self._tick, loop)
            return
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
            with self._lock:
                batch = self._queue[:MOST_AT_ONCE]
                del self._queue[:MOST_AT_ONCE]
                self.is_awaited, self._rounds = bool(self._queue), 0
            if not batch:
                return True
            error: JournalError | None = None
            try:
                self._store(batch, patient=patient)
                self._blocked_since = None
            except Locked as locked:
                now = time.monotonic()
                self._blocked_since = self._blocked_since or now
                if not patient and now - self._blocked_since < PATIENCE:
                    with self._lock:
                        self._queue[:0] = batch
                        self.is_awaited = True
                    return False
                self._blocked_since = None
                error = JournalBusy("", f"the journal is locked by another process ({locked}); try again later")
            except JournalError as failure:
                error = failure
            except BaseException:
                self._settle_all(batch, JournalError("the journal was interrupted while it wrote; resume the run"))
                raise
            self._settle_all(batch, error)
            return True

    def _settle_all(self, batch: Sequence[_Entry], error: JournalError | None) -> None:
        """Tell those who wait how it went."""
        with self._lock:
            for run, _, what, _ in batch:
                run.queued -= 1
                if error is not None and run.error is None:
                    run.error = error
                if type(what) is Change and what.release:
                    self._open.pop(run.record.id, None)
        _tell(batch, self._loop())

    def _store(self, batch: Sequence[_Entry], *, patient: bool) -> None:
        """Store entries in one transaction, and mark them in the anchor. Raises JournalError, Locked."""
        if self._store_alone(batch, patient=patient):
            return
        records: dict[StoredRun, list[bytes]] = {}
        changes: list[tuple[StoredRun, Change]] = []
        for run, _, what, _ in batch:
            if run.error is not None:
                continue
            if type(what) is bytes:
                if run in records:
                    records[run].append(what)
                else:
                    records[run] = [what]
            elif type(what) is Change:
                changes.append((run, what))
        self._begin(patient=patient)
        runs = list(dict.fromkeys([*records, *(run for run, _ in changes)]))
        try:
            takeovers, generation = self._state()
            made = [run for run in runs if run.record.number == 0]
            if made:
                self._insert_runs(made, takeovers)
            for run in runs:
                if run.error is None and (run.checked != takeovers or run.record.owner != self._token):
                    self._check_owner(run)
                    run.checked = takeovers
            rows: list[Stored] = []
            for run, of_run in records.items():
                if run.error is None:
                    rows += _chained(run, of_run)
                    run.stored = rows[-1][1], rows[-1][3]
            for run, change in changes:
                if run.error is None and change is not CREATED:
                    self._change(run, change)
            self._insert(rows)
            if made:
                self._sync_marks()
            self._commit()
        except BaseException:
            self._rollback()
            raise
        marks = {run.record.slot: _mark(run) for run in runs if run.error is None}
        if made:
            marks[0] = self._generation_mark(generation + 1)
        self._put_marks(marks)
        self._sync_marks()

    def _store_alone(self, batch: Sequence[_Entry], *, patient: bool) -> bool:
        """Do the same by a single statement, where all there is to store is a record of one run; say whether it is."""
        run = batch[0][0]
        if run.error is not None or run.record.owner != self._token or run.record.number == 0:
            return False
        records = [what for one, _, what, _ in batch if one is run and type(what) is bytes]
        if len(records) < len(batch):
            return False
        entries = _chained(run, records)
        if len(entries) > 1 or not self._insert_alone(entries[0], run.checked, patient=patient):
            return False
        run.stored = entries[0][1], entries[0][3]
        self._put_marks({run.record.slot: _mark(run)})
        self._sync_marks()
        return True

    def _insert_runs(self, made: Sequence[StoredRun], takeovers: int) -> None:
        """Store new runs; they have their marks before they are there, so that none is ever without one."""
        slots = [0] * len(made) if self._anchor is None else self._take_slots(len(made))
        for run, slot in zip(made, slots, strict=True):
            parent = run.record.parent
            record = Record._make((*run.record[:2], slot, *run.record[3:])).sealed()
            if parent is not None and self._look_up(parent) is None:
                run.error = UnknownRun(parent)
            elif number := self._insert_run(record):
                run.record = Record._make((number, *record[1:]))._replace(header=b"", seal=b"")  # they are stored
                run.checked = takeovers
            else:
                run.error = RunExists(record.id)
            if run.error is not None and self._anchor is not None:
                self._execute("INSERT INTO free (slot) VALUES (?)", (slot,))
        self._put_marks({run.record.slot: _mark(run) for run in made if run.error is None})

    def _take_slots(self, count: int) -> list[int]:
        """Return free records of the anchor for new runs, and say that there are new ones."""
        [(last, has_free)] = self._execute("SELECT slots, EXISTS (SELECT 1 FROM free) FROM journal")
        slots: list[int] = []
        if has_free:
            slots = [slot for (slot,) in self._execute("SELECT slot FROM free ORDER BY slot LIMIT ?", (count,))]
            self._execute("DELETE FROM free WHERE slot <= ?", (slots[-1],))
        more = count - len(slots)
        self._execute("UPDATE journal SET slots = slots + ?, generation = generation + 1", (more,))
        return [*slots, *range(last + 1, last + more + 1)]

    def _check_owner(self, run: StoredRun) -> None:
        """See to it that a run is still ours, or become its owner again where it was given back and nobody had it."""
        record = self._look_up(run.record.id)
        ours = run.record.number, run.record.owner, run.record.epoch
        if record is None or (record.number, record.owner, record.epoch) != ours:
            run.error = JournalBusy(run.record.id, "was taken over by another process, so nothing more is written here")
        elif record.owner != self._token:
            self._change(run, Change())

    def _change(self, run: StoredRun, change: Change) -> None:
        is_given_back = change.release or change.status == "ended"
        run.record = self._update(
            run.record._replace(
                status=change.status or run.record.status,
                owner="" if is_given_back else self._token,
                changed=time.time(),
                epoch=run.record.epoch + 1,
            )
        )

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

    def _write_mark(self, run: StoredRun) -> None:
        """Mark a run in the anchor, for good."""
        self._put_marks({run.record.slot: _mark(run)})
        self._sync_marks()


def _mark(run: StoredRun) -> Mark:
    return Mark(run.key, *run.stored, run.record.epoch)


def _chained(run: StoredRun, records: Sequence[bytes]) -> list[Stored]:
    """Return the next rows of a run as they are stored: together, as far as they may be."""
    seq, head = run.stored
    entries: list[Stored] = []
    for count, record in together(records):
        seq += count
        head = link(head, seq, record)
        entries.append((run.record.number, seq, record, head))
    return entries


def _tell(batch: Sequence[_Entry], here: _Loop | None) -> None:
    """Tell those who wait how it went, each in its own event loop; `here` is the one that runs in this thread."""
    elsewhere: dict[_Loop, list[_Told]] = {}
    for run, seq, _, waiting in batch:
        if waiting is None:
            continue
        loop = waiting.get_loop()
        if loop is here:
            _settle(waiting, seq, run.error)
        else:
            elsewhere.setdefault(loop, []).append((waiting, seq, run.error))
    for loop, told in elsewhere.items():
        try:
            loop.call_soon_threadsafe(_settle_these, told)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            continue


def _settle(waiting: asyncio.Future[int], seq: int, error: JournalError | None) -> None:
    if waiting.done():
        return
    if error is None:
        waiting.set_result(seq)
    else:
        waiting.set_exception(error)
        waiting.exception()  # nobody has to wait: the run's next row fails as well


def _settle_these(told: Sequence[_Told]) -> None:
    for one in told:
        _settle(*one)
