"""What `mas` writes and where: results to standard output, everything about them to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TextIO

from masdsl.cli import FINE, FOUND, USAGE
from masdsl.diagnostics.base import ERROR, Finding

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from masdsl.diagnostics.report import About


class Format(NamedTuple):
    """A format of findings: what it is for, and the function of a module of `masdsl.diagnostics` that makes it.

    `extra` is what that function takes beside the findings: `colour`, `about` (a `report.About`) or nothing. A
    `document` is written even when there is nothing to report.
    """

    purpose: str
    module: str
    function: str
    extra: str = ""
    document: bool = False


FORMATS = {
    "text": Format("people", "render", "render_text", "colour"),
    "short": Format("models", "render", "render_short"),
    "json": Format("tools", "render", "render_json", document=True),
    "github": Format("annotations of a workflow", "github", "render_github"),
    "sarif": Format("code scanning", "sarif", "render_sarif", "about", document=True),
    "junit": Format("test reports", "junit", "render_junit", "about", document=True),
}
FAIL_ON = ("error", "warning", "never")
FAIL_ON_HELP = "which findings make the exit code 1 (default: error); files that cannot be read make it 2 in any case"
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

    if not sys.stdout.closed:  # as the language server leaves it, whose client is gone
        sys.stdout.flush()
    write(f"mas: {escape(message)}\n", sys.stderr)


def render_findings(
    findings: Sequence[Finding], form: str = "text", about: About | None = None, colour: bool = False
) -> str:
    """Return findings in one of `FORMATS`; empty text for none, unless the format is a document.

    `about` is what sarif and junit tell beside the findings, such as which files were looked at.
    """
    chosen = FORMATS[form]
    if not findings and not chosen.document:
        return ""
    from importlib import import_module

    render: Callable[..., str] = getattr(import_module(f"masdsl.diagnostics.{chosen.module}"), chosen.function)
    if chosen.extra == "about":
        from masdsl.diagnostics.report import About

        return render(findings, about or About())
    return render(findings, colour) if chosen.extra == "colour" else render(findings)


def print_findings(
    findings: Sequence[Finding], form: str = "text", stream: TextIO | None = None, about: About | None = None
) -> None:
    """Write findings in one of `FORMATS`; see `render_findings`."""
    stream = sys.stdout if stream is None else stream
    text = render_findings(findings, form, about, colours(stream))
    if text:
        write(text, stream)


def exit_code(findings: Sequence[Finding], fail_on: str = "error") -> int:
    """Return the exit code for findings.

    It is 2 where a file cannot be read; else 1 where there is an error, or with `fail_on="warning"` any finding, or
    with `fail_on="never"` in no case; else 0.
    """
    if any(diagnostic.code == UNREADABLE for _, diagnostic in findings):
        return USAGE
    if fail_on == "never":
        return FINE
    return FOUND if any(fail_on == "warning" or diagnostic.severity == ERROR for _, diagnostic in findings) else FINE


def add_report_options(parser: ArgumentParser, fail_on: str = "error", more: Mapping[str, str] | None = None) -> None:
    """Add the options that all commands that report findings have: `--format`, `--fail-on` and `--strict`.

    After parsing, `format` is one of `FORMATS` (or of the command's own formats, `more`, whose purposes are given) and
    `fail_on` one of `FAIL_ON`.
    """
    purposes = {name: one.purpose for name, one in FORMATS.items()} | dict(more or {})
    said = "; ".join(f"{name} for {purpose}" for name, purpose in purposes.items())
    parser.add_argument("--format", choices=purposes, default="text", help=said)
    parser.add_argument("--fail-on", choices=FAIL_ON, default=fail_on, help=FAIL_ON_HELP)
    parser.add_argument(
        "--strict", action="store_const", const="warning", dest="fail_on", help="the same as --fail-on warning"
    )


def suppressed_note(count: int) -> str:
    """Return the line of `--verbose` that says how many findings are allowed; nothing where none is."""
    return f"{count} finding{'s' if count != 1 else ''} allowed with a reason\n" if count else ""
