"""`mas import`: a document of another framework as a program."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FOUND
from masdsl.cli.boundary import guarded
from masdsl.cli.patching import STDOUT, put
from masdsl.cli.terminal import exit_code, print_findings
from masdsl.diagnostics.base import Findings


def run(arguments: Sequence[str]) -> int:
    """Write the program that a document means, and check it; return 1 where it does not translate or has errors."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    text = guarded(options.path, findings, _imported, options.path, options.output, findings)
    if text is None:
        print_findings(findings.sorted(), stream=sys.stderr)
        return FOUND
    put(text, options.output)
    print_findings(findings.sorted(), stream=sys.stderr)
    return exit_code(findings.sorted())


def _imported(path: str, target: str, findings: Findings) -> str | None:
    """Return the program; what is found in it, under the configuration of its folder, is added to the findings."""
    import os

    from masdsl.config import load_config
    from masdsl.interop.agent_spec_import import import_text
    from masdsl.pipeline import check_source
    from masdsl.reading import decode, read_bytes
    from masdsl.source import Source

    data = read_bytes(path, findings)
    source = None if data is None else decode(path, data, findings)
    if source is None or not findings.ok:
        return None
    text = import_text(source, findings)
    if text is not None:
        name = f"{os.path.splitext(path)[0]}.mas" if target == STDOUT else target
        check_source(Source(name, text), load_config(os.path.dirname(name), findings), findings)
    return text


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas import",
        description="Write the program that a document of another framework means. The rest is an error.",
    )
    parser.add_argument("path", metavar="FILE", help="the document: JSON or YAML")
    parser.add_argument(
        "--from", dest="origin", required=True, choices=("agent-spec",), help="Open Agent Specification"
    )
    parser.add_argument(
        "-o", "--output", metavar="PROGRAM", default=STDOUT, help="the program to write (default: standard output)"
    )
    return parser
