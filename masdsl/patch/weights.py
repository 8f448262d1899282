"""What an edit costs: its tokens. The cheapest patch between two programs is the one that `diff` gives.

A token is a word, a number or a mark; a text counts one for every eight characters that it begins. So a long prompt is
not written again for the sake of one attribute.
"""

from __future__ import annotations

import re
from typing import Final

from masdsl.node import Node
from masdsl.syntax import ast
from masdsl.syntax.print import print_edit, print_expr, print_item, print_rhs, print_statement

TEXT_STEP: Final = 8
_TOKEN = re.compile(
    r'(?P<text>"""(?:"{0,2}(?:[^"\\]|\\[\s\S]))*"""|"(?:[^"\\\n]|\\[^\n])*")'
    r"|[A-Za-z0-9_]+(?:\.[0-9]+|%)?|->|\+=|[=!<>]=|[][(){}.,:|=?+*/<>-]"
)


def tokens(text: str) -> int:
    """Return the weight of a text."""
    return sum(1 if found["text"] is None else 1 + len(found[0]) // TEXT_STEP for found in _TOKEN.finditer(text))


def edit_weight(edit: ast.Edit) -> int:
    """Return what an edit costs. Where an added declaration goes does not count."""
    if isinstance(edit, ast.AddEdit):
        edit = ast.AddEdit(edit.item)
    return tokens(print_edit(edit))


def patch_weight(patch: ast.Patch) -> tuple[int, int]:
    """Return what a patch costs: the weight of its edits, then their number."""
    return sum(map(edit_weight, patch.edits)), len(patch.edits)


def path_weight(parts: int) -> int:
    """Return the weight of an address of so many parts."""
    return 2 * parts - 1


class Texts:
    """The canonical texts of nodes and their weights, each made once. Two nodes are equal if their texts are."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Node, str, int]] = {}
        self.work = 0
        """How much was made so far: a measure of time that is the same on every machine."""

    def of(self, node: Node) -> str:
        """Return the canonical text of an item or a statement."""
        return self._entry(node)[1]

    def weight(self, node: Node) -> int:
        """Return the weight of an item or a statement."""
        return self._entry(node)[2]

    def _entry(self, node: Node) -> tuple[Node, str, int]:
        entry = self._known.get(id(node))
        if entry is None:
            text = print_item(node) if isinstance(node, _ITEMS) else print_statement(node)  # type: ignore[arg-type]
            entry = self._known[id(node)] = (node, text, tokens(text))
            self.work += entry[2]
        return entry


def expr_weight(node: ast.Expr) -> int:
    """Return the weight of an expression."""
    return tokens(print_expr(node))


def rhs_weight(node: ast.Rhs) -> int:
    """Return the weight of a right-hand side."""
    return tokens(print_rhs(node))


_ITEMS = (
    *(
        ast.Use,
        ast.RecordDecl,
        ast.EnumDecl,
        ast.Tool,
        ast.Agent,
        ast.Variant,
        ast.Extern,
        ast.Flow,
        ast.Budget,
        ast.Rectify,
        ast.Test,
    ),
)
