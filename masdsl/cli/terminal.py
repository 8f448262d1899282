"""What `mas` writes and where: results to standard output, everything about them to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from masdsl.cli import FINE, FOUND, USAGE
from masdsl.diagnostics.base import ERROR, Finding

FORMATS = ("text", "short", "json")
UNREADABLE = "MAS004"


def colours(stream: TextIO) -> bool:
    """Return whether colours are wanted on a stream: a terminal that can show them, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write(text: str, stream: TextIO | None = None) -> None:
    """Write text that is fit to be shown; what the stream's encoding lacks is spelled out instead of failing."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def say(message: str) -> None:
    """Write a line about what was done to standard output; names of files in it are shown as they are, but for
    controls.
    """
    from masdsl.diagnostics.escape import escape

    write(f"{escape(message)}\n")


def print_error(message: str) -> None:
    """Write a line about the command itself to standard error."""
    from masdsl.diagnostics.escape import escape

    sys.stdout.flush()
    write(f"mas: {escape(message)}\n", sys.stderr)


def print_findings(findings: Sequence[Finding], form: str = "text", stream: TextIO | None = None) -> None:
    """Write findings in one of `FORMATS`; json is written even when there are none."""
    stream = sys.stdout if stream is None else stream
    if not findings and form != "json":
        return
    from masdsl.diagnostics import render

    if form == "json":
        write(render.render_json(findings), stream)
    elif form == "short":
        write(render.render_short(findings), stream)
    else:
        write(render.render_text(findings, colour=colours(stream)), stream)


def exit_code(findings: Sequence[Finding], strict: bool = False) -> int:
    """Return the exit code for findings: 2 where a file cannot be read, 1 for errors (for any if `strict`)."""
    if any(diagnostic.code == UNREADABLE for _, diagnostic in findings):
        return USAGE
    return FOUND if any(strict or diagnostic.severity == ERROR for _, diagnostic in findings) else FINE
