"""Running programs that are killed, or that several processes resume at once; what they did is written beside them.

The program's models are slow and say the same whenever they are asked the same; every call of a model and every effect
leaves a line in a file of its own, outside the journal. Each function repeats its attack and raises AssertionError at
the first wrong outcome; what it returns are counts.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from select import select
from typing import Any, NamedTuple

from masdsl.journal import JournalBusy, Row, RunHeader, UnknownRun
from masdsl.journal.base import OpenRun
from masdsl.journal.sqlite import SqliteJournal
from masdsl.runtime import Program, Result
from masdsl.runtime.models.base import Price, Reply, Request
from tests.harness.adversary import draw, may_use_tools
from tests.harness.bounding import prepared

TEXT = """mas 1
tool send(q: text(60)) -> int from "send" effect timeout 50
agent draft(q: text(60)) -> text(60) retry 1 "Draft. {{ q }}"
agent sender(q: text(60)) -> text(60) retry 1 tools [send] steps 1 "Send. {{ q }}"
flow inner(q: text(60)) -> text(60) { a = draft(q) b = draft(a) return b }
flow main(x: text(60)) -> text(900) {
  a = draft(x)
  l = 3 of inner(a)
  n = send(a) else -1
  loop 3 { x = draft(x) m = send(x) else -1 }
  s = sender(x)
  b = each y in l: draft(y)
  return join([a, x, s, join(b, " ")], " ")
}
"""
CALLS = 1 + 6 + 3 + 2 + 3
"""How many calls of models a run makes that is not disturbed."""
EFFECTS = 1 + 3 + 1
PAUSE = 0.002
"""The longest time in seconds that a model or an effect takes, but for what the machine adds."""


@cache
def program() -> Program:
    """Return the compiled program."""
    return prepared(TEXT).compiled


def header(run: str) -> RunHeader:
    """Return the header of a run of the program."""
    return RunHeader(run, "killed", {"killed.mas": TEXT}, "main", {"x": "begin"}, 3, "frozen", 0.0, "0")


class Host:
    """Models and effects of one process; files tell what they did. `pace` says how slow they are."""

    name = "slow"
    price: Price | None = Price(3.0, 15.0)

    def __init__(self, folder: Path, run: str, pace: float = PAUSE) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._calls = os.open(folder / f"{run}.calls", flags)
        self._effects = os.open(folder / f"{run}.effects", flags)
        self._pace = pace

    async def complete(self, request: Request) -> Reply:
        """Leave a line, wait, and say what follows from who asks."""
        os.write(self._calls, f"{request.step} {request.seed}\n".encode())
        digest = sha256(f"{request.step} {request.seed}".encode()).digest()
        await asyncio.sleep(digest[0] / 256 * self._pace)
        if request.agent == "sender":
            if may_use_tools(request):
                return Reply(json.dumps({"tool": "send", "arguments": {"q": "now"}}))
            return Reply(json.dumps({"answer": "sent, or not"}))
        if digest[1] < 40 and request.attempt == 0:
            return Reply("")  # it has to be asked again
        return Reply(digest.hex()[:12])

    async def close(self) -> None:
        """Close the files."""
        os.close(self._calls)
        os.close(self._effects)

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """The effect: a line in a file, before or after a pause."""

        async def send(q: str, idempotency_key: str) -> int:
            early = len(q) % 2 == 0
            if early:
                os.write(self._effects, f"{idempotency_key}\n".encode())
            await asyncio.sleep(self._pace)
            if not early:
                os.write(self._effects, f"{idempotency_key}\n".encode())
            return len(q)

        return {"send": send}


class Telling:
    """A run's journal that says on a pipe which rows were acknowledged."""

    def __init__(self, inner: OpenRun, told: int) -> None:
        self.inner = inner
        self.told = told

    @property
    def header(self) -> RunHeader:
        return self.inner.header

    def rows(self) -> Sequence[Row]:
        return self.inner.rows()

    def append(self, kind: str, *args: Any, **more: Any) -> Awaitable[int]:
        waiting = self.inner.append(kind, *args, **more)
        if isinstance(waiting, asyncio.Future):
            waiting.add_done_callback(lambda one: os.write(self.told, f"{one.result()} {kind}\n".encode()))
        return waiting

    def set_status(self, status: str) -> Awaitable[int]:
        return self.inner.set_status(status)

    async def close(self) -> None:
        await self.inner.close()


def fork(work: Callable[[], object]) -> int:
    """Run something in a child of this process; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


async def played(host: Host, journaled: OpenRun) -> Result:
    """Run the program, or what is left of it."""
    try:
        return await program().run(models=host, tools=host.tools, run=journaled)
    finally:
        await journaled.close()


def owned(journal: SqliteJournal, run: str) -> OpenRun:
    """Resume a run, or begin it."""
    try:
        return journal.resume(run)
    except UnknownRun:
        return journal.create(header(run))


# ---------------------------------------------------------------- what a run did


class Deeds(NamedTuple):
    """What files outside the journal say: calls of models by step and seed, and effects by key."""

    calls: Counter[str]
    effects: Counter[str]


def deeds(folder: Path, run: str) -> Deeds:
    """Read what a run did."""
    calls, effects = (
        Counter(path.read_text().splitlines() if path.exists() else ())
        for path in (folder / f"{run}.calls", folder / f"{run}.effects")
    )
    return Deeds(calls, effects)


def check_rows(rows: Sequence[Row], done: Deeds) -> Counter[str]:
    """Hold what a run did against its journal; return counts."""
    counts: Counter[str] = Counter()
    intents: Counter[Any] = Counter()
    replied: set[Any] = set()
    of_step: Counter[str] = Counter()
    for row in rows:
        key = row.path, row.indices, row.part
        if row.kind == "intent" and "tokens_in" in row.body:
            assert key not in replied, f"a call was begun whose reply is in the journal: {key}"
            intents[key] += 1
            of_step[_address(row)] += 1
        elif row.kind == "reply":
            assert key not in replied, f"two replies: {key}"
            replied.add(key)
    made: Counter[str] = Counter()
    for line, times in done.calls.items():
        made[line.split()[0]] += times
    for step, times in made.items():
        assert times <= of_step[step], f"{step} was asked {times} times, with {of_step[step]} intents"
    counts["calls"] = sum(made.values())
    counts["possibly repeated calls"] = sum(intents.values()) - len(replied)
    begun = {row.body["key"]: _address(row) for row in rows if row.body.get("effect")}
    ended = {_address(row) for row in rows if row.kind == "tool" and "failed" not in row.body}
    assert set(done.effects) <= set(begun), "an effect without an intent"
    for key, step in begun.items():
        assert done.effects[key] <= 1, f"the effect of {step} was repeated"
        if step in ended:
            assert done.effects[key] == 1, f"the effect of {step} is in the journal and did not happen"
        counts["effects in doubt" if step not in ended else "effects"] += 1
    return counts


def _address(row: Row) -> str:
    return f"{row.path}[{','.join(map(str, row.indices))}]" if row.indices else row.path


@cache
def undisturbed(folder: Path) -> tuple[str, int]:
    """Return the value of a run that is not disturbed, and how many calls of models it makes."""
    with SqliteJournal(folder / "undisturbed.db") as journal:
        result = asyncio.run(played(Host(folder, "u", 0.0), owned(journal, "u")))
        found = check_rows(journal.read("u")[1], deeds(folder, "u"))
    assert found["effects"] == EFFECTS and found["calls"] == result.calls >= CALLS
    return str(result.value), result.calls


# ---------------------------------------------------------------- kill -9


def kill(times: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Kill processes that run the program so many times, at random moments; each run is resumed until it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    value, _ = undisturbed(folder)
    dice = random.Random(seed)
    counts: Counter[str] = Counter()
    while counts["kills"] < times:
        run = f"r{counts['runs']}"
        counts.update(_killed_until_it_ends(folder, run, dice, value))
        counts["runs"] += 1
    return counts


def _killed_until_it_ends(folder: Path, run: str, dice: random.Random, value: str) -> Counter[str]:
    path = folder / f"{run[:-2]}.db"  # a file for each hundred runs
    counts: Counter[str] = Counter()
    acknowledged: dict[int, str] = {}
    while True:
        reading, told = os.pipe()
        child = fork(partial(_run_in_child, folder, path, run, told))
        os.close(told)
        if dice.random() < 0.5:  # at any moment
            text = _read(reading, seconds=dice.random() * 25 * PAUSE)
        else:  # just after a row was acknowledged
            text = _read(reading, size=dice.randrange(1, 400))
        os.kill(child, signal.SIGKILL)
        text += _read(reading)
        os.close(reading)
        _, status = os.waitpid(child, 0)
        lines = text.decode().split("\n")[:-1]
        for line in lines:
            first, _, rest = line.partition(" ")
            if first != "value":
                acknowledged[int(first)] = rest
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "it failed; its traceback is above"
        counts["kills"] += os.WIFSIGNALED(status)
        with SqliteJournal(path) as journal:
            try:
                rows = journal.read(run)[1]
            except UnknownRun:
                rows = ()
        for seq, kind in acknowledged.items():
            assert len(rows) >= seq and rows[seq - 1].kind == kind, f"{run}: row {seq} ({kind}) was lost"
        values = [line.partition(" ")[2] for line in lines if line.startswith("value ")]
        if values:
            assert values == [value], f"{run} gives {values[0]}, not {value}"
            counts["acknowledged rows"] = len(acknowledged)
            counts.update(check_rows(rows, deeds(folder, run)))
            return counts


def _run_in_child(folder: Path, path: Path, run: str, told: int) -> None:
    journal = SqliteJournal(path)
    result = asyncio.run(played(Host(folder, run), Telling(owned(journal, run), told)))
    os.write(told, f"value {result.value}\n".encode())
    journal.close()


def _read(pipe: int, *, seconds: float = 60.0, size: int = 2**30) -> bytes:
    """Read what comes within so many seconds, at most about a size, or until the other end is closed."""
    until = time.monotonic() + seconds
    text = b""
    while len(text) < size and (left := until - time.monotonic()) > 0:
        if select([pipe], [], [], left)[0]:
            more = os.read(pipe, min(64, size))
            if not more:
                break
            text += more
    return text


# ---------------------------------------------------------------- races


def races(times: int, folder: Path, racers: int = 3, seed: int = 0) -> Counter[str]:
    """Let processes resume one run of the program at the same moment, so many times; one of them has it."""
    folder.mkdir(parents=True, exist_ok=True)
    value, calls = undisturbed(folder)
    reading, results = os.pipe()
    pipes: list[tuple[int, int]] = []
    children = []
    for late in range(racers):
        start, go = os.pipe()
        others = [*(one for _, one in pipes), go, reading]
        children.append(fork(partial(_start, folder, value, start, results, late, others)))
        os.close(start)
        pipes.append((start, go))
    os.close(results)
    try:
        return _race(folder, calls, times, random.Random(seed), pipes, reading)
    finally:
        for _, go in pipes:
            os.close(go)
        os.close(reading)
        for child in children:  # without their pipe they end
            os.waitpid(child, 0)


def _race(
    folder: Path, calls: int, times: int, dice: random.Random, pipes: Sequence[tuple[int, int]], reading: int
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for number in range(times):
        run = f"r{number}"
        path = folder / f"{run[:-2]}.db"
        with SqliteJournal(path) as journal:
            asyncio.run(_begun(folder, run, journal, dice.randrange(30)))
        for _, go in pipes:
            os.write(go, b"g")
        outcome = b""
        while len(outcome) < len(pipes):
            outcome += os.read(reading, len(pipes))
            assert b"x" not in outcome, "a racer failed; its traceback is above"
        assert outcome.count(b"w") == 1, f"{outcome.count(b'w')} processes ran {run} to its end"
        with SqliteJournal(path) as journal:
            found = check_rows(journal.read(run)[1], deeds(folder, run))
        assert (found["calls"], found["effects"]) == (calls, EFFECTS), f"{run} did something twice: {found}"
        counts.update(found)
        counts.update({"races": 1, "refused": outcome.count(b"b"), "too late": outcome.count(b"l")})
    return counts


async def _begun(folder: Path, run: str, journal: SqliteJournal, rows: int) -> None:
    """Begin a run, and break it off softly after about so many rows."""
    journaled = journal.create(header(run))
    host = Host(folder, run, 0.0)
    try:
        await program().run(
            models=host,
            tools=host.tools,
            run=journaled,
            should_stop=lambda _: "enough" if len(journaled.rows()) >= rows else "",
        )
    except Exception as stopped:
        assert type(stopped).__name__ == "RunStopped", stopped
    finally:
        await journaled.close()


def _start(folder: Path, value: str, start: int, results: int, late: int, others: Sequence[int]) -> None:
    for other in others:
        os.close(other)
    _racer(folder, value, start, results, late)


def _racer(folder: Path, value: str, start: int, results: int, late: int) -> None:
    number = 0
    while os.read(start, 1):
        if late > 1:  # the first two come at the same moment, others at any
            time.sleep(draw(number, "late", late) * 60 * PAUSE)
        try:
            outcome = _raced(folder, f"r{number}", value)
        except BaseException:
            os.write(results, b"x")
            raise
        os.write(results, outcome)
        number += 1


def _raced(folder: Path, run: str, value: str) -> bytes:
    with SqliteJournal(folder / f"{run[:-2]}.db") as journal:
        try:
            journaled = journal.resume(run)
        except JournalBusy:
            return b"b"
        came_late = journaled.header.status == "ended"
        result = asyncio.run(played(Host(folder, run), journaled))
        assert result.value == value
        assert not came_late or result.steps_ran == 0
        return b"l" if came_late else b"w"
