"""A compiled program: its flows, agents and tools, and how to run it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from masdsl.journal.base import OpenRun
from masdsl.runtime.agent import Agent
from masdsl.runtime.events import Observer, Witness, rounded
from masdsl.runtime.failures import (
    BudgetExceeded,
    BudgetRefused,
    InputError,
    NotInJournal,
    RunFailed,
    RunStopped,
    ShapeError,
    StepFailed,
    Stopped,
)
from masdsl.runtime.meter import Limits, tightest
from masdsl.runtime.models.base import ChatModel, ModelError, ModelResolver
from masdsl.runtime.past import Past
from masdsl.runtime.recording import Recording, silent_models
from masdsl.runtime.result import Result
from masdsl.runtime.run import FlowFunction, FlowShape, Run, flow_name, flow_shape, run_flow
from masdsl.runtime.session import Scope, Session, ShouldStop, StandIn
from masdsl.runtime.shapes import fit, plain
from masdsl.runtime.tool import Tool, ToolFunction
from masdsl.tools.base import is_offer

if TYPE_CHECKING:
    from masdsl.runtime.granted import HostTools

Models: TypeAlias = "ModelResolver | Mapping[str, ChatModel] | ChatModel"
"""Where models come from: a resolver, models by the names of tiers (or of models), or one model for every agent."""

_NO_STAND_INS: Final[Mapping[str, StandIn]] = {}


class Program:
    """A compiled program.

    `flows`, `agents` and `tools` are all of it, in order of declaration; `budget` is the program's own, which holds for
    every run of it.
    """

    def __init__(
        self,
        *,
        name: str,
        flows: Sequence[FlowFunction],
        agents: Sequence[Agent[Any]] = (),
        tools: Sequence[Tool[Any]] = (),
        budget: Limits | None = None,
    ) -> None:
        self.name = name
        self.flows: dict[str, FlowFunction] = {flow_name(function): function for function in flows}
        self.agents = {agent.name: agent for agent in agents}
        self.tools = {tool.name: tool for tool in tools}
        self.budget = budget or Limits()

    def __repr__(self) -> str:
        return f"<program {self.name}: {', '.join(self.flows)}>"

    async def run(
        self,
        flow: str = "main",
        inputs: Mapping[str, object] | None = None,
        *,
        models: Models | None = None,
        tools: Mapping[str, ToolFunction] | None = None,
        on_event: Observer | None = None,
        budget: Limits | None = None,
        ceiling: Limits | None = None,
        stand_ins: Mapping[str, StandIn] | None = None,
        seed: int = 0,
        run: OpenRun | None = None,
        policy: str = "frozen",
        redo: Collection[str] = (),
        aliases: Mapping[str, str] | None = None,
        sites: Container[str] | None = None,
        replay_only: bool = False,
        witness: Witness | None = None,
        should_stop: ShouldStop | None = None,
        count_doubts: bool = True,
    ) -> Result:
        """Run a flow and return its value and what it took.

        Args:
            flow: its name.
            inputs: by the names of its parameters; typed values or JSON data.
            models: where models come from; the configuration (`mas.toml`) when left out.
            tools: the host's functions by the names under which they are granted; the configuration when left out.
            on_event: called for every event, in order, while the program runs.
            budget: a further budget, besides the program's own: what is spent counts in both.
            ceiling: the host's own limits, around all others, which messages call the ceiling in `mas.toml`. Where
                `models` is left out, those of the configuration hold besides.
            stand_ins: answers of agents by name, for tests.
            seed: the seed of every model's sampling follows from it; that of `run` where there is one.
            run: the run's place in a journal. What is paid is kept there before anything that follows from it leaves
                the run (by a tool, an event, the result; a flow's own code does nothing but compute), and what is there
                already is not done again: flow, inputs (those of `run` when left out), seed and models should be the
                same. Whoever opened it closes it.
            policy: whether a finished step stays whose declaration has changed (`frozen`) or not (`strict`).
            redo: paths of steps that are to be done again, with all below them, although they are finished.
            aliases: where steps stood before, by their paths now (or by those of blocks around them).
            sites: the paths of all steps that the program has. A finished step elsewhere was moved: what asks the
                same, and has no row of its own, takes its value.
            replay_only: call no model and no tool, and add nothing to the journal.
            witness: is told of the inputs of each step before it begins, or is taken from the journal.
            should_stop: is asked before a step begins and after each call of a model. With a reason, no further step
                begins; what is under way ends and counts.
            count_doubts: whether calls that were under way when the run was broken off, so that nobody knows whether
                they were paid, count as paid in full. Otherwise somebody else has to account for them.

        Raises:
            InputError: there is no such flow, or the inputs do not fit it. Nothing was called.
            RunFailed: the run gave no value (BudgetExceeded: for lack of budget; RunStopped: it was stopped). It
                carries what was done until then.
            NotInJournal: a run that is only replayed needs something that is not in its journal.
            ValueError: there is no such policy.
            JournalError: the journal cannot be written. What was acknowledged is there: resume the run.
        """
        function = self._flow(flow)
        past = None
        if run is not None:
            inputs, seed = run.header.inputs if inputs is None else inputs, run.header.seed
            past = Past(run.rows(), policy=policy, redo=redo, aliases=aliases, sites=sites, replay_only=replay_only)
            if replay_only:
                models = silent_models(run.header.tiers)
        elif replay_only:
            raise InputError("there is nothing to replay: give the run that is to be replayed")
        values = _inputs(flow, flow_shape(function), inputs or {})
        session = Session(
            limits=self.budget,
            ceiling=tightest(ceiling, _configured_ceiling() if models is None else None),
            models=_resolver(models),
            tools={} if tools is None else tools,
            stand_ins=stand_ins or _NO_STAND_INS,
            observer=on_event,
            seed=seed,
            budget=budget,
            elapsed=0.0 if past is None else past.elapsed,
            should_stop=should_stop,
            witness=witness,
        )
        if run is not None and past is not None:
            session.go_on(Recording(run, past, session.innermost.chain), count_doubts=count_doubts)
        root = Run(session, session.innermost, Scope(), flow, ())
        value: Any = None
        failure: StepFailed | None = None
        host = None
        try:
            if session.recording is not None:
                await session.recording.begin()
            if not replay_only:
                if tools is None and self.tools:
                    from masdsl.runtime.granted import HostTools

                    host = HostTools()
                    session.tools = self._configured_tools(host)
                await self._check_grants(session.tools)
            value = await run_flow(root, flow, function, values)
        except StepFailed as failed:
            failure = failed
        except NotInJournal as missing:
            missing.result = _result(session, None)
            raise
        finally:
            session.alarm.close()
            if host is not None:
                await host.close()
            for model in session.opened_models():
                with suppress(ModelError, OSError):
                    await model.close()
        await _settle(session, value, failure)
        return _result(session, value)

    def run_sync(self, flow: str = "main", inputs: Mapping[str, object] | None = None, **options: Any) -> Result:
        """Run a flow as `run` does, from code that is not asynchronous.

        Where an event loop runs already (in a notebook), the program gets a thread and a loop of its own.
        """
        return run_coroutine(lambda: self.run(flow, inputs, **options))

    def cli(self, arguments: Sequence[str] | None = None) -> None:
        """Run a flow from the command line: `python program_mas.py [flow] name=value ...`, and end the process."""
        from masdsl.runtime.command import main

        raise SystemExit(main(self, arguments))

    # ------------------------------------------------------------ inside

    def _flow(self, name: str) -> FlowFunction:
        function = self.flows.get(name)
        if function is None:
            raise InputError(f"{self.name} has no flow `{name}`; it has {', '.join(self.flows) or 'none'}")
        return function

    def _configured_tools(self, host: HostTools) -> dict[str, ToolFunction]:
        from masdsl.runtime.granted import ConfigFault

        try:
            return host.of(self.tools.values())
        except ConfigFault as fault:
            raise StepFailed(f"tool {next(iter(self.tools))}", str(fault)) from None

    async def _check_grants(self, granted: Mapping[str, ToolFunction]) -> None:
        """Refuse to begin, before anything is paid, when a tool is not granted or cannot be used."""
        for tool in self.tools.values():
            if tool.granted_as not in granted:
                raise StepFailed(f"tool {tool.name}", f'the host does not grant "{tool.granted_as}"')
        if any(map(is_offer, granted.values())):
            from masdsl.runtime.granted import open_tools

            await open_tools(self.tools.values(), granted)


def _configured_ceiling() -> Limits | None:
    """Return the limits of the configuration; none where it has a mistake, because no model can be found then."""
    from masdsl.runtime.granted import ConfigFault, ceiling_of, current_config

    try:
        return ceiling_of(current_config())
    except ConfigFault:
        return None


def _inputs(flow: str, shape: FlowShape, given: Mapping[str, object]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in given.items():
        parameter = shape.parameter_of(name)
        if parameter is None:
            raise InputError(f"flow `{flow}` has no input `{name}`; its inputs are: {_names(shape)}")
        try:
            values[parameter] = fit(value, shape.inputs[parameter]).value
        except ShapeError as error:
            raise InputError(f"the input `{name}` of flow `{flow}` does not fit: {error}") from None
    missing = [name for name in shape.inputs if name not in values and name not in shape.defaults]
    if missing:
        raise InputError(f"flow `{flow}` needs the input `{missing[0].rstrip('_')}`; its inputs are: {_names(shape)}")
    return values


def _names(shape: FlowShape) -> str:
    return ", ".join(name.rstrip("_") for name in shape.inputs) or "none"


async def _settle(session: Session, value: Any, failure: StepFailed | None) -> None:
    """Say in the journal how the run ended; raise how it failed, if it did."""
    recording = session.recording
    is_stopped = bool(session.prevented) and (failure is None or isinstance(failure, Stopped))
    if failure is None and not is_stopped:
        if session.is_steered:
            session.state.end()
        if recording is not None:
            await recording.end("ended", {"value": plain(value)})
        return
    state = session.state.end(None if is_stopped else failure)
    if is_stopped:
        if recording is not None:
            await recording.end("stopped", {"stopped": session.halted, "step": session.prevented})
        raise RunStopped(session.prevented, session.halted, _result(session, None), state) from failure
    assert failure is not None
    if recording is not None:
        body: dict[str, Any] = {"step": failure.step, "reason": failure.reason}
        body["open"] = [one.step for one in failure.all() if not isinstance(one, Stopped)]
        if isinstance(failure, BudgetRefused):
            body["limit"] = failure.limit
        await recording.end("failed", body)
    kind = BudgetExceeded if isinstance(failure, BudgetRefused) else RunFailed
    raise kind(failure.step, failure.reason, _result(session, None), state) from failure


def _result(session: Session, value: Any) -> Result:
    meter = session.meter
    return Result(
        value=value,
        calls=meter.calls,
        tokens_in=meter.tokens_in,
        tokens_out=meter.tokens_out,
        picodollars=meter.picodollars,
        seconds=rounded(session.now()),
        raw_events=tuple(session.events),
        unpriced_calls=session.unpriced_calls,
    )


def _resolver(models: Models | None) -> ModelResolver:
    if models is None:
        return _ConfiguredModels()
    if isinstance(models, Mapping):
        by_name = models

        def look_up(name: str, *, tier: bool) -> ChatModel:
            if name in by_name:
                return by_name[name]
            raise ModelError("unavailable", f"no model is given for the {'tier' if tier else 'model'} `{name}`")

        return look_up
    given: Any = models
    return _OneModel(given) if hasattr(models, "complete") else given


class _OneModel:
    """One model for every agent."""

    __slots__ = ("_model",)

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    def __call__(self, name: str, *, tier: bool) -> ChatModel:
        return self._model


class _ConfiguredModels:
    """The models of the configuration, which is read when the first one is asked for."""

    _inner: ModelResolver | None = None

    def __call__(self, name: str, *, tier: bool) -> ChatModel:
        if self._inner is None:
            from masdsl.runtime.granted import ConfigFault, current_config

            try:
                config = current_config()
            except ConfigFault as fault:
                raise ModelError("unavailable", str(fault)) from None
            from masdsl.runtime.models.registry import resolver

            self._inner = resolver(config)
        return self._inner(name, tier=tier)


def run_coroutine(start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end, in a thread of its own where this one has a running loop."""
    if not _has_running_loop():
        return asyncio.run(start())
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(start())).result()


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
