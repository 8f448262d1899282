"""What a token of each agent's model costs, as bounds count it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

from masdsl.check.program import Agent, Invoke, Program
from masdsl.check.uses import nodes_of
from masdsl.config import CONFIG_NAME, DEFAULT_TIER, LOCAL_KINDS, Config, ModelConfig, NoModel, find_model, shown_path
from masdsl.diagnostics.base import Diagnostic, Findings
from masdsl.money import TokenPrice
from masdsl.node import NOWHERE, Span
from masdsl.pricing import NoPrice, NotLocked, Prices, folder_of, listed_name, own_price
from masdsl.pricing.lock import LOCK_NAME, LockFault
from masdsl.source import Source


class Rate(NamedTuple):
    """What an agent is on.

    `model` is the model's name as the configuration or the program has it. `price` is None where nothing says it.
    `local` models run on this machine. `tokenizer` is the path of the model's own `tokenizer.json`, where it is known.
    """

    model: str
    price: TokenPrice | None
    local: bool
    tokenizer: str | None


DEAREST: Final = "the dearest tier"
"""Stands for the model of a tool that designs: which one is asked turns out at run time."""

Rates: TypeAlias = Mapping[str, Rate]
"""Rates by the keys of agents, and of tools that design. An agent whose model is unknown, which the checker reports, is
not in it."""


def rates_of(program: Program, config: Config, findings: Findings | None = None) -> Rates:
    """Return the rate of every agent of a program, and of every tool that designs: that of the dearest tier.

    A model without a price is reported once, at its first agent, if a flow or a test can reach it; as is a lock that
    is needed and cannot be used. Without `findings` nothing is reported. Litellm's table is read only where an agent is
    on a model of a provider.
    """
    prices = Prices(config, folder_of(program.modules[0].source.name))
    rates: dict[str, Rate] = {}
    faults: list[tuple[Agent, ModelConfig, Exception]] = []
    for agent in program.agents:
        try:
            entry = model_of(config, agent)
        except NoModel:
            continue
        price: TokenPrice | None = None
        try:
            price = prices.of(entry)
        except (NoPrice, LockFault) as fault:
            faults.append((agent, entry, fault))
        rates[agent.key] = Rate(entry.name, price, entry.kind in LOCAL_KINDS, entry.tokenizer)
    for tool in program.tools:
        if tool.designs:
            rates[tool.key] = Rate(DEAREST, dearest(tier_prices(program, config).values()), False, None)
    if findings is not None and faults:
        reached = reached_agents(program)
        for source, diagnostic in _reported([one for one in faults if one[0].key in reached], program, config):
            findings.add(source, diagnostic)
    return rates


def prices_of(program: Program, config: Config, findings: Findings | None = None) -> dict[str, TokenPrice]:
    """Return the prices alone, by the keys of the agents that have one; otherwise like `rates_of`."""
    return prices_in(rates_of(program, config, findings))


def prices_in(rates: Rates) -> dict[str, TokenPrice]:
    """Return the prices alone, by the keys of the agents that have one."""
    return {key: rate.price for key, rate in rates.items() if rate.price is not None}


def counts_of(rates: Rates, findings: Findings | None = None) -> dict[str, Callable[[str], int]]:
    """Return how texts count for the models of agents whose tokenizer the configuration names, by the agents' keys.

    A tokenizer that cannot be used is reported; without `findings` its agents count by the rule.
    """
    if all(rate.tokenizer is None for rate in rates.values()):
        return {}
    from masdsl.tokenizers import TokenizerError, counter_of

    counts: dict[str, Callable[[str], int]] = {}
    for key, rate in rates.items():
        if rate.tokenizer is None:
            continue
        try:
            counter = counter_of(rate.tokenizer)
        except TokenizerError as fault:
            if findings is not None:
                from masdsl.diagnostics.config import UnusableTokenizer

                source = Source(shown_path(rate.tokenizer), "")
                findings.add(source, UnusableTokenizer(rate.model, str(fault), span=NOWHERE))
            continue
        if counter is not None:
            counts[key] = counter.count
    return counts


def tier_prices(program: Program, config: Config) -> dict[str, TokenPrice]:
    """Return the prices of the configuration's tiers, of those that have one."""
    prices = Prices(config, folder_of(program.modules[0].source.name))
    found: dict[str, TokenPrice] = {}
    for tier in config.tiers:
        try:
            found[tier] = prices.of(find_model(config, tier, tier=True))
        except (NoModel, NoPrice, LockFault):  # a tier that no agent is on need not be priced
            continue
    return found


def dearest(prices: Iterable[TokenPrice]) -> TokenPrice:
    """Return a price that is as high as any of these, for prompts and for replies."""
    known = list(prices)
    return TokenPrice(
        max((price.input for price in known), default=0), max((price.output for price in known), default=0)
    )


def listed_models(program: Program, config: Config, findings: Findings) -> frozenset[str]:
    """Return the names of the models that a program needs the price table for, as a lock pins them.

    Those are the models of agents that a flow or a test can reach, and of all tiers where a step designs a system,
    whose price nothing else says. One of an agent that the table of the installed litellm has no price for either is
    reported.
    """
    from masdsl.pricing.table import installed_table

    names: set[str] = set()
    faults: list[tuple[Agent, ModelConfig, Exception]] = []
    reached = reached_agents(program)
    for agent in program.agents:
        if agent.key not in reached:
            continue
        try:
            entry = model_of(config, agent)
        except NoModel:
            continue
        try:
            if own_price(entry) is None:
                name = listed_name(entry)
                installed_table().price(name)
                names.add(name)
        except NoPrice as fault:
            faults.append((agent, entry, fault))
    for source, diagnostic in _reported(faults, program, config):
        findings.add(source, diagnostic)
    for tier in config.tiers if any(tool.designs for tool in program.tools) else ():
        with suppress(NoModel, NoPrice):  # what no table has a price for is refused where a limit in USD holds
            entry = find_model(config, tier, tier=True)
            if own_price(entry) is None:
                installed_table().price(listed_name(entry))
                names.add(listed_name(entry))
    return frozenset(names)


def model_of(config: Config, agent: Agent) -> ModelConfig:
    """Return the model that an agent is on: a role that is not assigned yet is on the default tier. Raises NoModel."""
    return find_model(config, agent.model or DEFAULT_TIER, tier=not (agent.model and agent.is_model_name))


def reached_agents(program: Program) -> frozenset[str]:
    """Return the keys of the agents that a flow or a test can reach."""
    blocks = (*(flow.body for flow in program.flows), *(test.body for test in program.tests))
    nodes = (node for block in blocks for statement in block for node in nodes_of(statement))
    return frozenset(node.callee for node in nodes if isinstance(node, Invoke) and node.kind == "agent")


def _reported(
    faults: list[tuple[Agent, ModelConfig, Exception]], program: Program, config: Config
) -> Iterator[tuple[Source, Diagnostic]]:
    from masdsl.diagnostics.config import DamagedLock, UnlockedModel, UnpricedModel

    sources = {module.name: module.source for module in program.modules}
    seen: set[tuple[str | None, str]] = set()
    for agent, entry, fault in faults:
        tier = None if agent.model and agent.is_model_name else agent.model or DEFAULT_TIER
        if isinstance(fault, LockFault):
            yield Source(shown_path(fault.path), ""), DamagedLock(str(fault), span=NOWHERE)
        elif (tier, entry.name) not in seen:
            seen.add((tier, entry.name))
            source = sources[agent.module]
            span = _model_span(agent, source)
            if isinstance(fault, NotLocked):
                yield source, UnlockedModel(entry.name, LOCK_NAME, span=span)
            else:
                where = shown_path(config.path) if config.path else f"no {CONFIG_NAME}"
                configured = entry.name in config.models
                yield source, UnpricedModel(entry.name, tier, where, configured, str(fault), span=span)


def _model_span(agent: Agent, source: Source) -> Span:
    """Return where an agent says its model, or else its first line."""
    if agent.model:
        model = f'"{re.escape(agent.model)}"' if agent.is_model_name else re.escape(agent.model)
        found = re.compile(rf"\bon\s+({model})(?!\w)").search(source.text, agent.span.start, agent.span.end)
        if found:
            return Span(found.start(1), found.end(1))
    end = source.text.find("\n", agent.span.start, agent.span.end)
    return agent.span if end < 0 else Span(agent.span.start, end)
