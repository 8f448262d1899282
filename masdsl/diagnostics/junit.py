"""Findings and tests as JUnit XML, the format that continuous-integration servers show as test reports.

Written by hand, for the document is flat. No program can make it ill-formed: what XML forbids is spelled out, what
means something in it is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from masdsl.diagnostics.base import Finding
from masdsl.diagnostics.escape import escape
from masdsl.diagnostics.render import render_short, render_text
from masdsl.diagnostics.report import About, TestRun

_NO_CHARACTER = re.compile("[\ufffe\uffff]")


class _Case(NamedTuple):
    """A test case: it failed where there are findings. `line` is 0 for a whole file."""

    file: str
    name: str
    line: int
    seconds: float
    findings: Sequence[Finding]


def render_junit(findings: Sequence[Finding], about: About) -> str:
    """Return a JUnit document with one suite.

    Where tests were run, each is a test case of the class that its file names, and each file with other findings is a
    case as well; otherwise every file that was looked at is a case. A failure shows what a reader would see.
    """
    tests = about.tests or ()
    of_tests = {id(failure) for test in tests for failure in test.failures}
    by_file: dict[str, list[Finding]] = {} if about.tests is not None else {name: [] for name in about.files}
    for finding in findings:
        if id(finding.diagnostic) not in of_tests:
            by_file.setdefault(finding.source.name, []).append(finding)
    cases = [_Case(name, f"mas {about.command}", 0, 0.0, own) for name, own in by_file.items()]
    cases += [_case(test) for test in tests]
    failed = sum(bool(case.findings) for case in cases)
    seconds = sum(case.seconds for case in cases)
    totals = f'tests="{len(cases)}" failures="{failed}" errors="0" time="{seconds:.3f}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="masdsl" {totals}>',
        f'  <testsuite name={_attribute(f"mas {about.command}")} {totals} skipped="0">',
        *(line for case in cases for line in _lines(case)),
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _case(test: TestRun) -> _Case:
    failures = [Finding(test.source, failure) for failure in test.failures]
    return _Case(test.source.name, test.title, test.line, test.seconds, failures)


def _lines(case: _Case) -> list[str]:
    place = f" file={_attribute(case.file)}" + (f' line="{case.line}"' if case.line else "")
    head = f"<testcase classname={_attribute(case.file)} name={_attribute(case.name)}{place}"
    head += f' time="{case.seconds:.3f}"'
    if not case.findings:
        return [f"    {head}/>"]
    first, *more = render_short(case.findings).splitlines()
    message = first.partition(": ")[2] + (f" (and {len(more)} more)" if more else "")
    codes = dict.fromkeys(finding.diagnostic.code for finding in case.findings)
    failure = f"<failure type={_attribute(' '.join(codes))} message={_attribute(message)}>"
    return [f"    {head}>", f"      {failure}{_text(render_text(case.findings))}</failure>", "    </testcase>"]


def _text(text: str) -> str:
    safe = _NO_CHARACTER.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", escape(text, keep="\n"))
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    return '"' + _text(text).replace('"', "&quot;").replace("\n", "&#10;") + '"'
