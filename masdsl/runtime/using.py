"""How a tool is used: inputs within their caps, one call of the host's function, its result held to the type."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from masdsl.runtime.events import rounded
from masdsl.runtime.failures import ShapeError, StepFailed
from masdsl.runtime.hashes import idempotency_key
from masdsl.runtime.meter import LEAST_SECONDS, Claim, Cost
from masdsl.runtime.session import Step
from masdsl.runtime.shapes import fit
from masdsl.runtime.stepping import take_step
from masdsl.runtime.text import brief
from masdsl.runtime.tool import Tool, call_function
from masdsl.tools.base import Answered, ToolFault, ToolUnusable


def use_tool(
    step: Step, tool: Tool[Any], inputs: Mapping[str, object], until: float | None = None
) -> Coroutine[Any, Any, Any]:
    """Use a tool as a step of its own and return its value, or the declared default; raise StepFailed.

    `until` is a time of the loop by which whoever uses it must be done.
    """
    return take_step(step, tool, inputs, partial(_call, until=until))


async def _call(step: Step, tool: Tool[Any], inputs: Mapping[str, object], until: float | None) -> Any:
    entry = step.entry
    if entry is not None:
        row = entry.outcome(0)
        if row is not None:
            step.emit("replayed", detail=str(row.body["failed"]))
            raise step.failed(str(row.body["failed"]))
        if entry.standing.doubt is not None:
            raise step.failed("its effect may have happened already: the run was broken off while it was under way")
        entry.check_may_call(step.address, f"a use of the tool `{tool.name}`")
    given = step.session.tools.get(tool.granted_as)
    if given is None:
        raise step.failed(f'the host does not grant "{tool.granted_as}"')
    now = step.session.time
    claim = await step.meter.reserve(Claim(step.address, Cost(), "", 0), until)
    began = now()
    seconds, used_up = _time_for(step, tool, until)
    if step.is_stopped or seconds < LEAST_SECONDS:
        step.meter.release(claim)
        step.check_not_stopped()
        raise step.failed(used_up)
    detail, by, key = "", "", None
    if tool.effect:
        key = entry.key() if entry is not None else idempotency_key(step.session.key, step.path, step.indices, 0)
    try:
        if entry is not None and key is not None:
            await entry.intend_use(key)
        elif entry is not None:
            await entry.recording.durable()  # what it is given may be the value of a step that nobody waited for
        try:
            result = await step.session.alarm.bounded(call_function(tool.function_of(given), inputs, key), seconds)
        except TimeoutError:
            detail = f"no result within {seconds:g} s{used_up and f': {used_up}'}"
        except StepFailed as failure:
            detail = failure.reason
        except (ToolFault, ToolUnusable) as fault:
            detail = brief(str(fault), 300)
        except Exception as error:  # a host's function may raise anything
            detail = f"{type(error).__name__}: {brief(str(error), 300)}".removesuffix(": ")
        else:
            if isinstance(result, Answered):
                result, by = result
                if entry is not None:
                    entry.given_by = by
        if detail:
            raise step.failed(detail)
        try:
            value, clips = fit(result, tool.returns)
        except ShapeError as error:
            detail = f"its result does not fit: {error}"
            raise step.failed(detail) from None
    finally:
        step.meter.settle(claim, Cost())
        took = rounded(now() - began)
        if entry is not None and detail:
            entry.misuse(detail, took)
        step.emit("called", seconds=took, detail=detail, model=by)
    for clip in clips:
        step.emit("clipped", detail=f"result: {clip}")
    return value


def _time_for(step: Step, tool: Tool[Any], until: float | None) -> tuple[float, str]:
    """Return how many seconds a tool may take now, and what to say when they are used up and were not its own."""
    now = step.session.time()
    own = tool.seconds
    ends = [(own, "" if own else "it has a timeout of 0 s")]
    if until is not None:
        ends.append((until - now, "the time of the agent that uses it is used up"))
    if step.meter.deadline is not None:
        ends.append((step.meter.deadline - now, step.meter.time_is_up))
    return min(ends, key=lambda end: end[0])
