"""Markdown files that are tests: headings and fenced blocks, with the lines on which they stand."""

from __future__ import annotations

import re
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block, from its fence's `line` (from 1).

    One that starts with `mas helpers.mas` has the language `mas` and the label `helpers.mas`.
    """

    headings: tuple[str, ...]
    language: str
    label: str
    text: str
    line: int


_FENCE = re.compile(r"^(`{3,})(\w*)[ \t]*(.*)$")
_HEADING = re.compile(r"^(#{1,6}) (.+)$")


def blocks(text: str) -> list[Block]:
    """Return all fenced blocks in order, each with the headings that it stands under."""
    found: list[Block] = []
    headings: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if fence := _FENCE.match(lines[at]):
            end = next((n for n in range(at + 1, len(lines)) if lines[n] == fence[1]), None)
            assert end is not None, f"line {at + 1}: this block has no end"
            body = "".join(f"{line}\n" for line in lines[at + 1 : end])
            found.append(Block(tuple(headings), fence[2], fence[3].strip(), body, at + 1))
            at = end
        elif heading := _HEADING.match(lines[at]):
            headings[len(heading[1]) - 1 :] = [heading[2]]
        at += 1
    return found
