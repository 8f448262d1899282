"""Types and expressions of a program as Python of an exported file: pydantic's types, and Python's own operators."""

from __future__ import annotations

from collections.abc import Mapping

from masdsl.check import program
from masdsl.emit.annotations import Types
from masdsl.emit.expressions import Expressions
from masdsl.emit.layout import Affix, Atom, Bracket, Operation, Piece, Row
from masdsl.emit.literals import literal
from masdsl.lower import ir
from masdsl.lower.layers import Layers
from masdsl.lower.values import expression, fitted
from masdsl.lower.variables import Variable
from masdsl.node import Node
from masdsl.types import Int, List, Optional, Type

_COMPARE, _PRIMARY = 3, 4
_ARITHMETIC = frozenset({"+", "-", "*"})
_CALLS = {"len": "len(", "abs": "abs(", "all": "all(", "any": "any(", "sum": "sum(", "sort": "sorted("}
_METHODS = {"lower": "lower(", "upper": "upper(", "trim": "strip(", "starts_with": "startswith("}
_METHODS |= {"ends_with": "endswith("}


class GraphTypes(Types):
    """Types as pydantic reads them: lists with their sizes, texts without (sizes of texts belong to the budget)."""

    def sized(self, kind: Type, alias: str | None = None) -> Piece:
        """Return a type; `alias` is a field's name where Python has another for it."""
        notes: list[Piece] = []
        inner: Piece = Atom(self.bare(kind))
        match kind:
            case List():
                self.used |= {"Annotated", "items"}
                inner = Atom(f"list[{self.sized(kind.element).flat}]")
                notes.append(Atom(f"items({kind.low}, {kind.high})"))
            case Optional():
                inner = Affix("", self.sized(kind.inner), " | None")
            case _:
                pass
        if alias is not None:
            self.used |= {"Annotated", "Field"}
            notes.append(Atom(f"Field(alias={literal(alias)})"))
        return Bracket("Annotated[", [("", inner), *(("", note) for note in notes)], "]") if notes else inner

    def bare(self, kind: Type) -> str:
        """Return a type without sizes."""
        if isinstance(kind, List):
            return f"list[{self.bare(kind.element)}]"
        return super().bare(kind)


class GraphExpressions(Expressions):
    """Expressions as people write them: operators and methods of Python where they mean the same."""

    def _expression(self, expr: ir.Expr) -> tuple[Piece, int]:
        match expr:
            case ir.Present():
                return self._expression(expr.value)
            case ir.Unary(op="-"):
                return Affix("-", self._operand(expr.operand, _PRIMARY), ""), _COMPARE
            case ir.Binary(op=op) if op in _ARITHMETIC:
                return Operation(op, [self._operand(part, _PRIMARY) for part in _chain(expr)]), _COMPARE
            case ir.Builtin(name=name, is_extern=False, arguments=arguments):
                return self._native(name, arguments) or super()._expression(expr)
            case _:
                return super()._expression(expr)

    def _native(self, name: str, arguments: tuple[ir.Expr, ...]) -> tuple[Piece, int] | None:
        if name in _CALLS:
            return Bracket(_CALLS[name], [("", self.expression(one)) for one in arguments], ")"), _PRIMARY
        if name in _METHODS:
            owner, *rest = arguments
            return self._method(owner, _METHODS[name], rest), _PRIMARY
        if name == "join":
            return self._method(arguments[1], "join(", [arguments[0]]), _PRIMARY
        if name == "range":
            return Row("list(range(", self.expression(arguments[0]), "))"), _PRIMARY
        if name in ("first", "last") and isinstance(arguments[0].type, List) and arguments[0].type.low:
            place = "0" if name == "first" else "-1"
            return Row(self._operand(arguments[0], _PRIMARY), f"[{place}]"), _PRIMARY
        return None

    def _method(self, owner: ir.Expr, call: str, rest: list[ir.Expr]) -> Piece:
        before = self._operand(owner, _PRIMARY).flat
        return Bracket(f"{before}.{call}", [("", self.expression(one)) for one in rest], ")")


def _chain(expr: ir.Binary) -> list[ir.Expr]:
    """Return the operands of `a + b + c`."""
    left = expr.left
    if isinstance(left, ir.Binary) and left.op == expr.op and expr.op != "-":
        return [*_chain(left), expr.right]
    return [left, expr.right]


def over_state(expr: program.Expr, wanted: Type | None, places: Mapping[str, str]) -> ir.Expr:
    """Return an expression whose names are read where `places` says; with `wanted`, made to fit that type.

    A list that may be longer than what takes it gives its first items.
    """
    names: Layers[Variable] = Layers()
    for name, kind in locals_of(expr).items():
        variable = Variable(name, (), "", kind)
        variable.name = places[name]
        names[name] = variable
    value = expression(expr, names, Layers())
    if wanted is None:
        return value
    given, cap = expr.type, wanted.inner if isinstance(wanted, Optional) else wanted
    value = fitted(value, wanted)
    if isinstance(given, List) and isinstance(cap, List) and given.high > cap.high:
        bounds = (ir.Const(0, Int()), ir.Const(cap.high, Int()))
        return ir.Builtin("slice", (value, *bounds), wanted)
    return value


def locals_of(tree: object) -> dict[str, Type]:
    """Return the names that a tree of a checked program reads, with the type at the first place of each."""
    found: dict[str, Type] = {}
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, program.Local):
            found.setdefault(part.name, part.type)
        elif isinstance(part, tuple):
            pending.extend(reversed(part))
        elif isinstance(part, Node):
            pending.extend(getattr(part, field) for field in reversed(part._fields))
    return found
