"""Types of values at run time: from Python annotations to shapes, and what follows from a shape.

Generated code states types as annotations, which type checkers read as well:

    Annotated[str, Tokens(60)]                      text(60); a bare `str` is text of the default size
    int, float, bool, a subclass of `Enum` or `Record`
    Annotated[list[int], Items(1, 8)]               one to eight items; a bare `list` may have up to 10,000
    int | None                                      optional

`shape_of` reads them once; `fit` and `plain` are the ways from plain data to typed values and back. What models are
told about a shape is in `masdsl.formats`; replies, which are rarely exact, have
`masdsl.runtime.replies`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from masdsl import formats, sizes, types
from masdsl.runtime.failures import ShapeError
from masdsl.runtime.text import LARGEST_INT, brief, clean


class Record(BaseModel):
    """Base of record types: frozen, compared by value, with exactly the declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Enum(enum.StrEnum):
    """Base of enum types: each member's value is its word."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`Annotated[str, Tokens(n)]`: text of at most n tokens."""

    cap: int


@dataclass(frozen=True, slots=True)
class Items:
    """`Annotated[list[T], Items(low, high)]`: from `low` to `high` items."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Alias:
    """`Annotated[T, Alias("schema")]`: the field's name in the program, where Python needs another one."""

    name: str


# ---------------------------------------------------------------- shapes


@dataclass(frozen=True, slots=True)
class TextShape:
    """Text of at most `cap` tokens."""

    cap: int


@dataclass(frozen=True, slots=True)
class IntShape:
    """A whole number of 64 bits."""


@dataclass(frozen=True, slots=True)
class FloatShape:
    """A finite number."""


@dataclass(frozen=True, slots=True)
class BoolShape:
    """true or false."""


@dataclass(frozen=True, slots=True)
class EnumShape:
    """One of the words of `type`."""

    type: type[enum.StrEnum]
    words: tuple[str, ...]


class FieldShape(NamedTuple):
    """A field: its name in the program (and in JSON), its Python attribute, and its shape."""

    name: str
    attribute: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class RecordShape:
    """The fields of `type`, in order."""

    type: type[Record]
    fields: tuple[FieldShape, ...]


@dataclass(frozen=True, slots=True)
class ListShape:
    """From `low` to `high` items."""

    element: Shape
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class OptionalShape:
    """`inner` or None."""

    inner: Shape


Shape: TypeAlias = TextShape | IntShape | FloatShape | BoolShape | EnumShape | RecordShape | ListShape | OptionalShape


def shape_of(annotation: object) -> Shape:
    """Return the shape that an annotation stands for; raise TypeError for one that stands for none."""
    try:
        return _cached_shape(annotation)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
    return _shape(annotation)


@lru_cache(maxsize=1024)
def _cached_shape(annotation: object) -> Shape:
    return _shape(annotation)


def _shape(annotation: object, metadata: Iterable[object] = ()) -> Shape:
    notes = list(metadata)
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        notes = [*more, *notes]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType) and len(arguments) == 2 and type(None) in arguments:
        inner = _shape(next(kind for kind in arguments if kind is not type(None)), notes)
        return inner if isinstance(inner, OptionalShape) else OptionalShape(inner)
    if annotation is str:
        caps = [note.cap for note in notes if isinstance(note, Tokens)]
        return TextShape(min(max(caps[-1], 0), sizes.LARGEST_TEXT_TOKENS) if caps else sizes.DEFAULT_TEXT_TOKENS)
    if annotation is bool:
        return BoolShape()
    if annotation is int:
        return IntShape()
    if annotation is float:
        return FloatShape()
    if origin is list:
        items = [note for note in notes if isinstance(note, Items)]
        low, high = (items[-1].low, items[-1].high) if items else (0, sizes.LARGEST_LIST)
        return ListShape(_shape(arguments[0]), max(low, 0), min(max(high, 0), sizes.LARGEST_LIST))
    if isinstance(annotation, type) and issubclass(annotation, enum.StrEnum):
        return EnumShape(annotation, tuple(member.value for member in annotation))
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return RecordShape(
            annotation,
            tuple(
                FieldShape(_name(attribute, field.metadata), attribute, _shape(field.annotation, field.metadata))
                for attribute, field in annotation.model_fields.items()
            ),
        )
    raise TypeError(
        f"{annotation!r} is no type of masdsl: use str, int, float, bool, list[T], T | None or a subclass of Record "
        "or Enum, with Tokens or Items in Annotated"
    )


def _name(attribute: str, metadata: Iterable[object]) -> str:
    return next((note.name for note in metadata if isinstance(note, Alias)), attribute)


# ---------------------------------------------------------------- in words


@lru_cache(maxsize=1024)
def type_of(shape: Shape) -> types.Type:
    """Return the type of the language that a shape has: what models are told about it follows from that."""
    match shape:
        case TextShape(cap):
            return types.Text(cap)
        case IntShape():
            return types.Int()
        case FloatShape():
            return types.Float()
        case BoolShape():
            return types.Bool()
        case EnumShape(kind, words):
            return types.Enum(kind.__name__, "", words)
        case ListShape(element, low, high):
            return types.List(type_of(element), low, high)
        case OptionalShape(inner):
            return types.Optional(type_of(inner))
        case RecordShape(kind, members):
            fields = tuple((field.name, type_of(field.shape)) for field in members)
            return types.Record(kind.__name__, "", fields)


def expected(shape: Shape) -> str:
    """Return what a value of the shape is, for messages."""
    return formats.expected(type_of(shape))


# ---------------------------------------------------------------- values


class Clip(NamedTuple):
    """A part of a value that was cut to its cap: where it is, its size before, and the cap, in tokens or items."""

    where: str
    size: int
    cap: int
    unit: str

    def __str__(self) -> str:
        return f"{f'`{self.where}`' if self.where else 'the value'} had {self.size} {self.unit}, the cap is {self.cap}"


class Fitted(NamedTuple):
    """A typed value within its caps, and what was cut to make it fit."""

    value: Any
    clips: tuple[Clip, ...]


def fit(value: object, shape: Shape) -> Fitted:
    """Return plain or typed data as a typed value of the shape.

    Accepted are the value's own Python type, JSON data (a mapping for a record, a word for an enum, a whole number for
    a float), tuples for lists, and dataclasses, named tuples and pydantic models for records. Whole numbers saturate at
    64 bits; texts and lists beyond their caps are cut. Everything else raises ShapeError.
    """
    if type(value) is str and type(shape) is TextShape:  # as nearly all are
        text = clean(value)
        if sizes.fits(text, shape.cap):
            return Fitted(text, ())
    clips: list[Clip] = []
    fitted = _fit(value, shape, "", clips)
    return Fitted(fitted, tuple(clips) if clips else ())


def _fit(value: Any, shape: Shape, where: str, clips: list[Clip]) -> Any:
    match shape:
        case TextShape(cap):
            if isinstance(value, str):
                text = clean(str(value))
                clipped = sizes.clip_text(text, cap)
                if len(clipped) < len(text):
                    clips.append(Clip(where, sizes.text_tokens(text), cap, "tokens"))
                return clipped
        case IntShape():
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool):
                return saturate(value)
        case FloatShape():
            if isinstance(value, int | float) and not isinstance(value, bool):
                number = to_float(value)
                if number is not None:
                    return number
        case BoolShape():
            if isinstance(value, bool):
                return value
        case EnumShape(kind, words):
            if isinstance(value, str) and str(value) in words:
                return kind(str(value))
        case OptionalShape(inner):
            return None if value is None else _fit(value, inner, where, clips)
        case ListShape(element, low, high):
            if isinstance(value, list | tuple) and len(value) >= low:
                if len(value) > high:
                    clips.append(Clip(where, len(value), high, "items"))
                return [_fit(item, element, f"{where}[{at}]", clips) for at, item in enumerate(value[:high])]
        case RecordShape(kind, members):
            parts = _parts(value, shape)
            if parts is not None:
                made: dict[str, Any] = {}
                for field in members:
                    inner_where = f"{where}.{field.name}" if where else field.name
                    if field.name in parts:
                        made[field.attribute] = _fit(parts[field.name], field.shape, inner_where, clips)
                    elif isinstance(field.shape, OptionalShape):
                        made[field.attribute] = None
                    else:
                        raise ShapeError(inner_where, expected(field.shape), "nothing")
                return kind.model_construct(**made)
    raise ShapeError(where, expected(shape), describe(value))


def _parts(value: Any, shape: RecordShape) -> Mapping[str, Any] | None:
    """Return the fields of anything record-like by their names in the program."""
    if isinstance(value, Record):
        own = shape if type(value) is shape.type else shape_of(type(value))
        assert isinstance(own, RecordShape)
        return {field.name: getattr(value, field.attribute) for field in own.fields}
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def saturate(number: int) -> int:
    """Return the nearest whole number of 64 bits."""
    return max(-LARGEST_INT - 1, min(LARGEST_INT, number))


def to_float(number: float) -> float | None:
    """Return a finite number in double precision; None for NaN, infinity and whole numbers beyond the range."""
    try:
        result = float(number)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def describe(value: object) -> str:
    """Return what a value is, in a few words, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{brief(value, 60)}"' if value else "empty text"
        case float() if not math.isfinite(value):
            return f"{value}, which is no number"
        case int() if value.bit_length() > 64:
            return "a huge number"
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case Mapping():
            names = ", ".join(brief(str(name), 20) for name in list(value)[:6])
            return f"an object with {names}" if names else "an empty object"
    return f"a value of the Python type {type(value).__name__}"


def plain(value: Any) -> Any:
    """Return a typed value as JSON data: records as dicts by the names in the program, enums as words."""
    if type(value) is str:
        return value
    if isinstance(value, Record):
        shape = shape_of(type(value))
        assert isinstance(shape, RecordShape)
        return {field.name: plain(getattr(value, field.attribute)) for field in shape.fields}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return value
