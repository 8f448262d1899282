"""Changes that an editor can make for somebody: fixes of diagnostics, all safe fixes at once, the canonical layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from masdsl.diagnostics.base import SAFE, WARNING, Finding, Findings
from masdsl.editor.document import Document
from masdsl.editor.workspace import Workspace
from masdsl.fixes import State, apply_fixes, mend
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax.format import format_source

REASON = "say why this is fine"


class Edit(NamedTuple):
    """A replacement in a text."""

    span: Span
    text: str


class Action(NamedTuple):
    """A change that is offered: for a finding, or (None) for the whole document.

    `sure` says that the program keeps its meaning, or that the fault is an obvious slip.
    """

    title: str
    finding: Finding | None
    edits: tuple[Edit, ...]
    sure: bool


def own_findings(document: Document) -> Iterator[Finding]:
    """Yield the findings about a document itself; others are about modules and the configuration."""
    return (finding for finding in document.findings if finding.source.name == document.source.name)


def actions(workspace: Workspace, document: Document, within: Span) -> Iterator[Action]:
    """Yield what can be done about the findings of a part of a document."""
    for finding in own_findings(document):
        diagnostic = finding.diagnostic
        span = diagnostic.span
        if span.start > within.end or span.end < within.start:
            continue
        fix = diagnostic.fix()
        size = len(document.source.text)
        if fix is not None and all(0 <= part.start <= part.end <= size for part, _ in fix.replacements):
            text = apply_fixes(document.source.text, [fix])
            edits = difference(document.source.text, text)
            if edits:
                yield Action(fix.title, finding, edits, fix.applicability == SAFE)
        if diagnostic.severity == WARNING:
            line = document.source.position(span.start).line
            end = document.source.offset(line) + len(document.source.line(line))
            if "#" not in document.source.line(line):
                comment = f"  # mas: allow {diagnostic.code} {REASON}"
                yield Action(f"allow {diagnostic.code} here", finding, (Edit(Span(end, end), comment),), False)


def fix_all(workspace: Workspace, document: Document) -> Action | None:
    """Return all safe fixes of a document together; None where there is nothing to mend."""
    source = document.source
    if not any((fix := one.diagnostic.fix()) and fix.applicability == SAFE for one in own_findings(document)):
        return None

    def check(changed: Source) -> State:
        return State(workspace.checked(changed, Findings(), overlay={}).findings)

    mended = mend(source, check)
    edits = difference(source.text, mended.source.text)
    return Action("apply all safe fixes", None, edits, True) if edits else None


def formatted(document: Document) -> tuple[Edit, ...] | None:
    """Return what makes a document's layout the canonical one; None where it has syntax errors."""
    text = format_source(document.source, Findings())
    return None if text is None else difference(document.source.text, text)


def difference(before: str, after: str) -> tuple[Edit, ...]:
    """Return the edit between the first and the last character that differ; none where the texts are equal."""
    if before == after:
        return ()
    shortest = min(len(before), len(after))
    start = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    tail = next((at for at in range(shortest - start) if before[-1 - at] != after[-1 - at]), shortest - start)
    return (Edit(Span(start, len(before) - tail), after[start : len(after) - tail]),)
