"""A run that is under way in this process: who waits for it, what it has told so far, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, NamedTuple

from masdsl.money import PICODOLLARS
from masdsl.runtime import Event
from masdsl.serve.endpoints import Endpoint
from masdsl.serve.ledger import Entry, State, Usage
from masdsl.serve.problems import Problem

MOST_EVENTS: Final = 10_000
"""Events of a run that are kept for its readers; who is slower than that is told how many it has missed."""


class Outcome(NamedTuple):
    """How an attempt at a run ended. `problem` is the kind of problem that its caller is told, empty for none."""

    entry: Entry
    state: State
    usage: Usage
    value: Any = None
    step: str = ""
    reason: str = ""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the run as its caller is shown it."""
        return run_json(self.entry, self.state, self.usage) | (
            {"value": self.value}
            if self.state == "ended"
            else {"failure": {"step": self.step, "reason": self.reason, "kind": self.problem}}
        )

    def as_problem(self) -> Problem:
        """Return what the caller is told who waited for a value."""
        more: dict[str, Any] = {"run": self.entry.id, "usage": usage_json(self.usage)}
        if self.step:
            more["step"] = self.step
        kind = self.problem
        waits = 1.0 if kind in ("run-interrupted", "journal-unavailable") else None
        return Problem(kind, self.reason or "it gave no value", more=more, retry_after=waits)


def run_json(entry: Entry, state: State, usage: Usage) -> dict[str, Any]:
    """Return what is said of every run."""
    program, _, flow = entry.endpoint.partition("/")
    return {
        "run": entry.id,
        "program": program,
        "flow": flow,
        "status": state,
        "created": round(entry.created, 3),
        "usage": usage_json(usage),
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return what a run took as JSON data."""
    shown = {**usage._asdict(), "usd": usage.picodollars / PICODOLLARS}
    del shown["picodollars"]
    return shown


class Live:
    """A run under way. All of it belongs to one event loop."""

    def __init__(self, entry: Entry, endpoint: Endpoint) -> None:
        self.entry = entry
        self.endpoint = endpoint
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.count = 0
        """How many events there were."""
        self.outcome: Outcome | None = None
        self.task: asyncio.Task[None] | None = None
        self.stop_reason = ""
        self.is_stopped_by_caller = False
        self.waiting = 0
        """How many requests wait for the run or read its events."""
        self.is_kept = False
        """Whether it goes on when nobody waits for it: somebody knows how to ask for it again."""
        self.was_read = False
        """Whether somebody read its events: who was cut off may want to go on."""
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def tell(self, event: Event) -> None:
        """Keep an event, and wake who reads them."""
        self.events.append(event)
        self.count += 1
        self._wake()

    def end(self, outcome: Outcome) -> None:
        """Say how it ended."""
        self.outcome = outcome
        self._ended.set_result(outcome)
        self._wake()

    def should_stop(self, state: object) -> str:
        """Return why no further step may begin; empty while they may."""
        return self.stop_reason

    def stop(self, reason: str, *, by_caller: bool) -> None:
        """Let no further step begin; what is under way ends and is kept."""
        if not self.stop_reason:
            self.stop_reason, self.is_stopped_by_caller = reason, by_caller

    def leave(self) -> None:
        """Say that a request waits no more."""
        self.waiting -= 1
        if not self.waiting and not self.is_kept and self.outcome is None:
            self.stop("nobody waits for it any more", by_caller=True)

    async def wait(self, seconds: float | None = None) -> Outcome | None:
        """Wait for its end; None where that takes longer."""
        await asyncio.wait((self._ended,), timeout=seconds)
        return self.outcome

    async def news(self, seen: int, seconds: float) -> bool:
        """Wait until there are more events than `seen`, or it has ended; False where that takes longer."""
        if self.count > seen or self.outcome is not None:
            return True
        done, _ = await asyncio.wait((self._news,), timeout=seconds)
        return bool(done)

    def since(self, seen: int) -> tuple[int, list[Event]]:
        """Return the events after the first `seen`, and how many of those are kept no more."""
        first = self.count - len(self.events)
        missed = max(first - seen, 0)
        skip = max(seen - first, 0)
        return missed, list(self.events)[skip:]

    def _wake(self) -> None:
        if self._news.done():
            return
        self._news.set_result(None)
        self._news = self._news.get_loop().create_future()
