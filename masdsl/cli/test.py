"""`mas test`: run the tests that stand in programs. Offline: agents and tools answer what the tests say."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, NamedTuple

from masdsl.cli import FINE, NOTHING_COLLECTED
from masdsl.cli.boundary import guarded
from masdsl.cli.files import find_programs
from masdsl.cli.terminal import add_report_options, exit_code, print_findings, write
from masdsl.cli.trees import Outcome, add_jobs_option, over
from masdsl.diagnostics.base import ERROR, Finding, Findings, Suppressed
from masdsl.diagnostics.escape import escape
from masdsl.diagnostics.report import About, TestRun
from masdsl.source import Source


class _Ran(NamedTuple):
    """A test that was run, and how many calls it made."""

    test: TestRun
    calls: int

    @property
    def passed(self) -> bool:
        return not self.test.failures


class _Testing(NamedTuple):
    """A `Work` that runs the tests of a program whose titles contain `words`, one after the other.

    What is found in a program beside its tests are its errors, and with `warnings` the others as well.
    """

    words: str
    warnings: bool
    weight: int = 4

    def known(self, path: str) -> Outcome[tuple[_Ran, ...]] | None:
        """Nothing is kept of tests."""
        return None

    def done(self, path: str) -> Outcome[tuple[_Ran, ...]]:
        """Check the program at `path` and run its tests."""
        findings = Findings()
        ran: list[_Ran] = []
        guarded(path, findings, _run_file, path, self.words, findings, ran)
        found = findings.sorted()
        if not self.warnings:
            return Outcome(path, tuple(one for one in found if one.diagnostic.severity == ERROR), (), tuple(ran))
        return Outcome(path, found, tuple(findings.suppressed), tuple(ran))


def run(arguments: Sequence[str]) -> int:
    """Run the tests of the programs that the arguments name.

    Returns 1 if a test fails or a program has errors (under `--fail-on warning`, any finding), 5 if there was no test
    to run.
    """
    parser = ArgumentParser(prog="mas test", description="Run the tests of programs, offline.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="programs, or folders of them (default: this folder)")
    parser.add_argument("-k", metavar="WORDS", default="", help="only tests whose title contains this")
    add_report_options(parser)
    add_jobs_option(parser)
    options = parser.parse_args(arguments)
    faults: list[Finding] = []
    suppressed: list[Suppressed] = []
    ran: list[_Ran] = []
    paths = find_programs(options.paths)
    for outcome in over(paths, _Testing(options.k, options.fail_on == "warning"), jobs=options.jobs):
        faults.extend(outcome.findings)
        suppressed.extend(outcome.suppressed)
        ran.extend(outcome.value or ())
        if options.format == "text":
            write(_told(outcome))
    failed = [one.test for one in ran if not one.passed]
    shown = [*faults, *(Finding(test.source, failure) for test in failed for failure in test.failures)]
    code = exit_code(shown, options.fail_on) if shown else FINE if ran else NOTHING_COLLECTED
    if options.format == "json":
        write(_json(ran, shown))
    else:
        if options.format == "text" and shown and ran:
            write("\n")
        about = About("test", arguments, code, paths, [one.test for one in ran], suppressed)
        print_findings(shown, options.format, about=about)
    if options.format == "text":
        write(_summary(len(ran), len(failed), options.k))
    return code


def _run_file(path: str, words: str, findings: Findings, ran: list[_Ran]) -> None:
    from masdsl.pipeline import check_file

    source, program, _ = check_file(path, findings)
    if source is None or program is None or not findings.ok or not program.tests:
        return
    from masdsl.testing import run_tests

    for test, failures, calls, seconds in run_tests(program, lambda test: words.casefold() in test.title.casefold()):
        shown = source if failures else Source(source.name, "")  # a text is kept for as long as it may be shown
        line = source.position(test.span.start).line
        ran.append(_Ran(TestRun(shown, line, test.title, seconds, failures), calls))


def _told(outcome: Outcome[tuple[_Ran, ...]]) -> str:
    """Return the lines about the tests of one program."""
    lines = [f"  {'passed' if one.passed else 'FAILED'}  {escape(one.test.title)}\n" for one in outcome.value or ()]
    return "".join([f"{escape(outcome.path)}\n", *lines]) if lines else ""


def _summary(tests: int, failed: int, words: str) -> str:
    if not tests:
        return f"no test's title contains `{escape(words)}`\n" if words else "no tests\n"
    what = f"{tests} test{'s' if tests > 1 else ''}"
    return f"{what}, {failed} failed\n" if failed else f"{what} passed\n"


def _json(ran: Sequence[_Ran], shown: Sequence[Finding]) -> str:
    """Return the document of `render.json_document`, and under `tests` what ran: file, line, title, passed, calls,
    seconds.
    """
    from json import dumps

    from masdsl.diagnostics.render import json_document

    tests: list[dict[str, Any]] = [
        {
            "file": test.source.name,
            "line": test.line,
            "title": test.title,
            "passed": not test.failures,
            "calls": calls,
            "seconds": test.seconds,
        }
        for test, calls in ran
    ]
    return dumps({**json_document(shown), "tests": tests}, indent=2) + "\n"
