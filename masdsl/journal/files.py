"""Whether the files of a journal are still those that were opened: what is written to others would be lost."""

from __future__ import annotations

import os
import stat
import time
from typing import Final

from masdsl.journal.anchor import Anchor
from masdsl.journal.errors import JournalDamaged, JournalError

SETTLED: Final = 2_000_000_000
"""Nanoseconds after which the time of a change is not that of another one: the coarsest clock has two seconds."""
TICK: Final = 10_000_000
"""Nanoseconds of the coarsest clock whose times are not whole multiples of them: a kernel with 100 ticks a second."""
SOON_SETTLED: Final = 5 * TICK
"""Nanoseconds after which that is so where a time shows that the clock is no coarser than that."""

_Moment = tuple[int, int, int]


class Files:
    """The file of a database and its log, at an absolute path. The file is made where it is missing.

    Raises OSError, and JournalError for what is no file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = os.path.dirname(path)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        if not os.path.lexists(path):
            try:  # before SQLite does: the file, and those that SQLite makes beside it, are for the user alone
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                pass
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise JournalError(f"{path} is no file, so runs cannot be kept there; choose another place")
        self._inodes = {path: (status.st_dev, status.st_ino)}
        self._unchanged_since: _Moment | None = None

    def check(self, anchor: Anchor | None) -> None:
        """Raise JournalDamaged where one of the files, or the anchor, was moved, replaced or deleted."""
        moment = self._last_change()
        if moment is not None and moment == self._unchanged_since:
            return
        self._unchanged_since = None
        if anchor is not None and not anchor.in_place():
            raise JournalDamaged("", 0, f"{anchor.path} was moved, replaced or deleted while it was in use")
        for path in (self.path, f"{self.path}-wal"):
            try:
                status = os.stat(path)
            except OSError:
                if path not in self._inodes:
                    continue
                raise JournalDamaged("", 0, f"{path} was moved or deleted while it was in use") from None
            if self._inodes.setdefault(path, (status.st_dev, status.st_ino)) != (status.st_dev, status.st_ino):
                raise JournalDamaged("", 0, f"{path} was replaced while it was in use")
        self._unchanged_since = moment

    def _last_change(self) -> _Moment | None:
        """Return which folder the files are in, and when a name in it was last made, moved or removed.

        As long as that is the same, no file was. None where it cannot be told: on Windows, which has no such time, and
        so soon after a change that another one may have the same time.
        """
        if os.name != "posix":
            return None
        try:
            status = os.stat(self.folder)
        except OSError:
            return None
        changed = status.st_ctime_ns
        moment = status.st_dev, status.st_ino, changed
        if moment == self._unchanged_since:  # what was settled once is
            return moment
        is_settled = 0 < changed < time.time_ns() - (SOON_SETTLED if changed % TICK else SETTLED)
        return moment if is_settled else None
