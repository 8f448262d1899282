"""The models of a batch: one set for each process, of which every run gets its own view.

registry.resolver(config)     a model for each entry of the configuration, made once
    wrap(model)               what stands around it for the whole process: limits, the cache of calls
        of_run(lineup)        what one run sees: tiers as its lineup has them, and nothing that it could close
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias, cast

from masdsl.batch.base import Batch, Job
from masdsl.config import Config
from masdsl.runtime.models.base import ChatModel, ModelError, ModelResolver
from masdsl.runtime.models.registry import resolver
from masdsl.runtime.models.scripted import ScriptedModel

Wrap: TypeAlias = Callable[[ChatModel], ChatModel]
"""Puts something around a model. It is asked once for each model of the process, but for scripted ones, which are made
anew for each run: what is shared by all calls of a model goes by its name."""


class Lent:
    """A model that belongs to all runs of a process: whoever is done with it leaves it open."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.complete = model.complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def close(self) -> None:
        """Do nothing: others are using it."""


class BatchModels:
    """The models of one configuration in a process; they belong to one event loop."""

    def __init__(self, find: ModelResolver, wrap: Wrap) -> None:
        self._find = find
        self._wrap = wrap
        self._lent: dict[int, ChatModel] = {}
        self._opened: list[ChatModel] = []

    def of_run(self, tiers: Mapping[str, str]) -> ModelResolver:
        """Return where a run finds its models, under a lineup's tiers."""
        scripted: dict[int, ChatModel] = {}  # of this run, by the one that all runs have

        def resolve(name: str, *, tier: bool) -> ChatModel:
            if tier and name in tiers:
                name, tier = tiers[name], False
            model = self._find(name, tier=tier)
            if not isinstance(model, ScriptedModel):
                return self._lent_of(model)
            if id(model) not in scripted:
                scripted[id(model)] = self._wrap(model.anew())
            return scripted[id(model)]

        return resolve

    def _lent_of(self, model: ChatModel) -> ChatModel:
        lent = self._lent.get(id(model))
        if lent is None:
            wrapped = self._wrap(model)
            self._opened.append(wrapped)
            lent = self._lent[id(model)] = cast("ChatModel", Lent(wrapped))
        return lent

    async def close(self) -> None:
        """Close what was opened."""
        for model in self._opened:
            with suppress(ModelError, OSError):
                await model.close()
        self._opened.clear()
        self._lent.clear()


def models_of(batch: Batch, job: Job, config: Config, folder: str | None = None) -> BatchModels:
    """Return the models of a configuration for a worker's process; `folder` is that of the programs."""
    return BatchModels(resolver(config, folder=folder), lambda model: model)
