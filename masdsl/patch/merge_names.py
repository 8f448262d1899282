"""New names of both sides of a merge, brought to all three programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from masdsl.patch.apply import apply_edits
from masdsl.patch.order import declared
from masdsl.patch.places import ITEM, PARAM, STATIC, find
from masdsl.patch.rename import Names, local_names, renamed
from masdsl.patch.renames import find_renames
from masdsl.syntax import ast

Three = tuple[ast.Program, ast.Program, ast.Program]
Keep = Callable[[object, object], None]


class _Symbol(NamedTuple):
    """Something with a name: `owner` is the declaration that has it, empty for a declaration itself."""

    kind: str
    owner: str
    name: str


_New = dict[_Symbol, str]


def with_all_names(base: ast.Program, left: ast.Program, right: ast.Program, keep: Keep) -> Three:
    """Return the three programs, each with what either side has renamed.

    They are as they were where the names of the two sides do not go together. `keep` is told what stands in the place
    of what.
    """
    lefts, rights = _new_names(base, left), _new_names(base, right)
    if not lefts and not rights:
        return base, left, right
    if not (_agree(lefts, rights) and _free(lefts, rights, right) and _free(rights, lefts, left)):
        return base, left, right
    both = renamed(base, _names(lefts, {}), keep)
    both = renamed(both, _names(rights, lefts), keep)
    return both, renamed(left, _names(rights, lefts), keep), renamed(right, _names(lefts, rights), keep)


def _new_names(base: ast.Program, changed: ast.Program) -> _New:
    """Return what was renamed between two programs, by the names in the first."""
    found: _New = {}
    back: dict[str, str] = {}
    program = base
    for edit in find_renames(base, changed).edits:
        spot = find(program, edit.path)
        owner = back.get(edit.path[0].text, edit.path[0].text)
        if spot.kind == ITEM:
            found[_Symbol("declared", "", owner)] = edit.name.text
            back[edit.name.text] = owner
        elif spot.kind in (PARAM, STATIC):
            found[_Symbol("parameter", owner, edit.path[-1].text)] = edit.name.text
        else:
            name = spot.node.name if isinstance(spot.node, ast.Bind | ast.Append) else getattr(spot.node, "label", None)
            if name is not None:
                found[_Symbol("local", owner, name.text)] = edit.name.text
        program = apply_edits(ast.Patch(1, None, (edit,)), program)
    return found


def _agree(lefts: _New, rights: _New) -> bool:
    if any(rights.get(symbol, name) != name for symbol, name in lefts.items()):
        return False
    both = {**lefts, **rights}
    return len({(symbol.owner, name) for symbol, name in both.items()}) == len(both)


def _free(new: _New, others: _New, program: ast.Program) -> bool:
    """Whether new names of one side are free on the other, whose own new names are `others`."""
    for symbol, name in new.items():
        if symbol in others:
            continue
        owner = others.get(_Symbol("declared", "", symbol.owner), symbol.owner)
        if name in _used(program, owner if symbol.kind != "declared" else ""):
            return False
    return True


def _used(program: ast.Program, owner: str) -> Iterable[str]:
    names = {name for item in program.items for name in declared(item)}
    for item in program.items:
        if isinstance(item, ast.Flow) and owner in ("", item.name.text):
            names |= local_names(item)
        elif isinstance(item, ast.Agent | ast.Tool) and owner == item.name.text:
            names |= {param.name.text for param in item.params}
            names |= {static.name.text for static in getattr(item, "statics", ())}
    return names


def _names(new: _New, known: _New) -> Names:
    """Return new names for a program that has the new names `known` already."""
    result = Names({}, {}, {})
    for symbol, name in new.items():
        if known.get(symbol) == name:
            continue
        owner = known.get(_Symbol("declared", "", symbol.owner), symbol.owner)
        if symbol.kind == "declared":
            result.declared[symbol.name] = name  # type: ignore[index]
        else:
            table = result.parameters if symbol.kind == "parameter" else result.locals
            table.setdefault(owner, {})[symbol.name] = name  # type: ignore[attr-defined]
    return result
