"""Between offsets of a source and the positions of an editor.

An editor has its own line ends (CR LF, CR) and counts columns in its own units; a `Source` has line feeds only and
counts code points. See the Language Server Protocol 3.17, section Position.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple

from masdsl.node import Span

UTF8, UTF16, UTF32 = "utf-8", "utf-16", "utf-32"
ENCODINGS: Final = (UTF8, UTF16, UTF32)
"""The units in which a client may count columns."""
_LINE_END = re.compile(r"\r\n|\n|\r")


class Place(NamedTuple):
    """A line and a column, both from 0; the column counts units of the client's encoding."""

    line: int
    column: int


class Positions:
    """The lines of a text as an editor has it. `text` is what the compiler reads: line feeds, no byte-order mark."""

    def __init__(self, raw: str, encoding: str = UTF16) -> None:
        self.encoding = encoding
        self.line_end = "\r\n" if "\r\n" in raw else "\n"
        body = raw.removeprefix("\ufeff")
        self._marked = len(body) != len(raw)
        self.text = body.replace("\r\n", "\n") if "\r" in body else body
        self._starts = [0]
        self._ends: list[int] = []
        dropped = 0
        for found in _LINE_END.finditer(body):
            self._ends.append(found.start() - dropped)
            dropped += found.end() - found.start() - 1
            self._starts.append(found.end() - dropped)
        self._ends.append(len(self.text))
        self._plain = self.text.isascii()

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a position; one outside of the text is moved to the nearest place in it."""
        if line < 0:
            return 0
        if line >= len(self._starts):
            return len(self.text)
        start, end = self._starts[line], self._ends[line]
        column -= self._marked and line == 0
        if self._plain or self.encoding == UTF32:
            return min(start + max(column, 0), end)
        at = start
        while at < end:
            column -= self._units(self.text[at])
            if column < 0:
                break
            at += 1
        return at

    def place(self, offset: int) -> Place:
        """Return the position of an offset; one outside of the text is moved to the nearest place in it."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : min(offset, self._ends[line])]
        column = len(before) if self._plain or self.encoding == UTF32 else sum(map(self._units, before))
        return Place(line, column + (self._marked and line == 0))

    def width(self, span: Span) -> int:
        """Return how many units a span within one line has."""
        text = self.text[span.start : span.end]
        return len(text) if self._plain or self.encoding == UTF32 else sum(map(self._units, text))

    def lines_of(self, span: Span) -> list[Span]:
        """Return the parts of a span on each line, without line ends; empty ones are left out."""
        first = bisect_right(self._starts, span.start) - 1
        parts = []
        for start, end in zip(self._starts[first:], self._ends[first:], strict=True):
            if start >= span.end:
                break
            part = Span(max(start, span.start), min(end, span.end))
            if part.start < part.end:
                parts.append(part)
        return parts

    def _units(self, letter: str) -> int:
        return _units(letter, self.encoding)


def replaced(raw: str, begin: Place, end: Place, text: str, encoding: str = UTF16) -> str:
    """Return a text as an editor has it, line ends and byte-order mark included, with another text in one range.

    A place outside of the text counts as the nearest one in it, one inside of a character as that before it.
    """
    first = _raw_offset(raw, begin, encoding)
    return raw[:first] + text + raw[max(first, _raw_offset(raw, end, encoding)) :]


def _raw_offset(raw: str, place: Place, encoding: str) -> int:
    if place.line < 0:
        return 0
    start, end = 0, -1
    for number, found in enumerate(_LINE_END.finditer(raw)):
        if number == place.line:
            end = found.start()
            break
        start = found.end()
    else:  # it is the last line, or behind it
        if place.line > len(_LINE_END.findall(raw)):
            return len(raw)
        end = len(raw)
    if encoding == UTF32 or raw[start:end].isascii():
        return min(start + max(place.column, 0), end)
    at, left = start, place.column
    while at < end:
        left -= _units(raw[at], encoding)
        if left < 0:
            break
        at += 1
    return at


def _units(letter: str, encoding: str) -> int:
    """Return how many units a character is."""
    code = ord(letter)
    if encoding == UTF16:
        return 2 if code > 0xFFFF else 1
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
