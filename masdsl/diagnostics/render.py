"""Findings as text with source excerpts, as one line each for a model's repair prompt, and as JSON.

The only place where diagnostics become text. Nothing here is printed; the caller decides where the text goes.

    error[MAS101]: `drafts` is not defined
      --> debate.mas:7:15
       |
     7 |   best = vote(drafts)
       |               ^^^^^^ no step or input has this name
       |
       = help: did you mean `draft`, bound on line 6?
       = more: mas explain MAS101
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from masdsl.diagnostics.base import ERROR, Diagnostic, Finding
from masdsl.diagnostics.escape import escape
from masdsl.diagnostics.excerpt import Mark, excerpt, wrapped
from masdsl.limits import DIAGNOSTICS

JSON_VERSION = 1

RESET, BOLD, RED, YELLOW, BLUE, CYAN = "\x1b[0m", "\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[36m"


def render_text(findings: Sequence[Finding], colour: bool = False) -> str:
    """Return all findings for a reader, with excerpts and a summary line; empty text for no findings.

    At most `DIAGNOSTICS` are shown, errors before warnings where not all fit. `colour` adds ANSI sequences; apart
    from those no control character is ever in the result.
    """
    if not findings:
        return ""
    shown = _first(findings)
    blocks = [_block(finding, colour) for finding in shown]
    left_out = len(findings) - len(shown)
    if left_out:
        blocks.append(f"and {left_out} more\n")
    return "\n".join([*blocks, summary(findings) + "\n"])


def render_short(findings: Sequence[Finding]) -> str:
    """Return one line for each finding: `path:line:col: CODE title; help`.

    Made for logs and a model's repair prompt.
    """
    shown = _first(findings)
    lines = []
    for source, diagnostic in shown:
        line, column = source.position(diagnostic.span.start)
        help_text = diagnostic.help()
        text = f"{source.name}:{line}:{column}: {diagnostic.code} {diagnostic.title()}" + (
            f"; {help_text}" if help_text else ""
        )
        lines.append(escape(text.replace("\n", " ")))
    if len(shown) < len(findings):
        lines.append(f"and {len(findings) - len(shown)} more")
    return "".join(line + "\n" for line in lines)


def render_json(findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON object (see `json_document`) and a line feed. ASCII only."""
    from json import dumps

    return dumps(json_document(findings), indent=2) + "\n"


def json_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the stable JSON form of findings.

    `version` (1) changes when a key changes its meaning or goes away; new keys may come. `errors` and `warnings` count
    all findings, `omitted` those beyond the first `DIAGNOSTICS`, which are not listed. Each of `findings` has `code`,
    `severity` (error or warning), `title`, `label`, `help`, `file`, `line`, `column`, `end_line`, `end_column` (from 1,
    code points, the end is exclusive), `labels` (each with `text` and the four numbers) and `fix`: null or `title`,
    `applicability` (safe or suggested) and `replacements`, each with `text` to put in place of the range that the four
    numbers name.
    """
    shown = _first(findings)
    errors = sum(diagnostic.severity == ERROR for _, diagnostic in findings)
    return {
        "version": JSON_VERSION,
        "errors": errors,
        "warnings": len(findings) - errors,
        "omitted": len(findings) - len(shown),
        "findings": [_json_finding(finding) for finding in shown],
    }


def summary(findings: Sequence[Finding]) -> str:
    """Return `3 errors, 1 warning`, or `no problems`."""
    errors = sum(diagnostic.severity == ERROR for _, diagnostic in findings)
    counts = ((errors, "error"), (len(findings) - errors, "warning"))
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count) or "no problems"


def _first(findings: Sequence[Finding]) -> Sequence[Finding]:
    """Return the findings to show, in their order; when there are too many, warnings give way to errors."""
    if len(findings) <= DIAGNOSTICS:
        return findings
    by_weight = sorted(range(len(findings)), key=lambda at: findings[at].diagnostic.severity != ERROR)
    return [findings[at] for at in sorted(by_weight[:DIAGNOSTICS])]


def _block(finding: Finding, colour: bool) -> str:
    source, diagnostic = finding
    paint = _paint if colour else _plain
    tone = RED if diagnostic.severity == ERROR else YELLOW
    lines = [
        paint(f"{diagnostic.severity}[{diagnostic.code}]", tone) + paint(f": {_one_line(diagnostic.title())}", BOLD)
    ]
    margin = " "
    if source.text:
        marks = [Mark(diagnostic.span, _one_line(diagnostic.label()), True)]
        marks += (Mark(label.span, _one_line(label.text), False) for label in diagnostic.labels())
        picture = excerpt(source, marks)
        margin = " " * picture.margin
        line, column = source.position(diagnostic.span.start)
        lines.append(f"{margin}{paint('-->', BLUE)} {escape(source.name)}:{line}:{column}")
        bar = paint("|", BLUE)
        lines.append(f"{margin} {bar}")
        for number, text, main in picture.rows:
            if number is not None:
                gutter = paint(number.rjust(picture.margin), BLUE)
                lines.append(f"{gutter} {bar} {text}".rstrip() if number != "..." else paint("...", BLUE))
            else:
                lines.append(f"{margin} {bar} {paint(text, tone if main else BLUE)}")
        lines.append(f"{margin} {bar}")
    else:
        lines.append(f"{margin}{paint('-->', BLUE)} {escape(source.name)}")
    lines.extend(_notes(diagnostic, margin, paint))
    return "\n".join(lines) + "\n"


def _notes(diagnostic: Diagnostic, margin: str, paint: Any) -> list[str]:
    lines = []
    fix = diagnostic.fix()
    notes = [("help", diagnostic.help()), ("fix", fix.title if fix else ""), ("more", f"mas explain {diagnostic.code}")]
    for kind, text in notes:
        if not text:
            continue
        first, *rest = wrapped(_one_line(text), f"= {kind}: ")
        lines.append(f"{margin} {paint('=', BLUE)} {paint(kind, BOLD)}: {first}")
        lines.extend(f"{margin} {' ' * (len(kind) + 4)}{line}" for line in rest)
    return lines


def _one_line(text: str) -> str:
    return escape(text.replace("\n", " "))


def _paint(text: str, tone: str) -> str:
    return f"{tone}{text}{RESET}"


def _plain(text: str, tone: str) -> str:
    return text


def _json_finding(finding: Finding) -> dict[str, Any]:
    source, diagnostic = finding

    def place(span: Any) -> dict[str, int]:
        line, column = source.position(span.start)
        end_line, end_column = source.position(span.end)
        return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}

    fix = diagnostic.fix()
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "title": diagnostic.title(),
        "label": diagnostic.label(),
        "help": diagnostic.help(),
        "file": source.name,
        **place(diagnostic.span),
        "labels": [{"text": label.text, **place(label.span)} for label in diagnostic.labels()],
        "fix": None
        if fix is None
        else {
            "title": fix.title,
            "applicability": fix.applicability,
            "replacements": [{"text": text, **place(span)} for span, text in fix.replacements],
        },
    }
