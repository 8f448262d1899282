"""`mas check`: find mistakes in programs without running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from masdsl.cli import FINE
from masdsl.cli.checking import ProgramCheck
from masdsl.cli.files import STDIN, find_programs
from masdsl.cli.terminal import add_report_options, exit_code, print_findings, suppressed_note, write
from masdsl.cli.trees import Outcome, over
from masdsl.diagnostics.base import Finding, Suppressed
from masdsl.pipeline import cost_report


class _Options(NamedTuple):
    paths: Sequence[str] = ()
    form: str = "text"
    fail_on: str = "error"
    verbose: bool = False
    jobs: int | None = None
    cached: bool = True
    clear_cache: bool = False


def run(arguments: Sequence[str]) -> int:
    """Check the programs that the arguments name; return 1 if there is a finding that counts."""
    options = _options(arguments)
    if options.clear_cache:
        return _clear_cache()
    paths = find_programs(options.paths)
    telling = options.verbose and options.form == "text"
    work = ProgramCheck(cost_report if telling else None, cached=options.cached)
    reported = Reported()
    for outcome in over(paths, work, jobs=options.jobs):
        reported.take(outcome)
        if telling:
            write(_verdict(outcome))
    code = exit_code(reported.findings, options.fail_on)
    about = None
    if options.form != "text":
        from masdsl.diagnostics.report import About

        about = About("check", arguments, code, paths, suppressed=reported.suppressed)
    print_findings(reported.findings, options.form, about=about)
    if not reported.findings and options.form == "text":
        write(f"{len(paths)} program{'s' if len(paths) != 1 else ''}, no problems\n")
    if telling:
        write(suppressed_note(len(reported.suppressed)))
    return code


class Reported:
    """The findings of many programs, each once: the configuration and imported modules are shared by many."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.suppressed: list[Suppressed] = []
        self._seen: set[tuple[str, str, object]] = set()

    def take(self, outcome: Outcome[Any]) -> None:
        """Add what was found in one more program."""
        self.findings.extend(finding for finding in outcome.findings if self._is_new(finding))
        self.suppressed.extend(one for one in outcome.suppressed if self._is_new(one.finding))

    def _is_new(self, finding: Finding) -> bool:
        key = (finding.source.name, finding.diagnostic.code, finding.diagnostic.span)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def _verdict(outcome: Outcome[dict[str, Any] | None]) -> str:
    """Return the heading of a program under `--verbose`, and what its flows cost."""
    from masdsl.bounds.table import render_flows
    from masdsl.diagnostics import render
    from masdsl.diagnostics.escape import escape

    flows = [flow for flow in outcome.value["flows"] if flow["entry"]] if outcome.value else []
    bounds = "".join(f"  {line}".rstrip() + "\n" for line in render_flows(flows).splitlines())
    return f"{escape(outcome.path)}: {render.summary(outcome.findings)}\n{bounds}"


def _clear_cache() -> int:
    from masdsl import cache

    removed = cache.clear()
    write(f"removed {removed} kept result{'s' if removed != 1 else ''}\n")
    return FINE


def _options(arguments: Sequence[str]) -> _Options:
    if not any(argument.startswith("-") and argument != STDIN for argument in arguments):
        return _Options(arguments)  # the usual call does without argparse, which takes as long to load as a check does
    from argparse import ArgumentParser

    from masdsl.cli.trees import add_jobs_option

    parser = ArgumentParser(prog="mas check", description="Find mistakes in programs without running them.")
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="programs, or folders of them (default: this folder); - is standard input",
    )
    add_report_options(parser)
    parser.add_argument("--verbose", action="store_true", help="show every program and the most it can cost")
    add_jobs_option(parser)
    parser.add_argument(
        "--no-cache", action="store_true", help="check everything again, and keep no results for the next time"
    )
    parser.add_argument("--clear-cache", action="store_true", help="remove all results that are kept, check nothing")
    given = parser.parse_args(arguments)
    return _Options(
        given.paths, given.format, given.fail_on, given.verbose, given.jobs, not given.no_cache, given.clear_cache
    )
