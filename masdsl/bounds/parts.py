"""The shares of statements in loops: what they cost in all rounds together."""

from __future__ import annotations

from masdsl.bounds.amounts import NOTHING
from masdsl.bounds.result import Part


def added(rounds: list[tuple[tuple[Part, ...], int]]) -> tuple[Part, ...]:
    """Return the parts of all rounds of a loop together."""
    merged: dict[tuple[str, object], list[tuple[Part, int]]] = {}
    for parts, count in rounds:
        for part in parts:
            merged.setdefault((part.path, part.span), []).append((part, count))
    return tuple(_together(found) for found in merged.values())


def _together(found: list[tuple[Part, int]]) -> Part:
    first, last = found[0][0], found[-1][0]
    least = most = NOTHING
    seconds = 0
    for part, count in found:
        least = least.plus(part.least.times(count))
        most = most.plus(part.most.times(count))
        seconds += part.seconds * count
    inner = added([(part.parts, count) for part, count in found])
    others = added([(part.others, count) for part, count in found])
    return Part(first.path, last.what, first.span, least, most, seconds, inner, others)
