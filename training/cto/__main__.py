"""`python -m training.cto CONFIG.toml --out DIR`: adapters for the meta-agents from preferences; the same goes on."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from masdsl import ProgramError
from masdsl.batch.grading import GraderFault
from masdsl.batch.rows import DataFault
from masdsl.meta.host import BadTask
from masdsl.runtime.models.base import ModelError
from training.settings import TrainingFault, read_settings

_NEEDED = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def main(arguments: list[str] | None = None) -> int:
    """Train; 0 when it is done, 2 for what cannot be used, 130 when it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m training.cto", description=__doc__)
    parser.add_argument("config", help="what is to be done, in TOML (training/configs/cto.toml explains every key)")
    parser.add_argument("--out", required=True, help="the folder: for each role checkpoints, an adapter, its manifest")
    options = parser.parse_args(arguments)
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(f"error: {', '.join(missing)} is not installed: pip install 'masdsl[train]'", file=sys.stderr)
        return 2
    from training.cto.plan import Plan
    from training.cto.stage import run
    from training.watching import quiet

    quiet()
    try:
        run(read_settings(options.config, Plan), options.out)
    except (TrainingFault, DataFault, GraderFault, BadTask, ModelError, ProgramError, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
