"""What to write instead of a value whose type does not fit, for the help of diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from masdsl.check.relations import fits, required
from masdsl.diagnostics.base import Fix
from masdsl.node import Span
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


def converted(given: Type, want: Type, span: Span) -> Fix | None:
    """Return the change that makes a text of what is one short of it."""
    if isinstance(given, Int | Float | Bool | Enum) and isinstance(required(want), Text):
        ends = ((Span(span.start, span.start), "text("), (Span(span.end, span.end), ")"))
        return Fix("put `text(..)` around it", ends)
    return None


class Passed(NamedTuple):
    """An argument of a call: its text, where it stands, its type, and what its parameter wants."""

    text: str
    span: Span
    given: Type
    want: Type


def swapped(arguments: Sequence[Passed]) -> Fix | None:
    """Return the change that gives two arguments each other's place, where only these two do not fit and then do."""
    wrong = [one for one in arguments if not fits(one.given, one.want)]
    if len(wrong) != 2 or wrong[0].span.end > wrong[1].span.start:
        return None
    first, second = wrong
    if not (fits(first.given, second.want) and fits(second.given, first.want)):
        return None
    return Fix(f"swap `{first.text}` and `{second.text}`", ((first.span, second.text), (second.span, first.text)))


def passing(
    missing: Mapping[str, Type], names: Mapping[str, Type], used: frozenset[str], call: Span, *, is_first: bool
) -> Fix | None:
    """Return the change that passes what a call lacks.

    That is a name that is called like the parameter, else the only one that fits and is not `used` as an argument.
    """
    given: list[str] = []
    for param, want in missing.items():
        fitting = [name for name, kind in names.items() if fits(kind, want) and name not in used]
        chosen = param if param in fitting else fitting[0] if len(fitting) == 1 else None
        if chosen is None:
            return None
        given.append(f"{param}: {chosen}")
    end = Span(call.end - 1, call.end - 1)
    listed = ", ".join(given)
    return Fix(f"pass `{listed}`", ((end, listed if is_first else f", {listed}"),))


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
