"""What can go wrong with a journal. Each message says which run, what happened, and what to do next."""

from __future__ import annotations


class JournalError(Exception):
    """The journal cannot do what was asked; a subclass says why. Nothing that was acknowledged is lost."""


class UnknownRun(JournalError):
    """The journal holds no run of this name."""

    def __init__(self, run: str, place: str = "this journal") -> None:
        super().__init__(f"there is no run {run!r} in {place}; `mas runs` lists those that there are")
        self.run = run


class RunExists(JournalError):
    """A run of this name is there already; names are never reused while the run is kept."""

    def __init__(self, run: str) -> None:
        super().__init__(f"there is a run {run!r} already; resume it, or choose another name")
        self.run = run


class RunHasChildren(JournalError):
    """Other runs were forked from this one and read its rows."""

    def __init__(self, run: str, child: str) -> None:
        super().__init__(f"run {run!r} cannot be deleted: run {child!r} began from its rows; delete that one first")
        self.run = run
        self.child = child


class JournalBusy(JournalError):
    """Another process owns the run, or has taken it over, or holds the whole journal locked. `run` may be empty."""

    def __init__(self, run: str, what: str) -> None:
        super().__init__(f"run {run!r} {what}" if run else what)
        self.run = run


class JournalDamaged(JournalError):
    """What is stored is not what was written.

    `run` is the run (empty: the whole journal), `seq` the first row of it that is wrong or missing (0: the run itself).
    """

    def __init__(self, run: str, seq: int, what: str) -> None:
        if not run:
            where, then = "the journal is damaged", "restore its files from one backup"
        elif seq <= 1:
            where, then = (
                f"run {run!r} is damaged",
                "restore the journal's files from one backup, or start the run anew",
            )
        else:
            where = f"run {run!r} is damaged from row {seq} on"
            then = (
                f"fork it at row {seq - 1} to go on from what is whole, or restore the journal's files from one backup"
            )
        super().__init__(f"{where}: {what}; {then}")
        self.run = run
        self.seq = seq
        self.what = what


class JournalFull(JournalError):
    """There is no room for more, or the place cannot be written. Rows that were acknowledged are there."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"cannot write to the journal {place}: {what}; make room or choose another place, then resume")
        self.place = place


class JournalVersion(JournalError):
    """The file was written by a newer masdsl, or by another program."""
