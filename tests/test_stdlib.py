"""The standard library: modules check without a warning, their tests pass, and all that they give is documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from masdsl.config import load_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.pipeline import check_file
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.syntax.walk import find_all
from masdsl.testing import run_tests
from tests.harness.stdlib_page import STDLIB, head, public

MODULES = sorted(STDLIB.glob("*.mas"))
OPERATORS = {
    "think": {"thinker"},
    "code": {"coder", "solve_by_program", "test_and_fix"},
    "choose": {"choose", "ensemble", "choose_shuffled"},
    "refine": {"reviewer", "reviser", "revise"},
    "answer": {"formatter"},
    "retrieve": {"search", "retrieve", "browser", "get"},
}
"""What the operators of AFlow and MAS² are called here."""


def _name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_has_no_problems_and_its_tests_pass(path: Path) -> None:
    findings = Findings()
    checked = check_file(str(path), findings, load_config(str(STDLIB), findings))
    assert checked.program is not None and not findings.sorted(), render_short(findings.sorted())
    outcomes = list(run_tests(checked.program))
    assert outcomes and all(outcome.passed for outcome in outcomes), [
        (outcome.test.title, outcome.failures) for outcome in outcomes if not outcome.passed
    ]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_what_a_module_gives_is_documented(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    for item in public(path):
        first = head(item).split("\n")[0][:40]
        at = next(number for number, line in enumerate(lines) if line.startswith(first))
        assert lines[at - 1].startswith("## "), f"{path.name}: {first}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_flow_that_a_module_gives_is_run_by_a_test_of_its_own_with_given_values(path: Path) -> None:
    """That it is in `std.vote` and used by another module is not enough: who reads it finds an example below."""
    program = parse_program(Source(path.name, path.read_text(encoding="utf-8")), Findings()).document
    assert isinstance(program, ast.Program)
    tests = [item for item in program.items if isinstance(item, ast.Test) and item.givens]
    called = {node.callee.text for test in tests for node in find_all(test, ast.Call)}
    assert {item.name.text for item in public(path) if isinstance(item, ast.Flow)} <= called


@pytest.mark.parametrize("module", OPERATORS)
def test_operators_have_counterparts(module: str) -> None:
    names = {item.name.text for item in public(STDLIB / f"{module}.mas") if not isinstance(item, ast.Use)}
    assert names >= OPERATORS[module]
