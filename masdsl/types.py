"""The types of checked programs (`grammar/spec.md`, section Types). Sizes are tokens for text and items for lists."""

from __future__ import annotations

from typing import TypeAlias

from masdsl.node import Node


class Text(Node):
    """Text of at most `cap` tokens."""

    cap: int


class Int(Node):
    """A whole number; arithmetic saturates at 64 bits."""


class Float(Node):
    """A finite number in double precision."""


class Bool(Node):
    """true or false."""


class Enum(Node):
    """One of a set of words. Two enums are one type when name, module and words agree."""

    name: str
    module: str
    words: tuple[str, ...]


class Record(Node):
    """Named fields in order; `name` is None for the anonymous record of several outputs."""

    name: str | None
    module: str
    fields: tuple[tuple[str, Type], ...]

    def field(self, name: str) -> Type | None:
        """Return the type of a field, or None where there is no such field."""
        return next((kind for field, kind in self.fields if field == name), None)


class List(Node):
    """Between `low` and `high` items (both included)."""

    element: Type
    low: int
    high: int


class Optional(Node):
    """`inner` or none. Never nested."""

    inner: Type


class Nothing(Node):
    """The type of `none`, and of the items of `[]`: assignable to every optional, joined away by any other type."""


class Unknown(Node):
    """The type of a faulty expression: fits everywhere, so that one mistake gives one diagnostic."""


class Opaque(Node):
    """A type parameter inside a flow that is checked without a caller."""

    name: str


Type: TypeAlias = Text | Int | Float | Bool | Enum | Record | List | Optional | Nothing | Unknown | Opaque
