"""`python -m training.data CONFIG.toml --out DIR`: training data for the generator; the same again goes on."""

from __future__ import annotations

from collections.abc import Sequence

from training.data.construction import construct
from training.data.plan import read_plan
from training.stage.command import configured, ended
from training.stage.faults import NothingMade


def main(arguments: Sequence[str] | None = None) -> int:
    """Make training data; return an exit code."""
    folder = "the folder; models are those of the mas.toml at or above it"
    options = configured("data", __doc__, folder).parse_args(arguments)
    return ended(lambda: _make(options.config, options.out), options.out)


def _make(config: str, out: str) -> None:
    if not construct(read_plan(config), out).examples:
        raise NothingMade(
            f"no examples: no system solved a query; {out}/card.md and selection.jsonl say which were tried. Take "
            "easier queries, better models, or other systems"
        )


if __name__ == "__main__":
    raise SystemExit(main())
