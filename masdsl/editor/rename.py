"""Renaming: every place at which a name stands gets another one, and what comes of it is checked before it counts.

A rename is refused, with the reason, where a program that is changed would not check any more, or where a name would
then mean something else than before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from masdsl.diagnostics.base import ERROR, Findings
from masdsl.editor import symbols
from masdsl.editor.changes import Edit
from masdsl.editor.document import Document
from masdsl.editor.symbols import IMPLICIT, Occurrence, Symbol
from masdsl.editor.workspace import Workspace, is_file
from masdsl.limits import NAME_LENGTH
from masdsl.node import Span
from masdsl.resources import is_standard
from masdsl.source import Source
from masdsl.syntax.grammar import reserved_words

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_TYPE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_FIXED: Final = {
    symbols.MODULE: "a module is called like its file: rename that",
    symbols.BUILTIN: "a built-in function keeps its name",
    symbols.TIER: "a tier is named in mas.toml",
}


class RenameRefused(Exception):
    """A rename cannot be made; the text says why."""


class Renaming(NamedTuple):
    """The edits of a rename, by the names of the files."""

    edits: Mapping[str, tuple[Edit, ...]]


def renameable(document: Document, offset: int) -> Occurrence:
    """Return the name at an offset that can be given another. Raises RenameRefused."""
    found = document.at(offset)
    if found is None:
        raise RenameRefused("here is no name that can be changed")
    symbol = found.symbol
    if symbol.kind in _FIXED:
        raise RenameRefused(_FIXED[symbol.kind])
    if is_standard(symbol.file):
        raise RenameRefused(f"`{symbol.name}` belongs to the standard library; import it `as` another name")
    if symbol.file.startswith("<library."):
        raise RenameRefused(f"`{symbol.name}` belongs to the library; import it `as` another name")
    return found


def references(workspace: Workspace, document: Document, symbol: Symbol) -> Iterable[tuple[Document, Occurrence]]:
    """Yield every place of the workspace at which a symbol is named, those of the document first."""
    if symbol.kind in (symbols.LOCAL, symbols.ITEM, symbols.LABEL) or not is_file(symbol.file):
        files: Iterable[Document] = (document,)
        if symbol.file != document.source.name and symbol.file:
            files = (document, *filter(None, (workspace.document(symbol.file),)))
    else:
        files = workspace.files_with(symbol.name, document.source.name)
        home = workspace.document(symbol.file) if symbol.file else None
        files = dict.fromkeys((*files, home)) if home is not None else files
    for one in files:
        if one is not None:
            for occurrence in one.of(symbol):
                yield one, occurrence


def rename(workspace: Workspace, document: Document, offset: int, new: str) -> Renaming:
    """Return the edits that give the name at an offset another one, wherever it is used. Raises RenameRefused."""
    symbol = renameable(document, offset).symbol
    _check_name(symbol, new)
    if new == symbol.name:
        return Renaming({})
    places: dict[str, list[Occurrence]] = {}
    documents: dict[str, Document] = {document.source.name: document}
    for one, occurrence in references(workspace, document, symbol):
        documents[one.source.name] = one
        places.setdefault(one.source.name, []).append(occurrence)
    for name, one in documents.items():
        if any(finding.diagnostic.severity == ERROR for finding in one.findings):
            raise RenameRefused(f"{_shown(name)} has errors: mend them first, for what a name means is not sure there")
    edits = {name: tuple(_edit(occurrence, symbol, new) for occurrence in found) for name, found in places.items()}
    changed = {name: Source(name, _applied(documents[name].source.text, made)) for name, made in edits.items()}
    for name in edits:
        after = workspace.checked(changed[name], Findings(), overlay=changed)
        _check_result(documents[name], after, edits[name], symbol, new)
    return Renaming(edits)


def _check_name(symbol: Symbol, new: str) -> None:
    wanted = _TYPE_NAME if symbol.kind == symbols.TYPE or symbol.name[:1].isupper() else _NAME
    if not wanted.fullmatch(new) or len(new) > NAME_LENGTH:
        if wanted is _NAME:
            advice = "small letters, digits and underscores, a letter or underscore first"
        else:
            advice = "a capital letter, then letters and digits"
        raise RenameRefused(f"`{new}` is no such name: {advice}, at most {NAME_LENGTH} characters")
    if new in reserved_words():
        raise RenameRefused(f"`{new}` is a word of the language")


def _edit(occurrence: Occurrence, symbol: Symbol, new: str) -> Edit:
    """Return the edit of one place: `use helpers`, which imports what is called so, then says what it imports."""
    if occurrence.use == IMPLICIT:
        at = occurrence.span.end
        return Edit(Span(at, at), f": {new}")
    return Edit(occurrence.span, new)


def _applied(text: str, edits: tuple[Edit, ...]) -> str:
    for span, new in sorted(edits, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text


def _check_result(before: Document, after: Document, edits: tuple[Edit, ...], symbol: Symbol, new: str) -> None:
    """Raise RenameRefused where the changed program has errors, or where some name means something else."""
    faults = [finding for finding in after.findings if finding.diagnostic.severity == ERROR]
    if faults:
        source, diagnostic = faults[0]
        line = source.position(diagnostic.span.start).line
        where = f"{_shown(source.name)}:{line}"
        raise RenameRefused(f"with `{new}` the program would have an error ({where}): {diagnostic.title()}")
    meant = {one.span: one.symbol for one in after.occurrences}
    groups: dict[Symbol, Symbol] = {}
    for one in before.occurrences:
        now = meant.get(_moved(one.span, edits))
        if one.use != IMPLICIT and (now is None or groups.setdefault(one.symbol, now) != now):
            line = before.source.position(one.span.start).line
            raise RenameRefused(f"`{one.symbol.name}` on line {line} would then mean something else")
    if len(set(groups.values())) != len(groups):
        raise RenameRefused(f"`{new}` would then mean two things")


def _moved(span: Span, edits: tuple[Edit, ...]) -> Span:
    """Return where a name stands after the edits."""
    shift = sum(
        len(text) - (other.end - other.start) for other, text in edits if other.end <= span.start and other != span
    )
    size = next((len(text) for other, text in edits if other == span), span.end - span.start)
    return Span(span.start + shift, span.start + shift + size)


def _shown(name: str) -> str:
    return os.path.basename(name) if is_file(name) else name
