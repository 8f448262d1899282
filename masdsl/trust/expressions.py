"""The labels of expressions: what a value was touched by is what its parts were touched by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from masdsl.check.program import (
    Binary,
    Builtin,
    Const,
    Expr,
    GetField,
    GetItem,
    Local,
    Logical,
    MakeList,
    MakeRecord,
    Unary,
)
from masdsl.trust.labels import CLEAN, ITEM, PLAIN, Label, Value, either, join, one_of
from masdsl.types import List, Nothing

Names = Mapping[str, Value]

_ITEMS = frozenset(("first", "last"))
_REARRANGED = frozenset(("reverse", "slice"))


def value_of(node: Expr, names: Names) -> Value:
    """Return the label of what an expression gives."""
    match node:
        case Const():
            return PLAIN
        case Local():
            return names.get(node.name, PLAIN)
        case GetField():
            return value_of(node.value, names).part(node.field)
        case GetItem():
            return value_of(node.value, names).part(ITEM).under(label_of(node.index, names))
        case MakeList():
            return Value(CLEAN, {ITEM: one_of(value_of(item, names) for item in node.items)})
        case MakeRecord():
            fields = (name for name, _ in node.type.fields)
            return Value(CLEAN, {name: value_of(value, names) for name, value in zip(fields, node.values, strict=True)})
        case Binary(op="+", type=List()):
            return either(value_of(node.left, names), value_of(node.right, names))
        case Binary(op="==" | "!=") if isinstance(node.left.type, Nothing) or isinstance(node.right.type, Nothing):
            return Value(join(value_of(node.left, names).label, value_of(node.right, names).label))
        case Binary():
            return Value(join(label_of(node.left, names), label_of(node.right, names)))
        case Unary():
            return Value(label_of(node.operand, names))
        case Logical():
            return Value(join(*(label_of(operand, names) for operand in node.operands)))
        case Builtin():
            return _of_builtin(node, names)
        case _:
            assert_never(node)


def label_of(node: Expr, names: Names) -> Label:
    """Return all taints of what an expression gives."""
    return value_of(node, names).all()


def _of_builtin(node: Builtin, names: Names) -> Value:
    if not node.arguments:
        return PLAIN
    whole = value_of(node.arguments[0], names)
    if node.extern is None and isinstance(node.arguments[0].type, List):
        if node.name == "len":
            return Value(whole.label)
        if node.name in _ITEMS:
            return whole.part(ITEM)
        if node.name in _REARRANGED:
            return whole.under(join(*(label_of(other, names) for other in node.arguments[1:])))
    return Value(join(*(label_of(argument, names) for argument in node.arguments)))
