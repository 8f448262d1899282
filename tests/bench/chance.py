"""Faults by chance at any call of the programs of `fault_scenes`: `python -m tests.bench.chance [schedules] [seed]`.

Each schedule is played in virtual time. Shown is that a run always ends, with a value or with `RunFailed`, that the
ledger says exactly what the table of faults bills, and that the same schedule gives the same run.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.harness.fault_runs import by_chance, play, wrong
from tests.harness.fault_scenes import SCENES


def main(schedules: int = 10_000, seed: int = 0) -> None:
    """Play them, and print the counts."""
    started = time.monotonic()
    counts: Counter[str] = Counter()
    for number in range(seed, seed + schedules):
        scene = SCENES[number % len(SCENES)]
        outcome = play(scene, by_chance(number, 0.1 + number % 9 / 10))
        found = list(wrong(scene, outcome))
        assert not found, f"seed {number}, {scene.name}: {found}"
        if number % 50 == 0:
            again = play(scene, by_chance(number, 0.1 + number % 9 / 10))
            assert again.result.events == outcome.result.events, f"seed {number} is another run the second time"
        counts["failures" if outcome.reason else "values"] += 1
        counts["calls"] += len(outcome.model.calls)
    told = ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))
    print(f"{told} ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
