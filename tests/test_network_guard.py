"""The guard of `conftest.py` works: a suite that could reach a paid model would be found out by its bill."""

from __future__ import annotations

import asyncio
import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 443)])
def test_connections_to_other_machines_are_refused(address: tuple[str, int]) -> None:
    with pytest.raises(RuntimeError, match="only use addresses of this machine"):
        socket.create_connection(address, timeout=1)


def test_datagrams_and_event_loops_are_guarded_as_well() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(RuntimeError, match="192.0.2.1"):
        sock.sendto(b"x", ("192.0.2.1", 53))

    async def connect() -> None:
        await asyncio.open_connection("192.0.2.1", 80)

    with pytest.raises(RuntimeError, match="192.0.2.1"):
        asyncio.run(connect())


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
