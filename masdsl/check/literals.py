"""Constants: expressions of literals as plain values."""

from __future__ import annotations

from masdsl.check.program import Const, Expr, MakeList, MakeRecord, RecordValue, Unary, Value


class NotConstantError(Exception):
    """Raised by `as_value` for an expression that is computed."""


def as_value(expr: Expr) -> Value:
    """Return the value of an expression made of literals only; raises NotConstantError for any other."""
    match expr:
        case Const():
            return expr.value
        case MakeList():
            return tuple(as_value(item) for item in expr.items)
        case MakeRecord():
            return RecordValue(expr.type, tuple(as_value(value) for value in expr.values))
        case Unary(op="-", operand=Const(value=int() | float() as number)):
            return -number
        case _:
            raise NotConstantError
