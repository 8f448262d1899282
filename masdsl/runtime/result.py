"""What a run gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

from masdsl.runtime.events import Event, EventKind, RawEvent
from masdsl.runtime.meter import usd_of
from masdsl.runtime.shapes import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run gave, and what it took.

    `value` is typed (None in the result of a failed run). `calls` counts calls of models. `picodollars` is the exact
    cost of the calls whose model has a price, in units of 10^-12 USD; `unpriced_calls` is how many had none. `seconds`
    is wall time. `interventions` are those of a rectifier, in order (`masdsl.rectify.Intervention`).
    """

    value: Any
    calls: int
    tokens_in: int
    tokens_out: int
    picodollars: int
    seconds: float
    raw_events: tuple[RawEvent, ...] = field(repr=False, default=())
    unpriced_calls: int = 0
    interventions: tuple[Any, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, in order. They are made anew each time: most results are never asked for them."""
        return tuple(starmap(Event, self.raw_events))

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies together."""
        return self.tokens_in + self.tokens_out

    @property
    def usd(self) -> float:
        """The cost in USD: the number nearest to `picodollars`."""
        return usd_of(self.picodollars)

    @property
    def reused(self) -> int:
        """How many steps have their value from the journal at their own address."""
        return self._count("reused")

    @property
    def claimed(self) -> int:
        """How many steps have their value from the journal, of a step that stood elsewhere before a patch."""
        return self._count("claimed")

    @property
    def repeated(self) -> int:
        """How many calls were made that may have been paid for before, when the run was broken off."""
        return self._count("repeated")

    @property
    def steps_ran(self) -> int:
        """How many steps of agents and tools were begun, other than those from the journal."""
        return sum(event.kind == "started" and event.what != "flow" for event in self.events)

    def _count(self, kind: EventKind) -> int:
        return sum(event.kind == kind for event in self.events)

    def ran(self, path: str) -> int:
        """Return how often the step at a path (`main.refine.code`) was begun, over all iterations and samples."""
        return sum(event.kind == "started" and event.path == path for event in self.events)

    def to_json(self) -> dict[str, Any]:
        """Return value and counts as JSON data, without events."""
        told = [intervention.to_json() for intervention in self.interventions]
        return {
            "value": plain(self.value),
            "calls": self.calls,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "usd": self.usd,
            "seconds": self.seconds,
            **({"interventions": told} if told else {}),
        }
