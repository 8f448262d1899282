"""The shape of a document: its declarations and what is in them, and what can be folded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from masdsl.diagnostics.base import Findings
from masdsl.editor import symbols
from masdsl.editor.document import PROGRAM, Document, kind_of
from masdsl.editor.workspace import Workspace
from masdsl.node import Node, Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program

TEST, BUDGET, IMPORTS, COMMENT, REGION = "test", "budget", "imports", "comment", "region"


class Entry(NamedTuple):
    """A declaration or a part of one: `whole` is its place, `name_span` that of its name, inside of it."""

    name: str
    kind: str
    detail: str
    whole: Span
    name_span: Span
    parts: tuple[Entry, ...] = ()


class Fold(NamedTuple):
    """A range that can be folded; `kind` is imports, comment or region."""

    span: Span
    kind: str


def outline(document: Document) -> tuple[Entry, ...]:
    """Return the declarations of a document in order, with their fields, words, parameters and steps."""
    return tuple(entry for item in document.items for entry in _entries(document.source, item))


def outline_of_file(workspace: Workspace, name: str) -> tuple[Entry, ...]:
    """Return the declarations of a file that need not be open; it is parsed and not checked."""
    text = workspace.text(name)
    if text is None or kind_of(text.source.text) != PROGRAM:
        return ()
    parsed = parse_program(text.source, Findings())
    items = parsed.document.items if isinstance(parsed.document, ast.Program) else ()
    return tuple(entry for item in items for entry in _entries(text.source, item))


def _entries(source: Source, item: ast.Item) -> Iterator[Entry]:
    match item:
        case ast.RecordDecl():
            fields = tuple(
                Entry(
                    field.name.text,
                    symbols.FIELD,
                    source.slice(field.type.span) if field.type else "text",
                    field.span,
                    field.name.span,
                )
                for field in item.fields
            )
            yield Entry(item.name.text, symbols.TYPE, "", item.span, item.name.span, fields)
        case ast.EnumDecl():
            words = tuple(Entry(word.text, symbols.WORD, "", word.span, word.span) for word in item.words)
            yield Entry(item.name.text, symbols.TYPE, "", item.span, item.name.span, words)
        case ast.Tool() | ast.Agent():
            detail = f"-> {source.slice(item.output.type.span)}"
            yield Entry(item.name.text, symbols.KINDS[type(item)], detail, item.span, item.name.span)
        case ast.Flow():
            detail = f"-> {source.slice(item.output.type.span)}"
            steps = tuple(_steps(item.body))
            yield Entry(item.name.text, symbols.FLOW, detail, item.span, item.name.span, steps)
        case ast.Variant():
            yield Entry(item.name.text, symbols.AGENT, f"= {item.base.text}", item.span, item.name.span)
        case ast.Extern():
            yield Entry(item.name.text, symbols.FUNCTION, "", item.span, item.name.span)
        case ast.Test():
            yield Entry(item.title.value or "test", TEST, "", item.span, item.title.span)
        case ast.Budget():
            yield Entry("budget", BUDGET, source.slice(item.span)[:60], item.span, item.span)
        case _:
            return


def _steps(block: ast.Block) -> Iterator[Entry]:
    """Yield what a block binds, and its constructs with what they bind."""
    for node in block.statements:
        match node:
            case ast.Bind():
                yield Entry(node.name.text, symbols.LOCAL, "", node.span, node.name.span)
            case ast.Loop() | ast.For() | ast.Within() | ast.If() | ast.Match():
                word = type(node).__name__.lower()
                label = node.label
                inner = tuple(entry for body in _bodies(node) for entry in _steps(body))
                name_span = label.span if label is not None else Span(node.span.start, node.span.start + len(word))
                yield Entry(label.text if label is not None else word, symbols.LABEL, word, node.span, name_span, inner)
            case _:
                continue


def _bodies(node: ast.Loop | ast.For | ast.Within | ast.If | ast.Match) -> Iterator[ast.Block]:
    match node:
        case ast.If():
            yield from (branch.body for branch in node.branches)
        case ast.Match():
            yield from (arm.body for arm in node.arms)
        case _:
            yield node.body
            return
    if node.orelse is not None:
        yield node.orelse


def folds(document: Document) -> tuple[Fold, ...]:
    """Return what can be folded: bodies, bracketed lists, long strings, imports and comments in a row."""
    source = document.source
    found: list[Fold] = []
    uses = [item for item in document.items if isinstance(item, ast.Use)]
    if len(uses) > 1:
        found.append(Fold(Span(uses[0].span.start, uses[-1].span.end), IMPORTS))
    tokens = document.tokens
    opened: list[int] = []
    for kind, start, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        if kind in ("LBRACE", "LPAR", "LSQB"):
            opened.append(start)
        elif kind in ("RBRACE", "RPAR", "RSQB") and opened:
            found.append(Fold(Span(opened.pop(), end), REGION))
        elif kind == "STRING":
            found.append(Fold(Span(start, end), REGION))
    first = last = -1
    before: Node | None = None
    for comment in (*tokens.comments, None):
        follows = (
            comment is not None
            and before is not None
            and not source.text[before.span.end : comment.span.start].strip()
            and source.position(comment.span.start).line == source.position(before.span.start).line + 1
        )
        if not follows:
            if last > first >= 0:
                found.append(Fold(Span(first, last), COMMENT))
            first = comment.span.start if comment is not None else -1
        last = comment.span.end if comment is not None else -1
        before = comment
    return tuple(
        fold
        for fold in found
        if source.position(fold.span.start).line < source.position(max(fold.span.end - 1, 0)).line
    )
