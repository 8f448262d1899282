"""What the built-in tools have in common: an offer whose function is made for each declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from masdsl.tools.base import Declared, Mismatch, ToolFault, required_type
from masdsl.tools.signatures import SIGNATURES, mismatches
from masdsl.types import List, Optional, Record, Text, Type

Make: TypeAlias = Callable[[Declared], Callable[..., Any]]


class BuiltIn:
    """A built-in tool of a kind; `make` gives the function for a declaration, `check` says whether it can be used."""

    def __init__(self, kind: str, make: Make, check: Callable[[], object] | None = None) -> None:
        self.kind = kind
        self._make = make
        self._check = check

    def __repr__(self) -> str:
        return f"<built-in tool {self.kind}>"

    def mismatches(self, declared: Declared) -> Iterable[Mismatch]:
        """Return how a declaration differs from the built-in tool."""
        return mismatches(self.kind, declared)

    async def open(self, declared: Declared) -> None:
        """Look whether it can be used here, and make what all uses need. Raises ToolUnusable."""
        if self._check is not None:
            import asyncio

            await asyncio.to_thread(self._check)

    def check(self) -> None:
        """Try whether it can be used here. Raises ToolUnusable."""
        if self._check is not None:
            self._check()

    def function(self, declared: Declared) -> Callable[..., Any]:
        """Return the function for a declaration."""
        return self._make(declared)


def shaped(kind: str, declared: Declared, fields: Mapping[str, object]) -> object:
    """Return a result as a declaration wants it: the record, or the plain value of its main field.

    An empty text is none where the declared field is optional.
    """
    return _shaped(SIGNATURES[kind].main, declared.returns, fields)


def shaped_list(kind: str, declared: Declared, items: Iterable[Mapping[str, object]]) -> list[object]:
    """Return a list of results as a declaration wants each of them."""
    inner = required_type(declared.returns)
    element = inner.element if isinstance(inner, List) else inner
    return [_shaped(SIGNATURES[kind].main, element, item) for item in items]


def _shaped(main: str, wanted: Type, fields: Mapping[str, object]) -> object:
    inner = required_type(wanted)
    if isinstance(inner, Record):
        return {name: _field(kind, fields[name]) for name, kind in inner.fields if name in fields}
    return _field(wanted, fields[main])


def _field(wanted: Type, value: object) -> object:
    return None if value == "" and isinstance(wanted, Optional) else value


def text_size(wanted: Type, main: str) -> int | None:
    """Return the size of the text that a result has room for: its own, or that of its field `main`; None if none."""
    inner = required_type(wanted)
    if isinstance(inner, List):
        return text_size(inner.element, main)
    if isinstance(inner, Record):
        field = inner.field(main)
        inner = required_type(field) if field is not None else inner
    return inner.cap if isinstance(inner, Text) else None


def page_of(page: object, pages: int) -> int:
    """Return which page, from 1, is asked for; the first where none is. Raises ToolFault for one that is not there."""
    if page is None:
        return 1
    if not isinstance(page, int) or not 1 <= page <= pages:
        raise ToolFault(f"there is no page {page}: the pages are 1 to {pages}")
    return page
