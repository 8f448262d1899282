"""What the built-in tools take and give. Programs are checked against this without loading any of them.

A declaration may leave out inputs that are not required and fields of the result, and have fields in any order. Where
it gives a plain value instead of a record, that is the field `main`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from masdsl.diagnostics.suggest import did_you_mean
from masdsl.tools.base import Declared, Mismatch, in_words, is_checkable, required_type
from masdsl.types import Bool, Enum, Float, Int, List, Opaque, Record, Text, Type

_TEXT: Final = Text(0)
_INT: Final = Int()
_FLOAT: Final = Float()
_BOOL: Final = Bool()
_ANY: Final = Opaque("any")
"""Of a field: its value is whatever a program gave, and is held to the declared type when it is there."""


class Signature(NamedTuple):
    """What a built-in tool takes and gives; with `many`, a list of records; with `free`, what a declaration says."""

    required: Mapping[str, Type]
    optional: Mapping[str, Type]
    fields: Mapping[str, Type]
    main: str
    many: bool = False
    free: bool = False

    def shown(self) -> str:
        """Return the signature in a line, nearly as the language writes it; `..` is a number or a default."""
        if self.free:
            return "(..) -> ..: inputs and a type as a program declares them"
        inputs = [f"{name}: {in_words(kind)}" for name, kind in self.required.items()]
        inputs += [f"{name}: {in_words(kind)} = .." for name, kind in self.optional.items()]
        fields = ", ".join(f"{name}: {_field(kind)}" for name, kind in self.fields.items())
        output = f"Item[..], type Item {{ {fields} }}" if self.many else f"({fields})"
        return f"({', '.join(inputs)}) -> {output}"


def _field(kind: Type) -> str:
    return "any type" if kind is _ANY else in_words(kind)


SIGNATURES: Final[Mapping[str, Signature]] = {
    "sandbox": Signature(
        {"code": _TEXT},
        {"tests": _TEXT, "entry": _TEXT, "arguments": _TEXT, "input": _TEXT},
        {"passed": _BOOL, "log": _TEXT, "output": _TEXT, "value": _ANY, "error": _TEXT},
        "log",
    ),
    "search": Signature(
        {"query": _TEXT},
        {"limit": _INT},
        {"id": _TEXT, "title": _TEXT, "snippet": _TEXT, "score": _FLOAT},
        "snippet",
        many=True,
    ),
    "read": Signature(
        {"id": _TEXT}, {"page": _INT}, {"text": _TEXT, "title": _TEXT, "page": _INT, "pages": _INT}, "text"
    ),
    "http": Signature(
        {"url": _TEXT},
        {"page": _INT},
        {
            "text": _TEXT,
            "title": _TEXT,
            "status": _INT,
            "page": _INT,
            "pages": _INT,
            "links": List(_TEXT, 0, 0),
        },
        "text",
    ),
    "calculator": Signature({"expression": _TEXT}, {}, {"value": _ANY}, "value"),
    "design": Signature({}, {}, {}, "", free=True),
}
"""By the kinds of built-in tools."""


def mismatches(kind: str, declared: Declared) -> Iterator[Mismatch]:
    """Yield how a declaration differs from the built-in tool that is granted under its name."""
    signature = SIGNATURES[kind]
    if signature.free:
        yield from _of_design(declared)
        return
    shown = f"the built-in `{kind}` is {signature.shown()}"
    known = {**signature.required, **signature.optional}
    for name, declared_kind in declared.inputs.items():
        expected = known.get(name)
        if expected is None:
            advice = did_you_mean(name, known, f"take it out: {shown}")
            yield Mismatch(name, f"has an input `{name}`, which it does not take", advice)
        elif is_checkable(declared_kind) and not _takes(expected, required_type(declared_kind)):
            problem = f"has the input `{name}` of type {in_words(declared_kind)}, and it takes {in_words(expected)}"
            yield Mismatch(name, problem, f"write `{name}: {in_words(expected)}`")
    for name, expected in signature.required.items():
        if name not in declared.inputs:
            yield Mismatch(None, f"lacks the input `{name}`", f"add `{name}: {in_words(expected)}`: {shown}")
    if is_checkable(declared.returns):
        yield from _of_result(kind, signature, declared.returns, shown)


def _of_design(declared: Declared) -> Iterator[Mismatch]:
    if declared.effect:
        yield Mismatch(None, "is declared with `effect`, which no design has", "take `effect` out")
    if not declared.inputs:
        yield Mismatch(None, "has no inputs, so nothing says what the system is for", "add one, as in `query`")


def _takes(expected: Type, declared: Type) -> bool:
    return isinstance(declared, type(expected)) or (isinstance(expected, Text) and isinstance(declared, Enum))


def _of_result(kind: str, signature: Signature, returns: Type, shown: str) -> Iterator[Mismatch]:
    inner = required_type(returns)
    if signature.many:
        if not isinstance(inner, List):
            problem = f"gives {in_words(returns)}, and it gives a list"
            yield Mismatch("", problem, f"write the type of a list, as in `text(60)[5]`: {shown}")
            return
        inner = required_type(inner.element)
    if kind == "calculator":
        if not isinstance(inner, Float | Int | Text):
            problem = f"gives {in_words(returns)}, and it gives a number"
            yield Mismatch("", problem, "write `float`, `int` or `text(40)`, or `float?` for none where it fails")
        return
    if not isinstance(inner, Record):
        expected = signature.fields[signature.main]
        if not _gives(expected, inner):
            problem = f"gives {in_words(returns)}, and its `{signature.main}` is {in_words(expected)}"
            yield Mismatch("", problem, f"write a type of text, or a record with some of its fields: {shown}")
        return
    for name, declared in inner.fields:
        found = signature.fields.get(name)
        if found is None:
            advice = did_you_mean(name, signature.fields, f"take the field out: {shown}")
            yield Mismatch("", f"gives a field `{name}`, which it does not have", advice)
        elif is_checkable(declared) and not _gives(found, required_type(declared)):
            problem = f"gives the field `{name}` of type {in_words(declared)}, and it is {in_words(found)}"
            yield Mismatch("", problem, f"write `{name}: {in_words(found)}`")


def _gives(value: Type, declared: Type) -> bool:
    if value is _ANY:
        return True
    if isinstance(value, List):
        return isinstance(declared, List) and _gives(value.element, required_type(declared.element))
    return isinstance(declared, type(value)) or (isinstance(value, Int) and isinstance(declared, Float))
