"""A model around another one: what it changes or notes is its own, all else is the other's."""

from __future__ import annotations

from masdsl.runtime.models.base import (
    ChatModel,
    Places,
    Price,
    Reply,
    Request,
    calls_tools,
    context_of,
    grammars_of,
    places_of,
)


class ModelAround:
    """Does nothing by itself: every call goes to `model`."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's name as the configuration has it."""
        return self._model.name

    @property
    def price(self) -> Price | None:
        """USD per million tokens, None where unknown."""
        return self._model.price

    @property
    def grammars(self) -> str:
        """The notation of grammars that the model keeps to; raises ModelError like the model's own."""
        return grammars_of(self._model)

    @property
    def context(self) -> int | None:
        """How many tokens a prompt and its reply have together at most; None where the model does not tell."""
        return context_of(self._model)

    @property
    def tool_calls(self) -> bool:
        """Whether the model calls tools by its provider's own protocol."""
        return calls_tools(self._model)

    @property
    def places(self) -> Places | None:
        """What has places for the model's calls; None where they need none."""
        return places_of(self._model)

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        return await self._model.complete(request)

    async def close(self) -> None:
        """Let go of what belongs to this event loop."""
        await self._model.close()


class Lent(ModelAround):
    """A model that belongs to all runs of a process: whoever is done with it leaves it open."""

    async def close(self) -> None:
        """Do nothing: others are using it."""
