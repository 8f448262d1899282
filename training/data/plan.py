"""What a construction is to do, as a file in TOML says it (`training/configs/data.toml` names every key)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import HUB, DataFault

_KEYS: Final[Mapping[str, Mapping[str, type]]] = {
    "queries": {"paths": list, "limit": int, "columns": dict},
    "systems": {"paths": list, "most_calls": int, "tools": bool},
    "evaluation": {
        **dict.fromkeys(("grader", "model", "engine", "cache", "budget"), str),
        **dict.fromkeys(("repetitions", "seed", "workers", "at_once"), int),
    },
    "groups": {"by": str, "fields": list, "count": int, "seed": int},
    "refinement": {"teacher": str, "tries": int, "unit": str},
    "export": {"form": str, "keep": str, "tokenizer": str, "system_prompt": str},
}
_WORDS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("groups", "by"): ("metadata", "meaning", "words"),
    ("refinement", "unit"): ("query", "group"),
    ("export", "form"): ("compact", "pretty"),
    ("export", "keep"): ("solved", "all"),
}
_NEEDED: Final = (("queries", "paths"), ("systems", "paths"), ("evaluation", "grader"))


class Plan(NamedTuple):
    """The tables of a configuration, with paths made absolute; a key that is not there has the default of its user."""

    queries: Mapping[str, Any]
    systems: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    groups: Mapping[str, Any]
    refinement: Mapping[str, Any]
    export: Mapping[str, Any]


def read_plan(path: str) -> Plan:
    """Return the plan in a file; paths are relative to it. Raises DataFault, which names the key that is wrong."""
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise DataFault(f"the configuration {path} cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFault(f"{path} is no TOML: {error}") from None
    for table, values in data.items():
        if table not in _KEYS or not isinstance(values, dict):
            raise DataFault(f"{path}: there is no table [{table}]; there are {', '.join(_KEYS)}")
        for key, value in values.items():
            _check(path, table, key, value)
    for table, key in _NEEDED:
        if not data.get(table, {}).get(key):
            raise DataFault(f"{path}: [{table}] needs `{key}`")
    folder = os.path.dirname(os.path.abspath(path))

    def absolute(place: str) -> str:
        return place if place.startswith(HUB) else os.path.normpath(os.path.join(folder, place))

    for table in ("queries", "systems"):
        data[table]["paths"] = [absolute(one) for one in data[table]["paths"]]
    _each(data, (("evaluation", "cache"), ("export", "tokenizer")), absolute)
    return Plan(**{table: data.get(table, {}) for table in _KEYS})


def _each(data: dict[str, Any], keys: tuple[tuple[str, str], ...], change: Callable[[str], str]) -> None:
    for table, key in keys:
        if data.get(table, {}).get(key):
            data[table][key] = change(data[table][key])


def _check(path: str, table: str, key: str, value: object) -> None:
    wanted = _KEYS[table].get(key)
    if wanted is None:
        raise DataFault(f"{path}: [{table}] has no key `{key}`; it has {', '.join(_KEYS[table])}")
    if type(value) is not wanted:
        raise DataFault(f"{path}: [{table}] {key} is {value!r}, which is no {wanted.__name__}")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise DataFault(f"{path}: [{table}] {key} is no list of texts")
    if type(value) is int and value < (0 if key in ("seed", "workers", "tries") else 1):
        raise DataFault(f"{path}: [{table}] {key} is {value}: that is too few")
    words = _WORDS.get((table, key))
    if words and value not in words:
        raise DataFault(f"{path}: [{table}] {key} is {value!r}: it is one of {', '.join(words)}")
