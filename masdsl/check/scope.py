"""Which names mean what: the declarations of a module and its imports, and the names of a flow's body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.types import Type

KIND_OF = {
    ast.RecordDecl: "a type",
    ast.EnumDecl: "a type",
    ast.Tool: "a tool",
    ast.Agent: "an agent",
    ast.Variant: "an agent",
    ast.Extern: "a function",
    ast.Flow: "a flow",
}


class Declared(NamedTuple):
    """A declaration under the name that a module knows it by.

    `home` is the module that declares it; `visible_from` is the offset, in the module that looks it up, from which on
    it may be used: the end of the declaration, or of the `use`.
    """

    name: str
    node: ast.RecordDecl | ast.EnumDecl | ast.Tool | ast.Agent | ast.Variant | ast.Extern | ast.Flow
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
            if not comment.text.startswith("##") or self.source.position(comment.span.start).line != line - 1:
                break
            texts.append(comment.text[2:].strip())
            line -= 1
        return "\n".join(reversed(texts))


class Names:
    """The names that are bound at a point of a flow's body, with their types (narrowed where a test has shown more).

    Branches work on layers: a layer holds what has changed since the one below it, so that a branch costs what it binds
    and not what is known before it.
    """

    __slots__ = ("_below", "_bound_at", "_types", "_unsure")

    def __init__(self, below: Names | None = None) -> None:
        self._below = below
        self._types: dict[str, Type] = {}
        self._bound_at: dict[str, Span] = {}
        self._unsure: dict[str, Span] = {}

    def layer(self) -> Names:
        """Return a layer above this one, for a branch."""
        return Names(self)

    def get(self, name: str) -> Type | None:
        """Return the type of a name, None where it is not bound."""
        layer: Names | None = self
        while layer is not None:
            kind = layer._types.get(name)
            if kind is not None:
                return kind
            layer = layer._below
        return None

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> Type:
        kind = self.get(name)
        if kind is None:
            raise KeyError(name)
        return kind

    def __iter__(self) -> Iterator[str]:
        """Yield the bound names, nearest layer first."""
        seen: set[str] = set()
        layer: Names | None = self
        while layer is not None:
            yield from (name for name in layer._types if name not in seen)
            seen.update(layer._types)
            layer = layer._below

    def bound_at(self, name: str) -> Span | None:
        """Return where a name was bound last."""
        return self._find("_bound_at", name)

    def unsure(self, name: str) -> Span | None:
        """Return the construct on only some ways through which a name was bound, if it is not bound for sure."""
        return self._find("_unsure", name)

    def _find(self, what: str, name: str) -> Span | None:
        layer: Names | None = self
        while layer is not None:
            span: Span | None = getattr(layer, what).get(name)
            if span is not None:
                return span
            layer = layer._below
        return None

    def bind(self, name: str, kind: Type, at: Span) -> None:
        """Give a name its type from here on."""
        self._types[name] = kind
        self._bound_at[name] = at

    def refine(self, types: Mapping[str, Type]) -> None:
        """Give bound names other types from here on."""
        self._types.update(types)

    def doubt(self, name: str, where: Span) -> None:
        """Note that a name that is not bound here is bound on some ways through a construct."""
        self._unsure.setdefault(name, where)

    def changed_since(self, base: Names) -> dict[str, Type]:
        """Return the names whose types are set in the layers above `base`."""
        changed: dict[str, Type] = {}
        layer: Names | None = self
        while layer is not None and layer is not base:
            for name, kind in layer._types.items():
                changed.setdefault(name, kind)
            layer = layer._below
        return changed

    def doubts_since(self, base: Names) -> dict[str, Span]:
        """Return the names that became unsure in the layers above `base`."""
        doubts: dict[str, Span] = {}
        layer: Names | None = self
        while layer is not None and layer is not base:
            doubts |= layer._unsure
            layer = layer._below
        return doubts
