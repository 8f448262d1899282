"""Findings that are allowed: by a comment of the program, with a reason, or by `[allow]` of the configuration.

    draft = writer(topic)  # mas: allow MAS702 the first draft only warms up
    # mas: allow MAS703 the next release uses it
    agent critic(draft) -> text "Criticise {{ draft }}."

A comment at the end of a line is about that line, and about those above it of a statement, a declaration, brackets or
a string that end on it. Alone on a line it is about the next line, and about those below it of what begins there. (A
statement with blocks and a flow count up to their first block.) So it stays with what it is about when `mas fmt` breaks
or joins lines. `allow-file`, above the first declaration, is about the whole file. Only warnings can be allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from masdsl.config import Config
from masdsl.diagnostics.allowances import ABOUT_ALLOWANCES, is_warning, kind_of, near_code, read_words
from masdsl.diagnostics.base import ERROR, WARNING, Finding, Findings, Suppressed
from masdsl.diagnostics.lints import Lint, at_severity
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.suppressions import (
    SuppressedError,
    SuppressionForm,
    SuppressionWithoutReason,
    UnknownSuppression,
    UnusedSuppression,
)
from masdsl.node import Node, Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import Parsed, parse_program

MARK = "mas:"
WORDS = ("allow", "allow-file")
_TOKEN = re.compile(r'"""(?:"{0,2}(?:[^"\\]|\\[\s\S]))*"""|"(?:[^"\\\n]|\\[^\n])*"|#[^\n]*|[][()]')
_PARTS = (
    *(ast.Use, ast.RecordDecl, ast.EnumDecl, ast.Tool, ast.Agent, ast.Variant, ast.Extern, ast.Flow),
    *(ast.Budget, ast.Rectify, ast.Test),
    *(ast.Bind, ast.Append, ast.Until, ast.Return, ast.Loop, ast.For, ast.Within, ast.If, ast.Match),
    *(ast.Branch, ast.Arm, ast.Given, ast.Expect),
)
_DIRECTIVE = re.compile(r"#+[ \t]*mas:[ \t]*([^\s]*)")
_PREAMBLE = re.compile(r"(?:\s|#[^\n]*)*(?:mas(?:\s|#[^\n]*)+[0-9]+(?:\s|#[^\n]*)*)?")
_EMPTY = re.compile(r"[ \t]*(?:#|$)")


class _Allowance(NamedTuple):
    """What a comment allows: a code on the lines from `first` to `last`, or on all (`last` is 0).

    `span` is the code in the comment, `removal` what to delete to take it out.
    """

    code: str
    span: Span
    first: int
    last: int
    reason: str
    removal: Span

    def covers(self, line: int) -> bool:
        return not self.last or self.first <= line <= self.last


class _Comments(NamedTuple):
    """What the comments of a source allow, and what is wrong with them."""

    allowances: tuple[_Allowance, ...]
    faults: tuple[Lint, ...]


def suppress(parsed: Parsed, config: Config, findings: Findings, complete: bool) -> None:
    """Take out of `findings` what is allowed, and add what is wrong with the comments that allow it.

    `parsed` is the program that was checked; findings about modules that it imports obey their own comments. What is
    wrong with comments is only said when the check was `complete`: with errors, warnings that comments are about may
    not have been looked for.
    """
    known: dict[str, _Comments] = {}
    paths: dict[str, dict[str, str]] = {}
    used: set[_Allowance] = set()

    def comments(of: Source) -> _Comments:
        if of.name not in known:
            if MARK in of.text:
                known[of.name] = _read(parsed if of.name == parsed.source.name else parse_program(of, Findings()))
            else:
                known[of.name] = _Comments((), ())
        return known[of.name]

    def allowed(finding: Finding) -> Suppressed | None:
        where, diagnostic = finding
        if diagnostic.severity != WARNING or diagnostic.code in ABOUT_ALLOWANCES:
            return None
        line = where.position(diagnostic.span.start).line
        for one in comments(where).allowances:
            if one.code == diagnostic.code and one.covers(line):
                used.add(one)
                return Suppressed(finding, one.reason, False)
        if where.name not in paths:
            paths[where.name] = config.allowed(where.name)
        reason = paths[where.name].get(diagnostic.code)
        return None if reason is None else Suppressed(finding, reason, True)

    findings.suppress(allowed)
    if complete:
        own = comments(parsed.source)
        for fault in (*own.faults, *_unused(own, used, config)):
            level = config.lints.get(fault.lint, fault.severity)
            if level != "off":
                findings.add(parsed.source, at_severity(fault, level))


def _unused(own: _Comments, used: set[_Allowance], config: Config) -> Iterator[Lint]:
    for one in own.allowances:
        if one in used:
            continue
        kind = kind_of(one.code)
        level = config.lints.get(getattr(kind, "lint", ""), WARNING)
        if level == ERROR:
            yield SuppressedError(one.code, "the configuration makes it an error", span=one.span)
        elif level != "off":
            where = "this file" if not one.last else "this line" if one.first == one.last else "these lines"
            yield UnusedSuppression(one.code, where, one.removal, span=one.span)


# ---------------------------------------------------------------- reading


def _read(parsed: Parsed) -> _Comments:
    """Return what the comments of a text say."""
    allowances: list[_Allowance] = []
    faults: list[Lint] = []
    comments = [comment.span for comment in parsed.comments if MARK in comment.text]
    groups = sorted(_groups(parsed)) if comments else []
    for comment in comments:
        for one in _of_comment(parsed.source, comment, groups):
            if isinstance(one, _Allowance):
                allowances.append(one)
            else:
                faults.append(one)
    return _Comments(tuple(allowances), tuple(faults))


def _groups(parsed: Parsed) -> set[tuple[int, int]]:
    """Return the first and the last line of everything that has several and belongs together."""
    source = parsed.source
    spans = list(_heads(parsed.document))
    opened: list[int] = []
    for token in _TOKEN.finditer(source.text):
        first = token[0][0]
        if first in "([":
            opened.append(token.start())
        elif first == '"':
            spans.append(Span(token.start(), token.end()))
        elif first in ")]" and opened:
            spans.append(Span(opened.pop(), token.end()))
    lines = ((source.position(start).line, source.position(end).line) for start, end in spans)
    return {(first, last) for first, last in lines if first < last}


def _heads(node: Node) -> Iterator[Span]:
    """Yield the spans of all statements and declarations, up to their first block."""
    for field in node._fields:
        value = getattr(node, field)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Node):
                if isinstance(part, _PARTS):
                    yield Span(part.span.start, _end_of_head(part))
                yield from _heads(part)


def _end_of_head(node: Node) -> int:
    match node:
        case ast.Match():
            return node.subject.span.end
        case ast.If():
            return node.branches[0].body.span.start
        case ast.Flow() | ast.Test() | ast.Loop() | ast.For() | ast.Within() | ast.Branch() | ast.Arm():
            return node.body.span.start
        case _:
            return node.span.end


def _of_comment(source: Source, comment: Span, groups: list[tuple[int, int]]) -> Iterator[_Allowance | Lint]:
    text = source.text
    found = _DIRECTIVE.match(text, *comment)
    if found is None:
        return
    word = found[1]
    if word not in WORDS:
        near = nearest(word, WORDS)
        advice = f"did you mean `{near}`?" if near else "write `# mas: allow CODE reason`"
        problem = f"`{word}` means nothing behind `# mas:`" if word else "nothing stands behind `# mas:`"
        yield SuppressionForm(problem, advice, span=comment)
        return
    words = read_words(text[: comment.end], found.end())
    if words is None:
        yield SuppressionForm("no code says what is allowed", f"write `# mas: {word} CODE reason`", span=comment)
        return
    if word == "allow":
        first, last = _lines(source, comment, groups)
    else:
        first, last = 0, 0
        preamble = _PREAMBLE.match(text)
        if preamble is not None and comment.start >= preamble.end():
            advice = "move it there, or write `allow` for one line"
            yield SuppressionForm("`allow-file` stands above the first declaration", advice, span=comment)
            return
    for number, (code, span) in enumerate(words.codes):
        kind = kind_of(code)
        if kind is None:
            yield UnknownSuppression(code, near_code(code), span=span)
        elif not is_warning(kind):
            yield SuppressedError(code, _why_not(code), span=span)
        elif not words.reason:
            yield SuppressionWithoutReason(code, span=span)
        else:
            removal = comment
            if len(words.codes) > 1:  # with the comma before it, or that behind the first one
                spans = [place for _, place in words.codes]
                removal = Span(spans[number - 1].end, span.end) if number else Span(span.start, spans[1].start)
            yield _Allowance(code, span, first, last, words.reason, removal)


def _why_not(code: str) -> str:
    return "it is about such comments; `[lints]` turns it off" if code in ABOUT_ALLOWANCES else "it is an error"


def _lines(source: Source, comment: Span, groups: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the first and the last line that a comment is about."""
    line, column = source.position(comment.start)
    first = last = line
    if source.line(line)[: column - 1].strip():
        for start, end in sorted(groups, key=lambda group: -group[1]):
            if start < first <= end <= line:
                first = start
        return first, last
    first = line + 1
    while first < source.line_count and _EMPTY.match(source.line(first)):
        first += 1
    last = first = min(first, source.line_count)
    for start, end in sorted(groups):
        if first <= start <= last < end:
            last = end
    return first, last
