"""Which addresses of the web a program may read: the host's list, held against an address before each request.

An entry is a host (`docs.python.org`, https on its usual port, every path), a host and those below it
(`*.wikipedia.org`), or the beginning of an address (`https://example.org/help/`, `http://127.0.0.1:8000`), which ends
at a `/`: `https://example.org/help` allows `/help` and `/help/x`, and not `/helpers`.

Names that stand for addresses of a private network, of this machine or of no network are refused even where the name is
on the list, unless the entry itself is such an address (`http://127.0.0.1:8000`, `http://localhost`) or the grant says
`private = true`: a stranger can let any name of his stand for any address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from masdsl.tools.base import ToolFault

_PORTS: Final = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
LONGEST: Final = 2_000


class Address(NamedTuple):
    """An address of the web in one form: lower-case host, port always said, no `..` in the path, no fragment."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"

    @property
    def target(self) -> str:
        """What a request asks for: path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def parse(text: str) -> Address:
    """Return an address in its one form. Raises ToolFault for one that cannot be meant, or hides where it leads."""
    text = text.strip()
    if len(text) > LONGEST or not text.isprintable() or "\\" in text or " " in text:
        raise ToolFault("that is no address: write one as in https://example.org/page")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ToolFault("that is no address: write one as in https://example.org/page") from None
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme not in _PORTS or not host:
        raise ToolFault("that is no address: write one that begins with https://")
    if parts.username is not None or parts.password is not None:
        raise ToolFault("an address with a name or password in it is not read")
    return Address(
        parts.scheme, _ascii_host(host), port or _PORTS[parts.scheme], _plain_path(parts.path), _plain(parts.query)
    )


def _ascii_host(host: str) -> str:
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host).compressed
        except ValueError:
            raise ToolFault(f"`{host}` is no host") from None
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise ToolFault(f"`{host}` is no host") from None
    if not _HOST.fullmatch(name):
        raise ToolFault(f"`{host}` is no host")
    return name


def _plain_path(path: str) -> str:
    """Return a path without `.` and `..`; one in which these, or slashes, are hidden by `%` is refused."""
    if re.search(r"%(2e|2f|5c|00)", path, re.IGNORECASE):
        raise ToolFault("an address whose path hides dots or slashes is not read")
    kept: list[str] = []
    parts = path.split("/")[1:] or [""]
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part not in (".", ""):
            kept.append(part)
    tail = "/" if kept and parts[-1] in ("", ".", "..") else ""
    return _plain("/" + "/".join(kept) + tail)


def _plain(text: str) -> str:
    """Return a part of an address in ASCII; what is quoted stays so."""
    return quote(text, safe="/%:@!$&'()*+,;=-._~?")


# ---------------------------------------------------------------- the list


class _Entry(NamedTuple):
    scheme: str
    host: str
    below: bool
    port: int
    path: str

    def allows(self, address: Address) -> bool:
        if (address.scheme, address.port) != (self.scheme, self.port):
            return False
        if address.host != self.host and not (self.below and address.host.endswith(f".{self.host}")):
            return False
        return _is_below(unquote(address.path), self.path)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else f"{prefix}/")


class Allowed:
    """The list of a grant."""

    def __init__(self, entries: Iterable[str], *, private: bool = False) -> None:
        """Read the entries. Raises ToolFault for one that is none."""
        self._entries = [_entry(text) for text in entries]
        self._private = private

    def check(self, address: Address) -> None:
        """Raise ToolFault where an address is not on the list."""
        if not any(entry.allows(address) for entry in self._entries):
            raise ToolFault(f"{address} may not be read: allowed are {self.shown()}")

    def allows(self, text: str) -> bool:
        """Whether an address, in any form, is on the list."""
        try:
            self.check(parse(text))
        except ToolFault:
            return False
        return True

    def check_network(self, address: Address, found: str) -> None:
        """Raise ToolFault where the network address behind an address on the list is not one of the open internet."""
        if self._private or is_public(found):
            return
        if any(entry.allows(address) and _is_local_name(entry.host) for entry in self._entries):
            return
        raise ToolFault(f"{address.host} is an address of a private network, which is not read")

    def shown(self) -> str:
        """Return the list in words."""
        return ", ".join(
            f"{one.scheme}://{'*.' if one.below else ''}{one.host}"
            f"{'' if one.port == _PORTS[one.scheme] else f':{one.port}'}{one.path if one.path != '/' else ''}"
            for one in self._entries
        )


def _entry(text: str) -> _Entry:
    below = "*." in text
    if "://" not in text:
        text = f"https://{text}"
    address = parse(text.replace("*.", "", 1))
    return _Entry(address.scheme, address.host, below, address.port, unquote(address.path))


def _is_local_name(host: str) -> bool:
    """Whether an entry names an address of a private network or this machine in so many words."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not is_public(ipaddress.ip_address(host).compressed)
    except ValueError:
        return False


def is_public(text: str) -> bool:
    """Whether a network address is one of the open internet, whatever form of IPv6 is around it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            return False
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast
