"""Time limits that hold, and cost next to nothing where they are not reached.

A timer of the event loop for every call would cost as much as all else that a call is made of, and hardly any ever
goes off. So a run has one timer, for the first limit of those that are set; when it goes off, it is set anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, TypeAlias, TypeVar

from masdsl.runtime.threads import has_text

T = TypeVar("T")
_Wake: TypeAlias = Callable[[asyncio.Future[Any]], object]


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what gives a loop's time in seconds; for asyncio's own loops, which only pass it on, without them."""
    passes_on = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
    return time.monotonic if passes_on else loop.time


class Alarm:
    """The time limits of what is under way in a run; `time` gives the time of its event loop."""

    __slots__ = ("_loop", "_rings_at", "_timer", "_waiting", "time")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.time = clock_of(self._loop)
        self._waiting: dict[_Bounded, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def bounded(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> Awaitable[T]:
        """Start a coroutine as a task of its own; to be awaited at once, by the task that starts it.

        That gives what the coroutine returns, or raises TimeoutError at that time, whatever the coroutine does about
        it: unlike `asyncio.timeout`, this does not wait for one that is slow to react to its cancellation. One that
        ends as cancelled although nobody cancelled it, or with an exception that has no text, fails with RuntimeError:
        whoever called it goes on.
        """
        task = _Bounded(coroutine, self._loop, self._waiting)
        self._set(task, self.time() + seconds)
        return task

    def close(self) -> None:
        """Let go of the timer, at the end of the run."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, task: _Bounded, when: float) -> None:
        self._waiting[task] = when
        if self._timer is None or when < self._rings_at:
            self.close()
            self._rings_at = when
            self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        """Give up on those whose time has come, in its order; for the others, set the timer anew."""
        self._timer = None
        now = max(self.time(), self._rings_at)
        for task, when in sorted(self._waiting.items(), key=_time):
            if when > now:
                self._set(task, when)
                break
            task.expire()


def _time(one: tuple[_Bounded, float]) -> float:
    return one[1]


class _Bounded(asyncio.Task[Any]):
    """A task that one other task awaits, which it can wake without having ended.

    A task that awaits something leaves its wish to be woken with `add_done_callback`, and takes any future that is
    done for an answer; all else that waiting could be made of (a future, a coroutine, a callback) is saved.
    """

    __slots__ = ("_asker", "_cancels", "_context", "_running", "_wake")

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, running: dict[_Bounded, float]
    ) -> None:
        super().__init__(coroutine, loop=loop, name="call")
        asker = asyncio.current_task()
        assert asker is not None, "only a task can await this"
        self._asker = asker
        self._cancels = asker.cancelling()
        self._running = running
        self._wake: _Wake | None = None
        self._context: Context | None = None

    def add_done_callback(self, fn: Callable[..., object], /, *, context: Context | None = None) -> None:
        """Take the wish of who awaits this to be woken; other callbacks are those of any task."""
        if self._context is None:
            self._wake, self._context, fn = fn, context, _Bounded._ended  # a bound one would be one more object
        super().add_done_callback(fn, context=context)

    def expire(self) -> None:
        """Wake who awaits this with TimeoutError; whatever becomes of the coroutine then is dropped."""
        wake = self._wake
        if wake is not None and not self.done():
            del self._running[self]
            self._wake = None
            self.cancel()
            self.get_loop().call_soon(self._fail, wake, TimeoutError(), context=self._context)

    def _ended(self) -> None:
        wake, self._wake = self._wake, None
        error = self.exception() if not self.cancelled() else RuntimeError("it cancelled itself")
        if wake is None:
            return
        del self._running[self]
        if error is None and self._asker.cancelling() == self._cancels:
            wake(self)
            return
        if error is not None and not has_text(error):
            told = RuntimeError(f"{type(error).__name__}, which cannot be shown as text")
            told.__cause__, error = error, told
        self._fail(wake, error)

    def _fail(self, wake: _Wake, error: BaseException | None) -> None:
        """Wake who awaits this with an error, or with the news that it was cancelled itself."""
        if error is None or self._asker.cancelling() > self._cancels:
            error = asyncio.CancelledError()
        outcome = self.get_loop().create_future()
        outcome.set_exception(error)
        wake(outcome)
