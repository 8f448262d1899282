"""What a run gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from masdsl.runtime.events import Event
from masdsl.runtime.meter import usd_of
from masdsl.runtime.shapes import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run gave, and what it took.

    `value` is typed (None in the result of a failed run). `calls` counts calls of models. `picodollars` is the exact
    cost of the calls whose model has a price, in units of 10^-12 USD; `unpriced_calls` is how many had none. `seconds`
    is wall time.
    """

    value: Any
    calls: int
    tokens_in: int
    tokens_out: int
    picodollars: int
    seconds: float
    events: tuple[Event, ...] = field(repr=False, default=())
    unpriced_calls: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies together."""
        return self.tokens_in + self.tokens_out

    @property
    def usd(self) -> float:
        """The cost in USD: the number nearest to `picodollars`."""
        return usd_of(self.picodollars)

    def ran(self, path: str) -> int:
        """Return how often the step at a path (`main.refine.code`) was begun, over all iterations and samples."""
        return sum(event.kind == "started" and event.path == path for event in self.events)

    def to_json(self) -> dict[str, Any]:
        """Return value and counts as JSON data, without events."""
        return {
            "value": plain(self.value),
            "calls": self.calls,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "usd": self.usd,
            "seconds": self.seconds,
        }
