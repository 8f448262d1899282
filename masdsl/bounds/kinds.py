"""How large values can be at a point of a run: types whose sizes are narrower than the declared ones.

The checker gives every expression a type that holds wherever control comes by. Here the same expression is looked at
for one iteration, or one call of a flow: a list that a loop fills has two items in the third round, a flow that gets a
short literal makes short prompts. `kind_of` never says more than the expression's own type does.
"""

from __future__ import annotations

from collections.abc import Mapping

from masdsl.check import externs
from masdsl.check.builtins import result_type
from masdsl.check.program import (
    Binary,
    Builtin,
    Const,
    Expr,
    GetField,
    GetItem,
    Local,
    MakeList,
    MakeRecord,
    RecordValue,
    Value,
)
from masdsl.sizes import text_tokens
from masdsl.types import List, Nothing, Optional, Record, Text, Type

Kinds = Mapping[str, Type]
"""What is known of the names at a point; a name that is missing has the type of the expression that reads it."""


def kind_of(node: Expr, kinds: Kinds) -> Type:
    """Return the type of an expression's value, with sizes that follow from `kinds`."""
    match node:
        case Local():
            known = kinds.get(node.name)
            return node.type if known is None else narrowed(known, node.type)
        case Const():
            return constant(node.value, node.type)
        case GetField():
            record = _given(kind_of(node.value, kinds))
            field = record.field(node.field) if isinstance(record, Record) else None
            return node.type if field is None else narrowed(field, node.type)
        case GetItem():
            items = _given(kind_of(node.value, kinds))
            return narrowed(items.element, node.type) if isinstance(items, List) and items.high else node.type
        case Binary(op="+"):
            return _sum(kind_of(node.left, kinds), kind_of(node.right, kinds), node.type)
        case MakeList():
            if not node.items:
                return node.type
            element = kind_of(node.items[0], kinds)
            for item in node.items[1:]:
                element = wider(element, kind_of(item, kinds), node.type.element)
            return narrowed(List(element, len(node.items), len(node.items)), node.type)
        case MakeRecord():
            values = (kind_of(value, kinds) for value in node.values)
            fields = tuple((name, kind) for (name, _), kind in zip(node.type.fields, values, strict=True))
            return narrowed(Record(node.type.name, node.type.module, fields), node.type)
        case Builtin():
            arguments = [kind_of(argument, kinds) for argument in node.arguments]
            if node.extern is None:
                found = result_type(node.name, arguments)
            else:
                found = externs.result_type(node.extern, arguments)
            return node.type if found is None else narrowed(found, node.type)
        case _:
            return node.type


def constant(value: Value, kind: Type) -> Type:
    """Return the type of a constant, exactly as large as it is."""
    if isinstance(kind, Optional):
        return kind if value is None else Optional(constant(value, kind.inner))
    if isinstance(kind, Text) and isinstance(value, str):
        return Text(min(kind.cap, text_tokens(value)))
    if isinstance(kind, List) and isinstance(value, tuple):
        if not value:
            return List(kind.element, 0, 0)
        element = constant(value[0], kind.element)
        for item in value[1:]:
            element = wider(element, constant(item, kind.element), kind.element)
        return List(element, min(len(value), kind.high), min(len(value), kind.high))
    if isinstance(kind, Record) and isinstance(value, RecordValue):
        pairs = zip(kind.fields, value.values, strict=True)
        return Record(kind.name, kind.module, tuple((name, constant(item, field)) for (name, field), item in pairs))
    return kind


def narrowed(known: Type, declared: Type) -> Type:
    """Return `declared` with the sizes of `known` wherever these are smaller."""
    if known is declared:
        return declared
    match known, declared:
        case Text(), Text():
            return known if known.cap < declared.cap else declared
        case List(), List():
            element = narrowed(known.element, declared.element) if known.high else declared.element
            high = min(known.high, declared.high)
            return List(element, min(max(known.low, declared.low), high), high)
        case Record(), Record() if len(known.fields) == len(declared.fields):
            pairs = zip(known.fields, declared.fields, strict=True)
            fields = tuple((name, narrowed(a, b)) for (_, a), (name, b) in pairs)
            return Record(declared.name, declared.module, fields)
        case Optional(), Optional():
            return Optional(narrowed(known.inner, declared.inner))
        case Nothing(), _:
            return declared
        case Optional(), _:
            return narrowed(known.inner, declared)
        case _, Optional():
            return Optional(narrowed(known, declared.inner))
        case _:
            return declared


def wider(one: Type, other: Type, declared: Type) -> Type:
    """Return what holds for values of either type; both are narrower forms of `declared`."""
    found = union(narrowed(one, declared), narrowed(other, declared))
    return declared if found is None else found


def union(one: Type, other: Type) -> Type | None:
    """Return what holds for values of either of two forms of one type; None where they are not forms of one type."""
    if one == other:
        return one
    match one, other:
        case Text(), Text():
            return one if one.cap > other.cap else other
        case List(), List():
            low, high = min(one.low, other.low), max(one.high, other.high)
            if not one.high or not other.high:
                return List(other.element if other.high else one.element, low, high)
            element = union(one.element, other.element)
            return None if element is None else List(element, low, high)
        case Record(), Record() if len(one.fields) == len(other.fields):
            kinds = [union(a, b) for (_, a), (_, b) in zip(one.fields, other.fields, strict=True)]
            pairs = zip(one.fields, kinds, strict=True)
            fields = tuple((name, kind) for (name, _), kind in pairs if kind is not None)
            return None if len(fields) < len(kinds) else Record(one.name, one.module, fields)
        case Optional(), Optional():
            inner = union(one.inner, other.inner)
            return None if inner is None else Optional(inner)
        case _:
            return None


def _given(kind: Type) -> Type:
    return kind.inner if isinstance(kind, Optional) else kind


def _sum(left: Type, right: Type, declared: Type) -> Type:
    match left, right:
        case Text(), Text():
            return narrowed(Text(left.cap + right.cap), declared)
        case List(), List() if isinstance(declared, List):
            if not left.high or not right.high:
                element = right.element if right.high else left.element
            else:
                element = wider(left.element, right.element, declared.element)
            return narrowed(List(element, left.low + right.low, left.high + right.high), declared)
        case _:
            return declared
