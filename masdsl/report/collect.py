"""What a run did, step by step, from the rows of its journal (`masdsl/journal/base.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl.graph.overlay import TURN
from masdsl.journal.base import Row

Address: TypeAlias = tuple[str, tuple[int, ...]]
"""A step's path and the numbers of its rounds and draws."""

VALUE, FAILED, RUNNING = "value", "failed", "not ended"
UNFIT: Final = "it does not fit the declared type"
_VALUED: Final = ("reply", "tool", "done")
_CLOSING: Final = ("reply", "fault", "tool")


class Asked(NamedTuple):
    """What a step was given: of an agent the messages of its first request, of a tool its inputs, as JSON data."""

    kind: str
    name: str
    messages: tuple[tuple[str, str], ...]
    inputs: Mapping[str, Any]


class Call(NamedTuple):
    """One call of a model, or use of a tool: `begin` and `end` are seconds of the run.

    `end` is None while it is under way, `begin` where the journal does not say it. `reply` is what the model said,
    `fault` why the call brought none, `unfit` what was wrong with the reply.
    """

    turn: int
    attempt: int
    begin: float | None
    end: float | None
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    picodollars: int = 0
    seconds: float = 0.0
    reply: str | None = None
    gave_value: bool = False
    fault: str = ""
    unfit: str = ""


class Step(NamedTuple):
    """One step of the run; `state` is `value`, `failed` or `not ended`.

    `value` is JSON data, the declared default where `is_default`; `by` is what gave a tool's value, `came_from` where
    its value stood before a patch. `reason` is why it failed. `is_tool` says that a tool gave it.
    """

    path: str
    indices: tuple[int, ...]
    calls: tuple[Call, ...]
    state: str
    value: Any = None
    is_default: bool = False
    by: str = ""
    came_from: str = ""
    reason: str = ""
    asked: Asked | None = None
    is_tool: bool = False

    @property
    def address(self) -> str:
        """The step's address, such as `main.refine.code[1]`."""
        return f"{self.path}[{','.join(map(str, self.indices))}]" if self.indices else self.path


class _Open(NamedTuple):
    calls: dict[int, list[Call]]
    state: str = RUNNING
    value: Any = None
    is_default: bool = False
    by: str = ""
    came_from: str = ""
    reason: str = ""
    is_tool: bool = False


def steps_of(rows: Iterable[Row], asked: Mapping[Address, Asked]) -> tuple[Step, ...]:
    """Return the steps of a run in the order in which they began. `asked` is what is known of what they were given."""
    found: dict[Address, _Open] = {}
    values: dict[int, Any] = {}
    for row in rows:
        if not row.path:
            continue
        key = row.path, row.indices
        step = _with_row(found.get(key, _Open({})), row)
        if row.kind == "claim":
            step = step._replace(value=values.get(row.body.get("seq", 0)))
        if row.kind in _VALUED and "value" in row.body:
            values[row.seq] = row.body["value"]
        found[key] = step._replace(is_tool=step.is_tool or row.kind == "tool")
    return tuple(_step(key, step, asked.get(key)) for key, step in found.items())


def _step(key: Address, step: _Open, asked: Asked | None) -> Step:
    path, indices = key
    calls = _judged([call for part in sorted(step.calls) for call in step.calls[part]], step.state)
    known = (step.value, step.is_default, step.by, step.came_from, step.reason)
    return Step(path, indices, calls, step.state, *known, asked, step.is_tool)


def _judged(calls: Sequence[Call], state: str) -> tuple[Call, ...]:
    """Return the calls, of each reply that was followed by asking again said that it did not fit."""
    turns = [call.turn for call in calls]
    found = []
    for number, call in enumerate(calls):
        is_last = call.turn not in turns[number + 1 :]
        ended_it = number + 1 == len(calls) and state == FAILED
        if call.reply is not None and not (call.gave_value or call.unfit) and (not is_last or ended_it):
            call = call._replace(unfit=UNFIT)
        found.append(call)
    return tuple(found)


def _with_row(step: _Open, row: Row) -> _Open:
    body = row.body
    if row.kind == "intent":
        turn, attempt = divmod(row.part, TURN)
        step.calls.setdefault(row.part, []).append(Call(turn, attempt, _time(body), None))
    elif row.kind in _CLOSING:
        _close(step.calls.setdefault(row.part, []), row)
    if row.kind in _VALUED and "value" in body:
        return step._replace(
            state=VALUE,
            value=body["value"],
            is_default=bool(body.get("default")),
            by=str(body.get("by", "")),
            reason=step.reason if body.get("default") else "",
        )
    if row.kind == "claim":
        return step._replace(state=VALUE, came_from=str(body.get("from", "")))
    if row.kind == "failed":
        return step._replace(state=FAILED, reason=str(body.get("reason", "")))
    reason = str(body.get("failed") or body.get("detail") or step.reason)
    return step._replace(state=RUNNING if row.kind == "intent" else step.state, reason=reason)


def _close(calls: list[Call], row: Row) -> None:
    """Put an outcome where the last call without one is, or behind the others."""
    body = row.body
    end = _time(body)
    at = next((number for number in range(len(calls) - 1, -1, -1) if calls[number].end is None), -1)
    turn, attempt = divmod(row.part, TURN)
    begun = calls[at] if at >= 0 else Call(turn, attempt, _began(body, end), None)
    call = begun._replace(
        end=end,
        model=str(body.get("model") or body.get("by") or ""),
        tokens_in=_count(body, "tokens_in"),
        tokens_out=_count(body, "tokens_out"),
        picodollars=_count(body, "picodollars"),
        seconds=float(body.get("seconds") or 0.0),
        reply=_reply(row),
        gave_value="value" in body,
        fault=_fault(row),
        unfit=str(body.get("unfit", "")),
    )
    if at >= 0:
        calls[at] = call
    else:
        calls.append(call)


def _reply(row: Row) -> str | None:
    if row.kind != "reply":
        return None
    text = row.body.get("text", row.body.get("value", ""))
    return text if isinstance(text, str) else str(text)


def _fault(row: Row) -> str:
    if row.kind == "fault":
        return f"{row.body.get('kind', '')}: {row.body.get('detail', '')}"
    return str(row.body.get("failed", "")) if row.kind == "tool" else ""


def _time(body: Mapping[str, Any]) -> float | None:
    moment = body.get("t")
    return float(moment) if isinstance(moment, int | float) else None


def _began(body: Mapping[str, Any], end: float | None) -> float | None:
    seconds = body.get("seconds")
    return None if end is None or not isinstance(seconds, int | float) else max(end - seconds, 0.0)


def _count(body: Mapping[str, Any], name: str) -> int:
    number = body.get(name)
    return number if isinstance(number, int) else 0


class Bar(NamedTuple):
    """A call on the timeline: which step's and which of its calls, from when to when, in which lane."""

    step: int
    call: int
    begin: float
    end: float
    lane: int


def lanes(steps: Sequence[Step], now: float) -> tuple[tuple[Bar, ...], int]:
    """Return the calls of a run as bars, each in the first lane that is free when it begins, and the number of lanes.

    What is under way lasts until `now`, in seconds of the run.
    """
    spans = sorted(
        (
            call.begin if call.begin is not None else call.end or 0.0,
            call.end if call.end is not None else now,
            at,
            number,
        )
        for at, step in enumerate(steps)
        for number, call in enumerate(step.calls)
    )
    free: list[float] = []
    bars = []
    for begin, end, at, number in spans:
        lane = next((lane for lane, since in enumerate(free) if since <= begin), len(free))
        free[lane : lane + 1] = [max(end, begin)]
        bars.append(Bar(at, number, begin, max(end, begin), lane))
    return tuple(bars), len(free)
