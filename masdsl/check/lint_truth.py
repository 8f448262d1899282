"""What can be said about a condition without running it: constants, and lengths that types bound."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from masdsl.check.program import Binary, Builtin, Const, Expr, Logical, Unary
from masdsl.sizes import MOST_CHARACTERS_PER_TOKEN
from masdsl.types import List, Text

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Interval(NamedTuple):
    """The numbers from `low` to `high`."""

    low: float
    high: float


def truth(node: Expr) -> bool | None:
    """Return what a condition always is, or None where that depends on the run."""
    match node:
        case Const():
            return node.value if isinstance(node.value, bool) else None
        case Unary(op="not"):
            inner = truth(node.operand)
            return None if inner is None else not inner
        case Logical():
            known = [truth(operand) for operand in node.operands]
            decisive = node.op == "or"
            if decisive in known:
                return decisive
            return None if None in known else not decisive
        case Binary() if node.op in _COMPARE:
            return _comparison(node)
        case _:
            return None


def _comparison(node: Binary) -> bool | None:
    if isinstance(node.left, Const) and isinstance(node.right, Const):
        try:
            return _COMPARE[node.op](node.left.value, node.right.value)
        except TypeError:
            return None
    if node.left == node.right:
        return node.op in ("==", "<=", ">=")
    left, right = interval(node.left), interval(node.right)
    if left is None or right is None:
        return None
    ends = [_COMPARE[node.op](a, b) for a in left for b in right]
    if node.op in ("==", "!="):
        return (node.op == "!=") if left.high < right.low or right.high < left.low else None
    return ends[0] if all(ends) or not any(ends) else None


def interval(node: Expr) -> Interval | None:
    """Return the bounds of a number that types give it, or None."""
    match node:
        case Const() if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return Interval(node.value, node.value)
        case Builtin(name="len", arguments=(items,)):
            if isinstance(items.type, List):
                return Interval(items.type.low, items.type.high)
            return Interval(0, items.type.cap * MOST_CHARACTERS_PER_TOKEN) if isinstance(items.type, Text) else None
        case Builtin(name="count", arguments=(items, _)) if isinstance(items.type, List):
            return Interval(0, items.type.high)
        case _:
            return None
