"""The lines of a source that marks stand on, with the marks drawn below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from masdsl.diagnostics.escape import expand_line, width
from masdsl.node import Span
from masdsl.source import Source

MAX_COLUMNS = 100
CONTEXT = 30
WRAP = 80
MAX_MARKS = 12
GAP = "..."


class Mark(NamedTuple):
    """A place to underline and a remark about it; the main one is drawn with `^`, the others with `-`."""

    span: Span
    text: str
    main: bool


class Row(NamedTuple):
    """A source line (with its number), a gap (number is `...`) or the marks below a line (number is None)."""

    number: str | None
    text: str
    main: bool


class Excerpt(NamedTuple):
    """Rows, and how many columns line numbers take: those of the widest one and a blank."""

    margin: int
    rows: list[Row]


class _Line(NamedTuple):
    """An underline from one character of a line (from 0) to another, exclusive."""

    start: int
    end: int
    text: str
    main: bool


def excerpt(source: Source, marks: Sequence[Mark]) -> Excerpt:
    """Return the marked lines of `source` in order, with `...` between lines that are not neighbours.

    A mark over several lines shows its first and its last one. Lines wider than `MAX_COLUMNS` are cut around their
    first mark, main marks first. At most `MAX_MARKS` marks are drawn.
    """
    by_line: dict[int, list[_Line]] = {}
    for mark in marks[:MAX_MARKS]:
        for number, line in _underlines(source, mark):
            by_line.setdefault(number, []).append(line)
    margin = len(str(max(by_line))) + 1
    rows: list[Row] = []
    previous = 0
    for number in sorted(by_line):
        if rows and number == previous + 2:
            rows.append(Row(str(number - 1), _cut(source.line(number - 1), [])[0], False))
        elif rows and number > previous + 1:
            rows.append(Row(GAP, "", False))
        lines = sorted(by_line[number], key=lambda line: (not line.main, line.start))
        shown, drawn = _cut(source.line(number), lines)
        rows.append(Row(str(number), shown, False))
        rows.extend(Row(None, text, line.main) for text, line in zip(drawn, lines, strict=True))
        previous = number
    return Excerpt(margin, rows)


def _underlines(source: Source, mark: Mark) -> list[tuple[int, _Line]]:
    size = len(source.text)
    start, end = min(mark.span.start, size), min(mark.span.end, size)
    while end > start and source.text[end - 1] in " \t\n":
        end -= 1
    first, at = source.position(start)
    last, until = source.position(end)
    if first == last:
        return [(first, _Line(at - 1, max(until - 1, at), mark.text, mark.main))]
    opening, closing = source.line(first), source.line(last)
    indent = len(closing) - len(closing.lstrip(" \t"))
    return [
        (first, _Line(at - 1, max(len(opening), at), mark.text, mark.main)),
        (last, _Line(min(indent, until - 2), until - 1, "", mark.main)),
    ]


def _cut(line: str, marks: Sequence[_Line]) -> tuple[str, list[str]]:
    """Return a line as shown and the drawing of each mark below it."""
    focus = min(marks[0].start, len(line)) if marks else 0
    start, stop = max(0, focus - MAX_COLUMNS), min(len(line), focus + MAX_COLUMNS)
    shown, columns = expand_line(line[start:stop])
    if start or stop < len(line) or columns[-1] > MAX_COLUMNS:
        middle = focus - start
        start += next(at for at in range(middle + 1) if columns[middle] - columns[at] <= MAX_COLUMNS - CONTEXT)
        shown, columns = expand_line(line[start:stop])
        stop = start + max(at for at, column in enumerate(columns) if column <= MAX_COLUMNS)
        shown, columns = expand_line(line[start:stop])
    before, after = GAP if start else "", GAP if stop < len(line) else ""
    drawn = []
    for mark in marks:
        left = _column(columns, mark.start - start)
        right = max(_column(columns, mark.end - start), left + 1)
        drawn.append(
            " " * (len(before) + left) + ("^" if mark.main else "-") * (right - left) + f" {mark.text}".rstrip()
        )
    return before + shown + after, drawn


def _column(columns: list[int], at: int) -> int:
    """Return the column of a character of the shown part; one that is cut off stands at the nearer edge."""
    return columns[min(max(at, 0), len(columns) - 1)]


def wrapped(text: str, prefix: str) -> list[str]:
    """Return `text` in lines of about `WRAP` columns, the first one shortened by `prefix`; code in backticks stays
    whole.
    """
    room = WRAP - len(prefix)
    lines = [""]
    for word in _words(text):
        if lines[-1] and width(lines[-1]) + 1 + width(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def _words(text: str) -> list[str]:
    words: list[str] = []
    open_code = False
    for word in text.split(" "):
        if open_code:
            words[-1] += " " + word
        else:
            words.append(word)
        open_code ^= word.count("`") % 2 == 1
    return words
