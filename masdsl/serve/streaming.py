"""The events of a run as server-sent events (the HTML standard, section 9.2).

    event: run       id: 1-0    data: the run, as GET /v1/runs/{id} shows it      first, in every stream
    event: step      id: 1-17   data: an event of `masdsl.runtime.events`
    event: missed    id: 1-40   data: {"events": 23}    the reader was slower than the service keeps events
    event: ended     id: 1-41   data: the run with its value                      last
    event: failed    id: 1-41   data: a problem (RFC 9457)                        last

An id is the attempt at the run and the number of the event in it. A reader that was cut off sends the last one it saw
as `Last-Event-ID` and gets what follows. Comments (`: ...`) keep connections open. A reader holds no events of its own,
so a slow one costs the service nothing but its socket.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from masdsl.runtime import Event
from masdsl.serve.live import Live, Outcome, run_json
from masdsl.serve.problems import json_bytes

EVENT_STREAM: Final = "text/event-stream"
HEADERS: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
RETRY: Final = b"retry: 2000\n\n"
HEARTBEAT: Final = b": still running\n\n"
TOGETHER: Final = 50
"""Events that go into one piece of the answer at most: the connection may refuse the next one for a while."""
Last = Callable[[Outcome], tuple[str, Any]]
"""Says the kind and the data of the last event."""
_ID: Final = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


async def live_events(
    live: Live, last_seen: str, heartbeat: float, *, values: bool, last: Last | None = None
) -> AsyncIterator[bytes]:
    """Yield the events of a run under way, or just ended, after the one that was seen last, up to its end.

    `last` says what is told of its end, where that is something else than a value or a problem.
    """
    attempt = live.entry.attempt
    seen = _seen(last_seen, attempt)
    yield RETRY
    if not seen:
        yield _sent("run", attempt, 0, run_json(live.entry, "running", live.entry.usage))
    while True:
        missed, events = live.since(seen)
        if missed:
            seen += missed
            yield _sent("missed", attempt, seen, {"events": missed})
        for event in events[:TOGETHER]:
            seen += 1
            yield _sent("step", attempt, seen, _shown(event, values))
        if len(events) > TOGETHER:
            continue
        if live.outcome is not None and seen >= live.count:
            yield _end(live.outcome, seen + 1, last)
            return
        while not await live.news(seen, heartbeat):
            yield HEARTBEAT


async def ended_events(outcome: Outcome, last_seen: str, last: Last | None = None) -> AsyncIterator[bytes]:
    """Yield what is left of a run whose events are kept no more: how it ended."""
    yield RETRY
    if not _seen(last_seen, outcome.entry.attempt):
        shown = run_json(outcome.entry, outcome.state, outcome.usage)
        yield _sent("run", outcome.entry.attempt, 0, shown)
    yield _end(outcome, max(_seen(last_seen, outcome.entry.attempt), 1), last)


def _end(outcome: Outcome, number: int, last: Last | None) -> bytes:
    attempt = outcome.entry.attempt
    if last is not None:
        kind, data = last(outcome)
        return _sent(kind, attempt, number, data)
    if outcome.state == "ended":
        return _sent("ended", attempt, number, outcome.to_json())
    return _sent("failed", attempt, number, outcome.as_problem().to_json())


def _seen(last: str, attempt: int) -> int:
    """Return how many events of this attempt have been seen; none where the id is of another one, or is none."""
    found = _ID.fullmatch(last)
    return int(found[2]) if found is not None and int(found[1]) == attempt else 0


def _shown(event: Event, values: bool) -> dict[str, Any]:
    data = event.to_json()
    if not values:
        data.pop("value", None)
    return data


def _sent(kind: str, attempt: int, number: int, data: Any) -> bytes:
    return b"event: %b\nid: %d-%d\ndata: %b\n\n" % (kind.encode(), attempt, number, json_bytes(data))
