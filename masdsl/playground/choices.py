"""The runs that began in the playground, and the models that their user chose for them: kept beside the journal.

The journal has what ran. Which model was wished behind which tier for one run alone stands in no configuration.
So it is kept here, for the run to go on with when the playground was started again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from json import dumps, loads
from typing import Final

MOST_RUNS: Final = 1_000
"""Runs that are remembered, the newest ones."""


class Choices:
    """What is remembered in the file at `path`. `write` puts a text in the place of a file's, whole or not at all."""

    def __init__(self, path: str, write: Callable[[str, str], None]) -> None:
        self._path = path
        self._write = write
        self._models: dict[str, dict[str, str]] = {}
        self._read()

    def __contains__(self, run: str) -> bool:
        """Whether a run began in a playground."""
        return run in self._models

    def models_of(self, run: str) -> Mapping[str, str]:
        """Return the models that were chosen for a run, by their tiers."""
        return self._models.get(run, {})

    def begins(self, run: str, models: Mapping[str, str]) -> None:
        """Remember a run. Where the file cannot be written it is remembered for as long as this process lives."""
        self._read()  # another playground may have begun runs meanwhile
        self._models[run] = dict(models)
        newest = list(self._models.items())[-MOST_RUNS:]
        self._models = dict(newest)
        with contextlib.suppress(OSError):
            self._write(self._path, dumps(self._models, indent=1) + "\n")

    def _read(self) -> None:
        """Take in what the file says; one that cannot be read says nothing."""
        try:
            with open(self._path, encoding="utf-8") as file:
                data = loads(file.read())
        except (OSError, ValueError, RecursionError):
            return
        for run, models in data.items() if isinstance(data, dict) else ():
            if isinstance(models, dict) and all(isinstance(one, str) for one in models.values()):
                self._models.setdefault(run, models)
