"""What a measurement is to do (`training/configs/rates.toml` names every key)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from masdsl.meta.task import SIGNATURE
from training.stage.settings import Count, Path, Positive, Range

Kind = Literal["shipped", "trained", "guided", "nearest", "self-consistency"]


class Queries(NamedTuple):
    """`[queries]`: data sets, and what a row of them leaves out."""

    paths: tuple[Path, ...]
    limit: Count = 0
    calls: Positive = 20
    grader: str = ""
    signature: str = SIGNATURE


class GeneratorSettings(NamedTuple):
    """`[generators.NAME]`: who writes. `model` is of `mas.toml`, or a tier; kinds that need none name none."""

    kind: Kind
    model: str = ""
    decoder: bool = True
    examples: Count = 1

    def contradiction(self) -> tuple[str, str] | None:
        """Return the key that does not fit the others, and why."""
        if self.kind in ("trained", "guided") and not self.model:
            return "model", "it is needed: the name of a model, as in `mas.toml`, or of a tier"
        if self.kind in ("shipped", "nearest", "self-consistency") and self.model:
            return "model", f"`{self.kind}` names none; take the line out"
        return None


class Run(NamedTuple):
    """`[run]`: whether programs are run, and how models write."""

    programs: bool = True
    temperature: Annotated[float, Range(least=0, most=2)] = 0.0
    reply_tokens: Positive = 400
    timeout: Annotated[float, Range(above=0)] = 180.0
    seed: Count = 0


class Settings(NamedTuple):
    """The tables of a configuration."""

    queries: Queries
    generators: Mapping[str, GeneratorSettings]
    run: Run = Run()
