"""Damages journals, none of which may be read wrongly: `python -m tests.bench.journal_damage [times]`."""

import sys
import tempfile
import time
from pathlib import Path

from tests.harness.journals import damages


def main(times: int = 2000, seed: int = 0) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = damages(times, folder, seed)
    print(
        ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())),
        f"({time.monotonic() - started:.0f} s)",
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
