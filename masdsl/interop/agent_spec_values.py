"""What a program computes between its steps, as tools of an Agent Spec document: `metadata` has it in words of masdsl.

Agent Spec computes nothing. A value that is no name and no constant is therefore a node whose tool the host provides:
a pure function of its inputs, deterministic, whose expression stands in the tool. `agent_spec_tools` writes those
functions in Python; an import reads the expressions back.
"""

from __future__ import annotations

from typing import Any

from masdsl.check import program
from masdsl.check.program import RecordValue, Rhs, TagValue, Value
from masdsl.check.uses import nodes_of, reads
from masdsl.formats import schema
from masdsl.interop.agent_spec_parts import VALUE, Component, component, known, property_of
from masdsl.interop.langgraph_values import locals_of
from masdsl.syntax import ast
from masdsl.syntax.print import print_rhs
from masdsl.types import Enum, Record, Type

YES, NO = "yes", "no"
"""What a condition's tool gives."""


def computing_tool(key: str, value: Rhs, kind: Type | None = None, **says: Any) -> tuple[Component, dict[str, Type]]:
    """Return the tool that computes a value without steps, and the names that it reads, with their types.

    `kind` is the type of what takes the value, where that is another one.
    """
    read = reads(value)
    names = {name: kind for name, kind in locals_of(value).items() if name in read}
    text = print_rhs(written(value))
    inputs = [property_of(name, kind) for name, kind in names.items()]
    made = component("ServerTool", key, key, inputs=inputs, outputs=[property_of(VALUE, kind or value.type)])
    made["description"] = f"Computes: {text}"
    types, uses = _types(value), _uses(value)
    extra = ({"types": types} if types else {}) | ({"uses": uses} if uses else {})
    return known(made, computes=text, **extra, **says), names


def condition_tool(key: str, condition: program.Expr) -> tuple[Component, dict[str, Type]]:
    """Return the tool that says `yes` where a condition holds, else `no`: branches go by words."""
    made, names = computing_tool(key, condition, None, condition=True)
    made["outputs"] = [{"title": VALUE, "type": "string", "enum": [YES, NO]}]
    made["description"] = (
        f"Gives `{YES}` where this holds, else `{NO}`: {known(made)['metadata']['masdsl']['computes']}"
    )
    return made, names


def written(value: Rhs) -> ast.Rhs:
    """Return a right-hand side without steps as it is written."""
    match value:
        case program.Sample(count=count, body=body):
            return ast.Sample(ast.IntLit(count), _attempt(body))
        case program.Each(var=var, items=items, condition=condition, body=body):
            where = None if condition is None else _expr(condition)
            return ast.Each(ast.Name(var), _expr(items), where, _attempt(body))
        case _:
            return _attempt(value)


def _attempt(value: program.Attempt) -> ast.Attempt:
    if isinstance(value, program.Fallback):
        return ast.Fallback(tuple(_expr(option) for option in value.options if not isinstance(option, program.Invoke)))
    assert not isinstance(value, program.Invoke)
    return _expr(value)


def _expr(expr: program.Expr) -> ast.Expr:
    match expr:
        case program.Const(value=value):
            return _constant(value)
        case program.Local(name=name):
            return ast.Var(ast.Name(name))
        case program.GetField(value=owner, field=field):
            return ast.Attribute(_expr(owner), ast.Name(field))
        case program.GetItem(value=owner, index=index):
            return ast.Index(_expr(owner), _expr(index))
        case program.Unary(op="-", operand=operand):
            return ast.Negate(_expr(operand))
        case program.Unary(operand=operand):
            return ast.Not(_expr(operand))
        case program.Binary(left=left, op=op, right=right):
            return ast.Binary(_expr(left), op, _expr(right))
        case program.Logical(op=op, operands=operands):
            parts = tuple(map(_expr, operands))
            return ast.And(parts) if op == "and" else ast.Or(parts)
        case program.Builtin(name=name, arguments=arguments):
            return ast.Call(ast.Name(name), tuple(ast.Argument(None, _expr(one)) for one in arguments))
        case program.MakeList(items=items):
            return ast.ListLit(tuple(map(_expr, items)))
        case program.MakeRecord(values=values, type=kind):
            return _record(kind, tuple(map(_expr, values)))


def _constant(value: Value) -> ast.Literal:
    match value:
        case None:
            return ast.NoneLit()
        case bool():
            return ast.BoolLit(value)
        case int():
            return ast.IntLit(value)
        case float():
            return ast.FloatLit(value)
        case str():
            return ast.StrLit(value)
        case tuple():
            return ast.ListLit(tuple(map(_constant, value)))
        case TagValue(type=kind, word=word):
            return ast.TagLit(ast.Name(kind.name), ast.Name(word))
        case RecordValue(type=kind, values=values):
            return _record(kind, tuple(map(_constant, values)))


def _record(kind: Record, values: tuple[ast.Expr, ...]) -> ast.RecordLit:
    fields = (ast.NamedValue(ast.Name(name), value) for (name, _), value in zip(kind.fields, values, strict=True))
    return ast.RecordLit(None if kind.name is None else ast.Name(kind.name), tuple(fields))


def anonymous(fields: tuple[str, ...]) -> str:
    """Return how a record without a name is called among the types of an expression."""
    return f"({', '.join(fields)})"


def _types(value: Rhs) -> dict[str, Any]:
    """Return the schemas of the types that an expression names."""
    found: dict[str, Any] = {}
    for node in nodes_of(value):
        kinds: list[Type] = []
        if isinstance(node, program.MakeRecord):
            kinds = [node.type]
        elif isinstance(node, program.Const):
            kinds = list(_kinds(node.value))
        for kind in kinds:
            if isinstance(kind, Record):
                found[kind.name or anonymous(tuple(name for name, _ in kind.fields))] = schema(kind)
            elif isinstance(kind, Enum):
                found[kind.name] = schema(kind)
    return dict(sorted(found.items()))


def _kinds(value: Value) -> list[Type]:
    match value:
        case tuple():
            return [kind for item in value for kind in _kinds(item)]
        case TagValue(type=kind):
            return [kind]
        case RecordValue(type=record, values=values):
            return [record, *(kind for item in values for kind in _kinds(item))]
        case _:
            return []


def _uses(value: Rhs) -> dict[str, str]:
    """Return the modules of the library's functions that an expression calls."""
    found = {
        node.name: node.extern.module
        for node in nodes_of(value)
        if isinstance(node, program.Builtin) and node.extern is not None
    }
    return dict(sorted(found.items()))


def is_pure(value: Rhs) -> bool:
    """Return whether a right-hand side has no step."""
    return not any(isinstance(node, program.Invoke) for node in nodes_of(value))
