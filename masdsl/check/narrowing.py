"""What a condition shows about names: behind `x != none`, x is there."""

from __future__ import annotations

from masdsl.check.scope import Names
from masdsl.syntax import ast
from masdsl.types import Optional, Type


def narrowed(names: Names, node: ast.Expr, outcome: bool) -> Names:
    """Return the names as known where the condition came out as `outcome`: `x != none` shows that x is there."""
    changes: dict[str, Type] = {}
    _collect_narrowing(names, node, outcome, changes)
    if not changes:
        return names
    layer = names.layer()
    layer.refine(changes)
    return layer


def _collect_narrowing(names: Names, node: ast.Expr, outcome: bool, changes: dict[str, Type]) -> None:
    match node:
        case ast.Not():
            _collect_narrowing(names, node.operand, not outcome, changes)
        case ast.And() if outcome:
            for operand in node.operands:
                _collect_narrowing(names, operand, True, changes)
        case ast.Or() if not outcome:
            for operand in node.operands:
                _collect_narrowing(names, operand, False, changes)
        case (
            ast.Binary(left=ast.Var(name=name), op="==" | "!=" as op, right=ast.NoneLit())
            | ast.Binary(left=ast.NoneLit(), op="==" | "!=" as op, right=ast.Var(name=name))
        ):
            kind = names.get(name.text)
            if isinstance(kind, Optional) and (op == "!=") == outcome:
                changes[name.text] = kind.inner
        case _:
            pass
