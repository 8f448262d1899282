"""A warm check beside Lark's bare parse of the same text, bounds beside parsing, and what `import masdsl` costs.

    python -m tests.bench.bench_parse [--rounds 30]

The parse is Lark's own: LALR(1), contextual lexer, our grammar, a tree and nothing more. The check is everything that
`mas check` does with a text that it has not seen before: parsing, names, types, prompts, bounds, lints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from lark import Lark

from masdsl import Source, check, resources
from masdsl.bounds.flows import bound
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.pipeline import check_source
from masdsl.syntax.parse import parse_program
from tests.bench.measure import in_turns, milliseconds, plain_environment, run, table, timed

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "programs" / "review.mas"
TEXTS_A_ROUND = 20


def warm(rounds: int) -> list[str]:
    """Return the row of a warm check, for one text."""
    lark = Lark(resources.read_text("grammar", "mas.lark"), parser="lalr", start="program")
    text = PROGRAM.read_text(encoding="utf-8")
    number = 0

    def fresh() -> str:
        nonlocal number
        number += 1
        return text.replace("The program that", f"Copy {number}: the program that")

    def parse_all() -> None:
        for _ in range(TEXTS_A_ROUND):
            lark.parse(fresh())

    def check_all() -> None:
        for _ in range(TEXTS_A_ROUND):
            assert not check(Source("<text>", fresh()))

    ours, theirs = in_turns(rounds, timed(check_all), timed(parse_all))
    return [
        "warm check of one file, beside a bare Lark parse",
        f"{ours.cpu / TEXTS_A_ROUND * 1000:.1f} ms",
        f"{theirs.cpu / TEXTS_A_ROUND * 1000:.1f} ms",
        f"{ours.cpu / theirs.cpu:.2f}",
    ]


def bounds(rounds: int) -> list[str]:
    """Return the row of the bounds of a program, beside parsing its text by our own parser."""
    text = PROGRAM.read_text(encoding="utf-8")
    program = check_source(Source("<text>", text), DEFAULT, Findings())
    assert program is not None
    checked = program

    def parse_all() -> None:
        for _ in range(TEXTS_A_ROUND):
            parse_program(Source("<text>", text), Findings())

    def bound_all() -> None:
        for _ in range(TEXTS_A_ROUND):
            bound(checked, {})

    ours, theirs = in_turns(rounds, timed(bound_all), timed(parse_all))
    return [
        "bounds of one file, beside parsing it",
        f"{ours.cpu / TEXTS_A_ROUND * 1000:.2f} ms",
        f"{theirs.cpu / TEXTS_A_ROUND * 1000:.2f} ms",
        f"{ours.cpu / theirs.cpu:.2f}",
    ]


def imports(rounds: int) -> list[str]:
    """Return the row of `import masdsl`, beside a bare interpreter."""
    with tempfile.TemporaryDirectory() as name:
        environment = plain_environment() | {"PYTHONPATH": str(ROOT), "MASDSL_CACHE": name}
        ours, bare = in_turns(
            rounds,
            lambda: run([sys.executable, "-c", "import masdsl"], ROOT, environment),
            lambda: run([sys.executable, "-c", "pass"], ROOT, environment),
        )
    return [
        "`import masdsl`, beside a bare `python -c pass`",
        milliseconds(ours.wall),
        milliseconds(bare.wall),
        f"{ours.wall / bare.wall:.2f}",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="a warm check beside a bare parse; the cost of importing masdsl")
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    print(table(["", "masdsl", "yardstick", "ratio"], [warm(rounds), bounds(rounds), imports(rounds)]))


if __name__ == "__main__":
    main()
