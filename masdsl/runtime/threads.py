"""Blocking functions beside the event loop, and a time limit that holds.

`asyncio.to_thread` would do, except that the loop waits for its threads at the end: a tool that hangs would keep a run
alive far beyond its timeout. Threads from here are daemons, and what they return after nobody waits any more is
dropped.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own and return its value, or raise what it raises.

    When the caller is cancelled, the thread runs on until the function returns by itself.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def give(value: T | None, error: Exception | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        value: T | None = None
        error: Exception | None = None
        try:
            value = context.run(function)
        except Exception as raised:
            error = raised
        except BaseException as raised:  # must not end the program, nor its loop
            error = RuntimeError(f"{type(raised).__name__}: {raised}" if _has_text(raised) else type(raised).__name__)
        if isinstance(error, StopIteration):  # a future refuses it
            error = RuntimeError(f"the function raised StopIteration({error.value!r})")
        try:
            loop.call_soon_threadsafe(give, value, error)
        except RuntimeError:  # the loop has closed meanwhile: nobody waits for the value
            pass

    threading.Thread(target=work, name="masdsl-blocking", daemon=True).start()
    return await outcome


async def bounded(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what the coroutine returns, or raise TimeoutError at that time, whatever the coroutine does about it.

    Unlike `asyncio.timeout`, this does not wait for a coroutine that is slow to react to its cancellation. One that
    ends as cancelled although nobody cancelled it, or with an exception that has no text, fails with RuntimeError:
    whoever called it goes on.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(coroutine)
    ended: asyncio.Future[None] = loop.create_future()  # what `asyncio.wait` does, in half of its memory
    wake = partial(_wake, ended)
    timer = loop.call_later(seconds, wake)
    task.add_done_callback(wake)
    try:
        await ended
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
    if task.done():
        if task.cancelled():
            raise RuntimeError("it cancelled itself")
        error = task.exception()
        if error is not None and not _has_text(error):
            raise RuntimeError(f"{type(error).__name__}, which cannot be shown as text") from error
        return task.result()
    task.add_done_callback(_forget)
    task.cancel()
    await asyncio.sleep(0)
    raise TimeoutError


def _wake(waiter: asyncio.Future[None], *_: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _has_text(error: BaseException) -> bool:
    """Whether an exception can be shown: what strangers raise may fail at that too."""
    try:
        return isinstance(str(error), str)
    except Exception:
        return False


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
