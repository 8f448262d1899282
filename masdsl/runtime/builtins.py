"""The built-in functions of the language and its operators, as plain Python functions.

All are total and bounded: no argument of the right type makes one fail, texts and lists never grow beyond the greatest
sizes (`masdsl.sizes`), whole numbers saturate at 64 bits, and other numbers stay finite. They work on typed values and
on plain data alike. A function whose name Python has taken ends in an underscore here: `len` is `len_`.

`masdsl/check/builtins.py` has their types; `BUILTINS` maps their names in programs to the functions.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, overload

from masdsl.runtime.shapes import plain, saturate
from masdsl.runtime.text import scalar_text
from masdsl.runtime.words import NumberReader
from masdsl.sizes import LARGEST_LIST, LARGEST_TEXT_TOKENS, capitals_tokens, clip_text, text_tokens

T = TypeVar("T")

SPLIT_ITEMS: Final = 32
LINES_ITEMS: Final = 64

# ---------------------------------------------------------------- operators


@overload
def plus(a: int, b: int) -> int: ...
@overload
def plus(a: float, b: float) -> float: ...
@overload
def plus(a: str, b: str) -> str: ...
@overload
def plus(a: list[T], b: list[T]) -> list[T]: ...
def plus(a: Any, b: Any) -> Any:
    """`a + b`: the sum of numbers, or texts or lists joined, cut at the greatest size."""
    if isinstance(a, str):
        return clip_text(str(a) + str(b), LARGEST_TEXT_TOKENS)
    if isinstance(a, list):
        return [*a, *b][:LARGEST_LIST]
    return _number(a + b)


@overload
def minus(a: int, b: int) -> int: ...
@overload
def minus(a: float, b: float) -> float: ...
def minus(a: float, b: float) -> float:
    """`a - b`."""
    result: float = _number(a - b)
    return result


@overload
def times(a: int, b: int) -> int: ...
@overload
def times(a: float, b: float) -> float: ...
def times(a: float, b: float) -> float:
    """`a * b`."""
    result: float = _number(a * b)
    return result


def divide(a: float, b: float) -> float:
    """`a / b` as a float; 0.0 where b is 0."""
    try:
        return 0.0 if b == 0 else float(_number(a / b))
    except OverflowError:
        return math.copysign(sys.float_info.max, a) * math.copysign(1.0, b)


@overload
def negative(a: int) -> int: ...
@overload
def negative(a: float) -> float: ...
def negative(a: float) -> float:
    """`-a`."""
    result: float = _number(-a)
    return result


def item(items: Sequence[T], index: int) -> T | None:
    """`items[index]`, from the end where the index is negative; None where there is no such item."""
    return items[index] if -len(items) <= index < len(items) else None


def present(value: T | None) -> T:
    """Return a value that the compiler has proved to be there: `first(xs)` of a list that is never empty."""
    if value is None:
        raise AssertionError("a value that is always there is missing: this is a fault of the compiler")
    return value


def otherwise(value: T | None, default: T) -> T:
    """`a else b` of two values: the first if it is there."""
    return default if value is None else value


def _number(value: Any) -> Any:
    if isinstance(value, int):
        return saturate(value)
    if math.isfinite(value):
        return value
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else 0.0


# ---------------------------------------------------------------- texts


def len_(value: str | Sequence[Any]) -> int:
    """Characters of a text, or items of a list."""
    return len(value)


def contains(whole: str | Sequence[Any], part: Any) -> bool:
    """Whether a text, or an item, is in the first."""
    return str(part) in whole if isinstance(whole, str) else part in whole


def starts_with(text: str, beginning: str) -> bool:
    """Whether the first starts with the second."""
    return text.startswith(beginning)


def ends_with(text: str, ending: str) -> bool:
    """Whether the first ends with the second."""
    return text.endswith(ending)


def lower(text: str) -> str:
    """In lower case, never larger than the text: a dotted capital `İ` becomes a plain `i`."""
    return clip_text(str.lower(text.replace("\u0130", "i")), text_tokens(text))


def upper(text: str) -> str:
    """In upper case, cut at twice the size of the text: only letters that become three, such as `ΐ`, ever reach it."""
    return clip_text(str.upper(text), capitals_tokens(text_tokens(text)))


def trim(text: str) -> str:
    """Without white space at both ends."""
    return str.strip(text)


def join(items: Sequence[str], between: str) -> str:
    """The items with `between` between them."""
    return clip_text(str.join(between, items), LARGEST_TEXT_TOKENS)


def split(text: str, separator: str) -> list[str]:
    """The parts between separators, at most 32: the rest stays in the last. All of it where the separator is empty."""
    return str.split(text, separator, SPLIT_ITEMS - 1) if separator else [text]


def lines(text: str) -> list[str]:
    """The lines that are not blank, trimmed, at most 64."""
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text) if line.strip()][:LINES_ITEMS]


def text(value: str | float | bool) -> str:
    """A scalar as text: `true`, `3`, `0.5`, an enum's word."""
    return scalar_text(value)


# ---------------------------------------------------------------- numbers


@overload
def int_(value: str) -> int | None: ...
@overload
def int_(value: float) -> int: ...
def int_(value: str | float) -> int | None:
    """The whole number that a text is, None where it is none; a number towards zero."""
    if isinstance(value, str):
        digits = value.strip()
        match = re.fullmatch(r"([+-]?)0*([0-9]+)", digits)
        return None if match is None else saturate(int(match[1] + match[2][:40]))
    return saturate(int(value)) if math.isfinite(value) else 0


@overload
def float_(value: str) -> float | None: ...
@overload
def float_(value: float) -> float: ...
def float_(value: str | float) -> float | None:
    """The number that a text is, None where it is none; any number as a float."""
    if isinstance(value, str):
        digits = value.strip()
        if len(digits) > 1_000 or re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", digits) is None:
            return None
        number = float(digits)
        return number if math.isfinite(number) else None
    return float(value)


def number(text: str) -> float | None:
    """The last number in a text, None where there is none: `$3,000.50` is 3000.5."""
    found = _DIGITS.findall(text.replace("\u2212", "-"))
    values = [value for value in map(NumberReader().read, found[-8:]) if value is not None]
    return float(values[-1]) if values else None


_DIGITS = re.compile(
    r"(?<![\w.])-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,300})(?![0-9])(?:\.[0-9]{1,300}(?![0-9]))?(?:[eE][+-]?[0-9]{1,2}(?![0-9]))?"
)


@overload
def abs_(value: int) -> int: ...
@overload
def abs_(value: float) -> float: ...
def abs_(value: float) -> float:
    """Without sign."""
    return _number(abs(value))  # type: ignore[no-any-return]


def round_(value: float) -> int:
    """The nearest whole number; halves to even."""
    return saturate(round(value)) if math.isfinite(value) else 0


def floor(value: float) -> int:
    """The greatest whole number that is not above."""
    return saturate(math.floor(value)) if math.isfinite(value) else 0


def mod(a: int, b: int) -> int:
    """The remainder of a / b, with the sign of b; 0 where b is 0."""
    return a % b if b else 0


# ---------------------------------------------------------------- lists


def first(items: Sequence[T]) -> T | None:
    """The first item; None of an empty list."""
    return items[0] if items else None


def last(items: Sequence[T]) -> T | None:
    """The last item; None of an empty list."""
    return items[-1] if items else None


def majority(items: Sequence[T]) -> T | None:
    """The most frequent item, of equals the earliest; None of an empty list.

    Texts count as equal when they differ in case or in white space at their ends only.
    """
    votes: dict[str, int] = {}
    keys = [key_of(str(item).strip().casefold() if isinstance(item, str) else item) for item in items]
    for key in keys:
        votes[key] = votes.get(key, 0) + 1
    return max(zip(keys, items, strict=True), key=lambda pair: votes[pair[0]])[1] if items else None


def key_of(value: Any) -> str:
    """Return a text that is equal for equal values."""
    value = plain(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list):
        return f"[{','.join(map(key_of, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{key_of(inner)}' for name, inner in value.items())}}}"
    return f"{type(value).__name__}:{value!r}"


@overload
def min_(a: Sequence[T]) -> T | None: ...
@overload
def min_(a: int, b: int) -> int: ...
@overload
def min_(a: float, b: float) -> float: ...
def min_(a: Any, b: Any = None) -> Any:
    """The least of a list (None of an empty one), or of two numbers."""
    return min(a, b) if b is not None else min(a, default=None)


@overload
def max_(a: Sequence[T]) -> T | None: ...
@overload
def max_(a: int, b: int) -> int: ...
@overload
def max_(a: float, b: float) -> float: ...
def max_(a: Any, b: Any = None) -> Any:
    """The greatest of a list (None of an empty one), or of two numbers."""
    return max(a, b) if b is not None else max(a, default=None)


def slice_(items: Sequence[T], start: int, end: int) -> list[T]:
    """The items from index `start` up to, not including, `end`; from the end where an index is negative."""
    return list(items[start:end])


def reverse(items: Sequence[T]) -> list[T]:
    """In opposite order."""
    return list(items[::-1])


def sort(items: Sequence[T]) -> list[T]:
    """Numbers or texts in ascending order."""
    return sorted(items)  # type: ignore[type-var]


def unique(items: Sequence[T]) -> list[T]:
    """Each item once, in order of first appearance."""
    seen: dict[str, T] = {}
    for one in items:
        seen.setdefault(key_of(one), one)
    return list(seen.values())


def count(items: Sequence[T], item: T) -> int:
    """How often the item occurs."""
    return sum(1 for one in items if one == item)


@overload
def sum_(items: Sequence[int]) -> int: ...
@overload
def sum_(items: Sequence[float]) -> float: ...
def sum_(items: Sequence[float]) -> float:
    """The sum; 0 of an empty list."""
    total: Any = 0
    for one in items:
        total = _number(total + one)
    return total  # type: ignore[no-any-return]


def all_(items: Sequence[bool]) -> bool:
    """Whether every item is true."""
    return all(items)


def any_(items: Sequence[bool]) -> bool:
    """Whether some item is true."""
    return any(items)


def range_(end: int) -> list[int]:
    """0, 1, .. below `end`, at most 10,000 items."""
    return list(range(min(end, LARGEST_LIST)))


BUILTINS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__.removesuffix("_"): function
    for function in (
        len_, contains, starts_with, ends_with, lower, upper, trim, join, split, lines, text, int_, float_, number,
        first, last, majority, min_, max_, slice_, reverse, sort, unique, count, sum_, abs_, round_, floor, mod,
        all_, any_, range_,
    )
}  # fmt: skip
"""The built-in functions by their names in programs."""
