"""One measurement of `bench_langgraph`, in a process of its own: `python -m tests.bench.step_work NAME MODE RUNS`.

The work is the same for all: a run of eight calls of a model (a plan, three parts at once, a vote, two refinements, a
text), whose replies are 230 characters, each another one. Printed is JSON: seconds of wall time and of CPU, steps, and
KB for each run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

TEXT = "The answer is 42, since six times seven is forty-two. "
REPLY = (TEXT * 5)[:230].strip()
CALLS = 8
DELAY = 0.005
"""Seconds that a model takes where runs are concurrent; none where they come one after the other."""

PROGRAM = """mas 1
agent plan(q: text(200)) -> text(200) "Plan. {{ q }}"
agent part(q: text(200)) -> text(200) "Do your part. {{ q }}"
agent vote(drafts: text(200)[3]) -> text(200) "Which is best?"
agent refine(q: text(200)) -> text(200) "Refine. {{ q }}"
agent write(q: text(200)) -> text(200) "Write. {{ q }}"
flow main(x: text(200)) -> text(200) {
  p = plan(x)
  parts = 3 of part(p)
  v = vote(parts)
  loop 2 { v = refine(v) }
  return write(v)
}
"""

One = Callable[[int], Awaitable[object]]
"""Does one run."""


class Pace:
    """How long a model takes; `gate` holds every call of the parts until it is opened."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.gate: asyncio.Event | None = None
        self._said = 0

    async def say(self, prompt: str) -> str:
        """Answer."""
        await asyncio.sleep(self.seconds)
        if self.gate is not None and prompt.startswith("Do your part"):
            await self.gate.wait()
        self._said += 1
        return f"{REPLY[:222]} {self._said:07d}"


def bare(pace: Pace, folder: str) -> One:
    """Plain asyncio, each call with a time limit; nothing is kept."""

    async def say(prompt: str) -> str:
        async with asyncio.timeout(60):
            return await pace.say(prompt)

    async def one(number: int) -> str:
        plan = await say(f"Plan. question {number}")
        parts = await asyncio.gather(*(say(f"Do your part. {plan}") for _ in range(3)))
        best = await say("Which is best?\n\n" + "\n".join(parts))
        for _ in range(2):
            best = await say(f"Refine. {best}")
        return await say(f"Write. {best}")

    return one


def masdsl(pace: Pace, folder: str) -> One:
    """A compiled program and its journal."""
    from masdsl.journal import RunHeader, open_journal
    from masdsl.runtime.models.base import Price, Reply, Request
    from tests.harness.bounding import prepared

    class Model:
        name = "m"
        price: Price | None = Price(3.0, 15.0)

        async def complete(self, request: Request) -> Reply:
            return Reply(await pace.say(request.messages[-1].content), 60, 50, "m")

        async def close(self) -> None:
            pass

    program, model = prepared(PROGRAM).compiled, Model()
    journal = open_journal(str(Path(folder, "runs.db")))

    async def one(number: int) -> None:
        inputs = {"x": f"question {number}"}
        first = RunHeader(f"r{number}", "bench", {"bench.mas": PROGRAM}, "main", inputs, 0, "frozen", 0.0, "0")
        run = journal.create(first)
        await program.run(models=model, tools={}, run=run)
        await run.close()

    return one


async def langgraph(pace: Pace, folder: str) -> One:
    """LangGraph's functional form with its own checkpointer, at the settings that ours has (WAL, NORMAL)."""
    import aiosqlite  # type: ignore[import-not-found, unused-ignore]
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # type: ignore[import-not-found, unused-ignore]
    from langgraph.func import entrypoint, task  # type: ignore[import-not-found, unused-ignore]

    database = await aiosqlite.connect(str(Path(folder, "graph.db")))
    await database.execute("PRAGMA journal_mode = WAL")
    await database.execute("PRAGMA synchronous = NORMAL")
    saver = AsyncSqliteSaver(database)
    await saver.setup()

    @task  # type: ignore[untyped-decorator, unused-ignore]
    async def say(prompt: str) -> str:
        return await pace.say(prompt)

    @entrypoint(checkpointer=saver)  # type: ignore[untyped-decorator, unused-ignore]
    async def flow(question: str) -> str:
        plan = await say(f"Plan. {question}")
        parts = await asyncio.gather(*(say(f"Do your part. {plan}") for _ in range(3)))
        best = await say("Which is best?\n\n" + "\n".join(parts))
        for _ in range(2):
            best = await say(f"Refine. {best}")
        return str(await say(f"Write. {best}"))

    async def one(number: int) -> object:
        config = {"configurable": {"thread_id": str(number)}}
        return await flow.ainvoke(f"question {number}", config)

    one.close = database.close  # type: ignore[attr-defined]
    return one


MAKERS: dict[str, Callable[[Pace, str], Any]] = {"bare": bare, "masdsl": masdsl, "langgraph": langgraph}


async def measured(name: str, mode: str, runs: int, folder: str) -> dict[str, float]:
    """Do the work and return what it took."""
    pace = Pace(0.0 if mode == "sequential" else DELAY)
    made = MAKERS[name](pace, folder)
    one: One = await made if asyncio.iscoroutine(made) else made
    for number in range(5):
        await one(-1 - number if name == "langgraph" else 10**6 + number)
    try:
        if mode == "in-flight":
            return await _in_flight(one, pace, runs)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        if mode == "sequential":
            for number in range(runs):
                await one(number)
        else:
            await asyncio.gather(*map(one, range(runs)))
        return {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "steps": runs * CALLS,
        }
    finally:
        close = getattr(one, "close", None)
        if close is not None:
            await close()


async def _in_flight(one: One, pace: Pace, runs: int) -> dict[str, float]:
    """Hold every run in its three parts, and return the KB of each."""
    pace.gate = asyncio.Event()
    gc.collect()
    before = _resident()
    tasks = [asyncio.ensure_future(one(number)) for number in range(runs)]
    waiters: Any = pace.gate._waiters
    while len(waiters) < 3 * runs:
        await asyncio.sleep(0.05)
    gc.collect()
    held = _resident() - before
    pace.gate.set()
    await asyncio.gather(*tasks)
    return {"kb": held / runs / 1024}


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(name: str, mode: str, runs: str) -> None:
    """Measure once."""
    with tempfile.TemporaryDirectory(prefix="steps-bench-") as folder:
        print(json.dumps(asyncio.run(measured(name, mode, int(runs), folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
