"""The types of the built-in functions. `masdsl/runtime/builtins.py` has their values; a test matches the two tables.

Every function is pure, total and bounded. What may be missing, such as the first item of a list that may be empty, is
an optional; on a list that is known to have an item (`T[n]+`) it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from masdsl.check.relations import join, optional, text
from masdsl.sizes import (
    BOOL_COUNTED,
    DEFAULT_TEXT_TOKENS,
    FLOAT_COUNTED,
    INT_COUNTED,
    LARGEST_LIST,
    capitals_tokens,
    text_tokens,
)
from masdsl.types import Bool, Enum, Float, Int, List, Opaque, Text, Type, Unknown

SPLIT_ITEMS = 32
LINES_ITEMS = 64

Rule = Callable[[Sequence[Type]], Type | None]


class Signature(NamedTuple):
    """How a built-in function is written in messages and in the reference, and its type rule.

    The rule gets the types of the arguments and returns the type of the result, or None where they do not fit.
    """

    text: str
    summary: str
    rule: Rule


def _text_to_text(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text() as kind]:
            return kind
    return None


def _to_capitals(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text(cap=cap)]:
            return Text(capitals_tokens(cap))
    return None


def _texts_to_bool(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text(), Text()]:
            return Bool()
    return None


def _length(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text() | List()]:
            return Int()
    return None


def _contains(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text(), Text()]:
            return Bool()
        case [List() as items, item] if _may_hold(items, item):
            return Bool()
    return None


def _count(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List() as items, item] if _may_hold(items, item):
            return Int()
    return None


def _may_hold(items: List, item: Type) -> bool:
    return items.high == 0 or join(items.element, item) is not None


def _join(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List(high=0), Text()]:
            return Text(0)
        case [List(element=Text() as element) as items, Text() as separator]:
            return text(items.high * element.cap + (items.high - 1) * separator.cap)
    return None


def _split(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text() as whole, Text()]:
            return List(whole, 0, SPLIT_ITEMS)
    return None


def _lines(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text() as whole]:
            return List(whole, 0, LINES_ITEMS)
    return None


def _to_text(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text() as kind]:
            return kind
        case [Int()]:
            return Text(-(-INT_COUNTED // 2))
        case [Float()]:
            return Text(-(-FLOAT_COUNTED // 2))
        case [Bool()]:
            return Text(-(-BOOL_COUNTED // 2))
        case [Enum(words=words)]:
            return text(max(map(text_tokens, words)))
        case [Opaque()]:
            return Text(DEFAULT_TEXT_TOKENS)
    return None


def _to_int(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text()]:
            return optional(Int())
        case [Int() | Float()]:
            return Int()
    return None


def _to_float(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text()]:
            return optional(Float())
        case [Int() | Float()]:
            return Float()
    return None


def _number(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Text()]:
            return optional(Float())
    return None


def _item(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List() as items]:
            return items.element if items.low > 0 else optional(items.element)
    return None


def _extreme(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List(high=0) | List(element=Int() | Float())]:
            return _item(kinds)
        case [Int() | Float() as left, Int() | Float() as right]:
            return join(left, right)
    return None


def _slice(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List() as items, Int(), Int()]:
            return List(items.element, 0, items.high)
    return None


def _same_list(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List() as items]:
            return items
    return None


def _sorted(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List(high=0) | List(element=Text() | Int() | Float()) as items]:
            return items
    return None


def _unique(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List() as items]:
            return List(items.element, min(items.low, 1), items.high)
    return None


def _sum(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List(high=0)]:
            return Int()
        case [List(element=Int() | Float() as element)]:
            return element
    return None


def _same_number(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Int() | Float() as kind]:
            return kind
    return None


def _whole(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Int() | Float()]:
            return Int()
    return None


def _mod(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Int(), Int()]:
            return Int()
    return None


def _bools(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [List(high=0) | List(element=Bool())]:
            return Bool()
    return None


def _range(kinds: Sequence[Type]) -> Type | None:
    match kinds:
        case [Int()]:
            return List(Int(), 0, LARGEST_LIST)
    return None


BUILTINS: dict[str, Signature] = {
    "len": Signature("len(text or T[n]) -> int", "characters of a text, or items of a list", _length),
    "contains": Signature(
        "contains(text, text) or contains(T[n], T) -> bool", "whether the second is in the first", _contains
    ),
    "starts_with": Signature(
        "starts_with(text, text) -> bool", "whether the first starts with the second", _texts_to_bool
    ),
    "ends_with": Signature("ends_with(text, text) -> bool", "whether the first ends with the second", _texts_to_bool),
    "lower": Signature("lower(text) -> text", "in lower case", _text_to_text),
    "upper": Signature("upper(text) -> text", "in upper case", _to_capitals),
    "trim": Signature("trim(text) -> text", "without white space at both ends", _text_to_text),
    "join": Signature("join(text[n], text) -> text", "the items with the second between them", _join),
    "split": Signature(
        f"split(text, text) -> text[{SPLIT_ITEMS}]", "the parts between separators; the rest stays in the last", _split
    ),
    "lines": Signature(f"lines(text) -> text[{LINES_ITEMS}]", "the lines that are not blank, trimmed", _lines),
    "text": Signature("text(int, float, bool, enum or text) -> text", "the value as text", _to_text),
    "int": Signature(
        "int(text) -> int?, int(number) -> int", "the whole number a text is, or a number towards zero", _to_int
    ),
    "float": Signature("float(text) -> float?, float(number) -> float", "the number a text is", _to_float),
    "number": Signature("number(text) -> float?", "the last number in a text", _number),
    "first": Signature("first(T[n]) -> T?, first(T[n]+) -> T", "the first item", _item),
    "last": Signature("last(T[n]) -> T?, last(T[n]+) -> T", "the last item", _item),
    "majority": Signature(
        "majority(T[n]) -> T?, majority(T[n]+) -> T", "the most frequent item; of equals, the earliest", _item
    ),
    "min": Signature("min(numbers) or min(a, b)", "the least; of a list that may be empty, optional", _extreme),
    "max": Signature("max(numbers) or max(a, b)", "the greatest; of a list that may be empty, optional", _extreme),
    "slice": Signature("slice(T[n], int, int) -> T[n]", "the items from the first index up to the second", _slice),
    "reverse": Signature("reverse(T[n]) -> T[n]", "in opposite order", _same_list),
    "sort": Signature("sort(T[n]) -> T[n]", "numbers or texts in ascending order", _sorted),
    "unique": Signature("unique(T[n]) -> T[n]", "each item once, in order of first appearance", _unique),
    "count": Signature("count(T[n], T) -> int", "how often the item occurs", _count),
    "sum": Signature("sum(numbers) -> number", "the sum; 0 of an empty list", _sum),
    "abs": Signature("abs(number) -> number", "without sign", _same_number),
    "round": Signature("round(number) -> int", "the nearest whole number; halves to even", _whole),
    "floor": Signature("floor(number) -> int", "the greatest whole number that is not above", _whole),
    "mod": Signature("mod(int, int) -> int", "the remainder, with the sign of the second; 0 where that is 0", _mod),
    "all": Signature("all(bool[n]) -> bool", "whether every item is true", _bools),
    "any": Signature("any(bool[n]) -> bool", "whether some item is true", _bools),
    "range": Signature(
        "range(int) -> int[n]", "0, 1, .. below the number (a literal gives the list its length)", _range
    ),
}


def result_type(name: str, kinds: Sequence[Type]) -> Type | None:
    """Return the type of a call of a built-in function, or None where the arguments do not fit."""
    if any(isinstance(kind, Unknown) for kind in kinds):
        return Unknown()
    return BUILTINS[name].rule(kinds)
