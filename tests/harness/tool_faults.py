"""Every fault that tools are known for: the part of the table of `faults` that is done by a host's functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from masdsl.runtime import StepFailed
from masdsl.types import Text
from tests.harness.faults import LONG, MEGABYTE, Call, Context, Kind, Silent


def _recursive() -> Any:
    items: list[Any] = []
    items.append(items)
    return items


def _deep() -> Any:
    value: Any = "x"
    for _ in range(5000):
        value = [value]
    return value


def _raise(error: BaseException) -> Any:
    raise error


async def _later(seconds: float, value: Any) -> Any:
    await asyncio.sleep(seconds)
    return value


async def _deaf_tool(value: Any, _: Mapping[str, Any]) -> Any:
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        await asyncio.sleep(LONG)
    return value


def _in_loop(error: Callable[[], BaseException]) -> Call:
    async def call(value: Any, inputs: Mapping[str, Any]) -> Any:
        raise error()

    return call


def _late(seconds: float) -> Call:
    async def call(value: Any, inputs: Mapping[str, Any]) -> Any:
        return await _later(seconds, value)

    return call


def _returns(made: Callable[[Any], Any]) -> Call:
    async def call(value: Any, inputs: Mapping[str, Any]) -> Any:
        return made(value)

    return call


def _in_thread(made: Callable[[Any], Any]) -> Call:
    return lambda value, inputs: made(value)


def _is_text(context: Context) -> bool:
    return isinstance(context.kind, Text)


TOOL_KINDS: tuple[Kind, ...] = (
    Kind("raises", "failed", call=_in_loop(lambda: RuntimeError("no disk"))),
    Kind("raises in its thread", "failed", call=_in_thread(lambda _: _raise(ZeroDivisionError("1/0")))),
    Kind("raises a megabyte", "failed", call=_in_loop(lambda: ValueError("\ud800\x1b[31m" * (MEGABYTE // 6)))),
    Kind("raises what has no text", "failed", call=_in_loop(Silent)),
    Kind("raises TimeoutError", "failed", call=_in_loop(TimeoutError)),
    Kind("raises a step's failure", "failed", call=_in_loop(lambda: StepFailed("elsewhere", "told so"))),
    Kind("raises StopIteration in its thread", "failed", call=_in_thread(lambda _: _raise(StopIteration(3)))),
    Kind("ends the program from its thread", "failed", call=_in_thread(lambda _: _raise(SystemExit(3)))),
    Kind("cancels itself", "failed", call=_in_loop(asyncio.CancelledError)),
    Kind("hangs", "failed", call=_late(LONG)),
    Kind("hangs and is deaf", "failed", call=_deaf_tool),
    Kind("hangs in its thread", "failed", call=_in_thread(lambda _: threading.Event().wait(30)), blocks=True),
    Kind("returns after its deadline", "failed", call=_late(5.001)),
    Kind("returns at the last moment", "value", call=_late(4.999)),
    Kind("returns nothing", "failed", call=_returns(lambda _: None)),
    Kind("returns an object", "failed", call=_returns(lambda _: object())),
    Kind("returns a function", "failed", call=_returns(lambda value: lambda: value)),
    Kind("returns bytes", "failed", call=_returns(lambda _: b"\xff\xfe")),
    Kind("returns a set of lists of itself", "failed", call=_returns(lambda _: {"a": _recursive()})),
    Kind("returns itself in itself", "failed", call=_returns(lambda _: _recursive())),
    Kind("returns 5,000 lists in each other", "failed", call=_returns(lambda _: _deep())),
    Kind("returns another type", "failed", call=_returns(lambda _: {"value": [1, 2]})),
    Kind("returns not a number", "failed", call=_returns(lambda _: float("nan"))),
    Kind("returns a coroutine", "value", call=_in_thread(lambda value: _later(1.0, value))),
    Kind("returns a megabyte", "other value", call=_returns(lambda _: "word " * (MEGABYTE // 5)), fits=_is_text),
    Kind("returns surrogates", "other value", call=_returns(lambda _: "\ud800\x1b[2J\0" * 9), fits=_is_text),
)  # fmt: skip
