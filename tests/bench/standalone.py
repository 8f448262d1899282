"""Generated programs with nothing but the runtime: `python -m tests.bench.standalone [200]`.

So many programs are written by a model that knows nothing, under the decoder, from distinct seeds. They are built by
`mas build`, and run with a scripted model by a Python that finds `masdsl.runtime`, what that requires, and nothing else
(`tests.harness.standalone`). Each has to give what it gives where the compiler is at hand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.harness.standalone import Environment, build, written

BATCH = 25


def main() -> None:
    """Write, build, run, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.standalone")
    parser.add_argument("programs", type=int, nargs="?", default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    options = parser.parse_args()
    began = time.process_time()
    found: Counter[str] = Counter()
    lines = calls = 0
    with tempfile.TemporaryDirectory() as name:
        environment = Environment(Path(name) / "site")
        for start in range(0, options.programs, BATCH):
            seeds = range(options.seed + start, options.seed + min(start + BATCH, options.programs))
            programs = written(seeds, Path(name) / f"programs_{start}")
            build(programs)
            report = environment.run(programs)
            assert not report.there, report.there
            for program, run in zip(programs, report.runs, strict=True):
                found["crashed" if "crashed" in run else "failed" if "failed" in run else "value"] += 1
                found["same"] += run == program.expected
                lines += program.text.count("\n")
                calls += run.get("calls", 0)
                if run != program.expected:
                    print(
                        f"{program.path.name}: {run}, where the compiler is at hand {program.expected}\n{program.text}"
                    )
    count = options.programs
    print(f"{count} programs of {lines / count:.0f} lines on average, {calls / count:.1f} calls a run")
    print(f"loaded besides Python: {', '.join(report.modules)}")
    print("| gave a value | failed by themselves | crashed | the same as with the compiler |\n|---:|---:|---:|---:|")
    print(f"| {found['value']} | {found['failed']} | {found['crashed']} | {found['same']} |")
    print(f"{time.process_time() - began:.0f} s of CPU, without the runs")


if __name__ == "__main__":
    main()
