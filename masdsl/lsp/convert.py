"""From the answers of `masdsl.editor` to the protocol's types, in the client's positions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from lsprotocol import types as lsp
from pygls import uris

from masdsl.diagnostics.base import ERROR, Finding
from masdsl.editor import completion, outline, signatures, symbols
from masdsl.editor.changes import Edit
from masdsl.editor.positions import Positions
from masdsl.editor.tokens import MODIFIERS, TYPES, Token
from masdsl.editor.workspace import is_file
from masdsl.lsp.client import Client, markup
from masdsl.node import Span

SOURCE: Final = "mas"
_COMPLETION: Final = {
    completion.KEYWORD: lsp.CompletionItemKind.Keyword,
    completion.TYPE: lsp.CompletionItemKind.Class,
    symbols.MODULE: lsp.CompletionItemKind.Module,
    symbols.TYPE: lsp.CompletionItemKind.Struct,
    symbols.FIELD: lsp.CompletionItemKind.Field,
    symbols.WORD: lsp.CompletionItemKind.EnumMember,
    symbols.TOOL: lsp.CompletionItemKind.Method,
    symbols.AGENT: lsp.CompletionItemKind.Class,
    symbols.FLOW: lsp.CompletionItemKind.Function,
    symbols.FUNCTION: lsp.CompletionItemKind.Function,
    symbols.BUILTIN: lsp.CompletionItemKind.Function,
    symbols.TIER: lsp.CompletionItemKind.Value,
}
_OUTLINE: Final = {
    symbols.TYPE: lsp.SymbolKind.Struct,
    symbols.FIELD: lsp.SymbolKind.Field,
    symbols.WORD: lsp.SymbolKind.EnumMember,
    symbols.TOOL: lsp.SymbolKind.Method,
    symbols.AGENT: lsp.SymbolKind.Class,
    symbols.FLOW: lsp.SymbolKind.Function,
    symbols.FUNCTION: lsp.SymbolKind.Function,
    symbols.LABEL: lsp.SymbolKind.Namespace,
    outline.TEST: lsp.SymbolKind.Event,
    outline.BUDGET: lsp.SymbolKind.Constant,
}
_FOLDS: Final = {
    outline.IMPORTS: lsp.FoldingRangeKind.Imports,
    outline.COMMENT: lsp.FoldingRangeKind.Comment,
    outline.REGION: lsp.FoldingRangeKind.Region,
}


def name_of(uri: str) -> str:
    """Return the name of the source that a URI means: a path, or `<uri>` where it is that of no file."""
    path = uris.to_fs_path(uri)
    return os.path.normpath(path) if path else f"<{uri}>"


def position(positions: Positions, offset: int) -> lsp.Position:
    """Return an offset as a position."""
    place = positions.place(offset)
    return lsp.Position(place.line, place.column)


def offset_of(positions: Positions, at: lsp.Position) -> int:
    """Return a position as an offset."""
    return positions.offset(at.line, at.character)


def range_of(positions: Positions, span: Span) -> lsp.Range:
    """Return a span as a range."""
    return lsp.Range(position(positions, span.start), position(positions, span.end))


def text_edits(positions: Positions, edits: Iterable[Edit]) -> list[lsp.TextEdit]:
    """Return edits, with the line ends that the text has."""
    return [lsp.TextEdit(range_of(positions, edit.span), edit.text.replace("\n", positions.line_end)) for edit in edits]


def diagnostic(positions: Positions, finding: Finding, uri: str) -> lsp.Diagnostic:
    """Return a finding as a diagnostic: what is wrong and the one next action, further places as related ones."""
    found = finding.diagnostic
    related = [
        lsp.DiagnosticRelatedInformation(lsp.Location(uri, range_of(positions, label.span)), label.text)
        for label in found.labels()
    ]
    label = found.label()
    return lsp.Diagnostic(
        range=range_of(positions, found.span),
        message=f"{found.title()}{f' ({label})' if label else ''}\n{found.help()}",
        severity=lsp.DiagnosticSeverity.Error if found.severity == ERROR else lsp.DiagnosticSeverity.Warning,
        code=found.code,
        source=SOURCE,
        related_information=related or None,
    )


def completion_item(positions: Positions, item: completion.Item, client: Client) -> lsp.CompletionItem:
    """Return a proposal, as the client can show it."""
    more = [Edit(Span(item.import_at, item.import_at), item.import_text)] if item.import_at >= 0 else []
    return lsp.CompletionItem(
        label=item.label,
        kind=_COMPLETION.get(item.kind, lsp.CompletionItemKind.Variable),
        detail=item.detail or None,
        documentation=markup(item.doc, client.completion) if item.doc else None,
        sort_text=f"{item.rank}{item.label}",
        text_edit=lsp.TextEdit(range_of(positions, item.span), item.text or item.label),
        additional_text_edits=text_edits(positions, more) or None,
    )


def document_symbol(positions: Positions, entry: outline.Entry) -> lsp.DocumentSymbol:
    """Return a declaration with its parts."""
    return lsp.DocumentSymbol(
        name=entry.name or "?",
        kind=symbol_kind(entry.kind),
        range=range_of(positions, entry.whole),
        selection_range=range_of(positions, entry.name_span),
        detail=entry.detail or None,
        children=[document_symbol(positions, part) for part in entry.parts] or None,
    )


def symbol_list(
    positions: Positions, uri: str, entry: outline.Entry, container: str = ""
) -> list[lsp.SymbolInformation]:
    """Return a declaration and then its parts, for clients that know no parts."""
    here = lsp.Location(uri, range_of(positions, entry.whole))
    one = lsp.SymbolInformation(here, entry.name or "?", symbol_kind(entry.kind), container_name=container or None)
    return [one, *(each for part in entry.parts for each in symbol_list(positions, uri, part, one.name))]


def signature_help(made: signatures.Signature, client: Client) -> lsp.SignatureHelp:
    """Return the signature of a call, as the client can show it."""
    label = made.label
    parts = [
        lsp.ParameterInformation((part.start, part.end) if client.label_offsets else label[part.start : part.end])
        for part in made.parts
    ]
    doc = markup(made.doc, client.signature) if made.doc else None
    return lsp.SignatureHelp(
        [lsp.SignatureInformation(label, doc, parts)], 0, made.active if made.active >= 0 else None
    )


def symbol_kind(kind: str) -> lsp.SymbolKind:
    """Return the protocol's kind of a declaration."""
    return _OUTLINE.get(kind, lsp.SymbolKind.Variable)


def folding_range(positions: Positions, fold: outline.Fold) -> lsp.FoldingRange:
    """Return what can be folded; the line of a closing bracket stays visible."""
    first, last = positions.place(fold.span.start), positions.place(fold.span.end)
    keeps_last = fold.kind == outline.REGION and last.line - first.line > 1
    return lsp.FoldingRange(first.line, last.line - keeps_last, kind=_FOLDS[fold.kind])


def token_data(positions: Positions, tokens: Iterable[Token]) -> list[int]:
    """Return semantic tokens as the protocol encodes them: five numbers each, relative to the one before."""
    data: list[int] = []
    line = column = 0
    for token in tokens:
        modifiers = sum(1 << MODIFIERS.index(name) for name in token.modifiers)
        for part in positions.lines_of(token.span):
            place = positions.place(part.start)
            step = place.line - line
            data += [
                step,
                place.column if step else place.column - column,
                positions.width(part),
                TYPES.index(token.type),
                modifiers,
            ]
            line, column = place
    return data


def uri_of(name: str) -> str:
    """Return the URI of a source that is not open."""
    if not is_file(name):
        return name.strip("<>")
    return uris.from_fs_path(os.path.abspath(name)) or name
