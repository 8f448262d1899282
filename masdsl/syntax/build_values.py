"""Builders of right-hand sides and expressions. None may be deeper than `limits.EXPRESSION_DEPTH`."""

from __future__ import annotations

from typing import Any

from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.syntax.rules import Children, Site, rule


@rule("sample")
def _sample(site: Site, children: Children, span: Span) -> ast.Sample:
    return ast.Sample(children[0], children[1], span=span)


@rule("each")
def _each(site: Site, children: Children, span: Span) -> ast.Each:
    condition = children[2] if len(children) > 3 else None
    return ast.Each(children[0], children[1], condition, children[-1], span=span)


@rule("attempt")
def _attempt(site: Site, children: Children, span: Span) -> ast.Fallback:
    return ast.Fallback(tuple(children), span=span)


def _checked(site: Site, node: Any, parts: Any, instead: Any) -> Any:
    """The node, or `instead` where it would make the expression too deep."""
    return node if site.raised(node, parts) else instead


@rule("expr")
def _or(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Or(tuple(children), span=span), children, children[0])


@rule("and_expr")
def _and(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.And(tuple(children), span=span), children, children[0])


@rule("not_")
def _not(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Not(children[0], span=span), children, children[0])


@rule("compare", "sum", "term")
def _binary(site: Site, children: Children, span: Span) -> Any:
    left = children[0]
    for at in range(1, len(children), 2):
        right = children[at + 1]
        made = ast.Binary(left, children[at], right, span=Span(span.start, right.span.end))
        if not site.raised(made, (left, right)):
            break
        left = made
    return left


@rule("negate")
def _negate(site: Site, children: Children, span: Span) -> Any:
    operand = children[1]
    if isinstance(operand, ast.IntLit) and operand.value >= 0:
        return ast.IntLit(-operand.value, span=span)
    if isinstance(operand, ast.FloatLit) and operand.value >= 0:
        return ast.FloatLit(-operand.value, span=span)
    return _checked(site, ast.Negate(operand, span=span), (operand,), operand)


@rule("group")
def _group(site: Site, children: Children, span: Span) -> Any:
    """Parentheses leave no node: the one inside takes their place in the text."""
    object.__setattr__(children[0], "span", span)
    return children[0]


@rule("var")
def _var(site: Site, children: Children, span: Span) -> ast.Var:
    return ast.Var(children[0], span=span)


@rule("attribute")
def _attribute(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Attribute(children[0], children[1], span=span), (children[0],), children[0])


@rule("index")
def _index(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Index(children[0], children[1], span=span), children, children[0])


@rule("call")
def _call(site: Site, children: Children, span: Span) -> Any:
    arguments = tuple(children[1:])
    made = ast.Call(children[0], arguments, span=span)
    return _checked(site, made, [argument.value for argument in arguments], ast.Call(children[0], (), span=span))


@rule("argument")
def _argument(site: Site, children: Children, span: Span) -> ast.Argument:
    return ast.Argument(children[0] if len(children) > 1 else None, children[-1], span=span)


@rule("record")
def _record(site: Site, children: Children, span: Span) -> Any:
    kind = children[0] if isinstance(children[0], ast.Name) else None
    fields = tuple(children[1:] if kind else children)
    made = ast.RecordLit(kind, fields, span=span)
    return _checked(site, made, [field.value for field in fields], ast.NoneLit(span=span))


@rule("named")
def _named(site: Site, children: Children, span: Span) -> ast.NamedValue:
    return ast.NamedValue(children[0], children[1], span=span)


@rule("tag")
def _tag(site: Site, children: Children, span: Span) -> ast.TagLit:
    return ast.TagLit(children[0], children[1], span=span)


@rule("list")
def _list(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.ListLit(tuple(children), span=span), children, ast.NoneLit(span=span))
