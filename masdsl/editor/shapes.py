"""Where fields of records and words of enums are declared: a checked type knows the place of its declaration."""

from __future__ import annotations

from masdsl.check.relations import required
from masdsl.check.scope import ModuleScope
from masdsl.editor import symbols
from masdsl.editor.facts import Facts
from masdsl.editor.symbols import Symbol
from masdsl.node import Node, Span
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate
from masdsl.types import Enum, Record, Type


class Shapes:
    """The declarations of types of a program and of all that it imports."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._known: dict[str, dict[Span, Node]] = {}

    def field(self, kind: Type | None, name: str) -> Symbol | None:
        """Return the field of a record, or of one that may be none; None where it cannot be found."""
        inner = required(kind) if kind is not None else None
        if not isinstance(inner, Record):
            return None
        scope = self._facts.module(inner.module)
        shape = self._shape(scope, inner.span) if scope is not None else None
        if scope is not None and isinstance(shape, ast.RecordDecl | ast.RecordType):
            for field in shape.fields:
                if field.name.text == name:
                    return Symbol(scope.source.name, field.name.span.start, name, symbols.FIELD, inner.name or "")
        return None

    def word(self, kind: Type | None, name: str) -> Symbol | None:
        """Return a word of an enum; None where it cannot be found."""
        scope = self._facts.module(kind.module) if isinstance(kind, Enum) else None
        shape = self._shape(scope, kind.span) if scope is not None and kind is not None else None
        return word_of(shape, scope, name) if scope is not None and isinstance(shape, ast.EnumDecl) else None

    def _shape(self, scope: ModuleScope, span: Span) -> Node | None:
        """Return the node that declares a type at a place of a module."""
        known = self._known.get(scope.name)
        if known is None:
            known = {
                node.span: node
                for item in scope.items
                for node in iterate(item)
                if isinstance(node, ast.RecordDecl | ast.RecordType | ast.EnumDecl)
            }
            self._known[scope.name] = known
        return known.get(span)


def word_of(node: ast.EnumDecl, home: ModuleScope, name: str) -> Symbol | None:
    """Return a word of an enum that a module declares; None where it has none of that name."""
    for known in node.words:
        if known.text == name:
            return Symbol(home.source.name, known.span.start, known.text, symbols.WORD, node.name.text)
    return None
