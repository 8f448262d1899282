"""Builders of statements. Openers come as nodes with an empty body until their braces come."""

from __future__ import annotations

from typing import Any

from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.syntax.rules import Children, Site, in_order, rule


@rule("bind")
def _bind(site: Site, children: Children, span: Span) -> ast.Bind:
    return ast.Bind(children[0], children[1], span=span)


@rule("append")
def _append(site: Site, children: Children, span: Span) -> ast.Append:
    return ast.Append(children[0], children[1], span=span)


@rule("until")
def _until(site: Site, children: Children, span: Span) -> ast.Until:
    return ast.Until(children[0], span=span)


@rule("return_")
def _return(site: Site, children: Children, span: Span) -> ast.Return:
    return ast.Return(children[0], span=span)


def _empty(span: Span) -> ast.Block:
    """The body of an opener, at its end, until its braces come."""
    return ast.Block((), span=Span(span.end, span.end))


@rule("loop")
def _loop(site: Site, children: Children, span: Span) -> ast.Loop:
    return ast.Loop(None, children[0], _empty(span), span=span)


@rule("for_")
def _for(site: Site, children: Children, span: Span) -> ast.For:
    return ast.For(None, children[0], children[1], _empty(span), span=span)


@rule("within")
def _within(site: Site, children: Children, span: Span) -> ast.Within:
    return ast.Within(None, in_order(children), _empty(span), span=span)


@rule("block_opener")
def _block_opener(site: Site, children: Children, span: Span) -> Any:
    head = children[-1]
    return head if len(children) == 1 else head.replace(label=children[0], span=span)


@rule("block")
def _block(site: Site, children: Children, span: Span) -> Any:
    head, brace, *statements, closing = children
    body = ast.Block(tuple(statements), span=brace.to(closing))
    if isinstance(head, ast.Loop):
        return ast.Loop(head.label, head.times, body, span=span)
    if isinstance(head, ast.For):
        return ast.For(head.label, head.var, head.items, body, span=span)
    return ast.Within(head.label, head.limits, body, span=span)


@rule("if_opener")
def _if_opener(site: Site, children: Children, span: Span) -> ast.If:
    label = children[0] if len(children) > 1 else None
    condition = children[-1]
    return ast.If(label, (ast.Branch(condition, _empty(span), span=span),), None, span=span)


@rule("match_opener")
def _match_opener(site: Site, children: Children, span: Span) -> ast.Match:
    return ast.Match(children[0] if len(children) > 1 else None, children[-1], (), None, span=span)


@rule("choice")
def _choice(site: Site, children: Children, span: Span) -> ast.If:
    head, brace, *rest = children
    orelse = rest.pop() if isinstance(rest[-1], ast.Block) else None
    closing = next(at for at, part in enumerate(rest) if isinstance(part, Span))
    body = ast.Block(tuple(rest[:closing]), span=brace.to(rest[closing]))
    first = ast.Branch(head.branches[0].condition, body, span=Span(span.start, body.span.end))
    return ast.If(head.label, (first, *rest[closing + 1 :]), orelse, span=span)


@rule("elif_head")
def _elif_head(site: Site, children: Children, span: Span) -> ast.Branch:
    return ast.Branch(children[0], ast.Block((), span=children[1]), span=span)


@rule("elif")
def _elif(site: Site, children: Children, span: Span) -> ast.Branch:
    head = children[0]
    body = ast.Block(tuple(children[1:-1]), span=head.body.span.to(children[-1]))
    return ast.Branch(head.condition, body, span=span)


@rule("else_head")
def _else_head(site: Site, children: Children, span: Span) -> ast.Block:
    return ast.Block((), span=children[0])


@rule("else_")
def _else(site: Site, children: Children, span: Span) -> ast.Block:
    return ast.Block(tuple(children[1:-1]), span=children[0].span.to(children[-1]))


@rule("arm_head")
def _arm_head(site: Site, children: Children, span: Span) -> ast.Arm:
    return ast.Arm(tuple(children[:-1]), ast.Block((), span=children[-1]), span=span)


@rule("arm")
def _arm(site: Site, children: Children, span: Span) -> ast.Arm:
    head = children[0]
    body = ast.Block(tuple(children[1:-1]), span=head.body.span.to(children[-1]))
    return ast.Arm(head.words, body, span=span)


@rule("match_")
def _match(site: Site, children: Children, span: Span) -> ast.Match:
    head, _, *rest, _ = children
    orelse = rest.pop() if rest and isinstance(rest[-1], ast.Block) else None
    return ast.Match(head.label, head.subject, tuple(rest), orelse, span=span)
