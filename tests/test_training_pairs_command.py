"""`python -m training.pairs`: files of trees become a file of pairs with its data card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from masdsl.batch.base import Amount
from tests.harness.cto_trees import ASKED, decided, end, option, worked
from training.pairs.command import main
from training.trees.tree import Decision, Trajectory, Tree, line_of

ROOT = Path(__file__).resolve().parent.parent


def written(folder: Path, *trees: Tree | str, name: str = "trees.jsonl") -> str:
    path = folder / name
    path.write_text("".join(one if isinstance(one, str) else line_of(one) for one in trees), encoding="utf-8")
    return str(path)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text("utf-8").splitlines()]


def card_of(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "pairs.jsonl.card.json").read_text("utf-8"))
    return card


def hopeless() -> Tree:
    refused = option("h3", Trajectory(False, executed=False))
    lost = option("h4")
    options = (option("h1", end(False, 0)), option("h2", end(False, 0)), refused, lost)
    return Tree("hopeless", "q", Decision("generator", ASKED, options))


def test_pairs_and_their_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees = written(tmp_path, worked(), hopeless())
    assert main([trees, "-o", str(tmp_path / "pairs.jsonl")]) == 0
    assert (
        "4 pairs of 2 trees (1 of the generator, 2 of the implementer, 1 of the rectifier)" in capsys.readouterr().out
    )
    gaps = {row["chosen"][0]["content"]: row["value_gap"] for row in rows_of(tmp_path)}
    assert gaps == pytest.approx(
        {"I write g1.": 7 / 18, "I write g1a.": 5 / 3, "I write g2b.": 1, "I write r1.": 2 / 3}
    )
    card = card_of(tmp_path)
    counts = {name: value for name, value in card.items() if isinstance(value, int) and name != "format"}
    assert counts == {
        "trees": 2,
        "trees_without_a_success": 1,
        "trees_that_cost_nothing": 1,
        "trajectories": 8,
        "trajectories_executed": 7,
        "trajectories_that_succeeded": 3,
        "repairs_triggered_by_failure": 1,
        "options_without_an_end": 1,
        "pairs_merged": 0,
        "pairs_cancelled": 0,
    }
    generator = card["roles"]["generator"]
    # 2 options of the worked tree and 4 of the other one; that has three values, all 0, so three ties
    steps = (
        "decisions",
        "options",
        "actions_with_a_value",
        "pairs_of_siblings",
        "ties",
        "at_most_eps",
        "pairs",
        "rows",
    )
    assert [generator[step] for step in steps] == [2, 6, 5, 4, 3, 0, 1, 1]
    assert [card["roles"]["implementer"][step] for step in steps] == [2, 4, 4, 2, 0, 0, 2, 2]
    gap = card["roles"]["implementer"]["value_gap"]
    assert gap == pytest.approx({"least": 1, "median": 4 / 3, "mean": 4 / 3, "most": 5 / 3})
    assert generator["characters"]["chosen"] == {"least": 11, "median": 11, "mean": 11, "most": 11}
    assert generator["spent_by_the_meta_agent"] == Amount(6, 60, 18)._asdict()
    assert card["files"][0] | {"sha256": ""} == {"file": "trees.jsonl", "sha256": "", "trees": 2, "damaged": 0}


def test_options_reach_the_pairs(tmp_path: Path) -> None:
    trees, out = written(tmp_path, worked()), str(tmp_path / "pairs.jsonl")
    assert (
        main([trees, "-o", out, "--role", "implementer", "--clip", "1.2", "--normalise", "tree", "--eps", "0.9"]) == 0
    )
    assert sorted(row["value_gap"] for row in rows_of(tmp_path)) == pytest.approx([1 / 1.2, 1])
    assert card_of(tmp_path)["roles"]["rectifier"]["rows"] == 0
    assert card_of(tmp_path)["roles"]["rectifier"]["at_most_eps"] == 1
    assert main([trees, "-o", out, "--cost", "calls", "--cap", "0.5"]) == 0  # a call each: R is 1/2, or 0
    assert {row["role"]: row["value_gap"] for row in rows_of(tmp_path)}["rectifier"] == 0.5


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, trees in ((first, (worked(), hopeless())), (second, (hopeless(), worked()))):
        folder.mkdir()
        assert main([written(folder, *trees), "-o", str(folder / "pairs.jsonl")]) == 0
    assert (first / "pairs.jsonl").read_bytes() == (second / "pairs.jsonl").read_bytes()


def test_damaged_lines_are_told_and_left_out_if_that_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trees, out = written(tmp_path, worked(), line_of(hopeless())[:-30], "\n{}\n"), str(tmp_path / "pairs.jsonl")
    assert main([trees, "-o", out]) == 2
    said = capsys.readouterr().err
    assert f"{trees}:2: it is no JSON" in said
    assert f"{trees}:3: the tree: `format` is missing" in said
    assert "2 lines that hold no tree; mend them, or go on with --skip-damaged" in said
    assert os.listdir(tmp_path) == ["trees.jsonl"]
    assert main([trees, "-o", out, "--skip-damaged"]) == 0
    assert (len(rows_of(tmp_path)), card_of(tmp_path)["files"][0]["damaged"]) == (4, 2)


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        (hopeless(), "no pairs (trees: 1, without a success: 1)"),
        (Tree("t", "q", decided("generator", option("a", end(True, 1)))), "no pairs (trees: 1, without a success: 0)"),
    ],
)
def test_nothing_is_written_where_nothing_can_be_learned(
    tree: Tree, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([written(tmp_path, tree), "-o", str(tmp_path / "pairs.jsonl")]) == 1
    assert told in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["trees.jsonl"]


def test_files_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees = written(tmp_path, worked())
    again = written(tmp_path, worked(), name="again.jsonl")
    for arguments, told in (
        ([trees, "-o", trees], "would be overwritten"),
        ([trees, again, "-o", str(tmp_path / "pairs.jsonl")], "give each tree once"),
        ([str(tmp_path / "none.jsonl"), "-o", str(tmp_path / "pairs.jsonl")], "there is no data set"),
        ([trees, "-o", str(tmp_path / "none" / "pairs.jsonl")], "cannot be written"),
        ([trees, "-o", str(tmp_path)], "cannot be written"),
    ):
        assert main(arguments) == 2
        assert told in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["again.jsonl", "trees.jsonl"]


@pytest.mark.parametrize(
    "wrong", [["--eps", "-1"], ["--eps", "nan"], ["--clip", "0"], ["--cap", "1e999"], ["--clip", "1e-9999999999"]]
)
def test_numbers_that_make_no_sense(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([written(tmp_path, worked()), "-o", str(tmp_path / "pairs.jsonl"), *wrong])
    assert stop.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.pairs", written(tmp_path, worked()), "-o", str(tmp_path / "pairs.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(rows_of(tmp_path)) == 4
