"""One step of an agent or a tool, from its inputs to its value: from the journal if it is there, else by doing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from masdsl.runtime.agent import Agent
from masdsl.runtime.failures import BudgetRefused, ShapeError, StepFailed, Stopped
from masdsl.runtime.past import Epoch
from masdsl.runtime.recording import Entry
from masdsl.runtime.session import Step
from masdsl.runtime.shapes import Shape, fit, plain
from masdsl.runtime.tool import Tool

Callee = TypeVar("Callee", bound="Agent[Any] | Tool[Any]")
Work: TypeAlias = Callable[[Step, Callee, Mapping[str, Any]], Awaitable[Any]]


async def take_step(step: Step, callee: Callee, values: Mapping[str, Any], work: Work[Callee]) -> Any:
    """Return the value of a step, or the declared default; raise StepFailed.

    `values` are its inputs. `work` does what the step is about, with fitted inputs, where the journal does not have its
    value.
    """
    if step.session.just_started_by:
        await step.session.let_started_begin()
    step.began = step.session.now()
    values, clips, unfit = _fitted(callee.parameters.shapes, values)
    entry = None if unfit else _entry(step, callee, values)
    if step.session.witness is not None and not unfit:
        step.session.witness(step.path, step.indices, callee, values)
    if entry is not None:
        lost = entry.standing.lost
        if entry.standing.value is not None:
            try:
                return await _reuse(step, callee, entry, entry.standing.value)
            except ShapeError as error:
                entry.recording.past.refuse(entry.standing.value)
                lost = f"its value in the journal does not fit its type: {error}"
        elif entry.standing.failure is not None:
            await _fail_again(step, entry)
        step.entry = entry
        if lost:
            step.emit("rerun", detail=lost)
    step.session.consider_stop()
    step.begin()
    for clip in clips:
        step.emit("clipped", detail=clip)
    try:
        if unfit:
            raise step.failed(unfit)
        working = work(step, callee, values)
        del values  # so many steps may be under way that it counts what each of them holds
        value = await working
        if entry is not None:
            entry.value("done" if isinstance(callee, Agent) else "tool", value)
            await _before_it_is_shown(step, entry)
    except StepFailed as failure:
        return await _default(step, callee, failure)
    step.emit("finished", seconds=step.seconds, value=plain(value))
    return value


def _entry(step: Step, callee: Agent[Any] | Tool[Any], values: Mapping[str, Any]) -> Entry | None:
    """Return the step's place in the journal, None where the run has none. Raises Stopped."""
    recording = step.session.recording
    if recording is None:
        return None
    step.check_not_stopped()
    model = step.session.model_name(callee) if isinstance(callee, Agent) else ""
    return recording.entry(step.path, step.indices, callee, model, values)


async def _default(step: Step, callee: Agent[Any] | Tool[Any], failure: StepFailed) -> Any:
    """Return the declared default of a step that gave no value of its own. Raises the failure where there is none."""
    entry = step.entry
    takes_default = callee.has_default and not isinstance(failure, Stopped)
    if entry is not None and not isinstance(failure, Stopped):
        if takes_default:
            entry.value("done", callee.default, is_default=True)
        else:
            entry.failed(failure, step.address)
        await _before_it_is_shown(step, entry)
    step.emit_failure(failure)
    if not takes_default:
        raise failure
    step.emit("finished", detail="default", seconds=step.seconds, value=plain(callee.default))
    return callee.default


async def _before_it_is_shown(step: Step, entry: Entry) -> None:
    """Wait until the journal has what an observer is about to be shown."""
    if step.session.is_watched:
        await entry.recording.durable()


async def _reuse(step: Step, callee: Agent[Any] | Tool[Any], entry: Entry, epoch: Epoch) -> Any:
    """Return the value that the journal has. Raises ShapeError where it does not fit any more."""
    assert epoch.end is not None
    value = fit(epoch.end.body.get("value"), callee.returns).value
    spent = epoch.spent()
    step.meter.charge(spent.cost, spent.calls, entry.recording.above)
    detail = "default" if epoch.end.body.get("default") else ""
    moved_from = entry.standing.moved_from
    if moved_from:
        entry.claim(epoch, moved_from)
        await _before_it_is_shown(step, entry)
        step.emit("claimed", detail=f"{detail}{detail and ', '}from {moved_from}", value=plain(value))
    else:
        step.emit("reused", detail=detail, value=plain(value))
    return value


async def _fail_again(step: Step, entry: Entry) -> None:
    """Fail as the journal says that the step did."""
    epoch = entry.standing.failure
    assert epoch is not None and epoch.end is not None
    row, body = epoch.end, epoch.end.body
    spent = epoch.spent()
    step.meter.charge(spent.cost, spent.calls, entry.recording.above)
    where, reason, limit = body.get("step", step.address), str(body.get("reason", "")), body.get("limit")
    step.emit("failed", detail=f"{reason} (as row {row.seq} of the journal says)")
    raise StepFailed(where, reason) if limit is None else BudgetRefused(where, reason, limit=limit)


def fit_inputs(step: Step, shapes: Mapping[str, Shape], inputs: Mapping[str, object]) -> dict[str, Any]:
    """Return typed inputs within their caps, with an event for each part that was clipped."""
    values, clips, unfit = _fitted(shapes, inputs)
    for clip in clips:
        step.emit("clipped", detail=clip)
    if unfit:
        raise step.failed(unfit)
    return values


def _fitted(shapes: Mapping[str, Shape], inputs: Mapping[str, object]) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """Return typed inputs, what was clipped, and which one does not fit, if one does not."""
    values: dict[str, Any] = {}
    clipped: list[str] = []
    for name, value in inputs.items():
        try:
            values[name], clips = fit(value, shapes[name])
        except ShapeError as error:
            return values, tuple(clipped), f"the input `{name}` does not fit: {error}"
        for clip in clips:
            where = f"{name}.{clip.where}" if clip.where and clip.where[0] != "[" else f"{name}{clip.where}"
            clipped.append(f"input {clip._replace(where=where)}")
    return values, tuple(clipped), ""
