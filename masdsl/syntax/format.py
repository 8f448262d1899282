"""`mas fmt`: a program in its canonical layout, with proof that the layout is all that changed."""

from __future__ import annotations

from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import format_document


def format_source(source: Source, findings: Findings) -> str | None:
    """Return the canonical text of a program, or None where it has syntax errors.

    Raises AssertionError if that text does not mean the same as the given one: then nothing must be overwritten.
    """
    parsed = parse_program(source, findings)
    if not parsed.ok:
        return None
    text = format_document(parsed)
    if text != source.text:
        again = parse_program(Source(source.name, text), Findings())
        assert again.ok and again.document == parsed.document, "the formatted text would not mean the same"
        assert len(again.comments) == len(parsed.comments), "the formatted text would lose comments"
    return text
