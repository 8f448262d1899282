"""One run as spans, made of the events that its observer is shown.

    invoke_workflow main                      the run; and a flow that a step calls
      invoke_agent solver                     a step of an agent
        chat gpt-4o-mini                      one call of its model; a step that asks again has several
        execute_tool search                   a tool that the agent uses
      execute_tool read                       a step of a tool

Spans begin and end with the steps, so that what is under way can be seen by whoever exports them at once; their times
are those of the events. The span of a call is made when the call has ended. What else happens to a step (it is asked
again, a reply is mended, a value is taken from the journal) is an event of its span.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from masdsl.config import NoModel, find_model
from masdsl.rectify.causes import cause_of
from masdsl.runtime.events import Event, Observer
from masdsl.runtime.failures import RunFailed, RunStopped
from masdsl.runtime.models.base import ChatModel
from masdsl.tracing import names
from masdsl.tracing.messages import Heard, Said, TracedModel
from masdsl.version import __version__

if TYPE_CHECKING:
    from masdsl.bounds.result import Bounds, Part
    from masdsl.check.program import Program
    from masdsl.config import Config
    from masdsl.rectify.base import Intervention
    from masdsl.runtime import Result
    from masdsl.runtime.program import Models

NANOSECONDS: Final = 1_000_000_000
LONGEST: Final = 20_000
"""Characters of a text that a span has at most: backends refuse spans of megabytes."""
_NOTED: Final = frozenset({"retried", "repaired", "clipped", "miscounted", "repeated", "replayed", "rerun"})
"""Kinds of events that are events of the step's span."""

_Address = tuple[str, tuple[int, ...]]


class Tracing:
    """Who traces the runs of a process: where spans go, and whether they have contents."""

    def __init__(self, tracer: trace.Tracer, contents: bool) -> None:
        self._tracer = tracer
        self.contents = contents

    def run(self, program: Program, config: Config, flow: str, run: str) -> RunSpans:
        """Begin the span of a run; `flow` is the key of the flow that it begins with, `run` its id, if it has one."""
        return RunSpans(self._tracer, program, config, flow, run, self.contents)


def tracing_to(provider: trace.TracerProvider | None, *, contents: bool) -> Tracing:
    """Return what traces to a provider; None is the process's own."""
    schema = "https://opentelemetry.io/schemas/1.37.0"
    return Tracing(trace.get_tracer("masdsl", __version__, provider, schema_url=schema), contents)


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
        self._places = _Places(program, config, flow)
        self._open: dict[_Address, Span] = {}
        self._said: dict[Heard, Said] = {}
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
                about |= {"patch": _short(one.patch), "reason": _short(one.reason)}
            self._root.add_event("mas.intervention", about)
            if told is not None:
                told(one, before)

        return tell

    # ------------------------------------------------------------ events

    def see(self, event: Event) -> None:
        """Make of an event what it is in spans."""
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
        provider, model = self._provider(event.model)
        attributes: dict[str, Any] = {
            names.OPERATION: names.CHAT,
            names.PROVIDER: provider,
            names.REQUEST_MODEL: model,
            names.STEP: event.address,
            names.ATTEMPT: event.attempt,
            names.INPUT_TOKENS: event.tokens_in,
            names.OUTPUT_TOKENS: event.tokens_out,
            names.USD: event.usd,
        }
        if said is not None:
            attributes |= said.attributes(LONGEST)
        began = at - int(event.seconds * NANOSECONDS)
        under = trace.set_span_in_context(span)
        call = self._tracer.start_span(f"{names.CHAT} {model}", under, SpanKind.CLIENT, attributes, start_time=began)
        if event.detail:
            self._failed(call, event)
        call.end(at)

    def _provider(self, name: str) -> tuple[str, str]:
        """Return who provides a model, and under which name it is asked for there."""
        try:
            entry = find_model(self._config, name, tier=False)
        except NoModel:
            return "masdsl", name
        asked = entry.model or entry.name
        if entry.kind == "litellm":
            provider, _, rest = asked.partition("/")
            return provider, rest or asked
        return ("openai" if entry.kind == "openai" else "masdsl"), asked

    def _failed(self, span: Span, event: Event) -> None:
        cause = "budget" if event.kind == "refused" else cause_of(event.detail, event.what)
        span.set_attribute(names.ERROR_TYPE, cause)
        span.set_status(Status(StatusCode.ERROR, _short(event.detail, 300) if self._contents else cause))

    def _detail(self, event: Event) -> dict[str, Any]:
        """Return what an event says in words, which may be a model's or a tool's: a part of the contents."""
        return {"detail": _short(event.detail, 300)} if event.detail and self._contents else {}

    def _value(self, span: Span, event: Event) -> None:
        if self._contents:
            key = names.TOOL_RESULT if event.what == "tool" else names.VALUE
            span.set_attribute(key, _short(_json(event.value)))

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
            told = _short(f"{failure.step}: {failure.reason}", 300)
            self._root.set_status(Status(StatusCode.ERROR, told if self._contents else f"{failure.step}: {cause}"))
        if failure.result is not None:
            self._settle(failure.result)

    def _settle(self, result: Result) -> None:
        counted = {
            names.spent("calls"): result.calls,
            names.spent("input_tokens"): result.tokens_in,
            names.spent("output_tokens"): result.tokens_out,
            names.spent("usd"): result.usd,
            names.PATCHES: self._patches,
        }
        self._root.set_attributes(counted)

    def close(self) -> None:
        """End what is still open: spans of a run that was broken off end now."""
        for span in reversed(self._open.values()):
            span.end()
        self._open.clear()
        self._said.clear()
        self._root.end()


class _Places:
    """Where steps stand in the source, and what they cost at worst; worked out when it is first asked for."""

    def __init__(self, program: Program, config: Config, flow: str) -> None:
        self._program = program
        self._flow = flow
        self._bounds = _bounds(program, config)
        self._parts: dict[str, Part] = {}
        waiting = list(self._bounds.flows[flow].parts)
        while waiting:
            part = waiting.pop()
            self._parts.setdefault(part.path, part)
            waiting += part.parts

    def whole(self) -> dict[str, Any]:
        """Return the worst case of a run."""
        found = self._bounds.flows[self._flow]
        return _worst(found.most, found.seconds)

    def of(self, path: str) -> dict[str, Any]:
        """Return where a step stands, and its worst case, all rounds of the loops around it included."""
        from masdsl.check.addresses import places

        flow = self._program.flow(self._flow)
        own = places(self._program, flow.body, path)
        found: dict[str, Any] = {}
        if own:
            last = own[-1]
            source = next(one.source for one in self._program.modules if one.name == last.module)
            found[names.SOURCE] = f"{source.name}:{source.position(last.span.start).line}"
        part = self._parts.get(path)
        if part is not None:
            found |= _worst(part.most, part.seconds)
        return found


def _bounds(program: Program, config: Config) -> Bounds:
    from masdsl.bounds.flows import bound
    from masdsl.bounds.rates import counts_of, prices_in, rates_of

    rates = rates_of(program, config)
    return bound(program, prices_in(rates), counts_of(rates))


def _worst(most: Any, seconds: int) -> dict[str, Any]:
    from masdsl.bounds.report import amounts

    told = amounts(most, seconds)
    return {names.bound(measure): told[measure] for measure in ("calls", "tokens", "usd", "seconds")}


def _short(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _json(value: Any) -> str:
    from json import dumps

    return value if isinstance(value, str) else dumps(value, ensure_ascii=False)
