"""`mas init`: start a project."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.terminal import say, write
from masdsl.diagnostics.escape import escape


def run(arguments: Sequence[str]) -> int:
    """Write a starter project into a folder and say what to do with it."""
    from masdsl.project import create

    parser = ArgumentParser(prog="mas init", description="Start a project: a program with tests, and a configuration.")
    parser.add_argument("folder", nargs="?", default=os.curdir, metavar="FOLDER", help="default: this folder")
    folder: str = parser.parse_args(arguments).folder
    try:
        paths = create(os.path.normpath(folder))
    except FileExistsError as error:
        raise UsageError(
            f"`{error.filename}` is there already", "nothing was changed; choose another folder"
        ) from error
    program = escape(paths[0])
    for path in paths:
        say(f"wrote {path}")
    write(f'next: mas test {program}\n      mas models pull smollm2\n      mas run {program} topic="the sea"\n')
    return FINE
