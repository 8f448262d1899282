"""Kills a writing process: `python -m tests.bench.journal_kill [times]`."""

import sys
import tempfile
import time
from pathlib import Path

from tests.harness.journals import kill


def main(times: int = 1000, seed: int = 0) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = kill(times, folder, seed)
    print(
        ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())),
        f"({time.monotonic() - started:.0f} s)",
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
