"""The language server for the page: one child process for each connection, a JSON-RPC message in each text frame.

The child is `mas lsp`, as an editor starts it. It ends when the connection does; where this process is killed, its
standard input ends, and so does it. What the page sends is looked at first: it may name nothing but what is open here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from json import loads
from typing import Any, Final
from urllib.parse import unquote

from starlette.websockets import WebSocket, WebSocketDisconnect

from masdsl.playground import children
from masdsl.serve.problems import json_bytes

MOST_CONNECTIONS: Final = 8
"""Connections at once: as many windows of one person."""
MOST_RECEIVED: Final = 2 << 20
"""Bytes of a message from the page."""
MOST_SENT: Final = 16 << 20
"""Bytes of a message from the language server."""
GRACE_SECONDS: Final = 2.0
"""How long a child has to end by itself after its input has ended."""
_INVALID: Final = -32600
_URIS: Final = ("uri", "rooturi", "targeturi", "olduri", "newuri", "baseuri", "scopeuri")
_PATHS: Final = ("rootpath",)
_TEXTS: Final = ("text", "newtext", "query", "message")
"""Where anything may stand, written by a person."""
NO_MESSAGE: Final = "a text frame has to be one JSON-RPC message"
TOO_BIG, TOO_MANY, WENT_WRONG = 1009, 1013, 1011
"""Why a connection is closed, in the codes of RFC 6455."""


class NoChild(Exception):
    """The language server cannot be started; the text says why."""


class LanguageServers:
    """The connections of one playground. `root` is the URI of its folder: the child is shown nothing else."""

    def __init__(self, root: str, folder: str) -> None:
        self._root = unquote(root)
        self._folder = folder
        self._open = 0

    async def serve(self, socket: WebSocket) -> None:
        """Serve a connection until one of both ends it."""
        if self._open >= MOST_CONNECTIONS:
            await socket.accept()
            await socket.close(TOO_MANY, f"there are {MOST_CONNECTIONS} connections already; close a window")
            return
        self._open += 1
        try:
            await socket.accept()
            try:
                async with _child(self._folder) as process:
                    await self._bridge(socket, process)
            except NoChild as why:
                await socket.close(WENT_WRONG, str(why)[:100])
        finally:
            self._open -= 1

    async def _bridge(self, socket: WebSocket, process: asyncio.subprocess.Process) -> None:
        tasks = [asyncio.ensure_future(work) for work in (self._from_page(socket, process), _to_page(socket, process))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code, reason = done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if code:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
                await socket.close(code, reason)

    async def _from_page(self, socket: WebSocket, process: asyncio.subprocess.Process) -> tuple[int, str]:
        """Pass on what the page says, until it goes. Return why the connection is closed, or (0, "")."""
        assert process.stdin is not None
        while True:
            try:
                text = await socket.receive_text()
            except (WebSocketDisconnect, KeyError):  # KeyError: a binary frame
                return 0, ""
            message = _parsed(text)
            if message is None:
                return WENT_WRONG, NO_MESSAGE
            why = self._refusal(message)
            if why:
                if "id" in message and "method" in message:
                    error = {"code": _INVALID, "message": why}
                    answer = {"jsonrpc": "2.0", "id": message["id"], "error": error}
                    await socket.send_text(json_bytes(answer).decode())
                continue
            try:
                data = json_bytes(message)
                process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
                await process.stdin.drain()
            except (RecursionError, ValueError):  # what Python reads, and JSON does not have
                return WENT_WRONG, NO_MESSAGE
            except (ConnectionError, RuntimeError):
                return WENT_WRONG, "the language server has ended"

    def _refusal(self, message: Mapping[str, Any]) -> str:
        """Return why a message is not passed on: it names something outside of the folder. Empty where it may be."""
        for kind, value in _places(message):
            if kind in _PATHS:
                if value is not None:
                    return "a workspace is named by its URI"
            elif isinstance(value, str) and not self._is_inside(value):
                return "the playground shows its own folder, and nothing else"
        return ""

    def _is_inside(self, uri: str) -> bool:
        """Whether a URI is that of the folder or of something below it, whatever way it is written."""
        plain = unquote(uri)
        if plain == self._root:
            return True
        inside = plain.removeprefix(f"{self._root}/")
        return inside != plain and not any(part in ("", ".", "..") for part in re.split(r"[/\\]", inside))


def _places(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield whatever a message says where a URI or a path is said, with the key in small letters."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            for key, inner in one.items():
                small = key.lower()
                names_file = isinstance(inner, str) and inner[:5].lower() == "file:" and small not in _TEXTS
                if small in _URIS or small in _PATHS or names_file:
                    yield small, inner
                elif isinstance(inner, dict | list):
                    waiting.append(inner)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        message = loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None


async def _to_page(socket: WebSocket, process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Pass on what the child says, until it ends. Return why the connection is closed."""
    assert process.stdout is not None
    try:
        while True:
            size = 0
            while line := (await process.stdout.readline()).strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    size = int(value)
            if not size:
                return WENT_WRONG, "the language server has ended"
            if size > MOST_SENT:
                return TOO_BIG, "the language server said too much at once"
            data = await process.stdout.readexactly(size)
            await socket.send_text(data.decode("utf-8", "replace"))
    except (asyncio.IncompleteReadError, ValueError):
        return WENT_WRONG, "the language server has ended"
    except (WebSocketDisconnect, OSError, RuntimeError):
        return 0, ""


@contextlib.asynccontextmanager
async def _child(folder: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a language server, and end it afterwards. Raises NoChild."""
    try:
        process = await asyncio.create_subprocess_exec(
            *children.words("masdsl", "lsp"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=children.environment(),
            limit=1 << 16,
        )
    except OSError as error:
        raise NoChild(f"the language server cannot be started: {error.strerror}") from None
    try:
        yield process
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError, RuntimeError):
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
