"""The built-in functions: what they give, that they are total and bounded, and that the checker knows the same ones."""

from __future__ import annotations

import builtins as python
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import masdsl.runtime
from masdsl.check import builtins as checked
from masdsl.runtime import Enum, Record
from masdsl.runtime import builtins as b
from masdsl.runtime.builtins import BUILTINS
from masdsl.sizes import LARGEST_TEXT_TOKENS, text_tokens

LARGEST, SMALLEST = 2**63 - 1, -(2**63)


class Kind(Enum):
    math = "math"
    code = "code"


class Vote(Record):
    kind: Kind
    weight: float


MATH, CODE = Vote(kind=Kind.math, weight=1.0), Vote(kind=Kind.code, weight=1.0)


def test_the_checker_knows_the_same_functions() -> None:
    assert sorted(BUILTINS) == sorted(checked.BUILTINS)
    assert (b.SPLIT_ITEMS, b.LINES_ITEMS) == (checked.SPLIT_ITEMS, checked.LINES_ITEMS)


def test_names_that_python_has_taken_end_in_an_underscore() -> None:
    for name, function in BUILTINS.items():
        own = f"{name}_" if hasattr(python, name) else name
        assert function.__name__ == own
        assert getattr(masdsl.runtime, own) is function


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("len", ["héllo"], 5), ("len", [[1, 2]], 2),
        ("contains", ["hello", "ell"], True), ("contains", [["a"], "b"], False),
        ("contains", [["math"], Kind.math], True),
        ("starts_with", ["hello", "he"], True), ("ends_with", ["hello", "he"], False),
        ("lower", ["ÀB"], "àb"), ("upper", ["straße"], "STRASSE"), ("trim", [" a \n"], "a"),
        ("join", [["a", "b"], ", "], "a, b"), ("join", [[], "x"], ""),
        ("split", ["a,b,,c", ","], ["a", "b", "", "c"]), ("split", ["abc", ""], ["abc"]), ("split", ["", ","], [""]),
        ("split", [",".join("x" * 40), ","], ["x"] * 31 + [",".join("x" * 9)]),
        ("lines", [" a \r\n\n\tb\rc"], ["a", "b", "c"]),
        ("lines", ["x\n" * 99], ["x"] * 64), ("lines", [""], []),
        ("text", [3], "3"), ("text", [3.0], "3"), ("text", [0.1], "0.1"),
        ("text", [True], "true"), ("text", ["a"], "a"),
        ("text", [Kind.math], "math"), ("text", [1e300], "1e+300"), ("text", [-0.0], "0"),
        ("int", [" 12 "], 12), ("int", ["-7"], -7), ("int", ["12.0"], None), ("int", ["x"], None), ("int", [""], None),
        ("int", ["٣"], None), ("int", ["9" * 5000], LARGEST),
        ("int", ["-" + "9" * 40], SMALLEST), ("int", ["0" * 99], 0),
        ("int", [3.9], 3), ("int", [-3.9], -3), ("int", [1e300], LARGEST), ("int", [5], 5),
        ("float", ["1.5"], 1.5), ("float", ["1e3"], 1000.0), ("float", [".5"], 0.5), ("float", ["nan"], None),
        ("float", ["inf"], None), ("float", ["1e999"], None), ("float", ["1_0"], None), ("float", [3], 3.0),
        ("number", ["it is $3,000.50."], 3000.5), ("number", ["3 + 4 = 7"], 7.0), ("number", ["from 3-4"], 4.0),
        ("number", ["minus -2"], -2.0), ("number", ["no"], None), ("number", ["1,2"], 2.0), ("number", ["80%"], 80.0),
        ("number", ["1e2"], 100.0), ("number", ["9" * 5000], None), ("number", ["#### 1,234"], 1234.0),
        ("number", ["x2"], None), ("number", ["\\boxed{12}"], 12.0), ("number", ["\u22125"], -5.0),
        ("first", [[1, 2]], 1), ("first", [[]], None), ("last", [[1, 2]], 2), ("last", [[]], None),
        ("majority", [["a", "B ", "b", "c"]], "B "), ("majority", [[]], None), ("majority", [[2, 1, 1]], 1),
        ("majority", [["x", "y"]], "x"), ("majority", [[True, 1, 1]], 1), ("majority", [[1, 1.0, 2]], 1),
        ("majority", [[MATH, CODE, CODE]], CODE), ("majority", [[{"a": 1}, {"a": 2}, {"a": 2}]], {"a": 2}),
        ("majority", [[Kind.code, Kind.math, Kind.math]], Kind.math), ("majority", [[None, None, 1]], None),
        ("min", [[3, 1, 2]], 1), ("min", [[]], None), ("min", [2, 1.5], 1.5), ("max", [[3, 1]], 3), ("max", [1, 2], 2),
        ("max", [[]], None), ("min", [0, 1], 0),
        ("slice", [[1, 2, 3, 4], 1, 3], [2, 3]), ("slice", [[1, 2], 5, 9], []), ("slice", [[1, 2, 3], -2, 99], [2, 3]),
        ("reverse", [[1, 2]], [2, 1]), ("sort", [[3, 1.5, 2]], [1.5, 2, 3]), ("sort", [["b", "a"]], ["a", "b"]),
        ("unique", [["a", "b", "a"]], ["a", "b"]), ("unique", [[MATH, CODE, MATH]], [MATH, CODE]),
        ("unique", [[{"a": 1}, {"a": 1}]], [{"a": 1}]), ("count", [["a", "A", "a"], "a"], 2),
        ("sum", [[1, 2]], 3), ("sum", [[]], 0), ("sum", [[LARGEST, 1]], LARGEST), ("sum", [[0.5, 1]], 1.5),
        ("abs", [-3], 3), ("abs", [-0.5], 0.5), ("abs", [SMALLEST], LARGEST),
        ("round", [2.5], 2), ("round", [3.5], 4), ("round", [1e300], LARGEST), ("floor", [-0.5], -1), ("floor", [7], 7),
        ("mod", [7, 3], 1), ("mod", [-7, 3], 2), ("mod", [7, -3], -2), ("mod", [7, 0], 0),
        ("all", [[]], True), ("all", [[True, False]], False), ("any", [[]], False), ("any", [[False, True]], True),
        ("range", [3], [0, 1, 2]), ("range", [-1], []), ("range", [10**9], list(range(10_000))),
    ],
)  # fmt: skip
def test_values(name: str, arguments: list[Any], value: Any) -> None:
    result = BUILTINS[name](*arguments)
    assert result == value
    assert type(result) is type(value)


def test_operators() -> None:
    assert b.plus(LARGEST, 1) == LARGEST
    assert b.plus("a", "b") == "ab"
    assert len(b.plus("a" * 100_000, "b" * 100_000)) == 6 * LARGEST_TEXT_TOKENS - 2  # the first letter counts thrice
    assert b.plus([1], [2]) == [1, 2]
    assert len(b.plus([0] * 9_000, [1] * 9_000)) == 10_000
    assert b.minus(SMALLEST, 1) == SMALLEST
    assert b.times(2**40, 2**40) == LARGEST
    assert b.times(1e300, -1e300) == -sys.float_info.max
    assert b.divide(1, 0) == 0.0
    assert b.divide(7, 2) == 3.5
    assert b.divide(-1e300, 1e-300) == -sys.float_info.max
    assert b.negative(SMALLEST) == LARGEST
    assert b.item([1, 2], -1) == 2
    assert b.item([1, 2], 2) is None
    assert b.item([1, 2], -3) is None
    assert b.present(0) == 0
    with pytest.raises(AssertionError):
        b.present(None)


def test_texts_stay_bounded() -> None:
    assert text_tokens(b.join(["x" * 1000] * 1000, "-")) == LARGEST_TEXT_TOKENS
    assert text_tokens(b.upper("ß" * 128_000)) == LARGEST_TEXT_TOKENS


_INTS = st.integers(SMALLEST, LARGEST)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_NUMBERS = _INTS | _FLOATS
_TEXTS = st.text(max_size=30)


@given(_NUMBERS, _NUMBERS)
def test_arithmetic_is_total_and_stays_in_range(x: float, y: float) -> None:
    for operator in (b.plus, b.minus, b.times, b.divide):
        result = operator(x, y)
        if isinstance(x, int) and isinstance(y, int) and operator is not b.divide:
            assert SMALLEST <= result <= LARGEST
        assert math.isfinite(result)
    for function in (b.abs_, b.round_, b.floor, b.int_, b.negative):
        assert math.isfinite(function(x))


@given(_TEXTS, _TEXTS)
def test_functions_of_texts_are_total(x: str, y: str) -> None:
    for name in ("lower", "upper", "trim", "lines", "int", "float", "number", "len", "text"):
        BUILTINS[name](x)
    for name in ("contains", "starts_with", "ends_with", "split"):
        BUILTINS[name](x, y)
    assert b.join(b.split(x, y), y) == x


@given(st.lists(_TEXTS | st.none(), max_size=8) | st.lists(_NUMBERS, max_size=8), _INTS, _INTS)
def test_functions_of_lists_are_total(items: list[Any], start: int, end: int) -> None:
    for name in ("len", "first", "last", "majority", "reverse", "unique"):
        BUILTINS[name](items)
    b.slice_(items, start, end)
    b.item(items, start)
    assert b.unique(b.unique(items)) == b.unique(items)
    assert not items or b.contains(items, b.majority(items))
