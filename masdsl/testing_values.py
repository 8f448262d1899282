"""What a test expects, evaluated after the run, and what is shown where it does not hold.

Works on plain data: records are dictionaries, a word of an enum is its text, the rest is what it is in JSON. The
checker has made sure that only values of one type meet, so plain data compares as the values do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, assert_never

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
    RecordValue,
    TagValue,
    Unary,
    Value,
)
from masdsl.diagnostics.base import Label
from masdsl.runtime.builtins import BUILTINS, divide, item, minus, negative, plus, times
from masdsl.runtime.externs import EXTERNS
from masdsl.types import Bool, Enum, List, Optional, Record, Text, Type

LONGEST = 300
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def plain_constant(value: Value) -> Any:
    """Return a constant of a program as plain data."""
    match value:
        case TagValue():
            return value.word
        case RecordValue():
            names = [name for name, _ in value.type.fields]
            return dict(zip(names, map(plain_constant, value.values), strict=True))
        case tuple():
            return [plain_constant(item) for item in value]
        case _:
            return value


class Evaluator:
    """Evaluates conditions over the names of a test; `ran` tells how often the step of an address ran."""

    def __init__(self, names: Mapping[str, Any], ran: Callable[[str], int]) -> None:
        self._names = names
        self._ran = ran

    def value(self, expr: Expr) -> Any:
        """Return the value of an expression."""
        match expr:
            case Const():
                return plain_constant(expr.value)
            case Local():
                return self._names[expr.name]
            case GetField():
                return self.value(expr.value)[expr.field]
            case GetItem():
                return item(self.value(expr.value), self.value(expr.index))
            case Unary():
                operand = self.value(expr.operand)
                return not operand if expr.op == "not" else negative(operand)
            case Binary():
                return _binary(expr.op, self.value(expr.left), self.value(expr.right))
            case Logical(op="and"):
                return all(self.value(operand) for operand in expr.operands)
            case Logical():
                return any(self.value(operand) for operand in expr.operands)
            case Builtin(name="ran", arguments=(Const(value=str(address)),)):
                return self._ran(address)
            case Builtin():
                functions = BUILTINS if expr.extern is None else EXTERNS
                return functions[expr.name](*map(self.value, expr.arguments))
            case MakeList():
                return [self.value(item) for item in expr.items]
            case MakeRecord():
                names = [name for name, _ in expr.type.fields]
                return dict(zip(names, map(self.value, expr.values), strict=True))
            case _:
                assert_never(expr)

    def observations(self, condition: Expr) -> tuple[Label, ...]:
        """Return what a reader needs to see why a condition does not hold: the values on both sides."""
        parts = {part.span: part for part in _parts(condition) if not _is_constant(part)}
        return tuple(Label(span, f"is {show(self.value(part), part.type)}") for span, part in parts.items())


def _parts(condition: Expr) -> Iterator[Expr]:
    match condition:
        case Logical():
            for operand in condition.operands:
                yield from _parts(operand)
        case Unary(op="not"):
            yield from _parts(condition.operand)
        case Binary() if condition.op in COMPARISONS:
            yield condition.left
            yield condition.right
        case Builtin() if condition.name != "ran":
            yield from condition.arguments
        case _:
            yield condition


def _is_constant(expr: Expr) -> bool:
    match expr:
        case Const():
            return True
        case MakeList():
            return all(map(_is_constant, expr.items))
        case MakeRecord():
            return all(map(_is_constant, expr.values))
        case Unary():
            return _is_constant(expr.operand)
        case _:
            return False


def _binary(op: str, left: Any, right: Any) -> Any:
    match op:
        case "+":
            return plus(left, right)
        case "-":
            return minus(left, right)
        case "*":
            return times(left, right)
        case "/":
            return divide(left, right)
        case "==":
            return left == right
        case "!=":
            return left != right
    if left is None or right is None:
        return False
    match op:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def show(value: Any, kind: Type) -> str:
    """Return plain data of a type as the language writes it, cut to a readable length."""
    text = _literal(value, kind)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _literal(value: Any, kind: Type) -> str:
    match kind:
        case _ if value is None:
            return "none"
        case Optional():
            return _literal(value, kind.inner)
        case Enum():
            return f"{kind.name}.{value}"
        case List():
            return f"[{', '.join(_literal(item, kind.element) for item in value)}]"
        case Record():
            return f"{kind.name or ''}({', '.join(f'{name}: {_literal(value[name], of)}' for name, of in kind.fields)})"
        case Bool():
            return "true" if value else "false"
        case Text():
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            return f'"{escaped}"'
        case _:
            return str(value)
