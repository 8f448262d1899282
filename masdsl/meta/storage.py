"""The folder of a library on disk: changed by one process at a time, and each file in one step.

A file is written under another name and then put in its place, so that a reader never sees half of it and needs no
lock. Who changes something holds a lock on a file of its own, which no crash can leave locked.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

LOCK: Final = ".lock"
PATIENCE: Final = 30.0
"""Seconds for which a process waits for another one that changes the library."""
_PAUSE: Final = 0.02

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class LibraryError(Exception):
    """Something is wrong with a library, or with what is asked of it; the text says what, and what to do."""


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Be the only one who changes a folder, which is made if need be, for the user alone.

    Raises LibraryError where it cannot be written, or where another process does not end.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(os.path.join(folder, LOCK), flags, 0o600)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        end = time.monotonic() + PATIENCE
        while not _try_lock(file):
            if time.monotonic() > end:
                raise LibraryError(
                    f"another process has been changing the library in {folder} for {PATIENCE:.0f} s; try again later"
                )
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(file)


def write_file(path: str, text: str) -> None:
    """Write a file in one step. Raises LibraryError; what was there before then stays."""
    passing = f"{path}.{os.getpid()}.new"
    try:
        handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with open(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(handle)
        os.replace(passing, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(passing)
        raise unwritable(path, error) from error


def remove_file(path: str) -> None:
    """Remove a file if it is there. Raises LibraryError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: str, error: OSError) -> LibraryError:
    """Return what is told of a file or folder that cannot be written."""
    why = (error.strerror or type(error).__name__).lower()
    return LibraryError(f"{path} cannot be written: {why}; name another folder in mas.toml: [library] path")
