"""Marks: the comments that tie lines of generated Python to lines of the program.

`# mas:12` means line 12 of the program, `# std.vote:5` line 5 of a module that it imports. They are the only line map
there is, and `masdsl.runtime.loader` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping

from masdsl.node import NOWHERE, Span
from masdsl.source import Source

OWN = "mas"


class Marks:
    """Writes marks for spans of one module's source."""

    def __init__(self, sources: Mapping[str, Source], module: str) -> None:
        self._source = sources.get(module)
        self._name = module or OWN

    def at(self, span: Span) -> str:
        """Return the mark for the start of a span, with the blanks before it; nothing for a span that is nowhere."""
        if span == NOWHERE or self._source is None:
            return ""
        return f"  # {self._name}:{self._source.position(span.start).line}"
