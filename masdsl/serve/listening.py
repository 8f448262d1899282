"""Where a server listens, what it says when it cannot, and how it hears that it is to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Generator

import uvicorn


class CannotServe(Exception):
    """The service cannot begin; the text says why, `advice` what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


def listen(host: str, port: int, advice: str) -> socket.socket:
    """Return a socket that listens. Raises CannotServe, with this advice."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would let two processes listen on one port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(2048)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CannotServe(f"cannot listen on {host} port {port}: {why}", advice) from None
    listening.setblocking(False)
    return listening


class Server(uvicorn.Server):
    """Uvicorn's server, which ends in order on SIGINT or SIGTERM: `hurry` is set when a second signal comes."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.hurry = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Let the first signal end the service in order, and a second one at once; the process then ends with 0."""
        loop = asyncio.get_running_loop()

        def ask() -> None:
            if self.should_exit:
                self.hurry.set()
                self.force_exit = True
            self.should_exit = True

        def handle(number: int, frame: object) -> None:
            loop.call_soon_threadsafe(ask)

        numbers = [signal.SIGINT, signal.SIGTERM]
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
