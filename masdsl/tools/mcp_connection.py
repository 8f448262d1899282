"""One connection to an MCP server, through the official SDK (`mcp`, extra `masdsl[mcp]`).

The SDK's client lives in a task of its own, from the handshake to the end; uses come from other tasks. A server that
dies is started again when it is needed, a few times. What it says about failures is shown without the values of the
environment variables that it was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from masdsl.config import Server
from masdsl.diagnostics.suggest import did_you_mean
from masdsl.redaction import Secret, one_line
from masdsl.tools.base import ToolFault, ToolUnusable
from masdsl.tools.mcp_line import Line
from masdsl.tools.mcp_schema import ServerTool

READY_SECONDS: Final = 30.0
MOST_BYTES: Final = 4 * 1024 * 1024
MOST_STARTS: Final = 3
MOST_PAGES: Final = 50


class Connection:
    """A server, connected when it is first needed. One event loop uses it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._secret = Secret()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._line = Line()
        self._client: Any = None
        self._tools: Mapping[str, ServerTool] = {}
        self._starts = 0
        self._last_words = ""

    async def tool(self, name: str) -> ServerTool:
        """Return a tool of the server. Raises ToolUnusable where it has none of that name, or cannot be connected."""
        await self._ready()
        tool = self._tools.get(name)
        if tool is None:
            listed = ", ".join(list(self._tools)[:20]) or "none"
            advice = did_you_mean(name, self._tools, f"its tools are {listed}")
            raise ToolUnusable(f"the MCP server `{self._server.name}` has no tool `{name}`; {advice}")
        return tool

    async def tools(self) -> list[ServerTool]:
        """Return all tools of the server. Raises ToolUnusable where it cannot be connected."""
        await self._ready()
        return list(self._tools.values())

    async def call(self, name: str, arguments: dict[str, object], seconds: float) -> Any:
        """Return what a tool gives. Raises ToolFault where it fails, ToolUnusable where the server is out of reach."""
        client = await self._ready()
        try:
            return await client.call_tool(name, arguments, read_timeout_seconds=seconds)
        except Exception as error:  # of the protocol, of its types, of the connection
            if self._is_lost(error):
                self._line.cut()
                raise ToolFault(f"the MCP server `{self._server.name}` broke off: {self._why(error)}") from None
            raise ToolFault(self._why(error)) from None

    async def close(self) -> None:
        """End the connection, and the server if it was started here."""
        task, self._task, self._client = self._task, None, None
        self._line.cut()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    def shown(self, said: str) -> str:
        """Return what the server said as one line without secrets."""
        return one_line(self._secret.redact(said))

    # ------------------------------------------------------------ inside

    async def _ready(self) -> Any:
        async with self._lock:
            if self._task is not None and not self._task.done() and not self._line.is_cut:
                return self._client
            if self._starts >= MOST_STARTS:
                reason = f": {self._last_words}" if self._last_words else ""
                raise ToolUnusable(f"the MCP server `{self._server.name}` broke off {self._starts} times{reason}")
            await self.close()
            self._starts += 1
            self._line = Line()
            ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._serve(ready, self._line))
            seconds = self._server.timeout or READY_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    self._client = await ready
            except TimeoutError:
                await self._abandon()
                raise ToolUnusable(
                    f"the MCP server `{self._server.name}`{_at(self._server)} is not ready after {seconds:g} s; "
                    f"`timeout` under [mcp.{self._server.name}] gives it longer"
                ) from None
            except asyncio.CancelledError:
                await self._abandon()
                raise
            return self._client

    async def _abandon(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self.close()

    async def _serve(self, ready: asyncio.Future[Any], line: Line) -> None:
        """Hold the connection open until it is cut; say in `ready` that it is open, or why not."""
        try:
            Client = _sdk()  # noqa: N806
            self._secret = _secret(self._server)
            async with Client(_transport(self._server, self._secret, line)) as client:
                self._tools = await _listed(client)
                if not ready.done():
                    ready.set_result(client)
                await line.wait()
        except ToolUnusable as unusable:
            self._failed(ready, unusable)
        except Exception as error:  # whatever a server, or the SDK about it, may come up with
            said = f"the MCP server `{self._server.name}`{_at(self._server)} cannot be used: {self._why(error)}"
            self._failed(ready, ToolUnusable(said))
        finally:
            line.cut()
            if not ready.done():
                ready.cancel()

    def _failed(self, ready: asyncio.Future[Any], unusable: ToolUnusable) -> None:
        self._last_words = str(unusable)
        if not ready.done():
            ready.set_exception(unusable)

    def _is_lost(self, error: Exception) -> bool:
        """Whether the connection is of no more use."""
        from mcp_types import CONNECTION_CLOSED

        closed = getattr(error, "code", None) == CONNECTION_CLOSED or "ession terminated" in str(error)
        broken = isinstance(error, OSError | RuntimeError) and not isinstance(error, TimeoutError)
        return closed or broken or self._line.is_cut

    def _why(self, error: BaseException) -> str:
        """Return what an error says in a line, without secrets; of a group, what its first one says."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        said = self._line.why or str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError) and self._server.command:
            said = f"`{self._server.command[0]}` cannot be started: {error.strerror}"
        return self.shown(said)


def _at(server: Server) -> str:
    """Return where a server is that is not started here, for messages: without a password and a query."""
    try:
        parts = urlsplit(server.url or "")
    except ValueError:  # no address at all
        return ""
    if not parts.netloc:
        return ""
    return f" at {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _sdk() -> Any:
    """Return the SDK's client. Raises ToolUnusable without it."""
    try:
        from mcp import Client
    except ImportError:
        raise ToolUnusable("tools of MCP servers need the package mcp: pip install 'masdsl[mcp]'") from None
    for name in ("mcp", "httpx2"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)  # it logs what servers say, secrets included
    return Client


def _secret(server: Server) -> Secret:
    """Return the values of the variables that the server gets. Raises ToolUnusable for one that is not set."""
    values = []
    for name in (*server.env, *([server.key_env] if server.key_env else [])):
        value = os.environ.get(name, "").strip()
        if not value:
            raise ToolUnusable(f"the environment variable {name} is not set: the MCP server `{server.name}` needs it")
        values.append(value)
    return Secret(*values)


def _transport(server: Server, secret: Secret, line: Line) -> contextlib.AbstractAsyncContextManager[Any]:
    most_bytes = server.bytes or MOST_BYTES
    if server.url is None:
        from masdsl.tools.mcp_process import started

        return started(server, secret, most_bytes, line)
    return _over_http(server, secret, most_bytes)


@contextlib.asynccontextmanager
async def _over_http(server: Server, secret: Secret, most_bytes: int) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    from masdsl.tools.mcp_http import capped_client

    key = secret.reveal() if server.key_env else ""
    if key and (not key.isascii() or not key.isprintable()):
        raise ToolUnusable(f"the environment variable {server.key_env} holds characters that no key has: set it again")
    async with capped_client(key, most_bytes) as client:
        address = server.url or ""
        async with streamable_http_client(address, http_client=client, max_sse_event_size=most_bytes) as streams:
            yield streams


async def _listed(client: Any) -> dict[str, ServerTool]:
    """Return the tools that a server has."""
    tools: dict[str, ServerTool] = {}
    cursor = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            notes = tool.annotations
            read_only = None if notes is None else notes.read_only_hint
            changes = None if read_only is None else not read_only
            if notes is not None and notes.destructive_hint and not read_only:
                changes = True
            tools[tool.name] = ServerTool(tool.name, tool.input_schema, tool.output_schema, changes)
        cursor = page.next_cursor
        if not cursor:
            break
    return tools
