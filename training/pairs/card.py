"""The data card of preference pairs: what went in, and how much was left after every step, for each role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, median
from typing import Any

from masdsl.batch.base import NOTHING, Amount
from training.pairs.preferences import Pair, Pairing, Preference, Preferences, sides_of
from training.trees.tree import ROLES, Role, Tree, decisions, paths, spent_by_role
from training.trees.values import Costs, Rewarding, costs_of


class Tally:
    """Counts over trees, one tree after another, so that none is held."""

    def __init__(self, by: Rewarding, how: Pairing) -> None:
        self._by = by
        self._how = how
        self._trees: Counter[str] = Counter()
        self._roles: dict[Role, Counter[str]] = {role: Counter() for role in ROLES}
        self._spent: dict[Role, Amount] = dict.fromkeys(ROLES, NOTHING)

    def add(self, tree: Tree, pairs: Sequence[Pair]) -> None:
        """Count a tree and the pairs that were made of it."""
        costs = costs_of(tree, self._by)
        ends = [end for _, end in paths(tree.root)]
        self._trees.update(
            trees=1,
            trees_without_a_success=int(not any(end.success for end in ends)),
            trees_that_cost_nothing=int(not costs.mean),
            trajectories=len(ends),
            trajectories_executed=sum(end.executed for end in ends),
            trajectories_that_succeeded=sum(end.success for end in ends),
        )
        for role, spent in spent_by_role(tree).items():
            self._spent[role] = self._spent[role].plus(spent)
        for pair in pairs:
            self._roles[pair.role]["pairs"] += 1
        self._count_decisions(tree, costs)

    def _count_decisions(self, tree: Tree, costs: Costs) -> None:
        for decision in decisions(tree):
            sides = sides_of(decision, costs, self._by)
            gaps = [abs(one.value - other.value) for one, other in combinations(sides, 2)]
            if decision.trigger:
                self._trees[f"repairs_triggered_by_{decision.trigger}"] += 1
            self._trees["options_without_an_end"] += sum(one.then is None for one in decision.options)
            self._roles[decision.role].update(
                decisions=1,
                options=len(decision.options),
                actions_with_a_value=len(sides),
                pairs_of_siblings=len(gaps),
                ties=sum(not gap for gap in gaps),
                at_most_eps=sum(0 < gap <= self._how.eps for gap in gaps),
            )

    @property
    def trees(self) -> int:
        """How many trees were counted."""
        return self._trees["trees"]

    @property
    def hopeless(self) -> int:
        """How many of them have no success at all."""
        return self._trees["trees_without_a_success"]

    def card(self, done: Preferences) -> dict[str, Any]:
        """Return the counts as JSON data, in the order of the steps, and what the rows are like."""
        roles = {}
        for role in ROLES:
            count, rows = self._roles[role], [row for row in done.rows if row.role == role]
            steps = (
                "decisions",
                "options",
                "actions_with_a_value",
                "pairs_of_siblings",
                "ties",
                "at_most_eps",
                "pairs",
            )
            told: dict[str, Any] = {name: count[name] for name in steps}
            told["pairs_in_rows"] = sum(len(row.pairs) for row in rows)
            told["rows"] = len(rows)
            if rows:
                told |= _shape_of(rows)
            roles[role] = told | {"spent_by_the_meta_agent": self._spent[role]._asdict()}
        return {**self._trees, "pairs_merged": done.merged, "pairs_cancelled": done.cancelled, "roles": roles}


def _shape_of(rows: Sequence[Preference]) -> dict[str, Any]:
    lengths = {
        "prompt": [sum(len(message.content) for message in row.context) for row in rows],
        "chosen": [len(row.chosen) for row in rows],
        "rejected": [len(row.rejected) for row in rows],
    }
    return {
        "value_gap": _spread([float(row.weight) for row in rows]),
        "characters": {name: _spread(found) for name, found in lengths.items()},
    }


def _spread(numbers: Sequence[float]) -> dict[str, float]:
    return {"least": min(numbers), "median": median(numbers), "mean": fmean(numbers), "most": max(numbers)}
