"""`mas grammar`: the language's grammar in the notation of a constrained decoder."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.terminal import write


def run(arguments: Sequence[str]) -> int:
    """Print the grammar of a start symbol."""
    from masdsl.decode.targets import TARGETS, grammar_text_for
    from masdsl.syntax.tables import STARTS

    parser = ArgumentParser(
        prog="mas grammar",
        description="Print the grammar for a constrained decoder. Its texts have a declaration or statement a line and "
        "no indentation; `mas fmt` lays them out.",
    )
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default="llguidance",
        help="the notation: llguidance's Lark, llama.cpp's GBNF, or EBNF for people (default: llguidance)",
    )
    parser.add_argument("--start", choices=STARTS, default="program", help="what a text is (default: program)")
    options = parser.parse_args(arguments)
    write(grammar_text_for(options.start, options.target))
    return FINE
