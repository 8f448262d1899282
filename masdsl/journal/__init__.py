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
]
