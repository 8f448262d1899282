"""`mas export`: a program for another framework, as text that needs nothing of masdsl."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import guarded
from masdsl.cli.terminal import print_findings, say, write
from masdsl.diagnostics.base import Findings

STDOUT = "-"


def run(arguments: Sequence[str]) -> int:
    """Write the exported program; return 1, with what is wrong, where it has errors or does not translate."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    text = guarded(options.path, findings, _langgraph, options.path, findings)
    if text is None:
        print_findings(findings.sorted(), stream=sys.stderr)
        return FOUND
    if options.output == STDOUT:
        write(text)
    else:
        from masdsl.cli.writing import replace_text

        replace_text(options.output, text)
        say(f"wrote {options.output}")
    print_findings(findings.sorted(), stream=sys.stderr)
    return FINE


def _langgraph(path: str, findings: Findings) -> str | None:
    from masdsl.bounds.flows import bound
    from masdsl.interop.langgraph import export
    from masdsl.interop.subset import check_langgraph
    from masdsl.pipeline import check_file
    from masdsl.version import __version__

    program = check_file(path, findings).program
    if program is None or not check_langgraph(program, findings):
        return None
    return export(program, version=__version__, headline=bound(program, {}).headline)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas export",
        description="Write a program for another framework. What the framework cannot say is an error at its place.",
    )
    parser.add_argument("path", metavar="PROGRAM", help="the program")
    parser.add_argument("--to", required=True, choices=("langgraph",), help="langgraph: a Python file on LangGraph")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=STDOUT, help="the file to write (default: standard output)"
    )
    return parser
