"""`mas test`: run the tests that stand in programs. Offline: agents and tools answer what the tests say."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from masdsl.cli import FOUND, NOTHING_COLLECTED
from masdsl.cli.boundary import guarded
from masdsl.cli.files import find_programs
from masdsl.cli.terminal import FORMATS, exit_code, print_findings, write
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.source import Source
    from masdsl.testing import Outcome


class _Ran(NamedTuple):
    source: Source
    outcome: Outcome


def run(arguments: Sequence[str]) -> int:
    """Run the tests of the programs that the arguments name.

    Returns 1 if a test fails or a program has errors, 5 if there was no test to run.
    """
    parser = ArgumentParser(prog="mas test", description="Run the tests of programs, offline.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="programs, or folders of them (default: this folder)")
    parser.add_argument("-k", metavar="WORDS", default="", help="only tests whose title contains this")
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="text for people, short for models, json for tools"
    )
    options = parser.parse_args(arguments)
    faults: list[Finding] = []
    ran: list[_Ran] = []
    for path in find_programs(options.paths):
        findings = Findings()
        guarded(path, findings, _run_file, path, options.k, options.format == "text", findings, ran)
        faults.extend(finding for finding in findings.sorted() if finding.diagnostic.severity == ERROR)
    failed = [one for one in ran if not one.outcome.passed]
    shown = [*faults, *(Finding(one.source, failure) for one in failed for failure in one.outcome.failures)]
    if options.format == "json":
        write(_json(ran, shown))
    else:
        if options.format == "text" and shown and ran:
            write("\n")
        print_findings(shown, options.format)
    if options.format == "text":
        write(_summary(len(ran), len(failed), options.k))
    if shown:
        return exit_code(shown)
    return FOUND if failed else 0 if ran else NOTHING_COLLECTED


def _run_file(path: str, words: str, tell: bool, findings: Findings, ran: list[_Ran]) -> None:
    from masdsl.pipeline import check_file

    source, program, _ = check_file(path, findings)
    if source is None or program is None or not findings.ok or not program.tests:
        return
    from masdsl.testing import run_tests

    heading = f"{escape(path)}\n"
    for outcome in run_tests(program, lambda test: words.casefold() in test.title.casefold()):
        ran.append(_Ran(source, outcome))
        if tell:
            write(f"{heading}  {'passed' if outcome.passed else 'FAILED'}  {escape(outcome.test.title)}\n")
            heading = ""


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
            "file": source.name,
            "line": source.position(outcome.test.span.start).line,
            "title": outcome.test.title,
            "passed": outcome.passed,
            "calls": outcome.calls,
            "seconds": outcome.seconds,
        }
        for source, outcome in ran
    ]
    return dumps({**json_document(shown), "tests": tests}, indent=2) + "\n"
