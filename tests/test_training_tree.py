"""Trees of Collaborative Tree Optimization: their structure, and their files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.batch.base import NOTHING, Amount
from masdsl.batch.rows import DataFault
from tests.harness.cto_trees import decided, end, option, trees, worked
from training.trees.tree import (
    BadLine,
    BadTree,
    Decision,
    Shape,
    Trajectory,
    Tree,
    decisions,
    faults_of,
    line_of,
    paths,
    read_trees,
    shape_faults,
    spent_by_role,
    tree_from_json,
    tree_to_json,
)


def test_paths_lead_from_the_root_to_an_end() -> None:
    found = [(">".join(one.node for one in path), ended.cost.picodollars) for path, ended in paths(worked().root)]
    assert found == [("g1>g1a", 2), ("g1>g1b>r1", 6), ("g1>g1b>r2", 4), ("g2>g2a", 4), ("g2>g2b", 4)]


def test_decisions_come_before_what_follows_from_them() -> None:
    assert [(one.role, one.options[0].node) for one in decisions(worked())] == [
        ("generator", "g1"),
        ("implementer", "g1a"),
        ("rectifier", "r1"),
        ("implementer", "g2a"),
    ]


def test_what_meta_agents_took_is_summed_by_role() -> None:
    one = Amount(1, 10, 3)  # every option of the worked tree: two templates, four bindings, two repairs
    assert spent_by_role(worked()) == {
        "generator": one.plus(one),
        "implementer": one.plus(one).plus(one).plus(one),
        "rectifier": one.plus(one),
    }


# ---------------------------------------------------------------- structure


def rooted(decision: Decision) -> Tree:
    return Tree("t", "q", decision)


FAULTS: list[tuple[Tree, str]] = [
    (rooted(decided("generator", option("a", end(True, 1)), option("a", end(True, 1)))), "`a` is there 2 times"),
    (
        rooted(decided("generator", option("a", decided("generator", option("b"))))),
        "root.options[0].then: generator after",
    ),
    (rooted(decided("implementer", option("a", decided("generator", option("b"))))), "generator after implementer"),
    (rooted(decided("implementer", option("a", decided("implementer", option("b"))))), "implementer after implementer"),
    (rooted(decided("rectifier", option("a", decided("implementer", option("b"))))), "implementer after rectifier"),
    (rooted(decided("generator")), "it has no options"),
    (rooted(decided("generator", option("a"))._replace(context=())), "root: its context is empty"),
    (
        rooted(decided("generator", option("a"))._replace(trigger="cost")),
        "`trigger` is cost or failure for a rectifier",
    ),
    (rooted(decided("rectifier", option("a"))._replace(trigger="")), "`trigger` is cost or failure for a rectifier"),
    (rooted(decided("generator", option("a")._replace(node=""))), "`node` is empty"),
    (rooted(decided("generator", option("a", end(True, -1)))), "root.options[0].then.cost: it is negative"),
    (rooted(decided("generator", option("a")._replace(spent=Amount(0, -1)))), "root.options[0].spent: it is negative"),
    (rooted(decided("generator", option("a", Trajectory(True, executed=False)))), "it was not executed, so"),
    (rooted(decided("generator", option("a", Trajectory(False, Amount(1), False)))), "it was not executed, so"),
    (rooted(decided("generator", option("a", end(True, 10**31)))), "cost: it is negative, or above 10^30"),
    (worked()._replace(name=""), "`tree` is empty"),
]


@pytest.mark.parametrize(("tree", "told"), FAULTS)
def test_what_is_no_tree_is_told_and_not_kept(tree: Tree, told: str) -> None:
    assert [told in fault for fault in faults_of(tree)] == [True]
    with pytest.raises(BadTree, match="cannot be kept"):
        line_of(tree)
    with pytest.raises(BadTree):
        tree_from_json(tree_to_json(tree))


def test_a_path_of_too_many_decisions_is_refused() -> None:
    decision = decided("rectifier", option("last", end(True, 1)))
    for number in range(15):
        decision = decided("rectifier", option(f"r{number}", decision))
    assert faults_of(rooted(decision)) == ()
    deeper = rooted(decided("rectifier", option("first", decision)))
    assert [fault.partition(": ")[2] for fault in faults_of(deeper)] == ["more than 16 decisions on a path"]
    with pytest.raises(BadTree, match="more than 16 decisions on a path"):
        tree_from_json(tree_to_json(deeper))


def test_a_shape_says_how_many_options_there_should_be() -> None:
    assert shape_faults(worked(), Shape(templates=2, bindings=2, repairs=2)) == ()
    assert shape_faults(worked()) == ("the root: 2 options of the generator, where 4 were asked for",)
    assert shape_faults(worked(), Shape(2, 1, 3)) == (
        "g1: 2 options of the implementer, where 1 were asked for",
        "g1b: 2 options of the rectifier, where at least 3 were asked for",
        "g2: 2 options of the implementer, where 1 were asked for",
    )
    assert shape_faults(worked(), Shape(2, 2, 2, rounds=0)) == ("g1b: more than 0 repairs on a path",)


# ---------------------------------------------------------------- files


@given(trees())
@settings(max_examples=60, deadline=None)
def test_a_tree_is_the_same_after_a_file(tree: Tree) -> None:
    line = line_of(tree)
    assert line.count("\n") == 1
    assert line.isascii()
    assert tree_from_json(json.loads(line)) == tree


def write(folder: Path, *lines: str) -> str:
    path = folder / "trees.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_good_lines_are_read_past_bad_ones(tmp_path: Path) -> None:
    good, other = line_of(worked()).strip(), line_of(worked()._replace(name="other")).strip()
    found = list(read_trees(write(tmp_path, good, "", "{", "[]", good, other, good[:-40])))
    assert [one for one in found if isinstance(one, Tree)] == [worked(), worked()._replace(name="other")]
    faults = [one for one in found if isinstance(one, BadLine)]
    assert [one.number for one in faults] == [3, 4, 5, 7]
    for fault, told in zip(faults, ["no JSON", "no object", '"worked", as in line 1', "no JSON"], strict=True):
        assert told in fault.what


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(DataFault, match="no data set"):
        list(read_trees("/nowhere/trees.jsonl"))


def at(*keys: str | int) -> Callable[[Any], Any]:
    def find(data: Any) -> Any:
        for key in keys:
            data = data[key]
        return data

    return find


REPAIRED = ("root", "options", 0, "then", "options", 1, "then")
DAMAGE: list[tuple[tuple[str | int, ...], str, Any, str]] = [
    ((), "format", 2, "`format` is 2, and this version knows 1"),
    ((), "format", True, "`format` is true"),
    ((), "query", None, "the tree: `query` is null, and a text is needed"),
    ((), "more", 1, "the tree: `more` is unknown"),
    ((), "root", [], "root: it is [], and an object is needed"),
    (("root",), "role", "judge", 'root: `role` is "judge"; it is one of generator, implementer, rectifier'),
    (REPAIRED, "trigger", "whim", 'then.options[1].then: `trigger` is "whim"'),
    (("root",), "options", {}, "root: `options` is {}, and a list is needed"),
    (("root", "context", 1), "content", 3, "root.context[1]: `content` is 3"),
    (("root", "options", 1), "action", 3, "root.options[1]: `action` is 3"),
    (("root", "options", 1), "then", "x" * 99, 'root.options[1].then: it is "xxx'),
    (("root", "options", 1, "spent"), "tokens", 1.5, "root.options[1].spent: `tokens` is 1.5; it is a whole number"),
    (("root", "options", 1, "spent"), "tokens", True, "`tokens` is true; it is a whole number"),
    (("root", "options", 1, "spent"), "calls", 10**31, "`calls` is 1000"),
    ((*REPAIRED, "options", 0, "then"), "success", 1, "`success` is 1; it is true or false"),
    ((*REPAIRED, "options", 0, "then", "cost"), "picodollars", -1, "`picodollars` is -1; it is a whole number from 0"),
]


@pytest.mark.parametrize(("place", "name", "value", "told"), DAMAGE)
def test_damage_is_told_with_its_place(place: tuple[str | int, ...], name: str, value: Any, told: str) -> None:
    data = copy.deepcopy(tree_to_json(worked()))
    at(*place)(data)[name] = value
    with pytest.raises(BadTree) as fault:
        tree_from_json(data)
    assert told in str(fault.value)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_field_may_be_missing_or_something_else(data: st.DataObject) -> None:
    """One value anywhere in a tree is taken away or replaced: a tree or BadTree, nothing else."""
    damaged = json.loads(line_of(worked()))
    place = damaged
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not place[key] or not isinstance(place[key], dict | list) or data.draw(st.integers(0, 9)) == 0:
            break
        place = place[key]
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(
            st.sampled_from([None, -1, 10**400, 0.5, True, "", "\ud800", [], {}, [[]], {"options": 1}])
        )
    try:
        tree = tree_from_json(damaged)
    except BadTree as fault:
        assert str(fault)
    else:
        assert faults_of(tree) == ()


def test_an_outage_is_no_failure() -> None:
    tree = rooted(decided("generator", option("a"), option("b", Trajectory(False, NOTHING, False, note="refused"))))
    assert tree_from_json(json.loads(line_of(tree))) == tree
    assert [path[0].node for path, _ in paths(tree.root)] == ["b"]
