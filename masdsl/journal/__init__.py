"""Runs that outlive their process: journals in memory, in a file, on a Postgres server."""

from __future__ import annotations

from masdsl.journal.base import Durability, Journal, OpenRun, Row, RunHeader, RunSummary, new_id
from masdsl.journal.errors import (
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalFull,
    JournalVersion,
    RunExists,
    RunHasChildren,
    UnknownRun,
)
from masdsl.journal.memory import MemoryJournal


def open_journal(where: str | None = None, durability: Durability = "normal") -> Journal:
    """Open a journal: a path, a URL of a Postgres database, or `:memory:`; without any of them the user's own.

    `durability` says what an acknowledged row survives: `normal`, the end of this process, however it comes; `full`, a
    loss of power too. Raises JournalError, ValueError for another durability, and ModuleNotFoundError for Postgres
    without `masdsl[scale]`.
    """
    if where == ":memory:":
        return MemoryJournal()
    if where is not None and where.startswith(("postgres://", "postgresql://")):
        try:
            from masdsl.journal.postgres import PostgresJournal
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"{error}: runs on Postgres need `pip install 'masdsl[scale]'`") from None
        return PostgresJournal(where, durability)
    from masdsl.journal.place import default_path
    from masdsl.journal.sqlite import SqliteJournal

    return SqliteJournal(default_path() if where is None else where, durability)


__all__ = [
    "Durability",
    "Journal",
    "JournalBusy",
    "JournalDamaged",
    "JournalError",
    "JournalFull",
    "JournalVersion",
    "MemoryJournal",
    "OpenRun",
    "Row",
    "RunExists",
    "RunHasChildren",
    "RunHeader",
    "RunSummary",
    "UnknownRun",
    "new_id",
    "open_journal",
]
