"""Findings as SARIF 2.1.0, the format of code-scanning services.

Deterministic, and free of the machine's paths as far as files lie below the working folder: those are relative to
`%SRCROOT%`. Columns count UTF-16 code units, as the format wants of tools that do not say otherwise. Braces in messages
are doubled, for single ones would be placeholders (section 3.11.5 of the specification).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from json import dumps
from typing import Any
from urllib.parse import quote

from masdsl.diagnostics.base import ERROR, Diagnostic, Finding, Fix, Suppressed
from masdsl.diagnostics.catalogue import page, page_text
from masdsl.diagnostics.escape import escape
from masdsl.diagnostics.report import About
from masdsl.node import Span
from masdsl.source import Source
from masdsl.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "masFinding/v1"
_ROOT = "%SRCROOT%"
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")
_PROBLEMS_OF_THE_TOOL = ("MAS000", "MAS004", "MAS008")


def render_sarif(findings: Sequence[Finding], about: About) -> str:
    """Return a SARIF log with one run: the findings, those that are allowed as suppressed, and the files that were
    looked at.

    A result's fingerprint follows from its code, its line without its layout, and how many like it stand above it in
    the file: it stays the same when lines move.
    """
    return dumps(sarif_document(findings, about), indent=2) + "\n"


def sarif_document(findings: Sequence[Finding], about: About) -> dict[str, Any]:
    """Return the log of `render_sarif` as data for JSON."""
    run = _Run([finding.source.name for finding in findings], about)
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run.document(findings)]}


class _Run:
    def __init__(self, names: Iterable[str], about: About) -> None:
        suppressed = [one.finding.source.name for one in about.suppressed]
        self._about = about
        self._artifacts = {
            name: number for number, name in enumerate(dict.fromkeys((*about.files, *names, *suppressed)))
        }
        self._rules: dict[str, int] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def document(self, findings: Sequence[Finding]) -> dict[str, Any]:
        about = self._about
        allowed = {id(one.finding.diagnostic): one for one in about.suppressed}
        every = [*findings, *(one.finding for one in about.suppressed)]
        order = sorted(every, key=lambda one: (self._artifacts[one.source.name], one.diagnostic.span))
        kinds = {finding.diagnostic.code: type(finding.diagnostic) for finding in every}
        self._rules = {code: number for number, code in enumerate(sorted(kinds))}
        results = [self._result(finding, allowed.get(id(finding.diagnostic))) for finding in order]
        return {
            "tool": {
                "driver": {
                    "name": "masdsl",
                    "semanticVersion": __version__,
                    "rules": [_rule(kinds[code]) for code in self._rules],
                }
            },
            "automationDetails": {"id": f"mas {about.command}/"},
            "invocations": [
                {
                    "arguments": [about.command, *about.arguments],
                    "exitCode": about.exit_code,
                    "executionSuccessful": not any(
                        finding.diagnostic.code in _PROBLEMS_OF_THE_TOOL for finding in findings
                    ),
                }
            ],
            "originalUriBaseIds": {_ROOT: {"description": _message("The folder that the command ran in.")}},
            "artifacts": [
                {"location": _location_of(name), "sourceLanguage": "mas" if name.endswith(".mas") else "toml"}
                for name in self._artifacts
            ],
            "columnKind": "utf16CodeUnits",
            "defaultEncoding": "UTF-8",
            "results": results,
        }

    def _result(self, finding: Finding, allowed: Suppressed | None) -> dict[str, Any]:
        source, diagnostic = finding
        help_text = diagnostic.help()
        fix = diagnostic.fix()
        result: dict[str, Any] = {
            "ruleId": diagnostic.code,
            "ruleIndex": self._rules[diagnostic.code],
            "level": _level(diagnostic),
            "message": _message(diagnostic.title() + (f"; {help_text}" if help_text else "")),
            "locations": [{"physicalLocation": self._place(source, diagnostic.span)}],
            "partialFingerprints": {FINGERPRINT: self._fingerprint(source, diagnostic)},
            "suppressions": [],
        }
        labels = diagnostic.labels()
        if labels and source.text:
            result["relatedLocations"] = [
                {"id": number, "physicalLocation": self._place(source, label.span), "message": _message(label.text)}
                for number, label in enumerate(labels)
            ]
        if fix is not None and source.text:
            result["fixes"] = [self._fix(source, fix)]
        if allowed is not None:
            kind = "external" if allowed.external else "inSource"
            result["suppressions"] = [{"kind": kind, "status": "accepted", "justification": escape(allowed.reason)}]
        return result

    def _place(self, source: Source, span: Span) -> dict[str, Any]:
        place: dict[str, Any] = {"artifactLocation": self._artifact(source)}
        if source.text:
            place["region"] = region(source, span)
        return place

    def _artifact(self, source: Source) -> dict[str, Any]:
        return {**_location_of(source.name), "index": self._artifacts[source.name]}

    def _fix(self, source: Source, fix: Fix) -> dict[str, Any]:
        replacements = []
        for span, text in fix.replacements:
            replacement: dict[str, Any] = {"deletedRegion": region(source, span)}
            if text:
                replacement["insertedContent"] = {"text": text}
            replacements.append(replacement)
        return {
            "description": _message(fix.title),
            "artifactChanges": [{"artifactLocation": self._artifact(source), "replacements": replacements}],
            "properties": {"applicability": fix.applicability},
        }

    def _fingerprint(self, source: Source, diagnostic: Diagnostic) -> str:
        line = source.line(source.position(diagnostic.span.start).line)
        key = (source.name, diagnostic.code, "".join(line.split()))
        number = self._counts[key] = self._counts.get(key, 0) + 1
        return sha256("\0".join((*key[1:], str(number))).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def region(source: Source, span: Span) -> dict[str, int]:
    """Return a span as a region: lines and columns from 1, columns in UTF-16 code units, the end exclusive."""
    start, end = min(span.start, len(source.text)), min(span.end, len(source.text))
    line, column = _utf16(source, start)
    end_line, end_column = _utf16(source, end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _utf16(source: Source, offset: int) -> tuple[int, int]:
    line, column = source.position(offset)
    before = source.text[offset - column + 1 : offset]
    return line, 1 + len(before) + (0 if before.isascii() else sum(letter > "\uffff" for letter in before))


def _level(diagnostic: Diagnostic) -> str:
    return "error" if diagnostic.severity == ERROR else "warning"


def _rule(kind: type[Diagnostic]) -> dict[str, Any]:
    parts, text = page(kind), escape(page_text(kind), keep="\n")
    return {
        "id": kind.code,
        "name": kind.__name__,
        "shortDescription": {"text": parts.summary},
        "fullDescription": {"text": parts.why or parts.summary},
        "help": {"text": text, "markdown": _markdown(text)},
        "defaultConfiguration": {"level": "error" if _default_severity(kind) == ERROR else "warning"},
    }


def _default_severity(kind: type[Diagnostic]) -> str:
    """Return the severity of a code; a lint that the configuration has made an error is a subclass of its own."""
    own = [base for base in kind.__mro__ if issubclass(base, Diagnostic) and base.code == kind.code]
    return own[-1].severity


def _markdown(text: str) -> str:
    """Return a page as Markdown: what is indented is code there already, and headings become bold."""
    return re.sub(r"(?m)^((?:Bad|Good|Setup|Why|File [^\n]*):)[ ]*", r"**\1** ", text).replace("** \n", "**\n\n")


def _message(text: str) -> dict[str, str]:
    plain = escape(text.replace("\n", " ")).replace("{", "{{").replace("}", "}}")
    return {"text": _LINK.sub(r"\\[", plain)}


def _location_of(name: str) -> dict[str, str]:
    """Return where a file is: below the working folder relative to it, elsewhere absolute."""
    if name.startswith("<"):
        return {"uri": quote(name), "uriBaseId": _ROOT}
    path = os.path.normpath(name)
    if os.path.isabs(path) or path.startswith(os.pardir):
        try:
            relative = os.path.relpath(path)
        except (ValueError, OSError):  # another drive; a working folder that is gone
            relative = os.pardir
        if relative.startswith(os.pardir):
            absolute = os.path.abspath(path).replace(os.sep, "/")
            return {"uri": "file://" + quote(absolute if absolute.startswith("/") else f"/{absolute}", safe="/:")}
        path = relative
    return {"uri": quote(path.replace(os.sep, "/"), errors="surrogateescape"), "uriBaseId": _ROOT}
