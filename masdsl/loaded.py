"""A loaded program and its flows, as functions that can be called; the runs of them, kept or not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from masdsl.config import Config
from masdsl.diagnostics.base import Finding
from masdsl.loaded_flow import LoadedFlow as LoadedFlow

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.journal import Journal, OpenRun, RunHeader
    from masdsl.rectify import Intervention, Rectifier
    from masdsl.rectify.checks import Ground
    from masdsl.rectify.durable import DurableRun, Host
    from masdsl.rectify.remaining import Pricing, Version
    from masdsl.rectify.state import Tier
    from masdsl.runtime import Limits, Result
    from masdsl.runtime import Program as CompiledProgram
    from masdsl.runtime.events import Observer
    from masdsl.runtime.models.base import ChatModel, ModelResolver
    from masdsl.runtime.program import Models
    from masdsl.runtime.session import ShouldStop
    from masdsl.runtime.tool import ToolFunction
    from masdsl.tracing import Watch


class ProgramError(Exception):
    """A program has errors. `findings` are all of them, and its warnings; the text shows them as `mas check` does."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        from masdsl.diagnostics.render import render_text

        return "\n" + render_text(self.findings).rstrip("\n")


JournalPlace: TypeAlias = "Journal | str | os.PathLike[str] | bool | None"
"""Where runs are kept: an open journal, a path or URL, or True for the user's own."""


class LoadedProgram:
    """A program that is ready to run. Each of its flows is an attribute, and an entry of `flows`.

    `checked` is the program as the checker sees it, `compiled` as the runtime does, `config` the configuration in
    force.
    """

    def __init__(
        self, checked: Program, config: Config, models: Models | None, tools: Mapping[str, ToolFunction] | None
    ) -> None:
        from masdsl.pipeline import load as load_checked

        self.checked = checked
        self.config = config
        self.compiled: CompiledProgram = load_checked(checked)
        self._models = models
        self._tools = tools
        self._begun: dict[str, Version | None] = {}
        self.flows: dict[str, LoadedFlow] = {
            flow.name: LoadedFlow(self, flow.name, key, function)
            for flow, (key, function) in zip(checked.flows, self.compiled.flows.items(), strict=True)
            if not flow.module and not flow.statics
        }

    def __repr__(self) -> str:
        return f"<program {self.compiled.name}: {', '.join(self.flows)}>"

    def __getattr__(self, name: str) -> LoadedFlow:
        flows: dict[str, LoadedFlow] = self.__dict__.get("flows", {})
        if name not in flows:
            raise AttributeError(f"the program has no flow {name!r}; it has {', '.join(flows) or 'none'}")
        return flows[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.flows})

    async def start(
        self,
        flow: str,
        inputs: Mapping[str, Any],
        *,
        journal: JournalPlace = None,
        resume: str | None = None,
        rectifier: Rectifier | bool | None = None,
        policy: str = "frozen",
        run_id: str | None = None,
        on_event: Observer | None = None,
        on_intervention: Callable[[Intervention, Program], None] | None = None,
        budget: Limits | None = None,
        ceiling: Limits | None = None,
        seed: int = 0,
        should_stop: ShouldStop | None = None,
        models: ModelResolver | None = None,
        count_doubts: bool = True,
    ) -> Result:
        """Run a flow of `compiled` by its name there, with the models and tools of this program.

        The configuration's ceiling holds around the budgets of the program and of the caller.

        Args:
            flow: its name.
            inputs: by the names of its parameters; none for a run that is resumed.
            journal: where the run is kept, so that it can be resumed: a path, a URL, a `masdsl.journal.Journal`, or
                True for the user's own. None keeps nothing.
            resume: the id of a run in the journal (the user's own where none is given) that goes on from where it
                stood. It goes on with the program that it began with, whatever this one is.
            rectifier: who repairs the run when it goes wrong. By default the built-in rules, where the program says
                `rectify`; True for them in any case, False for nobody.
            policy: whether finished steps stay whose declaration a patch has changed (`frozen`) or not (`strict`).
            run_id: the id of a new run; made up where it is left out.
            on_event: called for every event, in order, while the program runs.
            on_intervention: called for every intervention of the rectifier, with the program as it was before.
            budget: a further budget, besides the program's own.
            ceiling: further limits around all others.
            seed: the seed of every model's sampling follows from it.
            should_stop: asked before each step and after each call; with a reason the run stops, keeping what is paid.
            models: where this run finds the models of the configuration, instead of opening some of its own: for many
                runs that share them. At its end the run closes what it was given.
            count_doubts: see `masdsl.runtime.Program.run`.

        Raises what `masdsl.runtime.Program.run` raises, `masdsl.journal.JournalError` for what is wrong with a journal,
        `masdsl.runtime.StepFailed` for a tool of the configuration that cannot be used, and ProgramError where the
        program of a resumed run has errors under the present configuration.
        """
        from masdsl.runtime.granted import ceiling_of
        from masdsl.runtime.meter import tightest

        ceiling = tightest(ceiling, ceiling_of(self.config))
        rectifies = rectifier is not False and (bool(rectifier) or self.checked.rectify is not None)
        kept = bool(journal or resume or rectifies)
        watched = self._watched(flow, run_id or resume or "", kept)
        async with self._models_of_run(models) as found, self._tools_of_run() as tools, watched as watch:
            used, on_event = watch.models(found), watch.beside(on_event)
            if not kept:
                return watch.ended(
                    await self.compiled.run(
                        flow,
                        inputs,
                        models=used,
                        tools=tools(self.compiled),
                        on_event=on_event,
                        budget=budget,
                        ceiling=ceiling,
                        seed=seed,
                        should_stop=should_stop,
                        witness=watch.witness(),
                    )
                )
            opened = opened_journal(journal, resume)
            try:
                if resume is not None:
                    if inputs:
                        raise _input_error("a run that is resumed has its inputs already; give none")
                    run = opened.resume(resume)
                else:
                    run = opened.create(self._header(flow, inputs, seed, policy, run_id or watch.run))
                try:
                    host = self._host(
                        used, tools, on_event, watch.patched(on_intervention), budget, ceiling, should_stop
                    )
                    host = host._replace(count_doubts=count_doubts, witness=watch.witness())
                    durable = self._durable(run, host, rectifier, watch)
                    return watch.ended(await durable.run())
                finally:
                    await run.close()
            finally:
                if opened is not journal:
                    opened.close()

    @asynccontextmanager
    async def _watched(self, flow: str, run: str, kept: bool) -> AsyncIterator[Watch]:
        """Give who traces a run, and tell how it ended."""
        from masdsl import tracing
        from masdsl.runtime.failures import RunFailed

        by = tracing.active()
        if by is None:
            yield tracing.NOBODY
            return
        from masdsl.journal import new_id

        entry = self.checked.flows[list(self.compiled.flows).index(flow)].key
        watch = by.run(self.checked, self.config, entry, run or (new_id() if kept else ""))
        try:
            yield watch
        except RunFailed as failure:
            watch.broke(failure)
            raise
        finally:
            watch.close()

    @asynccontextmanager
    async def _models_of_run(self, given: ModelResolver | None) -> AsyncIterator[Models]:
        """Give the models for one run, and close those that were opened for it."""
        shared = self._models if given is None else given
        if shared is not None:
            yield shared
            return
        from masdsl.pricing import folder_of
        from masdsl.runtime.models.registry import resolver

        find = resolver(self.config, folder=folder_of(self.checked.modules[0].source.name))
        opened: list[ChatModel] = []

        def resolve(name: str, *, tier: bool) -> ChatModel:
            opened.append(find(name, tier=tier))
            return opened[-1]

        try:
            yield resolve
        finally:
            for model in opened:
                with suppress(Exception):  # the run is over; what a connection says on leaving changes nothing
                    await model.close()

    @asynccontextmanager
    async def _tools_of_run(self) -> AsyncIterator[Callable[[CompiledProgram], Mapping[str, ToolFunction]]]:
        """Give what says the host's tools for a program in one run, and close the connections that were made for it.

        That program may be another one than this: a stored or patched one.
        """
        from masdsl.runtime.granted import HostTools

        given = self._tools
        host = HostTools(self.config)
        try:
            yield lambda compiled: host.of(compiled.tools.values(), given)
        finally:
            await host.close()

    def _header(self, flow: str, inputs: Mapping[str, Any], seed: int, policy: str, run_id: str | None) -> RunHeader:
        """Return what the journal keeps of a run from the start. Raises InputError for a policy that is none."""
        import time

        from masdsl.journal import RunHeader, new_id
        from masdsl.rectify.sources import key_of
        from masdsl.runtime.shapes import plain
        from masdsl.version import __version__

        if policy not in ("frozen", "strict"):
            raise _input_error(f"`{policy}` is no policy: it is frozen or strict")
        keys = list(self.compiled.flows)
        name = self.checked.flows[keys.index(flow)].name if flow in keys else flow
        return RunHeader(
            id=run_id or new_id(),
            program=key_of(self.checked.modules[0].source.name),
            sources=self._sources,
            flow=name,
            inputs={key: plain(value) for key, value in inputs.items()},
            seed=seed,
            policy=policy,
            created=time.time(),
            masdsl=__version__,
            tiers=self.tiers(),
        )

    @property
    def uses_configured_models(self) -> bool:
        """Whether its models are those of the configuration; else it was given some."""
        return self._models is None

    def tiers(self) -> dict[str, str]:
        """Return the model that stands behind each tier here."""
        return {tier.name: tier.model for tier in self._tiers}

    @cached_property
    def _sources(self) -> dict[str, str]:
        from masdsl.rectify.sources import sources_of

        return sources_of(self.checked)

    @cached_property
    def _tiers(self) -> tuple[Tier, ...]:
        from masdsl.rectify.host import configured_tiers, given_tiers

        return (
            configured_tiers(self.checked, self.config)
            if self._models is None
            else given_tiers(self._models, self.config)
        )

    def ground_of(self, header: RunHeader, *limits: Limits | None) -> Ground:
        """Return what the program of a kept run is checked and bounded by here; `limits` are those around its own."""
        from masdsl.rectify.checks import Ground
        from masdsl.rectify.durable import checked_limits
        from masdsl.rectify.sources import reader_of

        return Ground(
            config=self.config,
            read_module=reader_of(header.sources),
            priced=self._models is None,
            pricing=self._pricing,
            limits=tuple(checked_limits(one) for one in limits),
            begun=self._version(header),
        )

    def _version(self, header: RunHeader) -> Version | None:
        """Return this program as what a run began with; None where that is another one, or has no such flow."""
        from masdsl.rectify.checks import flow_named
        from masdsl.rectify.remaining import Version
        from masdsl.rectify.sources import key_of

        name = header.flow
        if header.program != key_of(self.checked.modules[0].source.name) or header.sources != self._sources:
            return None
        if name not in self._begun:
            flow = flow_named(self.checked, name)
            self._begun[name] = None if flow is None else Version(self.checked, flow.key, self._pricing(self.checked))
        return self._begun[name]

    @property
    def _pricing(self) -> Pricing:
        from masdsl.rectify.host import configured_pricing, given_pricing

        return configured_pricing(self.config) if self._models is None else given_pricing(self._models, self.config)

    def _compiled(self, program: Program) -> CompiledProgram:
        """Return a program compiled; this one is already."""
        from masdsl.pipeline import load as load_checked

        return self.compiled if program is self.checked else load_checked(program)

    def _host(
        self,
        models: Models,
        tools: Callable[[CompiledProgram], Mapping[str, ToolFunction]],
        on_event: Observer | None,
        on_intervention: Callable[[Intervention, Program], None] | None,
        budget: Limits | None,
        ceiling: Limits | None,
        should_stop: ShouldStop | None,
    ) -> Host:
        from masdsl.rectify.durable import Host

        return Host(models, tools, self._tiers, budget, ceiling, on_event, on_intervention, should_stop, self._compiled)

    def _durable(self, run: OpenRun, host: Host, rectifier: Rectifier | bool | None, watch: Watch) -> DurableRun:
        from masdsl.rectify import RuleRectifier
        from masdsl.rectify.durable import DurableRun
        from masdsl.rectify.stored import StoredFaulty

        ground = self.ground_of(run.header, host.budget, host.ceiling)
        try:
            durable = DurableRun(run, ground, host, None)
        except StoredFaulty as faulty:
            raise ProgramError(faulty.findings) from faulty
        if rectifier is not False and (rectifier or durable.program.rectify is not None):
            by = RuleRectifier() if rectifier is None or rectifier is True else rectifier
            durable.rectify_by(watch.rectifier(by))
        return durable


def opened_journal(journal: JournalPlace, resume: str | None = None) -> Journal:
    """Open a journal: one in memory where none is given, unless a run is resumed. Raises JournalError."""
    from masdsl.journal import MemoryJournal, open_journal

    if journal is None or journal is False:
        return open_journal() if resume is not None else MemoryJournal()
    if journal is True:
        return open_journal()
    if isinstance(journal, str | os.PathLike):
        return open_journal(os.fspath(journal))
    return journal


def _input_error(text: str) -> Exception:
    from masdsl.runtime import InputError

    return InputError(text)
