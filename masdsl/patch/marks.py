"""Conflicts in the text of a merge: both versions, between `<<<<<<<`, `=======` and `>>>>>>>`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from masdsl.syntax import ast
from masdsl.syntax.comments import Notes
from masdsl.syntax.print import print_part

Versions = tuple[ast.Item | ast.Statement, ...]
_WORD = "merge_conflict_here_"


class Marks:
    """Stands a placeholder in for each conflict while the program is printed, and writes both versions after."""

    def __init__(self) -> None:
        self._versions: list[tuple[Versions, Versions]] = []

    def item(self, left: ast.Item | None, right: ast.Item | None) -> ast.Item:
        """Return what stands for two versions of a declaration."""
        return ast.Use((ast.Name(self._new(_present(left), _present(right))),), ())

    def statement(self, left: Sequence[ast.Statement], right: Sequence[ast.Statement]) -> ast.Statement:
        """Return what stands for two versions of some statements."""
        return ast.Until(ast.Var(ast.Name(self._new(tuple(left), tuple(right)))))

    def _new(self, left: Versions, right: Versions) -> str:
        self._versions.append((left, right))
        return f"{_WORD}{len(self._versions) - 1}"

    def written(self, text: str, notes: Notes, sides: tuple[str, str]) -> str:
        """Return a printed program with both versions in the place of each placeholder."""

        def versions(found: re.Match[str]) -> str:
            left, right = self._versions[int(found[2])]
            indent = len(found[1])
            lines = [f"<<<<<<< {sides[0]}", *_lines(left, notes, indent), "======="]
            return "\n".join([*lines, *_lines(right, notes, indent), f">>>>>>> {sides[1]}"])

        return re.sub(rf"^( *)(?:use|until) {_WORD}(\d+)$", versions, text, flags=re.MULTILINE)


def _present(item: ast.Item | None) -> Versions:
    return () if item is None else (item,)


def _lines(nodes: Versions, notes: Notes, indent: int) -> list[str]:
    return [print_part(node, notes, indent) for node in nodes]
