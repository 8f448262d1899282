"""The budget of a run: reserve what a call may cost at worst, make it, settle for what it did cost.

A meter watches one set of limits; the slices of a budget (`within calls 4 {..}`) are meters below it, and a call must
fit all of them. What counts:

- calls: every call of a model, whether it succeeded or not. Calls of tools count as none: their number is bounded by
  the program, and what they cost is the host's affair. They still end with the budget's seconds.
- tokens: of prompts and replies together. A call reserves its prompt and the longest reply it allows.
- usd: the same at the model's price. Under a limit in USD, a model whose price is unknown is refused.
- seconds: wall time since the meter began. A call may not take longer than what is left.

A call that does not fit is refused before anything is sent. One that would fit if calls under way did not need all they
have reserved waits for these to settle, so that parallel steps spend a budget as fully as sequential ones. All methods
run in one event loop, and nothing is awaited between the test and the reservation.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from masdsl.runtime.failures import BudgetRefused
from masdsl.runtime.models.base import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A budget or a slice of one; None is no limit. `usd` and `seconds` may be fractions."""

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None


class Cost(NamedTuple):
    """What a call may cost, or did: tokens of the prompt and of the reply, and USD (None: nobody knows)."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = 0.0

    @property
    def tokens(self) -> int:
        """Tokens of both directions."""
        return self.tokens_in + self.tokens_out


def cost_of(tokens_in: int, tokens_out: int, price: Price | None) -> Cost:
    """Return the cost of a call at a price per million tokens."""
    usd = None if price is None else (tokens_in * price.input + tokens_out * price.output) / 1_000_000
    return Cost(tokens_in, tokens_out, usd)


_ROUNDING = 1e-12


@dataclass(eq=False, slots=True)
class Reservation:
    """Room for one call in a meter and all above it, until it is settled."""

    meter: Meter
    cost: Cost
    calls: int
    settled: bool = False


@dataclass(eq=False)
class Meter:
    """Counts what is spent below it, and what is reserved. `name` says in messages whose limits these are."""

    limits: Limits
    name: str
    parent: Meter | None = None
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    held_tokens: int = 0
    held_usd: float = 0.0
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chain: tuple[Meter, ...] = (self, *(self.parent._chain if self.parent else ()))
        ends = [meter.began + meter.limits.seconds for meter in self._chain if meter.limits.seconds is not None]
        self.deadline = min(ends, default=None)
        """The loop's time at which the time of this meter, or of one above it, is used up."""

    async def reserve(
        self, step: str, cost: Cost, model: str = "", until: float | None = None, *, calls: int = 1
    ) -> Reservation:
        """Make room for one call of at most this cost, counting it as `calls` calls already.

        `step` is its address for the message; `until` is a time of the loop until which it may wait for calls under
        way. Raises BudgetRefused, for the limit that has no room, nothing having been counted.
        """
        while True:
            held_up = False
            for meter in self._chain:
                held_up = meter._must_wait(step, cost, model, calls) or held_up
            if not held_up:
                break
            await self._wait(step, until)
        for meter in self._chain:
            meter.calls += calls
            meter.held_tokens += cost.tokens
            meter.held_usd += cost.usd or 0.0
        return Reservation(self, cost, calls)

    def release(self, reservation: Reservation) -> None:
        """Take a reservation back whose call was not made after all."""
        if not reservation.settled:
            for meter in self._chain:
                meter.calls -= reservation.calls
            self.settle(reservation, Cost())

    def settle(self, reservation: Reservation, cost: Cost) -> None:
        """Replace what was reserved by what the call did cost. Only the first time counts."""
        if reservation.settled:
            return
        reservation.settled = True
        for meter in self._chain:
            meter.held_tokens -= reservation.cost.tokens
            meter.held_usd -= reservation.cost.usd or 0.0
            meter.tokens_in += cost.tokens_in
            meter.tokens_out += cost.tokens_out
            meter.usd += cost.usd or 0.0
        top = self._chain[-1]
        waiting, top._waiting = top._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _must_wait(self, step: str, cost: Cost, model: str, calls: int) -> bool:
        """Whether the call fits only once others have settled; raise BudgetRefused when it cannot."""
        limits = self.limits
        if limits.calls is not None and self.calls + calls > limits.calls:
            raise self._refusal(step, "calls", f"all {limits.calls} calls are used up")
        if limits.seconds is not None and asyncio.get_running_loop().time() >= self.began + limits.seconds:
            raise self._refusal(step, "seconds", f"the {limits.seconds:g} seconds are used up")
        wait = False
        if limits.tokens is not None:
            left = limits.tokens - self.tokens_in - self.tokens_out
            if cost.tokens > left:
                what = f"it may need {cost.tokens} tokens and {max(left, 0)} of {limits.tokens} are left"
                raise self._refusal(step, "tokens", what)
            wait = cost.tokens > left - self.held_tokens
        if limits.usd is not None:
            if cost.usd is None:
                what = f"the price of the model `{model}` is unknown, so a limit in USD cannot be kept"
                raise self._refusal(step, "usd", what)
            left_usd = limits.usd - self.usd
            if cost.usd > left_usd + _ROUNDING:
                what = f"it may cost {cost.usd:.6f} USD and {max(left_usd, 0.0):.6f} of {limits.usd:g} are left"
                raise self._refusal(step, "usd", what)
            wait = wait or cost.usd > left_usd - self.held_usd + _ROUNDING
        return wait

    def _refusal(self, step: str, limit: str, what: str) -> BudgetRefused:
        return BudgetRefused(step, f"refused by {self.name}: {what}", limit=limit)

    async def _wait(self, step: str, until: float | None) -> None:
        """Wait until a call settles, but not beyond `until` or the deadline."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._chain[-1]._waiting.append(waiter)
        ends = [end for end in (until, self.deadline) if end is not None]
        try:
            async with asyncio.timeout_at(min(ends) if ends else None):
                await waiter
        except TimeoutError:
            raise self._refusal(step, "seconds", "no call under way left room in time") from None
