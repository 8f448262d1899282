"""A model whose own tokenizer is on this machine."""

from __future__ import annotations

from collections.abc import Callable

from masdsl.runtime.models.base import ChatModel, Price, Reply, Request, calls_tools, grammars_of
from masdsl.sizes import saved_tokens


class CountedModel:
    """Another model, together with what counts texts as that model does."""

    def __init__(self, model: ChatModel, count: Callable[[str], int]) -> None:
        self._model = model
        self._count = count
        self._saved: dict[tuple[str, ...], int] = {}
        self.tool_calls = calls_tools(model)

    def saved_tokens(self, texts: tuple[str, ...]) -> int:
        """Return how many tokens fewer these texts have than they count by the rule."""
        if texts not in self._saved:
            self._saved[texts] = saved_tokens(texts, self._count)
        return self._saved[texts]

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

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        return await self._model.complete(request)

    async def close(self) -> None:
        """Let go of what belongs to this event loop."""
        await self._model.close()
