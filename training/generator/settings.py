"""What the rows of the shipped generator are made of (`training/configs/generator-data.toml` names every key)."""

from __future__ import annotations

from typing import NamedTuple

from training.stage.settings import Count, Path, Positive


class PoolSettings(NamedTuple):
    """`[[pools]]`: queries with gold answers, of a kind of `training.generator.systems`."""

    path: Path
    kind: str
    grader: str
    train: Count = 10
    held_out: Count = 5


class Rows(NamedTuple):
    """`[rows]`: how many queries of each kind, and of which chance."""

    each: Positive = 24
    held_out: Positive = 8
    seed: Count = 0
    tokenizer: Path | None = None


class Settings(NamedTuple):
    """The tables of a configuration; `[selection] evaluations` are folders of `mas eval --out`."""

    rows: Rows = Rows()
    evaluations: tuple[Path, ...] = ()
    pools: tuple[PoolSettings, ...] = ()
