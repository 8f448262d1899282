"""What an editor shows about a name: its type, its documentation, what it costs."""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.builtins import BUILTINS
from masdsl.check.context import signature
from masdsl.check.relations import show
from masdsl.check.scope import ModuleScope
from masdsl.config import NoModel, find_model
from masdsl.editor import costs, symbols
from masdsl.editor.document import Document
from masdsl.editor.symbols import Occurrence, Symbol, declared_at
from masdsl.node import Node, Span
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate
from masdsl.types import Type, Unknown

RAN = ("ran(step) -> int", "how often a step ran in this test; its address is written as in `ran(main.refine.draft)`")


class Hover(NamedTuple):
    """Markdown about the name at `span`."""

    span: Span
    text: str


def hover(document: Document, offset: int) -> Hover | None:
    """Return what there is to say about the name at an offset; None where there is none."""
    found = document.at(offset)
    if found is None:
        return None
    text = _about(document, found)
    return Hover(found.span, text) if text else None


def home_of(document: Document, symbol: Symbol) -> ModuleScope | None:
    """Return the module that declares a symbol, if the program knows it."""
    facts = document.facts
    scopes = (facts.own, *facts.imported)
    return next((scope for scope in scopes if scope is not None and scope.source.name == symbol.file), None)


def head_text(scope: ModuleScope, item: ast.Item) -> str:
    """Return the head of a declaration as it is written: without its prompt, its body or the text of its source."""
    end = item.span.end
    prompt = item.prompt if isinstance(item, ast.Agent | ast.Variant) else None
    if isinstance(item, ast.Flow):
        end = item.body.span.start
    elif prompt is not None:
        end = prompt.span.start
    return scope.source.slice(Span(item.span.start, end)).strip()


def _about(document: Document, found: Occurrence) -> str:
    symbol = found.symbol.meant
    match symbol.kind:
        case symbols.BUILTIN:
            text, summary = RAN if symbol.name == "ran" else BUILTINS[symbol.name][:2]
            return _code(text) + f"\n{summary}"
        case symbols.TIER:
            return _tier(document, symbol.name)
        case symbols.MODULE:
            scope = home_of(document, symbol)
            return "" if scope is None else _module(scope, symbol.name)
        case symbols.TYPE | symbols.TOOL | symbols.AGENT | symbols.FLOW | symbols.FUNCTION:
            return _declaration(document, symbol)
        case symbols.WORD:
            return _code(f"{symbol.owner}.{symbol.name}") + f"\na word of `{symbol.owner}`"
        case symbols.LABEL:
            return "\n\n".join(filter(None, (_code(symbol.name), costs.of_step(document.facts, symbol.start))))
        case _:
            return _value(document, found, symbol)


def _declaration(document: Document, symbol: Symbol) -> str:
    scope = home_of(document, symbol)
    item = declared_at(scope, symbol) if scope is not None else None
    if scope is None or item is None:
        return ""
    parts = [_code(head_text(scope, item)), scope.doc(item)]
    facts = document.facts
    if isinstance(item, ast.Flow) and facts.program is not None and facts.bounds is not None:
        for flow in facts.program.flows:
            bound = facts.bounds.flows.get(flow.key)
            if (flow.module, flow.span) == (scope.name, item.span) and bound is not None:
                parts.append(costs.of_flow(flow, bound))
    elif isinstance(item, ast.Agent | ast.Variant) and facts.program is not None:
        for agent in facts.program.agents:
            if (agent.module, agent.span) == (scope.name, item.span):
                if isinstance(item, ast.Variant):
                    parts.append(_code(signature(agent.name, agent.params, agent.returns)))
                parts.append(costs.of_agent(facts, agent))
                break
    if scope.name:
        parts.append(f"from `{scope.name}`")
    return "\n\n".join(dict.fromkeys(filter(None, parts)))


def _value(document: Document, found: Occurrence, symbol: Symbol) -> str:
    kind = _known(document.facts.types.get(found.span))
    scope = home_of(document, symbol)
    if kind is None and scope is not None:
        if scope is document.facts.own:
            kinds = (kind for span, kind in document.facts.types.items() if span.start == symbol.start)
            kind = _known(next(kinds, None))
        written = _written(scope, symbol)
        shown = show(kind) if kind is not None else written
    else:
        shown = show(kind) if kind is not None else ""
    parts = [_code(f"{symbol.name}: {shown}" if shown else symbol.name)]
    owner = f" of `{symbol.owner}`" if symbol.owner else ""
    parts.append(f"{symbol.kind}{owner}" if symbol.kind != symbols.LOCAL else "")
    if symbol.kind == symbols.LOCAL and found.use in (symbols.DECLARE, symbols.WRITE):
        parts.append(costs.of_step(document.facts, found.span.start))
    return "\n\n".join(filter(None, parts))


def _known(kind: Type | None) -> Type | None:
    return None if isinstance(kind, Unknown) else kind


def _written(scope: ModuleScope, symbol: Symbol) -> str:
    """Return the type of a field or parameter as its declaration writes it; none written is text."""
    item = declared_at(scope, symbol)
    node: Node
    for node in iterate(item) if item is not None else ():
        if isinstance(node, ast.Field | ast.Param) and node.name.span.start == symbol.start:
            return "text" if node.type is None else scope.source.slice(node.type.span)
    return ""


def _tier(document: Document, name: str) -> str:
    try:
        model = find_model(document.config, name, tier=True)
    except NoModel as why:
        return str(why)
    return _code(f"on {name}") + f"\ntier `{name}`: `{model.model or model.name}` ({model.kind})"


def _module(scope: ModuleScope, name: str) -> str:
    about = [comment.text.lstrip("#").strip() for comment in scope.comments if comment.span.start < _first(scope)]
    names = ", ".join(f"`{one.name}`" for one in scope.own() if not one.name.startswith("_"))
    return "\n\n".join(filter(None, (_code(f"use {name}"), " ".join(about), names)))


def _first(scope: ModuleScope) -> int:
    return scope.items[0].span.start if scope.items else len(scope.source.text)


def _code(text: str) -> str:
    return f"```mas\n{text}\n```"
