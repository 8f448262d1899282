"""The frame of the commands of `training`: a configuration and a folder, and no fault that is not told.

Exit codes are the same everywhere: 0, 1 where nothing came of what was given, 2 for what cannot be used, 130 where it
was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Final

from training.stage.faults import FAULTS, NothingMade, TrainingFault

_NEEDED: Final = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def configured(
    stage: str, about: str | None, folder: str, *, example: str = "", epilog: str = ""
) -> argparse.ArgumentParser:
    """Return the command line of `python -m training.STAGE CONFIG --out DIR`.

    Args:
        stage: the name of the stage.
        about: what the command says of itself.
        folder: what comes into the folder.
        example: the configuration that explains every key; by default `training/configs/STAGE.toml`.
        epilog: what is said last.
    """
    parser = argparse.ArgumentParser(prog=f"python -m training.{stage}", description=about, epilog=epilog or None)
    parser.add_argument(
        "config",
        help=f"what is to be done, in TOML (training/configs/{example or stage}.toml explains every key)",
    )
    parser.add_argument("--out", required=True, help=folder)
    return parser


def ended(work: Callable[[], object], place: str) -> int:
    """Do what a command is to do, and return its exit code.

    Args:
        work: does it.
        place: what is written to; faults of the system that name no file are told of it.
    """
    try:
        work()
    except NothingMade as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except FAULTS as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except OSError as fault:
        where = fault.filename or place
        print(f"error: {where}: {fault.strerror or fault}; mend that, and the same command goes on", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run_trainer(
    stage: str, about: str | None, folder: str, work: Callable[[str, str], object], arguments: Sequence[str] | None
) -> int:
    """Do what the command of a stage that trains is to do, and return its exit code.

    Args:
        stage, about, folder: as in `configured`.
        work: takes the paths of the configuration and of the folder; it may need `masdsl[train]`.
        arguments: those of the command line; None: the process's own.
    """
    options = configured(stage, about, folder).parse_args(arguments)

    def train() -> None:
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            raise TrainingFault(f"{', '.join(missing)} is not installed: pip install 'masdsl[train]'")
        from training.trainer.watching import quiet

        quiet()
        work(options.config, options.out)

    return ended(train, options.out)
