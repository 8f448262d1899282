"""The process: it listens, answers, and ends in order on SIGTERM or Ctrl-C.

first signal    no new connections, no new runs (`/readyz` answers 503)
grace           runs under way may end by themselves
then            no further step begins; calls under way end, and what they gave is kept
at last         calls that are still under way are cut off; their runs can be resumed
second signal   the same, at once
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import uvicorn

from masdsl.journal import open_journal
from masdsl.journal.place import default_path
from masdsl.loaded import LoadedProgram
from masdsl.serve.app import Wire, application
from masdsl.serve.endpoints import served
from masdsl.serve.guard import is_loopback
from masdsl.serve.keys import Keys, read_keys
from masdsl.serve.ledger import Entry, Ledger
from masdsl.serve.listening import CannotServe, Server, listen
from masdsl.serve.metrics import Metrics
from masdsl.serve.service import Limits, Service
from masdsl.version import __version__

_log: Final = logging.getLogger("masdsl.serve")


class Settings(NamedTuple):
    """What the operator decides. `journal` and `keys` are paths, `grace` and `stop_within` seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    journal: str | None = None
    keys: str | None = None
    hosts: tuple[str, ...] = ()
    at_once: int = Limits().at_once
    most_bytes: int = Wire().most_bytes
    heartbeat: float = Wire().heartbeat
    grace: float = 15.0
    stop_within: float = 10.0
    resume_runs: bool = False


def serve(programs: Sequence[tuple[str, LoadedProgram]], settings: Settings, say: Callable[[str], None]) -> None:
    """Serve programs, given by name, until a signal ends it. `say` tells the operator a line.

    Raises CannotServe, and what goes wrong with keys (BadKeys), programs (BadProgram), the ledger (LedgerError) or the
    journal (JournalError).
    """
    keys = Keys(None) if settings.keys is None else read_keys(settings.keys)
    if not keys.are_required and not is_loopback(settings.host):
        raise CannotServe(
            f"without keys only this machine may call, and {settings.host} can be reached from others",
            "give --keys FILE, or listen on 127.0.0.1",
        )
    flows = served(programs)
    listening = listen(settings.host, settings.port, "choose another --host or --port")
    try:
        service = _service(settings, flows, keys)
        try:
            _run(service, settings, listening, say)
        finally:
            service.close()
    finally:
        listening.close()


def _service(settings: Settings, flows: Any, keys: Keys) -> Service:
    where = settings.journal
    if where is None:
        where = default_path()
    if where == ":memory:":
        beside = where
    elif "://" in where:
        beside = f"{default_path()}.serve"
    else:
        beside = f"{os.path.abspath(where)}.serve"
    journal = open_journal(where)
    try:
        return Service(flows, journal, Ledger(beside), keys, Limits(settings.at_once), Metrics())
    except BaseException:
        journal.close()
        raise


def _run(service: Service, settings: Settings, listening: socket.socket, say: Callable[[str], None]) -> None:
    broken = service.recover()
    app = application(service, Wire(settings.most_bytes, settings.heartbeat, settings.hosts), __version__)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        backlog=2048,
        timeout_graceful_shutdown=round(settings.grace + settings.stop_within) + 5,
    )
    address = listening.getsockname()
    name = f"[{address[0]}]" if ":" in address[0] else address[0]
    _tell_broken(broken, settings, say)

    def ready() -> None:
        say(f"serving {', '.join(service.served.endpoints)} on http://{name}:{address[1]}")

    server = _Server(config, service, settings, broken if settings.resume_runs else [], ready, say)
    asyncio.run(server.serve([listening]))


def _tell_broken(broken: Sequence[Entry], settings: Settings, say: Callable[[str], None]) -> None:
    if not broken:
        return
    what = "1 run was" if len(broken) == 1 else f"{len(broken):,} runs were"
    then = "they go on now" if settings.resume_runs else "ask again with the same Idempotency-Key, or --resume-runs"
    say(f"{what} broken off: {then}")
    for entry in broken[:20]:
        say(f"  {entry.id}  {entry.endpoint}")


class _Server(Server):
    """A server with an end in which runs keep what they have paid for."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        settings: Settings,
        to_resume: list[Entry],
        ready: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self._service = service
        self._settings = settings
        self._to_resume = to_resume
        self._ready = ready
        self._say = say
        self._resuming: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, tell so, and let runs go on that were broken off."""
        await super().startup(sockets)
        self._ready()
        if self._to_resume:
            self._resuming = asyncio.get_running_loop().create_task(self._service.resume_all(self._to_resume))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and end every run softly while its caller still waits for the answer."""
        self._service.draining = True
        draining = asyncio.get_running_loop().create_task(self._drain())
        await super().shutdown(sockets)
        broken = await draining
        if self.force_exit:
            await self.lifespan.shutdown()
        if broken:
            self._say(f"{broken} run{'s were' if broken > 1 else ' was'} broken off; nothing that was paid is lost")

    async def _drain(self) -> int:
        draining = asyncio.ensure_future(self._service.drain(self._settings.grace, self._settings.stop_within))
        hurry = asyncio.ensure_future(self.hurry.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not draining.done():
            draining.cancel()
            return await self._service.drain(0.0, 0.0)
        return draining.result()
