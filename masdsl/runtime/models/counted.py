"""A model whose own tokenizer is on this machine."""

from __future__ import annotations

from collections.abc import Callable

from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel
from masdsl.sizes import saved_tokens


class CountedModel(ModelAround):
    """Another model, together with what counts texts as that model does."""

    def __init__(self, model: ChatModel, count: Callable[[str], int]) -> None:
        super().__init__(model)
        self._count = count
        self._saved: dict[tuple[str, ...], int] = {}

    def saved_tokens(self, texts: tuple[str, ...]) -> int:
        """Return how many tokens fewer these texts have than they count by the rule."""
        if texts not in self._saved:
            self._saved[texts] = saved_tokens(texts, self._count)
        return self._saved[texts]
