"""What a step costs besides its model: bare asyncio, masdsl, and masdsl with a journal in memory and in a file.

    python -m tests.bench.bench_runs [--rounds 5] [--runs 500] [--in-flight 10000]

The program has eight calls: a plan, three branches side by side, a vote, two rounds of a loop, an answer. The model
answers at once (so that everything measured is ours). `bare` is the same shape with nothing but awaited functions.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

from masdsl.journal import MemoryJournal, open_journal
from masdsl.journal.base import Journal, RunHeader
from masdsl.runtime import Agent, Program, Run
from masdsl.runtime.models.base import Price, Reply, Request
from tests.bench.measure import Cost, medians, table, timed

STEPS = 8
ANSWER = "a" * 230

worker = Agent[str](name="worker", returns=str, inputs={"q": str}, prompt="Do it.")


async def main(run: Run, q: str) -> str:
    """Eight calls."""

    async def branch(run: Run, item: str) -> str:
        return await run.call("branch", worker, q=item)

    plan = await run.call("plan", worker, q=q)
    await run.map([plan + "1", plan + "2", plan + "3"], branch)
    best = await run.call("vote", worker, q=plan)
    for refine in run.loop("refine", 2):
        best = await refine.call("best", worker, q=best)
    return await run.call("answer", worker, q=best)


PROGRAM = Program(name="bench", flows=(main,), agents=(worker,))


class Instant:
    """Answers at once, or when it is told to."""

    name = "instant"
    price: Price | None = Price(1.0, 1.0)

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.gate = gate
        self.waiting = 0

    async def complete(self, request: Request) -> Reply:
        """Answer."""
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        return Reply(ANSWER, 20, 60, self.name)

    async def close(self) -> None:
        """Do nothing."""


async def bare(model: Instant) -> str:
    """The same shape without masdsl: each call a task with a time limit, as a careful program has it."""

    async def call(text: str) -> str:
        async with asyncio.timeout(60):
            return (await model.complete(Request(()))).text

    plan = await call("q")
    await asyncio.gather(*(call(plan) for _ in range(3)))
    best = await call(plan)
    for _ in range(2):
        best = await call(best)
    return await call(best)


def header(number: int) -> RunHeader:
    """Return the header of a run."""
    return RunHeader(f"run-{number}", "bench", {}, "main", {"q": "q"}, 0, "frozen", 0.0, "0")


Start = Callable[[int, Instant], Awaitable[object]]


def plain_start(number: int, model: Instant) -> Awaitable[object]:
    """Run without a journal."""
    return PROGRAM.run("main", {"q": "q"}, models=model, tools={})


def journaled_start(journal: Journal, offset: int) -> Start:
    """Return a function that runs in a journal."""

    async def start(number: int, model: Instant) -> object:
        opened = journal.create(header(offset + number))
        try:
            return await PROGRAM.run("main", models=model, tools={}, run=opened)
        finally:
            await opened.close()

    return start


def batch(start: Start, runs: int, *, concurrent: bool) -> Cost:
    """Return what so many runs take, one after the other or all at once."""

    async def all_of() -> None:
        model = Instant()
        if concurrent:
            await asyncio.gather(*(start(number, model) for number in range(runs)))
        else:
            for number in range(runs):
                await start(number, model)

    gc.collect()
    return timed(lambda: asyncio.run(all_of()))()


def compare(rounds: int, runs: int, *, concurrent: bool) -> list[list[str]]:
    """Return the rows of the table for one way of running."""
    with tempfile.TemporaryDirectory() as folder:
        count = 0

        def fresh(kind: str) -> Start:
            nonlocal count
            count += 1
            if kind == "bare asyncio":
                return lambda number, model: bare(model)
            if kind == "masdsl":
                return plain_start
            if kind == "journal in memory":
                return journaled_start(MemoryJournal(), 0)
            durability: Any = "full" if kind.endswith("full") else "normal"
            return journaled_start(open_journal(os.path.join(folder, f"{count}.db"), durability), 0)

        kinds = ("bare asyncio", "masdsl", "journal in memory", "journal in a file", "journal in a file, full")
        taken: dict[str, list[Cost]] = {kind: [] for kind in kinds}
        for turn in range(rounds + 1):
            for kind in kinds:
                cost = batch(fresh(kind), runs, concurrent=concurrent)
                if turn:
                    taken[kind].append(cost)
    steps = runs * STEPS
    costs = {kind: medians(all_of) for kind, all_of in taken.items()}
    first, without = costs["bare asyncio"], costs["masdsl"]
    way = f"{runs} at once" if concurrent else "one by one"
    return [
        [
            f"{kind}, {way}",
            f"{cost.wall / steps * 1e6:.0f} µs",
            f"{cost.cpu / steps * 1e6:.0f} µs",
            f"{cost.wall / first.wall:.1f}",
            f"{(cost.cpu - without.cpu) / steps * 1e6:+.0f} µs",
        ]
        for kind, cost in costs.items()
    ]


def resident() -> int:
    """Return the bytes of this process in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_flight(runs: int) -> str:
    """Return the memory of a run that waits for its first answer, journaled in a file."""

    async def all_of() -> float:
        gate = asyncio.Event()
        model = Instant(gate)
        with tempfile.TemporaryDirectory() as folder:
            start = journaled_start(open_journal(os.path.join(folder, "runs.db")), 0)
            await asyncio.gather(*(journaled_start(MemoryJournal(), 0)(0, Instant()) for _ in range(10)))
            gc.collect()
            before = resident()
            tasks = [asyncio.ensure_future(start(number, model)) for number in range(runs)]
            while model.waiting < runs:
                await asyncio.sleep(0.01)
            gc.collect()
            taken = resident() - before
            gate.set()
            await asyncio.gather(*tasks)
        return taken / runs / 1024

    return f"{asyncio.run(all_of()):.1f} KiB"


def report() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="what a step costs besides its model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--in-flight", type=int, default=10_000)
    options = parser.parse_args()
    rows = compare(options.rounds, options.runs, concurrent=False)
    rows += compare(options.rounds, options.runs, concurrent=True)
    print(table(["eight steps", "wall a step", "CPU a step", "times bare, wall", "CPU of the journal"], rows))
    print(f"\n{options.in_flight:,} runs in flight, journaled in a file: {in_flight(options.in_flight)} each")


if __name__ == "__main__":
    report()
