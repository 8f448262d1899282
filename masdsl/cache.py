"""Small JSON documents by key, kept from one run of `mas` to the next: `checks` in the user's folder for caches.

A document is a file of its own behind a checksum, written in one step, so that any number of processes may read and
write at the same time. Whatever is wrong with a file (cut off, changed, of another owner) makes it no document, and
the next write replaces it. Nothing here ever raises for the state of the disk: without a cache everything only takes
longer.

The folder belongs to the user alone. One that others can write to, or that is a link, is not used: who can write there
could say that a program is in order.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from time import time
from typing import Any, Final

from masdsl.resources import cache_directory, read_sealed, write_sealed

FOLDER: Final = "checks"
MOST_BYTES: Final = 256 * 1024 * 1024
"""Bytes on disk that all documents together may take."""
SHARDS: Final = 256
"""Folders that the documents are spread over; each may hold its share of `MOST_BYTES`."""

_MAGIC: Final = b"masdsl cache 1\n"
_BLOCK: Final = 4096
_FRESH: Final = 24 * 3600
"""Seconds for which a document counts as used just now: reading it again does not touch the disk."""
_LEFT_BEHIND: Final = 3600
"""Seconds after which a file that was to become a document has been forgotten by a process that is gone."""


class Store:
    """The documents in a folder. Keys are hexadecimal digests of at least ten characters.

    `most_bytes` is how much of the disk all of them may take; those that were not used for longest go first.
    """

    def __init__(self, folder: str, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._share = most_bytes // SHARDS
        self._used: dict[str, int] = {}

    def read(self, key: str) -> Any:
        """Return the document of a key; None where there is none that can be trusted."""
        from json import loads

        path = self._path(key)
        body = read_sealed(path, _MAGIC)
        if body is None:
            return None
        try:
            found, document = loads(bytes(body))
        except (ValueError, TypeError, RecursionError):
            return None
        if found != key:
            return None
        _note_use(path)
        return document

    def write(self, key: str, document: Any) -> bool:
        """Keep a document, in place of an earlier one; say whether that worked.

        Raises TypeError for what JSON cannot say.
        """
        from json import dumps

        body = dumps([key, document], separators=(",", ":")).encode("ascii")
        path = self._path(key)
        if len(body) > self._share // 2:
            return False
        try:
            return self._make_room(os.path.dirname(path), len(body)) and write_sealed(path, _MAGIC, body)
        except OSError:
            return False

    def _path(self, key: str) -> str:
        return os.path.join(self._folder, key[:2], key[2:])

    def _make_room(self, shard: str, size: int) -> bool:
        """Make the folder `shard` and see to it that a document of `size` bytes fits into its share."""
        if shard not in self._used:
            os.makedirs(os.path.dirname(self._folder), mode=0o700, exist_ok=True)
            if not _is_private(self._folder, make=True):
                return False
            try:
                os.mkdir(shard, 0o700)
                self._used[shard] = 0
            except FileExistsError:
                self._used[shard] = sum(_on_disk(status.st_size) for _, status in _documents(shard))
        self._used[shard] += _on_disk(size)
        if self._used[shard] > self._share:
            self._used[shard] = self._forget(shard, _on_disk(size))
        return True

    def _forget(self, shard: str, needed: int) -> int:
        """Remove what was not used for longest until three quarters of the share are taken; return how much is."""
        found = sorted(_documents(shard), key=lambda one: (one[1].st_mtime_ns, one[0]))
        taken = sum(_on_disk(status.st_size) for _, status in found) + needed
        for path, status in found:
            if taken <= self._share * 3 // 4:
                break
            _remove(path)
            taken -= _on_disk(status.st_size)
        return taken


def open_store() -> Store | None:
    """Return the user's store; None where there is no place for one, or none that is the user's alone."""
    folder = _folder()
    return Store(folder) if folder is not None and _is_private(folder, make=False) else None


def clear() -> int:
    """Remove all documents and return how many there were.

    Raises OSError where a document cannot be removed.
    """
    folder = _folder()
    removed = 0
    if folder is None or not os.path.isdir(folder) or os.path.islink(folder):
        return 0
    for entry in sorted(os.listdir(folder)):
        shard = os.path.join(folder, entry)
        if len(entry) != 2 or os.path.islink(shard) or not os.path.isdir(shard):
            continue
        for name in os.listdir(shard):
            os.unlink(os.path.join(shard, name))
            removed += _is_document(name)
        os.rmdir(shard)
    return removed


def _folder() -> str | None:
    root = cache_directory()
    return os.path.join(os.path.abspath(root), FOLDER) if root is not None else None


def _documents(shard: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of a shard; what a process that was killed left half-written is removed on the way."""
    with os.scandir(shard) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # another process was faster
                continue
            if _is_document(entry.name):
                yield entry.path, status
            elif time() - status.st_mtime > _LEFT_BEHIND:
                _remove(entry.path)


def _is_document(name: str) -> bool:
    return "." not in name  # what is being written has the number of its process behind a dot


def _on_disk(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _is_private(folder: str, *, make: bool) -> bool:
    """Say whether a folder is the user's alone; one that others may read is closed to them. With `make` it is made
    where it is missing; a missing one is private.
    """
    try:
        if make:
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                pass
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or not _ours(status):
            return False
        if hasattr(os, "geteuid") and status.st_mode & 0o077:
            os.chmod(folder, 0o700)
    except FileNotFoundError:
        return not make
    except (OSError, ValueError):  # ValueError: this is no path
        return False
    return True


def _ours(status: os.stat_result) -> bool:
    """Say whether a file is the user's and nobody else can write it; there is no telling where there are no owners."""
    user: Callable[[], int] | None = getattr(os, "geteuid", None)
    return user is None or (status.st_uid == user() and not status.st_mode & 0o022)


def _note_use(path: str) -> None:
    try:
        if time() - os.stat(path).st_mtime > _FRESH:
            os.utime(path)
    except OSError:
        pass


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
