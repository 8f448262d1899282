"""The types of the built-in functions; `masdsl/runtime/builtins.py` has their values (a test matches the two tables).

Every function is pure, total and bounded. What may be missing, such as the first item of a list that may be empty, is an
optional; on a list that is known to have an item (`T[n]+`) it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from masdsl.check.relations import join, list_of, optional, text
from masdsl.check.types import Bool, Enum, Float, Int, List, Opaque, Text, Type, Unknown
from masdsl.sizes import LARGEST_LIST

NUMBER_TOKENS = 24
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


def _is_number(kind: Type) -> bool:
    return isinstance(kind, Int | Float)


def _is_scalar(kind: Type) -> bool:
    return isinstance(kind, Text | Int | Float | Bool | Enum | Opaque)


def _text_to_text(kinds: Sequence[Type]) -> Type | None:
    return kinds[0] if len(kinds) == 1 and isinstance(kinds[0], Text) else None


def _texts_to_bool(kinds: Sequence[Type]) -> Type | None:
    return Bool() if len(kinds) == 2 and all(isinstance(kind, Text) for kind in kinds) else None


def _length(kinds: Sequence[Type]) -> Type | None:
    return Int() if len(kinds) == 1 and isinstance(kinds[0], Text | List) else None


def _contains(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 2:
        return None
    whole, part = kinds
    if isinstance(whole, Text):
        return Bool() if isinstance(part, Text) else None
    return Bool() if _is_list_and_item(whole, part) else None


def _is_list_and_item(whole: Type, item: Type) -> bool:
    return isinstance(whole, List) and (whole.high == 0 or join(whole.element, item) is not None)


def _count(kinds: Sequence[Type]) -> Type | None:
    return Int() if len(kinds) == 2 and _is_list_and_item(*kinds) else None


def _join(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 2 or not isinstance(kinds[0], List) or not isinstance(kinds[1], Text):
        return None
    items, separator = kinds
    if items.high == 0:
        return Text(0)
    if not isinstance(items.element, Text):
        return None
    return text(items.high * items.element.cap + (items.high - 1) * separator.cap)


def _split(kinds: Sequence[Type]) -> Type | None:
    ok = len(kinds) == 2 and all(isinstance(kind, Text) for kind in kinds)
    return List(kinds[0], 0, SPLIT_ITEMS) if ok else None


def _lines(kinds: Sequence[Type]) -> Type | None:
    return List(kinds[0], 0, LINES_ITEMS) if len(kinds) == 1 and isinstance(kinds[0], Text) else None


def _to_text(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 1 or not _is_scalar(kinds[0]):
        return None
    return kinds[0] if isinstance(kinds[0], Text) else Text(NUMBER_TOKENS)


def _to_int(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 1 or not isinstance(kinds[0], Text | Int | Float):
        return None
    return optional(Int()) if isinstance(kinds[0], Text) else Int()


def _to_float(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 1 or not isinstance(kinds[0], Text | Int | Float):
        return None
    return optional(Float()) if isinstance(kinds[0], Text) else Float()


def _number(kinds: Sequence[Type]) -> Type | None:
    return optional(Float()) if len(kinds) == 1 and isinstance(kinds[0], Text) else None


def _item(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 1 or not isinstance(kinds[0], List):
        return None
    return kinds[0].element if kinds[0].low > 0 else optional(kinds[0].element)


def _majority(kinds: Sequence[Type]) -> Type | None:
    return _item(kinds)


def _extreme(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) == 1 and isinstance(kinds[0], List) and (kinds[0].high == 0 or _is_number(kinds[0].element)):
        return _item(kinds)
    return _both_numbers(kinds)


def _both_numbers(kinds: Sequence[Type]) -> Type | None:
    return join(kinds[0], kinds[1]) if len(kinds) == 2 and all(map(_is_number, kinds)) else None


def _slice(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 3 or not isinstance(kinds[0], List) or not all(isinstance(kind, Int) for kind in kinds[1:]):
        return None
    return List(kinds[0].element, 0, kinds[0].high)


def _same_list(kinds: Sequence[Type]) -> Type | None:
    return kinds[0] if len(kinds) == 1 and isinstance(kinds[0], List) else None


def _sorted(kinds: Sequence[Type]) -> Type | None:
    ok = len(kinds) == 1 and isinstance(kinds[0], List)
    return kinds[0] if ok and (kinds[0].high == 0 or isinstance(kinds[0].element, Text | Int | Float)) else None


def _unique(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 1 or not isinstance(kinds[0], List):
        return None
    return List(kinds[0].element, min(kinds[0].low, 1), kinds[0].high)


def _sum(kinds: Sequence[Type]) -> Type | None:
    if len(kinds) != 1 or not isinstance(kinds[0], List):
        return None
    if kinds[0].high == 0:
        return Int()
    return kinds[0].element if _is_number(kinds[0].element) else None


def _same_number(kinds: Sequence[Type]) -> Type | None:
    return kinds[0] if len(kinds) == 1 and _is_number(kinds[0]) else None


def _whole(kinds: Sequence[Type]) -> Type | None:
    return Int() if len(kinds) == 1 and _is_number(kinds[0]) else None


def _mod(kinds: Sequence[Type]) -> Type | None:
    return Int() if len(kinds) == 2 and all(isinstance(kind, Int) for kind in kinds) else None


def _bools(kinds: Sequence[Type]) -> Type | None:
    ok = len(kinds) == 1 and isinstance(kinds[0], List)
    return Bool() if ok and (kinds[0].high == 0 or isinstance(kinds[0].element, Bool)) else None


def _range(kinds: Sequence[Type]) -> Type | None:
    return list_of(Int(), 0, LARGEST_LIST) if len(kinds) == 1 and isinstance(kinds[0], Int) else None


BUILTINS: dict[str, Signature] = {
    "len": Signature("len(text or T[n]) -> int", "characters of a text, or items of a list", _length),
    "contains": Signature("contains(text, text) or contains(T[n], T) -> bool", "whether the second is in the first", _contains),
    "starts_with": Signature("starts_with(text, text) -> bool", "whether the first starts with the second", _texts_to_bool),
    "ends_with": Signature("ends_with(text, text) -> bool", "whether the first ends with the second", _texts_to_bool),
    "lower": Signature("lower(text) -> text", "in lower case", _text_to_text),
    "upper": Signature("upper(text) -> text", "in upper case", _text_to_text),
    "trim": Signature("trim(text) -> text", "without white space at both ends", _text_to_text),
    "join": Signature("join(text[n], text) -> text", "the items with the second between them", _join),
    "split": Signature(f"split(text, text) -> text[{SPLIT_ITEMS}]", "the parts between separators; the rest stays in the last", _split),
    "lines": Signature(f"lines(text) -> text[{LINES_ITEMS}]", "the lines that are not blank, trimmed", _lines),
    "text": Signature("text(int, float, bool, enum or text) -> text", "the value as text", _to_text),
    "int": Signature("int(text) -> int?, int(number) -> int", "the whole number a text is, or a number towards zero", _to_int),
    "float": Signature("float(text) -> float?, float(number) -> float", "the number a text is", _to_float),
    "number": Signature("number(text) -> float?", "the last number in a text", _number),
    "first": Signature("first(T[n]) -> T?, first(T[n]+) -> T", "the first item", _item),
    "last": Signature("last(T[n]) -> T?, last(T[n]+) -> T", "the last item", _item),
    "majority": Signature("majority(T[n]) -> T?, majority(T[n]+) -> T", "the most frequent item; of equals, the earliest", _majority),
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
    "range": Signature("range(int) -> int[n]", "0, 1, .. below the number (a literal gives the list its length)", _range),
}


def result_type(name: str, kinds: Sequence[Type]) -> Type | None:
    """Return the type of a call of a built-in function, or None where the arguments do not fit."""
    if any(isinstance(kind, Unknown) for kind in kinds):
        return Unknown()
    return BUILTINS[name].rule(kinds)


