"""The addresses in tests, `ran(main.refine.draft)`: which step each part of one means."""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.check.scope import ModuleScope
from masdsl.editor import symbols
from masdsl.editor.symbols import Symbol, symbol_of
from masdsl.node import Node, Span
from masdsl.patch.places import NoPlace, find, options_of
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate

_DEEPEST = 32


def steps_of(node: ast.Expr, scope: ModuleScope) -> Iterator[tuple[Span, Symbol]]:
    """Yield the parts of an address with what they mean; parts such as `loop` and `else` mean nothing of their own.

    A step that calls a flow may be followed by an address in that flow.
    """
    parts: list[ast.Name] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.field)
        node = node.value
    if not isinstance(node, ast.Var):
        return
    parts.append(node.name)
    parts.reverse()
    declared = scope.names.get(parts[0].text)
    if declared is None or not isinstance(declared.node, ast.Flow):
        return
    yield parts[0].span, symbol_of(declared, scope)
    rest, home = parts[1:], declared.home
    flow: ast.Flow = declared.node
    for _ in range(_DEEPEST):
        used = 0
        called: ast.Flow | None = None
        for length in range(1, len(rest) + 1):
            found = _find(flow, rest[:length])
            if found is None:
                break
            used = length
            symbol = _symbol(found, flow, home)
            if symbol is not None:
                yield rest[length - 1].span, symbol
            called, home = _called(found, home)
        rest = rest[used:]
        if not rest or called is None:
            return
        flow = called


def _find(flow: ast.Flow, path: list[ast.Name]) -> Node | None:
    alone = ast.Program(1, (flow,))
    try:
        return find(alone, (flow.name, *path)).node
    except NoPlace:
        return None


def _symbol(node: Node, flow: ast.Flow, home: ModuleScope) -> Symbol | None:
    name = _binder(node)
    if name is None:
        return None
    heads: tuple[ast.Param | ast.Static, ...] = (*flow.params, *flow.statics)
    taken = {part.name.text: part.name for part in heads}
    if name.text in taken:
        return Symbol(home.source.name, taken[name.text].span.start, name.text, symbols.PARAMETER, flow.name.text)
    for other in iterate(flow.body):  # the first place at which the flow binds it
        first = _binder(other)
        if first is not None and first.text == name.text:
            kind = symbols.LOCAL if isinstance(other, ast.Bind) else symbols.LABEL
            return Symbol(home.source.name, first.span.start, name.text, kind, flow.name.text)
    return None


def _binder(node: Node) -> ast.Name | None:
    if isinstance(node, ast.Bind):
        return node.name
    return node.label if isinstance(node, ast.Loop | ast.For | ast.Within | ast.If | ast.Match) else None


def _called(node: Node, home: ModuleScope) -> tuple[ast.Flow | None, ModuleScope]:
    if isinstance(node, ast.Bind | ast.Return):
        for option in options_of(node.value):
            declared = home.names.get(option.callee.text) if isinstance(option, ast.Call) else None
            if declared is not None and isinstance(declared.node, ast.Flow):
                return declared.node, declared.home
    return None, home
