"""`mas explain`: the page of a code, or the list of all."""

from __future__ import annotations

from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.terminal import write


def run(arguments: Sequence[str]) -> int:
    """Print the page of each code that is given, or all codes."""
    from masdsl.diagnostics.catalogue import UnknownCode, explain, overview

    if any(argument.startswith("-") for argument in arguments):
        from argparse import ArgumentParser

        parser = ArgumentParser(prog="mas explain", description="Show what a code means; without one, list all codes.")
        parser.add_argument("codes", nargs="*", metavar="CODE", help="such as MAS101, 101 or UndefinedName")
        arguments = parser.parse_args(arguments).codes
    if not arguments:
        write(overview())
        return FINE
    try:
        write("\n".join(explain(code) for code in arguments))
    except UnknownCode as error:
        raise UsageError(str(error)) from error
    return FINE
