"""`mas fmt`: a document in its canonical layout, with proof that the layout is all that changed."""

from __future__ import annotations

import re

from masdsl.diagnostics.base import Finding, Findings
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax.parse import Parsed, parse_binding, parse_patch, parse_program
from masdsl.syntax.print import format_document

_FIRST_WORD = re.compile(r"(?:[ \t\n]|#[^\n]*)*([a-z]*)")


def format_source(source: Source, findings: Findings) -> str | None:
    """Return the canonical text of a program, binding or patch, or None where it has syntax errors.

    Which of them it is follows from its first word: `bind`, `patch`, anything else is a program.

    Raises AssertionError if that text does not mean the same as the given one: then nothing must be overwritten.
    """
    parsed = _parse(source, findings)
    if not parsed.ok:
        return None
    text = format_document(parsed)
    if text != source.text:
        again = _parse(Source(source.name, text), Findings())
        assert again.ok and again.document == parsed.document, "the formatted text would not mean the same"
        assert len(again.comments) == len(parsed.comments), "the formatted text would lose comments"
    return text


def layout_finding(source: Source, text: str) -> Finding:
    """Return what `mas fmt --check` reports about a source that differs from its canonical text.

    It is about the lines between the first and the last one that differ. Where none does, it is about line ends or a
    byte-order mark, which the source has lost.
    """
    from masdsl.diagnostics.syntax import NotFormatted

    before, after = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    tail = 0
    while tail < min(len(before), len(after)) - same and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    start = sum(map(len, before[:same]))
    end = len(source.text) - sum(map(len, before[len(before) - tail :]))
    return Finding(source, NotFormatted("".join(after[same : len(after) - tail]), span=Span(start, end)))


def _parse(source: Source, findings: Findings) -> Parsed:
    first = _FIRST_WORD.match(source.text)
    match first and first.group(1):
        case "bind":
            return parse_binding(source, findings)
        case "patch":
            return parse_patch(source, findings)
        case _:
            return parse_program(source, findings)
