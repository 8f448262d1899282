"""`python -m training.generator CONFIG --out DIR`: the rows that the shipped generator is trained on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from masdsl.batch.rows import DataFault
from masdsl.meta.host import BadTask
from training.data.export import token_counter
from training.generator.drawing import Pool
from training.generator.rows import make
from training.generator.settings import Settings
from training.settings import TrainingFault, read_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Make rows; 0 where they are there, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m training.generator",
        description="Make the rows that the shipped generator is trained on, and the queries that are held out.",
    )
    parser.add_argument(
        "config", help="what they are made of, in TOML (training/configs/generator-data.toml names every key)"
    )
    parser.add_argument("--out", required=True, help="the folder; tools are granted by the mas.toml at or above it")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(options.config, Settings)
        rows = settings.rows
        made = make(
            options.out,
            each=rows.each,
            held_out=rows.held_out,
            pools=[Pool(*one) for one in settings.pools],
            evaluations=settings.evaluations,
            seed=rows.seed,
            count=token_counter(rows.tokenizer) if rows.tokenizer else None,
        )
    except (TrainingFault, DataFault, BadTask, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    print(f"{len(made.examples)} rows, {len(made.held_out)} queries held out: {options.out}; card.md has the counts")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
