"""Expressions that a document has in words of masdsl, read and put in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masdsl.diagnostics.base import Findings
from masdsl.interop.agent_spec_read import Component, NotRead, Reader, own
from masdsl.interop.agent_spec_types import NoType
from masdsl.interop.agent_spec_values import anonymous
from masdsl.node import Node
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program

Names = Mapping[str, ast.Expr]


def computed(reader: Reader, tool: Component, names: Names) -> ast.Rhs:
    """Return what a tool computes, over expressions for its inputs. Raises NotRead where it cannot be read."""
    says = own(tool)
    text = str(says["computes"])
    findings = Findings()
    parsed = parse_program(Source("expression", f"mas 1\nflow f() -> int {{\n  x = {text}\n}}\n"), findings)
    flow = next((item for item in parsed.document.items if isinstance(item, ast.Flow)), None)  # type: ignore[union-attr]
    made = flow.body.statements[0] if findings.ok and flow is not None and len(flow.body.statements) == 1 else None
    if not isinstance(made, ast.Bind):
        raise NotRead(tool, f"`{text[:60]}` is no expression", "mend what `metadata` says that it computes")
    types = {
        str(name): _declared(reader, tool, str(name), schema) for name, schema in dict(says.get("types", {})).items()
    }
    for name, module in dict(says.get("uses", {})).items():
        reader.use(str(module), str(name))
    value: ast.Rhs = _retyped(made.value, types)
    whole: ast.Rhs = substituted(value, names)
    return whole


def _declared(reader: Reader, tool: Component, name: str, schema: Any) -> ast.Name:
    try:
        kind = reader.types.type_of(schema, name if name.isidentifier() else str(tool["name"]).removesuffix(".tool"))
    except NoType as refused:
        raise NotRead(tool, f"`{name}`: {refused}", refused.instead) from None
    if not isinstance(kind, ast.NamedType):
        raise NotRead(tool, f"`{name}` is no type of its own", "use an enum, or an object with `properties`")
    return kind.name


def _retyped(value: Any, types: Mapping[str, ast.Name]) -> Any:
    def change(node: Node) -> Node | None:
        match node:
            case ast.TagLit(type=kind) if kind.text in types:
                return node.replace(type=types[kind.text])
            case ast.RecordLit(type=kind, fields=fields):
                key = anonymous(tuple(one.name.text for one in fields)) if kind is None else kind.text
                inner = tuple(_retyped(one, types) for one in fields)
                return ast.RecordLit(types.get(key, kind), inner)
            case _:
                return None

    return rebuilt(value, change)


def substituted(value: Any, names: Names) -> Any:
    """Return a tree with expressions in the place of names; the variable of an `each` is its own."""

    def change(node: Node) -> Node | None:
        match node:
            case ast.Var(name=name):
                return names.get(name.text, node)
            case ast.Each(var=var, items=items, condition=condition, body=body):
                inner = {name: expr for name, expr in names.items() if name != var.text}
                where = None if condition is None else substituted(condition, inner)
                return ast.Each(var, substituted(items, names), where, substituted(body, inner))
            case ast.Call(callee=callee, arguments=arguments):
                return ast.Call(callee, tuple(one.replace(value=substituted(one.value, names)) for one in arguments))
            case _:
                return None

    return rebuilt(value, change)


def rebuilt(value: Any, change: Callable[[Node], Node | None]) -> Any:
    """Return a tree in which `change` has replaced nodes, outermost first; what it returns None for is gone into."""
    if isinstance(value, tuple):
        return tuple(rebuilt(one, change) for one in value)
    if not isinstance(value, Node):
        return value
    changed = change(value)
    if changed is not None:
        return changed
    return value.replace(**{field: rebuilt(getattr(value, field), change) for field in value._fields})
