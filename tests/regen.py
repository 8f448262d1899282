"""Rewrites everything in the repository that is computed from something else: `python -m tests.regen [--check]`.

Generated parts stand between comments that name this command; in the examples' pages they are what quoted commands
print. `--check` changes nothing, prints what would change and exits 1 if something would. `--runs` also runs the quoted
`mas run`, with the real model.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from masdsl.check.builtins import BUILTINS
from masdsl.cli import usage
from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax.grammar import keywords, reserved_words
from masdsl.syntax.parse import parse_binding, parse_patch, parse_program
from masdsl.syntax.print import format_document
from tests.harness import editor_files, experiment_pictures, pool, stdlib_page
from tests.harness.sessions import is_run, requoted, run
from tests.harness.tutorial import carried_out

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 8


def _words(words: frozenset[str]) -> str:
    return " ".join(f"`{word}`" for word in sorted(words))


def reserved() -> str:
    """Return the words that are never names, and those that are keywords in some places only."""
    free = keywords() - reserved_words()
    return (
        f"{_words(reserved_words())}\n\nThese have a meaning in some places and are names in all others: {_words(free)}"
    )


def builtins() -> str:
    """Return the table of built-in functions."""
    rows = [f"| `{signature.text}` | {signature.summary} |" for signature in BUILTINS.values()]
    return "\n".join(("| function | gives |", "| --- | --- |", *rows))


def limits() -> str:
    """Return the table of limits, from the constants and their docstrings."""
    body = ast.parse((ROOT / "masdsl" / "limits.py").read_text(encoding="utf-8")).body
    rows = []
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            assert statement.value is not None
            value = eval(
                compile(ast.Expression(statement.value), "limits.py", "eval"), {}
            )  # arithmetic of our own file
            rows.append(f"| {' '.join(str(after.value.value).split())} | {value:,} |")
    return "\n".join(("| limit | value |", "| --- | ---: |", *rows))


def command_line() -> str:
    """Return what `mas --help` prints."""
    return f"```\n{usage().rstrip()}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "reserved words": reserved,
    "built-in functions": builtins,
    "limits": limits,
    "mas --help": command_line,
    "standard library": stdlib_page.reference,
    "pool": pool.table,
    "frameworks": pool.frameworks,
}
_PART = re.compile(
    r"(<!-- (?P<name>[^:>]+): begin \(python -m tests\.regen\) -->\n)(.*?)(<!-- (?P=name): end -->)", re.DOTALL
)
_BLOCK = re.compile(r"^(```(?P<kind>mas|bind|patch)[^\n]*\n)(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_PARSERS = {"mas": parse_program, "bind": parse_binding, "patch": parse_patch}


def _filled(text: str) -> str:
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}\n{part[4]}", text)


def _formatted(text: str) -> str:
    """Return the page with every program in canonical layout; those with syntax errors stay as they are."""

    def block(match: re.Match[str]) -> str:
        body = match["text"]
        part = match["kind"] == "mas" and not re.search(r"^mas \d", body, re.MULTILINE)
        parsed = _PARSERS[match["kind"]](Source("<block>", "mas 1\n\n" + body if part else body), Findings())
        if not parsed.ok or "as written" in match[1]:
            return match[0]
        return f"{match[1]}{format_document(parsed).removeprefix('mas 1' if part else '').lstrip()}```"

    return _BLOCK.sub(block, text)


def changes(runs: bool) -> Iterator[tuple[Path, str, str]]:
    """Yield (file, text as it is, text as it should be) for every file with generated parts."""
    for path in (ROOT / "grammar" / "spec.md", ROOT / "README.md", ROOT / "docs" / "stdlib.md"):
        text = path.read_text(encoding="utf-8")
        yield path, text, _formatted(_filled(text))
    tutorial = ROOT / "docs" / "tutorial.md"
    text = tutorial.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder_of_tutorial:
        yield tutorial, text, carried_out(text, Path(folder_of_tutorial))
    for path in sorted((ROOT / "examples").glob("*/README.md")):
        text = path.read_text(encoding="utf-8")
        folder = path.parent

        def printed(command: str, old: str, folder: Path = folder) -> str:
            return old if is_run(command) and not runs else run(command, folder)[1]

        yield path, text, requoted(_filled(text), printed)
    for path, made in (*editor_files.files(), *experiment_pictures.files()):
        yield path, path.read_text(encoding="utf-8") if path.exists() else "", made


def main(arguments: list[str] | None = None) -> int:
    """Write what is out of date, or with `--check` only say so; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something is out of date")
    parser.add_argument("--runs", action="store_true", help="also run what the examples' pages quote of the real model")
    options = parser.parse_args(arguments)
    check: bool = options.check
    stale = False
    for path, old, new in changes(options.runs):
        if old != new:
            stale = True
            name = str(path.relative_to(ROOT))
            if check:
                sys.stdout.writelines(
                    difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, f"{name} (new)")
                )
            else:
                path.write_text(new, encoding="utf-8")
                print(f"wrote {name}")
    if check and stale:
        print("\nOut of date. Run: python -m tests.regen")
    return int(check and stale)


if __name__ == "__main__":
    raise SystemExit(main())
