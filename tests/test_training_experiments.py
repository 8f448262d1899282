"""Experiments: how their findings are told, and that each of them works in its small size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masdsl.batch.base import Amount
from masdsl.batch.statistics import mean_interval
from masdsl.diagnostics.base import Findings
from training.data.pools import Query
from training.experiments.__main__ import main
from training.experiments.reports import Picture, Point, Report, Series, Table, markdown, write_report
from training.experiments.roles import learn
from training.experiments.running import Did, World, difference_of, kept, queries_in, simulated
from training.experiments.searching import search
from training.tree import Decision, Message, Option, Trajectory, Tree

HALF = mean_interval([0.0, 1.0] * 20)
REPORT = Report(
    question="Does it help?",
    world="simulated",
    over="queries",
    tables=(
        Table("Right answers (%)", ("with", "without", "calls"), (("a", (HALF, None, 3)), ("b", (HALF, HALF, 2.5)))),
    ),
    picture=Picture(
        "theta", "right", (Series("a", (Point(0.5, HALF), Point(0.9, HALF))), Series("b", (Point(0.7, HALF),)))
    ),
    facts={"seeds": [1, 2]},
    raw={"a": [0.0, 1.0]},
    reading="No difference was found.",
)


def test_a_report_as_markdown_says_where_it_is_from() -> None:
    text = markdown(REPORT, "small")
    assert "World: simulated. Intervals: 95 %, over queries. This is the small size" in text
    assert "| a | 50.0 (35.2–64.8) | – | 3 |" in text
    assert "small size" not in markdown(REPORT, "full")


def test_a_report_is_written_with_raw_numbers_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need masdsl[eval]")
    write_report(REPORT, str(tmp_path), size="full", seconds=1.0)
    data = json.loads((tmp_path / "results.json").read_text())
    assert data["raw"] == {"a": [0.0, 1.0]}
    assert data["tables"][0]["rows"]["b"]["with"]["mean"] == 0.5
    assert data["facts"]["size"] == "full"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    named = REPORT._replace(
        picture=Picture("system", "right", (Series("a", (Point("one", HALF), Point("two", HALF))),))
    )
    write_report(named, str(tmp_path / "named"), size="small", seconds=1.0)
    assert (tmp_path / "named" / "plot.png").exists()


@pytest.mark.parametrize("name", ["front", "roles", "theta"])
def test_an_experiment_works_in_its_small_size(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need masdsl[eval]")
    assert main([name, "--size", "small", "--out", str(tmp_path)]) == 0
    first = json.loads((tmp_path / "results.json").read_text())
    assert "simulated" in first["world"]
    assert all("Simulated" in table["title"] for table in first["tables"])
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    assert main([name, "--size", "small", "--out", str(tmp_path)]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()} == made, "parts are made once"
    again = json.loads((tmp_path / "results.json").read_text())
    assert again["raw"] == first["raw"]
    assert again["tables"] == first["tables"]


def test_differences_that_are_all_the_same_are_no_shares() -> None:
    assert difference_of([0.0] * 9)[:3] == (0.0, 0.0, 0.0)
    found = difference_of([-1.0, 0.0, 0.0, 0.5] * 10)
    assert found.mean == pytest.approx(-0.125)
    assert -1 < found.low < found.mean < found.high < 1


def test_a_part_is_made_again_for_other_settings_alone(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> list[Did]:
        made.append(1)
        return [Did(1.0, True, 2, 30, 4, 0.5)]

    first = kept(str(tmp_path), "a", {"seed": 1}, make)
    assert kept(str(tmp_path), "a", {"seed": 1}, make) == first
    assert len(made) == 1
    kept(str(tmp_path), "a", {"seed": 2}, make)
    assert len(made) == 2


def test_a_search_keeps_the_better_and_ends_with_its_budget(tmp_path: Path) -> None:
    folder = simulated(str(tmp_path / "world"), seed=0, train=4, held_out=4)
    host = World(folder, queries_in(folder, "train.jsonl")).host
    asked: list[str] = []

    def evaluate(text: str) -> list[Did]:
        asked.append(text)
        right = (("found = look_up(query)" in text) + ("reviewed = reviewer(" in text)) / 2
        return [Did(right, True, 1, 1, 10, 1.0)]

    found = search(host, evaluate, budget=115, most=100, seed=0)
    assert len(asked) == len(set(asked)) == len(found.tried) == 12, "the last evaluation goes beyond the budget"
    assert found.best.score == max(one.score for one in found.tried) == 1.0
    assert all(host.check(one, Findings()) is not None for one in asked)
    assert len(search(host, evaluate, budget=115, most=3, seed=0).tried) == 3


def test_roles_learn_what_had_the_highest_mean_in_trees() -> None:
    def tree(name: str, dear: bool, cheap: bool) -> Tree:
        context = (Message("user", "?"),)
        ends = (Trajectory(dear, Amount(1, 1, 100)), Trajectory(cheap, Amount(1, 1, 1)))
        options = tuple(Option(f"g{at}", "a", "p", then=end) for at, end in enumerate(ends))
        return Tree(name, "q", Decision("generator", context, options))

    labels = {"g0": "dear", "g1": "cheap"}
    grown = [(tree("a", True, False), labels), (tree("b", True, True), labels)]
    queries = [Query("1", "q", "1", {"family": "sums"})]
    assert learn(grown, queries, by="success").systems == {"sums": "dear"}
    assert learn(grown, queries, by="value").systems == {"sums": "cheap"}, "V has costs in it"
