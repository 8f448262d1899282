"""The examples and the standard library: clean, in canonical layout, their tests pass, and their pages quote the truth.

A `console` block of a README is a session: lines that start with `$ ` are commands, run in the example's folder, and
what follows is what they print. Where the real model answers, only the answer's type is compared.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from masdsl.cli import main
from tests.harness.markdown import blocks
from tests.harness.sessions import Quote, is_run, quotes, run

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name != "pool")
PROGRAMS = [folder / f"{folder.name}.mas" for folder in EXAMPLES] + sorted((ROOT / "stdlib").glob("*.mas"))


QUOTES = [quote for folder in EXAMPLES for quote in quotes(folder / "README.md")]
RUNS = [quote for quote in QUOTES if is_run(quote.command)]
OTHERS = [quote for quote in QUOTES if not is_run(quote.command)]


def _name(value: object) -> str:
    return f"{value.page.parent.name}: {value.command}" if isinstance(value, Quote) else getattr(value, "stem", "")


def _printed(quote: Quote) -> str:
    code, output = run(quote.command, quote.page.parent)
    assert code == 0, output
    return output


def test_there_are_eight_examples_with_a_page_each() -> None:
    assert len(EXAMPLES) >= 8
    for folder in EXAMPLES:
        assert (folder / "README.md").read_text(encoding="utf-8").startswith("# ")
        quoted = [quote.command for quote in QUOTES if quote.page.parent == folder]
        assert f"mas test {folder.name}.mas" in quoted
        assert any(command.startswith(f"mas run {folder.name}.mas") for command in quoted)


@pytest.mark.parametrize("program", PROGRAMS, ids=_name)
def test_a_program_is_clean_and_in_canonical_layout(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--strict", str(program)]) == 0, capsys.readouterr().out
    assert main(["fmt", "--check", str(program)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("program", PROGRAMS, ids=_name)
def test_the_tests_of_a_program_pass(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(program)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("quote", OTHERS, ids=_name)
def test_pages_quote_what_is_printed(quote: Quote) -> None:
    assert _printed(quote) == quote.output, "if this is right, run: python -m tests.regen"


@pytest.mark.slow
@pytest.mark.local_model
@pytest.mark.parametrize("quote", RUNS, ids=_name)
def test_the_real_model_gives_an_answer_of_the_quoted_type(quote: Quote) -> None:
    assert _shape(_printed(quote)) == _shape(quote.output)


def _shape(answer: str) -> object:
    """Return what does not depend on the model: the fields of records, the types of what is no JSON record."""
    try:
        value = json.loads(answer)
    except ValueError:
        return "text"
    return sorted(value) if isinstance(value, dict) else type(value).__name__


def test_the_readme_shows_the_first_example() -> None:
    shown = next(
        block.text for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")) if block.language == "mas"
    )
    assert shown == (ROOT / "examples" / "hello" / "hello.mas").read_text(encoding="utf-8")
