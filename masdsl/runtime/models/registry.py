"""From the names in a program to models: tiers, entries of the configuration, the embedded model, litellm names.

    models = resolver(config)           # or resolver(): the nearest configuration, or else the embedded model
    models("fast", tier=True)           # `on fast`
    models("openai/gpt-4o-mini", tier=False)    # `on "openai/gpt-4o-mini"`

To find a model loads nothing: weights, connections and libraries come with its first call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from masdsl.config import (
    BUILT_IN_MODELS,
    DEFAULT,
    EMBEDDED_MODEL,
    Config,
    ModelConfig,
    NoModel,
    find_model,
    load_config,
)
from masdsl.money import usd_per_million
from masdsl.pricing import NoPrice, NotLocked, Prices
from masdsl.pricing.lock import LockFault
from masdsl.runtime.models.base import ChatModel, ModelError, Price
from masdsl.runtime.models.counted import CountedModel
from masdsl.runtime.models.limits import LimitedModel, Limiter, Rates

Around: TypeAlias = Callable[[ChatModel, ModelConfig], ChatModel]
"""Puts something around the model of an entry of the configuration."""


class Models:
    """The models of one configuration; each is made once, when it is first asked for.

    `folder` is the program's: there its lock of prices is looked for if the configuration is in no file. `around` may
    put something around a model as it is made; by default that is what keeps to the limits of its entry.
    """

    def __init__(self, config: Config = DEFAULT, folder: str | None = None, around: Around | None = None) -> None:
        self._config = config
        self._around = limited if around is None else around
        self._prices = Prices(config, folder)
        self._made: dict[str, ChatModel] = {}

    def __call__(self, name: str, *, tier: bool) -> ChatModel:
        """Return the model of a tier, or, with `tier` false, the model of that very name.

        Raises ModelError (`unavailable`) for a name that stands for nothing here, for a model that cannot be used on
        this machine, and for one whose price should be in a lock and is not.
        """
        try:
            entry = find_model(self._config, name, tier=tier)
        except NoModel as fault:
            raise ModelError("unavailable", str(fault)) from None
        if entry.name not in self._made:
            self._made[entry.name] = _counted(self._around(configured(entry, self._price(entry)), entry), entry)
        return self._made[entry.name]

    def _price(self, entry: ModelConfig) -> Price | None:
        """Return the price of a model, None where nothing says it."""
        try:
            price = self._prices.of(entry)
        except NotLocked as fault:
            raise ModelError("unavailable", f"the model `{entry.name}` has no price: {fault}; run: mas lock") from None
        except LockFault as fault:
            raise ModelError("unavailable", f"{fault.path} cannot be used: {fault}; run: mas lock") from None
        except NoPrice:
            return None
        return Price(float(usd_per_million(price.input)), float(usd_per_million(price.output)))


def resolver(config: Config | None = None, *, folder: str | None = None) -> Models:
    """Return the models of `config`; without one, those of the configuration that holds in `folder`.

    `folder` is the program's, or the working folder unless it is given. A configuration with mistakes raises ModelError
    (`unavailable`) and names `mas check`, which shows them all.
    """
    folder = os.getcwd() if folder is None else folder
    if config is not None:
        return Models(config, folder)
    from masdsl.diagnostics.base import ERROR, Findings

    findings = Findings()
    config = load_config(folder, findings)
    for source, diagnostic in findings.sorted():
        if diagnostic.severity == ERROR:
            line = source.position(diagnostic.span.start).line
            detail = f"{source.name}:{line}: {diagnostic.title()}; {diagnostic.help()}"
            raise ModelError("unavailable", f"the configuration cannot be used: {detail}")
    return Models(config, folder)


# ---------------------------------------------------------------- making


def embedded(name: str = EMBEDDED_MODEL, *, called: str = "", adapter: str = "", sha256: str = "") -> ChatModel:
    """Return the model whose weights `mas models pull` fetches. Raises ModelError (`unavailable`) where they are
    missing.

    Nothing is fetched here: 93 MB are for the user to ask for. `adapter` is the folder of a LoRA adapter that is put
    onto them, its weights with this `sha256` if one is given; `called` is the name of the two together.
    """
    from masdsl.runtime.models import store
    from masdsl.runtime.models.engine import check_installed
    from masdsl.runtime.models.local import SMALL_MODEL_SAMPLING, LocalModel

    def find() -> str:
        try:
            return store.ready(name)
        except store.StoreError as error:
            raise ModelError("unavailable", str(error)) from None

    check_installed()
    if store.where(name) is None:
        find()
    weights = store.WEIGHTS[name]
    if not adapter:
        return LocalModel(name, find, context=weights.context, sampling=SMALL_MODEL_SAMPLING)
    return LocalModel(
        called or name,
        find,
        context=weights.context,
        adapter=_adapter(adapter, weights.sha256, sha256),
    )


def _adapter(folder: str, base_sha256: str = "", sha256: str = "") -> Callable[[str], str]:
    """Return what makes llama.cpp's form of an adapter for a file of weights. Raises ModelError where it is missing."""
    if not os.path.isdir(folder):
        raise ModelError("unavailable", f"there is no folder {folder} with an adapter")

    def make(base: str) -> str:
        from masdsl.runtime.models.lora import AdapterFault, adapter_for

        try:
            return adapter_for(folder, base, base_sha256=base_sha256, sha256=sha256)
        except AdapterFault as fault:
            raise ModelError("unavailable", str(fault)) from None

    return make


def rates_of(entry: ModelConfig) -> Rates:
    """Return what a model's entry says that its provider allows."""
    return Rates(entry.at_once, entry.calls_per_minute, entry.tokens_per_minute)


def limited(model: ChatModel, entry: ModelConfig) -> ChatModel:
    """Return a model that waits for its limits, where its entry has any."""
    rates = rates_of(entry)
    return model if rates == Rates() else LimitedModel(model, Limiter(rates))


def _counted(model: ChatModel, entry: ModelConfig) -> ChatModel:
    """Return the model together with its own tokenizer, where the configuration names that."""
    if entry.tokenizer is None:
        return model
    from masdsl.tokenizers import TokenizerError, counter_of

    try:
        counter = counter_of(entry.tokenizer)
    except TokenizerError as fault:
        detail = f"the tokenizer of the model `{entry.name}` cannot be used: {entry.tokenizer}: {fault}"
        raise ModelError("unavailable", detail) from None
    return model if counter is None else CountedModel(model, counter.count)


def configured(entry: ModelConfig, price: Price | None = None) -> ChatModel:
    """Return the model that an entry of `[models]` describes, at this price. Raises ModelError (`unavailable`)."""
    match entry.kind:
        case "built-in":
            return embedded(entry.name)
        case "openai":
            from masdsl.runtime.models.openai import OpenAIModel

            return OpenAIModel(
                entry.name,
                url=entry.url or "",
                model=entry.model or "",
                key_env=entry.key_env,
                price=price,
                timeout=entry.timeout,
                tool_calls=entry.has_tool_calls,
                grammars=entry.grammar or "",
            )
        case "litellm":
            from masdsl.runtime.models.litellm_model import LiteLLMModel

            return LiteLLMModel(
                entry.name,
                model=entry.model or "",
                url=entry.url,
                key_env=entry.key_env,
                price=price,
                timeout=entry.timeout,
                tool_calls=entry.has_tool_calls,
            )
        case "gguf":
            from masdsl.runtime.models.engine import check_installed
            from masdsl.runtime.models.local import DEFAULT_CONTEXT, LocalModel

            check_installed()
            path = entry.path or ""
            if path in BUILT_IN_MODELS:
                return embedded(path, called=entry.name, adapter=entry.adapter or "")
            if not os.path.isfile(path):
                raise ModelError("unavailable", f"the model `{entry.name}` has no file {path}")
            return LocalModel(
                entry.name,
                path,
                context=entry.context or DEFAULT_CONTEXT,
                timeout=entry.timeout,
                adapter=_adapter(entry.adapter) if entry.adapter else None,
            )
        case "transformers":
            from masdsl.runtime.models.transformers_model import TransformersModel

            return TransformersModel(entry.name, entry.path or "", context=entry.context, timeout=entry.timeout)
        case "scripted":
            from masdsl.runtime.models.scripted import ScriptError, load_script

            try:
                return load_script(entry.path or "", name=entry.name, price=price)
            except ScriptError as error:
                raise ModelError("unavailable", f"the model `{entry.name}`: {error}") from None
        case "python":
            from masdsl.runtime.models.python_object import made_by_factory

            return made_by_factory(entry, price)
    raise ModelError("unavailable", f"the model `{entry.name}` is of the unknown kind `{entry.kind}`")
