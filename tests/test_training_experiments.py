"""Experiments: how their findings are told, and that each of them works in its small size."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import masdsl
from masdsl.batch.base import Amount
from masdsl.batch.statistics import mean_interval
from masdsl.batch.systems import config_of
from masdsl.diagnostics.base import Findings
from masdsl.meta.extract import extract
from masdsl.meta.host import Host
from masdsl.runtime.models.base import Message as Asking
from masdsl.runtime.models.base import Request
from tests.harness import experiment_pictures
from training.data.pools import Query, task_of
from training.data.refinement import faults_of, patched
from training.experiments.__main__ import EXPERIMENTS, main
from training.experiments.parts.prompting import Tried, kind_of
from training.experiments.parts.reports import Picture, Point, Report, Series, Table, markdown, write_report
from training.experiments.parts.running import Did, World, difference_of, kept, queries_in, simulated
from training.experiments.parts.searching import search
from training.experiments.roles import learn
from training.experiments.techniques import BANK, SYSTEM, bank, proposal, technique_of
from training.trees.tree import Decision, Message, Option, Trajectory, Tree
from training.worlds.arithmetic import make_arithmetic

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


STAND_IN = """
import re
from training.data.refinement import Asked

def model(name):
    # Adds up the numbers of the question: right for some of the problems, whatever the prompt.
    def say(system, told):
        return str(sum(map(int, re.findall(r"[0-9]+", told))))
    return Asked(say, name)
"""


def test_prompts_are_refined_by_the_bank_and_measured_in_the_small_size(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need masdsl[eval]")
    world = tmp_path / "world"
    make_arithmetic(str(world), train=60, held_out=24)
    # Another model in the place of SmolLM2, so that this needs no weights and no time.
    (world / "adding_stand_in.py").write_text(STAND_IN)
    entry = '[models.adder]\nkind = "python"\nfactory = "adding_stand_in:model"\ninput_price = 0\noutput_price = 0\n'
    (world / "mas.toml").write_text(f'[tiers]\nfast = "adder"\ndefault = "adder"\nsmart = "adder"\n{entry}')
    assert main(["techniques", "--size", "small", "--out", str(tmp_path)]) == 0
    first = json.loads((tmp_path / "results.json").read_text())
    tables = [one["rows"] for one in first["tables"]]
    assert [one["patches scored"] for one in tables[2].values()][2] == 0, "a number is no patch"
    for name, one in first["raw"]["units"].items():
        for unit in one.values():
            taken = [each["accepted"] for each in unit["attempts"]]
            assert taken == ([] if name.startswith("SmolLM2") else [False] * (len(taken) - 1) + taken[-1:])
            assert bool(unit["patch"]) == any(taken)
            assert all(each["accepted"] == (each["score"] >= unit["base"]) for each in unit["attempts"])
    assert first["raw"]["again"]["unrefined"] != [], "some queries are solved by adding"
    made = sorted(tmp_path.rglob("outcomes.jsonl"))
    assert main(["techniques", "--size", "small", "--out", str(tmp_path)]) == 0
    assert sorted(tmp_path.rglob("outcomes.jsonl")) == made
    assert json.loads((tmp_path / "results.json").read_text())["tables"] == first["tables"]


def test_each_technique_of_the_bank_is_a_patch_of_prompts_alone(tmp_path: Path) -> None:
    (tmp_path / "mas.toml").write_text('[tiers]\ndefault = "m"\n[models.m]\nkind = "scripted"\npath = "x.toml"\n')
    host = Host(config_of(str(tmp_path / "x.mas")))
    query = Query("1", "What is 20 + 22?", "42", {})
    task = task_of([query], host)
    for one in BANK:
        patch = extract(proposal(one, "solver", "Answer the question: {{ task }}"), "patch").text
        assert not faults_of(patch, SYSTEM, [query], task, host), one.name
        after = patched(patch, SYSTEM, host)
        kept_patch = masdsl.diff(masdsl.Source("<a>", SYSTEM), masdsl.Source("<b>", after)).text
        assert technique_of(kept_patch) == one.name
    assert technique_of('patch 1\nset solver.prompt = "Answer."\n') == ""


def test_the_bank_goes_on_to_its_next_technique_and_begins_where_the_queries_say() -> None:
    names, starts = [one.name for one in BANK], set()
    for number in range(8):
        told = f"```mas\n{SYSTEM}```\n\n<query>\nWhat is {number} + 1?\n</query>"
        said = []
        for _ in names:
            messages = (Asking("system", "write a block ```patch"), Asking("user", told))
            patch = extract(asyncio.run(bank().complete(Request(messages))).text, "patch").text
            said.append(technique_of(patch))
            # As the refining stage shows what was worse: with the hash of the program that it is for.
            shown = patch.replace("patch 1", 'patch 1 on "ab12"', 1)
            told += f"\n\nThis patch made it worse:\n```patch\n{shown}```"
        start = names.index(said[0])
        assert said == names[start:] + names[:start]
        starts.add(start)
    assert len(starts) > 2


def test_a_prompt_is_taken_by_chance_the_less_the_more_runs_decide() -> None:
    assert kind_of('set a.prompt = "Do one operation at a time. {{ task }}"', "sums") == "fits"
    assert kind_of('set a.prompt = "Do one operation at a time. {{ task }}"', "facts") == "misleads"
    assert kind_of('set a.prompt = "Do it. {{ task }}"', "facts") == "neither"
    # Half of the runs are right without it, a quarter with it.
    one = Tried("a", "misleads", True, (1.0, 0.0) * 4, (0.0, 0.0, 1.0, 0.0) * 2)
    assert one.change == -0.25
    assert [one.taken(runs) for runs in (1, 2, 8)] == [0.75, 0.5, 0.0]


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


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_has_its_command_table_and_picture_in_the_docs(name: str) -> None:
    page = experiment_pictures.PAGE.read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", page, flags=re.MULTILINE)
    of = next(one for one in sections if f"python -m training.experiments {name} --out" in one)
    assert "\n| |" in of
    assert re.search(r"^!\[[^\]]+\]\(experiments/[\w-]+\.svg\)$", of, re.MULTILINE)


def test_a_picture_has_a_dot_and_a_whisker_where_its_table_says() -> None:
    table = experiment_pictures.table_of(
        [
            "| | right (%) | cost |",
            "|---|---:|---:|",
            "| dear | 50.0 (25.0–75.0) | 9 |",
            "| cheap | 100.0 (90.0–100.0) | 0.5 |",
            "| not measured | – | 3 |",
        ]
    )
    svg = experiment_pictures.drawn(table, experiment_pictures.Shown(("right (%)",), ("cost",), "cost"), "a < b")
    root = ElementTree.fromstring(svg)
    names = [one.text for one in root.iter() if one.text in ("dear", "cheap", "not measured")]
    assert names == ["cheap", "not measured", "dear"], "by cost"
    dots = [float(one.attrib["cx"]) for one in root.iter() if one.tag.endswith("circle")][1:]  # the first is the legend
    ticks = {one.text: float(one.attrib["x"]) for one in root.iter() if one.text in ("0", "50", "100")}
    assert dots == [ticks["100"], ticks["50"]]
    whiskers = re.findall(r'class="a" d="M([\d.]+) [\d.]+H([\d.]+)"', svg)
    quarter = (ticks["100"] - ticks["0"]) / 4
    assert [float(end) for end in whiskers[1]] == pytest.approx([ticks["0"] + quarter, ticks["0"] + 3 * quarter])
