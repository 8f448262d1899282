"""Who plays the roles of a session here: a model of a tier, or the rules that ask none."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from masdsl.config import BUILT_IN, ModelConfig, NoModel, find_model
from masdsl.meta.guide import SHORT_CONTEXT
from masdsl.meta.host import Host, model_for
from masdsl.meta.roles import (
    CheapestImplementer,
    Generator,
    Implementer,
    ModelGenerator,
    ModelImplementer,
    PoolGenerator,
)
from masdsl.meta.shipped import shipped_generator
from masdsl.meta.trained import TrainedGenerator
from masdsl.rectify.base import Rectifier
from masdsl.rectify.rules import RuleRectifier
from masdsl.runtime.models.base import ChatModel, ModelError

Player = Literal["model", "trained", "rules", "nobody"]
"""A model that is told all about the language, one that was trained to write it (generators alone), rules, nobody."""
DESIGNER: Final = "smart"
"""The tier of the meta-agents where nobody says another."""


class Team(NamedTuple):
    """The meta-agents of a session.

    `mender` is a model that writes patches; `rectifier` is asked where it has none, or alone where there is no mender.
    `context` is how many tokens that model reads, None where it is not known; `missing` says why a model that was
    wanted is not there.
    """

    generator: Generator
    implementer: Implementer
    rectifier: Rectifier | None = RuleRectifier()
    mender: ChatModel | None = None
    missing: str = ""
    context: int | None = None


def team_for(
    host: Host,
    *,
    tier: str = DESIGNER,
    generator: Player | None = None,
    implementer: Player = "model",
    rectifier: Player | None = None,
) -> Team:
    """Return the team for a host: models of a tier where they can be used, rules in their place where they cannot.

    Where nobody says who repairs, it is the model if it reads enough for the state of a run, else the rules. Where
    nobody says who designs, it is the model, as one that was trained where it is: the embedded model gets the adapter
    that comes with masdsl (`masdsl.meta.shipped`), and one with an `adapter` in the configuration has its own.
    """
    model, missing = None, ""
    designer: Generator | None = None
    context = context_of(host, tier)
    entry = entry_of(host, tier)
    if generator is None:
        is_trained = entry is not None and (entry.kind == BUILT_IN or entry.adapter is not None)
        generator = "trained" if is_trained else "model"
    if rectifier is None:
        rectifier = "rules" if context is not None and context <= SHORT_CONTEXT else "model"
    if "model" in (generator, implementer, rectifier):
        try:
            model = model_for(host, tier)
        except ModelError as error:
            missing = error.detail
    if generator == "trained":
        try:
            is_embedded = entry is not None and entry.kind == BUILT_IN
            designer = shipped_generator() if is_embedded else TrainedGenerator(model_for(host, tier))
        except ModelError as error:
            missing = error.detail
    elif model is not None and generator == "model":
        designer = ModelGenerator(model, context)
    return Team(
        PoolGenerator() if designer is None else designer,
        ModelImplementer(model) if model is not None and implementer == "model" else CheapestImplementer(),
        None if rectifier == "nobody" else RuleRectifier(),
        model if rectifier == "model" else None,
        missing,
        context,
    )


def entry_of(host: Host, name: str, *, tier: bool = True) -> ModelConfig | None:
    """Return what the configuration says of the model of a tier, or of that very name; None where it says nothing."""
    if host.models is not None:
        return None
    try:
        return find_model(host.config, name, tier=tier)
    except NoModel:
        return None


def context_of(host: Host, name: str, *, tier: bool = True) -> int | None:
    """Return how many tokens the model of a tier, or of that very name, reads; None where nothing says it."""
    entry = entry_of(host, name, tier=tier)
    if entry is None or entry.kind != BUILT_IN:
        return None if entry is None else entry.context
    from masdsl.runtime.models.store import WEIGHTS

    return WEIGHTS[entry.name].context
