"""Where a run stands: what `should_stop` is asked about, and what whoever repairs a program is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, NamedTuple

from masdsl.runtime.events import VALUED, Event, RawEvent, StepKind, address, read_address
from masdsl.runtime.failures import BudgetRefused, StepFailed
from masdsl.runtime.meter import Measures, Meter


class FinishedStep(NamedTuple):
    """A step of an agent or a tool that has its value (JSON data)."""

    path: str
    indices: tuple[int, ...]
    what: StepKind
    name: str
    value: Any
    is_default: bool

    @property
    def address(self) -> str:
        """The step's address, such as `main.refine.code[1]`."""
        return address(self.path, self.indices)


class Failure(NamedTuple):
    """A step that failed for good; `limit` is the measure of the budget that refused it, if one did."""

    path: str
    indices: tuple[int, ...]
    reason: str
    limit: str | None

    @property
    def address(self) -> str:
        """The step's address, such as `main.refine.code[1]`."""
        return address(self.path, self.indices)


class State:
    """Where a run stands. It shows the run as it goes on, and stays as it is once the run has ended.

    `finished` are its finished steps in the order in which they ended, `failure` is what ended the run (None while it
    goes on). `spent` and `remaining` are amounts by the run's budget and all limits around it (None: no limit), and
    `used_share` is the largest share of one of them that is used up: C(s) of the rectifier's trigger.
    """

    __slots__ = ("_events", "_kept", "_meter", "failure")

    def __init__(self, events: Sequence[RawEvent], meter: Meter) -> None:
        self._events = events
        self._meter = meter
        self._kept: tuple[Measures, Measures, float] | None = None
        self.failure: Failure | None = None

    @property
    def finished(self) -> tuple[FinishedStep, ...]:
        """The finished steps of agents and tools."""
        return tuple(
            FinishedStep(
                event.path, event.indices, event.what, event.name, event.value, event.detail.startswith("default")
            )
            for event in starmap(Event, self._events)
            if event.kind in VALUED and event.what != "flow"
        )

    @property
    def spent(self) -> Measures:
        """What was spent so far, in earlier parts of the run too."""
        return self._meter.spent() if self._kept is None else self._kept[0]

    @property
    def remaining(self) -> Measures:
        """What is left of each limit, of all limits around the run the least."""
        return self._meter.remaining() if self._kept is None else self._kept[1]

    @property
    def used_share(self) -> float:
        """The largest share of a limit that is used up, 0.0 without limits."""
        return self._meter.used_share() if self._kept is None else self._kept[2]

    def end(self, failure: StepFailed | None = None) -> State:
        """Keep everything as it is now; `failure` is what ended the run."""
        if failure is not None:
            limit = failure.limit if isinstance(failure, BudgetRefused) else None
            self.failure = Failure(*read_address(failure.step), failure.reason, limit)
        self._kept = self.spent, self.remaining, self.used_share
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        failure = self.failure
        return {
            "finished": [
                {"step": step.address, "calls": step.name, "value": step.value, "default": step.is_default}
                for step in self.finished
            ],
            "failure": None
            if failure is None
            else {"step": failure.address, "reason": failure.reason, "limit": failure.limit},
            "spent": self.spent._asdict(),
            "remaining": self.remaining._asdict(),
            "used_share": self.used_share,
        }
