"""What operators with two operands take and give."""

from __future__ import annotations

from typing import Final

from masdsl.check.relations import join, list_of, text
from masdsl.types import Bool, Float, Int, List, Text, Type

COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})


def operation_type(op: str, left: Type, right: Type) -> Type | None:
    """Return the type of `left op right`, None where the operator does not take such operands."""
    numbers = isinstance(left, Int | Float) and isinstance(right, Int | Float)
    if op in ("==", "!="):
        return Bool() if join(left, right) is not None else None
    if op in COMPARISONS:
        return Bool() if numbers else None
    if op == "/":
        return Float() if numbers else None
    if numbers:
        return join(left, right)
    match op, left, right:
        case "+", Text(), Text():
            return text(left.cap + right.cap)
        case "+", List(), List():
            element = (
                right.element
                if left.high == 0
                else left.element
                if right.high == 0
                else join(left.element, right.element)
            )
            return None if element is None else list_of(element, left.low + right.low, left.high + right.high)
        case _:
            return None
