"""Edits from scripts: each with the address that its place has when the edits before it are made.

They come in the order of the text. The address of a place follows from its block as it is at that moment
(`places.statement_names`): new statements up to there, old ones from there on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from masdsl.patch.blocks import empty_opener
from masdsl.patch.declarations import Declarations, Pairing, place_of
from masdsl.patch.order import place_for
from masdsl.patch.places import item_keys, statement_names
from masdsl.patch.scripts import Change, Part, Region, Same, Script, Within, Wrapped
from masdsl.syntax import ast

Address = tuple[str, ...]


def path_of(address: Iterable[str]) -> ast.Path:
    """Return an address as a path of the tree."""
    return tuple([ast.Name(text) for text in address])


def item_edits(
    before: Sequence[ast.Item], after: Sequence[ast.Item], pairing: Pairing, known: Declarations
) -> Iterator[ast.Edit]:
    """Yield the edits that make one list of declarations of another, with all that is in them.

    What goes is dropped first: what only moves is added again, and its name has to be free by then.
    """
    current = list(before)
    rows = {row for row, _ in pairing.pairs}
    for row in range(len(before) - 1, -1, -1):
        if row not in rows:
            yield ast.DropEdit(place_of(current[row], item_keys(current)[row][2]))
            del current[row]
    start = 0
    for place, (_, column) in enumerate((*pairing.pairs, (len(before), len(after)))):
        for new in range(start, column):
            yield _added(after[new], new, current)
            current.insert(new, after[new])
        if place < len(pairing.pairs):
            yield from _changed(current[column], after[column], known)
            current[column] = after[column]
        start = column + 1


def _changed(one: ast.Item, other: ast.Item, known: Declarations) -> Iterator[ast.Edit]:
    yield from part_edits(known.item(one, other).parts, (_name(one),))


def _name(item: ast.Item) -> str:
    place = place_of(item)
    return place[0].text if isinstance(place, tuple) else ""


def _added(item: ast.Item, at: int, items: Sequence[ast.Item]) -> ast.AddEdit:
    if place_for(item, items) == at:
        return ast.AddEdit(item)
    keys = item_keys(items)
    if at:
        return ast.AddEdit(item, "after", place_of(items[at - 1], keys[at - 1][2]))
    return ast.AddEdit(item, "before", place_of(items[0], keys[0][2]))


# ---------------------------------------------------------------- statements


def part_edits(parts: Iterable[Part], address: Address) -> Iterator[ast.Edit]:
    """Yield the edits of a declaration or statement at an address."""
    for part in parts:
        where = (*address, *part.suffix)
        if isinstance(part, Within):
            yield from _block_edits(part.before, part.script, where, part.taken)
        else:
            yield _edit(part, where)


def _edit(part: Change, where: Address) -> ast.Edit:
    path = path_of(where)
    match part.kind:
        case "replace":
            return ast.ReplaceEdit(path, part.value)
        case "set":
            return ast.SetEdit(path, part.value)
        case "bind":
            return ast.BindEdit(ast.Assignment(path[0], part.value))
        case "drop":
            return ast.DropEdit(path)
        case "otherwise":
            return ast.ElseEdit(path, part.value)
        case "label":
            return ast.RenameEdit(path, part.value)
        case "budget":
            return ast.BudgetEdit(part.value)
        case "redeclare":
            return ast.RedeclareEdit(part.value)
        case _:
            return ast.SubstituteEdit(path, part.value)


def _block_edits(
    before: Sequence[ast.Statement], script: Script, prefix: Address, taken: tuple[str, ...]
) -> Iterator[ast.Edit]:
    current = list(before)
    new = script.after

    def address(at: int) -> Address:
        return (*prefix, statement_names(current, taken)[at])

    at = 0
    for piece in script.pieces:
        match piece:
            case Same():
                if piece.parts:
                    yield from part_edits(piece.parts, address(at))
                    current[at] = new[piece.after]
                at += 1
            case Wrapped():
                wrapper = empty_opener(new[piece.after])
                yield ast.WrapEdit(path_of(address(at)), wrapper)
                inner = (current[at],)
                current[at] = wrapper
                yield from _block_edits(inner, piece.script, address(at), ())
                current[at] = new[piece.after]
                at += 1
            case Region():
                old = piece.before[1] - piece.before[0]
                run = new[slice(*piece.after)]
                for gone in range(at + old - 1, at if run else at - 1, -1):
                    yield ast.DropEdit(path_of(address(gone)))
                    del current[gone]
                if run and old:
                    yield ast.SubstituteEdit(path_of(address(at)), ast.Block(run))
                    current[at : at + 1] = run
                elif run:
                    where, anchor = ("after", at - 1) if at else ("before", 0)
                    yield ast.InsertEdit(where, path_of(address(anchor)), ast.Block(run))
                    current[at:at] = run
                at += len(run)
