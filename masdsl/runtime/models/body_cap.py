"""A byte cap for HTTP clients that read an answer whole, whatever its size.

It works on the transports under them, and only for requests made inside `with room_for(...)`: other users of the
process notice nothing. A transport that is not known here has no limit, but works.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Room:
    """How many bytes an answer may still have; `exceeded` tells that it had more."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.exceeded = False


_ROOM: ContextVar[Room | None] = ContextVar("masdsl_body_room", default=None)


@contextmanager
def room_for(size: int) -> Iterator[Room]:
    """Limit the answer of the request made inside to `size` bytes, after decompression."""
    room = Room(size)
    token = _ROOM.set(room)
    try:
        yield room
    finally:
        _ROOM.reset(token)


def limit_bodies() -> None:
    """Make the transports of httpx and litellm keep to `room_for`. To call it again does nothing."""
    import httpx

    kinds: list[Any] = [httpx.AsyncHTTPTransport]
    try:
        from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport

        kinds.append(LiteLLMAiohttpTransport)
    except ImportError:  # another release has another transport
        pass
    for kind in kinds:
        original = kind.__dict__.get("handle_async_request")
        if original is not None and not hasattr(original, "keeps_to_room"):
            kind.handle_async_request = _limited(original)


def _limited(original: Any) -> Any:
    import httpx

    class Limited(httpx.AsyncByteStream):
        def __init__(self, stream: Any, room: Room, compressed: bool) -> None:
            self._stream = stream
            self._room = room
            # Decompression is done here, because a few compressed bytes may stand for a thousand times as many.
            self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if compressed else None

        async def __aiter__(self) -> AsyncIterator[bytes]:
            room = self._room
            async for part in self._stream:
                if self._inflater is not None:
                    try:
                        part = self._inflater.decompress(part, room.left + 1)
                    except zlib.error:
                        raise httpx.DecodingError("the answer is not compressed as it says") from None
                room.left -= len(part)
                if room.left < 0:
                    room.exceeded = True
                    raise httpx.ReadError("the answer is too large")
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        room = _ROOM.get()
        if room is None:
            whole: httpx.Response = await original(self, request)
            return whole
        request.headers["Accept-Encoding"] = "identity"
        response: httpx.Response = await original(self, request)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("gzip", "deflate"):
            del response.headers["content-encoding"]
        elif encoding != "identity":
            raise httpx.DecodingError(f"the answer is compressed by {encoding}, which was not asked for")
        response.stream = Limited(response.stream, room, encoding != "identity")
        return response

    handle_async_request.keeps_to_room = True  # type: ignore[attr-defined]
    return handle_async_request
