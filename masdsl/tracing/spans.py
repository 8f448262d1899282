"""One run as spans, made of the events that its observer is shown.

    invoke_workflow main                      the run; and a flow that a step calls
      invoke_agent solver                     a step of an agent
        chat gpt-4o-mini                      one call of its model; a step that asks again has several
        execute_tool search                   a tool that the agent uses
      execute_tool read                       a step of a tool
      invoke_agent rectifier                  who is asked for a patch; below it the calls of its model

Spans begin and end with the steps, so that what is under way can be seen by whoever exports them at once; their times
are those of the events. The span of a call is made when the call has ended. What else happens to a step (it is asked
again, a reply is mended, a value is taken from the journal) is an event of its span.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from masdsl.rectify.causes import cause_of
from masdsl.runtime.events import Event, Observer, Witness
from masdsl.runtime.failures import RunFailed, RunStopped
from masdsl.runtime.models.base import ChatModel
from masdsl.runtime.shapes import plain
from masdsl.runtime.tool import Tool
from masdsl.tracing import names
from masdsl.tracing.calls import NANOSECONDS, Call, call_span
from masdsl.tracing.messages import Heard, Said, TracedModel, arguments, as_text, short
from masdsl.tracing.places import Places
from masdsl.tracing.roles import TracedRectifier

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.config import Config
    from masdsl.rectify.base import Intervention, Rectifier
    from masdsl.runtime import Result
    from masdsl.runtime.agent import Agent
    from masdsl.runtime.program import Models

_NOTED: Final = frozenset({"retried", "repaired", "clipped", "miscounted", "repeated", "replayed", "rerun"})
"""Kinds of events that are events of the step's span."""

_Address = tuple[str, tuple[int, ...]]


class RunSpans:
    """The spans of one run. `see` is its observer; `ended`, `broke` or `close` says how it ended."""

    def __init__(
        self, tracer: trace.Tracer, program: Program, config: Config, flow: str, run: str, contents: bool
    ) -> None:
        self.run = run
        self._tracer = tracer
        self._program = program
        self._config = config
        self._contents = contents
        self._places = Places(program, config, flow)
        self._open: dict[_Address, Span] = {}
        self._said: dict[Heard, Said] = {}
        self._given: dict[_Address, Mapping[str, Any]] = {}
        self._zero: int | None = None
        self._entry = program.flow(flow).name
        self._patches = 0
        source = program.modules[0].source.name
        known = {
            names.OPERATION: names.WORKFLOW,
            names.WORKFLOW_NAME: self._entry,
            names.PROGRAM: source,
            **({names.RUN: run, names.CONVERSATION: run} if run else {}),
            **self._places.whole(),
        }
        self._root = tracer.start_span(f"{names.WORKFLOW} {self._entry}", attributes=known)

    # ------------------------------------------------------------ what the run is given

    def beside(self, observer: Observer | None) -> Observer:
        """Return an observer that shows events to another one first, and then makes spans of them."""
        if observer is None:
            return self.see

        def both(event: Event) -> None:
            try:
                observer(event)
            finally:
                self.see(event)

        return both

    def models(self, models: Models) -> Models:
        """Return the models of the run so that it is known what they say, where contents are asked for."""
        if not self._contents:
            return models
        if isinstance(models, Mapping):
            return {name: TracedModel(model, self._said) for name, model in models.items()}
        given: Any = models
        if hasattr(given, "complete"):
            return TracedModel(given, self._said)

        def resolve(name: str, *, tier: bool) -> ChatModel:
            return TracedModel(given(name, tier=tier), self._said)

        return resolve

    def witness(self) -> Witness | None:
        """Return what is told of the arguments of tools, where contents are asked for."""
        return self._witness if self._contents else None

    def _witness(
        self, path: str, indices: tuple[int, ...], callee: Agent[Any] | Tool[Any], values: Mapping[str, Any]
    ) -> None:
        if isinstance(callee, Tool):
            self._given[path, indices] = values

    def rectifier(self, rectifier: Rectifier) -> Rectifier:
        """Return a rectifier of the run so that what it asks of models stands below the run."""
        return TracedRectifier(rectifier, self._tracer, self._root, self._config, self._contents)

    def patched(self, told: Callable[[Intervention, Program], None] | None) -> Callable[[Intervention, Program], None]:
        """Return what is told of interventions, and tells another one."""

        def tell(one: Intervention, before: Program) -> None:
            self._patches += one.accepted
            about: dict[str, Any] = {
                "trigger": one.trigger.kind,
                "cause": one.trigger.cause,
                "step": one.trigger.step,
                "by": one.who,
                "accepted": one.accepted,
            }
            if self._contents:
                about |= {"patch": short(one.patch), "reason": short(one.reason)}
            self._root.add_event("mas.intervention", about)
            if told is not None:
                told(one, before)

        return tell

    # ------------------------------------------------------------ events

    def see(self, event: Event) -> None:
        """Make of an event what it is in spans."""
        if event.kind == "started" and event.path == self._entry and event.what == "flow":
            self._zero = None  # it begins anew after a patch: the time for which was none of the run's own
        at = self._at(event.at)
        address = (event.path, event.indices)
        if event.path == self._entry and event.what == "flow":
            self._whole(event, at)
        elif event.kind == "started":
            self._open[address] = self._step(event, at)
        elif event.kind in ("reused", "claimed"):
            span = self._step(event, at)
            span.set_attribute(names.TAKEN, "journal")
            self._value(span, event)
            span.end(at)
        else:
            known = self._open.get(address) or self._late(event, at)
            if known is not None:
                self._happened(known, event, at, address)

    def _whole(self, event: Event, at: int) -> None:
        """The flow that a run begins with is the run itself, however often a patch lets it begin again."""
        if event.kind in ("failed", "refused"):
            self._root.add_event(f"mas.{event.kind}", self._detail(event), at)
        elif event.kind == "finished":
            self._value(self._root, event)

    def _late(self, event: Event, at: int) -> Span | None:
        """A step that has not begun may be told of: it fails again as the journal says, or is not reused."""
        if event.kind not in ("failed", "rerun"):
            return None
        span = self._step(event, at)
        self._open[(event.path, event.indices)] = span
        return span

    def _happened(self, span: Span, event: Event, at: int, address: _Address) -> None:
        match event.kind:
            case "called" if event.what == "tool":
                if event.model:
                    span.set_attribute("mas.sandbox", event.model)
                if event.detail:
                    self._failed(span, event)
            case "called":
                self._call(span, event, at)
            case "finished":
                self._value(span, event)
                if event.detail == "default":
                    span.set_attribute(names.TAKEN, "default")
                del self._open[address]
                span.end(at)
            case "failed" | "refused":
                self._failed(span, event)
                span.add_event(f"mas.{event.kind}", self._detail(event), at)
                if not self._has_default(event):
                    del self._open[address]
                    span.end(at)
            case kind if kind in _NOTED:
                span.add_event(f"mas.{kind}", self._detail(event), at)

    def _has_default(self, event: Event) -> bool:
        """Whether `finished` follows a failure: with the declared default."""
        program = self._program
        return (
            any(one.name == event.name and one.has_default for one in program.agents)
            or any(one.name == event.name and one.has_default for one in program.tools)
            or any(one.name == event.name and one.has_default for one in program.flows)
        )

    # ------------------------------------------------------------ spans

    def _step(self, event: Event, at: int) -> Span:
        operation, own = {
            "agent": (names.AGENT, names.AGENT_NAME),
            "tool": (names.TOOL, names.TOOL_NAME),
            "flow": (names.WORKFLOW, names.WORKFLOW_NAME),
        }[event.what]
        attributes = {
            names.OPERATION: operation,
            own: event.name,
            names.STEP: event.address,
            **({names.TOOL_TYPE: "function"} if event.what == "tool" else {}),
            **self._places.of(event.path),
        }
        given = self._given.pop((event.path, event.indices), None)
        if given is not None:
            attributes[names.TOOL_ARGUMENTS] = arguments({name: plain(value) for name, value in given.items()})
        name = f"{operation} {event.name}"
        return self._tracer.start_span(name, self._under(event), attributes=attributes, start_time=at)

    def _under(self, event: Event) -> Any:
        """Return the context below the step that the event's step stands in: the longest address around it."""
        best, length = self._root, 0
        for (path, indices), span in self._open.items():
            is_around = event.path.startswith(f"{path}.") and event.indices[: len(indices)] == indices
            if is_around and len(path) > length:
                best, length = span, len(path)
        return trace.set_span_in_context(best)

    def _call(self, span: Span, event: Event, at: int) -> None:
        """Make the span of one call of a model, below that of its step."""
        said = self._said.pop((event.address, event.attempt), None)
        own: dict[str, Any] = {names.STEP: event.address, names.ATTEMPT: event.attempt}
        if said is not None:
            own |= said.attributes()
        fault = cause_of(event.detail, event.what) if event.detail else ""
        began = at - int(event.seconds * NANOSECONDS)
        used = (event.tokens_in, event.tokens_out, event.usd)
        call = Call(event.model, *used, began, at, fault, self._told(event, fault), own)
        call_span(self._tracer, trace.set_span_in_context(span), self._config, call)

    def _failed(self, span: Span, event: Event) -> None:
        cause = "budget" if event.kind == "refused" else cause_of(event.detail, event.what)
        span.set_attribute(names.ERROR_TYPE, cause)
        span.set_status(Status(StatusCode.ERROR, self._told(event, cause)))

    def _told(self, event: Event, cause: str) -> str:
        """Return why something failed in its own words, which are a part of the contents; else the cause."""
        return short(event.detail, 300) if self._contents else cause

    def _detail(self, event: Event) -> dict[str, Any]:
        """Return what an event says in words, which may be a model's or a tool's: a part of the contents."""
        return {"detail": short(event.detail, 300)} if event.detail and self._contents else {}

    def _value(self, span: Span, event: Event) -> None:
        if self._contents:
            key = names.TOOL_RESULT if event.what == "tool" else names.VALUE
            span.set_attribute(key, short(as_text(event.value)))

    def _at(self, seconds: float) -> int:
        """Return a time since the run began as nanoseconds since 1970; the first event is now."""
        since = int(seconds * NANOSECONDS)
        if self._zero is None:
            self._zero = time.time_ns() - since
        return self._zero + since

    # ------------------------------------------------------------ the end

    def ended(self, result: Result) -> Result:
        """Say that the run gave a value; return what it gave."""
        self._root.set_attribute(names.STATUS, "ended")
        self._settle(result)
        return result

    def broke(self, failure: RunFailed) -> None:
        """Say that the run failed, or was stopped."""
        stopped = isinstance(failure, RunStopped)
        self._root.set_attribute(names.STATUS, "stopped" if stopped else "failed")
        if not stopped:
            cause = cause_of(failure.reason, "")
            self._root.set_attribute(names.ERROR_TYPE, cause)
            told = short(f"{failure.step}: {failure.reason}", 300)
            self._root.set_status(Status(StatusCode.ERROR, told if self._contents else f"{failure.step}: {cause}"))
        if failure.result is not None:
            self._settle(failure.result)

    def _settle(self, result: Result) -> None:
        spent = names.spending(result.calls, result.tokens_in, result.tokens_out, result.usd)
        self._root.set_attributes({**spent, names.PATCHES: self._patches})

    def close(self) -> None:
        """End what is still open: spans of a run that was broken off end now."""
        for span in reversed(self._open.values()):
            span.end()
        self._open.clear()
        self._said.clear()
        self._given.clear()
        self._root.end()
