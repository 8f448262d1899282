"""`mas mcp`: what coding agents may ask about programs, over the Model Context Protocol."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError


def run(arguments: Sequence[str]) -> int:
    """Serve until the input ends. Raises UsageError for a folder that is none, and where the extra is missing."""
    options = _parser().parse_args(arguments)
    if not os.path.isdir(options.root):
        raise UsageError(f"`{options.root}` is no folder", "name one whose programs may be asked about: --root .")
    try:
        from masdsl.mcp_server.server import server
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise UsageError("the official package `mcp` is not installed", "run: pip install 'masdsl[mcp]'") from None
    if sys.stdin.isatty():
        print("mas mcp speaks to a coding agent, not to people: name it in the agent's configuration", file=sys.stderr)
    server(os.path.abspath(options.root)).run("stdio")
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas mcp",
        description="Offer check, cost, format, fix, patch, diff and explain to a coding agent, over the Model Context"
        " Protocol on standard input and output. Nothing is run, written or sent anywhere.",
    )
    parser.add_argument("--root", metavar="FOLDER", default=".", help="programs below it can be named (default: .)")
    return parser
