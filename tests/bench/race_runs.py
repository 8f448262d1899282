"""Lets processes resume one run of a program at once: `python -m tests.bench.race_runs [times]`.

Shown is that exactly one of three processes goes on with the run, the others being refused (or finding it ended), that
every call and every effect is made once, and that the value is that of a run that was left alone.
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.harness.killed_runs import races


def main(times: int = 1000, seed: int = 0) -> None:
    """Do it, and print the counts."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        counts = races(times, Path(name), seed=seed)
    told = ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))
    print(f"{told} ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
