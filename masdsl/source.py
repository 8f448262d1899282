"""A program's text and where things stand in it.

Offsets count code points of the normalised text (line ends are one line feed each, no byte-order mark). Lines and
columns count from 1 as editors show them; a column is a code point.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from masdsl.node import Span


class Position(NamedTuple):
    """A line and a column, both from 1."""

    line: int
    column: int


class Source:
    """Normalised text under a name: a path as the user wrote it, or `<input>`. Immutable; equal by both."""

    __slots__ = ("_digest", "_starts", "name", "text")
    name: str
    text: str

    def __init__(self, name: str, text: str) -> None:
        set_ = object.__setattr__
        set_(self, "name", name)
        set_(self, "text", text)
        set_(self, "_starts", None)
        set_(self, "_digest", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Source is immutable: build another one")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and (self.name, self.text) == (other.name, other.text)

    def __hash__(self) -> int:
        return hash((self.name, self.text))

    def __repr__(self) -> str:
        return f"Source({self.name!r}, {len(self.text)} characters)"

    def __reduce__(self) -> tuple[type[Source], tuple[str, str]]:
        return Source, (self.name, self.text)

    def _line_starts(self) -> list[int]:
        starts: list[int] | None = self._starts  # type: ignore[attr-defined]
        if starts is None:
            starts = [0]
            at = self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            object.__setattr__(self, "_starts", starts)
        return starts

    def position(self, offset: int) -> Position:
        """Return the line and column of an offset."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1)

    def offset(self, line: int) -> int:
        """Return where line `line` (from 1) starts."""
        return self._line_starts()[line - 1]

    def line(self, number: int) -> str:
        """Return the text of line `number` (from 1) without its line end."""
        start = self._line_starts()[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    @property
    def line_count(self) -> int:
        """How many lines there are; an empty text has one."""
        return len(self._line_starts())

    def slice(self, span: Span) -> str:
        """Return the text that a span covers."""
        return self.text[span.start : span.end]

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        digest: str | None = self._digest  # type: ignore[attr-defined]
        if digest is None:
            from hashlib import sha256

            digest = sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()
            object.__setattr__(self, "_digest", digest)
        return digest
