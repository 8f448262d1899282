"""Right sides of bindings and `return`: samples, `each`, alternatives with `else`, a step or an expression."""

from __future__ import annotations

import re

from masdsl.check import program
from masdsl.check.binders import check_scoped
from masdsl.check.callables import is_function
from masdsl.check.context import Frame
from masdsl.check.expressions import condition, typed
from masdsl.check.narrowing import narrowed
from masdsl.check.program import Invoke, Rhs
from masdsl.check.relations import join, list_of, required, show
from masdsl.check.resolve import static_int
from masdsl.check.scope import Names
from masdsl.check.steps import invoke
from masdsl.diagnostics.flow import UselessElse
from masdsl.diagnostics.types import NoCommonType, NotAList
from masdsl.limits import LOOP_TIMES
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.types import List, Nothing, Optional, Type, Unknown


def right_side(frame: Frame, names: Names, node: ast.Rhs, path: str, want: Type | None) -> Rhs:
    """Return the checked right side of a binding or `return` at the address `path`; `want` gives literals a type."""
    match node:
        case ast.Sample():
            count = static_int(frame, node.count, "the number of samples", 1, LOOP_TIMES) or 1
            body = _attempt(frame, names, node.body, path, _element(want))
            return program.Sample(count, body, list_of(body.type, count, count), span=node.span)
        case ast.Each():
            return _each(frame, names, node, path, want)
        case _:
            return _attempt(frame, names, node, path, want)


def _each(frame: Frame, names: Names, node: ast.Each, path: str, want: Type | None) -> Rhs:
    items = typed(frame, names, node.items)
    check_scoped(frame, names, node.var)
    element, high = items_of(frame, items.type, "what `each` goes through", node.items.span)
    low = items.type.low if isinstance(items.type, List) and node.condition is None else 0
    inner = names.layer()
    inner.bind(node.var.text, element, node.var.span)
    frame.found(node.var, element)
    checked = condition(frame, inner, node.condition) if node.condition is not None else None
    if node.condition is not None:
        inner = narrowed(inner, node.condition, True)
    body = _attempt(frame, inner, node.body, path, _element(want))
    kind = list_of(body.type, low, high)
    return program.Each(node.var.text, element, items, checked, body, kind, span=node.span)


def _attempt(frame: Frame, names: Names, node: ast.Attempt, path: str, want: Type | None) -> program.Attempt:
    if not isinstance(node, ast.Fallback):
        return _operand(frame, names, node, path, want)
    options: list[program.Expr | Invoke] = []
    kind: Type = Nothing()
    for number, option in enumerate(node.options):
        suffix = "" if number == 0 else ".else" if number == 1 else f".else_{number}"
        checked = _operand(frame, names, option, path + suffix, want)
        last = number == len(node.options) - 1
        if not last and not isinstance(checked, Invoke) and not isinstance(checked.type, Optional | Nothing | Unknown):
            frame.report(UselessElse(_from_else(frame, node, number), span=node.options[number + 1].span))
        settled = checked.type if last else required(checked.type)
        common = settled if number == 0 else join(kind, settled)
        if common is None:
            frame.report(NoCommonType("this alternative", show(kind), show(settled), span=option.span))
            common = Unknown()
        if last and isinstance(kind, Nothing) and number > 0:
            common = settled
        kind = common
        options.append(checked)
    return program.Fallback(tuple(options), kind, span=node.span)


def _from_else(frame: Frame, node: ast.Fallback, number: int) -> Span:
    """Return the span of all that follows an option, with the word `else` before it."""
    up_to_else = re.compile(r"(?:#[^\n]*|[^#])*?\belse\b")  # rarely needed: not compiled at every start
    found = up_to_else.match(frame.scope.source.text, node.options[number].span.end)
    return Span(node.span.end if found is None else found.end() - len("else"), node.span.end)


def _operand(frame: Frame, names: Names, node: ast.Expr, path: str, want: Type | None) -> program.Expr | Invoke:
    if isinstance(node, ast.Call) and not is_function(frame, node.callee.text):
        return invoke(frame, names, node, path)
    return typed(frame, names, node, want)


def items_of(frame: Frame, kind: Type, place: str, span: Span) -> tuple[Type, int]:
    """Return the type of the items of what `for` or `each` goes through, and how many there are at most."""
    if isinstance(kind, List):
        return kind.element, kind.high
    if not isinstance(kind, Unknown):
        frame.report(NotAList(place, show(kind), span=span))
    return Unknown(), 1


def _element(want: Type | None) -> Type | None:
    return want.element if isinstance(want, List) else None
