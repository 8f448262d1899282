"""HTTP GET of the addresses on a list: no others, wherever a redirect or a name may lead, and never more than so much.

The connection goes to the very network address that was checked, so a name cannot change its meaning in between. No
cookies, no credentials, no proxies, nothing compressed. Blocking: the runtime calls it in a thread of its own.
"""

from __future__ import annotations

import codecs
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urljoin

from masdsl.tools.addresses import Address, Allowed, parse
from masdsl.tools.base import Declared, ToolFault, ToolUnusable
from masdsl.tools.builtin import BuiltIn, page_of, shaped, text_size
from masdsl.tools.page_text import page_text
from masdsl.tools.search import DEFAULT_PAGE, pages
from masdsl.version import __version__

MOST_BYTES: Final = 2 * 1024 * 1024
MOST_REDIRECTS: Final = 5
_CHUNK: Final = 64 * 1024
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_ODD = ("idna", "punycode", "unicode_escape", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7")
_TEXTS = ("text/", "application/json", "application/xml", "application/xhtml", "application/javascript")


class Response(NamedTuple):
    """The answer of the last address: `body` is at most as long as is allowed, `whole` says whether that is all."""

    address: Address
    status: int
    kind: str
    body: bytes
    whole: bool


def http_reader(allow: Sequence[str], *, private: bool = False, most_bytes: int | None = None) -> BuiltIn:
    """Return the tool that reads pages of the hosts and addresses in `allow` (`masdsl.tools.addresses`).

    With `private`, names on the list may stand for addresses of a private network. Of a body `most_bytes` are read.
    """

    def make(declared: Declared) -> Callable[..., Any]:
        allowed = Allowed(allow, private=private)
        size = text_size(declared.returns, "text") or DEFAULT_PAGE

        def get(url: str | None, page: int | None = None) -> object:
            until = time.monotonic() + declared.timeout
            found = fetch(url or "", allowed, until, most_bytes or MOST_BYTES)
            read = _read(found)
            parts = pages(read.text, size)
            number = page_of(page, len(parts))
            fields: dict[str, object] = {
                "text": parts[number - 1],
                "title": read.title,
                "status": found.status,
                "page": number,
                "pages": len(parts),
                "links": [link for link in read.links if allowed.allows(link)],
            }
            return shaped("http", declared, fields)

        return get

    return BuiltIn("http", make, lambda: _usable(allow))


def _usable(allow: Sequence[str]) -> None:
    try:
        Allowed(allow)
    except ToolFault as fault:
        raise ToolUnusable(str(fault)) from None


def fetch(text: str, allowed: Allowed, until: float, most_bytes: int = MOST_BYTES) -> Response:
    """Return what is at an address, after redirects to addresses that are allowed as well.

    `until` is a time of `time.monotonic()`. Raises ToolFault: the address, or one it leads to, is not allowed or cannot
    be reached, the answer is none, or a status of 400 and above.
    """
    address = parse(text)
    for _ in range(MOST_REDIRECTS + 1):
        allowed.check(address)
        answer = _request(address, allowed, until, most_bytes)
        if isinstance(answer, Response):
            if answer.status >= 400:
                raise ToolFault(
                    f"{address} answered {answer.status} {http.client.responses.get(answer.status, '')}".strip()
                )
            return answer
        address = parse(urljoin(str(address), answer))
    raise ToolFault(f"{text[:200]} redirects more than {MOST_REDIRECTS} times")


def _request(address: Address, allowed: Allowed, until: float, most_bytes: int) -> Response | str:
    """Make one request; return the answer, or where a redirect leads to."""
    connection = http.client.HTTPConnection(address.host, address.port)
    with _Line(address, until) as line:
        try:
            line.open(allowed)
            connection.sock = line.socket
            headers = {
                "Accept": "text/html, text/*;q=0.9, application/json;q=0.8, */*;q=0.1",
                "Accept-Encoding": "identity",
                "Connection": "close",
                "User-Agent": f"masdsl/{__version__}",
            }
            connection.request("GET", address.target, headers=headers)
            answer = connection.getresponse()
            location = answer.getheader("Location")
            if answer.status in _REDIRECTS and location:
                return location
            body = bytearray()
            while len(body) <= most_bytes:
                part = answer.read1(_CHUNK)
                if not part:
                    break
                body += part
            line.check_time()
            kind = answer.getheader("Content-Type", "text/html")
            return Response(address, answer.status, kind, bytes(body[:most_bytes]), len(body) <= most_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            line.check_time()
            detail = f"{type(error).__name__}: {str(error)[:200]}".removesuffix(": ")
            raise ToolFault(f"{address.host} cannot be read: {detail}") from None
        finally:
            connection.close()


class _Line:
    """A connection that is cut at its time, however slowly the other side sends: a timeout of a socket begins anew with
    every byte.
    """

    def __init__(self, address: Address, until: float) -> None:
        self.socket: socket.socket | None = None
        self._address = address
        self._until = until
        self._timer = threading.Timer(max(until - time.monotonic(), 0.0), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self.socket is not None:
            self.socket.close()

    def open(self, allowed: Allowed) -> None:
        """Connect to a network address that was checked, with TLS where the address says so."""
        address = self._address
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ToolFault(f"there is no host {address.host}") from None
        for entry in found:  # all of them: a name that also stands for a private address is not to be trusted
            allowed.check_network(address, str(entry[4][0]))
        reason = OSError("it has no address")
        for family, kind, protocol, _, place in found[:4]:
            self.check_time()
            self.socket = socket.socket(family, kind, protocol)
            try:
                self.socket.settimeout(max(self._until - time.monotonic(), 0.001))
                self.socket.connect(place)
                if address.scheme == "https":
                    self.socket = _tls().wrap_socket(self.socket, server_hostname=address.host)
                return
            except OSError as error:
                self.socket.close()
                reason = error
        raise reason

    def check_time(self) -> None:
        """Raise ToolFault where the time is used up."""
        if time.monotonic() >= self._until:
            raise ToolFault(f"{self._address.host} did not answer in time")

    def _cut(self) -> None:
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


# ---------------------------------------------------------------- what a page says


class _Read(NamedTuple):
    title: str
    text: str
    links: tuple[str, ...]


def _read(found: Response) -> _Read:
    kind = found.kind.partition(";")[0].strip().lower()
    if kind and not kind.startswith(_TEXTS) and not kind.endswith(("+json", "+xml")):
        raise ToolFault(f"{found.address} is no text but {kind[:80]}")
    text = found.body.decode(_charset(found), "replace")
    if "html" in kind or (not kind and "<html" in text[:1000].lower()):
        return _Read(*page_text(text, str(found.address)))
    return _Read("", text.replace("\r\n", "\n").strip(), ())


def _charset(found: Response) -> str:
    """Return the encoding that an answer names, in its header or at the start of its text; UTF-8 otherwise."""
    match = _CHARSET.search(found.kind) or _CHARSET.search(found.body[:1024].decode("latin-1"))
    name = match[1] if match else "utf-8"
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return "utf-8"
    return name if getattr(info, "_is_text_encoding", False) and info.name not in _ODD else "utf-8"
