"""`python -m training.cto CONFIG.toml --out DIR`: adapters for the meta-agents from preferences; the same goes on."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from masdsl import ProgramError
from masdsl.batch.grading import GraderFault
from masdsl.batch.rows import DataFault
from masdsl.meta.host import BadTask
from training.cto.plan import Plan
from training.settings import TrainingFault, read_settings


def main(arguments: list[str] | None = None) -> int:
    """Train; 0 where it is done, 2 for what cannot be used, 130 where it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m training.cto", description=__doc__)
    parser.add_argument("config", help="what is to be done, in TOML (training/configs/cto.toml explains every key)")
    parser.add_argument("--out", required=True, help="the folder of the adapters; one that was begun goes on")
    options = parser.parse_args(arguments)
    _quiet()
    try:
        plan = read_settings(options.config, Plan)
        from training.cto.stage import run

        run(plan, options.out)
    except (TrainingFault, DataFault, GraderFault, BadTask, ProgramError, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def _quiet() -> None:
    """Keep progress bars and the libraries' talk to one another's developers off the terminal."""
    for name in ("TQDM_DISABLE", "HF_DATASETS_DISABLE_PROGRESS_BARS", "TRL_EXPERIMENTAL_SILENCE"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for package in ("transformers", "peft", "trl", "accelerate", "torch"):
        warnings.filterwarnings("ignore", module=package)


if __name__ == "__main__":
    raise SystemExit(main())
