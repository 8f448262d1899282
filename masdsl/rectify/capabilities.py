"""What a program may do beyond computing: which tools, models and modules it uses, and how much it may spend.

A patch may only narrow that. What the program declares counts, used or not: a tool may be there to take another's
place, and what a first patch brings in unused, a second one could use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from masdsl.bounds.measures import MEASURES, limit
from masdsl.check.program import Agent, Flow, Limits, Program, Within
from masdsl.check.uses import program_callees, statements_of
from masdsl.config import Config, NoModel, find_model
from masdsl.diagnostics.bounds import amount
from masdsl.rectify.locate import step_statements, steps


class Capabilities(NamedTuple):
    """`effects` are (who uses it, granted name) of tools that change the world, where who is a flow or an agent."""

    tools: frozenset[str]
    effects: frozenset[tuple[str, str]]
    models: frozenset[str]
    modules: frozenset[str]


def capabilities(program: Program, config: Config) -> Capabilities:
    """Return what a program may do, whichever of its flows runs."""
    tools = {tool.key: tool for tool in program.tools}
    uses = [(agent.key, key) for agent in program.agents for key in agent.tools]
    for flow in program.flows:
        uses += [(flow.name, place.step.callee) for place in steps(flow) if place.step.kind == "tool"]
    effects = {(who, tools[key].granted_as) for who, key in uses if tools[key].effect}
    models = {model_name(agent, config) for agent in program.agents}
    modules = {module.name for module in program.modules if module.name and not module.name.startswith("std.")}
    granted = {tool.granted_as for tool in program.tools}
    return Capabilities(frozenset(granted), frozenset(effects), frozenset(models), frozenset(modules))


def reached(program: Program, entry: str) -> frozenset[str]:
    """Return the keys of everything that a run of a flow can reach, the flow itself included."""
    callees = program_callees(program)
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        key = waiting.pop()
        if key in found:
            continue
        found.add(key)
        callee = callees[key]
        if isinstance(callee, Flow):
            waiting += [place.step.callee for place in steps(callee)]
        elif isinstance(callee, Agent):
            waiting += callee.tools
    return frozenset(found)


def model_name(agent: Agent, config: Config) -> str:
    """Return the model that an agent is on, by its name in the configuration; the tier's name where there is none."""
    try:
        return find_model(config, agent.model or "default", tier=not (agent.model and agent.is_model_name)).name
    except NoModel:
        return agent.model or "default"


def more_than(before: Program, after: Program, config: Config, fixed_tools: Mapping[str, bool]) -> Iterator[str]:
    """Yield what a patched program may do that the program may not, each in a few words.

    Models behind the configuration's tiers are no more than the program has. `fixed_tools` says of granted names
    whether the first program of the run declares an effect.
    """
    old = capabilities(before, config)
    new = capabilities(after, config)
    allowed = old.models | {_tier_model(config, tier) for tier in config.tiers}
    for name in sorted(new.tools - old.tools):
        yield f'the tool "{name}"'
    for who, name in sorted(new.effects - old.effects):
        if name in old.tools:
            yield f'the effect tool "{name}" in the hands of `{who}`'
    for name in sorted(new.models - allowed):
        yield f"the model `{name}`, which no tier of the configuration stands for"
    for name in sorted(new.modules - old.modules):
        yield f"the module `{name}`"
    for tool in after.tools:
        if fixed_tools.get(tool.granted_as) and not tool.effect:
            yield f'"{tool.granted_as}" as a tool without effect'


def _tier_model(config: Config, tier: str) -> str:
    try:
        return find_model(config, tier, tier=True).name
    except NoModel:
        return tier


# ---------------------------------------------------------------- budgets


def raised(before: Program, after: Program) -> Iterator[str]:
    """Yield the budgets and slices that a patch raises or takes away, and a changed `rectify`, each in a few words."""
    yield from _raised("the budget", before.budget, after.budget)
    old_flows = {flow.name: flow for flow in before.flows if not flow.module}
    new_flows = {flow.name: flow for flow in after.flows if not flow.module}
    for name, flow in old_flows.items():
        if name not in new_flows:
            continue
        yield from _raised(f"the budget of flow `{name}`", flow.limits, new_flows[name].limits)
        slices = {path: node.limits for path, node in step_statements(new_flows[name]) if isinstance(node, Within)}
        for path, node in step_statements(flow):
            if isinstance(node, Within):
                if path in slices:
                    yield from _raised(f"the slice `{path}`", node.limits, slices[path])
                else:
                    yield f"the slice `{path}` would be gone"
    for name in sorted(old_flows.keys() - new_flows.keys()):
        flow = old_flows[name]
        if flow.limits is not None or any(isinstance(node, Within) for node in statements_of(flow.body)):
            yield f"flow `{name}`, which has a budget of its own, would be gone"
    if before.rectify != after.rectify:
        yield "`rectify` would be another one"


def _raised(what: str, before: Limits | None, after: Limits | None) -> Iterator[str]:
    for measure in MEASURES:
        old, new = limit(before, measure), limit(after, measure)
        if old is None or (new is not None and new <= old):
            continue
        if new is None:
            yield f"{what} would no longer limit {measure}"
        else:
            yield f"{what} would allow {shown(measure, new)} instead of {shown(measure, old)}"


def shown(measure: str, value: int) -> str:
    """Return an amount with its unit: calls, tokens, picodollars as USD, microseconds as seconds."""
    return amount(measure, value)
