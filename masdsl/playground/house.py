"""What the rest of the house does for the playground: given from outside, so that this room knows no command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from masdsl.config import Config
from masdsl.diagnostics.base import Findings
from masdsl.journal import RunHeader
from masdsl.loaded import LoadedProgram
from masdsl.runtime.program import Models

Stored: TypeAlias = "Callable[[RunHeader, Config, Findings, Models | None], LoadedProgram | None]"


class House(NamedTuple):
    """`config` returns the configuration of the folder with these models behind tiers, besides those of the command.

    `models` returns what a run takes its replies from where that is a script, else None: the models of the
    configuration. `stored` returns the program that a kept run began with, None with findings where it has errors.
    `resume_command` says how a run goes on without the playground. `worker` is the module that looks at programs.
    `choices` is the file that remembers what was chosen for runs; `write` writes files.
    """

    config: Callable[[Mapping[str, str], Findings], Config]
    models: Callable[[], Models | None]
    stored: Stored
    resume_command: Callable[[str], str]
    worker: str
    choices: str
    write: Callable[[str, str], None]
