"""`mas lsp`: the language server, for editors."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError


def run(arguments: Sequence[str]) -> int:
    """Serve an editor until it goes. UsageError where the extra `lsp` is not installed.

    The exit code is 1 where the editor says `exit` without `shutdown` before it (LSP 3.17, "Exit Notification").
    """
    parser = ArgumentParser(
        prog="mas lsp",
        description="The language server: an editor starts it and speaks the Language Server Protocol with it over"
        " standard input and output. docs/editor.md says how to set editors up.",
    )
    parser.add_argument("--stdio", action="store_true", help="standard input and output, which is what there is")
    parser.parse_args(arguments)
    try:
        from masdsl.lsp.features import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "masdsl":
            raise
        raise UsageError(f"`{error.name}` is not installed", "write: pip install 'masdsl[lsp]'") from error
    sys.stdout.flush()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")  # the server closes it
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed is no answer
    server = make_server()
    server.start_io(sys.stdin.buffer, answers)
    return FOUND if server.is_left else FINE
