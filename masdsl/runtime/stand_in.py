"""Stand-ins for agents in tests: they answer in the place of a model, under the same budget and the same policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from masdsl.runtime.agent import Agent
from masdsl.runtime.failures import ShapeError, StepFailed
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.replies import Fault, Parsed
from masdsl.runtime.session import STAND_IN, RawReply, StandIn
from masdsl.runtime.shapes import fit, plain


@dataclass(frozen=True, slots=True)
class GivenReply(Reply):
    """A reply that is a value already."""

    value: Any = field(kw_only=True)


class StandInModel:
    """The model of an agent that has a stand-in."""

    name = STAND_IN
    price: Price | None = Price(0.0, 0.0)

    def __init__(self, stand_in: StandIn, inputs: Mapping[str, Any]) -> None:
        self._stand_in = stand_in
        self._inputs = {name: plain(value) for name, value in inputs.items()}

    async def complete(self, request: Request) -> Reply:
        """Return what the stand-in answers."""
        try:
            value = self._stand_in(self._inputs)
        except StepFailed as failure:
            raise ModelError("refused", failure.reason, billed=True) from None
        if isinstance(value, RawReply):
            return Reply(value.text, model=self.name)
        text = value if isinstance(value, str) else str(plain(value))
        return GivenReply(text, model=self.name, value=value)

    async def close(self) -> None:
        """Do nothing."""


def given_value(reply: GivenReply, agent: Agent[Any]) -> Parsed | Fault:
    """Return the value of a stand-in as the agent's type."""
    try:
        value, clips = fit(reply.value, agent.returns)
    except ShapeError as error:
        return Fault(str(error), reply.text)
    return Parsed(value, (), clips)
