"""What systems stand on here, and whether one fits a task: its signature, and what is left of the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from masdsl.config import DEFAULT_TIER, Ceiling, Config, NoModel, find_model
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.node import NOWHERE
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.bounds.amounts import Amounts
    from masdsl.check.program import Flow, Program
    from masdsl.loaded import LoadedProgram
    from masdsl.meta.task import Task
    from masdsl.rectify.state import Tier
    from masdsl.runtime.meter import Limits
    from masdsl.runtime.models.base import ChatModel
    from masdsl.runtime.program import Models
    from masdsl.runtime.tool import ToolFunction

NAME: Final = "<system>"
"""What messages call a designed program, which is in no file."""


_DECLARED: Final = {
    "sandbox": "(code: text(1500)) -> (passed: bool, log: text(300))",
    "calculator": "(expression: text(60)) -> text(40)",
    "search": "(query: text(60)) -> (id: text(40), title: text(40), snippet: text(150))[5]",
    "read": "(id: text(40)) -> text(800)",
}
_TIMEOUTS: Final = {"sandbox": " timeout 20"}


class BadTask(ValueError):
    """A task that no system can fit; the text says what is wrong with it and what to do."""


class Backbone(NamedTuple):
    """A member of the pool L that the implementer chooses from: a tier, and what its model is good at, in one line."""

    tier: Tier
    about: str = ""


class Fit(NamedTuple):
    """What is thought of a program for a task. `program` is None where it cannot be taken; `diagnostics` say why.

    `least` and `most` are what a run of its `main` takes (calls, counted tokens, picodollars); `over` are the measures
    whose worst case is above what is left: there the ledger has to stop it.
    """

    program: Program | None
    diagnostics: tuple[str, ...] = ()
    least: Amounts | None = None
    most: Amounts | None = None
    over: tuple[str, ...] = ()


class Host(NamedTuple):
    """The configuration, and the models and tools of whoever runs systems here, where they are not the configuration's.

    `tools` have to be granted by `config` as well.
    """

    config: Config
    models: Models | None = None
    tools: Mapping[str, ToolFunction] | None = None

    def check(self, text: str, findings: Findings, left: Limits | None = None) -> Program | None:
        """Check a program as it would be checked before a run that may spend `left`; None where it has errors."""
        from masdsl.check.grants import compare_with_host
        from masdsl.diagnostics.tools import ToolNotGranted
        from masdsl.pipeline import check_source

        source = Source(NAME, text)
        program = check_source(source, within(self.config, left), findings, priced=self.models is None)
        if program is None:
            return None
        missing = [tool for tool in program.tools if tool.granted_as not in self.config.tools]
        for tool in missing:
            span = NOWHERE if tool.module else tool.span
            findings.add(source, ToolNotGranted(tool.granted_as, tuple(self.config.tools), None, "[tools]", span=span))
        if program.tools and not missing:
            compare_with_host(program, self.config, self.tools, findings)
        return program if findings.ok else None

    def loaded(self, program: Program) -> LoadedProgram:
        """Return a checked program, ready to run with the models and tools of this host."""
        from masdsl.loaded import LoadedProgram

        return LoadedProgram(program, self.config, self.models, self.tools)

    def pool(self, program: Program) -> tuple[Backbone, ...]:
        """Return the pool L: the tiers that stand for a model here, in the configuration's order."""
        from masdsl.rectify.host import configured_tiers, given_tiers

        tiers = configured_tiers(program, self.config) if self.models is None else given_tiers(self.models, self.config)
        return tuple(Backbone(tier, _about(self.config, tier.name)) for tier in tiers)


def within(config: Config, left: Limits | None) -> Config:
    """Return a configuration whose ceiling is no higher than what is left."""
    if left is None:
        return config
    from masdsl.runtime.granted import ceiling_of
    from masdsl.runtime.meter import tightest

    lowest = tightest(ceiling_of(config), left)
    assert lowest is not None
    return config._replace(ceiling=Ceiling(lowest.calls, lowest.tokens, lowest.usd, lowest.seconds))


def shape_of(task: Task, host: Host) -> Flow:
    """Return the flow that a task asks for, checked, with the plainest body. Raises BadTask."""
    from masdsl.decode.draft import Refused, begin, closed

    header = "".join(f"{line.strip()}\n" for line in task.tools)
    try:
        text = closed(begin(task.signature, host.config, header=header))
    except Refused as fault:
        where = host.config.path or "a mas.toml, and there is none at or above the folder"
        raise BadTask(
            f"the signature `{task.signature}` or a tool of the task cannot be used: {fault}; tools are granted by "
            f"{where}"
        ) from None
    program = host.check(text, Findings())
    flow = None if program is None else main_of(program)
    if flow is None:
        raise BadTask(f"the signature `{task.signature}` is not that of a flow `main`, as in: flow main(query) -> text")
    return flow


def main_of(program: Program) -> Flow | None:
    """Return the flow `main` of a program's own module."""
    return next((one for one in program.flows if one.name == "main" and not one.module and not one.statics), None)


def fit_of(text: str, shape: Flow, host: Host, left: Limits) -> Fit:
    """Return whether a program is one for a task of this shape that can be run with what is left.

    Its `main` has to take the same inputs and give the same type, and its worst case may not have more calls than are
    left. Of tokens, money and time, its least has to fit (the checker sees to that); what may go beyond is in `over`.
    """
    findings = Findings()
    program = host.check(text, findings, left)
    if program is None:
        return Fit(None, short(findings.sorted()))
    main = main_of(program)
    if main is None:
        return Fit(None, (f"{NAME}: there is no flow `main`",))
    wanted, given = (tuple((one.name, one.type) for one in flow.params) for flow in (shape, main))
    if (wanted, shape.returns) != (given, main.returns):
        return Fit(None, (f"{NAME}: `main` has another signature than the task asks for",))
    from masdsl.bounds.flows import bound
    from masdsl.money import limit_of
    from masdsl.rectify.host import configured_pricing, given_pricing

    pricing = configured_pricing(host.config) if host.models is None else given_pricing(host.models, host.config)
    rates = pricing(program)
    found = bound(program, rates.prices, rates.counts).flows[main.key]
    amounts = {"calls": left.calls, "tokens": left.tokens, "usd": None if left.usd is None else limit_of(left.usd)}
    needed = found.needed
    over = tuple(name for name, most in amounts.items() if most is not None and getattr(needed, name) > most)
    if "calls" in over:
        told = f"{NAME}: MAS401 it may make {needed.calls} calls, and {left.calls} are left; give it fewer steps"
        return Fit(None, (told,), found.least, needed, over)
    return Fit(program, (), found.least, needed, over)


def short(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return the errors of findings in the `short` form, a line each."""
    from masdsl.diagnostics.render import render_short

    return tuple(render_short([one for one in findings if one.diagnostic.severity == ERROR]).splitlines())


def model_for(host: Host, tier: str) -> ChatModel:
    """Return the model behind a tier here. Raises ModelError (`unavailable`) where there is none."""
    from masdsl.rectify.host import given_model
    from masdsl.runtime.models.base import ModelError

    if host.models is None:
        from masdsl.runtime.models.registry import Models

        return Models(host.config, host.config.folder())(tier, tier=True)
    found = given_model(host.models, tier, tier=True)
    if found is None:
        raise ModelError("unavailable", f"no model is given for the tier `{tier}`")
    return found


def offered_tools(config: Config) -> tuple[str, ...]:
    """Return declarations of the built-in tools that a configuration grants, without those that have an effect.

    Of other tools only their host knows what they take and give: they have to be declared.
    """
    lines, taken = [], set[str]()
    for granted_as, grant in config.tools.items():
        name = "".join(char if char.isalnum() else "_" for char in granted_as.rpartition(".")[2].lower()).strip("_")
        if (
            grant.kind in _DECLARED
            and not grant.effect
            and name.isidentifier()
            and name.isascii()
            and name not in taken
        ):
            taken.add(name)
            lines.append(f'tool {name}{_DECLARED[grant.kind]} from "{granted_as}"{_TIMEOUTS.get(grant.kind, "")}')
    return tuple(lines)


def _about(config: Config, tier: str) -> str:
    try:
        return find_model(config, tier or DEFAULT_TIER, tier=True).about or ""
    except NoModel:
        return ""
