"""`mas export`: a program for another framework, as text that needs nothing of masdsl."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.patching import STDOUT, put
from masdsl.cli.terminal import print_findings
from masdsl.diagnostics.base import Findings


def run(arguments: Sequence[str]) -> int:
    """Write the exported program; return 1, with what is wrong, where it has errors or does not translate."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    to_yaml = options.output.endswith((".yaml", ".yml"))
    work = _langgraph if options.to == "langgraph" else _agent_spec_yaml if to_yaml else _agent_spec
    text = guarded(options.path, findings, work, options.path, findings)
    if text is None:
        print_findings(findings.sorted(), stream=sys.stderr)
        return FOUND
    put(text, options.output)
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


def _agent_spec(path: str, findings: Findings, as_yaml: bool = False) -> str | None:
    from masdsl.interop.agent_spec import document_text, export
    from masdsl.pipeline import check_file

    program = check_file(path, findings).program
    document = None if program is None else export(program, findings)
    if document is None:
        return None
    try:
        return document_text(document, as_yaml=as_yaml)
    except ModuleNotFoundError:
        raise UsageError(
            "YAML needs PyYAML, which is not installed", "run: pip install pyyaml, or write JSON"
        ) from None


def _agent_spec_yaml(path: str, findings: Findings) -> str | None:
    return _agent_spec(path, findings, as_yaml=True)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas export",
        description="Write a program for another framework. What the framework cannot say is an error at its place.",
    )
    parser.add_argument("path", metavar="PROGRAM", help="the program")
    parser.add_argument(
        "--to",
        required=True,
        choices=("langgraph", "agent-spec"),
        help="a Python file on LangGraph, or a document of Open Agent Specification",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default=STDOUT,
        help="the file to write (default: standard output); Agent Spec is YAML where it ends with .yaml, else JSON",
    )
    return parser
