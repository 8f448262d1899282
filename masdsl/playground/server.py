"""The process: it listens on loopback, answers, and ends in order on SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import uvicorn

from masdsl.playground.app import Parts, application
from masdsl.playground.desk import Desk
from masdsl.playground.gate import Address, fresh_token
from masdsl.playground.language import MOST_RECEIVED, LanguageServers
from masdsl.playground.opening import opened
from masdsl.serve.listening import Server, listen

HOST: Final = "127.0.0.1"
"""Where it listens. There is no other place: whoever reaches it with the token acts as its user."""


NEEDED: Final = ("fast_sugiyama", "pygls", "websockets")
"""Packages that are missed here, not when the first picture is drawn."""


class Settings(NamedTuple):
    """What its user decides."""

    port: int = 8000
    opens_browser: bool = False


class Told(NamedTuple):
    """How its user is told things: the address, which has the token, and anything else."""

    address: Callable[[str], None]
    line: Callable[[str], None]


def serve(desk: Desk, tiers: Mapping[str, str], journal: str, settings: Settings, told: Told) -> None:
    """Serve the playground until a signal ends it. Raises CannotServe."""
    listening = listen(HOST, settings.port, "choose another --port, or --port 0 for any that is free")
    try:
        _run(desk, tiers, journal, settings, told, listening)
    finally:
        listening.close()


def _run(
    desk: Desk,
    tiers: Mapping[str, str],
    journal: str,
    settings: Settings,
    told: Told,
    listening: socket.socket,
) -> None:
    address = Address(listening.getsockname()[1], fresh_token())
    app = application(Parts(address, desk, LanguageServers(desk.root, desk.folder), tiers, journal))
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MOST_RECEIVED,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=16_384,
        limit_concurrency=200,
        timeout_graceful_shutdown=5,
    )
    with contextlib.ExitStack() as stack:

        def ready() -> None:
            told.address(address.url)
            if settings.opens_browser:
                stack.enter_context(opened(address.url, told.line))

        asyncio.run(_Server(config, ready).serve([listening]))


class _Server(Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell so."""
        await super().startup(sockets)
        self._ready()
