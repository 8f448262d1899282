"""Where the steps of a program are after a patch: the addresses that have changed, new to old.

`rename` gives a statement another name, `wrap` puts it one level deeper, and a new block without a label may take the
name of one that stands behind it. Statements that an edit leaves as they are stay the same objects, whatever happens
around them: that is how they are found again. What is dropped here and written anew there is another statement; it may
still claim what it finds in the journal with the same inputs and declaration.
"""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.patch.apply import apply_edits
from masdsl.patch.places import STATEMENT, NoPlace, dotted, find, statements_of
from masdsl.syntax import ast


def aliases_of(patch: ast.Patch, program: ast.Program, entry: str) -> dict[str, str]:
    """Return, for the addresses that steps of the flow `entry` have after a patch, those that they had before.

    Steps of called flows are found through the step that calls them, so only the entry's own statements have aliases.
    """
    at_first = program
    origin: dict[str, str] = {address: address for address, _ in _steps(at_first, entry)}
    for edit in patch.edits:
        after = apply_edits(ast.Patch(1, None, (edit,)), program)
        new_names = {id(node): address for address, node in _steps(after, entry)}
        renamed = _rename(program, edit)
        now: dict[str, str] = {}
        for address, node in _steps(program, entry):
            if address not in origin:
                continue
            new = new_names.get(id(node))
            if new is None and renamed is not None:
                new = _moved(address, *renamed)
            if new is not None:
                now[new] = origin[address]
            elif address in new_names.values():
                now[address] = origin[address]
        origin, program = now, after
    return {new: old for new, old in sorted(origin.items()) if new != old}


def _steps(program: ast.Program, entry: str) -> Iterator[tuple[str, ast.Statement]]:
    for item in program.items:
        if isinstance(item, ast.Flow) and item.name.text == entry:
            for address, node in statements_of(item):
                if isinstance(node, ast.Bind | ast.Return):
                    yield f"{entry}.{address}", node


def _rename(program: ast.Program, edit: ast.Edit) -> tuple[str, str] | None:
    """Return the address of a statement before and after it gets another name; None for other edits."""
    if not isinstance(edit, ast.RenameEdit) or len(edit.path) < 2:
        return None
    try:
        if find(program, edit.path).kind != STATEMENT:
            return None
    except NoPlace:
        return None
    old = dotted(edit.path)
    return old, f"{old.rpartition('.')[0]}.{edit.name.text}"


def _moved(address: str, old: str, new: str) -> str:
    return new + address[len(old) :] if address == old or address.startswith(f"{old}.") else address
