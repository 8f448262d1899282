"""`python -m training.data CONFIG.toml --out DIR`: training data for the generator; the same again goes on."""

from __future__ import annotations

import argparse
import sys

from masdsl import ProgramError
from masdsl.batch.base import EngineFault
from masdsl.batch.budget import BadBudget
from masdsl.batch.evaluation import EvaluationFault
from masdsl.batch.rows import DataFault
from masdsl.meta.host import BadTask
from masdsl.runtime.models.base import ModelError
from training.data.construction import construct
from training.data.plan import read_plan
from training.settings import TrainingFault

_FAULTS = (
    DataFault,
    EvaluationFault,
    EngineFault,
    BadBudget,
    BadTask,
    ModelError,
    ProgramError,
    TrainingFault,
    OSError,
)


def main(arguments: list[str] | None = None) -> int:
    """Make training data; 0 where there are some, 1 where none came of it, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    parser.add_argument("config", help="what is to be done, in TOML (training/configs/data.toml names every key)")
    parser.add_argument("--out", required=True, help="the folder; models are those of the mas.toml at or above it")
    options = parser.parse_args(arguments)
    try:
        made = construct(read_plan(options.config), options.out)
    except _FAULTS as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    if not made.examples:
        print("no examples: no system solved a query; see selection.jsonl and card.md", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
