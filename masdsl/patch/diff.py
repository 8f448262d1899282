"""The patch that makes one program of another, with the least weight (`weights`).

New names come first: a declaration or local that is gone, and a new one that is like it, are one that was renamed if
that makes the patch lighter. Then declarations are paired in order, by name, and the blocks of flows are compared as
`blocks` says. Whatever comes out is applied and compared before it is given away.
"""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.patch.apply import PatchRefused, apply_edits
from masdsl.patch.blocks import Blocks
from masdsl.patch.declarations import Declarations
from masdsl.patch.emit import item_edits
from masdsl.patch.identity import short_base
from masdsl.patch.order import declared
from masdsl.patch.places import item_key
from masdsl.patch.renames import find_renames
from masdsl.patch.weights import Texts
from masdsl.syntax import ast


class NotAProgram(ValueError):
    """A program declares a name twice, so that no patch can lead to it; `name` is that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"`{name}` is declared twice")
        self.name = name


def diff(before: ast.Program, after: ast.Program) -> ast.Patch:
    """Return the cheapest patch with `apply_edits(diff(a, b), a) == b`; it has no edits where the two are equal.

    Raises:
        NotAProgram: `after` declares a name twice.
    """
    edits: tuple[ast.Edit, ...] = ()
    if before != after:
        _refuse_twice(after)
        edits = next(found for found in _attempts(before, after) if _leads(found, before, after))
    return ast.Patch(1, short_base(before), edits)


def _attempts(before: ast.Program, after: ast.Program) -> Iterator[tuple[ast.Edit, ...]]:
    """Yield ways that should do, the best first. Only names in unlikely places make the later ones needed."""
    known = Declarations(Blocks(Texts()))
    renames = find_renames(before, after, known)
    if renames.edits:
        yield (*renames.edits, *_edits(renames.program, after, known))
    yield tuple(_edits(before, after, known))
    yield tuple(_edits(before, after, Declarations(Blocks(Texts()), whole=True)))
    yield (*_all_dropped(before), *(ast.AddEdit(item) for item in after.items[:1]), *_rest_added(after))


def _leads(edits: tuple[ast.Edit, ...], before: ast.Program, after: ast.Program) -> bool:
    try:
        return apply_edits(ast.Patch(1, None, edits), before) == after
    except PatchRefused:
        return False


def _edits(before: ast.Program, after: ast.Program, known: Declarations) -> Iterator[ast.Edit]:
    """Yield the edits without any renaming."""
    return item_edits(before.items, after.items, known.paired(before.items, after.items), known)


def _all_dropped(program: ast.Program) -> Iterator[ast.Edit]:
    from masdsl.patch.declarations import place_of

    return (ast.DropEdit(place_of(item)) for item in program.items)


def _rest_added(program: ast.Program) -> Iterator[ast.Edit]:
    from masdsl.patch.declarations import place_of
    from masdsl.patch.places import item_keys

    keys = item_keys(program.items)
    for at, item in enumerate(program.items[1:]):
        yield ast.AddEdit(item, "after", place_of(program.items[at], keys[at][2]))


def _refuse_twice(program: ast.Program) -> None:
    seen: set[str] = set()
    for item in program.items:
        names = [item_key(item)[1]] if isinstance(item, ast.Budget | ast.Rectify) else declared(item)
        for name in names:
            if name in seen:
                raise NotAProgram(name)
            seen.add(name)


def invert(patch: ast.Patch, program: ast.Program) -> ast.Patch:
    """Return the patch that undoes another one: it makes `program` again of what the patch makes of it.

    `redo` leaves nothing to undo. Raises PatchRefused where the patch does not fit the program.
    """
    return diff(apply_edits(patch, program), program)
