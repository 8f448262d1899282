"""Blocking functions beside the event loop.

`asyncio.to_thread` would do, except that the loop waits for its threads at the end: a tool that hangs would keep a run
alive far beyond its timeout. Threads from here are daemons, and what they return after nobody waits any more is
dropped.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

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
            error = RuntimeError(f"{type(raised).__name__}: {raised}" if has_text(raised) else type(raised).__name__)
        if isinstance(error, StopIteration):  # a future refuses it
            error = RuntimeError(f"the function raised StopIteration({error.value!r})")
        try:
            loop.call_soon_threadsafe(give, value, error)
        except RuntimeError:  # the loop has closed meanwhile: nobody waits for the value
            pass

    threading.Thread(target=work, name="masdsl-blocking", daemon=True).start()
    return await outcome


def has_text(error: BaseException) -> bool:
    """Whether an exception can be shown: what strangers raise may fail at that too."""
    try:
        return isinstance(str(error), str)
    except Exception:
        return False
