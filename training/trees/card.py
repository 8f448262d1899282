"""The card of a growth: what was sampled, refused, repaired and lost, what it cost, and what forks have saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from masdsl.batch.base import NOTHING, Amount
from training.trees.tree import (
    ROLES,
    Option,
    Role,
    Shape,
    Tree,
    decisions,
    paths,
    shape_faults,
    spent_by_role,
    trajectories,
)
from training.trees.values import Measure, Rewarding, costs_of

_MEASURES: tuple[Measure, ...] = ("picodollars", "tokens", "calls")


class Tally:
    """Counts over trees, one after another, so that none is held."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._trees: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._triggers: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._none: Counter[str] = Counter()
        self._rates: dict[tuple[Role, str], Counter[str]] = {}
        self._spent: dict[Role, Amount] = dict.fromkeys(ROLES, NOTHING)
        self._paid = self._counted = self._judged = NOTHING

    def without(self, why: str) -> None:
        """Count a query of which no tree came."""
        self._none[why] += 1

    def add(self, tree: Tree, counts: Mapping[str, Any]) -> None:
        """Count a tree, with what was counted while it grew."""
        ends = [end for _, end in paths(tree.root)]
        self._trees.update(
            trees=1,
            of_fewer_or_more_options_than_asked_for=int(bool(shape_faults(tree, self._shape))),
            in_which_every_trajectory_fails=int(bool(ends) and not any(end.success for end in ends)),
            in_which_every_trajectory_succeeds=int(bool(ends) and all(end.success for end in ends)),
            without_a_trajectory=int(not ends),
            **{f"that_cost_no_{by}": int(not costs_of(tree, Rewarding(by)).mean) for by in _MEASURES},
        )
        self._sums.update(
            trajectories=len(ends),
            trajectories_executed=sum(end.executed for end in ends),
            trajectories_that_succeeded=sum(end.success for end in ends),
            templates=counts["templates"],
            templates_that_differ_in_their_tree=counts["distinct"],
            runs=counts["runs"],
            forks=counts["forks"],
        )
        self._triggers.update(counts["triggers"])
        for end in ends:
            self._counted = self._counted.plus(end.cost)
        self._paid = self._paid.plus(Amount(**counts["paid"]))
        self._judged = self._judged.plus(Amount(**counts["judged"]))
        for role, spent in spent_by_role(tree).items():
            self._spent[role] = self._spent[role].plus(spent)
        for decision in decisions(tree):
            for option in decision.options:
                self._option(decision.role, option, counts)

    def _option(self, role: Role, option: Option, counts: Mapping[str, Any]) -> None:
        key = role, counts["labels"].get(option.node, "?")
        ends = trajectories(option)
        rates = self._rates.setdefault(key, Counter())
        rates.update(
            options=1,
            refused=int(option.node in counts["refused"]),
            lost=int(option.node in counts["lost"]),
            trajectories=len(ends),
            successes=sum(end.success for end in ends),
        )
        if option.node in counts["refused"]:
            self._refused[f"{role}: {_kind(counts['refused'][option.node])}"] += 1
        if option.node in counts["lost"]:
            self._lost[f"{role}: {_kind(counts['lost'][option.node])}"] += 1

    def card(self) -> dict[str, Any]:
        """Return the counts as JSON data."""
        made = sum(rates["options"] for (role, _), rates in self._rates.items() if role == "rectifier")
        refused = sum(rates["refused"] for (role, _), rates in self._rates.items() if role == "rectifier")
        alone = self._rates.get(("rectifier", "left alone"), Counter())["options"]
        return {
            "queries_without_a_tree": dict(sorted(self._none.items())),
            "trees": dict(self._trees),
            **self._sums,
            "triggers_by_cause": dict(sorted(self._triggers.items())),
            "repairs": {"sampled": made - alone, "accepted": made - alone - refused, "left_alone": alone},
            "refused": dict(self._refused.most_common()),
            "lost": dict(self._lost.most_common()),
            "options": {
                role: {
                    label: {**rates, "success_rate": _rate(rates["successes"], rates["trajectories"])}
                    for (of, label), rates in sorted(self._rates.items())
                    if of == role
                }
                for role in ROLES
            },
            "cost": {
                "counted_over_trajectories": self._counted._asdict(),
                "paid_by_runs": self._paid._asdict(),
                "saved_by_forks": self._counted.minus(self._paid)._asdict(),
                "meta_agents": {role: spent._asdict() for role, spent in self._spent.items()},
                "judges": self._judged._asdict(),
            },
        }


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _kind(why: str) -> str:
    """Return what a reason has in common with others: the code of its diagnostic, or how it begins."""
    words = why.replace(":", " ").split()
    code = next((word for word in words if word.startswith("MAS") and word[3:].isdigit()), "")
    return code or " ".join(words)[:60]


def told(card: Mapping[str, Any]) -> list[str]:
    """Return what a person should hear of a growth, a line each."""
    trees, cost = card["trees"], card["cost"]
    ends, right = card.get("trajectories", 0), card.get("trajectories_that_succeeded", 0)
    calls, saved = cost["paid_by_runs"]["calls"], cost["saved_by_forks"]["calls"]
    lines = [f"{trees.get('trees', 0)} trees, {ends} trajectories, of which {right} succeeded"]
    lines += [f"{card.get('runs', 0)} runs, {card.get('forks', 0)} forks: {calls} calls, and {saved} saved by forks"]
    for key, advice in (
        ("in_which_every_trajectory_fails", "they give no preferences: take easier queries or better models"),
        ("without_a_trajectory", "all was lost to outages"),
        ("that_cost_no_picodollars", "R is success alone there: give models a price, or count tokens or calls"),
    ):
        if trees.get(key):
            lines.append(f"{trees[key]} trees {key.replace('_', ' ')}: {advice}")
    lines += [f"{count} queries have no tree: {why}" for why, count in card["queries_without_a_tree"].items()]
    lines += [f"{count} options were lost ({why})" for why, count in card["lost"].items()]
    return lines
