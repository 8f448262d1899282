"""A client of the language server: `mas lsp` in a process of its own, spoken to over its standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as TooLate
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pytest_lsp import LanguageClient, client_capabilities

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
T = TypeVar("T")


class Session:
    """A session. Its methods wait for answers; what the server says by itself is in `diagnostics` and `log`."""

    def __init__(
        self,
        folder: Path,
        encodings: tuple[str, ...] = (),
        watches: bool = False,
        editor: str = "visual-studio-code",
        less: Callable[[lsp.TextDocumentClientCapabilities], None] = lambda document: None,
    ) -> None:
        """`editor` is whose capabilities the client has, as `pytest-lsp` knows them; `less` takes some of them away."""
        self.folder = folder
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.versions: dict[str, int | None] = {}
        self.log: list[str] = []
        self.registered: list[str] = []
        self._news = threading.Condition()
        self._count: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.client = LanguageClient()
        self._listen()
        capabilities = client_capabilities(editor)
        assert capabilities.text_document is not None
        less(capabilities.text_document)
        self._do(self._start(capabilities, encodings, watches))

    def _listen(self) -> None:
        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            with self._news:
                self.diagnostics[params.uri] = list(params.diagnostics)
                self.versions[params.uri] = params.version
                self._count[params.uri] = self._count.get(params.uri, 0) + 1
                self._news.notify_all()

        @self.client.feature(lsp.WINDOW_LOG_MESSAGE)
        def logged(params: lsp.LogMessageParams) -> None:
            self.log.append(params.message)

        @self.client.feature(lsp.WINDOW_SHOW_MESSAGE)
        def shown(params: lsp.ShowMessageParams) -> None:
            self.log.append(params.message)

        @self.client.feature(lsp.CLIENT_REGISTER_CAPABILITY)
        def registered(params: lsp.RegistrationParams) -> None:
            self.registered += [one.method for one in params.registrations]

    async def _start(self, capabilities: lsp.ClientCapabilities, encodings: tuple[str, ...], watches: bool) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        await self.client.start_io(sys.executable, "-m", "masdsl", "lsp", env=environment, cwd=str(self.folder))
        assert capabilities.workspace is not None
        files = lsp.DidChangeWatchedFilesClientCapabilities(dynamic_registration=watches)
        capabilities.workspace.did_change_watched_files = files
        capabilities.general = capabilities.general or lsp.GeneralClientCapabilities()
        capabilities.general.position_encodings = [lsp.PositionEncodingKind(one) for one in encodings] or None
        self.client.capabilities = capabilities  # by which `pytest-lsp` judges the answers
        folders = [lsp.WorkspaceFolder(self.folder.as_uri(), self.folder.name)]
        params = lsp.InitializeParams(capabilities, workspace_folders=folders)
        self.capabilities = (await self.client.initialize_async(params)).capabilities
        self.client.initialized(lsp.InitializedParams())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(PATIENCE)
        except TooLate:
            raise AssertionError(f"the server did not answer; it said: {self.log}") from None

    def close(self) -> None:
        """End the session as an editor does."""

        async def end() -> None:
            await self.client.shutdown_async(None)
            self.client.exit(None)
            await asyncio.wait_for(self.client._server.wait(), PATIENCE)
            await self.client.stop()

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    # ------------------------------------------------------------ texts

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str, *, wait: bool = True) -> str:
        """Open a text, and wait for what is found in it."""
        uri = name if ":" in name else self.uri(name)
        before = self._count.get(uri, 0)
        document = lsp.TextDocumentItem(uri, "mas", 1, text)
        self._say(self.client.text_document_did_open, lsp.DidOpenTextDocumentParams(document))
        if wait:
            self.wait(uri, before)
        return uri

    def change(self, uri: str, text: str, version: int = 2, *, wait: bool = True) -> None:
        """Change the whole text, and wait for what is found in it."""
        before = self._count.get(uri, 0)
        identity = lsp.VersionedTextDocumentIdentifier(version, uri)
        change = lsp.TextDocumentContentChangeWholeDocument(text)
        self._say(self.client.text_document_did_change, lsp.DidChangeTextDocumentParams(identity, [change]))
        if wait:
            self.wait(uri, before)

    def edit(self, uri: str, changes: list[lsp.TextDocumentContentChangeEvent], version: int = 2) -> None:
        """Change parts of a text, one after the other, and wait for what is found in it."""
        before = self._count.get(uri, 0)
        identity = lsp.VersionedTextDocumentIdentifier(version, uri)
        self._say(self.client.text_document_did_change, lsp.DidChangeTextDocumentParams(identity, changes))
        self.wait(uri, before)

    def shut(self, uri: str) -> None:
        """Close a text, and wait until what was found in it is taken back."""
        before = self._count.get(uri, 0)
        identity = lsp.TextDocumentIdentifier(uri)
        self._say(self.client.text_document_did_close, lsp.DidCloseTextDocumentParams(identity))
        self.wait(uri, before)

    def count(self, uri: str) -> int:
        """Return how often something was published about a text."""
        return self._count.get(uri, 0)

    def wait(self, uri: str, before: int) -> list[lsp.Diagnostic]:
        """Wait until something is published about a text once more than `before` times."""
        with self._news:
            came = self._news.wait_for(lambda: self._count.get(uri, 0) > before, PATIENCE)
        assert came, f"nothing was published about {uri}; the server said: {self.log}"
        return self.diagnostics[uri]

    def codes(self, uri: str) -> list[str]:
        """Return the codes of the findings in a text."""
        return [str(one.code) for one in self.diagnostics[uri]]

    def errors(self, uri: str) -> list[str]:
        """Return the codes of the errors in a text."""
        return [str(one.code) for one in self.diagnostics[uri] if one.severity == lsp.DiagnosticSeverity.Error]

    def _say(self, work: Callable[[Any], None], params: object) -> None:
        async def say() -> None:
            work(params)

        self._do(say())

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._say(getattr(self.client, method), params)

    # ------------------------------------------------------------ questions

    def ask(self, method: str, params: Any) -> Any:
        """Send a request, such as `text_document_hover`, and return the answer."""
        return self._do(getattr(self.client, f"{method}_async")(params))
