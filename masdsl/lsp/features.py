"""The handlers: one for each request and notification of the protocol that is answered."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from masdsl.editor import changes, completion, hints, hover, outline, signatures, symbols, tokens
from masdsl.editor.rename import RenameRefused, references, rename, renameable
from masdsl.editor.symbols import Occurrence
from masdsl.editor.workspace import is_file
from masdsl.lsp import convert
from masdsl.lsp.client import markup
from masdsl.lsp.server import MasServer, guarded
from masdsl.node import Span

RUN: Final = "mas.runInTerminal"
"""The command of lenses, which the client has: its one argument is a command line, as a list."""
FIX_ALL: Final = "source.fixAll.mas"
_REQUEST_FAILED: Final = -32803
_MOST_SYMBOLS: Final = 500
_WATCHED: Final = ("**/*.mas", "**/mas.toml", "**/pyproject.toml", "**/mas.lock")
F = TypeVar("F", bound=Callable[..., Any])


def make_server() -> MasServer:
    """Return a server with all that it can do, ready to be started."""
    server = MasServer()
    for feature, work, options in FEATURES:
        server.feature(feature, options)(guarded(work))
    return server


# ---------------------------------------------------------------- the session and its texts


def _initialize(server: MasServer, params: lsp.InitializeParams) -> None:
    server.begin(params)


def _initialized(server: MasServer, params: lsp.InitializedParams) -> None:
    workspace = server.client_capabilities.workspace
    watches = workspace.did_change_watched_files if workspace is not None else None
    if watches is not None and watches.dynamic_registration:
        watchers = [lsp.FileSystemWatcher(pattern) for pattern in _WATCHED]
        options = lsp.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = lsp.Registration("files", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        server.client_register_capability(lsp.RegistrationParams([registration]))


def _shut(server: MasServer, params: None) -> None:
    server.is_shut = True


def _exit(server: MasServer, params: None) -> None:
    server.is_left = not server.is_shut


def _opened(server: MasServer, params: lsp.DidOpenTextDocumentParams) -> None:
    server.check(server.take(params.text_document.uri, params.text_document.text))


def _changed(server: MasServer, params: lsp.DidChangeTextDocumentParams) -> None:
    server.check_soon(server.change(params.text_document.uri, params.content_changes))


def _saved(server: MasServer, params: lsp.DidSaveTextDocumentParams) -> None:
    name = convert.name_of(params.text_document.uri)
    if server.files.is_open(name):
        server.check(name)


def _closed(server: MasServer, params: lsp.DidCloseTextDocumentParams) -> None:
    server.forget(params.text_document.uri)


def _watched(server: MasServer, params: lsp.DidChangeWatchedFilesParams) -> None:
    server.changed_on_disk([convert.name_of(change.uri) for change in params.changes])


def _folders(server: MasServer, params: lsp.DidChangeWorkspaceFoldersParams) -> None:
    gone = {convert.name_of(one.uri) for one in params.event.removed}
    new = [convert.name_of(one.uri) for one in params.event.added]
    server.files.roots = (*(root for root in server.files.roots if root not in gone), *new)


# ---------------------------------------------------------------- what stands at a place


def _hover(server: MasServer, params: lsp.HoverParams) -> lsp.Hover | None:
    found = server.document(params.text_document.uri)
    if found is None:
        return None
    document, positions = found
    about = hover.hover(document, convert.offset_of(positions, params.position))
    return about and lsp.Hover(markup(about.text, server.client.hover), convert.range_of(positions, about.span))


def _completion(server: MasServer, params: lsp.CompletionParams) -> lsp.CompletionList | None:
    found = server.document(params.text_document.uri)
    if found is None:
        return None
    document, positions = found
    offset = convert.offset_of(positions, params.position)
    items = completion.complete(server.files, document.source.name, offset)
    return lsp.CompletionList(False, [convert.completion_item(positions, item, server.client) for item in items])


def _signature(server: MasServer, params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
    found = server.document(params.text_document.uri)
    if found is None:
        return None
    document, positions = found
    made = signatures.signature_help(document, convert.offset_of(positions, params.position))
    return None if made is None else convert.signature_help(made, server.client)


def _named(server: MasServer, uri: str, at: lsp.Position) -> Occurrence | None:
    found = server.document(uri)
    return None if found is None else found[0].at(convert.offset_of(found[1], at))


def _definition(server: MasServer, params: lsp.DefinitionParams) -> lsp.Location | None:
    found = _named(server, params.text_document.uri, params.position)
    if found is None:
        return None
    symbol = found.symbol
    if (symbol.target is not None and found.use == symbols.DECLARE) or symbol.target is not None:
        symbol = symbol.meant
    if not symbol.file:
        return None
    length = 0 if symbol.kind == symbols.MODULE else len(symbol.name)
    return server.location(symbol.file, Span(symbol.start, symbol.start + length))


def _references(server: MasServer, params: lsp.ReferenceParams) -> list[lsp.Location]:
    found = server.document(params.text_document.uri)
    one = _named(server, params.text_document.uri, params.position)
    if found is None or one is None:
        return []
    places = []
    for document, occurrence in references(server.files, found[0], one.symbol):
        if occurrence.use != symbols.DECLARE or params.context.include_declaration:
            place = server.location(document.source.name, occurrence.span)
            if place is not None and place not in places:
                places.append(place)
    return places


def _highlight(server: MasServer, params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
    found = server.document(params.text_document.uri)
    one = _named(server, params.text_document.uri, params.position)
    if found is None or one is None:
        return []
    document, positions = found
    kinds = {symbols.DECLARE: lsp.DocumentHighlightKind.Write, symbols.WRITE: lsp.DocumentHighlightKind.Write}
    return [
        lsp.DocumentHighlight(
            convert.range_of(positions, each.span), kinds.get(each.use, lsp.DocumentHighlightKind.Read)
        )
        for each in document.of(one.symbol)
    ]


# ---------------------------------------------------------------- changes


def _prepare_rename(server: MasServer, params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
    found = server.document(params.text_document.uri)
    if found is None:
        return None
    document, positions = found
    try:
        one = renameable(document, convert.offset_of(positions, params.position))
    except RenameRefused as why:
        raise JsonRpcException(str(why), _REQUEST_FAILED) from why
    return lsp.PrepareRenamePlaceholder(convert.range_of(positions, one.span), one.symbol.name)


def _rename(server: MasServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    found = server.document(params.text_document.uri)
    if found is None:
        return None
    document, positions = found
    try:
        made = rename(server.files, document, convert.offset_of(positions, params.position), params.new_name)
    except RenameRefused as why:
        raise JsonRpcException(str(why), _REQUEST_FAILED) from why
    edits = {}
    for name, parts in made.edits.items():
        text = server.files.text(name)
        if text is not None:
            edits[server.uri(name)] = convert.text_edits(text.positions, parts)
    return lsp.WorkspaceEdit(edits)


def _actions(server: MasServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    uri = params.text_document.uri
    found = server.document(uri)
    if found is None:
        return []
    document, positions = found
    wanted = [str(getattr(kind, "value", kind)) for kind in params.context.only or ()]

    def asked(kind: str) -> bool:
        return not wanted or any(kind == one or kind.startswith(f"{one}.") for one in wanted)

    made = []
    if asked("quickfix"):
        within = Span(convert.offset_of(positions, params.range.start), convert.offset_of(positions, params.range.end))
        for action in changes.actions(server.files, document, within):
            about = [convert.diagnostic(positions, action.finding, uri)] if action.finding is not None else None
            edit = lsp.WorkspaceEdit({uri: convert.text_edits(positions, action.edits)})
            kind = lsp.CodeActionKind.QuickFix
            made.append(lsp.CodeAction(action.title, kind, about, is_preferred=action.sure or None, edit=edit))
    whole = changes.fix_all(server.files, document) if asked(FIX_ALL) else None
    if whole is not None:
        edit = lsp.WorkspaceEdit({uri: convert.text_edits(positions, whole.edits)})
        made.append(lsp.CodeAction(whole.title, FIX_ALL, edit=edit))
    return made


def _formatting(server: MasServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
    found = server.document(params.text_document.uri)
    if found is None:
        return None
    edits = changes.formatted(found[0])
    return None if edits is None else convert.text_edits(found[1], edits)


# ---------------------------------------------------------------- whole documents


def _symbols(
    server: MasServer, params: lsp.DocumentSymbolParams
) -> list[lsp.DocumentSymbol] | list[lsp.SymbolInformation]:
    uri = params.text_document.uri
    found = server.document(uri)
    if found is None:
        return []
    entries = outline.outline(found[0])
    if server.client.tree:
        return [convert.document_symbol(found[1], entry) for entry in entries]
    return [one for entry in entries for one in convert.symbol_list(found[1], uri, entry)]


def _workspace_symbols(server: MasServer, params: lsp.WorkspaceSymbolParams) -> list[lsp.WorkspaceSymbol]:
    wanted = params.query.casefold()
    made: list[lsp.WorkspaceSymbol] = []
    for name in dict.fromkeys(server.files.files()):
        for entry in outline.outline_of_file(server.files, name):
            place = server.location(name, entry.name_span) if _matches(wanted, entry.name.casefold()) else None
            if place is not None:
                container = os.path.basename(name)
                kind = convert.symbol_kind(entry.kind)
                made.append(lsp.WorkspaceSymbol(place, entry.name, kind, container_name=container))
        if len(made) >= _MOST_SYMBOLS:
            break
    return made[:_MOST_SYMBOLS]


def _matches(wanted: str, name: str) -> bool:
    """Say whether the letters of a query stand in a name, in their order."""
    letters = iter(name)
    return all(letter in letters for letter in wanted)


def _tokens(server: MasServer, params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
    found = server.document(params.text_document.uri)
    if found is None:
        return lsp.SemanticTokens([])
    return lsp.SemanticTokens(convert.token_data(found[1], tokens.semantic_tokens(found[0])))


def _tokens_in(server: MasServer, params: lsp.SemanticTokensRangeParams) -> lsp.SemanticTokens:
    found = server.document(params.text_document.uri)
    if found is None:
        return lsp.SemanticTokens([])
    document, positions = found
    first, last = (convert.offset_of(positions, at) for at in (params.range.start, params.range.end))
    inside = [one for one in tokens.semantic_tokens(document) if one.span.end > first and one.span.start < last]
    return lsp.SemanticTokens(convert.token_data(positions, inside))


def _folding(server: MasServer, params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
    found = server.document(params.text_document.uri)
    if found is None:
        return []
    return [convert.folding_range(found[1], fold) for fold in outline.folds(found[0])]


def _hints(server: MasServer, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
    found = server.document(params.text_document.uri)
    if found is None:
        return []
    document, positions = found
    within = Span(convert.offset_of(positions, params.range.start), convert.offset_of(positions, params.range.end))
    return [
        lsp.InlayHint(
            convert.position(positions, hint.offset),
            hint.label,
            lsp.InlayHintKind.Type if hint.kind == hints.TYPE else None,
            tooltip=hint.tooltip or None,
            padding_left=hint.kind == hints.COST,
        )
        for hint in hints.hints(document, within)
    ]


def _lenses(server: MasServer, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
    found = server.document(params.text_document.uri)
    if found is None:
        return []
    document, positions = found
    made = []
    for lens in hints.lenses(document):
        first, *rest = lens.arguments
        name = document.source.name
        line = ["mas", first, name, *rest] if is_file(name) else None
        if line is None and lens.action != hints.SHOW_COST:
            continue
        command = lsp.Command(lens.title, RUN if line else "", arguments=[line] if line else None)
        made.append(lsp.CodeLens(convert.range_of(positions, lens.span), command))
    return made


FEATURES: Final[tuple[tuple[str, Callable[[MasServer, Any], Any], Any], ...]] = (
    (lsp.INITIALIZE, _initialize, None),
    (lsp.INITIALIZED, _initialized, None),
    (lsp.SHUTDOWN, _shut, None),
    (lsp.EXIT, _exit, None),
    (lsp.TEXT_DOCUMENT_DID_OPEN, _opened, None),
    (lsp.TEXT_DOCUMENT_DID_CHANGE, _changed, None),
    (lsp.TEXT_DOCUMENT_DID_SAVE, _saved, None),
    (lsp.TEXT_DOCUMENT_DID_CLOSE, _closed, None),
    (lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, _watched, None),
    (lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, _folders, None),
    (lsp.TEXT_DOCUMENT_HOVER, _hover, None),
    (
        lsp.TEXT_DOCUMENT_COMPLETION,
        _completion,
        lsp.CompletionOptions(trigger_characters=[".", "{", "|", '"', ":"]),
    ),
    (lsp.TEXT_DOCUMENT_SIGNATURE_HELP, _signature, lsp.SignatureHelpOptions(["(", ","], [")"])),
    (lsp.TEXT_DOCUMENT_DEFINITION, _definition, None),
    (lsp.TEXT_DOCUMENT_REFERENCES, _references, None),
    (lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, _highlight, None),
    (lsp.TEXT_DOCUMENT_PREPARE_RENAME, _prepare_rename, None),
    (lsp.TEXT_DOCUMENT_RENAME, _rename, lsp.RenameOptions(prepare_provider=True)),
    (
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        _actions,
        lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, FIX_ALL]),
    ),
    (lsp.TEXT_DOCUMENT_FORMATTING, _formatting, None),
    (lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, _symbols, None),
    (lsp.WORKSPACE_SYMBOL, _workspace_symbols, None),
    (
        lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL,
        _tokens,
        lsp.SemanticTokensLegend(list(tokens.TYPES), list(tokens.MODIFIERS)),
    ),
    (
        lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE,
        _tokens_in,
        lsp.SemanticTokensLegend(list(tokens.TYPES), list(tokens.MODIFIERS)),
    ),
    (lsp.TEXT_DOCUMENT_FOLDING_RANGE, _folding, None),
    (lsp.TEXT_DOCUMENT_INLAY_HINT, _hints, None),
    (lsp.TEXT_DOCUMENT_CODE_LENS, _lenses, None),
)
"""Methods, their handlers and options."""
