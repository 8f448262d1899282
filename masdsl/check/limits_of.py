"""Budgets and slices of them."""

from __future__ import annotations

from masdsl.check.context import Frame
from masdsl.check.program import Limits
from masdsl.diagnostics.types import BadAttribute
from masdsl.syntax import ast


def limits_of(frame: Frame, nodes: tuple[ast.Limit, ...]) -> Limits:
    """Return checked limits; a kind that stands twice, and a fraction of a call or token, is reported."""
    amounts: dict[str, float] = {}
    for node in nodes:
        if node.kind in amounts:
            frame.report(BadAttribute(node.kind, "stands twice", "keep one of them", span=node.span))
        elif node.kind in ("calls", "tokens") and isinstance(node.amount, ast.FloatLit):
            frame.report(BadAttribute(node.kind, "is no whole number", "give a whole number", span=node.span))
        amounts.setdefault(node.kind, node.amount.value)
    calls, tokens = amounts.get("calls"), amounts.get("tokens")
    return Limits(
        calls=None if calls is None else int(calls),
        tokens=None if tokens is None else int(tokens),
        usd=amounts.get("usd"),
        seconds=amounts.get("seconds"),
        span=nodes[0].span.to(nodes[-1].span),
    )
