"""Kills processes that run a program: `python -m tests.bench.kill_runs [times] [seed]`.

Each run is killed (`kill -9`) at random moments, just after a row was acknowledged or at any, and resumed in a new
process until it ends. Shown is that no call of a model was made again whose reply was in the journal, that no row was
lost that had been acknowledged, that no effect happened twice, and that every run gives the value of one that was left
alone. "Possibly repeated" are calls that were under way at a kill: their reply was in no journal, so they are
made again, and the ledger counts both. "In doubt" are effects that were under way: they are not made again, and the
step fails.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.harness.killed_runs import kill


def main(times: int = 1000, seed: int = 0) -> None:
    """Do it, and print the counts."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        counts = kill(times, Path(name), seed=seed)
    told = ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))
    print(f"{told} ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
