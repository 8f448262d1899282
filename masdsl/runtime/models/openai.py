"""Any server that speaks OpenAI's chat protocol: a URL, a model name and perhaps a key.

One `complete` is one answer or one `ModelError`; the only repeated request is the one whose optional parameter the
server refused, which costs nothing and happens once per parameter and model (see `Dialect`). A deadline bounds the
whole call on the wall clock, however slowly the bytes come, and bodies beyond 1 MiB are given up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from masdsl.redaction import Secret, one_line
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.models.chat_api import (
    DEFAULT_TIMEOUT,
    MAX_BODY_BYTES,
    Dialect,
    fault_of,
    message_of,
    no_grammars,
    reply_of,
    retry_after,
    without_beginning,
)
from masdsl.runtime.models.keys import secret_from
from masdsl.runtime.models.tool_calls import ADVICE, is_about_tools, tool_options, wire_messages

if TYPE_CHECKING:
    import httpx

_CHAT = "/chat/completions"


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class OpenAIModel:
    """A model behind an OpenAI-compatible URL.

    `url` is the base (`http://127.0.0.1:8000/v1`) or the full address of the chat endpoint; `model` is the server's
    name for the model. `key_env` names the environment variable with the key, None for servers that need none; it is
    read at each call, and a missing one is the failure `auth`. `timeout` in seconds bounds every call, also where the
    request allows more. With `tool_calls` it is told of tools by the protocol. `grammars` is the notation of those that
    the server keeps to (`llguidance`, `gbnf`), or nothing for none.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str,
        model: str,
        key_env: str | None = None,
        price: Price | None = None,
        timeout: float | None = None,
        tool_calls: bool = False,
        grammars: str = "",
    ) -> None:
        self.tool_calls = tool_calls
        self.grammars = grammars
        self._name = name
        self._price = price
        self._url = url.rstrip("/") if url.rstrip("/").endswith(_CHAT) else url.rstrip("/") + _CHAT
        self._model = model
        self._key_env = key_env
        self._timeout = timeout
        self._dialect = Dialect()
        # A connection belongs to the event loop that opened it, and one model may serve several loops in turn.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        return self._name

    @property
    def price(self) -> Price | None:
        """USD per million tokens, None where the configuration gives none."""
        return self._price

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        if request.grammar and not self.grammars:
            raise no_grammars(self._name)
        secret = secret_from(self._key_env)
        limits = [limit for limit in (request.timeout, self._timeout) if limit is not None]
        seconds = min(limits, default=DEFAULT_TIMEOUT)
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(request, secret)
        except TimeoutError:
            raise ModelError("timeout", f"no answer from {self._host} within {seconds:g} s", billed=True) from None

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    @property
    def _host(self) -> str:
        """The server without path and credentials, for messages."""
        try:
            parts = urlsplit(self._url)
            return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        except ValueError:
            return "the server"

    async def _ask(self, request: Request, secret: Secret) -> Reply:
        dialect = self._dialect
        while True:
            options, envelope = dialect.options(request)
            asked = {"model": self._model, "messages": wire_messages(request.messages), "stream": False}
            answer = await self._post({**asked, **tool_options(request), **options}, secret)
            body = _parsed(answer.body)
            if 200 <= answer.status < 300:
                if body is None:
                    raise ModelError("connection", f"the answer of {self._host} is not JSON", billed=True)
                reply = reply_of(body, envelope, secret, with_calls=bool(request.tools))
                self._dialect = dialect
                return without_beginning(reply, request) if request.grammar else reply
            said = message_of(body) if body is not None else answer.body[:2000].decode("utf-8", "replace")
            simpler = dialect.after_refusal(answer.status, said, options)
            if simpler is None:
                said = f"{said}; {ADVICE}" if is_about_tools(said, request) else said
                raise fault_of(answer.status, said, retry_after=retry_after(answer.headers), secret=secret)
            dialect = simpler

    async def _post(self, payload: Mapping[str, Any], secret: Secret) -> _Answer:
        httpx = _httpx()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if secret.reveal():
            headers["Authorization"] = f"Bearer {secret.reveal()}"
        content = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")  # lone surrogates become "?"
        try:
            _ = urlsplit(self._url).port  # httpx would let a port beyond 65535 fail deep in the event loop
            async with self._client().stream("POST", self._url, content=content, headers=headers) as response:
                body = bytearray()
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        detail = f"the answer of {self._host} is larger than {MAX_BODY_BYTES} bytes, so it was given up"
                        raise ModelError("too_large", detail, billed=True)
                return _Answer(response.status_code, response.headers, bytes(body))
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.ProxyError, ValueError) as fault:
            detail = f"no connection to {self._host}: {secret.redact(str(fault)) or type(fault).__name__}"
            raise ModelError("connection", one_line(detail)) from None
        except httpx.HTTPError as fault:
            detail = f"the connection to {self._host} broke: {secret.redact(str(fault)) or type(fault).__name__}"
            raise ModelError("connection", one_line(detail), billed=True) from None

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # No timeout and no limit of its own: `complete` keeps the one deadline, the runtime the number of calls.
            httpx = _httpx()
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            client = self._clients[loop] = httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=False)
        return client


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise ModelError("unavailable", "models behind a URL need the package httpx: pip install httpx") from None
    return httpx


def _parsed(body: bytes) -> object | None:
    """Return the JSON in a body, None where there is none. Bytes that are no UTF-8 become U+FFFD: the rest is paid."""
    try:
        parsed: object = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return parsed
