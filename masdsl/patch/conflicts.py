"""Which edits of a patch get in each other's way, and patches joined one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from masdsl.patch.places import dotted, item_key
from masdsl.syntax import ast


class Clash(NamedTuple):
    """Two edits that write the same place, by their numbers in the patch, and what that place is called."""

    first: int
    second: int
    what: str


def clashes(edits: Sequence[ast.Edit]) -> Iterator[Clash]:
    """Yield the pairs of edits of which the second undoes the first, with nothing between them about the same place."""
    open_writes: dict[tuple[str, ...], int] = {}
    for number, edit in enumerate(edits):
        written = _written(edit)
        if written is not None and written in open_writes:
            yield Clash(open_writes[written], number, ".".join(written[1:]))
        about = _about(edit)
        if about is None:
            if not isinstance(edit, ast.RedoEdit):
                open_writes.clear()
        else:
            for other in [key for key in open_writes if _overlap(key[1:], about)]:
                del open_writes[other]
        if written is not None:
            open_writes[written] = number


def compose(first: ast.Patch, second: ast.Patch) -> ast.Patch:
    """Return the patch that does what `first` and then `second` does: both, without what the second undoes at once.

    It is for the program that `first` is for. A choice between two values of one place counts once, so that the result
    has no clashes that its parts have not.
    """
    edits = [*first.edits, *second.edits]
    while clash := next(clashes(edits), None):
        del edits[clash.first]
    return ast.Patch(first.edition, first.base, tuple(edits))


def _written(edit: ast.Edit) -> tuple[str, ...] | None:
    """Return what an edit writes, where writing it twice is pointless: a word for the kind, and an address."""
    match edit:
        case ast.SetEdit():
            return ("set", *_texts(edit.path))
        case ast.BindEdit():
            return ("set", edit.assignment.role.text, "on")
        case ast.ReplaceEdit():
            return ("replace", *_texts(edit.path))
        case ast.RedeclareEdit() if not isinstance(edit.item, ast.Test | ast.Use):
            return (f"declare {type(edit.item).__name__}", item_key(edit.item)[1])
        case ast.BudgetEdit():
            return ("budget", "budget")
        case _:
            return None


def _about(edit: ast.Edit) -> tuple[str, ...] | None:
    """Return the address that an edit is about; None for one that may change what any address means, or for `redo`."""
    match edit:
        case ast.SetEdit() | ast.ReplaceEdit() | ast.ElseEdit():
            return _texts(edit.path)
        case ast.BindEdit():
            return edit.assignment.role.text, "on"
        case ast.RedeclareEdit() if not isinstance(edit.item, ast.Test | ast.Use):
            return (item_key(edit.item)[1],)
        case ast.BudgetEdit():
            return ("budget",)
        case ast.SubstituteEdit() | ast.InsertEdit() | ast.WrapEdit() if len(edit.path) > 1:
            return _texts(edit.path)[:-1]  # their neighbours may be called otherwise after it
        case ast.DropEdit() if isinstance(edit.place, tuple) and len(edit.place) > 1:
            return _texts(edit.place)[:-1]
        case _:
            return None


def _texts(path: ast.Path) -> tuple[str, ...]:
    return tuple([name.text for name in path])


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    length = min(len(one), len(other))
    return tuple(one[:length]) == tuple(other[:length])


def place_text(place: ast.Place) -> str:
    """Return a place as it is spoken of."""
    if isinstance(place, tuple):
        return dotted(place)
    return f'test "{place.title.value}"' if isinstance(place, ast.TestPlace) else f"use {dotted(place.path)}"
