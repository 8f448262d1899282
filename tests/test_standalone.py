"""Generated programs need `masdsl.runtime` and what it requires, and nothing else: a small size of the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

from tests.harness.standalone import Environment, build, written


def test_generated_programs_run_with_the_runtime_alone(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "site")
    programs = written(range(8), tmp_path / "programs")
    build(programs)
    report = environment.run(programs)
    assert list(report.runs) == [one.expected for one in programs]
    assert report.there == (), "the environment holds more than the runtime needs"
    assert {"masdsl", "jinja2", "pydantic"} <= set(report.modules)
    assert not {"lark", "litellm", "httpx", "openai", "llguidance"} & set(report.modules)
    assert len({one.text for one in programs}) == 8 and sum("value" in run for run in report.runs) >= 6
    assert sum(run.get("calls", 0) for run in report.runs) >= 8


def test_what_is_missing_is_missed(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "site")
    (tmp_path / "site" / "masdsl" / "formats.py").unlink()
    with pytest.raises(AssertionError, match="No module named 'masdsl.formats'"):
        environment.run([])
