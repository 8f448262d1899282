"""What the journal stores, as bytes: canonical JSON (sorted keys, no NaN, ASCII), compressed where it is long.

A record is one row: `[kind, path, indices, part, args, decl, at, body]`. It begins with `[`, or with `z` and is zlib.
Nothing here ever builds an object from what it reads, other than those of JSON: the bytes may be anybody's.

Texts with lone surrogates, which models do send, are kept as they are: JSON spells them as escapes.
"""

from __future__ import annotations

import zlib
from json import JSONDecodeError, JSONDecoder, JSONEncoder
from typing import Any, Final

from masdsl.journal.base import Row, RunHeader

COMPRESSED_FROM: Final = 4096
"""Bytes from which on a record is compressed."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one record or header before compression; a longer one is neither written nor read."""
MOST_DEPTH: Final = 100
"""Lists and objects inside one another: far from what the stack of a reader could not bear."""

_encode = JSONEncoder(
    ensure_ascii=True, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
_decode = JSONDecoder().decode
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class Unreadable(ValueError):
    """Stored bytes are not what this module writes."""


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value. Equal values have equal bytes.

    Raises TypeError for what JSON cannot say (keys that are no texts included), ValueError for NaN, infinities, more
    than `MOST_DEPTH` levels, and integers that Python refuses to print.
    """
    if type(value) not in _PLAIN:
        _check(value, MOST_DEPTH)
    return _encode(value).encode("ascii")


def pack(value: Any) -> bytes:
    """Return a JSON list or object as it is stored. Raises like `canonical`, and ValueError above `MOST_BYTES`."""
    text = canonical(value)
    if len(text) < COMPRESSED_FROM:
        return text
    if len(text) > MOST_BYTES:
        raise ValueError(f"{len(text):,} bytes are more than the {MOST_BYTES:,} that one row may have")
    return b"z" + zlib.compress(text, 1)


def unpack(stored: bytes) -> Any:
    """Return what `pack` stored. Raises Unreadable."""
    if not isinstance(stored, bytes):
        raise Unreadable("it is no sequence of bytes")
    try:
        if stored[:1] == b"z":
            stream = zlib.decompressobj()
            text = stream.decompress(memoryview(stored)[1:], MOST_BYTES + 1)
            if len(text) > MOST_BYTES:
                raise Unreadable(f"it unpacks to more than {MOST_BYTES:,} bytes")
            if not stream.eof or stream.unused_data:
                raise Unreadable("its compressed bytes are cut off or too many")
        else:
            text = stored
        if len(text) > MOST_BYTES:
            raise Unreadable(f"it has more than {MOST_BYTES:,} bytes")
        value = _decode(text.decode("ascii"))
    except (zlib.error, JSONDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise error if isinstance(error, Unreadable) else Unreadable(f"it is not JSON ({error})") from None
    return value


def pack_row(
    kind: str, path: str, indices: tuple[int, ...], part: int, args: bytes, decl: bytes, at: float, body: dict[str, Any]
) -> bytes:
    """Return the record of a row; its number is not part of it. Raises like `pack`."""
    if not (kind.isascii() and kind.isidentifier() and path.isascii() and type(body) is dict):
        raise TypeError(f"a row has a kind (a name), a path of ASCII and a body (a dict): {kind!r}, {path!r}, {body!r}")
    return pack([kind, path, indices, part, args.hex(), decl.hex(), at, body])


def unpack_row(seq: int, stored: bytes) -> Row:
    """Return the row whose record this is. Raises Unreadable, also for JSON that is not a row's."""
    value = unpack(stored)
    try:
        kind, path, indices, part, args, decl, at, body = value
        if (
            type(value) is list
            and type(kind) is type(path) is str
            and type(indices) is list
            and all(type(index) is int for index in indices)
            and type(part) is int
            and type(at) is float
            and type(body) is dict
        ):
            return Row(seq, kind, path, tuple(indices), part, bytes.fromhex(args), bytes.fromhex(decl), body, at)
    except (TypeError, ValueError):
        pass
    raise Unreadable("it is JSON, but no row")


def pack_header(header: RunHeader) -> bytes:
    """Return the bytes of all of a header but its status. Raises like `pack`."""
    fields = header._asdict()
    del fields["status"]
    return pack(fields)


def unpack_header(stored: bytes, status: str) -> RunHeader:
    """Return the header whose bytes these are. Raises Unreadable."""
    value = unpack(stored)
    try:
        header = RunHeader(**value, status=status)
    except TypeError:
        raise Unreadable("it is JSON, but no header of a run") from None
    for field, kinds in _HEADER.items():
        if type(getattr(header, field)) not in kinds:
            raise Unreadable(f"{field} of the run's header is of the wrong type")
    return header


_HEADER: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(("id", "program", "flow", "policy", "masdsl", "status"), (str,)),
    **dict.fromkeys(("sources", "inputs", "tiers"), (dict,)),
    "seed": (int,),
    "created": (float,),
    "parent": (str, type(None)),
    "parent_seq": (int, type(None)),
}


def _check(value: Any, depth: int) -> None:
    """Raise where a value's JSON would not say the same: the encoder turns the key `1` into `"1"` without a word."""
    if depth == 0:
        raise ValueError(f"lists and objects are more than {MOST_DEPTH} levels deep")
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise TypeError(f"the key {key!r} is no text, so this is not JSON")
        for inner in value.values():
            if type(inner) not in _PLAIN:
                _check(inner, depth - 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if type(inner) not in _PLAIN:
                _check(inner, depth - 1)
    elif not isinstance(value, (str, int, float)):
        raise TypeError(f"{type(value).__name__} is not JSON")
