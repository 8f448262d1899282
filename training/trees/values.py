"""Rewards of trajectories and values of nodes: C_norm(tau), R(tau) and V(v), as exact fractions.

    (8)  R(tau) = 1[R_p(tau)] / C_norm(tau),   C_norm(tau) = C(tau) / mean of C over the trajectories T
    (9)  V(v)   = mean of R(tau) over T(v), the trajectories through v

Source: MAS² (arXiv:2509.24323), section 3.3. Fractions, because a preference exists where two values differ: a tie is a
tie, and no difference comes from rounding. What the paper leaves open is decided like this:

- T is the set of all trajectories of the same tree that were executed, failed ones included. So the mean of C_norm over
  them is 1, costs of hard queries do not count against easy ones, and R does not change when all costs are scaled.
- C is money, as in the paper; tokens or calls by choice, for models that have no price; or `nothing`: then R is
  success alone, and V the share of successes. What meta-agents took themselves is not in it.
- Where nothing in a tree costs anything, all trajectories cost the same: C_norm = 1, and R is success alone.
- A success that costs nothing in a tree where others do (a system of tools alone) would be worth infinity. It counts as
  the cheapest trajectory of the tree that costs anything: never less than any other success, and finite.
- A run that was repaired in two ways is two trajectories, so it weighs twice in the nodes above, as (9) has it.
- R has no upper bound in the paper. `Rewarding.cap` is one by choice.
- An emission that never ran is a trajectory of reward 0, and no part of the mean of costs.
- A node below which no trajectory has ended has no value (None). It is no zero: nobody knows what it is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from training.trees.tree import Option, Trajectory, Tree, decisions, paths, trajectories

Measure = Literal["picodollars", "tokens", "calls", "nothing"]
ROOT: Final = ""
"""The root's name among the nodes of a tree."""


class Rewarding(NamedTuple):
    """How trajectories are rewarded: what C counts, and the highest reward (None: none, as in the paper)."""

    measure: Measure = "picodollars"
    cap: Fraction | None = None


PAPER: Final = Rewarding()


class Costs(NamedTuple):
    """What (8) needs of a tree: the mean cost of its executed trajectories, and the least that is not 0.

    Both are 0 where nothing was executed or nothing cost anything.
    """

    mean: Fraction
    least: int


class Value(NamedTuple):
    """V(v) by Monte Carlo (None without trajectories), over how many trajectories, and how many of them succeeded."""

    mean: Fraction | None
    trajectories: int
    successes: int


def cost_of(trajectory: Trajectory, by: Rewarding = PAPER) -> int:
    """Return C(tau) in the measure that is asked for."""
    cost: int = 0 if by.measure == "nothing" else getattr(trajectory.cost, by.measure)
    return cost


def costs_of(tree: Tree, by: Rewarding = PAPER) -> Costs:
    """Return the mean of C over the executed trajectories of a tree, and the least cost above 0."""
    costs = [cost_of(one, by) for _, one in paths(tree.root) if one.executed]
    return Costs(Fraction(sum(costs), len(costs) or 1), min(filter(None, costs), default=0))


def c_norm(trajectory: Trajectory, costs: Costs, by: Rewarding = PAPER) -> Fraction:
    """Return C_norm(tau) = C(tau) / mean (8); 1 where the whole tree costs nothing."""
    return Fraction(cost_of(trajectory, by)) / costs.mean if costs.mean else Fraction(1)


def reward(trajectory: Trajectory, costs: Costs, by: Rewarding = PAPER) -> Fraction:
    """Return R(tau) (8): 0 for a failure, mean cost / own cost for a success; see the module for costs of 0."""
    if not trajectory.success:
        return Fraction(0)
    own = cost_of(trajectory, by) or costs.least
    worth = costs.mean / own if own else Fraction(1)
    return worth if by.cap is None else min(worth, by.cap)


def value_over(ends: Iterable[Trajectory], costs: Costs, by: Rewarding = PAPER) -> Value:
    """Return V (9) over a set of trajectories."""
    ends = tuple(ends)
    rewards = [reward(one, costs, by) for one in ends]
    mean = sum(rewards, Fraction(0)) / len(rewards) if rewards else None
    return Value(mean, len(ends), sum(one.success for one in ends))


def value_of(option: Option, costs: Costs, by: Rewarding = PAPER) -> Value:
    """Return V(v) (9) for the node of an option."""
    return value_over(trajectories(option), costs, by)


def values(tree: Tree, by: Rewarding = PAPER) -> Mapping[str, Value]:
    """Return V (9) of every node of a tree by its name, and of the root by `ROOT`."""
    costs = costs_of(tree, by)
    found = {ROOT: value_over((one for _, one in paths(tree.root)), costs, by)}
    for decision in decisions(tree):
        found |= {option.node: value_of(option, costs, by) for option in decision.options}
    return found


def advantage(chosen: Value, rejected: Value) -> Fraction | None:
    """Return Delta V of two siblings (10); None where one of them has no value."""
    if chosen.mean is None or rejected.mean is None:
        return None
    return chosen.mean - rejected.mean
