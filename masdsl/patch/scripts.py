"""How one block becomes another: what `blocks` finds and `emit` writes as edits."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from masdsl.syntax import ast


class Change(NamedTuple):
    """One edit of a statement or declaration. `suffix` is what its address adds to theirs.

    kind is replace, set, drop, otherwise, label or substitute; `value` is what stands behind `=`, or the block.
    """

    kind: str
    suffix: tuple[str, ...]
    value: Any = None


class Within(NamedTuple):
    """Edits in a block of the statement or declaration. `taken` are the names that mean something else there."""

    suffix: tuple[str, ...]
    before: tuple[ast.Statement, ...]
    script: Script
    taken: tuple[str, ...] = ()


Part: TypeAlias = "Change | Within"


class Same(NamedTuple):
    """A statement that stays, perhaps with changes in it: number `before` of the old block, `after` of the new."""

    before: int
    after: int
    parts: tuple[Part, ...] = ()


class Wrapped(NamedTuple):
    """A statement that is put into the block of a new construct; `script` is about that block."""

    before: int
    after: int
    script: Script


class Region(NamedTuple):
    """Statements of the old block, from one number up to another, that give way to statements of the new one."""

    before: tuple[int, int]
    after: tuple[int, int]


class Script(NamedTuple):
    """All of a block in order, and the new statements."""

    pieces: tuple[Same | Wrapped | Region, ...]
    after: tuple[ast.Statement, ...]


class Found(NamedTuple):
    """The cheapest way, and its cost."""

    cost: int
    parts: tuple[Part, ...]


class FoundScript(NamedTuple):
    """The cheapest script, and its cost."""

    cost: int
    script: Script
