"""The anchor: beside the database, a file that says how far each run had come when its last row was acknowledged.

A database that was cut off, rolled back or replaced by an older copy of itself is consistent in itself; only something
outside can tell. The anchor holds one record of fixed size for each run, written in place after a commit and before
anybody is told of it:

    key of the run (16) · seq of its last row (8) · that row's hash (16) · epoch (8) · zeros (8) · checksum (8)

Record 0 is the journal's own: its identity, and a count of the runs made and deleted. In-place writes need no room on
the disk, no lock (each run has one owner) and no cleaning up. A record lies within a disk's sector, so that losing
power leaves the old one or the new one.

A crash between commit and anchor leaves the database ahead: rows at its end that nobody was told of. That is whole. The
database behind its anchor is damage.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from hashlib import blake2b
from threading import Lock
from typing import Final, NamedTuple

RECORD: Final = 64
"""Bytes of a record."""

_FIELDS: Final = struct.Struct(">16sQ16sQ8x")
_EMPTY: Final = bytes(RECORD)
_FLAGS: Final = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Mark(NamedTuple):
    """How far a run had come: the `seq` and hash of its last acknowledged row; `epoch` counts owners and statuses."""

    key: bytes
    seq: int
    head: bytes
    epoch: int


class BadMark(ValueError):
    """A record of the anchor is not what was written."""


class Anchor:
    """The file. `create` makes it where it is missing, and empties it; else a missing file raises FileNotFoundError.

    All methods raise OSError for what the disk refuses.
    """

    def __init__(self, path: str, *, create: bool) -> None:
        self.path = path
        self._lock = Lock()
        self._file = os.open(path, _FLAGS | (os.O_CREAT | os.O_TRUNC if create else 0), 0o600)
        status = os.fstat(self._file)
        self._inode = status.st_dev, status.st_ino

    def read(self, slot: int) -> Mark:
        """Return a record. Raises BadMark for one that is missing, cut off or changed."""
        for _attempt in range(3):  # a record may be read while its owner writes it
            data = self._get(slot * RECORD)
            fields, checksum = data[: _FIELDS.size], data[_FIELDS.size :]
            if len(data) == RECORD and _checksum(slot, fields) == checksum:
                return Mark(*_FIELDS.unpack(fields))
            if data in (b"", _EMPTY):
                raise BadMark("its record in the anchor is missing")
        raise BadMark("its record in the anchor is damaged")

    def write(self, marks: Mapping[int, Mark]) -> None:
        """Replace records, given by their slots; those that lie side by side are one write."""
        if len(marks) == 1:  # as a run alone has it, at every step
            [(slot, mark)] = marks.items()
            self._write(slot, _record(slot, mark))
            return
        records: list[bytes] = []
        first = min(marks, default=0)
        for slot in sorted(marks):
            if slot != first + len(records):
                self._write(first, b"".join(records))
                first, records = slot, []
            records.append(_record(slot, marks[slot]))
        self._write(first, b"".join(records))

    def _write(self, first: int, data: bytes) -> None:
        if data and self._put(first * RECORD, data) != len(data):
            raise OSError(28, "no space left on the device")

    def sync(self) -> None:
        """Wait until all records are on the disk."""
        getattr(os, "fdatasync", os.fsync)(self._file)

    def in_place(self) -> bool:
        """Say whether the file is still where it was opened."""
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    if hasattr(os, "pwrite"):

        def _get(self, at: int) -> bytes:
            return os.pread(self._file, RECORD, at)

        def _put(self, at: int, data: bytes) -> int:
            return os.pwrite(self._file, data, at)

    else:  # Windows

        def _get(self, at: int) -> bytes:
            with self._lock:
                os.lseek(self._file, at, os.SEEK_SET)
                return os.read(self._file, RECORD)

        def _put(self, at: int, data: bytes) -> int:
            with self._lock:
                os.lseek(self._file, at, os.SEEK_SET)
                return os.write(self._file, data)


def _record(slot: int, mark: Mark) -> bytes:
    fields = _FIELDS.pack(*mark)
    return fields + _checksum(slot, fields)


def _checksum(slot: int, fields: bytes) -> bytes:
    return blake2b(fields + slot.to_bytes(8, "big"), digest_size=8).digest()
