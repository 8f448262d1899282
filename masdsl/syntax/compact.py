"""The compact text of a tree: a declaration or statement a line, no indentation, no blank lines, no comments.

It is what decoders write and what models are trained on: a line ends where a decoder's piece ends, and no token is
spent on indentation. `mas fmt` makes the canonical text of it, and the two have the same tree.
"""

from __future__ import annotations

from collections.abc import Sequence

from masdsl.node import Node
from masdsl.syntax import ast
from masdsl.syntax.comments import NO_NOTES
from masdsl.syntax.layout import Doc, unbroken
from masdsl.syntax.printer import Printer


def print_compact(document: ast.Document) -> str:
    """Return the compact text of a program, binding or patch; it ends with one line feed."""
    printer = _CompactPrinter(NO_NOTES)
    printer.document(document)
    return printer.text() + "\n"


class _CompactPrinter(Printer):
    def _line(self, indent: int, text: str, comment: str = "") -> None:
        super()._line(0, text, comment)

    def _render(self, doc: Doc, indent: int) -> str:
        return unbroken(doc)

    def _items(self, items: Sequence[ast.Item]) -> None:
        for item in items:
            self.item(item, item, "")

    def item(self, item: ast.Item, anchor: Node, prefix: str) -> None:
        """Write a declaration; an agent's prompt stands on the line of its signature."""
        super().item(item, anchor, prefix)
        if isinstance(item, ast.Agent | ast.Variant) and item.prompt is not None:
            self._lines[-2:] = [" ".join(self._lines[-2:])]

    def _signature(self, head: Doc, region: Node, tail: Sequence[tuple[Node, Doc]]) -> None:
        self._line(0, " ".join([unbroken(head), *(unbroken(doc) for _, doc in tail)]))
