"""The HTTP client for MCP servers at an address: with a key, without redirects, and with a cap on every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

_TIMEOUT = httpx2.Timeout(30.0, read=None)  # how long an answer may take is the use's to say


def capped_client(key: str, most_bytes: int) -> httpx2.AsyncClient:
    """Return a client that sends `key`, if there is one, and breaks off answers of more than so many bytes.

    Event streams may go on for longer: there the SDK caps every event.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.AsyncClient(
        headers=headers, timeout=_TIMEOUT, transport=_Capped(most_bytes), follow_redirects=False, trust_env=False
    )


class _Capped(httpx2.AsyncHTTPTransport):
    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _CappedStream(response.stream, self._most_bytes)
        return response


class _CappedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, most_bytes: int) -> None:
        self._stream = stream
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for part in self._stream:
            seen += len(part)
            if seen > self._most_bytes:
                raise httpx2.ReadError(f"an answer is larger than {self._most_bytes} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
