"""The models of a batch: one set for each process, of which every run gets its own view.

registry.Models(config)       a model for each entry of the configuration, made once
    what all runs share       its place among the provider's limits, the cache of calls
        of_run(lineup)        what one run sees: tiers as its lineup has them, and nothing that it could close
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from masdsl.batch.base import Batch, EngineFault, Job
from masdsl.batch.cache import CachedModel, ReplyCache, identity_of
from masdsl.config import Config, ModelConfig
from masdsl.runtime.models.around import Lent
from masdsl.runtime.models.base import ChatModel, ModelError, ModelResolver
from masdsl.runtime.models.limits import LimitedModel, Limiter, Rates
from masdsl.runtime.models.registry import Models, rates_of
from masdsl.runtime.models.scripted import ScriptedModel

_SERVED = ("openai", "litellm")
"""Kinds of models behind a provider, who may say "too many" whatever the configuration says."""


class BatchModels:
    """The models of one configuration in a process; they belong to one event loop.

    Raises EngineFault, when a model is first asked for, where its limits are too small for so many workers.
    """

    def __init__(self, config: Config, folder: str | None, workers: int = 1, cache: ReplyCache | None = None) -> None:
        self._find = Models(config, folder, self._shared)
        self._workers = max(workers, 1)
        self._cache = cache
        self._limiters: dict[str, Limiter] = {}
        self._opened: list[ChatModel] = []
        self._limited: dict[int, Limiter] = {}

    @property
    def cache(self) -> ReplyCache | None:
        """What the calls of these models are shared through."""
        return self._cache

    def of_run(self, tiers: Mapping[str, str]) -> ModelResolver:
        """Return where a run finds its models, under a lineup's tiers."""
        scripted: dict[int, ChatModel] = {}  # of this run, by the one that all runs have

        def resolve(name: str, *, tier: bool) -> ChatModel:
            if tier and name in tiers:
                name, tier = tiers[name], False
            model = self._find(name, tier=tier)
            if not isinstance(model, ScriptedModel):
                return model
            if id(model) not in scripted:
                limiter = self._limited.get(id(model))
                scripted[id(model)] = model.anew() if limiter is None else LimitedModel(model.anew(), limiter)
            return scripted[id(model)]

        return resolve

    async def close(self) -> None:
        """Close what was opened."""
        for model in self._opened:
            with suppress(ModelError, OSError):
                await model.close()
        self._opened.clear()

    def _shared(self, model: ChatModel, entry: ModelConfig) -> ChatModel:
        """Put around a model what its calls of all runs share. A scripted one is made anew for each run."""
        rates = rates_of(entry)
        if rates != Rates() or entry.kind in _SERVED:
            try:
                limiter = self._limiters.setdefault(entry.name, Limiter(rates.share(self._workers)))
            except ValueError as fault:
                raise EngineFault(
                    f"{fault} of {self._workers}: `{entry.name}`; use at most {rates.at_once} workers"
                ) from None
            if isinstance(model, ScriptedModel):
                self._limited[id(model)] = limiter
            else:
                model = LimitedModel(model, limiter)
        if isinstance(model, ScriptedModel):
            return model
        if self._cache is not None:
            model = CachedModel(model, identity_of(entry), self._cache)
        self._opened.append(model)
        return Lent(model)


def models_of(batch: Batch, job: Job, config: Config, folder: str | None = None) -> BatchModels:
    """Return the models of a configuration for a worker's process; `folder` is that of the programs."""
    cache = ReplyCache(batch.cache, batch.sampled_calls) if batch.cache else None
    return BatchModels(config, folder, job.workers, cache)
