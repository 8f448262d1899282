"""An MCP server that is started here and spoken to over its standard input and output, a message a line.

The SDK has such a transport too; this one bounds how long a line may be, keeps the last words of a server that dies,
and ends all that the server has started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any, Final

from masdsl.config import Server
from masdsl.redaction import Secret, one_line
from masdsl.tools.mcp_line import Line

GRACE_SECONDS: Final = 1.0
"""How long a server has to end by itself after its input was closed, and again after it was asked to."""
_KEPT: Final = 2_000  # bytes of what it last said on its standard error


@contextlib.asynccontextmanager
async def started(server: Server, secret: Secret, most_bytes: int, connection: Line) -> AsyncIterator[Any]:
    """Start a server and give the streams of messages from it and to it; end it afterwards.

    `connection` is cut when it closes its output, or sends a line of more than `most_bytes`. Raises OSError where it
    cannot be started.
    """
    import anyio
    from mcp.client.stdio import get_default_environment

    environment = get_default_environment() | {name: os.environ[name] for name in server.env}
    process = await asyncio.create_subprocess_exec(
        *server.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=server.folder or None,
        env=environment,
        limit=most_bytes,
        start_new_session=True,
    )
    to_us, from_server = anyio.create_memory_object_stream[Any](0)
    to_server, from_us = anyio.create_memory_object_stream[Any](0)
    last_words = bytearray()

    async def read() -> None:
        assert process.stdout is not None
        async with to_us:
            try:
                while line := await process.stdout.readline():
                    message = _parsed(line)
                    if message is not None:
                        await to_us.send(message)
                await asyncio.wait([listening], timeout=GRACE_SECONDS)
                connection.cut(f"it ended{_said(last_words, secret)}")
            except ValueError:  # what `readline` says about a line beyond the limit
                connection.cut(f"it sent a message of more than {most_bytes} bytes")
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
                connection.cut("its output broke off")

    async def write() -> None:
        assert process.stdin is not None
        async with from_us:
            async for message in from_us:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    process.stdin.write(text.encode("utf-8", "replace") + b"\n")
                    await process.stdin.drain()
                except (ConnectionError, RuntimeError):
                    return

    async def listen() -> None:
        assert process.stderr is not None
        while part := await process.stderr.read(4096):
            last_words.extend(part)
            del last_words[:-_KEPT]

    listening = asyncio.create_task(listen())
    tasks = [listening, asyncio.create_task(read()), asyncio.create_task(write())]
    try:
        yield from_server, to_server
    finally:
        await asyncio.shield(_end(process))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in (from_server, to_server, to_us, from_us):
            stream.close()


def _said(last_words: bytearray, secret: Secret) -> str:
    """Return the last line that a server wrote on its standard error, in words to go on with."""
    lines = last_words.decode("utf-8", "replace").strip().splitlines()
    return f"; its last words: {one_line(secret.redact(lines[-1]), 200)}" if lines else ""


def _parsed(line: bytes) -> Any:
    """Return the message that a line is (`SessionMessage`); None for anything else that a server prints."""
    import mcp_types
    from mcp.shared.message import SessionMessage

    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a server as the protocol says: close its input, wait, ask, and then leave nothing of it."""
    if process.stdin is not None:
        process.stdin.close()
    for how in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
                break
        _signal(process, how)
    await process.wait()
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))  # what it has started itself
    transport = getattr(process, "_transport", None)  # a pipe that is still full would keep it open
    if transport is not None:
        transport.close()


def _signal(process: asyncio.subprocess.Process, how: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
