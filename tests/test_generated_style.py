"""Generated Python reads as if a person had written it: formatters leave it alone, linters and type checkers find
nothing.

All modules are written into one folder and each tool runs once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from masdsl import pipeline
from masdsl.diagnostics.base import Findings
from tests.harness.casefile import Case
from tests.harness.programs import compiled, write

ROOT = Path(__file__).resolve().parent.parent
WIDTH = "120"

pytestmark = pytest.mark.slow


def _compile(path: Path, target: Path) -> None:
    program = pipeline.check_file(str(path), Findings()).program
    assert program is not None, path
    target.write_text(compiled(program), encoding="utf-8")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module of every example, of every library module and of every case that shows its Python."""
    folder = tmp_path_factory.mktemp("generated")
    for path in (*ROOT.glob("examples/*/*.mas"), *ROOT.glob("stdlib/*.mas"), *ROOT.glob("tests/bench/programs/*.mas")):
        _compile(path, folder / f"{path.stem}_mas.py")
    for path in ROOT.glob("tests/cases/*/*.md"):
        case = Case(path)
        if "PYTHON" in case.sections:
            source = tmp_path_factory.mktemp(path.stem)
            _compile(write(source, case.text, case.files, case.config), folder / f"case_{path.stem}_mas.py")
    return folder


COMMANDS = {
    "black": ["black", "--check", "--diff", "--quiet", "--line-length", WIDTH, "."],
    "ruff format": ["ruff", "format", "--check", "--diff", "--isolated", "--line-length", WIDTH, "."],
    "ruff check": [
        "ruff",
        "check",
        "--isolated",
        "--line-length",
        WIDTH,
        "--select",
        "E,F,I,UP,N,B",
        "--ignore",
        "B007,E501",
        ".",
    ],
    "mypy": ["mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"), "."],
}


@pytest.mark.parametrize("tool", COMMANDS)
def test_tools_have_nothing_to_say(tool: str, modules: Path) -> None:
    command = [sys.executable, "-m", *COMMANDS[tool]]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=modules, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
