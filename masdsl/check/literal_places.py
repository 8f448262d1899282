"""Where each character of a string literal's value stands in the source.

A three-quoted string loses its indentation and every string its escapes, so a place inside the value says little to
somebody who looks at the file. This is the way back, for diagnostics about prompts.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left

from masdsl.node import Span
from masdsl.source import Source

_PIECE = re.compile(r"\\u\{[0-9A-Fa-f]*\}|\\[\s\S]|[^\\]")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class LiteralPlaces:
    """Maps ranges of the value of the string literal at `literal` in `source` to spans of the source.

    A carriage return and a line feed that follow each other in the value count as one character, as in a template.
    """

    def __init__(self, source: Source, literal: Span, value: str) -> None:
        self._literal = literal
        raw = source.slice(literal)
        decoded, starts = _decode(raw)
        pairs = {found.start() for found in re.finditer("\r\n", value)}
        kept = [literal.start + at for number, at in enumerate(starts) if number not in pairs]
        self._starts = kept if decoded == value else None

    def span(self, start: int, end: int) -> Span:
        """Return the span of the value's characters from `start` up to `end`; of the literal if unknown."""
        if self._starts is None:
            return self._literal
        last = len(self._starts) - 1
        start = min(max(start, 0), last)
        end = min(max(end, start), last)
        if end == start:
            return Span(self._starts[start], max(self._starts[start], min(self._starts[start] + 1, self._starts[last])))
        # up to where the last character ends, so that the blanks of a following line's indentation stay outside
        final = self._starts[end - 1]
        return Span(self._starts[start], self._starts[end] if self._starts[end] - final <= 12 else final + 1)

    def value_offset(self, place: int) -> int | None:
        """Return which character of the value stands at an offset of the source; None if unknown."""
        if self._starts is None:
            return None
        return min(bisect_left(self._starts, place), len(self._starts) - 1)


def _decode(raw: str) -> tuple[str, list[int]]:
    """Return the value of a literal, and for each of its characters, and its end, the offset in `raw`."""
    quotes = 3 if raw.startswith('"""') and len(raw) >= 6 else 1
    text, shift = raw[quotes : len(raw) - quotes], quotes
    kept = [(0, len(text))]
    if quotes == 3 and "\n" in text:
        kept = _dedented(text)
    letters: list[str] = []
    starts: list[int] = []
    for number, (line_start, line_end) in enumerate(kept):
        if number:
            letters.append("\n")
            starts.append(kept[number - 1][1] + shift)
        for piece in _PIECE.finditer(text, line_start, line_end):
            letters.append(_value(piece.group()))
            starts.append(piece.start() + shift)
    starts.append((kept[-1][1] if kept else len(text)) + shift)
    return "".join(letters), starts


def _dedented(text: str) -> list[tuple[int, int]]:
    """Return the ranges of the lines that count, without what all lines that are not blank are indented by."""
    ranges: list[tuple[int, int]] = []
    start = 0
    for line in text.split("\n"):
        ranges.append((start, start + len(line) if line.strip(" \t") else start))
        start += len(line) + 1
    margins = [re.match(r"[ \t]*", text[a:b]) for a, b in ranges if b > a]
    margin = len(os.path.commonprefix([found.group() for found in margins if found]))  # noqa: RUF071 these are blanks
    ranges = [(a + margin, b) if b > a else (a, b) for a, b in ranges]
    if ranges[0][0] == ranges[0][1]:
        del ranges[0]
    if ranges and ranges[-1][0] == ranges[-1][1]:
        del ranges[-1]
    return ranges


def _value(piece: str) -> str:
    if piece.startswith("\\u{") and len(piece) > 4:
        code = int(piece[3:-1], 16)
        return chr(code) if code < 0x110000 else piece
    return _SIMPLE.get(piece[1:], piece) if piece.startswith("\\") else piece
