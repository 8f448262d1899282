"""The configuration of a host: `mas.toml`, or `[tool.masdsl]` in `pyproject.toml`.

It says what the names in programs stand for: which model is behind a tier, which Python function behind a tool, how
long a `text` without a size may be, how serious a lint is. Nothing else configures masdsl: no environment variable
changes it.

The nearest file upwards from the program's folder counts, alone; settings of several files are never mixed. Without one
the defaults hold, under which every tier is the embedded local model. A file is checked strictly: an unknown key or a
value of the wrong kind is an error at its line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from masdsl.config.trust import Trust
    from masdsl.diagnostics.base import Findings

CONFIG_NAME = "mas.toml"
PROJECT_NAME = "pyproject.toml"
EMBEDDED_MODEL = "smollm2"
BUILT_IN_MODELS = (EMBEDDED_MODEL,)
BUILT_IN = "built-in"
"""The kind of a built-in model, which no entry of `[models]` has."""
LOCAL_KINDS = (BUILT_IN, "gguf", "transformers")
"""Kinds of models that run on this machine and cost nothing."""
DEFAULT_TIER = "default"
CONVENTIONAL_TIERS = ("fast", "smart", DEFAULT_TIER)


class ModelConfig(NamedTuple):
    """An entry of `[models]`.

    `kind` is `openai` (any URL that speaks OpenAI's protocol; needs `url` and `model`), `litellm` (needs `model`),
    `gguf` (a local file; needs `path`), `transformers` (a folder of Hugging Face's; needs `path`), `scripted` (a file
    of replies; needs `path`) or `python` (an object of the host's own; `factory` is `package.module:function`, which
    makes it from `options` and `path`; `folder` is the configuration's, where modules are looked for first). `key_env`
    names the environment variable that holds the key. Prices are USD per million tokens, both or none of them.
    `timeout` is in seconds, `context` in tokens. `path` is absolute, as are `tokenizer`, the model's own
    `tokenizer.json`, and `adapter`, the folder of a LoRA adapter for the model of a `gguf` file (whose `path` may be
    the name of built-in weights). `tool_calls` says whether the model is told of tools by the provider's protocol
    (`has_tool_calls`); None where nothing is said.
    `grammar` is the notation of the grammars that a server keeps to, `llguidance` or `gbnf`; None for none.
    `about` is a line on what the model is good at, for whoever assigns models to roles. `at_once`, `calls_per_minute`
    and `tokens_per_minute` are what the provider allows: calls wait for that (`masdsl.runtime.models.limits`).
    """

    name: str
    kind: str
    model: str | None = None
    url: str | None = None
    key_env: str | None = None
    path: str | None = None
    input_price: float | None = None
    output_price: float | None = None
    timeout: float | None = None
    context: int | None = None
    tokenizer: str | None = None
    tool_calls: bool | None = None
    about: str | None = None
    grammar: str | None = None
    adapter: str | None = None
    at_once: int | None = None
    calls_per_minute: float | None = None
    tokens_per_minute: float | None = None
    factory: str = ""
    options: Mapping[str, Any] = {}
    folder: str | None = None

    @property
    def has_tool_calls(self) -> bool:
        """Whether the provider's own tool calls are used; otherwise tools are described, and used, in plain text.

        Where the configuration does not say, models behind OpenAI's protocol and litellm's do.
        """
        return self.kind in ("openai", "litellm") if self.tool_calls is None else self.tool_calls


PYTHON, HOST, MCP, DESIGN = "python", "host", "mcp", "design"
"""Kinds of granted tools: a Python function, one that the Python host passes itself, one of an MCP server."""


class Grant(NamedTuple):
    """An entry of `[tools]`: what a name in a program's `from "..."` stands for.

    `kind` is `python` (`function` is `package.module:name`), `host` (whoever runs the program in Python passes it),
    `mcp` (the tool `tool` of the entry `server` of `[mcp]`) or a built-in tool (`masdsl.tools`): `sandbox`,
    `calculator`, `search` and `read` (`path`, absolute, is a folder or a file of JSON lines), `http` (`allow` are the
    hosts and addresses that may be read, `private` lets their names stand for addresses of a private network, `bytes`
    is how much of a page is read), `design` (a system that a model designs while a program runs; in what it designs,
    further ones may be designed `depth` - 1 levels deep, and `tier` is the model's). `effect` is what the host says:
    true marks a tool that changes the world, false takes back what an MCP server says of itself; None leaves it to the
    program.
    """

    kind: str
    function: str = ""
    server: str = ""
    tool: str = ""
    path: str = ""
    allow: tuple[str, ...] = ()
    private: bool = False
    bytes: int | None = None
    depth: int = 1
    tier: str = ""
    effect: bool | None = None


class Server(NamedTuple):
    """An entry of `[mcp]`: a server of tools.

    It has either a `command` (a program and its arguments, started in the configuration's folder and spoken to over its
    standard input and output; `env` are the names of environment variables that it gets besides the harmless ones) or a
    `url` (streamable HTTP; `key_env` names the environment variable whose value is sent as a bearer token). `timeout`
    is how many seconds it has to be ready, `bytes` the largest message that is read.
    """

    name: str
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    folder: str = ""
    url: str | None = None
    key_env: str | None = None
    timeout: float | None = None
    bytes: int | None = None


class Ceiling(NamedTuple):
    """`[budget]`: what no run may go beyond, whatever budget its program has; None where there is no limit.

    `usd` and `seconds` may be fractions; `usd` may be 0: then only models that cost nothing run.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None


NO_CEILING = Ceiling()


class Allowance(NamedTuple):
    """A warning that `[allow]` lets pass in the programs that a pattern matches, and the reason."""

    pattern: str
    code: str
    reason: str


class Config(NamedTuple):
    """What a configuration says; `DEFAULT` without one.

    `path` is the absolute path of the file it was read from, or None. `tiers` maps a tier to a model: an entry of
    `models`, a built-in model, or a litellm name such as `openai/gpt-4o-mini`. It always has `default`, `fast` and
    `smart`; those that a file does not name are its `default`, or else the embedded model. `text_size` is the size in
    tokens of a `text` without one. `tools` maps what a program's `from "..."` says to what is granted under that name,
    `mistaken` are the names whose entries have mistakes that leave nothing to grant, `servers` are the MCP servers that
    grants name.
    `lints` maps a lint's name to `off`, `warning` or `error`; lints that it does not name keep the severity of their
    diagnostic. `ceiling` is the budget that programs cannot raise. `allow` are the warnings that are allowed for some
    programs. `trust` is the policy for untrusted text and secrets, None where the file has none. `library` is the
    absolute path of the folder of the user's own modules, None for the usual one (`resources.library_directory`).
    """

    path: str | None
    tiers: Mapping[str, str]
    models: Mapping[str, ModelConfig]
    text_size: int
    tools: Mapping[str, Grant]
    lints: Mapping[str, str]
    ceiling: Ceiling = NO_CEILING
    allow: tuple[Allowance, ...] = ()
    servers: Mapping[str, Server] = {}
    trust: Trust | None = None
    library: str | None = None
    mistaken: frozenset[str] = frozenset()

    def allowed(self, name: str) -> dict[str, str]:
        """Return the codes that are allowed in the program of this name (its path), and the reason of each."""
        if not self.allow:
            return {}
        from masdsl.config.allow import matching

        return matching(self, name)

    def folder(self) -> str | None:
        """Return the folder of the configuration's file: Python modules of its tools are looked for there first."""
        return os.path.dirname(self.path) if self.path else None


DEFAULT = Config(
    path=None,
    tiers=dict.fromkeys(CONVENTIONAL_TIERS, EMBEDDED_MODEL),
    models={},
    text_size=800,
    tools={},
    lints={},
)


class NoModel(LookupError):
    """A name stands for no model; the text says which one, and what to do."""


def find_model(config: Config, name: str, *, tier: bool) -> ModelConfig:
    """Return what a tier stands for, or, with `tier` false, the model of that very name.

    An entry of `[models]` comes first, then a built-in model (of the kind `BUILT_IN`); a name with a `/` is litellm's.

    Raises:
        NoModel: it stands for nothing here.
    """
    model = _model_of_tier(config, name) if tier else name
    if model in config.models:
        return config.models[model]
    if model in BUILT_IN_MODELS:
        return ModelConfig(model, BUILT_IN)
    if "/" in model:
        return ModelConfig(model, "litellm", model=model)
    from masdsl.diagnostics.suggest import nearest

    known = _known_models(config)
    near = nearest(model, known)
    if near is not None:
        raise NoModel(f"there is no model `{model}`; did you mean `{near}`?")
    raise NoModel(
        f"there is no model `{model}` (there are {_listed(known)}); describe it in {CONFIG_NAME} under"
        f" [models.{model}], or name its provider as litellm does: openai/{model}"
    )


def _model_of_tier(config: Config, tier: str) -> str:
    if tier in config.tiers:
        return config.tiers[tier]
    if tier in _known_models(config):
        raise NoModel(f'`{tier}` is no tier but a model: quote it, on "{tier}"')
    from masdsl.diagnostics.suggest import nearest

    near = nearest(tier, config.tiers)
    where = f"in {config.path}" if config.path else f"without a {CONFIG_NAME}"
    advice = f"did you mean `{near}`?" if near else f'add it: [tiers] {tier} = "{EMBEDDED_MODEL}"'
    raise NoModel(f"there is no tier `{tier}` {where} (there are {_listed(config.tiers)}); {advice}")


def _known_models(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*config.models, *BUILT_IN_MODELS)))


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:8]) + (", ..." if len(shown) > 8 else "")


def find_config(start_dir: str) -> str | None:
    """Return the absolute path of the file that configures programs in `start_dir`, or None.

    Looks in `start_dir`, then in each folder above it; in a folder, `mas.toml` comes before a `pyproject.toml` that has
    `[tool.masdsl]`. Files that cannot be read are skipped here: only `mas.toml` itself is then reported, by
    `load_config`.
    """
    folder = os.path.abspath(start_dir)
    while True:
        path = os.path.join(folder, CONFIG_NAME)
        if os.path.isfile(path):
            return path
        path = os.path.join(folder, PROJECT_NAME)
        if os.path.isfile(path) and _mentions_masdsl(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _mentions_masdsl(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return any(line.lstrip().startswith(b"[tool.masdsl") for line in file)
    except OSError:
        return False


def load_config(start_dir: str, findings: Findings) -> Config:
    """Return the configuration for programs in `start_dir`.

    Mistakes in the file are added to `findings`, located in it; what is right in it counts nevertheless, the defaults
    fill the rest. OS errors are findings too.
    """
    path = find_config(start_dir)
    if path is None:
        return DEFAULT
    from masdsl.config.reader import parse_config
    from masdsl.reading import read_source

    source = read_source(shown_path(path), findings)
    return DEFAULT if source is None else parse_config(source, path, findings)


def shown_path(path: str) -> str:
    """Return a path as messages show it: relative to the working folder where it lies below that."""
    try:
        relative = os.path.relpath(path)
    except (ValueError, OSError):  # another drive; a working folder that is gone
        return path
    return path if relative.startswith(os.pardir) else relative
