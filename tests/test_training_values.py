"""Rewards and values of trees, (8) and (9) of MAS²: worked by hand, and laws.

The tree of `worked()`, by hand. Five trajectories, which cost 2, 6, 4, 4 and 4: 20 together, 4 in the mean.

    tau        right  C   C_norm = C / 4   R = 1 / C_norm, or 0
    g1>g1a     yes    2   1/2              2
    g1>g1b>r1  yes    6   3/2              2/3
    g1>g1b>r2  no     4   1                0
    g2>g2a     no     4   1                0
    g2>g2b     yes    4   1                1

    V(r1) = 2/3           V(r2) = 0             V(g1a) = 2      V(g1b) = (2/3 + 0) / 2 = 1/3
    V(g2a) = 0            V(g2b) = 1            V(g2) = (0 + 1) / 2 = 1/2
    V(g1) = (2 + 2/3 + 0) / 3 = 8/9, over three trajectories; the mean of V(g1a) and V(g1b) would be 7/6
    V(root) = (2 + 2/3 + 0 + 0 + 1) / 5 = 11/15
"""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.batch.base import Amount
from tests.harness.cto_trees import dearer, decided, end, option, reversed_tree, trees, worked
from training.trees.tree import Decision, Trajectory, Tree, decisions, paths
from training.trees.values import (
    ROOT,
    Costs,
    Measure,
    Rewarding,
    Value,
    advantage,
    c_norm,
    costs_of,
    reward,
    value_of,
    values,
)

MEASURES: tuple[Measure, ...] = ("picodollars", "tokens", "calls", "nothing")


def test_the_worked_tree() -> None:
    tree = worked()
    costs = costs_of(tree)
    assert costs == Costs(Fraction(4), 2)
    ends = [end for _, end in paths(tree.root)]
    assert [c_norm(one, costs) for one in ends] == [Fraction(1, 2), Fraction(3, 2), 1, 1, 1]
    assert [reward(one, costs) for one in ends] == [2, Fraction(2, 3), 0, 0, 1]
    assert values(tree) == {
        ROOT: Value(Fraction(11, 15), 5, 3),
        "g1": Value(Fraction(8, 9), 3, 2),
        "g2": Value(Fraction(1, 2), 2, 1),
        "g1a": Value(Fraction(2), 1, 1),
        "g1b": Value(Fraction(1, 3), 2, 1),
        "r1": Value(Fraction(2, 3), 1, 1),
        "r2": Value(Fraction(0), 1, 0),
        "g2a": Value(Fraction(0), 1, 0),
        "g2b": Value(Fraction(1), 1, 1),
    }


def test_a_cap_bounds_rewards_alone() -> None:
    capped = values(worked(), Rewarding(cap=Fraction(1)))
    assert [capped[node].mean for node in ("g1a", "r1", "g1")] == [1, Fraction(2, 3), Fraction(5, 9)]


def test_tokens_may_count_in_place_of_money() -> None:
    tree = flat(end(True, 1, tokens=30), end(True, 9, tokens=10))  # mean 20: R = 2/3 and 2
    assert [values(tree, Rewarding("tokens"))[node].mean for node in ("n0", "n1")] == [Fraction(2, 3), 2]
    assert [values(tree)[node].mean for node in ("n0", "n1")] == [5, Fraction(5, 9)]  # mean 5


# ---------------------------------------------------------------- edges


def flat(*ends: Trajectory | None) -> Tree:
    return Tree("flat", "q", decided("generator", *(option(f"n{number}", one) for number, one in enumerate(ends))))


def means(*ends: Trajectory | None) -> list[Fraction | None]:
    found = values(flat(*ends))
    return [found[f"n{number}"].mean for number in range(len(ends))] + [found[ROOT].mean]


NEVER_RAN = Trajectory(False, executed=False)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        pytest.param((end(False, 3), end(False, 0)), [0, 0, 0], id="every one fails"),
        pytest.param((end(True, 0), end(False, 0)), [1, 0, Fraction(1, 2)], id="nothing costs anything"),
        # mean (0 + 2 + 4) / 3 = 2; the free one counts as the cheapest, 2: R = 1, as for the one that costs 2; 2 / 4
        pytest.param(
            (end(True, 0), end(True, 2), end(True, 4)), [1, 1, Fraction(1, 2), Fraction(5, 6)], id="one is free"
        ),
        pytest.param((end(True, 5),), [1, 1], id="a single one"),
        pytest.param((None, None), [None, None, None], id="none has ended"),
        pytest.param((None, end(True, 5)), [None, 1, 1], id="one is lost"),
        # what never ran is no part of the mean of costs, which is 4, but of the values
        pytest.param(
            (NEVER_RAN, end(True, 2), end(True, 6)), [0, 2, Fraction(2, 3), Fraction(8, 9)], id="one never ran"
        ),
        pytest.param((NEVER_RAN, NEVER_RAN), [0, 0, 0], id="none ran"),
    ],
)
def test_edges(ends: tuple[Trajectory | None, ...], expected: list[Fraction | None]) -> None:
    assert means(*ends) == expected


def test_what_has_no_value_has_no_advantage() -> None:
    known, unknown = Value(Fraction(1, 2), 2, 1), Value(None, 0, 0)
    assert advantage(known, Value(Fraction(1, 3), 3, 1)) == Fraction(1, 6)
    assert advantage(known, unknown) is advantage(unknown, known) is None


# ---------------------------------------------------------------- laws


@given(trees(), st.sampled_from(MEASURES))
@settings(max_examples=80, deadline=None)
def test_a_value_is_the_mean_of_those_below_weighted_by_trajectories(tree: Tree, measure: Measure) -> None:
    by = Rewarding(measure)
    found = values(tree, by)

    def weighted(decision: Decision) -> Value:
        below = [found[one.node] for one in decision.options]
        count = sum(one.trajectories for one in below)
        total = sum((one.mean * one.trajectories for one in below if one.mean is not None), Fraction(0))
        return Value(total / count if count else None, count, sum(one.successes for one in below))

    assert found[ROOT] == weighted(tree.root)
    costs = costs_of(tree, by)
    for decision in decisions(tree):
        for one in decision.options:
            assert found[one.node] == value_of(one, costs, by)
            if isinstance(one.then, Decision):
                assert found[one.node] == weighted(one.then)


@given(trees(), st.sampled_from(MEASURES))
@settings(max_examples=80, deadline=None)
def test_the_mean_of_c_norm_over_what_ran_is_one(tree: Tree, measure: Measure) -> None:
    by = Rewarding(measure)
    ran = [one for _, one in paths(tree.root) if one.executed]
    norms = [c_norm(one, costs_of(tree, by), by) for one in ran]
    assert not ran or sum(norms, Fraction(0)) / len(norms) == 1


@given(trees())
@settings(max_examples=60, deadline=None)
def test_where_cost_counts_nothing_a_value_is_the_share_of_successes(tree: Tree) -> None:
    for one in values(tree, Rewarding("nothing")).values():
        assert one.mean == (Fraction(one.successes, one.trajectories) if one.trajectories else None)


@given(trees(), st.integers(2, 10**12))
@settings(max_examples=60, deadline=None)
def test_neither_order_nor_the_unit_of_cost_changes_a_value(tree: Tree, times: int) -> None:
    assert values(reversed_tree(tree)) == values(tree)
    assert values(dearer(tree, times)) == values(tree)


@given(trees(ended=True))
@settings(max_examples=60, deadline=None)
def test_a_cheaper_success_is_never_worth_less(tree: Tree) -> None:
    costs = costs_of(tree)
    right = sorted((one.cost.picodollars, reward(one, costs)) for _, one in paths(tree.root) if one.success)
    assert [worth for _, worth in right] == sorted((worth for _, worth in right), reverse=True)
    assert all(worth > 0 for _, worth in right)


@given(trees())
@settings(max_examples=40, deadline=None)
def test_only_success_has_worth(tree: Tree) -> None:
    for value in values(tree).values():
        assert (value.mean is None) == (value.trajectories == 0)
        assert bool(value.mean) == bool(value.successes)


def test_meta_agents_own_cost_is_no_part_of_values() -> None:
    tree = worked()
    dear = tuple(one._replace(spent=Amount(9, 999, 10**9)) for one in tree.root.options)
    assert values(tree._replace(root=tree.root._replace(options=dear))) == values(tree)
