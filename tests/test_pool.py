"""The pool of published systems: every program is clean, tested, within its bound and traced to its origin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from masdsl.cli import main
from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from tests.harness import pool
from tests.harness.pool_python import FRAMEWORKS, POOL, Count, counts, measured, origins
from tests.regen import changes

PROGRAMS = pool.programs()
SYSTEMS = [pytest.param(path, id=path.stem) for path in PROGRAMS]


def test_there_are_at_least_81_different_systems() -> None:
    hashes = {pool.system(path).hash for path in PROGRAMS}
    assert len(hashes) == len(PROGRAMS) >= 81


def test_every_program_has_an_origin_and_every_origin_a_program() -> None:
    assert sorted(origins()) == [path.stem for path in PROGRAMS]


def test_every_original_with_python_is_measured() -> None:
    assert sorted(counts()) == sorted(name for name, origin in origins().items() if origin.python)
    assert sorted(counts("frameworks")) == sorted(origins(FRAMEWORKS))


def test_the_table_shows_what_is_computed() -> None:
    readme = POOL / "README.md"
    _, text, new = next(change for change in changes(runs=False) if change[0] == readme)
    assert text == new, "if this is right, run: python -m tests.regen"


@pytest.mark.parametrize("path", SYSTEMS)
def test_a_program_is_clean_and_in_canonical_layout(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--strict", str(path)]) == 0, capsys.readouterr().out
    assert main(["fmt", "--check", str(path)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", SYSTEMS)
def test_its_tests_pass_and_count_its_calls(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(path)]) == 0, capsys.readouterr().out
    assert re.search(r"^  expect .*\bcalls == \d", path.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", SYSTEMS)
def test_its_budget_is_its_worst_case(path: Path) -> None:
    program = parse_program(Source(path.name, path.read_text(encoding="utf-8")), Findings()).document
    assert isinstance(program, ast.Program)
    budgets = [item for item in program.items if isinstance(item, ast.Budget)]
    assert [[(limit.kind, limit.amount.value) for limit in budget.limits] for budget in budgets] == [
        [("calls", pool.system(path).most["calls"])]
    ]


@pytest.mark.parametrize("path", SYSTEMS)
def test_its_documentation_names_where_it_was_published(path: Path) -> None:
    documentation = " ".join(line.lstrip("# ") for line in pool.system(path).documentation.splitlines())
    origin = origins()[path.stem]
    assert f"Paper: {origin.paper}" in documentation
    assert f"Repository: {origin.repository}, " in documentation or not origin.repository


# ---------------------------------------------------------------- how it is measured


def size(text: str) -> Count:
    return pool.size(pool._parsed("x.mas", text))


PROGRAM = """mas 1

agent writer(topic, style) -> text role "You write for children."
  "Write about {{ topic }} so: {% if style %}{{ style }}{% endif %}."

flow main(topic) -> text {
  return writer(topic, "short")
}
"""


def test_comments_tests_and_layout_of_a_program_do_not_count() -> None:
    longer = PROGRAM.replace("flow main", "## Says something.\nflow   main") + (
        'test "it says something" {\n  given writer = "Tea."\n  out = main("tea")\n  expect out == "Tea."\n}\n'
    )
    assert size(longer) == size(PROGRAM)


def test_prose_of_a_program_is_emptied_and_insertions_and_words_stay() -> None:
    emptied = PROGRAM.replace("You write for children.", "").replace("Write about ", "").replace(" so: ", "")
    assert size(PROGRAM).bare == size(emptied).whole
    assert size(PROGRAM).whole > size(PROGRAM).bare
    assert size(PROGRAM.replace("{% if style %}{{ style }}{% endif %}", "")).bare < size(PROGRAM).bare
    assert size(PROGRAM.replace('"short"', '"as short as it can be"')).bare < size(PROGRAM).bare


def test_of_what_a_program_imports_from_the_pool_that_counts_which_it_uses() -> None:
    program = pool._parsed("x.mas", "mas 1\nuse gptswarm_tool_io: analysed\n\nflow main() -> int { return 1 }\n")
    own, module = pool.with_modules(program)
    assert own is program
    assert sorted(pool._declarations(module)) == ["analysed", "opened", "read", "reader"]
    names = [sorted(pool._declarations(one)) for one in pool.with_modules(pool._parsed("x.mas", SWARM))[1:]]
    assert names == [
        ["analysed", "opened", "read", "reader"],
        ["main"],
        ["asker", "combiner", "distiller", "keywords", "search", "searched"],
    ]


SWARM = "mas 1\nuse gptswarm_tool_tot: main as one\n\nflow main() -> int { return 1 }\n"
PYTHON = '''
class Agent:
    """Writes."""

    def ask(self, topic):
        """Ask it."""
        # the prompt
        prompt = f"Write about {topic}."
        return self.model(prompt, "short")
'''


def test_comments_and_docstrings_of_python_do_not_count() -> None:
    bare = PYTHON.replace('"""Writes."""', "").replace('"""Ask it."""', "").replace("# the prompt", "")
    assert measured([PYTHON]) == measured([bare])


def test_prose_of_python_is_emptied_and_insertions_and_words_stay() -> None:
    emptied = PYTHON.replace("Write about ", "")
    assert measured([PYTHON]).bare == measured([emptied]).whole < measured([PYTHON]).whole
    assert measured([PYTHON.replace('"short"', '"as short as it can be"')]).bare < measured([PYTHON]).bare


def test_parts_of_python_add_up() -> None:
    one, two = measured(["a = 1\n"]), measured(["a = 1\n", "    b = 'x y'\n"])
    assert two.whole > one.whole and two.bare > one.bare
