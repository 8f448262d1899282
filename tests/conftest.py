"""What every test runs under: no network but this machine, caches of its own, warnings as errors (`pyproject.toml`)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="rewrite the generated sections of tests/cases (never SOURCE, EXPECTED)"
    )


class NetworkUsed(RuntimeError):
    """A test reached for another machine. Not an OSError, so that no code under test takes it for an outage."""


def _is_here(host: object) -> bool:
    if host in ("", "localhost", None):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guarded(real: Callable[..., Any], address_at: int) -> Callable[..., Any]:
    def guard(self: socket.socket, *args: Any) -> Any:
        address = args[address_at]
        if self.family != getattr(socket, "AF_UNIX", None) and not _is_here(address[0]):
            raise NetworkUsed(f"this test reached for {address[0]}: tests may only use addresses of this machine")
        return real(self, *args)

    return guard


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection, datagram and name look-up that leaves this machine."""
    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_here(host):
            raise NetworkUsed(f"this test looked up {host}: tests may only use addresses of this machine")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _guarded(socket.socket.connect, 0))
        patch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex, 0))
        patch.setattr(socket.socket, "sendto", _guarded(socket.socket.sendto, -1))
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
