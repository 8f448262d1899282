"""Expressions of a program as expressions of Python: the same values, under Python's names and types.

Three things differ. Python's variables have one type, so that a value is made to fit the variable, parameter or field
that takes it (`fitted`). What Python's types cannot know, such as that a list has a first item, is said (`Present`).
And a name that has just been compared with none is known to be there, to the language and to Python's type checkers
alike; `Known` follows what the latter know, and errs on the side of saying `Present` once too often.
"""

from __future__ import annotations

from typing import TypeAlias

from masdsl.check import externs, program
from masdsl.check.builtins import result_type
from masdsl.check.program import RecordValue
from masdsl.check.relations import optional, required
from masdsl.lower import ir
from masdsl.lower.ir import Binary, Builtin, Const, GetField, GetItem, Logical, MakeList, MakeRecord, Unary, Var
from masdsl.lower.layers import Layers
from masdsl.lower.variables import Environment, erased, same_class
from masdsl.types import Bool, Float, Int, List, Nothing, Optional, Record, Type

Known: TypeAlias = Layers[Type]
"""The types of Python variables at a point of the flow, as a type checker of Python sees them."""

MAYBE_NONE = frozenset({"first", "last", "majority"})
"""Functions that give an optional to Python, even of a list that the language knows not to be empty."""


def expression(expr: program.Expr, names: Environment, known: Known) -> ir.Expr:
    """Return the expression over Python variables; its types are those that Python sees."""
    match expr:
        case program.Const():
            return Const(expr.value, same_class(expr.type), span=expr.span)
        case program.Local():
            variable = names[expr.name]
            seen = known.get(variable.name, variable.root().type)
            return _surely(Var(variable.name, seen, span=expr.span), expr.type)
        case program.GetField():
            value = expression(expr.value, names, known)
            kind = value.type.field(expr.field) if isinstance(value.type, Record) else None
            return _surely(GetField(value, expr.field, kind or same_class(expr.type), span=expr.span), expr.type)
        case program.GetItem():
            items, index = (expression(part, names, known) for part in (expr.value, expr.index))
            element = items.type.element if isinstance(items.type, List) else same_class(expr.type)
            kind = optional(element) if isinstance(expr.type, Optional) else element
            return _surely(GetItem(items, index, kind, span=expr.span), expr.type)
        case program.Unary():
            return Unary(expr.op, expression(expr.operand, names, known), expr.type, span=expr.span)
        case program.Binary():
            return _binary(expr, names, known)
        case program.Logical():
            return _logical(expr, names, known)
        case program.Builtin():
            return _builtin(expr, names, known)
        case program.MakeList():
            items_ = tuple(expression(item, names, known) for item in expr.items)
            kind = same_class(expr.type)
            assert isinstance(kind, List)
            return MakeList(tuple(fitted(item, kind.element) for item in items_), kind, span=expr.span)
        case program.MakeRecord():
            kind = same_class(expr.type)
            assert isinstance(kind, Record)
            pairs = zip(expr.values, kind.fields, strict=True)
            values = tuple(fitted(expression(value, names, known), field) for value, (_, field) in pairs)
            return MakeRecord(values, kind, span=expr.span)


def _binary(expr: program.Binary, names: Environment, known: Known) -> ir.Expr:
    left, right = (expression(part, names, known) for part in (expr.left, expr.right))
    kind = same_class(expr.type)
    if expr.op == "+" and isinstance(kind, List):
        left, right = fitted(left, kind), fitted(right, kind)
    return Binary(left, expr.op, right, kind, span=expr.span)


def _logical(expr: program.Logical, names: Environment, known: Known) -> ir.Expr:
    operands: list[ir.Expr] = []
    for operand in expr.operands:
        operands.append(expression(operand, names, known))
        known = known.layer(narrowed(operand, names, known, expr.op == "and"))
    return Logical(expr.op, tuple(operands), Bool(), span=expr.span)


def _builtin(expr: program.Builtin, names: Environment, known: Known) -> ir.Expr:
    arguments = tuple(expression(argument, names, known) for argument in expr.arguments)
    wanted = same_class(expr.type)
    if expr.extern is not None:
        found = externs.result_type(expr.extern, [argument.type for argument in arguments]) or wanted
        return _surely(Builtin(expr.name, arguments, found, True, span=expr.span), wanted)
    kind = result_type(expr.name, [argument.type for argument in arguments]) or wanted
    if expr.name in ("min", "max"):
        if len(arguments) == 2:
            arguments = tuple(fitted(argument, wanted) for argument in arguments)
        else:
            kind = optional(kind)
    if expr.name in MAYBE_NONE:
        kind = optional(kind)
    return _surely(Builtin(expr.name, arguments, kind, span=expr.span), wanted)


def _surely(value: ir.Expr, wanted: Type) -> ir.Expr:
    """Return the value, said to be there where the language knows so and Python does not."""
    if isinstance(value.type, Optional) and not isinstance(wanted, Optional | Nothing):
        return ir.Present(value, value.type.inner, span=value.span)
    return value


# ---------------------------------------------------------------- what a condition shows


def narrowed(condition: program.Expr, names: Environment, known: Known, outcome: bool) -> dict[str, Type]:
    """Return what Python knows in addition where the condition came out as `outcome`."""
    changes: dict[str, Type] = {}
    _narrow(condition, names, known, outcome, changes)
    return changes


def _narrow(condition: program.Expr, names: Environment, known: Known, outcome: bool, changes: dict[str, Type]) -> None:
    match condition:
        case program.Unary(op="not"):
            _narrow(condition.operand, names, known, not outcome, changes)
        case program.Logical() if (condition.op == "and") == outcome:
            for operand in condition.operands:
                _narrow(operand, names, known, outcome, changes)
        case (
            program.Binary(left=program.Local(name=name), op="==" | "!=" as op, right=program.Const(value=None))
            | program.Binary(left=program.Const(value=None), op="==" | "!=" as op, right=program.Local(name=name))
        ) if (op == "!=") == outcome:
            variable = names[name]
            changes[variable.name] = required(known.get(variable.name, variable.root().type))
        case _:
            pass


def assigned(declared: Type, value: Type) -> Type:
    """Return what Python knows of a variable of the declared type after this assignment."""
    if isinstance(declared, Optional) and not isinstance(value, Optional | Nothing):
        return declared.inner
    return declared


# ---------------------------------------------------------------- fitting


def fitted(value: ir.Expr, wanted: Type) -> ir.Expr:
    """Return the value as Python has to have it where a variable, parameter or field of the type takes it.

    An int becomes a float. Lists of one type do not pass for lists of another in Python, even where every item fits:
    they are built anew. Nameless records of other sizes are other classes.
    """
    wanted = same_class(wanted)
    if erased(value.type) == erased(wanted):
        return value
    match value, value.type, wanted:
        case _, Optional(), _:
            return value
        case _, _, Optional(inner=inner):
            return value if isinstance(value.type, Nothing) else fitted(value, inner)
        case Const(value=int() as number), Int(), Float():
            return Const(float(number), Float(), span=value.span)
        case _, Int(), Float():
            return Builtin("float", (value,), Float(), span=value.span)
        case MakeList(), _, List():
            kind = List(wanted.element, len(value.items), len(value.items))
            return MakeList(tuple(fitted(item, wanted.element) for item in value.items), kind, span=value.span)
        case Const(value=tuple() as items), _, List():
            return Const(items, wanted, span=value.span)
        case _, List(element=element), List():
            item = Var("item", element)
            body = fitted(item, wanted.element)
            kind = List(wanted.element, value.type.low, value.type.high)
            return ir.Select("item", value, None, body, kind, span=value.span)
        case MakeRecord(), Record(name=None), Record(name=None):
            pairs = zip(value.values, wanted.fields, strict=True)
            return MakeRecord(tuple(fitted(part, field) for part, (_, field) in pairs), wanted, span=value.span)
        case Const(value=RecordValue(values=values)), _, Record(name=None):
            return Const(RecordValue(wanted, values), wanted, span=value.span)
        case Var() | GetField(), Record(name=None, fields=fields), Record(name=None):
            parts = (
                fitted(GetField(value, field, kind, span=value.span), wanted_kind)
                for (field, kind), (_, wanted_kind) in zip(fields, wanted.fields, strict=True)
            )
            return MakeRecord(tuple(parts), wanted, span=value.span)
        case _:
            return value
