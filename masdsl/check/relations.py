"""How types relate: what fits where, what two branches have in common, how types are shown."""

from __future__ import annotations

from typing import assert_never

from masdsl.sizes import LARGEST_LIST, LARGEST_TEXT_TOKENS
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Opaque, Optional, Record, Text, Type, Unknown


def fits(given: Type, wanted: Type) -> bool:
    """Say whether a value of `given` may stand where `wanted` is expected.

    Sizes of texts never matter (the runtime clips, a lint warns). A list must not be empty where at least one item is
    wanted. An int fits a float.
    """
    match given, wanted:
        case (Unknown(), _) | (_, Unknown()):
            return True
        case (Nothing(), Optional()):
            return True
        case (Optional(inner=a), Optional(inner=b)):
            return fits(a, b)
        case (_, Optional(inner=inner)):
            return fits(given, inner)
        case (Text(), Text()) | (Int(), Int() | Float()) | (Float(), Float()) | (Bool(), Bool()):
            return True
        case (List(), List()):
            return given.low >= min(wanted.low, 1) and (given.high == 0 or fits(given.element, wanted.element))
        case (Record(name=None), Record(name=None)):
            names = [field for field, _ in given.fields]
            return names == [field for field, _ in wanted.fields] and all(
                fits(a, b) for (_, a), (_, b) in zip(given.fields, wanted.fields, strict=True)
            )
        case _:
            return given == wanted


def join(a: Type, b: Type) -> Type | None:
    """Return the smallest type that both fit into, or None where there is none."""
    match a, b:
        case (Unknown(), _) | (_, Unknown()):
            return Unknown()
        case (Nothing(), Nothing()):
            return a
        case (Nothing(), other) | (other, Nothing()):
            return optional(other)
        case (Optional(), _) | (_, Optional()):
            common = join(required(a), required(b))
            return None if common is None else optional(common)
        case (Text(), Text()):
            return Text(max(a.cap, b.cap))
        case (Int() | Float(), Float()) | (Float(), Int()):
            return Float()
        case (List(), List()):
            if a.high == 0 or b.high == 0:
                element: Type | None = b.element if a.high == 0 else a.element
            else:
                element = join(a.element, b.element)
            return None if element is None else List(element, min(a.low, b.low), max(a.high, b.high))
        case (Record(), Record()) if a != b and a.name is None and b.name is None:
            if [field for field, _ in a.fields] != [field for field, _ in b.fields]:
                return None
            kinds = [join(x, y) for (_, x), (_, y) in zip(a.fields, b.fields, strict=True)]
            if any(kind is None for kind in kinds):
                return None
            return Record(
                None, a.module, tuple((f, k) for (f, _), k in zip(a.fields, kinds, strict=True) if k is not None)
            )
        case _:
            return a if a == b else None


def optional(kind: Type) -> Type:
    """Return `kind?`; an optional stays as it is."""
    return kind if isinstance(kind, Optional | Unknown | Nothing) else Optional(kind)


def required(kind: Type) -> Type:
    """Return the type without `?`."""
    return kind.inner if isinstance(kind, Optional) else kind


def text(tokens: int) -> Text:
    """Return a text type under the hard cap."""
    return Text(min(tokens, LARGEST_TEXT_TOKENS))


def list_of(element: Type, low: int, high: int) -> List:
    """Return a list type under the hard cap."""
    return List(element, min(low, LARGEST_LIST), min(high, LARGEST_LIST))


def grown(first: Type, second: Type, rounds: int) -> Type:
    """Return what a carried name may be after `rounds` more rounds that each add what lies between two joined types.

    Sizes grow by their difference each round (an accumulating list is linear in its size); everything else is `second`.
    """
    match first, second:
        case (Text(), Text()):
            return text(second.cap + rounds * max(0, second.cap - first.cap))
        case (List(), List()):
            high = second.high + rounds * max(0, second.high - first.high)
            element = second.element if first.high == 0 else grown(first.element, second.element, rounds)
            return list_of(element, second.low, high)
        case (Optional(), Optional()):
            return optional(grown(first.inner, second.inner, rounds))
        case (_, Optional()):
            return optional(grown(first, second.inner, rounds))
        case (Record(name=None), Record(name=None)):
            pairs = zip(first.fields, second.fields, strict=True)
            return Record(None, second.module, tuple((field, grown(a, b, rounds)) for (_, a), (field, b) in pairs))
        case _:
            return second


def unlimited(kind: Type) -> Type:
    """Return the type with every size that may grow at its hard cap."""
    match kind:
        case Text():
            return text(LARGEST_TEXT_TOKENS)
        case List():
            return list_of(unlimited(kind.element), kind.low, LARGEST_LIST)
        case Optional():
            return optional(unlimited(kind.inner))
        case _:
            return kind


def show(kind: Type) -> str:
    """Return the type as the language writes it."""
    match kind:
        case Text():
            return f"text({kind.cap})"
        case Int():
            return "int"
        case Float():
            return "float"
        case Bool():
            return "bool"
        case Enum():
            return kind.name
        case Record():
            if kind.name is not None:
                return kind.name
            return "(" + ", ".join(f"{field}: {show(inner)}" for field, inner in kind.fields) + ")"
        case List():
            if kind.high == 0:
                return "an empty list"
            return f"{show(kind.element)}[{kind.high}]" + ("+" if kind.low else "")
        case Optional():
            return show(kind.inner) + "?"
        case Nothing():
            return "none"
        case Unknown():
            return "an unknown type"
        case Opaque():
            return kind.name
        case _:
            assert_never(kind)
