"""The cheapest edits that make one block of statements of another.

Statements of the two blocks are paired in order. A pair is a statement that stays, one with edits in it, or one that is
put into a new construct; between pairs, statements are dropped, inserted and replaced. Which pairs give the least
weight is found by dynamic programming over both blocks, and in the blocks inside them in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from masdsl.patch.alignment import Prices, aligned
from masdsl.patch.places import numbered, statement_names, taken_in_first_branch
from masdsl.patch.right_sides import fine_right_side, replaced
from masdsl.patch.scripts import Change, Found, FoundScript, Part, Region, Same, Script, Within, Wrapped
from masdsl.patch.weights import Texts, expr_weight, path_weight
from masdsl.syntax import ast

MOST_PAIRS: Final = 600
"""Constructs of two blocks that are compared each with each; beyond that, only those of the same name are."""

Statements = tuple[ast.Statement, ...]


class Blocks:
    """Compares blocks; what was found about two statements is kept."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self._pairs: dict[tuple[int, int, int], Found | None] = {}
        self._alive: list[Any] = []

    # ------------------------------------------------------------ blocks

    def script(self, before: Statements, after: Statements, depth: int) -> FoundScript | None:
        """Return the cheapest script for a block whose statements have addresses of `depth` parts.

        None where there is none: nothing can be put beside the statements of an empty block.
        """
        text = self.texts.of
        if not before:
            return FoundScript(0, Script((), ())) if not after else None
        start = 0
        while start < min(len(before), len(after)) and text(before[start]) == text(after[start]):
            start += 1
        end = 0
        while end < min(len(before), len(after)) - start and text(before[-1 - end]) == text(after[-1 - end]):
            end += 1
        pieces: list[Same | Wrapped | Region] = [Same(at, at) for at in range(start)]
        cost, middle = self._aligned(before, after, (start, len(before) - end), (start, len(after) - end), depth)
        pieces += middle
        pieces += [Same(len(before) - at, len(after) - at) for at in range(end, 0, -1)]
        return FoundScript(cost, Script(tuple(pieces), after))

    def _aligned(
        self, before: Statements, after: Statements, old: tuple[int, int], new: tuple[int, int], depth: int
    ) -> tuple[int, list[Same | Wrapped | Region]]:
        rows, columns = old[1] - old[0], new[1] - new[0]
        prices = Prices(1 + path_weight(depth), 3 + path_weight(depth))
        weights = [self.texts.weight(node) for node in after[new[0] : new[1]]]
        pairs = self._candidates(before, after, old, new, depth)
        self.texts.work += rows + columns + len(pairs) ** 2 // 2
        cost, chain = aligned(rows, columns, {pair: found[0] for pair, found in pairs.items()}, weights, prices)
        pieces: list[Same | Wrapped | Region] = []
        row = column = 0
        for next_row, next_column in (*chain, (rows, columns)):
            if (row, column) != (next_row, next_column):
                pieces.append(Region((old[0] + row, old[0] + next_row), (new[0] + column, new[0] + next_column)))
            if (next_row, next_column) in pairs:
                how = pairs[next_row, next_column][1]
                made = Wrapped if isinstance(how, Script) else Same
                pieces.append(made(old[0] + next_row, new[0] + next_column, how))
            row, column = next_row + 1, next_column + 1
        return cost, pieces

    def _candidates(
        self, before: Statements, after: Statements, old: tuple[int, int], new: tuple[int, int], depth: int
    ) -> dict[tuple[int, int], tuple[int, Any]]:
        """Return what may be paired: row and column -> the cost, and the parts or the script of the pair."""
        kinds: dict[object, list[int]] = {}
        for column in range(new[1] - new[0]):
            for kind in self._kinds(after[new[0] + column], wrapping=True):
                kinds.setdefault(kind, []).append(column)
        found: list[tuple[int, int]] = []
        for row in range(old[1] - old[0]):
            (kind,) = self._kinds(before[old[0] + row], wrapping=False)
            found += [(row, column) for column in kinds.get(kind, ())]
        if len(found) > MOST_PAIRS:
            names = statement_names(before)
            others = statement_names(after)
            found = [
                (row, column)
                for row, column in found
                if names[old[0] + row] == others[new[0] + column]
                or self.texts.of(before[old[0] + row]) == self.texts.of(after[new[0] + column])
            ]
        pairs: dict[tuple[int, int], tuple[int, Any]] = {}
        for row, column in found:
            one, other = before[old[0] + row], after[new[0] + column]
            same = self.statement(one, other, depth)
            best: tuple[int, Any] | None = None if same is None else (same.cost, same.parts)
            wrapped = self._wrapped(one, other, depth)
            if wrapped is not None and (best is None or wrapped.cost < best[0]):
                best = wrapped.cost, wrapped.script
            if best is not None:
                pairs[row, column] = best
        return pairs

    def _kinds(self, node: ast.Statement, *, wrapping: bool) -> set[object]:
        """Return what a statement may be paired as: by its own kind, and by those of what it might be put around."""
        kinds: set[object] = {_kind(node)}
        if wrapping:
            kinds.update(_kind(inner) for inner in _wrapped_body(node) or ())
        return kinds

    def _wrapped(self, one: ast.Statement, other: Any, depth: int) -> FoundScript | None:
        body = _wrapped_body(other)
        if body is None or _kind(one) not in map(_kind, body):
            return None
        inner = self.script((one,), body, depth + 1)
        if inner is None:
            return None
        opener = empty_opener(other)
        cost = 2 + path_weight(depth) + self.texts.weight(opener) - 2  # its braces are not written
        return FoundScript(inner.cost + cost, inner.script)

    # ------------------------------------------------------------ statements

    def statement(self, one: ast.Statement, other: ast.Statement, depth: int) -> Found | None:
        """Return the cheapest edits inside a statement that make another of it; None where only replacing it will."""
        if self.texts.of(one) == self.texts.of(other):
            return Found(0, ())
        key = (id(one), id(other), depth)
        if key not in self._pairs:
            self._alive += [one, other]
            self._pairs[key] = self._statement(one, other, depth) if _kind(one) == _kind(other) else None
        return self._pairs[key]

    def _statement(self, one: Any, other: Any, depth: int) -> Found | None:
        match other:
            case ast.Bind() | ast.Return():
                return self._right_side(one.value, other.value, depth)
            case ast.Append():
                return replaced((), other.value, depth)
            case ast.Until():
                return replaced((), other.condition, depth)
        if one.label != other.label and (one.label is not None or other.label is None):
            return None
        parts: list[Part] = []
        cost = 0
        match other:
            case ast.Loop():
                if one.times != other.times:
                    value = ast.Var(other.times) if isinstance(other.times, ast.Name) else other.times
                    cost += 2 + path_weight(depth + 1) + expr_weight(value)
                    parts.append(Change("set", ("times",), value))
                inner = self._body(one.body, other.body, (), depth)
            case ast.For():
                if one.var != other.var:
                    return None
                if one.items != other.items:
                    cost, parts = _and(cost, parts, replaced((), other.items, depth))
                inner = self._body(one.body, other.body, (), depth)
            case ast.Within():
                limits = self._limits(one, other, depth)
                if limits is None:
                    return None
                cost, parts = _and(cost, parts, limits)
                inner = self._body(one.body, other.body, (), depth)
            case ast.If():
                inner = self._branches(one, other, depth)
            case _:
                if one.subject != other.subject:
                    cost, parts = _and(cost, parts, replaced((), other.subject, depth))
                inner = self._arms(one, other, depth)
        if inner is None:
            return None
        cost, parts = _and(cost, parts, inner)
        if one.label != other.label:
            cost += 3 + path_weight(depth)
            parts.append(Change("label", (), other.label))
        return Found(cost, tuple(parts))

    def _body(
        self, one: ast.Block, other: ast.Block, suffix: tuple[str, ...], depth: int, taken: tuple[str, ...] = ()
    ) -> Found | None:
        """Return the cheapest edits in a block; where it has a name of its own (`suffix`), it may be replaced."""
        whole: Found | None = None
        if suffix:
            weight = sum(self.texts.weight(node) for node in other.statements)
            whole = Found(3 + path_weight(depth + 1) + weight, (Change("substitute", suffix, other),))
        found = self.script(one.statements, other.statements, depth + 1 + len(suffix))
        if found is None or (whole is not None and whole.cost < found.cost):
            return whole
        if not found.cost:
            return Found(0, ())
        return Found(found.cost, (Within(suffix, one.statements, found.script, taken),))

    def _limits(self, one: ast.Within, other: ast.Within, depth: int) -> Found | None:
        return limit_changes(
            one.limits,
            other.limits,
            (*statement_names(one.body.statements), *statement_names(other.body.statements)),
            depth,
        )

    # ------------------------------------------------------------ branches

    def _branches(self, one: ast.If, other: ast.If, depth: int) -> Found | None:
        """Pair the branches of two `if`; the first stays the first, others may be dropped, none can be added."""
        count = len(one.branches)
        ends = self._otherwise(one.orelse, other.orelse, depth)

        def pair(row: int, column: int) -> Found | None:
            old, new = one.branches[row], other.branches[column]
            suffix = (numbered("elif", row),) if row else ()
            taken = () if row else taken_in_first_branch(other)
            inner = self._body(old.body, new.body, suffix, depth, taken)
            if inner is None:
                return None
            if old.condition == new.condition:
                return inner
            changed = replaced(suffix, new.condition, depth)
            return Found(inner.cost + changed.cost, (*inner.parts, *changed.parts))

        best: dict[tuple[int, int], Found | None] = {(count, len(other.branches)): ends}
        for row in range(count - 1, -1, -1):
            for column in range(len(other.branches), -1, -1):
                choices: list[Found] = []
                rest = best.get((row + 1, column))
                if row and rest is not None:
                    dropped = Change("drop", (numbered("elif", row),))
                    choices.append(Found(rest.cost + 1 + path_weight(depth + 1), (*rest.parts, dropped)))
                rest = best.get((row + 1, column + 1))
                if rest is not None and (row == 0) == (column == 0):
                    paired = pair(row, column)
                    if paired is not None:
                        choices.append(Found(rest.cost + paired.cost, (*rest.parts, *paired.parts)))
                best[row, column] = min(choices, key=_cost, default=None)
        return best.get((0, 0))

    def _otherwise(self, one: ast.Block | None, other: ast.Block | None, depth: int) -> Found | None:
        if other is None:
            return Found(0, ()) if one is None else Found(1 + path_weight(depth + 1), (Change("drop", ("else",)),))
        if one is None:
            weight = sum(self.texts.weight(node) for node in other.statements)
            return Found(3 + path_weight(depth + 1) + weight, (Change("substitute", ("else",), other),))
        return self._body(one, other, ("else",), depth)

    def _arms(self, one: ast.Match, other: ast.Match, depth: int) -> Found | None:
        """Pair the arms of two `match`: those with the same words, in order; others are dropped, none can be added."""
        firsts = [arm.words[0].text for arm in one.arms]
        if len(set(firsts)) < len(firsts):
            return None
        ends = self._otherwise(one.orelse, other.orelse, depth)
        if ends is None:
            return None
        cost, parts = ends.cost, list(ends.parts)
        wanted = list(other.arms)
        for arm in reversed(one.arms):
            suffix = (arm.words[0].text,)
            if wanted and wanted[-1].words == arm.words:
                inner = self._body(arm.body, wanted.pop().body, suffix, depth)
                if inner is None:
                    return None
                cost, parts = _and(cost, parts, inner)
            else:
                cost += 1 + path_weight(depth + 1)
                parts.append(Change("drop", suffix))
        return None if wanted else Found(cost, tuple(parts))

    # ------------------------------------------------------------ right-hand sides

    def _right_side(self, one: ast.Rhs, other: ast.Rhs, depth: int) -> Found:
        whole = replaced((), other, depth)
        fine = fine_right_side(one, other, depth)
        return whole if fine is None or whole.cost <= fine.cost else fine


def empty_opener(node: Any) -> Any:
    """Return a construct with nothing in its block, as it stands behind `wrap .. in`."""
    if isinstance(node, ast.If):
        return node.replace(branches=(node.branches[0].replace(body=ast.Block(())),))
    return node.replace(body=ast.Block(()))


def limit_changes(
    one: Sequence[ast.Limit], other: Sequence[ast.Limit], names: Sequence[str], depth: int
) -> Found | None:
    """Return the edits that make one set of limits of another; `names` are those of statements in the block."""
    old = {limit.kind: limit.amount for limit in one}
    new = {limit.kind: limit.amount for limit in other}
    if len(old) < len(one) or len(new) < len(other) or any(kind in names for kind in old.keys() - new.keys()):
        return None
    cost = 0
    parts: list[Part] = []
    for kind, amount in new.items():
        if old.get(kind) != amount:
            cost += 2 + path_weight(depth + 1) + expr_weight(amount)
            parts.append(Change("set", (kind,), amount))
    for kind in old:
        if kind not in new:
            cost += 1 + path_weight(depth + 1)
            parts.append(Change("drop", (kind,)))
    return Found(cost, tuple(parts))


def _kind(node: ast.Statement) -> object:
    """Return what two statements have in common if edits can make one of the other."""
    if isinstance(node, ast.Bind | ast.Append):
        return type(node), node.name.text
    return type(node)


def _wrapped_body(node: Any) -> Statements | None:
    """Return the block of a construct that `wrap` can make; None for all other statements."""
    match node:
        case ast.Loop() | ast.For() | ast.Within():
            return tuple(node.body.statements)
        case ast.If() if len(node.branches) == 1 and node.orelse is None:
            return tuple(node.branches[0].body.statements)
        case _:
            return None


def _cost(found: Found) -> int:
    return found.cost


def _and(cost: int, parts: list[Part], more: Found) -> tuple[int, list[Part]]:
    return cost + more.cost, [*parts, *more.parts]
