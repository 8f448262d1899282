"""A program that is being changed, with its comments.

Trees are immutable: a change makes new nodes from the place up to the program. Comments are attached to nodes by their
identity (`syntax.comments.Notes`), so whatever is made in place of a node takes its comments over, here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from masdsl.node import Node, Span
from masdsl.patch.places import WHOLE, Step
from masdsl.syntax import ast
from masdsl.syntax.comments import Notes, key
from masdsl.syntax.walk import iterate

_Tables = tuple[dict[int, Any], ...]


class Tree:
    """Holds the program as it is now; `program` and `notes` may be printed together at any time."""

    def __init__(self, program: ast.Program, notes: Notes | None = None) -> None:
        self.program = program
        self.notes = notes if notes is not None else Notes({}, {}, {}, {})
        self.foreign: dict[int, Span] = {}
        """Where in the text of the patch the nodes stand that come from there, by identity."""
        self.sites: dict[int, str] = {}
        """What `sites` wants to find again: addresses before the change, by the identity of what is there."""
        self._alive: list[object] = []  # an identity is that of one thing as long as the thing is kept

    def change(self, steps: Sequence[Step], make: Callable[[Any], Any]) -> None:
        """Put what `make` gives in the place of the node that the steps lead to."""
        self.program = self._changed(self.program, steps, make)

    def _changed(self, node: Any, steps: Sequence[Step], make: Callable[[Any], Any]) -> Any:
        if not steps:
            made = make(node)
        else:
            field, at = steps[0]
            value = getattr(node, field)
            if at == WHOLE:
                part = self._changed(value, steps[1:], make)
            else:
                part = (*value[:at], self._changed(value[at], steps[1:], make), *value[at + 1 :])
                self.keep(value, part)
            made = node.replace(**{field: part})
        self.keep(node, made)
        return made

    def splice(self, steps: Sequence[Step], count: int, new: Sequence[Node]) -> None:
        """Put `new` in the place of `count` members of a list, from the one on that the steps end with."""
        *above, (field, at) = steps

        def spliced(owner: Node) -> Node:
            values = getattr(owner, field)
            made = (*values[:at], *new, *values[at + count :])
            self.keep(values, made)
            return owner.replace(**{field: made})

        self.change(above, spliced)

    def keep(self, old: object, new: object) -> None:
        """Let a thing that stands in the place of another one have its comments."""
        if old is new or not (isinstance(old, Node | tuple) and isinstance(new, Node | tuple)):
            return
        self._alive += [old, new]
        self._copy((*self.notes, self.foreign, self.sites), old, new)

    def keep_around(self, old: Node, new: Node) -> None:
        """Let a thing have the comments that stand above and behind another one, unless it has such comments."""
        self._alive += [old, new]
        self._copy((self.notes.above, self.notes.behind), old, new)

    def _copy(self, tables: _Tables, old: object, new: object) -> None:
        for table in tables:
            if key(old) in table:
                table.setdefault(key(new), table[key(old)])

    def add_patch(self, patch: ast.Patch, notes: Notes) -> None:
        """Take over the comments of a patch, and where it stands, for the nodes that come from it."""
        self._alive.append(patch)
        for node in iterate(patch):
            self.foreign[key(node)] = node.span
        tables: _Tables = tuple(self.notes)
        added: _Tables = tuple(notes)
        for table, more in zip(tables, added, strict=True):
            table.update(more)
