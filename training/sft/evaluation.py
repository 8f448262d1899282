"""The table [evaluation]: what the model in training emits for queries that it is not trained on, every some steps.

Parse, check, budget, run and answer rates of `training.rates`, with and without the decoder that keeps to the language;
nothing ever takes the place of a program that is none.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

from masdsl.batch.graders import grader_of
from masdsl.batch.systems import config_of
from masdsl.meta.host import Host
from training.rates.asking import read_asked
from training.rates.rates import Rates, rates_in_memory
from training.stage.faults import TrainingFault
from training.stage.settings import Path, Positive
from training.trainer.watching import Measure


class Evaluation(NamedTuple):
    """Queries (as `training.rates` reads them), at most `limit` of each file, every `every` steps; with `first` also
    before the first one.

    `run` also runs the programs and grades their answers, with the models of the `mas.toml` at or above the folder
    `models` (by default the folder of the run). `calls` is what a run may make, `grader` how answers are compared,
    where a row does not say it.
    """

    paths: tuple[Path, ...]
    every: Positive = 50
    limit: Positive = 20
    decoder: Literal["without", "with", "both"] = "without"
    run: bool = False
    models: Path | None = None
    calls: Positive = 20
    grader: str = ""
    first: bool = False


def measure_of(table: Evaluation, out: str) -> Measure:
    """Return what measures a model in training; queries and configuration are read now.

    Raises DataFault for queries and GraderFault for a grader that cannot be used, TrainingFault without llguidance.
    """
    if find_spec("llguidance") is None:
        raise TrainingFault("[evaluation] needs llguidance: pip install 'masdsl[transformers]'; or take the table out")
    asked = read_asked(table.paths, limit=table.limit, calls=table.calls, grader=table.grader)
    for grader in {one.grader for one in asked}:
        grader_of(grader)
    host = Host(config_of(os.path.join(table.models or out, "program.mas")))
    decoders = {"without": (False,), "with": (True,), "both": (False, True)}[table.decoder]

    def measure(model: Any, tokenizer: Any, step: int) -> dict[str, float]:
        figures: dict[str, float] = {}
        for decoder in decoders:
            rates = rates_in_memory(model, tokenizer, asked, host, decoder=decoder, run=table.run, name=f"step {step}")
            figures |= _figures(rates, ", decoder" if decoder else "")
        return figures

    return measure


def _figures(rates: Rates, suffix: str) -> dict[str, float]:
    shares = {name: getattr(rates, name) for name in ("parses", "checks", "fits", "ran", "right")}
    return {f"{name}{suffix}": share.mean for name, share in shares.items() if share is not None} | {
        f"programs{suffix}": float(rates.programs)
    }
