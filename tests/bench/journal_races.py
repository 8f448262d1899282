"""Lets processes race for one run: `python -m tests.bench.journal_races [times]`."""

import sys
import tempfile
import time
from pathlib import Path

from tests.harness.journals import races


def main(times: int = 1000) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = races(times, folder)
    print(
        ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items())),
        f"({time.monotonic() - started:.0f} s)",
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
