"""The body of a request, with limits to its size and to its time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from masdsl.serve.problems import Problem

BODY_SECONDS: Final = 30.0
"""Seconds in which a body has to arrive."""


async def body_of(request: Request, most: int) -> bytes:
    """Return the body: JSON of at most so many bytes. Raises Problem."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            parts, size = [], 0
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Problem("too-large", f"a body may have {most:,} bytes", headers={"Connection": "close"})
                parts.append(part)
    except TimeoutError:
        raise Problem(
            "too-slow", f"the body took more than {BODY_SECONDS:g} s", headers={"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise Problem("malformed-request", "the caller went away") from None
    body = b"".join(parts)
    if body and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem("not-json", f"the body is {kind or 'of no type'}"[:100])
    return body
