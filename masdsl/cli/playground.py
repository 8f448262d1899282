"""`mas serve` without --api: the playground."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib import import_module

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.inputs import tier_change
from masdsl.cli.terminal import write
from masdsl.cli.writing import replace_text
from masdsl.config import load_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.escape import escape


def play(options: Namespace) -> int:
    """Serve the playground until a signal ends it. Raises UsageError for what cannot be opened."""
    if len(options.programs) > 1:
        raise UsageError("the playground opens one program", "name one, or the folder that they are in")
    try:
        from masdsl.playground import server
        from masdsl.playground.desk import CannotOpen, Desk
        from masdsl.serve.listening import CannotServe

        for package in server.NEEDED:
            import_module(package)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "masdsl":
            raise
        raise UsageError(f"`{error.name}` is not installed", "write: pip install 'masdsl[playground]'") from error
    from masdsl.project import PROGRAM

    change = tier_change(options.model)
    try:
        desk = Desk(options.programs[0] if options.programs else None, PROGRAM, replace_text)
        config = change(load_config(desk.folder, Findings()))
        settings = server.Settings(options.port, options.open)
        server.serve(desk, dict(config.tiers), options.journal or "", settings, server.Told(_address, _line))
    except (CannotOpen, CannotServe) as why:
        raise UsageError(str(why), why.advice) from why
    return FINE


def _address(url: str) -> None:
    """Tell where the page is: on standard output, since it is for nobody else to read."""
    write(f"{url}\n")
    sys.stdout.flush()
    _line("the playground is open at this address, which is yours alone; Ctrl-C ends it")


def _line(line: str) -> None:
    write(f"{escape(line)}\n", sys.stderr)
    sys.stderr.flush()
