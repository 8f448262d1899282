"""The inputs of `mas run`: `name=value`, `name=@file`, `@file`, `-`, as the types of the flow's parameters."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from masdsl.check.program import Flow
from masdsl.check.relations import show
from masdsl.cli.boundary import UsageError
from masdsl.config import Config
from masdsl.diagnostics.suggest import nearest
from masdsl.node import Node
from masdsl.types import Bool, Enum, Float, Int, Optional, Text, Type

STDIN = "-"
LARGEST = 16 * 1024 * 1024
"""Bytes of a file or of standard input that may be an input."""


def read_inputs(words: Sequence[str], flow: Flow) -> dict[str, Any]:
    """Return the inputs that the words of a command line say.

    `name=value` is one input; a value `@file` is that file's text (`@@x` is the text `@x`). `@file` and `-` (standard
    input) hold a JSON object of several. Later words win. Raises UsageError, naming the flow's signature, for whatever
    does not fit.
    """
    types = {param.name: param.type for param in flow.params}
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if word == STDIN or word.startswith("@"):
            several = _json_object(word)
            for key in several:
                _require_known(key, types, flow)
            values.update(several)
        elif equals:
            _require_known(name, types, flow)
            values[name] = _value(name, _text(text), types[name], flow)
        else:
            raise UsageError(f"`{word}` is no input", _advice(flow))
    missing = [param.name for param in flow.params if not param.optional and param.name not in values]
    if missing:
        raise UsageError(f"flow `{flow.name}` needs the input `{missing[0]}`", _advice(flow))
    return values


def describe(flow: Flow) -> str:
    """Return a flow's signature as the language writes it, with the defaults of its parameters."""
    from masdsl.testing_values import plain_constant
    from masdsl.testing_values import show as show_value

    shown = ", ".join(
        f"{param.name}: {show(param.type)}"
        + (f" = {show_value(plain_constant(param.default), param.type)}" if param.optional else "")
        for param in flow.params
    )
    return f"{flow.name}({shown}) -> {show(flow.returns)}"


def _advice(flow: Flow) -> str:
    if not flow.params:
        return f"it is {describe(flow)} and takes none"
    return f"it is {describe(flow)}; write {flow.params[0].name}=..."


def _require_known(name: str, types: Mapping[str, Type], flow: Flow) -> None:
    if name not in types:
        near = nearest(name, types)
        raise UsageError(
            f"flow `{flow.name}` has no input `{name}`",
            f"did you mean `{near}`? " * bool(near) + f"It is {describe(flow)}",
        )


def _text(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    return _read(text[1:]) if text.startswith("@") else text


def _read(path: str) -> str:
    """Return the text of a file; `-` is standard input."""
    if path == STDIN:
        data = sys.stdin.buffer.read(LARGEST + 1)
    else:
        with open(path, "rb") as file:  # an OSError is told as one, with the path
            data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise UsageError(f"`{path}` is larger than {LARGEST // 2**20} MiB", "give a smaller input")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is no UTF-8 text", "save it as UTF-8") from error


def _json_object(word: str) -> dict[str, Any]:
    value = _json(_read(word if word == STDIN else word[1:]), f"`{word}`")
    if not isinstance(value, dict):
        raise UsageError(f"`{word}` holds no JSON object", 'write the inputs as in {"name": "value"}')
    return value


def _json(text: str, what: str) -> Any:
    from json import loads

    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(
            f"{what} is no JSON: {reason}", 'write JSON, as in ["a", "b"] or {"field": "value"}'
        ) from error


def _value(name: str, text: str, kind: Type, flow: Flow) -> Any:
    """Return a value of the command line as data of a type; what only the runtime can judge (sizes) is left to it."""
    match kind:
        case Text():
            return text
        case Optional():
            return None if text.strip() == "none" else _value(name, text, kind.inner, flow)
        case Enum():
            word = text.strip()
            if word in kind.words:
                return word
            near = nearest(word, kind.words)
            listed = ", ".join(kind.words)
            raise UsageError(
                f"the input `{name}` of flow `{flow.name}` must be one of {listed}, not `{text}`",
                f"did you mean `{near}`?" if near else "",
            )
        case Bool() if text.strip() in ("true", "false"):
            return text.strip() == "true"
        case Bool():
            pass
        case Int() | Float():
            try:
                return int(text) if isinstance(kind, Int) else float(text)
            except ValueError:
                pass
        case _:
            return _json(text, f"the input `{name}`, which is `{show(kind)}`,")
    raise UsageError(
        f"the input `{name}` of flow `{flow.name}` must be `{show(kind)}`, not `{text}`", f"it is {describe(flow)}"
    )


# ---------------------------------------------------------------- models behind tiers


class TierChange(Node):
    """Other models behind some tiers, as in `--model fast=openai/gpt-4o-mini`; changes a configuration when called."""

    tiers: tuple[tuple[str, str], ...]

    def __call__(self, config: Config) -> Config:
        """Return the configuration with these models behind these tiers."""
        return config._replace(tiers={**config.tiers, **dict(self.tiers)})


def tier_change(words: Sequence[str]) -> TierChange:
    """Return the change that `tier=model` words ask for. Raises UsageError."""
    tiers: dict[str, str] = {}
    for word in words:
        tier, equals, model = word.partition("=")
        if not equals or not tier or not model:
            raise UsageError(
                f"`--model {word}` names no tier and model", 'write it as in --model fast="openai/gpt-4o-mini"'
            )
        tiers[tier] = model
    return TierChange(tuple(tiers.items()))
