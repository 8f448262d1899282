"""The cheapest edits that make one declaration of another, and one list of declarations of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from masdsl.patch import properties
from masdsl.patch.blocks import Blocks, limit_changes
from masdsl.patch.places import item_key, item_keys, name_of, statement_names
from masdsl.patch.scripts import Change, Found, Part, Within
from masdsl.patch.weights import edit_weight, expr_weight, path_weight
from masdsl.syntax import ast


class Pairing:
    """Which declarations stay (pairs of numbers, in order), and what that costs with all that is dropped and added."""

    def __init__(self, cost: int, pairs: tuple[tuple[int, int], ...]) -> None:
        self.cost = cost
        self.pairs = pairs


class Declarations:
    """Compares declarations; what was found about two of them is kept."""

    def __init__(self, blocks: Blocks, *, whole: bool = False) -> None:
        self.texts = blocks.texts
        self._whole = whole  # declarations are only replaced as a whole
        self._blocks = blocks
        self._known: dict[tuple[int, int], Found] = {}
        self._alive: list[Any] = []

    def paired(self, before: Sequence[ast.Item], after: Sequence[ast.Item]) -> Pairing:
        """Return the cheapest way from one list of declarations to another."""
        old, new = item_keys(before), item_keys(after)
        text = self.texts.of
        rows, columns = len(before), len(after)
        start = 0
        while start < min(rows, columns) and old[start] == new[start] and text(before[start]) == text(after[start]):
            start += 1
        end = 0
        while (
            end < min(rows, columns) - start
            and old[-1 - end] == new[-1 - end]
            and text(before[-1 - end]) == text(after[-1 - end])
        ):
            end += 1
        column_of = {key: column for column, key in enumerate(new[start : columns - end])}
        middle = self._middle(
            before[start : rows - end],
            after[start : columns - end],
            [column_of.get(key) for key in old[start : rows - end]],
        )
        pairs = [(at, at) for at in range(start)]
        pairs += [(start + row, start + column) for row, column in middle.pairs]
        pairs += [(rows - at, columns - at) for at in range(end, 0, -1)]
        return Pairing(middle.cost, tuple(pairs))

    def _middle(self, before: Sequence[ast.Item], after: Sequence[ast.Item], partner: list[int | None]) -> Pairing:
        """Choose the pairs, in order in both lists, whose edits cost least beside dropping and adding the others."""
        drops = [drop_weight(item) for item in before]
        adds = [1 + self.texts.weight(item) for item in after]
        # best[n]: what the pairs up to the n-th save, and the pair before it
        saved: list[tuple[int, int, int, int]] = []
        for row, column in enumerate(partner):
            if column is None:
                continue
            gain = drops[row] + adds[column] - self.item(before[row], after[column]).cost
            if gain <= 0:
                continue
            least, previous = 0, -1
            for number, (its_row, its_column, its_gain, _) in enumerate(saved):
                if its_row < row and its_column < column and its_gain > least:
                    least, previous = its_gain, number
            saved.append((row, column, least + gain, previous))
        at = max(range(len(saved)), key=lambda number: saved[number][2], default=-1)
        total = saved[at][2] if at >= 0 else 0
        pairs = []
        while at >= 0:
            row, column, _, at = saved[at]
            pairs.append((row, column))
        return Pairing(sum(drops) + sum(adds) - total, tuple(reversed(pairs)))

    def item(self, one: ast.Item, other: ast.Item) -> Found:
        """Return the cheapest edits that make a declaration of another one that goes by the same name."""
        if self.texts.of(one) == self.texts.of(other):
            return Found(0, ())
        key = (id(one), id(other))
        found = self._known.get(key)
        if found is None:
            self._alive += [one, other]
            whole = Found(1 + self.texts.weight(other), (Change("redeclare", (), other),))
            fine = self._fine(one, other) if type(one) is type(other) and not self._whole else None
            if fine is None or (whole.cost <= fine.cost and not _empties(one, other)):
                fine = whole
            found = self._known[key] = fine
        return found

    def _fine(self, one: Any, other: Any) -> Found | None:
        match other:
            case ast.Flow():
                return self._flow(one, other)
            case ast.Agent() | ast.Tool():
                return _signature(one, other)
            case ast.Variant():
                return _settings(one, other) if one.base == other.base else None
            case ast.RecordDecl():
                return _fewer("fields", one, other)
            case ast.EnumDecl():
                return _fewer("words", one, other)
            case ast.Budget():
                return Found(self.texts.weight(other), (Change("budget", (), other.limits),))
            case _:
                return None

    def _flow(self, one: ast.Flow, other: ast.Flow) -> Found | None:
        inner = self._blocks.script(one.body.statements, other.body.statements, 2)
        if inner is None:
            return None
        head = self._head(one, other)
        parts = head.parts
        if inner.cost:
            parts = (*parts, Within((), one.body.statements, inner.script))
        return Found(head.cost + inner.cost, parts)

    def _head(self, one: ast.Flow, other: ast.Flow) -> Found:
        """Return the cheapest edits of all of a flow but its body."""
        names = (*statement_names(one.body.statements), *statement_names(other.body.statements))
        empty = ast.Block(())
        whole = other.replace(body=empty)
        whole_cost = 1 + self.texts.weight(whole)
        found = Found(whole_cost, (Change("redeclare", (), whole),))
        bare = {"statics": (), "budget": None, "body": empty, "output": other.output}
        same = one.replace(**bare) == other.replace(**bare) and one.statics == other.statics
        if not same or one.output.type != other.output.type:
            return found
        taken = (*names, *map(name_of, one.params), *map(name_of, one.statics))
        default = _default(one, other)
        limits = limit_changes(_limits(one), _limits(other), taken, 1)
        if default is None or limits is None:
            return found
        fine = Found(default.cost + limits.cost, (*default.parts, *limits.parts))
        return fine if fine.cost < whole_cost else found


def _empties(one: ast.Item, other: ast.Item) -> bool:
    """Whether a flow loses its whole body: `replace flow` with an empty body would keep it."""
    return isinstance(one, ast.Flow) and isinstance(other, ast.Flow) and not other.body.statements


def drop_weight(item: ast.Item) -> int:
    """Return what dropping a declaration costs."""
    return edit_weight(ast.DropEdit(place_of(item)))


def place_of(item: ast.Item, number: int = 1) -> ast.Place:
    """Return how a patch names a declaration; `number` counts those of the same key, from 1."""
    several = None if number == 1 else number
    if isinstance(item, ast.Test):
        return ast.TestPlace(item.title, several)
    if isinstance(item, ast.Use):
        return ast.UsePlace(item.path, several)
    return (ast.Name(item_key(item)[1]),)


def _limits(flow: ast.Flow) -> tuple[ast.Limit, ...]:
    return () if flow.budget is None else flow.budget.limits


def _default(one: Any, other: Any) -> Found | None:
    """Return the edits of what a call gives when it failed for good."""
    if one.output.type != other.output.type:
        return None
    return _property(one, other, "else")


def _property(one: Any, other: Any, name: str) -> Found | None:
    old, new = properties.get(one, name), properties.get(other, name)
    if old == new:
        return Found(0, ())
    if new is None:
        names = {part.name.text for part in getattr(one, "params", ())}
        if isinstance(one, ast.Flow):
            names.update(statement_names(one.body.statements))
        return None if name in names else Found(1 + path_weight(2), (Change("drop", (name,)),))
    value = properties.as_expr(new)
    if name == "on":
        return Found(3 + expr_weight(value), (Change("bind", (), new),))
    return Found(2 + path_weight(2) + expr_weight(value), (Change("set", (name,), value),))


def _signature(one: Any, other: Any) -> Found | None:
    """Return the edits of an agent or a tool, of which parameters can only be dropped."""
    names = [attr.key for attr in (*one.attrs, *other.attrs)]
    if one.output.type != other.output.type or getattr(one, "statics", ()) != getattr(other, "statics", ()):
        return None
    fewer = _fewer("params", one, other)
    if fewer is None or any(part.suffix[0] in names for part in fewer.parts):
        return None
    settings = _settings(one, other)
    return None if settings is None else Found(fewer.cost + settings.cost, (*fewer.parts, *settings.parts))


def _settings(one: Any, other: Any) -> Found | None:
    """Return the edits of what can be set of an agent, a variant or a tool."""
    for node in (one, other):
        if len({attr.key for attr in node.attrs}) < len(node.attrs):
            return None
    cost = 0
    parts: list[Part] = []
    for name in properties.properties_of(other):
        found = _property(one, other, name)
        if found is None:
            return None
        cost += found.cost
        parts += found.parts
    return Found(cost, tuple(parts))


def _fewer(field: str, one: Any, other: Any) -> Found | None:
    """Return the drops that make a list in one node the list in another; None if these are not enough."""
    old, new = getattr(one, field), getattr(other, field)
    parts: list[Part] = []
    at = len(new)
    for node in reversed(old):
        if at and new[at - 1] == node:
            at -= 1
        else:
            parts.append(Change("drop", (name_of(node),)))
    names = list(map(name_of, old))
    if at or len(set(names)) < len(names):
        return None
    return Found((1 + path_weight(2)) * len(parts), tuple(parts))
