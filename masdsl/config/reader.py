"""Reads a configuration file: TOML text to `Config`, with every mistake a finding at its line.

Kept apart from `config.py` because most programs are checked without a configuration, and then none of this is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from tomllib import TOMLDecodeError, loads
from typing import TYPE_CHECKING, Any, NamedTuple

from masdsl.config import (
    BUILT_IN_MODELS,
    CONVENTIONAL_TIERS,
    DEFAULT,
    DEFAULT_TIER,
    PROJECT_NAME,
    Allowance,
    Ceiling,
    Config,
    Grant,
    ModelConfig,
    Server,
)
from masdsl.config.places import Places
from masdsl.config.rules import FUNCTION, KEY_ENV, SECONDS, TABLE, TEXT, TRUTH, URL, Rule, is_count, is_number
from masdsl.diagnostics.base import Diagnostic, Findings
from masdsl.diagnostics.config import ConfigSyntax, MissingConfigKey, UnknownConfigKey, UnknownModel, WrongConfigValue
from masdsl.diagnostics.suggest import nearest
from masdsl.money import MOST_PER_MILLION
from masdsl.node import Span
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.config.trust import Trust

MAX_TEXT_SIZE = 32_000
GRAMMARS = ("llguidance", "gbnf")
LINT_LEVELS = ("off", "warning", "error")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


_PRICE = Rule(
    lambda v: is_number(v) and 0 <= v <= MOST_PER_MILLION,
    f"a number of USD per million tokens, from 0 to {MOST_PER_MILLION}",
    "write a number as in 0.15; 0 is a model of your own",
)
_TEXT_SIZE = Rule(
    lambda v: is_count(v) and 1 <= v <= MAX_TEXT_SIZE,
    f"a whole number of tokens from 1 to {MAX_TEXT_SIZE}",
    "write a number, as in 800",
)
_LEVEL = Rule(lambda v: v in LINT_LEVELS, "a level", 'write "off", "warning" or "error"')

_PER_MINUTE = Rule(lambda v: is_number(v) and v > 0, "a number a minute", "write a number above 0, as in 500")

_MODEL_KEYS: dict[str, Rule] = {
    "model": TEXT,
    "url": URL,
    "key_env": KEY_ENV,
    "path": TEXT,
    "adapter": TEXT,
    "input_price": _PRICE,
    "output_price": _PRICE,
    "timeout": SECONDS,
    "context": Rule(
        lambda v: is_count(v) and v >= 256, "a whole number of tokens from 256", "write a number, as in 8192"
    ),
    "tokenizer": TEXT,
    "tool_calls": TRUTH,
    "about": TEXT,
    "at_once": Rule(lambda v: is_count(v) and v >= 1, "a whole number of calls from 1", "write a number, as in 8"),
    "calls_per_minute": _PER_MINUTE,
    "tokens_per_minute": _PER_MINUTE,
    "factory": FUNCTION._replace(advice='name the module and the function, as in "models.mine:make"'),
    "options": Rule(
        lambda v: isinstance(v, dict) and not {"name", "path"} & v.keys(),
        "a table of what the factory is called with, without `name` and `path`",
        "write it as in { skill = 0.8 }; a path stands in `path`, beside `factory`",
    ),
    "grammar": Rule(lambda v: v in GRAMMARS, "the name of a notation", 'write "llguidance" or "gbnf"'),
}
_PRICES = ("input_price", "output_price")
_EXAMPLES = {
    "url": '"http://127.0.0.1:8000/v1"',
    "model": '"name"',
    "path": '"file"',
    "factory": '"package.module:function"',
    "kind": '"openai"',
    "input_price": "0.15",
    "output_price": "0.60",
}
_MOST = 10**12
_COUNT = Rule(
    lambda v: is_count(v) and 1 <= v <= _MOST,
    f"a whole number from 1 to {_MOST}",
    "write a number, as in 100, or leave the line out for no limit",
)
_CEILING: dict[str, Rule] = {
    "calls": _COUNT,
    "tokens": _COUNT,
    "usd": Rule(
        lambda v: is_number(v) and v >= 0,
        "a number of USD from 0",
        "write a number, as in 0.50; 0 allows only models that cost nothing",
    ),
    "seconds": Rule(
        lambda v: is_number(v) and v > 0,
        "a number of seconds above 0",
        "write a number, as in 60, or leave the line out for no limit",
    ),
}


class _Kind(NamedTuple):
    """Which keys a kind of model needs, and which it may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


_LIMITS = ("at_once", "calls_per_minute", "tokens_per_minute")
_SERVED = (*_PRICES, "timeout", "context", "tokenizer", "tool_calls", "about", *_LIMITS)
_KINDS = {
    "openai": _Kind(("url", "model"), ("key_env", *_SERVED, "grammar")),
    "litellm": _Kind(("model",), ("url", "key_env", *_SERVED)),
    "gguf": _Kind(("path",), ("adapter", "timeout", "context", "tokenizer", "about")),
    "transformers": _Kind(("path",), ("timeout", "context", "tokenizer", "about")),
    "scripted": _Kind(("path",), (*_PRICES, "about", *_LIMITS)),
    "python": _Kind(
        ("factory",), ("options", "path", *_PRICES, "context", "tokenizer", "tool_calls", "about", *_LIMITS)
    ),
}


def parse_config(source: Source, path: str, findings: Findings) -> Config:
    """Return the configuration that a file's text says.

    `path` is the file's absolute path: its name tells which of the two forms it has, its folder is where relative paths
    start from.
    """
    try:
        table: Any = loads(source.text)
    except (TOMLDecodeError, RecursionError) as error:
        findings.add(source, _syntax_error(source, error))
        return DEFAULT._replace(path=path)
    prefix: tuple[str, ...] = ()
    if os.path.basename(path) == PROJECT_NAME:
        prefix = ("tool", "masdsl")
        for part in prefix:
            table = table.get(part) if isinstance(table, dict) else None
    reader = Reader(source, path, findings, Places(source.text), prefix)
    return reader.config(table if isinstance(table, dict) else {})


def _syntax_error(source: Source, error: Exception) -> ConfigSyntax:
    """Turn `message (at line 3, column 5)` or `message (at end of document)` into a finding at that place."""
    if isinstance(error, RecursionError):
        return ConfigSyntax("nested too deeply", span=Span(0, 0))
    message, _, place = str(error).rpartition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    if found is None:
        end = len(source.text)
        return ConfigSyntax(_lower_first(message), span=Span(end, end))
    starts = [0, *(match.end() for match in re.finditer("\n", source.text))]
    at = min(starts[min(int(found[1]), len(starts)) - 1] + int(found[2]) - 1, len(source.text))
    return ConfigSyntax(_lower_first(message), span=Span(at, at + 1))


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]


class Reader(NamedTuple):
    """Reads one file: its text, its absolute path, where mistakes go, where its keys stand, and the table it is in."""

    source: Source
    path: str
    findings: Findings
    places: Places
    prefix: tuple[str, ...]

    def config(self, table: dict[str, Any]) -> Config:
        """Return the configuration of the whole table."""
        known = ("tiers", "models", "sizes", "tools", "mcp", "lints", "budget", "allow", "trust", "library")
        for key in table:
            if key not in known:
                self.unknown((key,), "the configuration", known)
        models = self.models(self.table(table, "models"))
        servers = self.servers(self.table(table, "mcp"))
        tiers = self.tiers(self.table(table, "tiers"), models)
        tools, mistaken = self.tools(self.table(table, "tools"), servers, tiers)
        return Config(
            path=self.path,
            tiers=tiers,
            models=models,
            text_size=self.text_size(self.table(table, "sizes")),
            tools=tools,
            mistaken=mistaken,
            servers=servers,
            lints=self.lints(self.table(table, "lints")),
            allow=self.allow(self.table(table, "allow")),
            ceiling=self.ceiling(self.table(table, "budget")),
            trust=self.trust(self.table(table, "trust"), (*tools, *mistaken), models) if "trust" in table else None,
            library=self.library(self.table(table, "library")),
        )

    def tiers(self, table: dict[str, Any], models: dict[str, ModelConfig]) -> dict[str, str]:
        """Return all tiers; the conventional ones that the file leaves out follow its `default`."""
        tiers: dict[str, str] = {}
        for tier, model in table.items():
            where = ("tiers", tier)
            if not _NAME.fullmatch(tier):
                self.wrong(
                    where, "a name of small letters, digits and _", "programs write it as in `on fast`", at_key=True
                )
            elif self.check(where, model, TEXT):
                if "/" not in model and model not in models and model not in BUILT_IN_MODELS:
                    near = nearest(model, (*models, *BUILT_IN_MODELS))
                    self.add(UnknownModel(model, near, span=self.places.value(self.prefix + where)))
                tiers[tier] = model
        default = tiers.get(DEFAULT_TIER, DEFAULT.tiers[DEFAULT_TIER])
        return {**dict.fromkeys(CONVENTIONAL_TIERS, default), **tiers}

    def models(self, table: dict[str, Any]) -> dict[str, ModelConfig]:
        """Return the models that are described well enough to be used."""
        models = {}
        for name, entry in table.items():
            if self.check(("models", name), entry, TABLE):
                model = self.model(name, entry)
                if model is not None:
                    models[name] = model
        return models

    def model(self, name: str, entry: dict[str, Any]) -> ModelConfig | None:
        """Return one model, or None when it has no usable kind; other mistakes are findings."""
        where, owner = ("models", name), f"the model `{name}`"
        kind = entry.get("kind")
        if kind is None:
            self.missing(where, owner, "", "kind", _EXAMPLES["kind"])
            return None
        if kind not in _KINDS:
            kinds = ", ".join(f'"{kind}"' for kind in _KINDS)
            near = nearest(kind, _KINDS) if isinstance(kind, str) else None
            self.wrong(
                (*where, "kind"), "a kind of model", f'did you mean "{near}"?' if near else f"write one of {kinds}"
            )
            return None
        required, optional = _KINDS[kind]
        values: dict[str, Any] = {}
        for key, value in entry.items():
            if key == "kind":
                continue
            if key not in (*required, *optional):
                self.unknown((*where, key), f"a model of kind `{kind}`", (*required, *optional))
            elif self.check((*where, key), value, _MODEL_KEYS[key]):
                values[key] = value
        for key in required:
            if key not in entry:
                self.missing(where, owner, kind, key, _EXAMPLES[key])
        for key, other in (_PRICES, _PRICES[::-1]):
            if key in values and other not in entry:
                self.missing((*where, key), owner, kind, other, _EXAMPLES[other])  # half a price bounds nothing
        for key in ("path", "tokenizer", "adapter"):
            if key in values and not (kind == "gguf" and values[key] in BUILT_IN_MODELS):
                values[key] = self.full_path(values[key])
        if kind == "python":
            values["folder"] = os.path.dirname(self.path)
        return ModelConfig(name, kind, **values)

    def full_path(self, path: str) -> str:
        """Return a path of the file as an absolute one: relative paths start from the file's folder."""
        return os.path.join(os.path.dirname(self.path), os.path.expanduser(path))

    def text_size(self, table: dict[str, Any]) -> int:
        """Return the size of a text without one."""
        for key in table:
            if key != "text":
                self.unknown(("sizes", key), "[sizes]", ("text",))
        size = table.get("text", DEFAULT.text_size)
        return int(size) if self.check(("sizes", "text"), size, _TEXT_SIZE) else DEFAULT.text_size

    def ceiling(self, table: dict[str, Any]) -> Ceiling:
        """Return the budget that no program can raise."""
        limits: dict[str, Any] = {}
        for key, value in table.items():
            if key not in _CEILING:
                self.unknown(("budget", key), "[budget]", tuple(_CEILING))
            elif self.check(("budget", key), value, _CEILING[key]):
                limits[key] = value
        if limits.get("tokens", _MOST) < limits.get("calls", 0):
            advice = "raise it or lower `calls`: each call takes at least one token, so so many calls are never made"
            self.wrong(("budget", "tokens"), f"at least `calls`, {limits['calls']}", advice)
        return Ceiling(**limits)

    def tools(
        self, table: dict[str, Any], servers: Mapping[str, Server], tiers: Mapping[str, str]
    ) -> tuple[dict[str, Grant], frozenset[str]]:
        """Return the granted tools, and the names of those whose entries are mistaken."""
        if not table:
            return {}, frozenset()
        from masdsl.config.tools import read_grants

        return read_grants(self, table, servers, tiers)

    def servers(self, table: dict[str, Any]) -> dict[str, Server]:
        """Return the MCP servers."""
        if not table:
            return {}
        from masdsl.config.tools import read_servers

        return read_servers(self, table)

    def lints(self, table: dict[str, Any]) -> dict[str, str]:
        """Return the level of each lint that the file names."""
        if not table:
            return {}
        from masdsl.diagnostics.catalogue import lint_names

        known = lint_names()
        levels: dict[str, str] = {}
        for name, level in table.items():
            if name not in known:
                self.unknown(("lints", name), "[lints]", known)
            elif self.check(("lints", name), level, _LEVEL):
                levels[name] = level
        return levels

    def library(self, table: dict[str, Any]) -> str | None:
        """Return the folder of the user's own modules; None where the file names none."""
        for key in table:
            if key != "path":
                self.unknown(("library", key), "[library]", ("path",))
        path = table.get("path")
        return self.full_path(path) if path is not None and self.check(("library", "path"), path, TEXT) else None

    def allow(self, table: dict[str, Any]) -> tuple[Allowance, ...]:
        """Return the warnings that the file allows by pattern."""
        if not table:
            return ()
        from masdsl.config.allow import read_allowances

        return tuple(read_allowances(table, lambda key, *fault: self.wrong(("allow", key), *fault)))

    def trust(self, table: dict[str, Any], tools: Collection[str], models: Collection[str]) -> Trust:
        """Return the policy for untrusted text and secrets."""
        from masdsl.config.trust import Teller, read_trust

        tell = Teller(
            lambda where, *fault: self.wrong(("trust", *where), *fault),
            lambda where, *fault: self.unknown(("trust", *where), *fault),
        )
        return read_trust(table, tools, (*models, *BUILT_IN_MODELS), tell)

    def table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        """Return a table inside a table; an empty one where it is left out or is none."""
        value = table.get(key, {})
        return value if self.check((key,), value, TABLE) else {}

    def check(self, where: tuple[str, ...], value: Any, rule: Rule) -> bool:
        """Return whether a value obeys its rule, and report where it does not."""
        if rule.holds(value):
            return True
        self.wrong(where, rule.expected, rule.advice)
        return False

    def wrong(self, where: tuple[str, ...], expected: str, advice: str, *, at_key: bool = False) -> None:
        """Report a value that is not what it must be."""
        place = self.places.key if at_key else self.places.value
        self.add(WrongConfigValue(_shown(where), expected, advice, span=place(self.prefix + where)))

    def unknown(self, where: tuple[str, ...], owner: str, known: tuple[str, ...]) -> None:
        """Report a key that means nothing in its owner, a table or an entry."""
        near = nearest(where[-1], known)
        self.add(UnknownConfigKey(where[-1], owner, known, near, span=self.places.key(self.prefix + where)))

    def missing(self, where: tuple[str, ...], owner: str, kind: str, key: str, example: str) -> None:
        """Report that an owner lacks a key; `example` is a value that it could have."""
        self.add(MissingConfigKey(owner, kind, key, example, span=self.places.key(self.prefix + where)))

    def add(self, diagnostic: Diagnostic) -> None:
        """Report a finding about the file."""
        self.findings.add(self.source, diagnostic)


def _shown(where: tuple[str, ...]) -> str:
    return f"[{'.'.join(where[:-1])}] {where[-1]}" if len(where) > 1 else where[0]
