"""From the names in a program to models: tiers, entries of the configuration, the embedded model, litellm names.

    models = resolver(config)           # or resolver(): the nearest configuration, or else the embedded model
    models("fast", tier=True)           # `on fast`
    models("openai/gpt-4o-mini", tier=False)    # `on "openai/gpt-4o-mini"`

To find a model loads nothing: weights, connections and libraries come with its first call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from masdsl.config import BUILT_IN_MODELS, DEFAULT, EMBEDDED_MODEL, Config, ModelConfig, load_config
from masdsl.diagnostics.suggest import nearest
from masdsl.runtime.models.base import ChatModel, ModelError, Price


class Models:
    """The models of one configuration; each is made once, when it is first asked for."""

    def __init__(self, config: Config = DEFAULT) -> None:
        self._config = config
        self._made: dict[str, ChatModel] = {}

    def __call__(self, name: str, *, tier: bool) -> ChatModel:
        """Return the model of a tier, or, with `tier` false, the model of that very name.

        Raises ModelError (`unavailable`) for a name that stands for nothing here, and for a model that cannot be used
        on this machine.
        """
        model = self._of_tier(name) if tier else name
        if model not in self._made:
            self._made[model] = self._make(model)
        return self._made[model]

    def known(self) -> tuple[str, ...]:
        """Return the names of all models of the configuration and of the built-in ones."""
        return tuple(dict.fromkeys((*self._config.models, *BUILT_IN_MODELS)))

    def _of_tier(self, tier: str) -> str:
        tiers = self._config.tiers
        if tier in tiers:
            return tiers[tier]
        if tier in self.known():
            raise ModelError("unavailable", f'`{tier}` is no tier but a model: quote it, on "{tier}"')
        near = nearest(tier, tiers)
        where = f"in {self._config.path}" if self._config.path else "without a mas.toml"
        advice = f"did you mean `{near}`?" if near else f'add it: [tiers] {tier} = "{EMBEDDED_MODEL}"'
        raise ModelError("unavailable", f"there is no tier `{tier}` {where} (there are {_listed(tiers)}); {advice}")

    def _make(self, name: str) -> ChatModel:
        if name in self._config.models:
            return configured(self._config.models[name])
        if name in BUILT_IN_MODELS:
            return embedded(name)
        if "/" not in name:
            near = nearest(name, self.known())
            if near is not None:
                raise ModelError("unavailable", f"there is no model `{name}`; did you mean `{near}`?")
            raise ModelError(
                "unavailable",
                f"there is no model `{name}` (there are {_listed(self.known())}); describe it in mas.toml under"
                f" [models.{name}], or name its provider as litellm does: openai/{name}",
            )
        from masdsl.runtime.models.litellm_model import LiteLLMModel

        return LiteLLMModel(name, model=name)


def resolver(config: Config | None = None, *, folder: str | None = None) -> Models:
    """Return the models of `config`; without one, those of the configuration that holds in `folder`.

    `folder` is the working folder unless it is given. A configuration with mistakes raises ModelError (`unavailable`)
    and names `mas check`, which shows them all.
    """
    if config is not None:
        return Models(config)
    from masdsl.diagnostics.base import ERROR, Findings

    findings = Findings()
    config = load_config(os.getcwd() if folder is None else folder, findings)
    for source, diagnostic in findings.sorted():
        if diagnostic.severity == ERROR:
            line = source.position(diagnostic.span.start).line
            detail = f"{source.name}:{line}: {diagnostic.title()}; {diagnostic.help()}"
            raise ModelError("unavailable", f"the configuration cannot be used: {detail}")
    return Models(config)


# ---------------------------------------------------------------- making


def embedded(name: str = EMBEDDED_MODEL) -> ChatModel:
    """Return the model whose weights `mas models pull` fetches. Raises ModelError (`unavailable`) where they are
    missing.

    Nothing is fetched here: 93 MB are for the user to ask for.
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
    return LocalModel(name, find, context=weights.context, sampling=SMALL_MODEL_SAMPLING)


def configured(entry: ModelConfig) -> ChatModel:
    """Return the model that an entry of `[models]` describes. Raises ModelError (`unavailable`)."""
    match entry.kind:
        case "openai":
            from masdsl.runtime.models.openai import OpenAIModel

            return OpenAIModel(
                entry.name,
                url=entry.url or "",
                model=entry.model or "",
                key_env=entry.key_env,
                price=_price(entry),
                timeout=entry.timeout,
            )
        case "litellm":
            from masdsl.runtime.models.litellm_model import LiteLLMModel

            return LiteLLMModel(
                entry.name,
                model=entry.model or "",
                url=entry.url,
                key_env=entry.key_env,
                price=_price(entry),
                timeout=entry.timeout,
            )
        case "gguf":
            from masdsl.runtime.models.engine import check_installed
            from masdsl.runtime.models.local import DEFAULT_CONTEXT, LocalModel

            check_installed()
            path = entry.path or ""
            if not os.path.isfile(path):
                raise ModelError("unavailable", f"the model `{entry.name}` has no file {path}")
            return LocalModel(entry.name, path, context=entry.context or DEFAULT_CONTEXT, timeout=entry.timeout)
        case "scripted":
            from masdsl.runtime.models.scripted import ScriptError, load_script

            try:
                return load_script(entry.path or "", name=entry.name, price=_price(entry) or Price(0.0, 0.0))
            except ScriptError as error:
                raise ModelError("unavailable", f"the model `{entry.name}`: {error}") from None
    raise ModelError("unavailable", f"the model `{entry.name}` is of the unknown kind `{entry.kind}`")


def _price(entry: ModelConfig) -> Price | None:
    """Return the price of an entry; None unless it has both halves, because half a price bounds nothing."""
    if entry.input_price is None or entry.output_price is None:
        return None
    return Price(entry.input_price, entry.output_price)


def _listed(names: Mapping[str, object] | tuple[str, ...]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:8]) + (", ..." if len(shown) > 8 else "")
