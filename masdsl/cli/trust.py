"""`mas trust`: how far the text of each step can be trusted, which secrets it tells, and what it may decide."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from masdsl.cli.check import Reported
from masdsl.cli.checking import ProgramCheck
from masdsl.cli.files import find_programs
from masdsl.cli.terminal import add_report_options, exit_code, print_findings, write
from masdsl.cli.trees import add_jobs_option, over
from masdsl.diagnostics.escape import escape
from masdsl.pipeline import trust_report
from masdsl.trust.table import render_labels


def run(arguments: Sequence[str]) -> int:
    """Show the labels of the programs that the arguments name; return 1 if there is a finding that counts."""
    options = _parser().parse_args(arguments)
    paths = find_programs(options.paths)
    work = ProgramCheck(trust_report, cached=not options.no_cache)
    reported = Reported()
    reports: list[dict[str, Any]] = []
    for outcome in over(paths, work, jobs=options.jobs):
        reported.take(outcome)
        if outcome.value is None:
            continue
        reports.append(outcome.value)
        if options.format == "text" and outcome.value["flows"]:
            heading = f"{outcome.value['file']}\n\n" if len(paths) > 1 else ""
            write(escape(heading + render_labels(outcome.value["flows"]), keep="\n") + "\n")
    code = exit_code(reported.findings, options.fail_on)
    if options.format == "json":
        from json import dumps

        from masdsl.diagnostics.render import json_document

        write(dumps({"programs": reports, **json_document(reported.findings)}, indent=2) + "\n")
    else:
        from masdsl.diagnostics.report import About

        about = About("trust", arguments, code, paths, suppressed=reported.suppressed)
        print_findings(reported.findings, options.format, about=about)
    return code


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas trust", description="Show how far the text of each step can be trusted, and what it may decide."
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="programs, or folders of them (default: this folder)")
    add_report_options(parser)
    add_jobs_option(parser)
    parser.add_argument("--no-cache", action="store_true", help="check everything again, and keep no results")
    return parser
