"""Whether a connection is still of use, as all that hold a part of it know."""

from __future__ import annotations

import asyncio


class Line:
    """A connection: open until somebody cuts it; `why` is the reason, where it was the other side."""

    def __init__(self) -> None:
        self.why = ""
        self._cut = asyncio.Event()

    @property
    def is_cut(self) -> bool:
        """Whether it is of no more use."""
        return self._cut.is_set()

    def cut(self, why: str = "") -> None:
        """Let nobody use it any more."""
        self.why = self.why or why
        self._cut.set()

    async def wait(self) -> None:
        """Wait until it is cut."""
        await self._cut.wait()
