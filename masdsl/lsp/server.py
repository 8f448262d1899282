"""The server's state, and when what is checked: at once when a file is opened or saved, a moment after a keystroke."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from masdsl.config import CONFIG_NAME
from masdsl.editor.document import Document
from masdsl.editor.positions import UTF16, Place, Positions, replaced
from masdsl.editor.workspace import Text, Workspace
from masdsl.lsp import convert
from masdsl.lsp.client import Client
from masdsl.node import Span
from masdsl.version import __version__

PAUSE: Final = 0.12
"""Seconds without a keystroke after which a text is checked for diagnostics."""
_CONFIGURES: Final = (CONFIG_NAME, "pyproject.toml", "mas.lock")
P = TypeVar("P")
R = TypeVar("R")


class MasServer(LanguageServer):
    """A session with one client, which can show what `client` says. `files` are its texts.

    `is_shut`: the client has said `shutdown`; `is_left`: it has said `exit` without that.
    """

    def __init__(self) -> None:
        super().__init__("masdsl", __version__, lsp.TextDocumentSyncKind.Incremental)
        self.files = Workspace()
        self.client = Client()
        self.is_shut = False
        self.is_left = False
        self._uris: dict[str, str] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._told: dict[str, dict[str, list[lsp.Diagnostic]]] = {}

    # ------------------------------------------------------------ documents

    def begin(self, params: lsp.InitializeParams) -> None:
        """Know the client's folders and units of columns, and what it can show."""
        self.client = Client.of(params.capabilities)
        folders = [one.uri for one in params.workspace_folders or ()]
        if not folders and params.root_uri:
            folders = [params.root_uri]
        roots = tuple(convert.name_of(uri) for uri in folders)
        encoding = str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))
        self.files = Workspace(roots, encoding or UTF16)

    def take(self, uri: str, raw: str) -> str:
        """Take the text of a document that the client opened; return its name."""
        name = convert.name_of(uri)
        self._uris[name] = uri
        self.files.open(name, raw)
        return name

    def change(self, uri: str, changes: Iterable[lsp.TextDocumentContentChangeEvent]) -> str:
        """Take changes of an open document, each of the text after those before it; return the document's name.

        pygls has the text as well, but ends lines at more characters than the protocol does (such as U+2028).
        """
        name = convert.name_of(uri)
        text = self.files.text(name)
        raw = "" if text is None else text.raw
        for one in changes:
            if isinstance(one, lsp.TextDocumentContentChangePartial):
                begin, end = (Place(place.line, place.character) for place in (one.range.start, one.range.end))
                raw = replaced(raw, begin, end, one.text, self.files.encoding)
            else:
                raw = one.text
        return self.take(uri, raw)

    def uri(self, name: str) -> str:
        """Return the URI of a source, as the client writes it where it is open."""
        return self._uris.get(name) or convert.uri_of(name)

    def document(self, uri: str) -> tuple[Document, Positions] | None:
        """Return a document, checked as it is now, with its positions."""
        name = convert.name_of(uri)
        document, text = self.files.document(name), self.files.text(name)
        return None if document is None or text is None else (document, text.positions)

    def location(self, name: str, span: Span) -> lsp.Location | None:
        """Return a place in a file, open or not."""
        text = self.files.text(name)
        return None if text is None else lsp.Location(self.uri(name), convert.range_of(text.positions, span))

    # ------------------------------------------------------------ diagnostics

    def check_soon(self, name: str) -> None:
        """Check a text when nothing has been written for a moment."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.cancel()
        self._waiting[name] = asyncio.get_running_loop().call_later(PAUSE, guarded(self._check_now), self, name)

    @staticmethod
    def _check_now(server: MasServer, name: str) -> None:
        server.check(name)

    def check(self, name: str) -> None:
        """Check a text, and those that import it, and tell the client what was found."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.cancel()
        for one in (name, *self.files.dependents(name)):
            if self.files.is_open(one):
                self._publish(one)

    def check_all(self) -> None:
        """Check everything that is open."""
        for name in self.files.open_names():
            self._publish(name)

    def _publish(self, name: str) -> None:
        document = self.files.document(name)
        if document is None:
            return
        found: dict[str, list[lsp.Diagnostic]] = {name: []}
        for finding in document.findings:
            about = finding.source.name
            about = about if about.startswith("<") else os.path.abspath(about)
            text = self.files.text(about) or Text("", Positions(""), finding.source)
            if about != name and self.files.is_open(about):
                continue  # it is told with that file
            found.setdefault(about, []).append(convert.diagnostic(text.positions, finding, self.uri(about)))
        self._tell(name, found)

    def _tell(self, origin: str, found: dict[str, list[lsp.Diagnostic]]) -> None:
        """Publish what a check of `origin` found, by file; what it found before in others is taken back."""
        before = [about for about, by in self._told.items() if origin in by and about not in found]
        for about in before:
            del self._told[about][origin]
        for about, diagnostics in found.items():
            self._told.setdefault(about, {})[origin] = diagnostics
        for about in (*found, *before):
            told = [one for by in self._told.get(about, {}).values() for one in by]
            version = None
            if self.files.is_open(about):
                version = self.workspace.get_text_document(self.uri(about)).version
            params = lsp.PublishDiagnosticsParams(self.uri(about), _distinct(told), version)
            self.text_document_publish_diagnostics(params)

    def forget(self, uri: str) -> None:
        """A document was closed: what was told of it is taken back, and the file counts for those that import it."""
        name = convert.name_of(uri)
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.cancel()
        users = self.files.dependents(name)
        self.files.close(name)
        self._tell(name, {name: []})
        self._uris.pop(name, None)
        for user in users:
            self._publish(user)

    def changed_on_disk(self, names: Iterable[str]) -> None:
        """Files have changed: check again whatever depends on them."""
        users: dict[str, None] = {}
        for name in names:
            if os.path.basename(name) in _CONFIGURES:
                users |= dict.fromkeys(self.files.open_names())
            else:
                users |= dict.fromkeys(self.files.dependents(name))
            self.files.changed(name)
        for user in users:
            self._publish(user)

    def report(self, error: BaseException) -> None:
        """Tell the client's log of a fault of ours, with the place of it."""
        trace = "".join(traceback.format_exception(error)[-4:])
        message = f"masdsl: a request failed: {type(error).__name__}: {error}\n{trace}"
        self.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, message[:4_000]))


def guarded(work: Callable[[MasServer, P], R]) -> Callable[[MasServer, P], R | None]:
    """Return a handler that never fails: a fault of ours is logged, and the answer is that there is none.

    What a request is refused for is passed on.
    """

    @wraps(work)
    def handler(server: MasServer, params: Any) -> R | None:
        try:
            return work(server, params)
        except JsonRpcException:
            raise
        except Exception as error:
            server.report(error)
            return None

    return handler


def _distinct(diagnostics: list[lsp.Diagnostic]) -> list[lsp.Diagnostic]:
    kept: dict[tuple[object, ...], lsp.Diagnostic] = {}
    for one in diagnostics:
        start = one.range.start
        kept.setdefault((one.code, start.line, start.character), one)
    return list(kept.values())
