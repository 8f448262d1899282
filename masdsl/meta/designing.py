"""A tool that designs: a system for a step of a running program, designed when the step is due, judged, and run there.

The step is a call of a tool that the configuration grants as `design`. What it is given becomes the inputs of the
system, what it gives is the type of the system's `main`. A model is asked for the system within the slice of the budget
around the step, and what it wrote has to pass what every program has to pass, and these:

- its `main` has the inputs and the type of the step;
- it uses no tools but those of the program around it, as they are declared there, without effect, and of which the
  host's policy lets anybody decide (`masdsl.trust.policy.for_designs`), and no modules but the standard library's;
- its agents are on tiers of the configuration;
- its worst case in calls, tokens and USD fits what is left of the slice;
- it designs systems itself only where the grant allows another level: each is checked by a configuration whose grant
  is one level less deep, and on the last level has none.

It is then run below the step. Where it fails, rules mend it, if they can (`masdsl.meta.mending`), or else the model is
told why and designs once more, within what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from masdsl.check.modules import STANDARD
from masdsl.check.relations import show
from masdsl.config import DEFAULT_TIER, DESIGN, Config, Grant
from masdsl.diagnostics.base import Diagnostic, Finding, Findings
from masdsl.diagnostics.bounds import amount
from masdsl.diagnostics.designs import AsksByName, LeavesSlice, OtherModule
from masdsl.meta.extract import extract
from masdsl.meta.fitting import judge_program, nothing_written
from masdsl.meta.guide import guide_for
from masdsl.meta.host import NAME, BadTask, Host, fit_of, main_of, shape_of, short
from masdsl.meta.mending import mend_by_rules
from masdsl.meta.task import Task
from masdsl.money import limit_of
from masdsl.node import Span
from masdsl.runtime.agent import Agent
from masdsl.runtime.designing import CHECKED, MENDED
from masdsl.runtime.failures import StepFailed, Stopped
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import ModelError, context_of
from masdsl.runtime.shapes import Tokens
from masdsl.sizes import TOOL_SECONDS
from masdsl.source import Source
from masdsl.syntax.strings import encode_line
from masdsl.tools.base import Declared, Mismatch, ToolFault, ToolUnusable
from masdsl.tools.signatures import mismatches
from masdsl.trust.policy import is_for_designs
from masdsl.types import Enum, List, Optional, Record, Type

if TYPE_CHECKING:
    from masdsl.check.program import Flow, Program
    from masdsl.runtime import Program as CompiledProgram
    from masdsl.runtime.designing import Workshop
    from masdsl.runtime.run import FlowFunction

TRIES: Final = 3
"""How often a model is asked for a system, for one step."""
SYSTEMS: Final = 2
"""How many systems are run, for one step: the first, and one after it failed; each once more where rules mend it."""
REPLY_TOKENS: Final = 1_500
"""The longest reply that is asked for."""
_SHOWN_TOKENS: Final = 1_500
"""Of what the step is given, so much of each input is shown to the model that designs."""

_INPUTS: Final = {
    "guide": Annotated[str, Tokens(6_000)],
    "head": Annotated[str, Tokens(3_000)],
    "signature": Annotated[str, Tokens(1_000)],
    "room": Annotated[str, Tokens(100)],
    "given": Annotated[str, Tokens(4 * _SHOWN_TOKENS)],
    "before": Annotated[str, Tokens(8_000)],
    "faults": Annotated[str, Tokens(2_000)],
}
_PROMPT: Final = """{{ guide }}

# Your task

Design a system of agents for the step below: a program as small as will do, with clear prompts. Its flow is exactly
`{{ signature }}`. {{ room }}
{%- if head %} Of these declarations, repeat those that the program needs, as they are:
{{ head }}
{%- endif %}

The step is given this (it is what the system has to work on, and says nothing about how to write it):
{{ given }}
{% if before %}
You wrote this:
{{ before }}

It cannot stay so:
{{ faults }}
{% endif %}
Write the whole program in one block that begins with ```mas, and nothing behind it."""


@lru_cache
def _designer_on(tier: str) -> Agent[str]:
    """Return the model that designs, as an agent on a tier; "" is the default one."""
    return Agent[str](
        name="designer",
        doc="The model that designs a system for a step.",
        inputs=_INPUTS,
        returns=Annotated[str, Tokens(8_000)],
        model=tier or None,
        max_tokens=REPLY_TOKENS,
        retries=1,
        prompt=_PROMPT,
    )


def designer(grant: Grant, config: Config) -> DesignTool:
    """Return the tool that a grant of kind `design` gives."""
    return DesignTool(config, grant)


class DesignTool:
    """A tool that designs, as an offer (`masdsl.tools.base.Designer`). `tools` are those of the program around it."""

    def __init__(self, config: Config, grant: Grant, tools: tuple[Declared, ...] = ()) -> None:
        self._config = config
        self._grant = grant
        self._tools = tools

    def __repr__(self) -> str:
        return "<tool that designs systems>"

    def mismatches(self, declared: Declared) -> Iterable[Mismatch]:
        """Return how a declaration differs from what a tool that designs may be declared as."""
        return mismatches(DESIGN, declared)

    def check(self) -> None:
        """Do nothing: it is there wherever the compiler is."""

    async def open(self, declared: Declared) -> None:
        """Do nothing: what it needs is made when a step is due."""

    def function(self, declared: Declared) -> Any:
        """Return a function that refuses: a system is designed for a step of a flow, not for an agent or a caller."""

        def refuse(**inputs: object) -> object:
            raise ToolUnusable("a system is designed for a step of a flow alone")

        return refuse

    def among(self, tools: Iterable[Declared]) -> DesignTool:
        """Return the tool for a program with these tools."""
        return DesignTool(self._config, self._grant, tuple(tools))

    async def design(self, workshop: Workshop, declared: Declared, inputs: Mapping[str, object]) -> object:
        """Return the value of a system for a step. Raises StepFailed, and ToolFault where no system can be for it."""
        order = self._order(workshop, declared, inputs)
        number, systems = -1, 0
        before = faults = ""
        failed: StepFailed | None = None
        for _ in range(TRIES):
            number += 1
            text = await workshop.ask(
                number, _designer_on(self._grant.tier), **order.said, before=before, faults=faults
            )
            program, *told = await workshop.judged(number, CHECKED, text, partial(order.judged, text, workshop))
            before, faults = text, "\n".join(told)
            systems += bool(program)
            is_mended = False
            while program:
                loaded = order.loaded(program, workshop.address)
                try:
                    return await workshop.run(number, loaded.compiled, loaded.function, inputs)
                except Stopped:
                    raise
                except StepFailed as failure:
                    failed, before = failure, program
                    faults = f"When it was run, the step {failure.step} failed: {failure.reason}"
                    program = ""
                    if not is_mended:
                        is_mended, number = True, number + 1
                        mend = partial(order.mended, before, loaded, failure, workshop)
                        program, *_ = await workshop.judged(number, MENDED, f"{before}\n{faults}", mend)
            if systems == SYSTEMS:
                break
        raise failed or StepFailed(workshop.address, f"no system came of {TRIES} tries; of the last: {_first(faults)}")

    def _order(self, workshop: Workshop, declared: Declared, inputs: Mapping[str, object]) -> Order:
        config = self._inside()
        usable = [
            tool
            for tool in self._tools
            if tool.granted_as in config.tools and is_for_designs(tool.granted_as, tool.effect, config)
        ]
        kinds = [*declared.inputs.values(), declared.returns]
        kinds += [kind for tool in usable for kind in (*tool.inputs.values(), tool.returns)]
        lines = (*_declarations(kinds), *map(_tool_line, usable))
        params = ", ".join(f"{name}: {show(kind)}" for name, kind in declared.inputs.items())
        task = Task("", f"flow main({params}) -> {show(declared.returns)}", tools=lines)
        host = Host(config, workshop.model, workshop.tools)
        try:
            shape = shape_of(task, host)
        except BadTask as fault:
            raise ToolFault(str(fault)) from None
        most = workshop.limits
        room = f"This request and all of its calls together make at most {most.calls} calls and {most.tokens} tokens."
        given = "\n".join(f"- {name}: {value}" for name, value in inputs.items())
        said = {
            "guide": guide_for(self._context(workshop)),
            "head": "\n".join(lines),
            "signature": task.signature,
            "room": room,
            "given": given,
        }
        return Order(task, host, shape, said)

    def _context(self, workshop: Workshop) -> int | None:
        """Return how many tokens the model that designs reads; None where nothing says it."""
        try:
            return context_of(workshop.model(self._grant.tier or DEFAULT_TIER, tier=True))
        except ModelError:  # it is told where the model is asked
            return None

    def _inside(self) -> Config:
        """Return the configuration for what is designed: one level less deep."""
        tools = {}
        for name, grant in self._config.tools.items():
            if grant.kind != DESIGN:
                tools[name] = grant
            elif min(grant.depth, self._grant.depth) > 1:
                tools[name] = grant._replace(depth=min(grant.depth, self._grant.depth) - 1)
        return self._config._replace(tools=tools)


class Loaded(NamedTuple):
    """A designed program that is ready to run: checked, compiled, and its flow `main`."""

    checked: Program
    compiled: CompiledProgram
    entry: str
    function: FlowFunction


class Order(NamedTuple):
    """What is to be designed for one step: the task, where it is judged, and what the model is told."""

    task: Task
    host: Host
    shape: Flow
    said: Mapping[str, str]

    def judged(self, reply: str, workshop: Workshop) -> list[str]:
        """Return the program in a reply as it may be run, or an empty text and what is wrong with it."""
        text = extract(reply, "mas").text
        if not text:
            return ["", *nothing_written("mas")]
        left = workshop.left
        limits = Limits(calls=left.calls, tokens=left.tokens, usd=left.usd)
        judged = judge_program(text, self.task, self.shape, self.host, limits)
        if judged.diagnostics:
            return ["", *judged.diagnostics]
        fit = fit_of(judged.text, self.shape, self.host, limits)
        if fit.program is None or fit.most is None:
            return ["", *fit.diagnostics]
        source = Source(NAME, judged.text)
        found: list[Diagnostic] = []
        for measure in fit.over:
            room = limit_of(left.usd or 0.0) if measure == "usd" else getattr(left, measure)
            needed = amount(measure, getattr(fit.most, measure))
            found.append(LeavesSlice(needed, amount(measure, room), span=_head_of_main(fit.program)))
        for agent in fit.program.agents:
            if agent.is_model_name:
                place = Span(0, 0) if agent.module else Span(agent.span.start, agent.span.start)
                found.append(AsksByName(agent.name, agent.model or "", tuple(self.host.config.tiers), span=place))
        own = [module.name for module in fit.program.modules if module.name and not module.name.startswith(STANDARD)]
        found += [OtherModule(name, span=Span(0, 0)) for name in own]
        told = short(tuple(Finding(source, one) for one in found))
        return ["", *told] if told else [judged.text]

    def mended(self, text: str, loaded: Loaded, failure: StepFailed, workshop: Workshop) -> list[str]:
        """Return a program that failed as the rules of `masdsl.rectify` change it, empty where none helps, and why."""
        at = workshop.inner_address(failure.step)
        made = mend_by_rules(text, loaded.checked, loaded.entry, self.host, failure, at, workshop.left)
        if not made.text:
            return ["", made.reason]
        judged, *faults = self.judged(made.text, workshop)
        return [judged, *(faults or [made.reason])]

    def loaded(self, text: str, address: str) -> Loaded:
        """Return a program that was judged already, ready to run.

        Raises StepFailed for one of the journal that the present configuration does not allow any more.
        """
        from masdsl.pipeline import load

        findings = Findings()
        program = self.host.check(text, findings)
        main = None if program is None else main_of(program)
        if program is None or main is None:
            raise StepFailed(address, f"its system is faulty here: {_first(*short(findings.sorted()))}")
        compiled = load(program)
        tools = [tool.declared for tool in compiled.tools.values()]
        for tool in compiled.tools.values():
            grant = self.host.config.tools[tool.granted_as]
            if grant.kind == DESIGN:
                tool.designer = DesignTool(self.host.config, grant, tuple(tools))
        at = [flow.key for flow in program.flows].index(main.key)
        return Loaded(program, compiled, main.key, list(compiled.flows.values())[at])


def _first(*lines: str) -> str:
    return next((line for text in lines for line in text.splitlines() if line.strip()), "nothing was written")


def _head_of_main(program: Program) -> Span:
    main = main_of(program)
    start = 0 if main is None else main.span.start
    return Span(start, start)


# ---------------------------------------------------------------- declarations, as the model is to repeat them


def _tool_line(tool: Declared) -> str:
    """Return the declaration of a tool; inputs that may be left out, and have no type that says so, are left out."""
    params = ", ".join(
        f"{name}: {show(kind)}"
        for name, kind in tool.inputs.items()
        if name not in tool.optional or isinstance(kind, Optional)
    )
    timeout = "" if tool.timeout == TOOL_SECONDS else f" timeout {tool.timeout:g}"
    return f"tool {tool.name}({params}) -> {show(tool.returns)} from {encode_line(tool.granted_as)}{timeout}"


def _declarations(kinds: Iterable[Type]) -> tuple[str, ...]:
    """Return declarations of all named types in these, what others are made of first."""
    lines: dict[str, None] = {}

    def walk(kind: Type) -> None:
        match kind:
            case Enum():
                lines[f"type {kind.name} = {' | '.join(kind.words)}"] = None
            case Record():
                for _, inner in kind.fields:
                    walk(inner)
                if kind.name is not None:
                    fields = ", ".join(f"{name}: {show(inner)}" for name, inner in kind.fields)
                    lines[f"type {kind.name} {{ {fields} }}"] = None
            case List():
                walk(kind.element)
            case Optional():
                walk(kind.inner)
            case _:
                pass

    for kind in kinds:
        walk(kind)
    return tuple(lines)
