"""An event loop whose time is not the wall's: it jumps to the next timer as soon as nothing else is left to do.

Tests of timeouts, pauses and orders then take no time and always give the same result. While a function runs in a
thread (`masdsl.runtime.threads`), the loop waits for it a little in real time before it jumps: long enough for any
function that a test means to end, while one that is meant to hang does not hold the test up.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 50
"""How often the loop waits 20 ms for threads before it takes them for hanging."""


class _Selector(selectors.DefaultSelector):
    """Never sleeps for a timer: it moves the loop's time forward by that much instead."""

    loop: VirtualTimeLoop | None = None
    waited = 0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or self.loop is None or timeout == 0:
            return events
        if timeout is None or (self.waited < PATIENCE and _threads_at_work()):
            self.waited += 1
            return super().select(0.02)
        self.waited = 0
        self.loop.offset += timeout
        return events


def _threads_at_work() -> bool:
    return any(thread.name == "masdsl-blocking" for thread in threading.enumerate())


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
