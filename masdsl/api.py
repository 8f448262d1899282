"""What a Python program does with `.mas` programs: check, format, build, load, run. Re-exported by `masdsl`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from masdsl.config import DEFAULT, Config, load_config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.emit import PyModule
    from masdsl.journal import Journal, OpenRun, RunHeader
    from masdsl.patch.merge import Merged
    from masdsl.rectify import Intervention, Rectifier
    from masdsl.rectify.checks import Ground
    from masdsl.rectify.durable import DurableRun
    from masdsl.rectify.state import Tier
    from masdsl.runtime import Limits, Result
    from masdsl.runtime import Program as CompiledProgram
    from masdsl.runtime.events import Observer
    from masdsl.runtime.models.base import ChatModel
    from masdsl.runtime.program import Models
    from masdsl.runtime.tool import ToolFunction
    from masdsl.syntax.ast import Patch
    from masdsl.syntax.ast import Program as SyntaxTree

Location: TypeAlias = "str | os.PathLike[str] | Source"
"""Where a program is: the path of a file, or a `Source` that holds its text. A string is always a path."""


class ProgramError(Exception):
    """A program has errors. `findings` are all of them, and its warnings; the text shows them as `mas check` does."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        from masdsl.diagnostics.render import render_text

        return "\n" + render_text(self.findings).rstrip("\n")


def check(program: Location, *, config: Config | None = None) -> tuple[Finding, ...]:
    """Return everything that is wrong or suspicious about a program; nothing is run.

    Without `config`, the nearest `mas.toml` (or `[tool.masdsl]`) upwards from the program counts; for a `Source` that
    is no file, the defaults. A file that cannot be read is a finding too.
    """
    findings = Findings()
    _check(program, config, findings)
    return findings.sorted()


def format(text: str) -> str:
    """Return a program in its canonical layout.

    Raises:
        ProgramError: the text has syntax errors.
    """
    from masdsl.reading import decode
    from masdsl.syntax.format import format_source

    findings = Findings()
    source = decode("<input>", text.encode("utf-8", "surrogatepass"), findings)
    formatted = format_source(source, findings) if findings.ok else None
    if formatted is None:
        raise ProgramError(findings.sorted())
    return formatted


def build(program: Location, *, config: Config | None = None) -> str:
    """Return the Python text that a program compiles to. It needs `masdsl.runtime` alone.

    Raises:
        ProgramError: the program has errors.
    """
    return compile_program(program, config).text


def compile_program(program: Location, config: Config | None = None) -> PyModule:
    """Return a program as a verified Python module. Raises ProgramError."""
    from masdsl.pipeline import build as build_checked

    findings = Findings()
    checked, _ = _check(program, config, findings)
    if checked is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return build_checked(checked)


def _check(
    program: Location, config: Config | None, findings: Findings, *, priced: bool = True
) -> tuple[Program | None, Config]:
    from masdsl.pipeline import check_file, check_source

    if isinstance(program, Source):
        if config is None:
            config = _config_of(program, findings)
        return check_source(program, config, findings, priced=priced), config
    checked = check_file(os.fspath(program), findings, config, priced=priced)
    return checked.program, checked.config


def _config_of(program: Source, findings: Findings) -> Config:
    """Return the configuration of the folder of a text; the defaults for one that is no file."""
    is_file = not program.name.startswith("<")
    return load_config(os.path.dirname(program.name), findings) if is_file else DEFAULT


# ---------------------------------------------------------------- changing


def diff(before: Location, after: Location) -> Source:
    """Return the smallest patch that makes one program of another, as text; layout and comments do not count.

    Where the two are equal the patch has no edits.

    Raises:
        ProgramError: one of them has syntax errors or cannot be read.
        ValueError: `after` declares a name twice.
    """
    from masdsl.patch.diff import diff as diff_trees

    findings = Findings()
    return _patch_text(diff_trees(_tree(before, findings), _tree(after, findings)))


def apply(patch: Location, program: Location, *, config: Config | None = None) -> Source:
    """Return a program after a patch, in canonical layout, with its comments. It has the name of `program`.

    The patched program is checked as a whole, under the configuration that `check` would use.

    Raises:
        ProgramError: the patch is refused, or one of the two has errors; then nothing was changed.
    """
    from masdsl.patch.patching import apply_patch
    from masdsl.pipeline import check_source

    findings = Findings()
    source, program_source = _text(patch, findings), _text(program, findings)
    used = config if config is not None else _config_of(program_source, findings)
    done = apply_patch(source, program_source, findings, lambda text, found: check_source(text, used, found))
    if done is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return done.source


def invert(patch: Location, program: Location) -> Source:
    """Return the patch that undoes another one: it makes `program` again of what `patch` makes of it.

    Raises:
        ProgramError: the patch does not fit the program, or one of the two has errors.
    """
    from masdsl.patch.diff import diff as diff_trees
    from masdsl.patch.patching import apply_patch

    findings = Findings()
    program_source = _text(program, findings)
    done = apply_patch(_text(patch, findings), program_source, findings)
    if done is None:
        raise ProgramError(findings.sorted())
    return _patch_text(diff_trees(done.program, _tree(program_source, findings)))


def compose(first: Location, second: Location) -> Source:
    """Return the patch that does what `first` and then `second` does.

    Raises:
        ProgramError: one of the two has syntax errors or cannot be read.
    """
    from masdsl.patch.conflicts import compose as compose_trees
    from masdsl.patch.patching import read_patch
    from masdsl.syntax import ast

    findings = Findings()
    parsed = [read_patch(_text(patch, findings), findings) for patch in (first, second)]
    trees = [one.document for one in parsed if one is not None and isinstance(one.document, ast.Patch)]
    if len(trees) < 2 or not findings.ok:
        raise ProgramError(findings.sorted())
    return _patch_text(compose_trees(*trees))


def merge(base: Location, left: Location, right: Location) -> Merged:
    """Join two changes of a program.

    The result has the text of the program and its `conflicts`: with any, both versions of each stand in the text,
    between marks, and `program` is None. Whether a merged program is well typed is not looked at.

    Raises:
        ProgramError: one of the three has syntax errors or cannot be read.
    """
    from masdsl.patch.merge import merge as merge_trees
    from masdsl.patch.patching import notes_of
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_program

    findings = Findings()
    parsed = [parse_program(_text(program, findings), findings) for program in (base, left, right)]
    trees = [one.document for one in parsed if one.ok and isinstance(one.document, ast.Program)]
    if len(trees) < 3:
        raise ProgramError(findings.sorted())
    return merge_trees(trees[0], trees[1], trees[2], notes_of(parsed))


def bind(binding: Location, template: Location, *, config: Config | None = None) -> Source:
    """Return the program that a template and a binding are; it is checked as a whole.

    Raises:
        ProgramError: the binding does not fit the template, or one of the two has errors.
    """
    from masdsl.patch.binding import bind as bind_sources
    from masdsl.pipeline import check_source

    findings = Findings()
    source, template_source = _text(binding, findings), _text(template, findings)
    used = config if config is not None else _config_of(template_source, findings)
    done = bind_sources(source, template_source, findings, lambda text, found: check_source(text, used, found))
    if done is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return done.source


def _patch_text(patch: Patch) -> Source:
    from masdsl.syntax.print import print_document

    return Source("<patch>", print_document(patch))


def _tree(program: Location, findings: Findings) -> SyntaxTree:
    from masdsl.syntax import ast
    from masdsl.syntax.parse import parse_program

    parsed = parse_program(_text(program, findings), findings)
    if not parsed.ok or not isinstance(parsed.document, ast.Program):
        raise ProgramError(findings.sorted())
    return parsed.document


def _text(location: Location, findings: Findings) -> Source:
    """Return the text at a location. Raises ProgramError where it cannot be read."""
    from masdsl.reading import read_source

    if isinstance(location, Source):
        return location
    source = read_source(os.fspath(location), findings)
    if source is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return source


# ---------------------------------------------------------------- running


JournalPlace: TypeAlias = "Journal | str | os.PathLike[str] | bool | None"
"""Where runs are kept: an open journal, a path or URL, or True for the user's own."""

OPTIONS = ("journal", "resume", "rectifier", "policy", "run_id", "on_event", "on_intervention", "budget", "seed")
"""What a flow takes besides its inputs, where it has no input of that name."""


class LoadedFlow:
    """A flow of a loaded program, as a function of its inputs.

    Call it with the inputs by position or by name and await the value, which has the declared type (a record is an
    object with its fields as attributes, a word of an enum compares equal to its text). `sync` does the same from code
    that is not asynchronous; `run` and `run_sync` return a `Result`, which also says what it cost. `inspect.signature`
    shows the inputs.

    Every form raises `masdsl.runtime.InputError` for wrong inputs, before anything is called, and
    `masdsl.runtime.RunFailed` (`BudgetExceeded` for lack of budget) for a run without a value.
    """

    def __init__(self, program: LoadedProgram, name: str, key: str, function: Callable[..., Any]) -> None:
        from inspect import signature

        self._program = program
        self._key = key
        self.__name__ = name
        self.__doc__ = function.__doc__ or f"The flow `{name}`."
        declared = signature(function)
        inputs = list(declared.parameters.values())[1:]  # the first one is the frame
        self.__signature__ = declared.replace(parameters=inputs)
        self.__annotations__ = {**{one.name: one.annotation for one in inputs}, "return": declared.return_annotation}

    def __repr__(self) -> str:
        return f"<flow {self.__name__}{self.__signature__}>"

    async def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the flow and return its value."""
        return (await self.run(*args, **inputs)).value

    def sync(self, *args: Any, **inputs: Any) -> Any:
        """Run the flow and return its value, from code that is not asynchronous."""
        return self.run_sync(*args, **inputs).value

    async def run(self, *args: Any, **inputs: Any) -> Result:
        """Run the flow and return its value together with what it took.

        Besides inputs it takes the options `journal`, `resume`, `rectifier`, `policy`, `on_event`, `on_intervention`,
        `budget` and `seed` of `LoadedProgram.start`, by name, where the flow has no input of that name.
        """
        own = self.__signature__.parameters
        options = {name: inputs.pop(name) for name in OPTIONS if name in inputs and name not in own}
        return await self._program.start(self._key, self._bound(args, inputs), **options)

    def run_sync(self, *args: Any, **inputs: Any) -> Result:
        """Do what `run` does, from code that is not asynchronous."""
        from masdsl.runtime.program import run_coroutine

        return run_coroutine(lambda: self.run(*args, **inputs))

    def _bound(self, args: tuple[Any, ...], inputs: dict[str, Any]) -> dict[str, Any]:
        from masdsl.runtime import InputError

        names = list(self.__signature__.parameters)
        if len(args) > len(names):
            raise InputError(f"flow `{self.__name__}` takes {len(names)} inputs, not {len(args)}")
        by_position = dict(zip(names, args, strict=False))
        twice = [name for name in inputs if name in by_position]
        if twice:
            raise InputError(f"flow `{self.__name__}` got the input `{twice[0]}` twice")
        return {**by_position, **inputs}


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
        self._given_tools = tools
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

        Raises what `masdsl.runtime.Program.run` raises, `masdsl.journal.JournalError` for what is wrong with a journal,
        `masdsl.runtime.StepFailed` for a tool of the configuration that cannot be imported, and ProgramError where the
        program of a resumed run has errors under the present configuration.
        """
        from masdsl.runtime.granted import ceiling_of
        from masdsl.runtime.meter import tightest

        ceiling = tightest(ceiling, ceiling_of(self.config))
        rectifies = rectifier is not False and (bool(rectifier) or self.checked.rectify is not None)
        async with self._models_of_run() as models:
            if not (journal or resume or rectifies):
                return await self.compiled.run(
                    flow,
                    inputs,
                    models=models,
                    tools=self._granted(),
                    on_event=on_event,
                    budget=budget,
                    ceiling=ceiling,
                    seed=seed,
                )
            opened = _journal(journal, resume)
            try:
                if resume is not None:
                    if inputs:
                        raise _input_error("a run that is resumed has its inputs already; give none")
                    run = opened.resume(resume)
                else:
                    run = opened.create(self._header(flow, inputs, seed, policy, run_id))
                try:
                    durable = self._durable(run, models, rectifier, on_event, on_intervention, budget, ceiling)
                    return await durable.run()
                finally:
                    await run.close()
            finally:
                if opened is not journal:
                    opened.close()

    @asynccontextmanager
    async def _models_of_run(self) -> AsyncIterator[Models]:
        """Give the models for one run, and close those that were opened for it."""
        if self._models is not None:
            yield self._models
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

    def _header(self, flow: str, inputs: Mapping[str, Any], seed: int, policy: str, run_id: str | None) -> RunHeader:
        """Return what the journal keeps of a run from the start. Raises InputError for a policy that is none."""
        import time

        from masdsl.journal import RunHeader, new_id
        from masdsl.rectify.sources import key_of, sources_of
        from masdsl.runtime.shapes import plain
        from masdsl.version import __version__

        if policy not in ("frozen", "strict"):
            raise _input_error(f"`{policy}` is no policy: it is frozen or strict")
        keys = list(self.compiled.flows)
        name = self.checked.flows[keys.index(flow)].name if flow in keys else flow
        return RunHeader(
            id=run_id or new_id(),
            program=key_of(self.checked.modules[0].source.name),
            sources=sources_of(self.checked),
            flow=name,
            inputs={key: plain(value) for key, value in inputs.items()},
            seed=seed,
            policy=policy,
            created=time.time(),
            masdsl=__version__,
            tiers={tier.name: tier.model for tier in self._tiers()},
        )

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
        from masdsl.rectify.host import configured_pricing, given_pricing
        from masdsl.rectify.sources import reader_of

        return Ground(
            config=self.config,
            read_module=reader_of(header.sources),
            priced=self._models is None,
            pricing=configured_pricing(self.config) if self._models is None else given_pricing(self._models),
            limits=tuple(checked_limits(one) for one in limits),
        )

    def _durable(
        self,
        run: OpenRun,
        models: Models,
        rectifier: Rectifier | bool | None,
        on_event: Observer | None,
        on_intervention: Callable[[Intervention, Program], None] | None,
        budget: Limits | None,
        ceiling: Limits | None,
    ) -> DurableRun:
        from masdsl.rectify import RuleRectifier
        from masdsl.rectify.durable import DurableRun, Host
        from masdsl.rectify.stored import StoredFaulty

        host = Host(models, self._granted_for, self._tiers(), budget, ceiling, on_event, on_intervention)
        ground = self.ground_of(run.header, budget, ceiling)
        try:
            durable = DurableRun(run, ground, host, None)
        except StoredFaulty as faulty:
            raise ProgramError(faulty.findings) from faulty
        if rectifier is not False and (rectifier or durable.program.rectify is not None):
            durable.rectify_by(RuleRectifier() if rectifier is None or rectifier is True else rectifier)
        return durable

    def _granted_for(self, compiled: CompiledProgram) -> Mapping[str, ToolFunction]:
        """Return the host's functions for a program that may be another one than this: a stored or patched one."""
        if self._given_tools is not None:
            return self._given_tools
        from masdsl.runtime.granted import configured_tools

        return configured_tools(compiled.tools.values(), self.config)

    def _granted(self) -> Mapping[str, ToolFunction]:
        if self._tools is None:
            from masdsl.runtime.granted import configured_tools

            self._tools = configured_tools(self.compiled.tools.values(), self.config)
        return self._tools


def _journal(journal: JournalPlace, resume: str | None) -> Journal:
    """Open a journal. For a run that is only to be rectified it is one in memory."""
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


def load(
    program: Location,
    *,
    config: Config | None = None,
    models: Models | None = None,
    tools: Mapping[str, ToolFunction] | None = None,
) -> LoadedProgram:
    """Compile a program in memory and return it, ready to run.

    `models` is where models come from (a resolver, models by tier, or one model for all agents) and `tools` are the
    host's functions by the names that it grants; the configuration says both where they are left out. Only models of
    the configuration need prices. No file is written.

    Raises:
        ProgramError: the program has errors.
    """
    findings = Findings()
    checked, used = _check(program, config, findings, priced=models is None)
    if checked is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return LoadedProgram(checked, used, models, tools)


def run(program: Location, inputs: Mapping[str, Any] | None = None, *, flow: str = "main", **options: Any) -> Result:
    """Load a program, run one of its flows and return its value together with what it took.

    `inputs` are by name; `options` are those of `load`. For code that is not asynchronous; otherwise use `load`.

    Raises:
        ProgramError: the program has errors.
        masdsl.runtime.InputError: there is no such flow, or the inputs do not fit it.
        masdsl.runtime.RunFailed: the run gave no value (BudgetExceeded: for lack of budget).
    """
    loaded = load(program, **options)
    if flow not in loaded.flows:
        from masdsl.runtime import InputError

        raise InputError(f"the program has no flow `{flow}`; it has {', '.join(loaded.flows) or 'none'}")
    return loaded.flows[flow].run_sync(**(inputs or {}))
