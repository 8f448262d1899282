"""The models of a service: one set for each program, which all its runs share.

So connections to providers, and the weights of local models, are opened once, and the limits of a provider
(`at_once`, `calls_per_minute`) hold for all requests together.
"""

from __future__ import annotations

from contextlib import suppress

from masdsl.config import ModelConfig
from masdsl.loaded import LoadedProgram
from masdsl.pricing import folder_of
from masdsl.runtime.models.around import Lent
from masdsl.runtime.models.base import ChatModel, ModelError, ModelResolver
from masdsl.runtime.models.registry import Models, limited


class SharedModels:
    """The models of programs, each made when it is first asked for. They belong to one event loop."""

    def __init__(self) -> None:
        self._of: dict[int, ModelResolver] = {}
        self._opened: list[ChatModel] = []

    def of(self, program: LoadedProgram) -> ModelResolver | None:
        """Return where runs of a program find their models; None where it was given its own."""
        if not program.uses_configured_models:
            return None
        if id(program) not in self._of:
            folder = folder_of(program.checked.modules[0].source.name)
            self._of[id(program)] = Models(program.config, folder, self._lent)
        return self._of[id(program)]

    def _lent(self, model: ChatModel, entry: ModelConfig) -> ChatModel:
        kept = limited(model, entry)
        self._opened.append(kept)
        return Lent(kept)

    async def close(self) -> None:
        """Close what was opened."""
        for model in self._opened:
            with suppress(ModelError, OSError):
                await model.close()
        self._opened.clear()
        self._of.clear()
