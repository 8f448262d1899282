"""How many runs are saved by repairing them: `python -m tests.bench.rectified_faults [--systems 10] [--lasts model]`.

Every fault that may cost a step its value (`tests.harness.faults`, `tool_faults`) at every step of systems of the pool
(`tests.harness.rectified_faults`), without a rectifier, with the rules, and with a model-based one whose model is
scripted: it always has the same three ideas. Each kind is played without a rectifier; of the kinds that make a run fail
at the same step, for the same cause, after as many calls, one is repaired, and counts for all.

- `finished`: runs with a value; `whole`: of these, with nothing left out and no default in a step's place.
- `calls`: of the system, in runs that a rectifier was asked in; `reused`: those of them whose values the repaired run
  had from its journal, which running it anew would pay again; `asked`: calls of the rectifier's model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, get_args

from masdsl.rectify.base import Cause
from masdsl.rectify.causes import cause_of
from tests.harness.rectified_faults import SYSTEMS, TRIES, Fault, Lasts, Played, System, Way

WAYS: Final[tuple[Way, ...]] = get_args(Way)


class Row(NamedTuple):
    """One fault, and how its run ended in each way; `cause` is why it failed without a rectifier."""

    system: str
    fault: Fault
    cause: Cause | None
    played: dict[Way, Played]


def rows_of(system: System, faults: Iterable[Fault], ways: Iterable[Way] = WAYS) -> Iterator[Row]:
    """Yield what becomes of each fault."""
    repaired: dict[tuple[object, ...], dict[Way, Played]] = {}
    for fault in faults:
        alone = system.play(fault, "nobody")
        if alone.finished:
            yield Row(system.name, fault, None, dict.fromkeys(ways, alone))
            continue
        cause = cause_of(alone.reason, "tool" if fault.position.is_tool else "agent")
        key = (fault.position.step, cause, alone.step, alone.calls)
        if key not in repaired:
            repaired[key] = {way: system.play(fault, way) for way in ways if way != "nobody"}
        yield Row(system.name, fault, cause, {"nobody": alone, **repaired[key]})


def table(rows: Iterable[Row], by: str) -> str:
    """Return the shares, by the system, by the cause, or of all."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        name = {"system": row.system, "cause": row.cause or "none: its retries or defaults caught it"}.get(by, "all")
        groups.setdefault(name, []).append(row)
    lines = [
        f"| {by} | runs | finished: nobody | rules | model | whole: rules | model | calls | reused | asked |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, found in sorted(groups.items()):
        shares = [_share(one.played[way].finished for one in found) for way in WAYS]
        whole = [_share(one.played[way].is_whole for one in found) for way in WAYS[1:]]
        broken = [one for one in found if one.cause is not None]
        means = [
            _mean(one.played["rules"].calls for one in broken),
            _mean(one.played["rules"].reused for one in broken),
            _mean(one.played["model"].asked for one in broken),
        ]
        lines.append(f"| {name} | {len(found)} | {' | '.join((*shares, *whole, *means))} |")
    return "\n".join(lines)


def _share(found: Iterable[bool]) -> str:
    each = list(found)
    return f"{sum(each) / len(each):.0%}"


def _mean(found: Iterable[int]) -> str:
    each = list(found)
    return f"{sum(each) / len(each):.1f}" if each else ""


def main() -> None:
    """Play, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rectified_faults")
    parser.add_argument("--systems", type=int, default=len(SYSTEMS), help=f"how many (default: {len(SYSTEMS)})")
    parser.add_argument(
        "--lasts", choices=get_args(Lasts), default="model", help="how long a fault lasts (default: model)"
    )
    parser.add_argument("--room", type=float, default=1.5, help="the budget, in worst cases (default: 1.5)")
    parser.add_argument("--tries", type=int, default=TRIES, help=f"patches for one run (default: {TRIES})")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th fault alone")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in SYSTEMS[: options.systems]:
        system = System.of(name, options.room, options.tries)
        rows += rows_of(system, list(system.faults(options.lasts))[:: options.every])
    steps = len({(row.system, row.fault.position.step) for row in rows})
    kinds = len({row.fault.kind.name for row in rows})
    print(f"{len(rows)} runs: {kinds} kinds at {steps} steps of {options.systems} systems\n")
    for by in ("cause", "system", "all"):
        print(f"{table(rows, by)}\n")


if __name__ == "__main__":
    main()
