"""Time limits that hold, and cost next to nothing where they are not reached.

A timer of the event loop for every call would cost as much as all else that a call is made of, and hardly any ever
goes off. So a run has one timer, for the first limit of those that are set; when it goes off, it is set anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from masdsl.runtime.threads import has_text

T = TypeVar("T")


class Alarm:
    """The time limits of what is under way in a run."""

    __slots__ = ("_loop", "_rings_at", "_timer", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    async def bounded(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return what the coroutine returns, or raise TimeoutError at that time, whatever the coroutine does about it.

        Unlike `asyncio.timeout`, this does not wait for a coroutine that is slow to react to its cancellation. One that
        ends as cancelled although nobody cancelled it, or with an exception that has no text, fails with RuntimeError:
        whoever called it goes on.
        """
        loop = self._loop
        ended: asyncio.Future[None] = loop.create_future()
        task = loop.create_task(_tell(ended, coroutine))
        self._set(ended, loop.time() + seconds)
        try:
            await ended
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            del self._waiting[ended]
        if task.done():
            if task.cancelled():
                raise RuntimeError("it cancelled itself")
            error = task.exception()
            if error is not None and not has_text(error):
                raise RuntimeError(f"{type(error).__name__}, which cannot be shown as text") from error
            return task.result()
        task.add_done_callback(_forget)
        task.cancel()
        await asyncio.sleep(0)
        raise TimeoutError

    def close(self) -> None:
        """Let go of the timer, at the end of the run."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, waiter: asyncio.Future[None], when: float) -> None:
        self._waiting[waiter] = when
        if self._timer is None or when < self._rings_at:
            self.close()
            self._rings_at = when
            self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """Wake those whose time has come, in its order; for the others, set the timer anew."""
        self._timer = None
        now = max(self._loop.time(), self._rings_at)
        for waiter, when in sorted(self._waiting.items(), key=_time):
            if when > now:
                self._set(waiter, when)
                break
            if not waiter.done():
                waiter.set_result(None)


def _time(one: tuple[asyncio.Future[None], float]) -> float:
    return one[1]


async def _tell(ended: asyncio.Future[None], coroutine: Coroutine[Any, Any, T]) -> T:
    """Tell who waits for the coroutine when it has ended: sooner than a callback of its task would."""
    try:
        return await coroutine
    finally:
        if not ended.done():
            ended.set_result(None)


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
