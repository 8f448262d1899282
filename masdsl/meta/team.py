"""Who plays the roles of a session here: a model of a tier, or the rules that ask none."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from masdsl.config import BUILT_IN, NoModel, find_model
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
from masdsl.rectify.base import Rectifier
from masdsl.rectify.rules import RuleRectifier
from masdsl.runtime.models.base import ChatModel, ModelError

Player = Literal["model", "rules", "nobody"]
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
    generator: Player = "model",
    implementer: Player = "model",
    rectifier: Player | None = None,
) -> Team:
    """Return the team for a host: models of a tier where they can be used, rules in their place where they cannot.

    Where nobody says who repairs, it is the model if it reads enough for the state of a run, else the rules.
    """
    model, missing = None, ""
    context = context_of(host, tier)
    if rectifier is None:
        rectifier = "rules" if context is not None and context <= SHORT_CONTEXT else "model"
    if "model" in (generator, implementer, rectifier):
        try:
            model = model_for(host, tier)
        except ModelError as error:
            missing = error.detail
    return Team(
        ModelGenerator(model, context) if model is not None and generator == "model" else PoolGenerator(),
        ModelImplementer(model) if model is not None and implementer == "model" else CheapestImplementer(),
        None if rectifier == "nobody" else RuleRectifier(),
        model if rectifier == "model" else None,
        missing,
        context,
    )


def context_of(host: Host, name: str, *, tier: bool = True) -> int | None:
    """Return how many tokens the model of a tier, or of that very name, reads; None where nothing says it."""
    if host.models is not None:
        return None
    try:
        entry = find_model(host.config, name, tier=tier)
    except NoModel:
        return None
    if entry.kind == BUILT_IN:
        from masdsl.runtime.models.store import WEIGHTS

        return WEIGHTS[entry.name].context
    return entry.context
