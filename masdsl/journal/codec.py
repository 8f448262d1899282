"""What the journal stores, as bytes: JSON (no NaN, ASCII, no spaces), compressed where it is long.

A row is `[kind, path, indices, part, args, decl, at, body]`. A record is a row, which begins with `[`, or with `z` and
is zlib; or several rows that are not compressed, each on a line of its own. What is hashed are these bytes. What is
compared by its bytes is canonical: its keys are sorted.
Nothing here ever builds an object from what it reads, other than those of JSON: the bytes may be anybody's.

Texts with lone surrogates, which models do send, are kept as they are: JSON spells them as escapes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from json import JSONDecoder, JSONEncoder
from json import encoder as json_encoder
from typing import Any, Final

from masdsl.journal.base import Encoded, Row, RunHeader

COMPRESSED_FROM: Final = 4096
"""Bytes from which on a record is compressed."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one record or header before compression; a longer one is neither written nor read."""
MOST_TOGETHER: Final = 16 * 1024
"""Bytes of one record of several rows."""
MOST_DEPTH: Final = 100
"""Lists and objects inside one another: far from what the stack of a reader could not bear."""


def _encoder(*, sort_keys: bool) -> Callable[[Any], str]:
    """Return what writes a checked value as JSON; `JSONEncoder.encode` would make its C encoder anew each time."""
    whole = JSONEncoder(
        ensure_ascii=True, check_circular=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":")
    )
    make, escape = getattr(json_encoder, "c_make_encoder", None), json_encoder.encode_basestring_ascii
    if make is None:  # another Python than CPython
        return whole.encode
    chunks = make(None, whole.default, escape, None, ":", ",", sort_keys, False, False)
    join = "".join
    return lambda value: join(chunks(value, 0))


_encode = _encoder(sort_keys=False)
_encode_sorted = _encoder(sort_keys=True)
_escape = json_encoder.encode_basestring_ascii
_decode = JSONDecoder().decode
_digits = int.__repr__
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class Unreadable(ValueError):
    """Stored bytes are not what this module writes."""


def encoded(value: Any) -> str:
    """Return the JSON of a part of a body. Raises like `canonical`."""
    if type(value) is str:
        return _escape(value)
    if type(value) not in _PLAIN:
        _check(value, MOST_DEPTH - 2)
    return _encode(value)


def encoded_time(seconds: float) -> str:
    """Return the JSON of a time, from 0 on, to the microsecond. The shortest text of a float takes longer."""
    return f"{seconds:.6f}"


def canonical_texts(texts: Mapping[str, str]) -> bytes:
    """Return the same as `canonical`, for an object of nothing but texts."""
    return f"{{{','.join([f'{_escape(name)}:{_escape(texts[name])}' for name in sorted(texts)])}}}".encode("ascii")


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value. Equal values have equal bytes.

    Raises TypeError for what JSON cannot say (keys that are no texts included), ValueError for NaN, infinities, more
    than `MOST_DEPTH` levels, and integers that Python refuses to print.
    """
    if type(value) not in _PLAIN:
        _check(value, MOST_DEPTH)
    return _encode_sorted(value).encode("ascii")


def pack(value: Any) -> bytes:
    """Return a JSON list or object as it is stored. Raises like `canonical`, and ValueError above `MOST_BYTES`."""
    return _packed(canonical(value))


def _packed(text: bytes) -> bytes:
    if len(text) < COMPRESSED_FROM:
        return text
    if len(text) > MOST_BYTES:
        raise ValueError(f"{len(text):,} bytes are more than the {MOST_BYTES:,} that one row may have")
    return b"z" + zlib.compress(text, 1)


def unpack(stored: bytes) -> Any:
    """Return what `pack` stored. Raises Unreadable."""
    return _parsed(_unpacked(stored))


def _parsed(text: str) -> Any:
    try:
        return _decode(text)
    except (RecursionError, ValueError) as error:
        raise Unreadable(f"it is not JSON ({error})") from None


def _unpacked(stored: bytes) -> str:
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
        return text.decode("ascii")
    except (zlib.error, UnicodeDecodeError) as error:
        raise Unreadable(f"it is not JSON ({error})") from None


def pack_row(
    kind: str,
    path: str,
    indices: tuple[int, ...],
    part: int,
    args: bytes,
    decl: bytes,
    at: float,
    body: dict[str, Any] | Encoded,
) -> bytes:
    """Return the record of a row; its number is not part of it. Raises like `pack`."""
    if not (kind.isascii() and kind.isidentifier() and path.isascii()):
        raise TypeError(f"a row has a kind (a name) and a path of ASCII: {kind!r}, {path!r}")
    if type(body) is dict:
        _check(body, MOST_DEPTH - 1)
        text = _encode(body)
    elif type(body) is Encoded:
        text = body
    else:
        raise TypeError(f"the body of a row is a dict: {body!r}")
    numbers = ",".join(map(_digits, indices)) if indices else ""
    where = f'{_escape(path)},[{numbers}],{_digits(part)},"{args.hex()}","{decl.hex()}"'
    return _packed(f'["{kind}",{where},{encoded_time(at)},{text}]'.encode("ascii"))


def together(records: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the records of rows that follow one another as they are stored, each with the count of its rows."""
    lines: list[bytes] = []
    size = 0
    for record in records:
        is_compressed = record[:1] == b"z"
        if lines and (is_compressed or size + len(record) > MOST_TOGETHER):
            yield len(lines), b"\n".join(lines)
            lines, size = [], 0
        if is_compressed:
            yield 1, record
        else:
            lines.append(record)
            size += len(record)
    if lines:
        yield len(lines), b"\n".join(lines)


def unpack_rows(first: int, stored: bytes) -> list[Row]:
    """Return the rows whose record this is, numbered from `first` on. Raises Unreadable, also where one is no row."""
    return [_row(seq, line) for seq, line in enumerate(_unpacked(stored).split("\n"), first)]


def unpack_row(seq: int, stored: bytes) -> Row:
    """Return the row whose record this is. Raises Unreadable, also for JSON that is not a row's."""
    return _row(seq, _unpacked(stored))


def _row(seq: int, text: str) -> Row:
    value = _parsed(text)
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
        for key, inner in value.items():
            if type(key) is not str:
                raise TypeError(f"the key {key!r} is no text, so this is not JSON")
            if type(inner) not in _PLAIN:
                _check(inner, depth - 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if type(inner) not in _PLAIN:
                _check(inner, depth - 1)
    elif not isinstance(value, (str, int, float)):
        raise TypeError(f"{type(value).__name__} is not JSON")
