"""The hash chain over the rows of a run: each hash covers the one before it, the first one the run's header.

Rows that are stored together have one hash. So a row that was changed, lost, moved or taken from another run shows, and
where it shows is the first wrong row, or the first of those that are stored together with it. The
chain alone cannot show that rows at its end are missing; that is what the anchor is for. There is no secret in it: it
finds damage, not somebody who may write the files and computes everything anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

from masdsl.journal.base import Row
from masdsl.journal.codec import Unreadable, unpack_rows
from masdsl.journal.errors import JournalDamaged

SIZE: Final = 16
"""Bytes of a hash."""


def digest(*parts: str | bytes | float | None) -> bytes:
    """Return the hash of parts, each with its kind and length, so that no two lists of parts run together."""
    pieces = []
    for part in parts:
        if isinstance(part, bytes):
            pieces.append(b"b%d:%b" % (len(part), part))
        else:
            data = repr(part).encode("utf-8")
            pieces.append(b"r%d:%b" % (len(data), data))
    return blake2b(b"".join(pieces), digest_size=SIZE).digest()


def genesis(run: str, header: bytes, before: bytes) -> bytes:
    """Return what a run's first row follows: its name and header, and the hash of the parent's row it began after."""
    return digest(b"masdsl journal 1", run, header, before)


def link(head: bytes, seq: int, record: bytes) -> bytes:
    """Return the hash of rows, of which `seq` is the last, that follow those whose hash is `head`."""
    return blake2b(head + seq.to_bytes(8, "big") + record, digest_size=SIZE).digest()


def verified(
    run: str, start: int, head: bytes, stored: Iterable[tuple[Any, Any, Any]]
) -> Iterator[tuple[Sequence[Row], bytes]]:
    """Yield the rows after row `start`, those that were stored together with their hash.

    `stored` are the number of the last of them, the record and the hash. Raises JournalDamaged at the first row that is
    not what was written.
    """
    seq = start + 1
    for number, record, stored_hash in stored:
        if type(number) is not int:
            raise JournalDamaged(run, seq, "its number is unreadable")
        if not isinstance(record, bytes):
            raise JournalDamaged(run, seq, f"row {seq} is no sequence of bytes")
        head = link(head, number, record) if number >= seq else b""
        try:
            rows = unpack_rows(seq, record)
        except Unreadable as error:
            raise JournalDamaged(run, seq, f"row {seq}: {error}") from None
        if number - len(rows) >= seq:
            raise JournalDamaged(run, seq, f"row {seq} is missing")
        if head != stored_hash or number != rows[-1].seq:
            which = f"row {seq} is" if number <= seq else f"of rows {seq} to {number}, stored together, one is"
            raise JournalDamaged(run, seq, f"{which} not what was written (its hash differs)")
        yield rows, head
        seq = number + 1
