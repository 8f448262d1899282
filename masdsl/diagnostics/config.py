"""MAS5xx: the configuration, its models and its tools."""

from __future__ import annotations

from masdsl.diagnostics.base import Diagnostic, Fix


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
        return Fix(f"write `{self.near}`", ((self.span, self.near),)) if self.near else None


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
    """A model of the configuration lacks a key that its kind needs.

    Why: without it the model cannot be reached, and that should not come out in the middle of a run.

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
    model: str
    kind: str
    key: str
    example: str

    def title(self) -> str:
        which = f"the model `{self.model}`" + (f" of kind `{self.kind}`" if self.kind else "")
        return f"{which} has no `{self.key}`"

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
        return Fix(f"write `{self.near}`", ((self.span, f'"{self.near}"'),)) if self.near else None
