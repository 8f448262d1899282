"""Running programs under `kill -9`, and resumed by several processes at once. The full sizes: `tests/bench`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness.killed_runs import kill, races

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def test_killed_programs_go_on_where_they_stood(tmp_path: Path) -> None:
    counts = kill(30, tmp_path, seed=1)
    assert counts["kills"] >= 30
    assert counts["runs"] > 2
    assert counts["acknowledged rows"] > 100


def test_one_process_alone_goes_on_with_a_run(tmp_path: Path) -> None:
    counts = races(20, tmp_path)
    assert counts["races"] == 20
    assert counts["refused"] > 0
