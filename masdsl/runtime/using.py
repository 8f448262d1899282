"""How a tool is used: inputs within their caps, one call of the host's function, its result held to the type."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from masdsl import sizes
from masdsl.runtime.failures import ShapeError, StepFailed, Stopped
from masdsl.runtime.meter import LEAST_SECONDS, Claim, Cost
from masdsl.runtime.session import Step
from masdsl.runtime.shapes import Shape, fit, plain
from masdsl.runtime.text import brief
from masdsl.runtime.threads import bounded
from masdsl.runtime.tool import Tool, call_function


def fit_inputs(step: Step, shapes: Mapping[str, Shape], inputs: Mapping[str, object]) -> dict[str, Any]:
    """Return typed inputs within their caps, with an event for each part that was clipped."""
    values = {}
    for name, value in inputs.items():
        try:
            values[name], clips = fit(value, shapes[name])
        except ShapeError as error:
            raise step.failed(f"the input `{name}` does not fit: {error}") from None
        for clip in clips:
            where = f"{name}.{clip.where}" if clip.where and clip.where[0] != "[" else f"{name}{clip.where}"
            step.emit("clipped", detail=f"input {clip._replace(where=where)}")
    return values


async def use_tool(step: Step, tool: Tool[Any], inputs: Mapping[str, object], until: float | None = None) -> Any:
    """Use a tool as a step of its own and return its value, or the declared default; raise StepFailed.

    `until` is a time of the loop by which whoever uses it must be done.
    """
    step.begin()
    try:
        value = await _call(step, tool, fit_inputs(step, tool.parameters.shapes, inputs), until)
    except StepFailed as failure:
        step.emit_failure(failure)
        if not tool.has_default or isinstance(failure, Stopped):
            raise
        step.emit("finished", detail="default", seconds=step.seconds, value=plain(tool.default))
        return tool.default
    step.emit("finished", seconds=step.seconds, value=plain(value))
    return value


async def _call(step: Step, tool: Tool[Any], inputs: Mapping[str, object], until: float | None) -> Any:
    function = step.session.tools.get(tool.granted_as)
    if function is None:
        raise step.failed(f'the host does not grant "{tool.granted_as}"')
    loop = asyncio.get_running_loop()
    reservation = await step.meter.reserve(Claim(step.address, Cost(), "", 0), until)
    began = loop.time()
    seconds, used_up = _time_for(step, tool, until)
    if step.scope.is_stopped or seconds < LEAST_SECONDS:
        step.meter.release(reservation)
        step.check_not_stopped()
        raise step.failed(used_up)
    detail = ""
    try:
        try:
            result = await bounded(call_function(function, inputs), seconds)
        except TimeoutError:
            detail = f"no result within {seconds:g} s{used_up and f': {used_up}'}"
        except StepFailed as failure:
            detail = failure.reason
        except Exception as error:  # a host's function may raise anything
            detail = f"{type(error).__name__}: {brief(str(error), 300)}".removesuffix(": ")
        if detail:
            raise step.failed(detail)
        try:
            value, clips = fit(result, tool.returns)
        except ShapeError as error:
            detail = f"its result does not fit: {error}"
            raise step.failed(detail) from None
    finally:
        step.meter.settle(reservation, Cost())
        step.emit("called", seconds=round(loop.time() - began, 6), detail=detail)
    for clip in clips:
        step.emit("clipped", detail=f"result: {clip}")
    return value


def _time_for(step: Step, tool: Tool[Any], until: float | None) -> tuple[float, str]:
    """Return how many seconds a tool may take now, and what to say when they are used up and were not its own."""
    now = asyncio.get_running_loop().time()
    own = tool_seconds(tool)
    ends = [(own, "" if own else "it has a timeout of 0 s")]
    if until is not None:
        ends.append((until - now, "the time of the agent that uses it is used up"))
    if step.meter.deadline is not None:
        ends.append((step.meter.deadline - now, step.meter.time_is_up))
    return min(ends, key=lambda end: end[0])


def tool_seconds(tool: Tool[Any]) -> float:
    """Return how long a call of a tool may take."""
    return sizes.TOOL_SECONDS if tool.timeout is None else tool.timeout
