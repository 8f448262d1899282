"""What the commands of stages that train have in common: a configuration, a folder, and errors that are told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Final

from masdsl import ProgramError
from masdsl.batch.grading import GraderFault
from masdsl.batch.rows import DataFault
from masdsl.meta.host import BadTask
from masdsl.runtime.models.base import ModelError
from training.settings import TrainingFault

_NEEDED: Final = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def run_command(
    stage: str, about: str | None, folder: str, work: Callable[[str, str], object], arguments: Sequence[str] | None
) -> int:
    """Do what `python -m training.STAGE CONFIG --out DIR` is to do.

    Args:
        stage: the name of the stage, whose configuration `training/configs/STAGE.toml` explains.
        about: what the command says of itself.
        folder: what comes into the folder.
        work: takes the paths of the configuration and of the folder; it may need `masdsl[train]`.
        arguments: those of the command line; None: the process's own.

    Returns 0 when it is done, 2 for what cannot be used, 130 when it was interrupted.
    """
    parser = argparse.ArgumentParser(prog=f"python -m training.{stage}", description=about)
    parser.add_argument(
        "config", help=f"what is to be done, in TOML (training/configs/{stage}.toml explains every key)"
    )
    parser.add_argument("--out", required=True, help=folder)
    options = parser.parse_args(arguments)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(f"error: {', '.join(missing)} is not installed: pip install 'masdsl[train]'", file=sys.stderr)
        return 2
    from training.watching import quiet

    quiet()
    try:
        work(options.config, options.out)
    except (TrainingFault, DataFault, GraderFault, BadTask, ModelError, ProgramError, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0
