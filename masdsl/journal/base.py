"""A journal keeps what runs have done, row by row, so that a run that was broken off goes on from where it stood.

`seq` numbers the rows of a run from 1. A run that was forked from another one reads that one's first rows as its own,
and its own rows go on counting from there. A run is owned by one process at a time; reading needs no ownership.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Generator, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, Self

KINDS: Final = ("intent", "reply", "fault", "tool", "done", "failed", "claim", "patch", "end")
"""The kinds of rows that the runtime writes (`masdsl.runtime.recording`). A journal keeps rows of any kind."""
STATUSES: Final = ("running", "ended", "failed", "stopped")
"""What may be said of a run as a whole."""
SESSION: Final = "<session>"
"""What a header has in the place of a program where the run is a session of meta-agents (`masdsl.meta.records`)."""
Durability = Literal["normal", "full"]
"""What an acknowledged row survives: the death of the process (`normal`), of the machine's power too (`full`)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Row(NamedTuple):
    """One thing that happened in a run. `body` is JSON; `at` is seconds since 1970, for people only."""

    seq: int
    kind: str
    path: str
    indices: tuple[int, ...]
    part: int
    args: bytes
    decl: bytes
    body: dict[str, Any]
    at: float


class Encoded(str):
    """The JSON of a body, made of what `codec.encoded` and its like return: it is not checked."""

    __slots__ = ()


class RunHeader(NamedTuple):
    """What a run began with. Only `status` ever changes; `parent` and `parent_seq` are set by `fork`."""

    id: str
    program: str
    sources: dict[str, str]
    flow: str
    inputs: dict[str, Any]
    seed: int
    policy: str
    created: float
    masdsl: str
    status: str = "running"
    parent: str | None = None
    parent_seq: int | None = None
    tiers: dict[str, str] = {}  # noqa: RUF012  never changed: a header is made anew


class RunSummary(NamedTuple):
    """A line of the list of runs. `status` is `damaged` where what is stored of the run cannot be trusted, or shown.

    `rows` counts the parent's rows that the run reads as its own; `changed` is when its status or owner last changed,
    in seconds since 1970; `owned` says whether a living process has it.
    """

    id: str
    program: str
    flow: str
    status: str
    created: float
    changed: float
    rows: int
    parent: str | None
    owned: bool


class OpenRun(Protocol):
    """A run that this process owns."""

    @property
    def header(self) -> RunHeader:
        """What the run began with, and its present status."""

    def rows(self) -> Sequence[Row]:
        """Return all rows so far, verified, those of the parents first. Raises JournalDamaged."""

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
        """Add a row; awaiting the result gives its `seq` once the row is durable.

        Rows become durable in the order of the calls, those of one turn of the event loop together. The awaitable
        raises JournalFull, JournalBusy or JournalDamaged; after that every further row of this run fails as well, and
        what was acknowledged is there for `resume`. The call itself raises TypeError or ValueError for a body that is
        not JSON. Without a running event loop the row is durable (or the error raised) when the call returns.
        """

    def set_status(self, status: str) -> Awaitable[int]:
        """Say how the run stands, one of `STATUSES`; in order with the rows. It need not be awaited.

        A run that is said to have `ended` is nobody's from then on, until something is added to it.
        """

    async def close(self) -> None:
        """Write what is left and give the run back, so that any process may resume it. Closing twice is no mistake.

        Raises what kept the last rows from being written, unless an awaitable has said so already.
        """


class Journal(Protocol):
    """A place that keeps runs."""

    def create(self, header: RunHeader) -> OpenRun:
        """Begin a run. Raises RunExists and ValueError (a name that cannot be one).

        The run is stored no later than its first row, and by then tells of a name that another process took meanwhile.
        """

    def resume(self, run: str) -> OpenRun:
        """Take over a run that no living process owns. Raises UnknownRun, JournalBusy, JournalDamaged."""

    def fork(self, run: str, upto_seq: int, header: RunHeader) -> OpenRun:
        """Begin a run whose first rows are those of another one up to `upto_seq`; nothing is copied.

        The rows up to there have to be whole; what follows them may be damaged. Raises UnknownRun, JournalDamaged,
        RunExists, and ValueError where the parent has fewer rows.
        """

    def list(
        self, *, limit: int | None = None, before: str | None = None, status: str | None = None
    ) -> Iterator[RunSummary]:
        """Yield runs, newest first: at most `limit`, only those older than the run `before`, only of one status.

        Raises UnknownRun for `before`.
        """

    def read(self, run: str) -> tuple[RunHeader, Sequence[Row]]:
        """Return a run and its rows, verified, without owning it. Raises UnknownRun, JournalDamaged."""

    def delete(self, run: str) -> None:
        """Forget a run. Raises UnknownRun, JournalBusy, RunHasChildren."""

    def prune(self, before: float) -> int:
        """Forget all runs unchanged since `before` (seconds since 1970) that nobody owns or was forked from.

        Return how many went.
        """

    def close(self) -> None:
        """Write what is left and give all runs back."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def new_id() -> str:
    """Return a name for a run: the time in UTC, and six random characters."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(3).hex()}"


def check_name(run: str) -> str:
    """Return a run's name. Raises ValueError where it cannot be one."""
    if not _NAME.fullmatch(run):
        raise ValueError(
            f"{run!r} cannot be the name of a run: at most 64 letters, digits, dots, dashes and underscores, "
            "a letter or digit first"
        )
    return run


def check_status(status: str) -> str:
    """Return a status. Raises ValueError where it is none."""
    if status not in STATUSES:
        raise ValueError(f"{status!r} is no status of a run; those are {', '.join(STATUSES)}")
    return status


class Written:
    """An awaitable that is there already."""

    __slots__ = ("_seq",)

    def __init__(self, seq: int) -> None:
        self._seq = seq

    def __await__(self) -> Generator[Any, Any, int]:
        """Return the number at once."""
        yield from ()
        return self._seq
