"""Engines: what carries the chunks of a batch to workers and brings their outcomes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from masdsl.batch.base import Engine, EngineFault

ENGINES: Final[Mapping[str, str]] = {
    "local": "masdsl.batch.engines.local:LocalEngine",
    "dbos": "masdsl.batch.engines.dbos:DbosEngine",
    "ray": "masdsl.batch.engines.ray:RayEngine",
}
"""What `--engine` calls an engine -> the class, which is made without arguments; its module is imported when asked."""

DATABASE: Final = "MASDSL_DATABASE"
"""The environment variable with the URL of the database that a worker of `dbos` works for."""


def engine_named(name: str) -> Engine:
    """Return an engine. Raises EngineFault for a name that is none, and for one whose libraries are not installed."""
    place = ENGINES.get(name)
    if place is None:
        from masdsl.diagnostics.suggest import did_you_mean

        raise EngineFault(f"there is no engine `{name}`; {did_you_mean(name, ENGINES, f'there are {_listed()}')}")
    module, _, attribute = place.partition(":")
    try:
        make: Callable[[], Engine] = getattr(import_module(module), attribute)
        return make()
    except ModuleNotFoundError as error:
        raise EngineFault(f"the engine `{name}` needs what is not installed: {error}") from None


def _listed() -> str:
    return ", ".join(sorted(ENGINES))
