"""`python -m training.generator CONFIG --out DIR`: the rows that the shipped generator is trained on."""

from __future__ import annotations

from collections.abc import Sequence

from training.data.export import token_counter
from training.generator.drawing import Pool
from training.generator.rows import make
from training.generator.settings import Settings
from training.stage.command import configured, ended
from training.stage.settings import read_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Make rows; return an exit code."""
    about = "Make the rows that the shipped generator is trained on, and the queries that are held out."
    folder = "the folder; tools are granted by the mas.toml at or above it"
    options = configured("generator", about, folder, example="generator-data").parse_args(arguments)
    return ended(lambda: _make(options.config, options.out), options.out)


def _make(config: str, out: str) -> None:
    settings = read_settings(config, Settings)
    rows = settings.rows
    made = make(
        out,
        each=rows.each,
        held_out=rows.held_out,
        pools=[Pool(*one) for one in settings.pools],
        evaluations=settings.evaluations,
        seed=rows.seed,
        count=token_counter(rows.tokenizer) if rows.tokenizer else None,
    )
    print(f"{len(made.examples)} rows, {len(made.held_out)} queries held out: {out}; card.md has the counts")


if __name__ == "__main__":
    raise SystemExit(main())
