"""Preference pairs of siblings, (10) of MAS²: worked by hand, and laws.

The worked tree's values are worked out in `test_training_values.py`. Its pairs, by hand:

    generator     g1 over g2     8/9 - 1/2 = 7/18
    implementer   g1a over g1b   2 - 1/3   = 5/3        g2b over g2a   1 - 0 = 1
    rectifier     r1 over r2     2/3 - 0   = 2/3
"""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.cto_trees import ASKED, dearer, decided, end, option, reversed_tree, trees, worked
from training.pairs.preferences import Pair, Pairing, Rule, identity_of, pairs_of, preferences, sides_of
from training.trees.tree import Decision, Message, Option, Trajectory, Tree, decisions
from training.trees.values import costs_of


def told(pairs: tuple[Pair, ...]) -> list[tuple[str, str, str, Fraction]]:
    return [(one.role, "+".join(one.chosen.nodes), "+".join(one.rejected.nodes), one.weight) for one in pairs]


def flat(*ends: tuple[str, Trajectory | None], name: str = "flat", context: tuple[Message, ...] = ASKED) -> Tree:
    """Return a tree of templates that need no binding; each is (words, end), named after its number."""
    options = tuple(option(f"{name}/{number}", one, words) for number, (words, one) in enumerate(ends))
    return Tree(name, "q", Decision("generator", context, options))


def test_the_worked_tree() -> None:
    assert told(pairs_of(worked())) == [
        ("generator", "g1", "g2", Fraction(7, 18)),
        ("implementer", "g1a", "g1b", Fraction(5, 3)),
        ("implementer", "g2b", "g2a", Fraction(1)),
        ("rectifier", "r1", "r2", Fraction(2, 3)),
    ]


def test_a_row_is_a_preference_as_trl_takes_it() -> None:
    rows = {row.role: row for row in preferences(pairs_of(worked())).rows}
    row = rows["generator"]
    assert row.to_json() == {
        "role": "generator",
        "prompt": [{"role": "system", "content": "You design."}, {"role": "user", "content": "What is 6 * 7?"}],
        "chosen": [{"role": "assistant", "content": "I write g1."}],
        "rejected": [{"role": "assistant", "content": "I write g2."}],
        "value_gap": pytest.approx(7 / 18),
        "provenance": [
            {
                "tree": "worked",
                "chosen": {
                    "nodes": ["g1"],
                    "value": pytest.approx(8 / 9),
                    "trajectories": 3,
                    "identity": identity_of(worked().root.options[0]),
                },
                "rejected": {
                    "nodes": ["g2"],
                    "value": 0.5,
                    "trajectories": 2,
                    "identity": identity_of(worked().root.options[1]),
                },
                "delta_v": pytest.approx(7 / 18),
            }
        ],
    }


# ---------------------------------------------------------------- which pairs


FOUR = flat(("a", end(True, 1)), ("b", end(True, 2)), ("c", end(True, 4)), ("d", end(False, 5)))
"""The mean cost is 12 / 4 = 3, so the values are 3, 3/2, 3/4 and 0."""


def test_all_pairs_or_the_best_with_the_worst() -> None:
    gaps = {(one.chosen.action, one.rejected.action): one.gap for one in pairs_of(FOUR)}
    assert gaps == {
        ("a", "b"): Fraction(3, 2),
        ("a", "c"): Fraction(9, 4),
        ("a", "d"): 3,
        ("b", "c"): Fraction(3, 4),
        ("b", "d"): Fraction(3, 2),
        ("c", "d"): Fraction(3, 4),
    }
    best = pairs_of(FOUR, how=Pairing("best-worst"))
    assert [(one.chosen.action, one.rejected.action) for one in best] == [("a", "d")]


@pytest.mark.parametrize(
    ("eps", "count"),
    [
        (Fraction(0), 6),
        (Fraction(3, 4) - Fraction(1, 10**9), 6),
        (Fraction(3, 4), 4),
        (Fraction(3, 2), 2),
        (Fraction(3), 0),
    ],
)
def test_a_gap_has_to_be_above_eps(eps: Fraction, count: int) -> None:
    assert len(pairs_of(FOUR, how=Pairing(eps=eps))) == count


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param(flat(("a", end(False, 1)), ("b", end(False, 9))), id="all fail"),
        pytest.param(flat(("a", end(True, 3)), ("b", end(True, 3))), id="a tie"),
        pytest.param(flat(("a", end(True, 3))), id="a single option"),
        pytest.param(flat(("a", end(True, 3)), ("b", None)), id="one without an end"),
        pytest.param(flat(("a", None), ("b", None)), id="none has ended"),
    ],
)
@pytest.mark.parametrize("rule", ["all", "best-worst"])
def test_no_pairs(tree: Tree, rule: Rule) -> None:
    assert pairs_of(tree, how=Pairing(rule, normalise="tree")) == ()


def test_thirds_are_a_tie() -> None:
    """V = 1/3 on both sides: with floats, (1/3 + 1/3 + 1/3) / 3 and 1/3 may differ in the last digit."""
    three = decided("implementer", *(option(f"x{number}", end(number == 0, 7)) for number in range(3)))
    nine = decided("implementer", *(option(f"y{number}", end(number < 3, 7)) for number in range(9)))
    tree = Tree("t", "q", Decision("generator", ASKED, (option("three", three), option("nine", nine))))
    assert [one for one in pairs_of(tree) if one.role == "generator"] == []


# ---------------------------------------------------------------- identity

SHORT = 'mas 1\n\nagent solver(question) -> Text on fast\n  "Answer: {{ question }}"\n\n'
SHORT += "flow main(question) -> Text {\n  answer = solver(question)\n  return answer\n}\n"
RENAMED = (
    SHORT.replace("answer =", "found =").replace("return answer", "return found").replace("\n\n", "\n# a note\n\n")
)
OTHER = SHORT.replace("Answer:", "Think, then answer:")


def test_equal_programs_are_one_action() -> None:
    made = [Option(name, name, text) for name, text in (("a", SHORT), ("b", RENAMED), ("c", OTHER))]
    hashes = [identity_of(one) for one in made]
    assert hashes[0] == hashes[1] != hashes[2]


def test_without_a_program_words_are_compared() -> None:
    said = [identity_of(Option("n", words)) for words in ("a  b\n", "a b", "a c")]
    assert said[0] == said[1] != said[2]
    broken = [identity_of(Option("n", "the same", text)) for text in ("no  program {", "no program {", "nothing {")]
    assert broken[0] == broken[1] != broken[2]
    assert len({identity_of(Option("n", "x", text)) for text in ("\ud800", "{" * 5_000, "\0")}) == 3


def test_an_action_taken_twice_has_the_trajectories_of_both() -> None:
    """Mean cost 4. The same program twice, right (R = 1) and wrong: V = 1/2. The other one, right: V = 1."""
    ends = (("longer words", SHORT, end(True, 4)), ("words", RENAMED, end(False, 4)), ("other", OTHER, end(True, 4)))
    options = tuple(Option(f"n{at}", words, program, then=one) for at, (words, program, one) in enumerate(ends))
    tree = Tree("t", "q", Decision("generator", ASKED, options))
    (pair,) = pairs_of(tree)
    assert told((pair,)) == [("generator", "n2", "n0+n1", Fraction(1, 2))]
    assert (pair.rejected.action, pair.rejected.trajectories) == ("words", 2)


# ---------------------------------------------------------------- weights


def test_gaps_are_clipped() -> None:
    assert [one.weight for one in pairs_of(worked(), how=Pairing(clip=Fraction(1)))] == [
        Fraction(7, 18),
        1,
        1,
        Fraction(2, 3),
    ]


def test_gaps_are_normalised_by_tree_and_role() -> None:
    assert [one.weight for one in pairs_of(worked(), how=Pairing(normalise="tree"))] == [1, 1, Fraction(3, 5), 1]
    both = Pairing(clip=Fraction(1), normalise="tree")
    assert [one.weight for one in pairs_of(worked(), how=both)] == [1, 1, 1, 1]


def test_gaps_are_normalised_by_the_mean_of_their_role() -> None:
    how = Pairing(normalise="mean")
    rows = preferences(pairs_of(worked(), how=how), how).rows
    weights = {row.chosen: row.weight for row in rows}  # the implementer's mean gap is (5/3 + 1) / 2 = 4/3
    assert weights == {
        "I write g1.": 1,
        "I write g1a.": Fraction(5, 4),
        "I write g2b.": Fraction(3, 4),
        "I write r1.": 1,
    }


# ---------------------------------------------------------------- rows of many trees


def pair_of(name: str, first: int, second: int, context: tuple[Message, ...] = ASKED) -> tuple[Pair, ...]:
    """Return the pairs of `a` and `b` with costs such that V(a) = mean / first."""
    return pairs_of(flat(("a", end(True, first)), ("b", end(True, second)), name=name, context=context))


def test_the_same_pair_of_two_trees_is_one_row_with_the_mean_gap() -> None:
    # costs 1 and 3, mean 2: V = 2 and 2/3, gap 4/3; costs 2 and 2: a tie, no pair; costs 1 and 2: 3/2 - 3/4 = 3/4
    pairs = (*pair_of("s", 1, 3), *pair_of("t", 2, 2), *pair_of("u", 1, 2))
    done = preferences(pairs)
    assert [(row.chosen, row.rejected, row.weight) for row in done.rows] == [
        ("a", "b", (Fraction(4, 3) + Fraction(3, 4)) / 2)
    ]
    assert [pair.tree for pair in done.rows[0].pairs] == ["s", "u"]
    assert (done.merged, done.cancelled) == (1, 0)


def test_trees_that_contradict_one_another() -> None:
    weaker = preferences((*pair_of("s", 1, 3), *pair_of("t", 2, 1)))
    assert [(row.chosen, row.weight) for row in weaker.rows] == [("a", (Fraction(4, 3) - Fraction(3, 4)) / 2)]
    turned = preferences((*pair_of("s", 3, 1), *pair_of("t", 1, 2)))
    assert [(row.chosen, row.rejected, row.weight) for row in turned.rows] == [
        ("b", "a", (Fraction(4, 3) - Fraction(3, 4)) / 2)
    ]
    nothing = preferences((*pair_of("s", 3, 1), *pair_of("t", 1, 3)))
    assert (nothing.rows, nothing.merged, nothing.cancelled) == ((), 0, 2)
    # the mean gap is (4/3 - 3/4) / 2 = 7/24
    for eps, rows in ((Fraction(1, 4), 1), (Fraction(1, 3), 0)):
        pairs = (*pair_of("s", 1, 3), *pair_of("t", 2, 1))
        assert len(preferences(pairs, Pairing(eps=eps)).rows) == rows


def test_another_context_is_another_row() -> None:
    done = preferences((*pair_of("s", 1, 3), *pair_of("t", 1, 3, (Message("user", "something else"),))))
    assert (len(done.rows), done.merged) == (2, 0)


# ---------------------------------------------------------------- laws


@given(trees())
@settings(max_examples=60, deadline=None)
def test_pairs_are_one_way_and_above_eps_and_as_many_as_there_are_unequal_values(tree: Tree) -> None:
    eps = Fraction(1, 4)
    for least in (Fraction(0), eps):
        pairs = pairs_of(tree, how=Pairing(eps=least))
        assert all(one.gap > least and one.weight == one.gap for one in pairs)
        ways = Counter((one.chosen.nodes, one.rejected.nodes) for one in pairs)
        assert all(count == 1 and (lose, win) not in ways for (win, lose), count in ways.items())
        sides = [sides_of(one, costs_of(tree)) for one in decisions(tree)]
        expected = sum(abs(a.value - b.value) > least for one in sides for a, b in combinations(one, 2))
        assert len(pairs) == expected
    # with eps = 0: of m actions, of which m_k share a value each, (m^2 - sum of m_k^2) / 2 pairs
    counted = [(len(one), Counter(side.value for side in one).values()) for one in sides]
    assert len(pairs_of(tree)) == sum((m * m - sum(k * k for k in ties)) // 2 for m, ties in counted)


@given(
    trees(),
    st.sampled_from([Pairing(), Pairing("best-worst"), Pairing(normalise="tree"), Pairing(clip=Fraction(1, 2))]),
)
@settings(max_examples=60, deadline=None)
def test_neither_order_nor_the_unit_of_cost_changes_a_pair(tree: Tree, how: Pairing) -> None:
    pairs = pairs_of(tree, how=how)
    assert pairs_of(reversed_tree(tree), how=how) == pairs
    assert pairs_of(dearer(tree, 1_000_003), how=how) == pairs
    assert preferences(reversed(pairs), how) == preferences(pairs, how)


@given(trees())
@settings(max_examples=40, deadline=None)
def test_the_best_and_the_worst_have_the_widest_gap(tree: Tree) -> None:
    widest: dict[tuple[Message, ...], Fraction] = {}
    for one in pairs_of(tree):
        widest[one.context] = max(one.gap, widest.get(one.context, Fraction(0)))
    assert {one.context: one.gap for one in pairs_of(tree, how=Pairing("best-worst"))} == widest


@given(trees())
@settings(max_examples=40, deadline=None)
def test_rows_are_json_and_lose_no_pair(tree: Tree) -> None:
    pairs = pairs_of(tree)
    done = preferences(pairs)
    assert len(done.rows) + done.merged + done.cancelled == len(pairs)
    for row in done.rows:
        data = json.loads(json.dumps(row.to_json(), allow_nan=False))
        assert data["value_gap"] > 0
        assert data["chosen"] != data["rejected"]


def test_values_of_actions_are_those_of_their_nodes() -> None:
    tree = worked()
    sides = sides_of(tree.root, costs_of(tree))
    assert sorted((side.nodes, side.value) for side in sides) == [(("g1",), Fraction(8, 9)), (("g2",), Fraction(1, 2))]
