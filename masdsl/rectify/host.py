"""What a run gets from its host: which tiers there are, and what the agents of a program cost there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masdsl.bounds.rates import counts_of, dearest, prices_in, rates_of, tier_prices
from masdsl.check.program import Program
from masdsl.config import DEFAULT_TIER, Config, NoModel, find_model
from masdsl.money import TokenPrice
from masdsl.rectify.remaining import Pricing, Rates
from masdsl.rectify.state import Tier
from masdsl.runtime.accounts import token_price
from masdsl.runtime.models.base import ChatModel, ModelError
from masdsl.runtime.program import Models


def configured_pricing(config: Config) -> Pricing:
    """Return what says the prices and tokenizers of a program's agents by the configuration."""

    def pricing(program: Program) -> Rates:
        rates = rates_of(program, config)
        return Rates(prices_in(rates), counts_of(rates))

    return pricing


def configured_tiers(program: Program, config: Config) -> tuple[Tier, ...]:
    """Return the tiers of the configuration that stand for a model, in its order."""
    prices = tier_prices(program, config)
    tiers = []
    for tier in config.tiers:
        try:
            tiers.append(Tier(tier, find_model(config, tier, tier=True).name, prices.get(tier)))
        except NoModel:
            continue
    return tuple(tiers)


def given_pricing(models: Models, config: Config) -> Pricing:
    """Return what says the prices of a program's agents by the models that a caller gives for the tiers."""

    def pricing(program: Program) -> Rates:
        prices: dict[str, TokenPrice] = {}
        for agent in program.agents:
            model = given_model(models, agent.model or DEFAULT_TIER, tier=not (agent.model and agent.is_model_name))
            price = None if model is None else token_price(model.price)
            if price is not None:
                prices[agent.key] = price
        for tool in program.tools:
            if tool.designs:
                tiers = given_tiers(models, config)
                prices[tool.key] = dearest(tier.price for tier in tiers if tier.price is not None)
        return Rates(prices, {})

    return pricing


def given_tiers(models: Models, config: Config) -> tuple[Tier, ...]:
    """Return the tiers of the configuration for which a caller gives a model."""
    found = {tier: model for tier in config.tiers if (model := given_model(models, tier, tier=True)) is not None}
    names: dict[str, set[int]] = {}
    for model in found.values():
        names.setdefault(model.name, set()).add(id(model))
    first: dict[int, str] = {}
    tiers = []
    for tier, model in found.items():
        own = first.setdefault(id(model), tier)
        label = model.name if len(names[model.name]) == 1 else f"{model.name} ({own})"
        tiers.append(Tier(tier, label, token_price(model.price)))
    return tuple(tiers)


def given_model(models: Models, name: str, *, tier: bool) -> ChatModel | None:
    """Return the model that a caller gives for a name; None where there is none."""
    if isinstance(models, Mapping):
        return models.get(name)
    if hasattr(models, "complete"):
        single: Any = models
        return single  # type: ignore[no-any-return]
    resolve: Any = models
    try:
        model: ChatModel = resolve(name, tier=tier)
    except ModelError:
        return None
    return model
