"""Who may hold a connection: those with the token; a few others, for a moment.

Any process of the machine can connect to a port. What connects is a stranger until it has asked below the token. A
stranger that says nothing, or nothing that is ours, is let go after some seconds, and the oldest one at once where
there are too many. So strangers, however many come, never take the place of the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

STRANGER_SECONDS: Final = 10.0
"""How long a connection may be open before it has asked for something below the token."""
MOST_STRANGERS: Final = 64
"""Connections at once that have not."""


class Door(H11Protocol):
    """A connection of the playground. What is made by `door` knows who is a stranger, and who the others are."""

    is_ours: Callable[[str], bool]
    strangers: dict[Door, None]
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take somebody in for a moment, in the place of whoever has waited longest where there is none left."""
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self.strangers[self] = None
        self._timer = self.loop.call_later(STRANGER_SECONDS, self._turn_out)
        if len(self.strangers) > MOST_STRANGERS:
            next(iter(self.strangers))._turn_out()

    def data_received(self, data: bytes) -> None:
        """Take what is said; whoever asks below the token is no stranger any more."""
        super().data_received(data)
        asked: Mapping[str, Any] | None = self.scope  # of the last request; None before the first
        if self in self.strangers and asked is not None and type(self).is_ours(asked["path"]):
            self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget somebody who has gone."""
        self._forget()
        super().connection_lost(exc)

    def _turn_out(self) -> None:
        self._forget()
        self.transport.close()

    def _forget(self) -> None:
        self.strangers.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def door(is_ours: Callable[[str], bool]) -> type[Door]:
    """Return the protocol of one playground; `is_ours` says whether a path is below its token."""
    members: dict[str, Any] = {"is_ours": staticmethod(is_ours), "strangers": {}}
    return type("PlaygroundDoor", (Door,), members)
