"""What generated code talks to: `Run`, one frame of a running flow.

A frame is immutable: a place in the program (`main.refine`), the numbers of the iterations and samples around it, the
slice of the budget that holds here, and the scope its steps belong to. Loops, samples and calls of flows make new
frames; the address of every step follows from names and numbers alone, whatever runs beside it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeAlias, TypeVar, get_type_hints, overload

from masdsl.runtime.agent import MISSING, Agent
from masdsl.runtime.asking import ask
from masdsl.runtime.designing import use_designer
from masdsl.runtime.events import StepKind, address
from masdsl.runtime.failures import ShapeError, StepFailed, Stopped
from masdsl.runtime.meter import Limits, Meter
from masdsl.runtime.session import Scope, Session, Started, Step, put_beside
from masdsl.runtime.shapes import Shape, fit, plain, shape_of
from masdsl.runtime.stepping import fit_inputs, take_step
from masdsl.runtime.tool import Tool
from masdsl.runtime.using import use_tool
from masdsl.tools.base import is_designer

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

FlowFunction: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]


class Run:
    """A frame of a running flow; see the module docstring. Generated code gets it, nobody else makes one."""

    __slots__ = ("_meter", "_scope", "_session", "indices", "path")

    def __init__(self, session: Session, meter: Meter, scope: Scope, path: str, indices: tuple[int, ...]) -> None:
        self._session = session
        self._meter = meter
        self._scope = scope
        self.path = path
        self.indices = indices

    def __repr__(self) -> str:
        return f"<run at {address(self.path, self.indices)}>"

    # ------------------------------------------------------------ steps

    @overload
    def call(self, step: str, callee: Agent[T] | Tool[T], /, **inputs: object) -> Coroutine[Any, Any, T]: ...

    @overload
    def call(
        self,
        step: str,
        callee: Callable[Concatenate[Run, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **inputs: P.kwargs,
    ) -> Coroutine[Any, Any, T]: ...

    def call(self, step: str, callee: Any, /, *args: object, **inputs: object) -> Coroutine[Any, Any, Any]:
        """Call an agent, a tool or a flow as the step of that name, with inputs by name, and return its value.

        Names of steps are relative to the frame and may have dots: `if.answer`. Raises StepFailed where the callee
        gives no value and declares no default.
        """
        path = f"{self.path}.{step}"
        if isinstance(callee, Agent):
            return take_step(self._step(path, "agent", callee.name), callee, callee.parameters.complete(inputs), ask)
        if isinstance(callee, Tool):
            designer = callee.designer or self._session.tools.get(callee.granted_as)
            if is_designer(designer):
                return use_designer(self, path, callee, designer, callee.parameters.complete(inputs))
            return use_tool(self._step(path, "tool", callee.name), callee, callee.parameters.complete(inputs))
        return run_flow(self, path, callee, dict(zip(flow_shape(callee).inputs, args, strict=False)) | inputs)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Started[T]:
        """Start a step that runs beside the following ones; await what this returns for its value.

        Whatever may fail in it and has a fallback must be caught inside the coroutine: a failure that leaves it ends
        the flow.
        """
        self._session.note_start()
        return Started(self._scope.start(coroutine))

    def sample(
        self,
        count: int,
        function: Callable[Concatenate[Run, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **inputs: P.kwargs,
    ) -> Coroutine[Any, Any, list[T]]:
        """Run `function` that many times concurrently, each in a frame with its number; return the values in order."""
        scope = Scope(self._scope)
        return _together(scope, (function(run, *args, **inputs) for run in self._numbered(count, scope)))

    def map(
        self,
        items: Sequence[S],
        function: Callable[Concatenate[Run, S, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **inputs: P.kwargs,
    ) -> Coroutine[Any, Any, list[T]]:
        """Run `function` for every item concurrently, each in a frame with its number; return the values in order."""
        scope = Scope(self._scope)
        frames = zip(self._numbered(len(items), scope), items, strict=True)
        return _together(scope, (function(run, item, *args, **inputs) for run, item in frames))

    def sample_in_order(
        self,
        count: int,
        function: Callable[Concatenate[Run, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **inputs: P.kwargs,
    ) -> Coroutine[Any, Any, list[T]]:
        """Like `sample`, but one after the other: for steps that change the world."""
        return _in_order(function(run, *args, **inputs) for run in self._numbered(count, self._scope))

    def map_in_order(
        self,
        items: Sequence[S],
        function: Callable[Concatenate[Run, S, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **inputs: P.kwargs,
    ) -> Coroutine[Any, Any, list[T]]:
        """Like `map`, but one after the other: for steps that change the world."""
        frames = zip(self._numbered(len(items), self._scope), items, strict=True)
        return _in_order(function(run, item, *args, **inputs) for run, item in frames)

    # ------------------------------------------------------------ frames

    def loop(self, name: str, times: int) -> Iterator[Run]:
        """Yield a frame for each of at most `times` iterations."""
        for index in range(times):
            yield self._at(f"{self.path}.{name}", (*self.indices, index))

    def each(self, name: str, items: Sequence[T]) -> Iterator[tuple[Run, T]]:
        """Yield a frame and the item for each item, one after the other."""
        for index, item in enumerate(items):
            yield self._at(f"{self.path}.{name}", (*self.indices, index)), item

    @asynccontextmanager
    async def within(
        self,
        name: str,
        *,
        calls: int | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[Run]:
        """Give a frame whose steps share a slice of the budget."""
        path = f"{self.path}.{name}"
        limits = Limits(calls=calls, tokens=tokens, usd=usd, seconds=seconds)
        meter = self._slice(limits, f"`within` at {path}", path)
        yield Run(self._session, meter, self._scope, path, self.indices)

    # ------------------------------------------------------------ inside

    def _at(self, path: str, indices: tuple[int, ...]) -> Run:
        return Run(self._session, self._meter, self._scope, path, indices)

    def _below(self, path: str, meter: Meter, scope: Scope) -> Run:
        return Run(self._session, meter, scope, path, self.indices)

    def _slice(self, limits: Limits, name: str, path: str) -> Meter:
        """Return a meter below this frame's; what its time was before the run was broken off counts."""
        recording, elapsed = self._session.recording, 0.0
        if limits.seconds is not None and recording is not None:
            elapsed = recording.past.elapsed_in(path, self.indices)
        return Meter(limits, name, self._meter, elapsed=elapsed)

    def _step(self, path: str, what: StepKind, name: str) -> Step:
        return Step(self._session, self._meter, self._scope, path, self.indices, what, name)

    def _numbered(self, count: int, scope: Scope) -> Iterator[Run]:
        """Yield so many frames at this one's place, each with its number."""
        for index in range(count):
            yield Run(self._session, self._meter, scope, self.path, (*self.indices, index))


async def _together(scope: Scope, coroutines: Iterator[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines concurrently, and return their values in order once all of them have ended."""
    for coroutine in coroutines:
        scope.start(coroutine)
    del coroutines  # so many steps may be under way that it counts what each of them holds
    await scope.drain()
    failures = [error for task in scope.tasks if not task.cancelled() and (error := task.exception()) is not None]
    if failures:
        first = next((failure for failure in failures if not isinstance(failure, Stopped)), failures[0])
        put_beside(first, failures)
        raise first
    return [task.result() for task in scope.tasks]


async def _in_order(coroutines: Iterator[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines one after the other; one that fails keeps none of the others from running."""
    values: list[T] = []
    failure: StepFailed | None = None
    for coroutine in coroutines:
        try:
            values.append(await coroutine)
        except StepFailed as failed:
            failure = failure or failed
            put_beside(failure, (failed,))
    if failure is not None:
        raise failure
    return values


# ---------------------------------------------------------------- flows


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What a flow declares besides its parameters: see `flow`."""

    name: str | None = None
    limits: Limits | None = None
    default: object = MISSING


F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])


def flow(*, name: str | None = None, limits: Limits | None = None, default: object = MISSING) -> Callable[[F], F]:
    """Declare what a function's signature cannot say about a flow.

    That is its own budget, the value that it gives when it fails (`flow f() -> bool else false budget calls 3`), and
    its name in the program where Python needs another one. A flow with none of these needs no decorator.
    """

    def declare(function: F) -> F:
        function.__dict__["__masdsl_flow__"] = FlowOptions(name, limits, default)
        return function

    return declare


def flow_options(function: FlowFunction) -> FlowOptions:
    """Return what `flow` declared about a function."""
    options: FlowOptions = function.__dict__.get("__masdsl_flow__", _NO_OPTIONS)
    return options


_NO_OPTIONS = FlowOptions()


def flow_name(function: FlowFunction) -> str:
    """Return a flow's name in the program."""
    return flow_options(function).name or function.__name__


class FlowShape(NamedTuple):
    """The types of a flow's parameters and value, from its annotations, and the defaults of parameters."""

    inputs: Mapping[str, Shape]
    defaults: Mapping[str, object]
    returns: Shape

    def parameter_of(self, name: str) -> str | None:
        """Return the Python parameter for a name in the program (`class_` for `class`), None where there is none."""
        return next((own for own in (name, f"{name}_", f"{name}__") if own in self.inputs), None)


def flow_shape(function: FlowFunction) -> FlowShape:
    """Return a flow's types; raise TypeError for annotations that are none of the language's."""
    known: FlowShape | None = function.__dict__.get("__masdsl_shape__")
    if known is None:
        hints = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        inputs = {parameter.name: shape_of(hints[parameter.name]) for parameter in parameters}
        defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        known = function.__dict__["__masdsl_shape__"] = FlowShape(inputs, defaults, shape_of(hints["return"]))
    return known


async def run_flow(frame: Run, path: str, function: FlowFunction, inputs: Mapping[str, object]) -> Any:
    """Run a flow as the step at `path` and return its value, or its default, once all that it started has ended."""
    session = frame._session
    if session.just_started_by:
        await session.let_started_begin()
    options = flow_options(function)
    shape = flow_shape(function)
    meter = frame._meter
    if options.limits is not None:
        meter = frame._slice(options.limits, f"the budget of flow {path}", path)
    scope = Scope(frame._scope)
    child = Run(session, meter, scope, path, frame.indices)
    step = Step(session, meter, scope, path, frame.indices, "flow", flow_name(function), session.now())
    step.begin()
    try:
        values = fit_inputs(step, shape.inputs, inputs)
        value = await scope.run(function(child, **values))
        value = _fit_value(step, value, shape.returns)
    except StepFailed as failure:
        step.emit_failure(failure)
        if options.default is MISSING or isinstance(failure, Stopped):
            raise
        value = fit(options.default, shape.returns).value
        step.emit("finished", detail="default", seconds=step.seconds, value=plain(value))
        return value
    step.emit("finished", seconds=step.seconds, value=plain(value))
    return value


def _fit_value(step: Step, value: object, shape: Shape) -> Any:
    try:
        fitted, clips = fit(value, shape)
    except ShapeError as error:
        raise step.failed(f"the flow's value does not fit: {error}") from None
    for clip in clips:
        step.emit("clipped", detail=str(clip))
    return fitted
