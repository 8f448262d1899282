"""`mas spec`: the reference of the language, or its short form for a model's prompt."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.terminal import write


def run(arguments: Sequence[str]) -> int:
    """Print the reference or the guide."""
    from masdsl.meta.guide import MOST_TOKENS, language_guide, language_reference

    parser = ArgumentParser(prog="mas spec", description="Print the reference of the language, in Markdown.")
    parser.add_argument(
        "--prompt",
        action="store_true",
        help=f"the whole language in less than {MOST_TOKENS:,} tokens instead, for the prompt of a model",
    )
    options = parser.parse_args(arguments)
    write(language_guide() if options.prompt else language_reference())
    return FINE
