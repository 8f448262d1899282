"""Runs in a journal for tests: a model that answers by a hash, and journals that are cut off after any row."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from typing import Any

from masdsl.journal.base import OpenRun, Row, RunHeader
from masdsl.journal.errors import JournalError
from masdsl.journal.memory import MemoryJournal, MemoryRun
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from tests.harness.world import value_of

SEED = 5


def header(
    run: str = "r1", *, inputs: dict[str, Any] | None = None, flow: str = "main", policy: str = "frozen"
) -> RunHeader:
    """Return the header of a run for tests."""
    return RunHeader(run, "test", {}, flow, inputs or {}, SEED, policy, 0.0, "0", tiers={"default": HashedModel.name})


class HashedModel:
    """Answers agents of generated programs by a hash of what is asked and of the seed, so that every sample differs.

    Every `faults`-th call fails, every `slips`-th reply is not of the type; `pace` is the longest answer in seconds.
    """

    name = "hashed"
    price: Price | None = Price(3.0, 7.0)

    def __init__(self, seed: int = 0, *, faults: int = 0, slips: int = 0, pace: int = 0) -> None:
        self.seed = seed
        self.faults = faults
        self.slips = slips
        self.pace = pace
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        asked = [self.seed, request.agent, request.seed, [message.content for message in request.messages]]
        digest = sha256(json.dumps(asked).encode("utf-8", "surrogatepass")).digest()
        if self.pace:
            await asyncio.sleep(digest[20] % (self.pace + 1))
        if self.faults and digest[21] % self.faults == 0:
            kinds: list[Any] = ["overloaded", "refused", "timeout"]
            raise ModelError(kinds[digest[22] % 3], "as the hash wants it", billed=digest[23] % 2 == 0)
        if self.slips and digest[24] % self.slips == 0:
            return Reply("?", model=self.name)
        value = value_of(request.agent.removeprefix("ask_"), digest)
        return Reply(value if isinstance(value, str) else json.dumps(value), model=self.name)

    async def close(self) -> None:
        """Do nothing."""


class CrashError(JournalError):
    """The process is gone."""


class Crashing:
    """A run of which only the first rows are written; the next one ends everything."""

    def __init__(self, run: OpenRun, rows: int) -> None:
        self.run = run
        self.left = rows

    @property
    def header(self) -> RunHeader:
        return self.run.header

    def rows(self) -> Sequence[Row]:
        return self.run.rows()

    def append(self, *args: Any, **more: Any) -> Awaitable[int]:
        if self.left == 0:
            raise CrashError("crashed")
        self.left -= 1
        return self.run.append(*args, **more)

    def set_status(self, status: str) -> Awaitable[int]:
        return self.run.set_status(status)

    async def close(self) -> None:
        await self.run.close()


def cut(rows: Sequence[Row], first: RunHeader, upto: int) -> MemoryRun:
    """Return a run that has the first rows of another one."""
    run = MemoryJournal().create(first)
    for row in rows[:upto]:
        run.append(row.kind, row.path, row.indices, row.part, row.args, row.decl, row.body)
    return run


def as_version_1(rows: Sequence[Row]) -> list[Row]:
    """Return rows as they were written before a reply could have its step's value: a reply, then a row `done`."""
    made: list[Row] = []
    places: dict[int, int] = {}
    for row in rows:
        seq, body = row.seq, dict(row.body)
        if row.kind == "reply" and "value" in body:
            value = body.pop("value")
            made.append(row._replace(seq=len(made) + 1, body={"text": value} | body))
            row, body = row._replace(kind="done", part=0), {"value": value, "t": body["t"]}
        elif row.kind == "claim":
            body["seq"] = places[body["seq"]]
        made.append(row._replace(seq=len(made) + 1, body=body))
        places[seq] = len(made)
    return made


def open_intents(rows: Sequence[Row]) -> list[Row]:
    """Return the intents without an outcome, by counting, independent of the runtime."""
    waiting: dict[Any, list[Row]] = {}
    for row in rows:
        key = row.path, row.indices, row.part
        if row.kind == "intent":
            waiting.setdefault(key, []).append(row)
        elif row.kind in ("reply", "fault", "tool") and waiting.get(key):
            waiting[key].pop()
    return [row for intents in waiting.values() for row in intents]
