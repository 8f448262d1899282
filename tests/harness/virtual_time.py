"""An event loop whose time is not the wall's: it jumps to the next timer as soon as nothing else is left to do.

Tests of timeouts, pauses and orders then take no time and always give the same result.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[valid-type, misc]
    """Never sleeps for a timer: it moves the loop's time forward by that much instead."""

    loop: VirtualTimeLoop | None = None

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or self.loop is None:
            return events
        if timeout is None:  # a thread has something to say
            return super().select(0.05)
        if timeout > 0:
            self.loop.offset += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module docstring."""

    def __init__(self) -> None:
        self.offset = 1000.0
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.offset


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)
