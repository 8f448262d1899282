"""MAS5xx: the configuration, its models and its tools."""

from __future__ import annotations

import re

from masdsl.diagnostics.base import Diagnostic, Fix
from masdsl.diagnostics.suggest import near_fix

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


class ConfigSyntax(Diagnostic):
    """The configuration is not TOML.

    Why: a configuration that is half understood would run programs on the wrong models.

    Bad:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [tiers]
        fast = smollm2

    Good:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [tiers]
        fast = "smollm2"
    """

    code = "MAS501"
    reason: str

    def title(self) -> str:
        return "the configuration is not TOML"

    def label(self) -> str:
        return self.reason

    def help(self) -> str:
        return "texts stand in double quotes, lists in [ ], tables begin with a line [name]"


class UnknownConfigKey(Diagnostic):
    """The configuration has a key that means nothing.

    Why: a mistyped key that is silently ignored leaves its default in force, and nobody notices.

    Bad:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [sizes]
        txt = 400

    Good:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [sizes]
        text = 400
    """

    code = "MAS502"
    key: str
    where: str
    known: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"{self.where} has no key `{self.key}`"

    def label(self) -> str:
        return "unknown key"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        return f"remove it, or use one of {_listed(self.known)}" if self.known else "remove it"

    def fix(self) -> Fix | None:
        return near_fix(self.key, self.near, self.span)


class WrongConfigValue(Diagnostic):
    """A key of the configuration has a value of the wrong kind.

    Why: a value that is guessed at would change what programs cost.

    Bad:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [sizes]
        text = "long"

    Good:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [sizes]
        text = 400
    """

    code = "MAS503"
    key: str
    expected: str
    advice: str

    def title(self) -> str:
        return f"`{self.key}` must be {self.expected}"

    def label(self) -> str:
        return f"not {self.expected.partition(',')[0]}"

    def help(self) -> str:
        return self.advice


class MissingConfigKey(Diagnostic):
    """A model, tool or server of the configuration lacks a key that it needs.

    Why: without it the thing cannot be used, and that should not come out in the middle of a run.

    Bad:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [models.mine]
        kind = "openai"
        model = "llama"

    Good:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [models.mine]
        kind = "openai"
        model = "llama"
        url = "http://127.0.0.1:8000/v1"
    """

    code = "MAS504"
    owner: str
    kind: str
    key: str
    example: str

    def title(self) -> str:
        return f"{self.owner}{f' of kind `{self.kind}`' if self.kind else ''} has no `{self.key}`"

    def label(self) -> str:
        return f"`{self.key}` is missing"

    def help(self) -> str:
        return f"add `{self.key} = {self.example}`"


class UnknownModel(Diagnostic):
    """A tier of the configuration names a model that is not defined.

    Why: a tier stands for an entry of `[models]`, for the built-in `smollm2`, or for a model of a provider, which is
    written with the provider's name, as litellm does: `openai/gpt-4o-mini`.

    Bad:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [tiers]
        fast = "smolm"

    Good:
        mas 1
        flow main(topic) -> text { return topic }

    File mas.toml:
        [tiers]
        fast = "smollm2"
        smart = "openai/gpt-4o-mini"
    """

    code = "MAS505"
    name: str
    near: str | None

    def title(self) -> str:
        return f"there is no model `{self.name}`"

    def label(self) -> str:
        return "not defined"

    def help(self) -> str:
        if self.near:
            return f"did you mean `{self.near}`?"
        return f"define it under [models.{self.name}], or name the provider as well: `openai/{self.name}`"

    def fix(self) -> Fix | None:
        return near_fix(self.name, self.near, self.span, written=f'"{self.near}"')


class UnpricedModel(Diagnostic):
    """An agent is on a model that has no price.

    Why: what it costs would be missing in every bound, and a budget in USD could not be kept. Prices come from
    `[models]` in the configuration, else from `mas.lock`, else from the table that comes with litellm. At an address of
    your own only you know the price; a model on this machine (`smollm2`, kind `gguf`) costs nothing.

    Bad:
        mas 1
        agent writer(topic) -> text on fast "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.toml:
        [tiers]
        fast = "mine"
        [models.mine]
        kind = "openai"
        url = "http://127.0.0.1:8000/v1"
        model = "llama"

    Good:
        mas 1
        agent writer(topic) -> text on fast "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.toml:
        [tiers]
        fast = "mine"
        [models.mine]
        kind = "openai"
        url = "http://127.0.0.1:8000/v1"
        model = "llama"
        input_price = 0
        output_price = 0
    """

    code = "MAS506"
    model: str
    tier: str | None
    config: str
    configured: bool
    reason: str

    def title(self) -> str:
        tier = f" of the tier `{self.tier}`" if self.tier else ""
        return f"the model `{self.model}`{tier} has no price (configuration: {self.config})"

    def label(self) -> str:
        return self.reason

    def help(self) -> str:
        table = self.model if _BARE_KEY.fullmatch(self.model) else f'"{self.model}"'
        what = "" if self.configured else f'`kind = "litellm"`, `model = "{self.model}"`, '
        in_project = self.config.endswith("pyproject.toml")
        where = f"[tool.masdsl.models.{table}] in pyproject.toml" if in_project else f"[models.{table}] in mas.toml"
        return (
            f"add {what}`input_price = ..` and `output_price = ..` under {where}"
            " (USD per million tokens; 0 for a model of your own)"
        )


class UnlockedModel(Diagnostic):
    """An agent is on a model whose price `mas.lock` does not pin.

    Why: with a lock, bounds and budgets count with pinned prices alone, so that they are the same on every machine.

    Bad:
        mas 1
        agent writer(topic) -> text on "openai/gpt-4o-mini" "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.lock:
        {
          "format": 1,
          "from": {
            "package": "litellm",
            "sha256": "66970be01c88f946",
            "version": "1.106.2"
          },
          "hash": "0bff64e4375fc196b27fca3472beaea2bcfc3530d24a064edcee2410bce0e52b",
          "models": {},
          "unit": "USD per million tokens"
        }

    Good:
        mas 1
        agent writer(topic) -> text on "openai/gpt-4o-mini" "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.lock:
        {
          "format": 1,
          "from": {
            "package": "litellm",
            "sha256": "66970be01c88f946",
            "version": "1.106.2"
          },
          "hash": "32479215d00a6acf1f860c133b32bbf86e91ff651d045e9c556d5207f0210a08",
          "models": {
            "openai/gpt-4o-mini": {
              "input_price": "0.15",
              "output_price": "0.6"
            }
          },
          "unit": "USD per million tokens"
        }
    """

    code = "MAS507"
    model: str
    lock: str

    def title(self) -> str:
        return f"{self.lock} pins no price for the model `{self.model}`"

    def label(self) -> str:
        return "not in the lock"

    def help(self) -> str:
        return f"run `mas lock`, which writes {self.lock} again, and look at what changed"


class DamagedLock(Diagnostic):
    """The lock of prices cannot be used.

    Why: a price that was edited by hand, or lost in a merge, would let a run cost more than its bound. The lock is
    written by `mas lock` alone; a price of your own stands in the configuration, under `[models]`.

    Bad:
        mas 1
        agent writer(topic) -> text on "openai/gpt-4o-mini" "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.lock:
        {"models": {"openai/gpt-4o-mini": {"input_price": "0", "output_price": "0"}}}

    Good:
        mas 1
        agent writer(topic) -> text on fast "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.toml:
        [tiers]
        fast = "mini"
        [models.mini]
        kind = "litellm"
        model = "openai/gpt-4o-mini"
        input_price = 0.15
        output_price = 0.60
    """

    code = "MAS508"
    reason: str

    def title(self) -> str:
        return f"the lock of prices cannot be used: {self.reason}"

    def help(self) -> str:
        return "run `mas lock`, which writes it again; prices of your own stand in mas.toml, under [models]"


class UnusableTokenizer(Diagnostic):
    """The tokenizer that the configuration names for a model cannot be used.

    Why: a bound that counts with the model's own tokenizer is lower than one by the rule. Without the file it would
    rise unseen, and differ from machine to machine.

    Bad:
        mas 1
        budget tokens 5000
        agent writer(topic) -> text on fast "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.toml:
        [tiers]
        fast = "mine"
        [models.mine]
        kind = "openai"
        url = "http://127.0.0.1:8000/v1"
        model = "qwen"
        input_price = 0
        output_price = 0
        tokenizer = "tokenizer.json"

    Good:
        mas 1
        budget tokens 5000
        agent writer(topic) -> text on fast "Write about {{ topic }}."
        flow main(topic) -> text { return writer(topic) }

    File mas.toml:
        [tiers]
        fast = "mine"
        [models.mine]
        kind = "openai"
        url = "http://127.0.0.1:8000/v1"
        model = "qwen"
        input_price = 0
        output_price = 0
    """

    code = "MAS509"
    model: str
    reason: str

    def title(self) -> str:
        return f"the tokenizer of the model `{self.model}` cannot be used: {self.reason}"

    def help(self) -> str:
        return "put the model's tokenizer.json there, or take `tokenizer` out of [models]: then the rule counts"
