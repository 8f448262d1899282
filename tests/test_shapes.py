"""Types at run time: annotations to shapes, JSON schemas, and values in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from masdsl.formats import count_text, reply_tokens, schema, spell
from masdsl.runtime import Alias, Enum, Items, Record, ShapeError, Tokens
from masdsl.runtime.shapes import (
    BoolShape,
    EnumShape,
    FieldShape,
    FloatShape,
    IntShape,
    ListShape,
    OptionalShape,
    RecordShape,
    Shape,
    TextShape,
    describe,
    expected,
    fit,
    plain,
    shape_of,
    type_of,
)


class Kind(Enum):
    math = "math"
    count_ = "count"


class Inner(Record):
    kind: Kind
    text: Annotated[str, Tokens(2)]


class Outer(Record):
    inner: Inner
    schema_: Annotated[int, Alias("schema")]
    notes: Annotated[list[Annotated[str, Tokens(1)]], Items(0, 2)]
    hint: Annotated[str, Tokens(3)] | None


KIND = EnumShape(Kind, ("math", "count"))
INNER = RecordShape(Inner, (FieldShape("kind", "kind", KIND), FieldShape("text", "text", TextShape(2))))
OUTER = RecordShape(
    Outer,
    (
        FieldShape("inner", "inner", INNER),
        FieldShape("schema", "schema_", IntShape()),
        FieldShape("notes", "notes", ListShape(TextShape(1), 0, 2)),
        FieldShape("hint", "hint", OptionalShape(TextShape(3))),
    ),
)


@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        (str, TextShape(800)),
        (Annotated[str, Tokens(60)], TextShape(60)),
        (Annotated[str, Tokens(10**9)], TextShape(32_000)),
        (int, IntShape()),
        (float, FloatShape()),
        (bool, BoolShape()),
        (Kind, KIND),
        (list[int], ListShape(IntShape(), 0, 10_000)),
        (Annotated[list[Annotated[str, Tokens(5)]], Items(1, 3)], ListShape(TextShape(5), 1, 3)),
        (Annotated[list[list[bool]], Items(2, 2)], ListShape(ListShape(BoolShape(), 0, 10_000), 2, 2)),
        (int | None, OptionalShape(IntShape())),
        (Annotated[str, Tokens(4)] | None, OptionalShape(TextShape(4))),
        (Annotated[str | None, Tokens(4)], OptionalShape(TextShape(4))),
        (Inner, INNER),
        (Outer, OUTER),
        (Inner | None, OptionalShape(INNER)),
    ],
)
def test_annotations_become_shapes(annotation: object, shape: Shape) -> None:
    assert shape_of(annotation) == shape


@pytest.mark.parametrize("annotation", [dict[str, int], bytes, int | str, Any, None, tuple[int, int], "int", list, []])
def test_other_annotations_are_refused(annotation: object) -> None:
    with pytest.raises(TypeError, match="no type of masdsl"):
        shape_of(annotation)


def test_schemas_bound_everything() -> None:
    assert schema(type_of(OUTER)) == {
        "type": "object",
        "properties": {
            "inner": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": ["math", "count"]},
                    "text": {"type": "string", "maxLength": 12},
                },
                "required": ["kind", "text"],
                "additionalProperties": False,
            },
            "schema": {"type": "integer"},
            "notes": {"type": "array", "items": {"type": "string", "maxLength": 6}, "minItems": 0, "maxItems": 2},
            "hint": {"anyOf": [{"type": "string", "maxLength": 18}, {"type": "null"}]},
        },
        "required": ["inner", "schema", "notes", "hint"],
        "additionalProperties": False,
    }
    assert schema(type_of(FloatShape())) == {"type": "number"}
    assert schema(type_of(BoolShape())) == {"type": "boolean"}


def test_shapes_are_spelled_for_models_and_people() -> None:
    assert spell(type_of(OUTER)) == (
        '{"inner": {"kind": "math" or "count", "text": <text>}, "schema": <whole number>, '
        '"notes": [<text>, ...] (at most 2 items), "hint": <text> or null}'
    )
    assert expected(OUTER) == "an object with the fields inner, schema, notes, hint"
    assert expected(ListShape(BoolShape(), 1, 3)) == "a list of 1 to 3 items"
    assert [count_text(1, 1), count_text(2, 2), count_text(0, 9)] == [
        "exactly 1 item",
        "exactly 2 items",
        "at most 9 items",
    ]


def test_longest_replies() -> None:
    assert reply_tokens(type_of(TextShape(50))) == 50
    assert reply_tokens(type_of(OptionalShape(TextShape(50)))) == 50
    assert reply_tokens(type_of(ListShape(TextShape(32_000), 0, 10_000))) == 32_000
    assert reply_tokens(type_of(OUTER)) > 2 + 3 + 2 * 1 + 8


# ---------------------------------------------------------------- values


@dataclass
class DataInner:
    kind: str
    text: str


class NamedInner(NamedTuple):
    kind: str
    text: str


class ModelInner(BaseModel):
    kind: str
    text: str
    extra: int = 0


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "math", "text": "abc"},
        {"kind": "math", "text": "abc", "more": 1},
        Inner(kind=Kind.math, text="abc"),
        DataInner("math", "abc"),
        NamedInner("math", "abc"),
        ModelInner(kind="math", text="abc"),
    ],
)
def test_records_are_made_of_anything_record_like(value: object) -> None:
    assert fit(value, INNER) == (Inner(kind=Kind.math, text="abc"), ())


def test_names_of_fields_are_those_of_the_program() -> None:
    value = fit({"inner": {"kind": "count", "text": ""}, "schema": 1, "notes": ()}, OUTER).value
    assert (value.schema_, value.inner.kind, value.notes, value.hint) == (1, Kind.count_, [], None)
    assert plain(value) == {"inner": {"kind": "count", "text": ""}, "schema": 1, "notes": [], "hint": None}
    assert fit(value, OUTER) == (value, ())


@pytest.mark.parametrize(
    ("value", "shape", "fitted"),
    [
        (3, FloatShape(), 3.0),
        (3.0, IntShape(), 3),
        (2**70, IntShape(), 2**63 - 1),
        (-(2**70), IntShape(), -(2**63)),
        (True, BoolShape(), True),
        ("math", KIND, Kind.math),
        (Kind.math, TextShape(9), "math"),
        (None, OptionalShape(IntShape()), None),
        ((1, 2), ListShape(IntShape(), 0, 3), [1, 2]),
        ("a\ud800b", TextShape(9), "a\ufffdb"),
        ("\ud83d\ude00", TextShape(9), "\U0001f600"),
    ],
)
def test_values_are_converted(value: object, shape: Shape, fitted: object) -> None:
    result = fit(value, shape)
    assert tuple(result) == (fitted, ())
    assert type(result.value) is type(fitted)


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        (True, IntShape(), "expected a whole number, got true"),
        (1, BoolShape(), "expected true or false, got 1"),
        (1.5, IntShape(), "expected a whole number, got 1.5"),
        ("1", IntShape(), 'expected a whole number, got "1"'),
        (math.nan, FloatShape(), "expected a number, got nan, which is no number"),
        (math.inf, FloatShape(), "expected a number, got inf, which is no number"),
        (10**400, FloatShape(), "expected a number, got a huge number"),
        (5, TextShape(9), "expected text, got 5"),
        (None, TextShape(9), "expected text, got null"),
        ("Math", KIND, 'expected one of math, count, got "Math"'),
        ([], ListShape(IntShape(), 1, 3), "expected a list of 1 to 3 items, got an empty list"),
        ("ab", ListShape(TextShape(1), 0, 3), 'expected a list of at most 3 items, got "ab"'),
        ([1, [2]], ListShape(IntShape(), 0, 3), "at `[1]`: expected a whole number, got a list of 1"),
        ({"kind": "math"}, INNER, "at `text`: expected text, got nothing"),
        ({"inner": {"kind": 1}}, OUTER, "at `inner.kind`: expected one of math, count, got 1"),
        (object(), INNER, "expected an object with the fields kind, text, got a value of the Python type object"),
        (b"x", TextShape(9), "expected text, got a value of the Python type bytes"),
    ],
)
def test_other_values_are_refused(value: object, shape: Shape, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        fit(value, shape)
    assert str(caught.value) == message


def test_caps_cut_and_say_so() -> None:
    value, clips = fit(
        {"inner": {"kind": "math", "text": "a" * 11}, "schema": 0, "notes": ["abcde", "b", "c"], "hint": "h" * 17},
        OUTER,
    )
    assert plain(value)["notes"] == ["abcd", "b"]
    assert value.inner.text == "a" * 10  # two thirds for the beginning, one for each letter
    assert [str(clip) for clip in clips] == [
        "`inner.text` had 3 tokens, the cap is 2",
        "`notes` had 3 items, the cap is 2",
        "`notes[0]` had 2 tokens, the cap is 1",
        "`hint` had 4 tokens, the cap is 3",
    ]


def test_records_are_frozen_and_exact() -> None:
    value = Inner(kind=Kind.math, text="x")
    with pytest.raises(ValidationError):
        value.text = "y"
    with pytest.raises(ValidationError):
        Inner(kind=Kind.math, text="x", other=1)  # type: ignore[call-arg]
    assert value == Inner(kind=Kind.math, text="x")


def test_descriptions_show_no_hidden_characters() -> None:
    assert describe("a\x1b[31m\u202e\n" + "x" * 500).isprintable()
    assert len(describe("x" * 500)) < 80


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON, st.sampled_from([TextShape(2), IntShape(), FloatShape(), KIND, INNER, OUTER, ListShape(INNER, 0, 2)]))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_fits_or_is_refused(value: object, shape: Shape) -> None:
    try:
        fitted = fit(value, shape).value
    except ShapeError as error:
        assert not {"Cc", "Cf", "Cs", "Zl"} & {category(letter) for letter in str(error)}
        return
    assert fit(fitted, shape) == (fitted, ())
    assert fit(plain(fitted), shape) == (fitted, ())
