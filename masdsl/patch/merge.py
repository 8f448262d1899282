"""Two changes of one program, joined.

    merge(base, left, right)

Everything is compared by name: declarations, their properties, statements by the pairs that `blocks` finds. What one
side changed is taken from it; what both changed in the same way is taken once; what both changed in different ways is a
conflict. New names come first, so that one side may rename what the other one edits. The outcome does not depend on
which side is called left, but for the names of the sides in a conflict.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from masdsl.patch.joining import Clash, Conflict, Joiner
from masdsl.patch.merge_names import with_all_names
from masdsl.patch.places import item_keys
from masdsl.syntax import ast
from masdsl.syntax.comments import Notes
from masdsl.syntax.print import print_with_notes

Key = tuple[str, str, int]


class Merged(NamedTuple):
    """The program that has both changes; with conflicts, `program` is None and `text` has both versions of each,
    between `<<<<<<<` and `>>>>>>>`.
    """

    program: ast.Program | None
    text: str
    conflicts: tuple[Conflict, ...]


def merge(
    base: ast.Program,
    left: ast.Program,
    right: ast.Program,
    notes: Notes | None = None,
    sides: tuple[str, str] = ("left", "right"),
) -> Merged:
    """Join two changes of a program.

    `notes` are the comments of all three, `sides` what conflict marks call the two.
    """
    joiner = Joiner(notes if notes is not None else Notes({}, {}, {}, {}))
    program = _Merging(joiner).programs(*with_all_names(base, left, right, joiner.tree.keep))
    text = print_with_notes(program, joiner.tree.notes)
    if not joiner.conflicts:
        return Merged(program, text, ())
    return Merged(None, joiner.marks.written(text, joiner.tree.notes, sides), tuple(joiner.conflicts))


class _Merging:
    def __init__(self, joiner: Joiner) -> None:
        self.joiner = joiner

    def programs(self, base: ast.Program, left: ast.Program, right: ast.Program) -> ast.Program:
        olds, lefts, rights = _by_key(base), _by_key(left), _by_key(right)
        merged: dict[Key, ast.Item] = {}
        for key in (*olds, *sorted((lefts.keys() | rights.keys()) - olds.keys())):
            item = self._item(key, olds.get(key), lefts.get(key), rights.get(key))
            if item is not None:
                merged[key] = item
        order = self._order(list(olds), list(lefts), list(rights), merged)
        made = base.replace(items=tuple([merged[key] for key in order]))
        try:
            self.joiner.take_notes(base, left, right, made, "the header")
        except Clash as clash:
            self.joiner.tree.keep(left, made)
            self.joiner.conflicts.append(Conflict(clash.address, "changed its comments", "changed its comments"))
        return made

    def _item(self, key: Key, old: Any, left: Any, right: Any) -> ast.Item | None:
        joiner = self.joiner
        address = key[1] if not key[0] else f'{key[0]} "{key[1]}"'
        if joiner.same(left, right):
            return left  # type: ignore[no-any-return]
        if joiner.same(old, left):
            return right  # type: ignore[no-any-return]
        if joiner.same(old, right):
            return left  # type: ignore[no-any-return]
        try:
            if old is None or left is None or right is None or not type(old) is type(left) is type(right):
                raise Clash(address)
            made: ast.Item = joiner.item(old, left, right, address)
            return made
        except Clash as clash:
            joiner.conflicts.append(Conflict(clash.address, did(old, left), did(old, right)))
            return joiner.marks.item(left, right)

    def _order(self, base: list[Key], left: list[Key], right: list[Key], merged: dict[Key, ast.Item]) -> list[Key]:
        """Return the merged declarations in an order that has what each side changed about it."""
        stays = [key for key in base if key in merged]
        lefts, rights = _sorted_like(stays, left), _sorted_like(stays, right)
        order = rights if lefts == stays else lefts
        if stays not in (lefts, rights) and lefts != rights:
            self.joiner.conflicts.append(Conflict("the order of declarations", "changed it", "changed it"))
            order = min(lefts, rights)
        return _with_runs(order, left, right, merged)


def did(old: object, new: object) -> str:
    """Return what a side did, in words."""
    if old is None:
        return "added it" if new is not None else "has none"
    return "dropped it" if new is None else "changed it" if new != old else "left it"


def _by_key(program: ast.Program) -> dict[Key, ast.Item]:
    return dict(zip(item_keys(program.items), program.items, strict=True))


def _sorted_like(stays: list[Key], side: list[Key]) -> list[Key]:
    """Return what stays in the order of a side; what the side does not have keeps its place."""
    own = iter([key for key in side if key in set(stays)])
    has = set(side)
    return [next(own) if key in has else key for key in stays]


def _with_runs(order: list[Key], left: list[Key], right: list[Key], merged: dict[Key, ast.Item]) -> list[Key]:
    """Put what is new on each side behind what it stands behind there."""
    known = set(order)
    runs: dict[Key | None, list[list[Key]]] = {}
    for side in (left, right):
        anchor: Key | None = None
        run: list[Key] = []
        for key in (*side, None):
            if key is None or key in known:
                if run:
                    runs.setdefault(anchor, []).append(run)
                anchor, run = key, []
            elif key in merged:
                run.append(key)
    result: list[Key] = []
    done: set[Key] = set()
    for anchor in (None, *order):
        if anchor is not None:
            result.append(anchor)
        for run in sorted(runs.get(anchor, ())):
            result += [key for key in run if key not in done]
            done.update(run)
    return result
