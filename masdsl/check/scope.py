"""Which names mean what: the declarations of a module and its imports, and the names of a flow's body."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from masdsl.check.types import Type
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast

KIND_OF = {
    ast.RecordDecl: "a type",
    ast.EnumDecl: "a type",
    ast.Tool: "a tool",
    ast.Agent: "an agent",
    ast.Flow: "a flow",
}


class Declared(NamedTuple):
    """A declaration under the name that a module knows it by.

    `home` is the module that declares it; `visible_from` is the offset, in the module that looks it up, from which on
    it may be used: the end of the declaration, or of the `use`.
    """

    name: str
    node: ast.RecordDecl | ast.EnumDecl | ast.Tool | ast.Agent | ast.Flow
    home: ModuleScope
    at: Span
    visible_from: int

    @property
    def what(self) -> str:
        """What it is, for messages: `a type`, `an agent`, ..."""
        return KIND_OF[type(self.node)]


class ModuleScope:
    """The declarations that a module knows. `name` is dotted (`std.vote`), empty for the program's own module."""

    def __init__(
        self, name: str, source: Source, items: tuple[ast.Item, ...], comments: tuple[ast.Comment, ...]
    ) -> None:
        self.name = name
        self.source = source
        self.items = items
        self.comments = comments
        self.names: dict[str, Declared] = {}
        self.missing: set[str] = set()
        """Names that a faulty `use` or a part with syntax errors would have brought: already reported, so their uses
        are not."""
        self.gaps: tuple[Span, ...] = ()
        """Where the text has parts with syntax errors, which are not in the tree."""

    def own(self) -> Iterable[Declared]:
        """Return what the module itself declares, in order."""
        return (declared for declared in self.names.values() if declared.home is self)

    def doc(self, node: ast.Item) -> str:
        """Return the text of the `##` comments directly above a declaration."""
        line = self.source.position(node.span.start).line
        texts: list[str] = []
        for comment in reversed(self.comments):
            if comment.span.start > node.span.start:
                continue
            if not comment.text.startswith("#") or self.source.position(comment.span.start).line != line - 1:
                break
            texts.append(comment.text[1:].strip())
            line -= 1
        return "\n".join(reversed(texts))


class Names:
    """The names that are bound at a point of a flow's body, with their types (narrowed where a test has shown more)."""

    def __init__(self) -> None:
        self.types: dict[str, Type] = {}
        self.bound_at: dict[str, Span] = {}
        self.unsure: dict[str, Span] = {}

    def copy(self) -> Names:
        """Return an independent copy, for a branch."""
        twin = Names()
        twin.types = dict(self.types)
        twin.bound_at = dict(self.bound_at)
        twin.unsure = dict(self.unsure)
        return twin

    def bind(self, name: str, kind: Type, at: Span) -> None:
        """Give a name its type from here on."""
        self.types[name] = kind
        self.bound_at[name] = at
        self.unsure.pop(name, None)
