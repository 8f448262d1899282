"""Which runs were asked for, by whom, and what is spent: a small database beside the journal.

The journal keeps what runs did; here stands whose they are, which inputs an idempotency key stands for, and how much of
a key's budget is taken. A run is entered, and its worst case reserved, in one transaction before it begins; what it
really took replaces the reservation when it ends. A service that is killed in between leaves the reservation, which
`unsettled` finds at the next start. The file is locked for one service at a time.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps, loads
from typing import Any, Final, Literal, NamedTuple

from masdsl.serve.endpoints import Bound
from masdsl.serve.keys import Key, window_of

State = Literal["running", "ended", "failed", "stopped", "interrupted"]
"""How a run stands: `stopped` by its caller, `interrupted` by the service's end."""
APPLICATION: Final = 0x6D617376
"""SQLite's `application_id` of our files: `masv`."""
SCHEMA: Final = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, endpoint TEXT NOT NULL, digest TEXT NOT NULL, inputs TEXT,
    created REAL NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, usage TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX run_state ON run (state) WHERE state = 'running';
CREATE TABLE charge (run TEXT PRIMARY KEY, key TEXT NOT NULL, period TEXT NOT NULL, amounts TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE spent (
    key TEXT NOT NULL, period TEXT NOT NULL, calls TEXT NOT NULL, tokens TEXT NOT NULL, picodollars TEXT NOT NULL,
    PRIMARY KEY (key, period)
) WITHOUT ROWID;
"""
_ZERO: Final = (0, 0, 0)
_Amounts = tuple[int, int, int]
_NAMES: Final = ("calls", "tokens", "USD")


class LedgerError(Exception):
    """The ledger cannot be used; the text says why, and what to do."""


class Usage(NamedTuple):
    """What a run took so far. Seconds are those of its last attempt."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    picodollars: int = 0
    seconds: float = 0.0

    def amounts(self) -> _Amounts:
        """Return what counts in budgets: calls, tokens, picodollars."""
        return self.calls, self.tokens_in + self.tokens_out, self.picodollars


class Entry(NamedTuple):
    """A run of the ledger. `inputs` are there until it has begun for sure; `attempt` counts from 1."""

    id: str
    key: str
    endpoint: str
    digest: str
    inputs: dict[str, Any] | None
    created: float
    state: State
    attempt: int
    usage: Usage


class OverBudget(Exception):
    """A key's budget has no room. `never` means that it never will; else there may be some in `seconds`."""

    def __init__(self, what: str, *, never: bool, seconds: float) -> None:
        super().__init__(what)
        self.never = never
        self.seconds = seconds


class Ledger:
    """The ledger at a path (`:memory:` for one that ends with the process). Raises LedgerError."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            if (
                path != ":memory:"
            ):  # it holds inputs: for its owner alone, and so are the files that SQLite puts beside it
                os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
            self._open()
        except OSError as error:
            raise LedgerError(f"{path} cannot be used: {error.strerror or error}; choose another --journal") from None
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise LedgerError(
                    f"{path} is in use by another service; stop that, or choose another --journal"
                ) from None
            raise LedgerError(f"{path} cannot be used: {error}; choose another --journal") from None

    def _open(self) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        [(application,)] = db.execute("PRAGMA application_id")
        [(tables,)] = db.execute("SELECT count(*) FROM sqlite_master")
        if application not in (0, APPLICATION) or (tables and not application):
            raise LedgerError(f"{self.path} is the database of another program; choose another --journal")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN EXCLUSIVE")
        if not tables:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Close it, so that another service may open it."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} cannot be written: {error}") from error

    # ---------------------------------------------------------------- runs

    def find(self, run: str) -> Entry | None:
        """Return a run; None where there is none of that id. Raises LedgerError."""
        try:
            rows = self._db.execute("SELECT * FROM run WHERE id = ?", (run,)).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} cannot be read: {error}") from error
        return _entry(rows[0]) if rows else None

    def unsettled(self) -> list[Entry]:
        """Return the runs that an earlier service had under way."""
        return [_entry(row) for row in self._db.execute("SELECT * FROM run WHERE state = 'running' ORDER BY created")]

    def in_state(self, state: State, limit: int) -> list[Entry]:
        """Return runs in a state, at most so many."""
        rows = self._db.execute("SELECT * FROM run WHERE state = ? ORDER BY created LIMIT ?", (state, limit))
        return [_entry(row) for row in rows]

    def begin(self, run: str, key: Key, endpoint: str, digest: str, inputs: dict[str, Any], bound: Bound) -> Entry:
        """Enter a new run and reserve its worst case. Raises OverBudget."""
        entry = Entry(run, key.name, endpoint, digest, inputs, time.time(), "running", 1, Usage())
        with self._transaction():
            self._reserve(run, key, bound)
            self._db.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*entry[:4], dumps(inputs), *entry[5:8], dumps(entry.usage)),
            )
        return entry

    def begin_again(self, entry: Entry, key: Key, bound: Bound) -> Entry:
        """Reserve the worst case of a run that goes on: what is left of it is no more. Raises OverBudget."""
        with self._transaction():
            self._reserve(entry.id, key, bound)
            self._db.execute("UPDATE run SET state = 'running', attempt = attempt + 1 WHERE id = ?", (entry.id,))
        return entry._replace(state="running", attempt=entry.attempt + 1)

    def settle(self, run: str, state: State, usage: Usage) -> None:
        """Say how an attempt ended, and what the run took in all: this attempt's share replaces its reservation."""
        with self._transaction():
            entry = self.find(run)
            if entry is None:
                return
            for key, period, reserved in self._db.execute(
                "SELECT key, period, amounts FROM charge WHERE run = ?", (run,)
            ).fetchall():
                before = entry.usage.amounts()
                share = [max(now - then, 0) for now, then in zip(usage.amounts(), before, strict=True)]
                difference = [taken - kept for taken, kept in zip(share, map(int, loads(reserved)), strict=True)]
                self._add(key, period, difference)
            self._db.execute("DELETE FROM charge WHERE run = ?", (run,))
            self._db.execute(
                "UPDATE run SET state = ?, usage = ?, inputs = CASE WHEN ? THEN inputs END WHERE id = ?",
                (state, dumps(usage), state == "interrupted", run),
            )

    def forget(self, run: str) -> None:
        """Forget a run that the journal has forgotten. What it took stays counted."""
        with self._transaction():
            self._db.execute("DELETE FROM run WHERE id = ?", (run,))

    # ---------------------------------------------------------------- budgets

    def spent(self, key: Key, now: float) -> _Amounts:
        """Return what a key has taken in the present window, reservations included: calls, tokens, picodollars."""
        return self._spent(key.name, _period(key, now)[0])

    def _reserve(self, run: str, key: Key, bound: Bound) -> None:
        period, rest = _period(key, time.time())
        worst = (bound.calls, bound.tokens, bound.picodollars)
        limits = (key.allowance.calls, key.allowance.tokens, key.allowance.picodollars)
        if limits == (None, None, None):
            return  # nothing is counted for whom nothing is limited
        for name, amount, limit in zip(_NAMES, worst, limits, strict=True):
            if limit is not None and amount > limit:
                has = f"the key has {_shown(name, limit)} a {key.allowance.window}"
                raise OverBudget(f"the flow may take {_shown(name, amount)}, and {has}", never=True, seconds=rest)
        for at, (amount, taken, limit) in enumerate(zip(worst, self._spent(key.name, period), limits, strict=True)):
            if limit is None or taken + amount <= limit:
                continue
            name, held = _NAMES[at], self._held(key.name, period, at)
            raise OverBudget(
                f"the flow may take {_shown(name, amount)}; of the key's {_shown(name, limit)} a"
                f" {key.allowance.window}, {_shown(name, taken)} are taken, {_shown(name, held)} by runs under way",
                never=False,
                seconds=min(rest, 5.0) if taken - held + amount <= limit else rest,
            )
        self._add(key.name, period, worst)
        self._db.execute(
            "INSERT OR REPLACE INTO charge VALUES (?, ?, ?, ?)",
            (run, key.name, period, dumps([str(one) for one in worst])),
        )

    def _held(self, key: str, period: str, which: int) -> int:
        rows = self._db.execute("SELECT amounts FROM charge WHERE key = ? AND period = ?", (key, period))
        return sum(int(loads(amounts)[which]) for (amounts,) in rows)

    def _spent(self, key: str, period: str) -> _Amounts:
        row = self._db.execute(
            "SELECT calls, tokens, picodollars FROM spent WHERE key = ? AND period = ?", (key, period)
        ).fetchone()
        return _ZERO if row is None else (int(row[0]), int(row[1]), int(row[2]))

    def _add(self, key: str, period: str, amounts: tuple[int, ...] | list[int]) -> None:
        """Add amounts; sums are texts, because picodollars do not always fit SQLite's integers."""
        sums = [str(max(one + more, 0)) for one, more in zip(self._spent(key, period), amounts, strict=True)]
        self._db.execute("INSERT OR REPLACE INTO spent VALUES (?, ?, ?, ?, ?)", (key, period, *sums))


def _period(key: Key, now: float) -> tuple[str, float]:
    """Return the name of the window that a moment is in, and how many seconds it has left."""
    number, rest = window_of(key.allowance.window, now)
    return f"{key.allowance.window} {number}", rest


def _shown(name: str, amount: int) -> str:
    if name != "USD":
        return f"{amount:,} {name}"
    from masdsl.money import show_usd

    return show_usd(amount)


def _entry(row: tuple[Any, ...]) -> Entry:
    inputs = None if row[4] is None else loads(row[4])
    return Entry(row[0], row[1], row[2], row[3], inputs, row[5], row[6], row[7], Usage(*loads(row[8])))
