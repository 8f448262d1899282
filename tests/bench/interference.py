"""Non-interference in the large: `python -m tests.bench.interference [programs] [seed] [timed]`.

Random programs with random policies are held against the oracle of trust labels: none that is accepted may show a
difference. Shown as well is how many of those that are refused do. With `timed` the programs are compiled, and their
steps run at the same time.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from tests.harness import interference, interference_timed


def main(programs: int = 20_000, seed: int = 0, timed: str = "") -> None:
    """Check, run and count them."""
    oracle = interference_timed.interferes if timed else interference.interferes
    started = time.process_time()
    counts: Counter[str] = Counter()
    for number in range(seed, seed + programs):
        subject = interference.subject(number)
        if subject is None:
            counts["with other errors"] += 1
            continue
        accepted, differs = interference.accepts(subject), oracle(subject)
        assert not (accepted and differs), f"seed {number} is accepted, and interferes\n{subject.text}\n{subject.trust}"
        counts["accepted"] += accepted
        counts["refused"] += not accepted
        counts["refused, and a difference shows"] += differs
        if (number - seed) % 1000 == 999 or number == seed + programs - 1:
            told = ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))
            print(f"{number - seed + 1:,} programs, {told} ({time.process_time() - started:.0f} s of CPU)", flush=True)


if __name__ == "__main__":
    main(*(int(argument) if argument.isdecimal() else argument for argument in sys.argv[1:]))  # type: ignore[arg-type]
