"""D_pi: which of two siblings a meta-agent should have written, and by how much, one data set for each role.

    (10)  D_pi = { (c_v, a_win, a_lose, Delta V) | Delta V = V(v') - V(v'') > 0 }

Source: MAS² (arXiv:2509.24323), section 3.3. What the paper leaves open is decided like this:

- All pairs of siblings, or by choice the best with the worst alone (`Pairing.rule`).
- Delta V > eps, which is 0 in the paper. Values are fractions, so two equal ones are a tie and make no pair.
- Siblings that lead to the same program (by its canonical hash; without a program, by their words) are one action that
  was taken twice: their trajectories are taken together, and the shortest wording stands for both.
- The same pair in the same context, from several trees, becomes one row with the mean of its signed gaps; where trees
  contradict one another so far that nothing is left above eps, there is no row.
- A decision with one option, or with values for fewer than two, gives nothing; so does one whose options all fail.
- Clipping and normalisation of Delta V are off, as in the paper. Where they are on, a gap is clipped first, then
  divided by the largest gap of its tree and role (`tree`) or, in the end, by the mean of its role (`mean`: the mean
  weight is 1, so a learning rate means the same as in plain DPO).

`python -m training.pairs TREES -o PAIRS` makes such a file (`training.pairs.command`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from itertools import combinations
from typing import Any, Final, Literal, NamedTuple

from masdsl.meta.library import hash_of
from masdsl.meta.systems import parsed
from training.trees.tree import Decision, Message, Option, Role, Trajectory, Tree, decisions, trajectories
from training.trees.values import PAPER, Costs, Rewarding, costs_of, value_over

Rule = Literal["all", "best-worst"]
Normal = Literal["none", "tree", "mean"]


class Pairing(NamedTuple):
    """How pairs are made of siblings; the defaults are the paper's form."""

    rule: Rule = "all"
    eps: Fraction = Fraction(0)
    clip: Fraction | None = None
    normalise: Normal = "none"


PLAIN: Final = Pairing()


class Side(NamedTuple):
    """An action as one side of a pair: its identity and words, the nodes that took it, V over so many trajectories."""

    identity: str
    action: str
    nodes: tuple[str, ...]
    value: Fraction
    trajectories: int


class Pair(NamedTuple):
    """Two siblings of a tree of which one is worth more (10); `weight` is Delta V, clipped and normalised as asked."""

    tree: str
    role: Role
    context: tuple[Message, ...]
    chosen: Side
    rejected: Side
    weight: Fraction

    @property
    def gap(self) -> Fraction:
        """Delta V."""
        return self.chosen.value - self.rejected.value


class Preference(NamedTuple):
    """A row of D_pi: chosen over rejected with a weight, and the pairs that it comes from."""

    role: Role
    context: tuple[Message, ...]
    chosen: str
    rejected: str
    weight: Fraction
    pairs: tuple[Pair, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it in TRL's conversational preference form, with `value_gap` (the weight) and where it comes from."""
        return {
            "role": self.role,
            "prompt": [message._asdict() for message in self.context],
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
            "value_gap": float(self.weight),
            "provenance": [
                {
                    "tree": pair.tree,
                    "chosen": _origin(pair.chosen),
                    "rejected": _origin(pair.rejected),
                    "delta_v": float(pair.gap),
                }
                for pair in self.pairs
            ],
        }


def _origin(side: Side) -> dict[str, Any]:
    return {
        "nodes": list(side.nodes),
        "value": float(side.value),
        "trajectories": side.trajectories,
        "identity": side.identity,
    }


# ---------------------------------------------------------------- actions


def identity_of(option: Option) -> str:
    """Return what makes two actions the same: the canonical hash of the program that resulted, else of the words."""
    return _identity(option.program, "" if option.program else option.action)


@lru_cache(maxsize=4_096)
def _identity(program: str, action: str) -> str:
    tree = parsed(program) if program else None
    if tree is not None:
        return hash_of(tree)
    return sha256(" ".join((program or action).split()).encode(errors="surrogatepass")).hexdigest()


def sides_of(
    decision: Decision,
    costs: Costs,
    by: Rewarding = PAPER,
    identity: Callable[[Option], str] = identity_of,
) -> tuple[Side, ...]:
    """Return the distinct actions of a decision that have a value, ordered by identity.

    Options of one identity are taken together: V (9) over all their trajectories.
    """
    same: dict[str, list[Option]] = defaultdict(list)
    for option in decision.options:
        same[identity(option)].append(option)
    found = []
    for name, options in sorted(same.items()):
        ends: list[Trajectory] = [end for option in options for end in trajectories(option)]
        mean = value_over(ends, costs, by).mean
        if mean is not None:
            words = min((option.action for option in options), key=lambda text: (len(text), text))
            found.append(Side(name, words, tuple(sorted(option.node for option in options)), mean, len(ends)))
    return tuple(found)


# ---------------------------------------------------------------- weights


def clipped(gap: Fraction, clip: Fraction | None) -> Fraction:
    """Return a gap, and the clip where that is less."""
    return gap if clip is None else min(gap, clip)


def with_mean_one(weights: Sequence[Fraction]) -> list[Fraction]:
    """Return weights divided by their mean, which has to be above 0; of none, none."""
    whole = sum(weights, Fraction(0))
    return [weight * len(weights) / whole for weight in weights]


# ---------------------------------------------------------------- pairs


def pairs_of(
    tree: Tree,
    by: Rewarding = PAPER,
    how: Pairing = PLAIN,
    identity: Callable[[Option], str] = identity_of,
) -> tuple[Pair, ...]:
    """Return the pairs of a tree, for all roles (10); their order does not depend on that of siblings."""
    costs = costs_of(tree, by)
    found = []
    for decision in decisions(tree):
        for chosen, rejected in _ranked(sides_of(decision, costs, by, identity), how):
            gap = chosen.value - rejected.value
            weight = clipped(gap, how.clip)
            found.append(Pair(tree.name, decision.role, decision.context, chosen, rejected, weight))
    if how.normalise == "tree":
        largest: dict[Role, Fraction] = {}
        for pair in found:
            largest[pair.role] = max(pair.weight, largest.get(pair.role, pair.weight))
        found = [pair._replace(weight=pair.weight / largest[pair.role]) for pair in found]
    return tuple(sorted(found, key=lambda pair: (pair.role, pair.chosen.nodes, pair.rejected.nodes)))


def _ranked(sides: Sequence[Side], how: Pairing) -> Iterable[tuple[Side, Side]]:
    """Yield the pairs of siblings that the rule asks for, the better one first; of equals, the lower hash is taken."""
    ranked = sorted(sides, key=lambda side: (-side.value, side.identity))
    if how.rule == "best-worst" and len(ranked) > 1:
        worst = min(ranked, key=lambda side: (side.value, side.identity))
        ranked = [ranked[0], worst]
    return ((one, other) for one, other in combinations(ranked, 2) if one.value - other.value > how.eps)


# ---------------------------------------------------------------- rows


class Preferences(NamedTuple):
    """The rows of D_pi, of all roles, and how many pairs fell into another's row or cancelled one another."""

    rows: tuple[Preference, ...]
    merged: int
    cancelled: int


def preferences(pairs: Iterable[Pair], how: Pairing = PLAIN) -> Preferences:
    """Return the rows of D_pi for pairs of many trees: each pair of actions in a context once; see the module."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[_key(pair)].append(pair)
    rows = []
    cancelled = 0
    for _, group in sorted(groups.items()):
        row = _joined(group, how.eps)
        if row is None:
            cancelled += len(group)
        else:
            rows.append(row)
    merged = sum(len(row.pairs) - 1 for row in rows)
    if how.normalise == "mean":
        rows = _with_mean_one(rows)
    return Preferences(tuple(rows), merged, cancelled)


def _key(pair: Pair) -> str:
    """Return the hash of what is the same question: role, context, and the two actions in either order."""
    actions = sorted((pair.chosen.identity, pair.rejected.identity))
    return sha256(json.dumps([pair.role, pair.context, actions]).encode()).hexdigest()


def _joined(group: Sequence[Pair], eps: Fraction) -> Preference | None:
    """Return one row for the pairs of the same two actions; None where they leave no gap above eps."""
    group = sorted(group, key=lambda pair: (pair.tree, pair.chosen.nodes))
    first = min(pair.chosen.identity for pair in group)
    signs = [1 if pair.chosen.identity == first else -1 for pair in group]
    gap = sum((sign * pair.gap for sign, pair in zip(signs, group, strict=True)), Fraction(0)) / len(group)
    weight = sum((sign * pair.weight for sign, pair in zip(signs, group, strict=True)), Fraction(0)) / len(group)
    if abs(gap) <= eps or gap * weight <= 0:
        return None
    winner = first if gap > 0 else next(_other(pair, first) for pair in group)
    words: dict[bool, list[str]] = {True: [], False: []}
    for pair in group:
        for side in (pair.chosen, pair.rejected):
            words[side.identity == winner].append(side.action)
    chosen, rejected = (min(words[won], key=lambda text: (len(text), text)) for won in (True, False))
    return Preference(group[0].role, group[0].context, chosen, rejected, abs(weight), tuple(group))


def _other(pair: Pair, identity: str) -> str:
    return pair.rejected.identity if pair.chosen.identity == identity else pair.chosen.identity


def _with_mean_one(rows: Sequence[Preference]) -> list[Preference]:
    by_role: dict[Role, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_role[row.role].append(number)
    done = list(rows)
    for numbers in by_role.values():
        weights = with_mean_one([rows[number].weight for number in numbers])
        for number, weight in zip(numbers, weights, strict=True):
            done[number] = rows[number]._replace(weight=weight)
    return done
