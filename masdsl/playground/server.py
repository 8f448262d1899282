"""The process: it listens on loopback, answers, and ends in order on SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import uvicorn

from masdsl.diagnostics.base import Findings
from masdsl.journal import Journal, open_journal
from masdsl.playground.app import Parts, application
from masdsl.playground.desk import Desk
from masdsl.playground.door import door
from masdsl.playground.gate import Address, fresh_token
from masdsl.playground.house import House
from masdsl.playground.language import MOST_RECEIVED, LanguageServers
from masdsl.playground.opening import opened
from masdsl.playground.runs import Runs
from masdsl.playground.workers import Workers
from masdsl.serve.listening import Server, listen

HOST: Final = "127.0.0.1"
"""Where it listens. There is no other place: whoever reaches it with the token acts as its user."""


MOST_CONNECTIONS: Final = 200
"""Connections at once, those of strangers (`masdsl.playground.door`) included."""
STOP_WITHIN: Final = 10.0
"""Seconds that calls under way have to end, when the playground does."""
NEEDED: Final = ("fast_sugiyama", "pygls", "websockets")
"""Packages that are missed here, not when the first picture is drawn."""


class Settings(NamedTuple):
    """What its user decides. `journal` is where runs are kept (None: the user's own), `journal_name` how that is shown,
    `tiers` the models behind tiers, besides those of the configuration.
    """

    port: int = 8000
    opens_browser: bool = False
    journal: str | None = None
    journal_name: str = ""
    tiers: Mapping[str, str] = {}
    is_scripted: bool = False


class Told(NamedTuple):
    """How its user is told things: the address, which has the token, and anything else."""

    address: Callable[[str], None]
    line: Callable[[str], None]


def serve(desk: Desk, house: House, settings: Settings, told: Told) -> None:
    """Serve the playground until a signal ends it. Raises CannotServe, and JournalError."""
    listening = listen(HOST, settings.port, "choose another --port, or --port 0 for any that is free")
    try:
        journal = open_journal(settings.journal)
        try:
            asyncio.run(_run(desk, house, journal, settings, told, listening))
        finally:
            journal.close()
    finally:
        listening.close()


async def _run(
    desk: Desk, house: House, journal: Journal, settings: Settings, told: Told, listening: socket.socket
) -> None:
    address = Address(listening.getsockname()[1], fresh_token())
    workers = Workers(house.worker, desk.folder, settings.tiers)
    runs = Runs(journal, settings.journal, desk, house, workers)
    tiers = house.config({}, Findings()).tiers
    app = application(
        Parts(
            address,
            desk,
            LanguageServers(desk.root, desk.folder),
            workers,
            runs,
            tiers,
            settings.journal,
            settings.journal_name,
            settings.is_scripted,
        )
    )
    config = uvicorn.Config(
        app,
        http=door(lambda path: app.below_token(path) is not None),
        log_config=None,
        log_level="critical",  # what it says is about strangers' requests: anybody could fill a terminal with it
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MOST_RECEIVED,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=16_384,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    with contextlib.ExitStack() as stack:

        def ready() -> None:
            told.address(address.url)
            if settings.opens_browser:
                stack.enter_context(opened(address.url, told.line))

        try:
            await _Server(config, runs, ready, lambda run: told.line(_broken(run, house))).serve([listening])
        finally:
            await workers.close()


def _broken(run: str, house: House) -> str:
    return f"run {run} has not ended; nothing that is finished is paid again: {house.resume_command(run)}"


class _Server(Server):
    def __init__(
        self, config: uvicorn.Config, runs: Runs, ready: Callable[[], None], broken: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._runs = runs
        self._ready = ready
        self._broken = broken

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the runs under way, softly, or at once where a second signal comes; then stop listening."""
        draining = asyncio.ensure_future(self._runs.drain(STOP_WITHIN))
        hurry = asyncio.ensure_future(self.hurry.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not draining.done():
            draining.cancel()
            draining = asyncio.ensure_future(self._runs.drain(0.0))
        for run in await draining:
            self._broken(run)
        await super().shutdown(sockets)
