"""How near runs come to their bounds: `python -m tests.bench.tightness [--local]`.

A run takes a share of its flow's bound in each measure; here are these shares, for the flows of `examples/` against
three worlds, in virtual time:

- dear: the adversary of the tests, with inputs as large as may be. Calls and output tokens should be all of the bound.
- honest: a model that replies with values of a common size, uses tools in half of its turns and fails never.
- local: SmolLM2 on this machine, in real time, for two examples; with `--local`, where its weights are at hand.

And those of generated programs against the enemies of the tests, as deciles. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.bounds.result import FlowBound
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.runtime import RunFailed
from tests.harness import battery
from tests.harness.adversary import Adversary, Honest, largest
from tests.harness.bounding import Case, Took, case_of, most, play, took

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[2] / "examples").iterdir() if (path / f"{path.name}.mas").is_file()
)
SHOWN = {"calls": 0, "input tokens": 1, "output tokens": 2, "tokens": 3, "seconds": 5}
LOCAL = {
    "hello": {"name": "Ada"},
    "vote": {"problem": "Tom has 7 marbles and finds 5 more. How many has he now?"},
}


def main(arguments: list[str]) -> None:
    """Print the tables."""
    print(row("example, flow, world", *SHOWN), row("--", *["--:"] * len(SHOWN)), sep="\n")
    for name, case in examples():
        bounds = bound(case.program, case.prices)
        for flow in sorted(bounds.entries if name in LOCAL else [flow.key for flow in case.program.flows]):
            for world, run in runs(case, flow):
                print(row(f"{name}, {flow}, {world}", *shares(run, bounds.flows[flow])))
        if "--local" in arguments and name in LOCAL:
            print(row(f"{name}, main, local", *shares(local(case, LOCAL[name]), bounds.flows["main"])))
    print()
    generated(range(150))


def examples() -> Iterator[tuple[str, Case]]:
    """Yield the examples, checked and compiled."""
    for folder in EXAMPLES:
        checked = pipeline.check_file(str(folder / f"{folder.name}.mas"), Findings())
        assert checked.program is not None
        yield folder.name, case_of(checked.program)


def runs(case: Case, flow: str) -> Iterator[tuple[str, Took]]:
    """Yield the runs of a flow in the worlds that need no model."""
    params = case.program.flow(flow).params
    dear = Adversary(case.compiled, text="!")
    yield "dear", play(case, dear, {param.name: largest(param.type) for param in params}, flow)
    late = Adversary(case.compiled, text="!", pace="last moment")
    yield "late", play(case, late, {param.name: largest(param.type) for param in params}, flow)
    usual = {param.name: largest(param.type, "a usual text ", 0.1) for param in params}
    yield "honest", play(case, Honest(case.compiled), usual, flow)


def local(case: Case, inputs: dict[str, Any]) -> Took:
    """Run an example on the embedded model."""
    from masdsl.runtime.models.registry import resolver

    try:
        return took(asyncio.run(case.compiled.run("main", inputs, models=resolver(DEFAULT))))
    except RunFailed as failure:
        return took(failure.result, failure.reason)


def generated(seeds: Iterable[int]) -> None:
    """Print the deciles of generated programs."""
    taken: list[list[float]] = []
    for seed in seeds:
        played = battery.runs(seed, 4)
        if played:
            case = battery.generated(seed)
            found = most(bound(case.program, case.prices).flows["main"])
            for run in played:
                shared = zip(_measures(run), found, strict=True)
                taken.append([spent / limit if limit else 1.0 for spent, limit in shared])
    print(row(f"{len(taken)} runs of generated programs", *(f"{tenth * 10} %" for tenth in range(1, 10))))
    print(row("--", *["--:"] * 9))
    for name, place in SHOWN.items():
        print(row(name, *(f"{share:.2f}" for share in quantiles([run[place] for run in taken], n=10))))


def _measures(run: Took) -> tuple[int, ...]:
    return run.calls, run.tokens_in, run.tokens_out, run.tokens, run.usd, run.seconds


def shares(run: Took, found: FlowBound) -> Iterator[str]:
    """Yield what a run took of its bound in each measure."""
    limits = most(found)
    for place in SHOWN.values():
        yield f"{_measures(run)[place] / limits[place]:.2f}" if limits[place] else "-"


def row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(sys.argv[1:])
