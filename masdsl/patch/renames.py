"""What was renamed between two programs.

Candidates are names that are gone and names that are new, of the same kind. They are tried, the likeliest first, and
kept where the rest of the patch gets lighter by more than the `rename` weighs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from masdsl.patch.apply import PatchRefused, apply_edits
from masdsl.patch.blocks import Blocks
from masdsl.patch.declarations import Declarations
from masdsl.patch.emit import path_of
from masdsl.patch.places import NAMED_ITEMS, statements_of
from masdsl.patch.rename import local_names
from masdsl.patch.weights import Texts, edit_weight
from masdsl.syntax import ast
from masdsl.syntax.print import print_item, print_statement

MOST_TRIES: Final = 24
"""Comparisons of whole programs that looking for renames may take."""
MOST_WORK: Final = 150_000
"""Tokens printed and cells of tables filled (`Texts.work`) after which no further rename is looked for."""
MOST_PAIRS: Final = 64
"""Pairs of names that are looked at, for each flow and for the declarations."""
NEAR: Final = 4
"""Where there are more, a name is compared with those that are bound at about the same place."""


class Renames(NamedTuple):
    """The edits, and the program as it is after them."""

    edits: tuple[ast.RenameEdit, ...]
    program: ast.Program


def find_renames(before: ast.Program, after: ast.Program, known: Declarations | None = None) -> Renames:
    """Return the renames that make the patch from one program to the other lighter.

    What is found out about parts of the programs is kept in `known`.
    """
    search = _Search(before, after, known or Declarations(Blocks(Texts())))
    search.run()
    return Renames(tuple(search.edits), search.program)


class _Search:
    def __init__(self, before: ast.Program, after: ast.Program, known: Declarations) -> None:
        self.program = before
        self._known = known
        self.edits: list[ast.RenameEdit] = []
        self._after = after
        self._cost = -1
        self._left = 0

    def run(self) -> None:
        if not any(True for _ in self._proposals()):
            return
        self._cost = self._cost_of(self.program)
        self._left = MOST_TRIES
        tried: set[tuple[str, ...]] = set()
        while self._left > 0 and self._known.texts.work < MOST_WORK:
            fresh = [one for one in self._proposals() if _key(one) not in tried]
            if not fresh:
                return
            if len(fresh) > self._left:
                self._together(fresh, tried)
                self._left = 0
                return
            edit = fresh[0]
            tried.add(_key(edit))
            self._try((edit,))

    def _together(self, fresh: list[ast.RenameEdit], tried: set[tuple[str, ...]]) -> None:
        """Try all likely renames at once where there are too many to try each; each old and new name once."""
        chosen: list[ast.RenameEdit] = []
        used: set[tuple[str, str]] = set()
        for edit in fresh:
            tried.add(_key(edit))
            own = (edit.path[0].text, edit.path[-1].text), (edit.path[0].text, edit.name.text)
            if not used.intersection(own) and len(chosen) < MOST_TRIES:
                used.update(own)
                chosen.append(edit)
        self._try(tuple(chosen))

    def _try(self, edits: tuple[ast.RenameEdit, ...]) -> None:
        self._left -= 1
        try:
            changed = apply_edits(ast.Patch(1, None, edits), self.program)
        except PatchRefused:
            return
        cost = self._cost_of(changed)
        if cost + sum(map(edit_weight, edits)) < self._cost:
            self.program, self._cost = changed, cost
            self.edits += edits

    def _cost_of(self, program: ast.Program) -> int:
        return self._known.paired(program.items, self._after.items).cost

    # ------------------------------------------------------------ candidates

    def _proposals(self) -> Iterator[ast.RenameEdit]:
        before, after = self.program, self._after
        old = {item.name.text: item for item in before.items if isinstance(item, NAMED_ITEMS)}
        new = {item.name.text: item for item in after.items if isinstance(item, NAMED_ITEMS)}
        gone = [item for name, item in old.items() if name not in new]
        come = [item for name, item in new.items() if name not in old]
        yield from _likely(gone, come)
        for name, flow in old.items():
            other = new.get(name)
            if isinstance(flow, ast.Flow) and isinstance(other, ast.Flow):
                yield from _parameters(flow, other)
                yield from _locals(flow, other)
            elif type(flow) is type(other) and isinstance(flow, ast.Agent | ast.Tool):
                yield from _parameters(flow, other)


def _key(edit: ast.RenameEdit) -> tuple[str, ...]:
    return (*(name.text for name in edit.path), edit.name.text)


def _likely(gone: Sequence[Any], come: Sequence[Any]) -> Iterator[ast.RenameEdit]:
    """Yield renames of declarations, those first whose texts have most in common."""
    found: list[tuple[float, int, ast.RenameEdit]] = []
    for old in gone:
        for new in come:
            if type(old) is type(new) and len(found) < MOST_PAIRS:
                same = _likeness(print_item(old.replace(name=new.name)), print_item(new))
                found.append((-same, len(found), ast.RenameEdit((old.name,), new.name)))
    return (edit for _, _, edit in sorted(found, key=lambda entry: entry[:2]))


def _likeness(one: str, other: str) -> float:
    """Return how much of two texts is the same: from the words that they share, from 0 to 1."""
    left, right = one.split(), other.split()
    shared = len(set(left) & set(right))
    return 2 * shared / max(1, len(set(left)) + len(set(right)))


def _parameters(one: Any, other: Any) -> Iterator[ast.RenameEdit]:
    for field in ("params", "statics"):
        old, new = getattr(one, field, ()), getattr(other, field, ())
        known, names = {part.name.text for part in old}, {part.name.text for part in new}
        gone = [part for part in old if part.name.text not in names]
        come = [part for part in new if part.name.text not in known]
        for left in gone:
            for right in come:
                if left.replace(name=right.name) == right:
                    yield ast.RenameEdit((one.name, left.name), right.name)


def _locals(one: ast.Flow, other: ast.Flow) -> Iterator[ast.RenameEdit]:
    """Yield renames of what a flow binds, those first that bind the same in the same place."""
    old_names, new_names = local_names(one), local_names(other)
    gone = _binding_places(one, old_names - new_names)
    come = _binding_places(other, new_names - old_names)
    found: list[tuple[float, int, ast.RenameEdit]] = []
    few = len(gone) * len(come) <= MOST_PAIRS
    for number, (address, node, at) in enumerate(list(gone.values())[:MOST_PAIRS]):
        for its_number, (new, (_, its_node, its_at)) in enumerate(come.items()):
            if type(node) is not type(its_node) or not (few or abs(number - its_number) <= NEAR):
                continue
            likeness = _likeness(_shown(node), _shown(its_node)) - abs(at - its_at) / 1000
            if likeness > 0 or len(gone) * len(come) <= 9:
                edit = ast.RenameEdit(path_of((one.name.text, *address.split("."))), ast.Name(new))
                found.append((-likeness, len(found), edit))
    yield from (edit for _, _, edit in sorted(found, key=lambda entry: entry[:2])[:MOST_PAIRS])


def _binding_places(flow: ast.Flow, names: set[str]) -> dict[str, tuple[str, Any, int]]:
    """Return where each name is bound first: the address in the flow, the statement, and its number."""
    found: dict[str, tuple[str, Any, int]] = {}
    for at, (address, node) in enumerate(statements_of(flow)):
        name = node.name if isinstance(node, ast.Bind) else getattr(node, "label", None)
        if name is not None and name.text in names:
            found.setdefault(name.text, (address, node, at))
    return found


def _shown(node: Any) -> str:
    if isinstance(node, ast.Bind):
        return print_statement(node).partition("=")[2]
    return print_statement(node.replace(label=None))
