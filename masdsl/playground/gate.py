"""Who is answered at all, and what every answer forbids the browser.

Whoever holds the token may do what its user may: write a file, spend money. So, before anything looks at a request:

token    the first part of the path, compared in constant time; without it there is nothing here: 404, no body
Host     has to be the address that was printed, so that no stranger's name that points here (DNS rebinding) is one
Origin   has to be ours, where it says anything; a WebSocket, and what changes something, has to say it
Sec-Fetch-Site   where a browser says that another site, or another port, asks: nothing

One address may be reached from elsewhere, by navigating there: `TOKEN/enter`, which holds nothing but the way to the
page. A file that a browser is opened with (`--open`) is another site for it.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Final, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log: Final = logging.getLogger("masdsl.playground")
TOKEN_BYTES: Final = 32
NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of whatever is no page: a browser that shows it runs and loads nothing."""
HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", NOTHING.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_ENTER: Final = (
    b'<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=./"><title>mas</title>'
)
_READING: Final = ("GET", "HEAD")


class Address(NamedTuple):
    """Where a playground is: only who knows all of it gets in."""

    port: int
    token: str

    @property
    def authority(self) -> str:
        """What the header `Host` has to say."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """What the header `Origin` says of our own page."""
        return f"http://{self.authority}"

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"{self.origin}/{self.token}/"


def fresh_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Gate:
    """The outermost layer of the application: inside, paths are those below the token."""

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self._app = app
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say nothing."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                begun = True
                names = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in HEADERS if name not in names]
                message = {**message, "headers": [*message["headers"], *more]}
            begun = begun or message["type"] == "websocket.accept"
            await send(message)

        path = self.below_token(scope["path"])
        headers = _headers(scope)
        try:
            if path is None or not self._is_ours(scope, headers, path):
                await _nothing(scope, watched)
            elif path == "/enter":
                await _answer(200, b"text/html; charset=utf-8", _ENTER, watched)
            else:
                inside = {**scope, "path": path, "raw_path": path.encode("utf-8", "replace"), "root_path": ""}
                await self._app(inside, receive, watched)
        except Exception as error:
            if isinstance(error, ClientDisconnect) or (begun and isinstance(error, OSError)):
                return  # the browser went away
            _log.error(
                "a request failed: %s", type(error).__name__, exc_info=error
            )  # without the path: it has the token
            if not begun and scope["type"] == "http":
                await _answer(500, b"application/problem+json", _FAULT, watched)

    def below_token(self, path: str) -> str | None:
        """Return the path below the token; None where the path does not begin with it."""
        first, slash, rest = path.removeprefix("/").partition("/")
        given = first.encode("utf-8", "surrogatepass")
        is_right = hmac.compare_digest(given, self._address.token.encode("ascii"))
        return f"/{rest}" if is_right and slash else None

    def _is_ours(self, scope: Scope, headers: dict[bytes, list[bytes]], path: str) -> bool:
        if headers.get(b"host") != [self._address.authority.encode()]:
            return False
        is_socket = scope["type"] == "websocket"
        changes = is_socket or scope["method"] not in _READING
        origins = headers.get(b"origin", [])
        if any(origin != self._address.origin.encode() for origin in origins) or (changes and len(origins) != 1):
            return False
        sites = headers.get(b"sec-fetch-site", [])
        if all(site in (b"same-origin", b"none") for site in sites):
            return path != "/enter" or not changes
        return (
            path == "/enter"
            and not changes
            and headers.get(b"sec-fetch-mode") == [b"navigate"]
            and headers.get(b"sec-fetch-dest") == [b"document"]
        )


_FAULT: Final = b'{"title":"The playground made a mistake","status":500,"detail":"what happened is told where it runs",\
"next":"try again; if it stays, report it with what the terminal says"}'


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


async def _nothing(scope: Scope, send: Send) -> None:
    """Answer as if there were nothing here."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "websocket.http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _answer(status: int, kind: bytes, body: bytes, send: Send) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
