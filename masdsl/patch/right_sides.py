"""The cheapest edits that make one right-hand side of another."""

from __future__ import annotations

from typing import Any

from masdsl.patch.places import numbered, options_of
from masdsl.patch.scripts import Change, Found, Part
from masdsl.patch.weights import expr_weight, path_weight, rhs_weight
from masdsl.syntax import ast


def replaced(suffix: tuple[str, ...], value: ast.Rhs, depth: int) -> Found:
    """Return the edit that puts a whole right-hand side in place of another."""
    cost = 2 + path_weight(depth + len(suffix)) + rhs_weight(value)
    return Found(cost, (Change("replace", suffix, value),))


def fine_right_side(one: Any, other: Any, depth: int) -> Found | None:
    """Return the cheapest edits of the parts of a right-hand side."""
    cost = 0
    parts: list[Part] = []
    if isinstance(one, ast.Sample) and isinstance(other, ast.Sample):
        if one.count != other.count:
            value = ast.Var(other.count) if isinstance(other.count, ast.Name) else other.count
            cost += 2 + path_weight(depth + 1) + expr_weight(value)
            parts.append(Change("set", ("count",), value))
    elif isinstance(one, ast.Each) and isinstance(other, ast.Each):
        if (one.var, one.items, one.condition) != (other.var, other.items, other.condition):
            return None
    elif isinstance(one, ast.Sample | ast.Each) or isinstance(other, ast.Sample | ast.Each):
        return None
    options = _options(options_of(one), options_of(other), depth)
    if options is None:
        return None
    return Found(cost + options.cost, (*parts, *options.parts))


def _options(one: tuple[ast.Expr, ...], other: tuple[ast.Expr, ...], depth: int) -> Found | None:
    """Return the cheapest edits that make some options of others. The first one can only be replaced with all."""
    if one[0] != other[0]:
        return None
    best: dict[tuple[int, int], Found] = {}
    for column in range(len(other), 0, -1):  # what is left of the new ones is added at the end, all at once
        rest = other[column:]
        more: ast.Attempt | None = None if not rest else rest[0] if len(rest) == 1 else ast.Fallback(rest)
        added = (
            Found(0, ())
            if more is None
            else Found(2 + path_weight(depth) + rhs_weight(more), (Change("otherwise", (), more),))
        )
        best[len(one), column] = added
    for row in range(len(one) - 1, 0, -1):
        suffix = (numbered("else", row),)
        for column in range(len(other), 0, -1):
            rest_ = best[row + 1, column]
            choices = [Found(rest_.cost + 1 + path_weight(depth + 1), (*rest_.parts, Change("drop", suffix)))]
            if column < len(other):
                rest_ = best[row + 1, column + 1]
                if one[row] == other[column]:
                    choices.append(rest_)
                else:
                    changed = replaced(suffix, other[column], depth)
                    choices.append(Found(rest_.cost + changed.cost, (*rest_.parts, *changed.parts)))
            best[row, column] = min(choices, key=lambda found: found.cost)
    return best[1, 1]
