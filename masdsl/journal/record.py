"""What a database keeps of a run beside its rows, sealed, and a run that this process owns."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from masdsl.journal.base import Encoded, Row, RunHeader, check_status
from masdsl.journal.chain import digest
from masdsl.journal.codec import Unreadable, pack_row, unpack_header
from masdsl.journal.errors import JournalDamaged, JournalError

if TYPE_CHECKING:
    from masdsl.journal.stored import StoredJournal


class Record(NamedTuple):
    """A line of the table of runs. `number` is 0 before it is stored; `slot` is its place in the anchor.

    `epoch` goes up with every owner and status; `owner` is empty where nobody has the run.
    """

    number: int
    id: str
    slot: int
    program: str
    flow: str
    created: float
    changed: float
    parent: str | None
    parent_seq: int
    status: str
    owner: str
    epoch: int
    header: bytes
    genesis: bytes
    seal: bytes

    def sealed(self) -> Record:
        """Return the line with the seal that fits it."""
        return Record._make((*self[:-1], self._seal()))

    def checked(self) -> Record:
        """Return the line itself. Raises JournalDamaged where its seal does not fit."""
        if self.seal != self._seal():
            raise JournalDamaged(self.id, 0, "what is stored about it is not what was written (its seal differs)")
        return self

    def read_header(self) -> RunHeader:
        """Return the run's header. Raises JournalDamaged."""
        try:
            header = unpack_header(self.header, self.status)
        except Unreadable as error:
            raise JournalDamaged(self.id, 0, f"its header: {error}") from None
        if header.id != self.id or header.parent != self.parent or (header.parent_seq or 0) != self.parent_seq:
            raise JournalDamaged(self.id, 0, "its header is that of another run")
        return header

    def _seal(self) -> bytes:
        return digest(*self[1:12], self.genesis)


COLUMNS = ", ".join(Record._fields)


class Change(NamedTuple):
    """What happens to a run as a whole, in order with its rows."""

    status: str | None = None
    release: bool = False


CREATED = Change()
"""That a run begins."""


class StoredRun:
    """A run of a journal in a database; see `OpenRun`."""

    __slots__ = (
        "_header",
        "_journal",
        "checked",
        "closed",
        "error",
        "history",
        "key",
        "queued",
        "record",
        "seq",
        "stored",
    )

    def __init__(self, journal: StoredJournal, record: Record, header: RunHeader, seq: int, head: bytes) -> None:
        self._journal = journal
        self._header = header
        self.record = record
        self.seq = seq
        self.stored = seq, head
        self.key = digest(record.id)
        self.checked = -1
        self.queued = 0
        self.closed = False
        self.error: JournalError | None = None
        self.history: Sequence[Row] | None = None

    @property
    def header(self) -> RunHeader:
        """What the run began with, and its present status."""
        return self._header

    def rows(self) -> Sequence[Row]:
        """Return all rows so far, verified, those of the parents first. Raises JournalDamaged."""
        history, self.history = self.history, None
        if history is not None and (history[-1].seq if history else 0) == self.seq:
            return history
        return self._journal.read(self.record.id)[1]

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
        return self._journal.add(
            self, pack_row(kind, path, indices, part, args, decl, time.time(), {} if body is None else body)
        )

    def set_status(self, status: str) -> Awaitable[int]:
        """Say how the run stands."""
        self._header = self._header._replace(status=check_status(status))
        return self._journal.add(self, Change(status=status))

    async def close(self) -> None:
        """Write what is left and give the run back."""
        if not self.closed:
            told = self.error is not None
            waiting = self._journal.release(self)
            try:
                await waiting
            except JournalError:
                if not told:
                    raise
