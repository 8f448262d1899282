"""The hash chain over the rows of a run: each row's hash covers the one before it, the first one's the run's header.

So a row that was changed, lost, moved or taken from another run shows, and where it shows is the first wrong row. The
chain alone cannot show that rows at its end are missing; that is what the anchor is for. There is no secret in it: it
finds damage, not somebody who may write the files and computes everything anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

from masdsl.journal.base import Row
from masdsl.journal.codec import Unreadable, unpack_row
from masdsl.journal.errors import JournalDamaged

SIZE: Final = 16
"""Bytes of a hash."""


def digest(*parts: str | bytes | float | None) -> bytes:
    """Return the hash of parts, each with its kind and length, so that no two lists of parts run together."""
    state = blake2b(digest_size=SIZE)
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode("utf-8")
        state.update(b"%c%d:" % (b"b" if isinstance(part, bytes) else b"r", len(data)))
        state.update(data)
    return state.digest()


def genesis(run: str, header: bytes, before: bytes) -> bytes:
    """Return what a run's first row follows: its name and header, and the hash of the parent's row it began after."""
    return digest(b"masdsl journal 1", run, header, before)


def link(head: bytes, seq: int, record: bytes) -> bytes:
    """Return the hash of a row that follows the one whose hash is `head`."""
    return blake2b(head + seq.to_bytes(8, "big") + record, digest_size=SIZE).digest()


def verified(run: str, start: int, head: bytes, stored: Iterable[tuple[Any, Any, Any]]) -> Iterator[tuple[Row, bytes]]:
    """Yield the rows after row `start`, each with its hash, of stored numbers, records and hashes.

    Raises JournalDamaged at the first row that is not what was written.
    """
    seq = start
    for number, record, stored_hash in stored:
        seq += 1
        if number != seq:
            raise JournalDamaged(
                run, seq, f"row {seq} is missing" if type(number) is int else "its number is unreadable"
            )
        if not isinstance(record, bytes):
            raise JournalDamaged(run, seq, f"row {seq} is no sequence of bytes")
        head = link(head, seq, record)
        if head != stored_hash:
            raise JournalDamaged(run, seq, f"row {seq} is not what was written (its hash differs)")
        try:
            yield unpack_row(seq, record), head
        except Unreadable as error:
            raise JournalDamaged(run, seq, f"row {seq}: {error}") from None
