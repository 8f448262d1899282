"""`mas check`: find mistakes in programs without running them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from masdsl.cli.boundary import guarded
from masdsl.cli.files import STDIN, find_programs, read_stdin
from masdsl.cli.terminal import add_report_options, exit_code, print_findings, write
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.pipeline import Checked, check_file, check_source


class _Options(NamedTuple):
    paths: Sequence[str] = ()
    form: str = "text"
    fail_on: str = "error"
    verbose: bool = False


def run(arguments: Sequence[str]) -> int:
    """Check the programs that the arguments name; return 1 if there is a finding that counts."""
    options = _options(arguments)
    paths = find_programs(options.paths)
    configs: dict[str, Config] = {}
    reported: list[Finding] = []
    seen: set[tuple[str, str, object]] = set()
    for path in paths:
        findings = Findings()
        checked = guarded(path, findings, _check, path, findings, configs)
        for finding in findings.sorted():
            key = (finding.source.name, finding.diagnostic.code, finding.diagnostic.span)
            if key not in seen:  # the configuration and imported modules are shared by many files
                seen.add(key)
                reported.append(finding)
        if options.verbose and options.form == "text":
            write(_verdict(path, checked, findings))
    print_findings(reported, options.form)
    if not reported and options.form == "text":
        write(f"{len(paths)} program{'s' if len(paths) != 1 else ''}, no problems\n")
    return exit_code(reported, options.fail_on)


def _check(path: str, findings: Findings, configs: dict[str, Config]) -> Checked:
    folder = "" if path == STDIN else os.path.dirname(path)
    if folder not in configs:
        configs[folder] = load_config(folder, findings)
    if path != STDIN:
        return check_file(path, findings, configs[folder])
    source = read_stdin(findings)
    return Checked(source, check_source(source, configs[folder], findings), configs[folder])


def _verdict(path: str, checked: Checked | None, findings: Findings) -> str:
    """Return the heading of a program under `--verbose`, and the most that its flows can cost."""
    from masdsl.diagnostics import render
    from masdsl.diagnostics.escape import escape

    if checked is None or checked.program is None:
        return f"{escape(path)}: {render.summary(findings.sorted())}\n"
    from masdsl.check.bounds import bound_calls
    from masdsl.check.budgets import render_bounds

    bounds = render_bounds(checked.program, bound_calls(checked.program))
    return f"{escape(path)}: {render.summary(findings.sorted())}\n" + "".join(
        f"  {line}\n" for line in bounds.splitlines()
    )


def _options(arguments: Sequence[str]) -> _Options:
    if not any(argument.startswith("-") and argument != STDIN for argument in arguments):
        return _Options(arguments)  # the usual call does without argparse, which takes as long to load as a check does
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="mas check", description="Find mistakes in programs without running them.")
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="programs, or folders of them (default: this folder); - is standard input",
    )
    add_report_options(parser)
    parser.add_argument("--verbose", action="store_true", help="show every program and the most it can cost")
    given = parser.parse_args(arguments)
    return _Options(given.paths, given.format, given.fail_on, given.verbose)
