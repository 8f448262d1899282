"""Experiments: how their findings are told, and that each of them works in its small size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masdsl.batch.statistics import mean_interval
from training.experiments.__main__ import main
from training.experiments.reports import Picture, Point, Report, Series, Table, markdown, write_report

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
