"""Applies the changes that diagnostics offer (`Fix`), and makes sure that each one mends what it says.

Changes are applied in rounds: those that do not touch each other together, then the text is checked again. What came of
it decides: a change that leaves more errors than there were, or after which a flow may cost more, is taken back and
never tried again. So a text is never worse than before, whatever a diagnostic proposes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from masdsl.diagnostics.base import ERROR, SAFE, SUGGESTED, Finding, Fix
from masdsl.node import Span
from masdsl.source import Source

ROUNDS: Final = 200
"""Checks of one text. A round mends at least one thing or gives one up, and no sensible text has so many."""


class State(NamedTuple):
    """What checking a text gave: the findings, and what each flow costs at most; None where that is not known."""

    findings: Sequence[Finding]
    most: Mapping[str, Sequence[int]] | None = None


class Refused(NamedTuple):
    """A change that was not kept, and what would be wrong with it.

    `is_fault` says that masdsl is to blame, and not a guess or a text that cannot be parsed: the change was called
    safe, and the text had no syntax error.
    """

    finding: Finding
    reason: str
    is_fault: bool


class Mended(NamedTuple):
    """A text after all changes: those that were made, in order, those that were refused, and what is left to find."""

    source: Source
    applied: tuple[Finding, ...]
    refused: tuple[Refused, ...]
    left: tuple[Finding, ...]


def mend(source: Source, check: Callable[[Source], State], *, suggested: bool = False) -> Mended:
    """Apply the safe fixes of a text, or the suggested ones as well, until none is left that helps.

    `check` is asked about every version of the text. Only findings about `source` itself are mended.
    """
    wanted = (SAFE, SUGGESTED) if suggested else (SAFE,)
    state = check(source)
    seen = {source.text}
    applied: list[Finding] = []
    refused: dict[tuple[object, ...], Refused] = {}
    alone = False
    for _ in range(ROUNDS):
        offered = [
            finding
            for finding in state.findings
            if finding.source == source and _wanted(finding, wanted) and _key(finding) not in refused
        ]
        chosen = _apart(offered)[: 1 if alone else None]
        if not chosen:
            break
        fixes = [fix for finding in chosen if (fix := finding.diagnostic.fix())]
        text = apply_fixes(source.text, fixes)
        changed = Source(source.name, text)
        after = check(changed) if text not in seen else None
        reason = "it would undo another change" if after is None else _objection(state, after, _written(fixes))
        if after is not None and not reason:
            seen.add(text)
            applied.extend(chosen)
            source, state, alone = changed, after, False
        elif len(chosen) == 1:
            is_fault = fixes[0].applicability == SAFE and not _codes(state, 0)
            refused[_key(chosen[0])] = Refused(chosen[0], reason, is_fault)
            alone = False
        else:
            alone = True  # one of them is to blame: the first is tried by itself
    return Mended(source, tuple(applied), tuple(refused.values()), tuple(state.findings))


def apply_fixes(text: str, fixes: Sequence[Fix]) -> str:
    """Return `text` with changes that do not touch each other.

    Where something is deleted, a line that is left with blanks alone goes as well, and so do blanks at its end.
    """
    replacements = sorted({replacement for fix in fixes for replacement in fix.replacements}, reverse=True)
    for span, new in replacements:
        start, end = span
        if not new and end > start:
            start, end = _with_blanks(text, start, end)
        text = text[:start] + new + text[end:]
    return text


def _with_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    line = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end)
    stop = len(text) if stop < 0 else stop
    if text[end:stop].strip(" \t"):
        return start, end
    if not text[line:start].strip(" \t") and end > start:
        return line, min(stop + 1, len(text))
    return len(text[:start].rstrip(" \t")), stop


def _wanted(finding: Finding, wanted: Sequence[str]) -> bool:
    fix = finding.diagnostic.fix()
    size = len(finding.source.text)
    return (
        fix is not None
        and fix.applicability in wanted
        and all(0 <= span.start <= span.end <= size for span, _ in fix.replacements)
    )


def _key(finding: Finding) -> tuple[object, ...]:
    """Return what a change is known by while other changes move it: its code, texts and line."""
    source, diagnostic = finding
    fix = diagnostic.fix()
    line = source.line(source.position(diagnostic.span.start).line)
    old = tuple((source.slice(span), new) for span, new in fix.replacements) if fix else ()
    return diagnostic.code, old, line.strip()


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings whose changes touch neither each other nor anything between the ends of another one."""
    chosen: list[Finding] = []
    taken: list[Span] = []
    for finding in findings:
        fix = finding.diagnostic.fix()
        spans = [span for span, _ in fix.replacements] if fix else []
        whole = Span(min(span.start for span in spans), max(span.end for span in spans))
        if all(whole.end < other.start or other.end < whole.start for other in taken):
            chosen.append(finding)
            taken.append(whole)
    return chosen


# ---------------------------------------------------------------- what came of it


def _objection(before: State, after: State, written: Sequence[Span]) -> str:
    """Return what is wrong with the result of a change; nothing where it may stay.

    Errors of an earlier stage hide those of later ones, so the first stage that differs decides. A syntax error may
    hide another one further down, such as the next use of a misspelt name: there as many as before are fine, as long as
    none is at what was `written`.
    """
    for stage in range(4):
        old, new = _codes(before, stage), _codes(after, stage)
        if len(new) < len(old):
            return ""
        if stage == 0 and old and len(new) == len(old):
            if not any(span.start <= at <= span.end for at in _syntax_errors(after) for span in written):
                return ""
        elif old == new:
            continue
        more = next((code for code in new if new.count(code) > old.count(code)), new[0])
        return f"the text would then have {more}"
    for flow, most in (before.most or {}).items():
        now = (after.most or {}).get(flow, most)
        if any(one > other for one, other in zip(now, most, strict=True)):
            return f"`{flow}` might then cost more"
    return ""


def _codes(state: State, stage: int) -> list[str]:
    """Return the codes of the errors of a stage: syntax, then names and types and the like, then bounds, then lints."""
    stages = {"0": 0, "4": 2, "7": 3}
    return sorted(
        diagnostic.code
        for _, diagnostic in state.findings
        if diagnostic.severity == ERROR and stages.get(diagnostic.code[3], 1) == stage
    )


def _syntax_errors(state: State) -> list[int]:
    return [
        diagnostic.span.start
        for _, diagnostic in state.findings
        if diagnostic.severity == ERROR and diagnostic.code[3] == "0"
    ]


def _written(fixes: Sequence[Fix]) -> list[Span]:
    """Return where in the changed text stands what the changes have written."""
    places, moved = [], 0
    for span, new in sorted({replacement for fix in fixes for replacement in fix.replacements}):
        places.append(Span(span.start + moved, span.start + moved + len(new)))
        moved += len(new) - (span.end - span.start)
    return places
