"""Markdown code fences in what a model wrote (CommonMark, section 4.5, with any indentation)."""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})([^\n`]*)\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """What stands between two fences: `text` is that part of the whole from `start` to `end`, in characters.

    `language` is the first word behind the opening fence, in small letters; empty where there is none.
    """

    language: str
    text: str
    start: int
    end: int


def fenced_blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text, in order. A fence that is never closed reaches to the end."""
    return [
        Block(next(iter(match[2].lower().split()), ""), match[3], *match.span(3)) for match in _FENCE.finditer(text)
    ]
