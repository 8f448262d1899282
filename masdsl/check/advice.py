"""What to write instead of a value whose type does not fit, for the help of diagnostics."""

from __future__ import annotations

from masdsl.check.relations import fits, required
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Text, Type


def conversion(given: Type, want: Type) -> str:
    """Return how to make what is wanted of a value; empty where nothing is usual."""
    match given, required(want):
        case Int() | Float() | Bool() | Enum(), Text():
            return "convert it: `text(x)`"
        case Text(), Int():
            return "convert it on a line of its own: `n = int(x) else 0`"
        case Text(), Float():
            return "convert it on a line of its own: `n = number(x) else 0.0`"
        case Float(), Int():
            return "convert it: `round(x)` or `floor(x)`"
        case Text(), Enum() as enum:
            return f"write a word of the enum: `{enum.name}.{enum.words[0]}`"
        case List(), List() as wanted if given.low == 0 and wanted.low > 0 and fits(given.element, wanted.element):
            return "the list may be empty: add an item, or test it first and use a literal list"
        case List() as items, other if fits(items.element, other):
            return "take one item: `name = first(x) else ...`"
        case other, List() as items if fits(other, items.element):
            return "make a list of it: `[x]`"
        case _:
            return ""


def test_of(kind: Type) -> str:
    """Return how to make a condition of a value that is no bool."""
    match kind:
        case Text():
            return 'compare it: `x != ""`, or let the agent return `bool`'
        case List():
            return "compare its length: `len(x) > 0`"
        case Int() | Float():
            return "compare it: `x > 0`"
        case Optional():
            return "compare it: `x != none`"
        case Enum():
            return f"compare it: `x == {kind.name}.{kind.words[0]}`, or use `match`"
        case _:
            return "compare it with something"
