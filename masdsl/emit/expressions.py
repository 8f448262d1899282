"""Expressions as pieces of Python text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from masdsl.check.program import RecordValue, TagValue, Value
from masdsl.emit.annotations import Types
from masdsl.emit.layout import Affix, Atom, Bracket, Operation, Piece, Row
from masdsl.emit.literals import literal, number
from masdsl.lower import ir
from masdsl.types import List, Nothing, Optional, Record, Type

_OR, _AND, _NOT, _COMPARE, _PRIMARY = range(5)
SHORT_TEXT = 40
"""A text that fits on a line wherever it stands."""
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


class Expressions:
    """Writes expressions, and collects what they need imported in `used`, functions of std modules in `externs`."""

    def __init__(self, types: Types, used: set[str]) -> None:
        self.types = types
        self.used = used
        self.externs: set[str] = set()

    def value(self, value: Value, kind: Type) -> Piece:
        """Return a constant."""
        match value:
            case None | bool():
                return Atom(repr(value))
            case int() | float():
                return Atom(number(value))
            case str():
                return text_piece(value)
            case tuple():
                wanted = kind.inner if isinstance(kind, Optional) else kind
                element = wanted.element if isinstance(wanted, List) else Nothing()
                return Bracket("[", [("", self.value(item, element)) for item in value], "]")
            case TagValue():
                return Atom(self.types.word(value.type, value.word))
            case RecordValue():
                wanted = kind.inner if isinstance(kind, Optional) else kind
                record = wanted if isinstance(wanted, Record) else value.type
                parts = [self.value(part, inner) for part, (_, inner) in zip(value.values, record.fields, strict=True)]
                return self._record(record, parts)

    def expression(self, expr: ir.Expr) -> Piece:
        """Return an expression."""
        return self._expression(expr)[0]

    def _expression(self, expr: ir.Expr) -> tuple[Piece, int]:
        """Return the expression and how tightly it holds together."""
        match expr:
            case ir.Const():
                return self.value(expr.value, expr.type), _PRIMARY
            case ir.Var():
                return Atom(expr.name), _PRIMARY
            case ir.GetField():
                field = self.types.field(expr.value.type, expr.field)
                return _suffixed(self._tight(expr.value), f".{field}"), _PRIMARY
            case ir.GetItem() if isinstance(expr.type, Optional):
                return self._call("item", expr.value, expr.index), _PRIMARY
            case ir.GetItem():
                index = self.expression(expr.index)
                return _suffixed(self._tight(expr.value), f"[{index.flat}]"), _PRIMARY
            case ir.Unary(op="-"):
                return self._call("negative", expr.operand), _PRIMARY
            case ir.Unary():
                return Affix("not ", self._operand(expr.operand, _COMPARE), ""), _NOT
            case ir.Binary() if expr.op in _COMPARISONS:
                return self._comparison(expr), _COMPARE
            case ir.Binary():
                return self._call(ir.FUNCTIONS[expr.op], expr.left, expr.right), _PRIMARY
            case ir.Logical():
                level = _AND if expr.op == "and" else _OR
                operands = [self._operand(operand, level + 1) for operand in expr.operands]
                return Operation(expr.op, operands), level
            case ir.Builtin(is_extern=True):
                self.externs.add(expr.name)
                return self._arguments(expr.name, expr.arguments), _PRIMARY
            case ir.Builtin():
                return self._call(ir.FUNCTIONS[expr.name], *expr.arguments), _PRIMARY
            case ir.MakeList():
                return Bracket("[", [("", self.expression(item)) for item in expr.items], "]"), _PRIMARY
            case ir.MakeRecord():
                return self._record(expr.type, [self.expression(value) for value in expr.values]), _PRIMARY
            case ir.Present():
                return self._call("present", expr.value), _PRIMARY
            case ir.Otherwise():
                return self._otherwise(expr), _PRIMARY
            case ir.Select():
                return self._select(expr), _PRIMARY
            case ir.Repeat():
                return Row("[", self.expression(expr.body), f"] * {expr.count}"), _NOT
            case _:
                assert_never(expr)

    def _call(self, function: str, *arguments: ir.Expr) -> Piece:
        self.used.add(function)
        return self._arguments(function, arguments)

    def _arguments(self, function: str, arguments: Sequence[ir.Expr]) -> Piece:
        return Bracket(f"{function}(", [("", self.expression(argument)) for argument in arguments], ")")

    def _record(self, kind: Record, parts: list[Piece]) -> Piece:
        names = [f"{self.types.field(kind, field)}=" for field, _ in kind.fields]
        return Bracket(f"{self.types.class_of(kind)}(", list(zip(names, parts, strict=True)), ")")

    def _comparison(self, expr: ir.Binary) -> Piece:
        left, right = expr.left, expr.right
        operator = expr.op
        if isinstance(left, ir.Const) and left.value is None:
            left, right = right, left
        if isinstance(right, ir.Const) and right.value is None:
            operator = "is" if operator == "==" else "is not"
        return Operation(operator, [self._operand(side, _PRIMARY) for side in (left, right)])

    def _otherwise(self, expr: ir.Otherwise) -> Piece:
        self.used.add("otherwise")
        *options, last = expr.options
        piece = self.expression(last)
        for option in reversed(options):
            piece = Bracket("otherwise(", [("", self.expression(option)), ("", piece)], ")")
        return piece

    def _select(self, expr: ir.Select) -> Piece:
        body, items = self.expression(expr.body), self._operand(expr.items, _OR)
        if expr.condition is None:
            return Row("[", body, f" for {expr.var} in ", items, "]")
        return Row("[", body, f" for {expr.var} in ", items, " if ", self.expression(expr.condition), "]")

    def _operand(self, expr: ir.Expr, level: int) -> Piece:
        """Return an expression as an operand, in parentheses if it holds together less tightly than `level`."""
        piece, own = self._expression(expr)
        return _in_parentheses(piece) if own < level else piece

    def _tight(self, expr: ir.Expr) -> Piece:
        return self._operand(expr, _PRIMARY)


def _in_parentheses(piece: Piece) -> Piece:
    return Row("(", piece, ")")


def _suffixed(piece: Piece, after: str) -> Piece:
    return Atom(f"{piece.flat}{after}") if isinstance(piece, Atom) else Affix("", piece, after)


def text_piece(text: str, *, block: bool = False) -> Atom:
    """Return a text, on one line where it fits; with `block`, one of several lines is always written as such."""
    flat = literal(text)
    if len(flat) <= SHORT_TEXT and not (block and "\n" in text):
        return Atom(flat)
    over_lines = literal(text, block=True)
    if "\n" not in over_lines:  # too short for that, however wide its characters are
        return Atom(flat)
    return Atom(over_lines if block and "\n" in text else flat, over_lines)
