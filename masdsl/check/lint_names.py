"""Lints about the text of a module: what it declares, imports or takes and never uses, and what is never reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.scope import KIND_OF
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.lints import InsertionInText, SingleBraces, Unreachable, Unused, UnusedImport, UnusedParameter
from masdsl.node import Node, Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.walk import find_all

_SINGLE_BRACES = re.compile(r"(?<![{%#$\\])\{[ ]?([a-z_][a-z0-9_]*)[ ]?\}(?!\})")
_INSERTION = re.compile(r"\{\{?[ ]?([a-z_][a-z0-9_]*)(?:\.[a-z_][a-z0-9_]*)*[ ]?\}\}?")


_MENTIONED = {
    ast.Call: "callee",
    ast.Var: "name",
    ast.NamedType: "name",
    ast.Append: "name",
    ast.RecordLit: "type",
    ast.TagLit: "type",
    ast.Variant: "base",
}
_SIZES = {ast.NamedType: "size", ast.ListType: "cap", ast.Sample: "count", ast.Loop: "times"}
_LEAVES = frozenset((ast.Name, ast.IntLit, ast.FloatLit, ast.StrLit, ast.BoolLit, ast.NoneLit))


def unused_names(document: ast.Program, source: Source) -> Iterator[Diagnostic]:
    """Report declarations, imports and parameters that nothing uses."""
    uses: list[tuple[ast.Item, set[str]]] = []
    for item in document.items:
        if isinstance(item, ast.Flow):
            body = _used_names(item.body)
            head = _used_names(*item.params, item.output)
            yield from _unused_parameters(item, body, head)
            uses.append((item, body | head))
        else:
            uses.append((item, _used_names(item)))
    yield from _unused_imports(document, uses)
    yield from _unused_declarations(document, uses, source)


def _used_names(*roots: Node) -> set[str]:
    """Return the names of declarations, values and sizes that something mentions."""
    names: set[str] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        kind = type(node)
        if kind in _LEAVES:
            continue
        field = _MENTIONED.get(kind)
        if field is not None:
            name = getattr(node, field)
            if name is not None:
                names.add(name.text)
        field = _SIZES.get(kind)
        if field is not None and isinstance(size := getattr(node, field), ast.Name):
            names.add(size.text)
        if isinstance(node, ast.Given):
            names.add(node.target[0].text)
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, tuple):
                if kind is ast.Attr:
                    names.update(name.text for name in value)
                else:
                    pending.extend(value)
    return names


def _unused_imports(document: ast.Program, uses: list[tuple[ast.Item, set[str]]]) -> Iterator[Diagnostic]:
    used = set[str]().union(*(names for _, names in uses))
    for item in document.items:
        if isinstance(item, ast.Use):
            bound = [(name.alias or name.name) for name in item.names] or [item.path[-1]]
            for number, name in enumerate(bound):
                if name.text not in used:
                    yield UnusedImport(name.text, _removal(item, number), span=name.span)


def _removal(use: ast.Use, number: int) -> Span:
    """Return what to delete to take one name out of a `use`: with it the comma before it, or behind the first one."""
    if len(use.names) < 2:
        return use.span
    if number == 0:
        return Span(use.names[0].span.start, use.names[1].span.start)
    return Span(use.names[number - 1].span.end, use.names[number].span.end)


def _unused_declarations(
    document: ast.Program, uses: list[tuple[ast.Item, set[str]]], source: Source
) -> Iterator[Diagnostic]:
    flows = {item.name.text: item for item in document.items if isinstance(item, ast.Flow)}
    if "main" not in flows:
        return  # a library: whatever it declares may be imported
    given = {target.target[0].text for test in document.items if isinstance(test, ast.Test) for target in test.givens}
    for item in document.items:
        if not isinstance(item, ast.RecordDecl | ast.EnumDecl | ast.Tool | ast.Agent | ast.Variant | ast.Flow):
            continue
        name = item.name.text
        if isinstance(item, ast.Flow) and name == "main":
            continue
        if not any(name in names for user, names in uses if user is not item and not _only_given(user, name, given)):
            kind = KIND_OF[type(item)].split()[-1]
            yield Unused(kind, name, _documented(item, source), span=item.name.span)


def _documented(item: ast.Item, source: Source) -> Span:
    """Return the span of a declaration with the comments above it that are its documentation."""
    line = source.position(item.span.start).line
    while line > 1 and source.line(line - 1).lstrip().startswith("##"):
        line -= 1
    start = item.span.start if line == source.position(item.span.start).line else source.offset(line)
    return Span(start, item.span.end)


def _only_given(user: ast.Item, name: str, given: set[str]) -> bool:
    """Say whether a test names something only to say what it gives."""
    return (
        isinstance(user, ast.Test)
        and name in given
        and name not in _used_names(user.body)
        and not any(name in _used_names(expect) for expect in user.expects)
    )


def _unused_parameters(flow: ast.Flow, body: set[str], head: set[str]) -> Iterator[Diagnostic]:
    binders: tuple[ast.Param | ast.Static, ...] = (*flow.params, *flow.statics)
    for param in binders:
        name = param.name.text
        used = name in body or (isinstance(param, ast.Static) and name in head)
        if not used and not name.startswith("_"):
            yield UnusedParameter(flow.name.text, name, span=param.name.span)


# ---------------------------------------------------------------- statements that are never reached


def unreachable_statements(document: ast.Program) -> Iterator[Diagnostic]:
    """Report the first statement behind one that always returns or leaves the loop, in each block."""
    for item in document.items:
        if isinstance(item, ast.Flow | ast.Test):
            yield from _unreachable(item.body)


def _unreachable(block: ast.Block) -> Iterator[Diagnostic]:
    leaving: ast.Statement | None = None
    for node in block.statements:
        if leaving is not None:
            yield Unreachable(_head(leaving), node.span.to(block.statements[-1].span), span=node.span)
            return
        for inner in _blocks_of(node):
            yield from _unreachable(inner)
        if _leaves(node):
            leaving = node


def _blocks_of(node: ast.Statement) -> tuple[ast.Block, ...]:
    match node:
        case ast.Loop() | ast.For() | ast.Within():
            return (node.body,)
        case ast.If():
            return (*(branch.body for branch in node.branches), *((node.orelse,) if node.orelse else ()))
        case ast.Match():
            return (*(arm.body for arm in node.arms), *((node.orelse,) if node.orelse else ()))
        case _:
            return ()


def _leaves(node: ast.Statement) -> bool:
    """Say whether nothing gets behind a statement (for the body of a loop, behind it in the same round)."""
    match node:
        case ast.Return():
            return True
        case ast.Until():
            return node.condition == ast.BoolLit(True)
        case ast.Within():
            return _block_leaves(node.body)
        case ast.Loop():
            return _block_returns(node.body)
        case ast.If():
            return node.orelse is not None and all(_block_leaves(block) for block in _blocks_of(node))
        case ast.Match():  # without `else` its arms name every word
            return all(_block_leaves(block) for block in _blocks_of(node))
        case _:
            return False


def _block_leaves(block: ast.Block) -> bool:
    return any(_leaves(node) for node in block.statements)


def _block_returns(block: ast.Block) -> bool:
    """Say whether a loop's body returns in its first round: it returns for sure, and no `until` comes before."""
    for node in block.statements:
        if isinstance(node, ast.Return):
            return True
        if _has_until(node):
            return False
        if _leaves(node):
            return True
    return False


def _has_until(node: ast.Statement) -> bool:
    if isinstance(node, ast.Until):
        return True
    if isinstance(node, ast.Loop | ast.For):
        return False
    return any(_has_until(inner) for block in _blocks_of(node) for inner in block.statements)


def _head(node: ast.Statement) -> Span:
    """Return the place of a statement without its blocks."""
    blocks = _blocks_of(node)
    return Span(node.span.start, blocks[0].span.start) if blocks else node.span


# ---------------------------------------------------------------- braces


def single_braces(document: ast.Program, source: Source) -> Iterator[Diagnostic]:
    """Report `{name}` in prompts where `name` is a parameter."""
    for item in document.items:
        if isinstance(item, ast.Agent) and "{" in item.prompt.value:
            params = {param.name.text for param in item.params}
            text = item.prompt.value.replace("\r\n", "\n")
            for found in _SINGLE_BRACES.finditer(text):
                if found[1] in params:
                    places = LiteralPlaces(source, item.prompt.span, item.prompt.value)
                    yield SingleBraces(found[1], span=places.span(found.start(), found.end()))


def insertions_in_texts(document: ast.Program, source: Source) -> Iterator[Diagnostic]:
    """Report `{name}` and `{{ name }}` in texts of a flow that binds or takes `name`."""
    for flow in document.items:
        if not isinstance(flow, ast.Flow):
            continue
        texts = [one for one in find_all(flow.body, ast.StrLit) if "{" in one.value]
        if not texts:
            continue
        names = {param.name.text for param in flow.params}
        names.update(one.name.text for one in find_all(flow.body, ast.Bind))
        names.update(one.var.text for one in find_all(flow.body, ast.For))
        names.update(one.var.text for one in find_all(flow.body, ast.Each))
        for one in texts:
            for found in _INSERTION.finditer(one.value):
                if found[1] in names:
                    place = LiteralPlaces(source, one.span, one.value).span(found.start(), found.end())
                    yield InsertionInText(found[1], found[0], span=place)
