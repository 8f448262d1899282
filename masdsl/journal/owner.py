"""Who owns a run: a process that is alive, as a locked file shows that no crash can leave locked.

Each open journal has one such file of its own, in a folder beside the database, and writes the file's name into the
runs that it owns. A run whose owner's file is missing or not locked is free. The lock says who may begin; that nobody
who lost a run writes any more is seen to by the database (a commit checks its ownership in the same transaction).
"""

from __future__ import annotations

import os
import sys
from weakref import WeakSet

_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)

if sys.platform == "win32":
    import msvcrt

    def try_lock(file: int, *, alone: bool) -> bool:
        """Lock a file, alone or beside others; say whether that was to be had. The process's end gives it back."""
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(file: int, *, alone: bool) -> bool:
        """Lock a file, alone or beside others; say whether that was to be had. The process's end gives it back."""
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Owner:
    """A proof that this process is alive, under the name `token`, until `close` or the process's end.

    Raises OSError where the folder cannot be written.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        while True:
            self.token = os.urandom(8).hex()
            self._path = os.path.join(folder, self.token)
            self._file = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            if try_lock(self._file, alone=True) and os.path.exists(self._path):
                break
            os.close(self._file)  # another process, cleaning up, was faster than the lock
        _owners.add(self)

    def is_alive(self, token: object) -> bool:
        """Say whether the owner of this name is alive; a damaged file may hold anything for a name."""
        if token == self.token:
            return self._file >= 0
        if not isinstance(token, str) or not token.isalnum():
            return False
        try:
            file = os.open(os.path.join(self._folder, token), _FLAGS)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(file, alone=False)
        finally:
            os.close(file)

    def others(self) -> bool:
        """Say whether any other owner is alive."""
        return any(token != self.token and self.is_alive(token) for token in os.listdir(self._folder))

    def clean_up(self) -> None:
        """Remove the files that killed processes left."""
        for token in os.listdir(self._folder):
            try:
                if not self.is_alive(token):
                    os.unlink(os.path.join(self._folder, token))
            except OSError:
                continue

    def close(self) -> None:
        """Give up everything that is owned under this name."""
        if self._file >= 0:
            try:
                os.unlink(self._path)
            except OSError:
                pass
            self.forget()

    def forget(self) -> None:
        """Close the file without removing it: in a process that was forked from the owner."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


_owners: WeakSet[Owner] = WeakSet()
"""All owners of this process: a child that it forks must not keep their locks when this process has died."""


def _forget_all() -> None:
    for owner in list(_owners):
        owner.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
