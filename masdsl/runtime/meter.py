"""The budget of a run: reserve what a call may cost at worst, make it, settle for what it did cost.

A meter watches one set of limits; the slices of a budget (`within calls 4 {..}`) are meters below it, and a call must
fit all of them. What counts:

- calls: every call of a model, whether it succeeded or not. Calls of tools count as none: their number is bounded by
  the program, and what they cost is the host's affair. They still end with the budget's seconds.
- tokens: of prompts and replies together. A call reserves its prompt and the longest reply it allows.
- usd: the same at the model's price, in whole picodollars. Under a limit in USD, a model whose price is unknown is
  refused.
- seconds: wall time since the meter began. A call may not take longer than what is left.

All counts are whole numbers, and none is ever above its limit. A call that does not fit is refused before anything is
sent. One that would fit if calls under way did not need all they have reserved waits for these to settle, so that
parallel steps spend a budget as fully as sequential ones; who waits is served in the order of asking, and wakes nobody
else for nothing. All methods run in one event loop, and nothing is awaited between the test and the reservation.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Final, NamedTuple

from masdsl.money import PICODOLLARS, BadAmount, TokenPrice, limit_of
from masdsl.runtime.alarm import clock_of
from masdsl.runtime.events import rounded
from masdsl.runtime.failures import BudgetRefused

LEAST_SECONDS: Final = 1e-6
"""Less time than that is none: what floating point leaves of a deadline that has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A budget or a slice of one; None is no limit. `usd` and `seconds` may be fractions.

    Raises ValueError for a limit that is negative, not finite, or (calls, tokens) no whole number.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens"):
            whole = getattr(self, name)
            if whole is not None and (not isinstance(whole, int) or isinstance(whole, bool) or whole < 0):
                raise ValueError(f"the limit of {name} is {whole!r}: give a whole number from 0 on, or None for none")
        if self.usd is not None:
            try:
                limit_of(self.usd)
            except BadAmount as fault:
                raise ValueError(f"the limit of usd {fault}: {self.usd!r}") from None
        seconds: object = self.seconds
        if seconds is not None:
            is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not (is_number and isfinite(self.seconds or 0.0) and (self.seconds or 0.0) >= 0):
                raise ValueError(f"the limit of seconds is {seconds!r}: give a number from 0 on, or None for none")


NO_LIMITS: Final = Limits()


def tightest(*all_limits: Limits | None) -> Limits | None:
    """Return the limits that hold where several do, None where none does."""
    given = [limits for limits in all_limits if limits is not None]
    if not given:
        return None
    lowest = {}
    for name in ("calls", "tokens", "usd", "seconds"):
        lowest[name] = min((value for limits in given if (value := getattr(limits, name)) is not None), default=None)
    return Limits(**lowest)


def usd_of(picodollars: int) -> float:
    """Return the US dollars nearest to an amount of picodollars."""
    return picodollars / PICODOLLARS


def _in_usd(picodollars: int) -> str:
    """Return an amount in USD with all its digits."""
    whole, rest = divmod(picodollars, PICODOLLARS)
    return f"{whole}.{rest:012d}".rstrip("0").removesuffix(".")


class Cost(NamedTuple):
    """What a call may cost, or did: tokens of the prompt and of the reply, and picodollars (None: nobody knows)."""

    tokens_in: int = 0
    tokens_out: int = 0
    picodollars: int | None = 0

    @property
    def tokens(self) -> int:
        """Tokens of both directions."""
        return self.tokens_in + self.tokens_out

    @property
    def usd(self) -> float:
        """US dollars, the nearest there is to the picodollars; 0.0 where nobody knows."""
        return usd_of(self.picodollars or 0)


class Measures(NamedTuple):
    """An amount in each measure of a budget; in what is left, None is no limit."""

    calls: int | None = 0
    tokens: int | None = 0
    usd: float | None = 0.0
    seconds: float | None = 0.0


def _least(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)


def cost_of(tokens_in: int, tokens_out: int, price: TokenPrice | None) -> Cost:
    """Return the cost of a call at a price."""
    return Cost(tokens_in, tokens_out, None if price is None else price.of(tokens_in, tokens_out))


@dataclass(eq=False, slots=True)
class Claim:
    """A call that asks for room: the address of its step, its worst cost, its model, and how many calls it counts.

    Once it has room, it holds it until it is settled.
    """

    step: str
    cost: Cost
    model: str
    calls: int
    settled: bool = False


class _Ticket:
    """The place of a call that waits for room, whichever meter it waits at: who has asked before is served before.

    Were it new at each meter, two calls could wait for each other in turns, at two meters, for ever.
    """

    __slots__ = ("called", "number")
    called: asyncio.Future[None]
    """Done when it is time to try again."""

    def __init__(self, number: int) -> None:
        self.number = number


def _since(ticket: _Ticket) -> int:
    return ticket.number


class Meter:
    """Counts what is spent below it, and what is reserved. `name` says in messages whose limits these are."""

    __slots__ = (
        *("_above", "_asked", "_ends_above", "_is_limited", "_most_picodollars", "_queue", "_time", "began", "calls"),
        *("deadline", "held_picodollars", "held_tokens", "limits", "name", "picodollars", "tokens_in", "tokens_out"),
    )

    def __init__(self, limits: Limits, name: str, parent: Meter | None = None, *, elapsed: float = 0.0) -> None:
        """`elapsed` is how many of its seconds are gone already, in an earlier part of a run that goes on."""
        self.limits = limits
        self.name = name
        self.calls = 0
        self.tokens_in = 0
        self.tokens_out = 0
        self.picodollars = 0
        self.held_tokens = 0
        self.held_picodollars = 0
        self._time: Callable[[], float] = clock_of(asyncio.get_running_loop()) if parent is None else parent._time
        self.began = self._time() - elapsed
        self._most_picodollars = None if limits.usd is None else limit_of(limits.usd)
        self._above: tuple[Meter, ...] = () if parent is None else parent.chain
        self._is_limited: bool = limits != NO_LIMITS or (parent is not None and parent._is_limited)
        self._queue: list[_Ticket] = []  # in the order of asking
        self._asked = 0
        self.deadline: float | None = None if parent is None else parent.deadline
        """The loop's time at which the time of this meter, or of one above it, is used up; None without a limit."""
        self._ends_above = None if parent is None else parent._ends_first
        if limits.seconds is not None and (self.deadline is None or self.began + limits.seconds <= self.deadline):
            self.deadline, self._ends_above = self.began + limits.seconds, None

    @property
    def _ends_first(self) -> Meter:
        """The meter whose time is used up first."""
        return self if self._ends_above is None else self._ends_above

    @property
    def time_is_up(self) -> str:
        """What to say when the deadline has come: whose seconds are used up."""
        meter = self._ends_first
        return f"the {meter.limits.seconds or 0:g} seconds of {meter.name} are used up"

    def used_share(self) -> float:
        """Return which share of its limits is used up, of the one of which most is: calls, tokens, usd or seconds.

        It is 0.0 without limits, and at most 1.0 but for seconds, which pass by themselves. Limits above count as well.
        """
        return max((used / most for used, most in self._uses() if used), default=0.0)

    def elapsed(self) -> float:
        """Return the seconds since this meter began."""
        return self._time() - self.began

    def spent(self) -> Measures:
        """Return what was spent below this meter."""
        usd, seconds = usd_of(self.picodollars), rounded(self.elapsed())
        return Measures(self.calls, self.tokens_in + self.tokens_out, usd, seconds)

    def remaining(self) -> Measures:
        """Return what is left, by this meter's limits and all above it; None where there is no limit."""
        left: list[float | None] = [None] * 4
        for meter in self.chain:
            limits, spent = meter.limits, meter.spent()
            measures = (limits.calls, limits.tokens, None, limits.seconds)
            for at, (most, used) in enumerate(zip(measures, spent, strict=True)):
                if most is not None:
                    left[at] = _least(left[at], max(most - (used or 0), 0))
            if meter._most_picodollars is not None:
                left[2] = _least(left[2], usd_of(max(meter._most_picodollars - meter.picodollars, 0)))
        calls, tokens, usd, seconds = left
        return Measures(None if calls is None else int(calls), None if tokens is None else int(tokens), usd, seconds)

    def charge(self, cost: Cost, calls: int, above: tuple[Meter, ...] = ()) -> None:
        """Count what was spent before, in an earlier part of a run that goes on; not in the meters `above`."""
        for meter in self.chain:
            if meter not in above:
                meter.calls += calls
                meter.tokens_in += cost.tokens_in
                meter.tokens_out += cost.tokens_out
                meter.picodollars += cost.picodollars or 0

    @property
    def chain(self) -> tuple[Meter, ...]:
        """This meter and all above it, from the inside out."""
        return (self, *self._above)

    def reserve_now(self, claim: Claim) -> bool:
        """Do what `reserve` does, where there is room at once; else do nothing, and return False."""
        if self._first_without_room(claim, None) is not None:
            return False
        self._hold(claim)
        return True

    async def reserve(self, claim: Claim, until: float | None = None) -> Claim:
        """Make room for a call, counting its calls already, and return it.

        `until` is a time of the loop until which it may wait for calls under way. Raises BudgetRefused, for the limit
        that has no room, nothing having been counted.
        """
        ticket: _Ticket | None = None
        full: Meter | None = None
        try:
            while (room := self._first_without_room(claim, ticket)) is not None:
                if ticket is None:
                    ticket = self.chain[-1]._new_ticket()
                if room is not full:
                    if full is not None:
                        full._leave(ticket)
                    insort(room._queue, ticket, key=_since)
                    full = room
                ticket.called = asyncio.get_running_loop().create_future()
                await self._wait(claim, full, ticket, until)
            self._hold(claim)
            return claim
        finally:
            if full is not None and ticket is not None:
                full._leave(ticket)

    def release(self, claim: Claim) -> None:
        """Take back what was reserved for a call that was not made after all."""
        if not claim.settled:
            for meter in self.chain:
                meter.calls -= claim.calls
            self.settle(claim, Cost())

    def settle(self, claim: Claim, cost: Cost) -> None:
        """Replace what was reserved by what the call did cost, which cannot be more. Only the first time counts."""
        if claim.settled:
            return
        held_tokens, held_picodollars = claim.cost.tokens, claim.cost.picodollars or 0
        tokens_in, tokens_out, picodollars = cost.tokens_in, cost.tokens_out, cost.picodollars or 0
        if tokens_in + tokens_out > held_tokens or picodollars > held_picodollars:
            raise AssertionError(f"{cost} is more than the {claim.cost} reserved: a fault of the runtime")
        claim.settled = True
        for meter in self.chain:
            meter.held_tokens -= held_tokens
            meter.held_picodollars -= held_picodollars
            meter.tokens_in += tokens_in
            meter.tokens_out += tokens_out
            meter.picodollars += picodollars
        if self._is_limited:
            for meter in self.chain:
                meter._call_next()

    # ------------------------------------------------------------ shares

    def _uses(self) -> Iterator[tuple[float, float]]:
        """Yield what is used and how much of it there is, for every limit."""
        for meter in self.chain:
            limits = meter.limits
            if limits.calls:
                yield meter.calls, limits.calls
            if limits.tokens:
                yield meter.tokens_in + meter.tokens_out, limits.tokens
            if meter._most_picodollars:
                yield meter.picodollars, meter._most_picodollars
            if limits.seconds:
                yield meter.elapsed(), limits.seconds

    # ------------------------------------------------------------ room

    def _first_without_room(self, claim: Claim, ticket: _Ticket | None) -> Meter | None:
        """Return the innermost meter in which the call fits only once others have settled, or have had their turn.

        Raises BudgetRefused where it cannot fit at all.
        """
        found = None
        for meter in self.chain if self._is_limited else ():
            if not meter._has_room(claim, ticket) and found is None:
                found = meter
        return found

    def _hold(self, claim: Claim) -> None:
        tokens, picodollars = claim.cost.tokens, claim.cost.picodollars or 0
        for meter in self.chain:
            meter.calls += claim.calls
            meter.held_tokens += tokens
            meter.held_picodollars += picodollars

    def _has_room(self, claim: Claim, ticket: _Ticket | None) -> bool:
        """Whether the call fits now; raise BudgetRefused when it never will."""
        limits, cost = self.limits, claim.cost
        if limits.calls is not None and self.calls + claim.calls > limits.calls:
            used_up = f"all {limits.calls} calls are used up" if limits.calls else "it allows no calls"
            raise self._refusal(claim, "calls", used_up)
        if limits.seconds is not None and self.elapsed() >= limits.seconds - LEAST_SECONDS:
            used_up = f"the {limits.seconds:g} seconds are used up" if limits.seconds else "it allows no time"
            raise self._refusal(claim, "seconds", used_up)
        room = True
        if limits.tokens is not None:
            left = limits.tokens - self.tokens_in - self.tokens_out
            if cost.tokens > left:
                what = f"it may need {cost.tokens} tokens and {left} of {limits.tokens} are left"
                if cost.tokens > limits.tokens:
                    what = f"it may need {cost.tokens} tokens, more than the {limits.tokens} in all"
                raise self._refusal(claim, "tokens", what)
            room = cost.tokens <= left - self.held_tokens
        if self._most_picodollars is not None:
            if cost.picodollars is None:
                what = f"the price of the model `{claim.model}` is unknown, so a limit in USD cannot be kept"
                raise self._refusal(claim, "usd", what)
            left = self._most_picodollars - self.picodollars
            if cost.picodollars > left:
                may, most = _in_usd(cost.picodollars), _in_usd(self._most_picodollars)
                what = f"it may cost {may} USD and {_in_usd(left)} of {most} are left"
                if cost.picodollars > self._most_picodollars:
                    what = f"it may cost {may} USD, more than the {most} in all"
                raise self._refusal(claim, "usd", what)
            room = room and cost.picodollars <= left - self.held_picodollars
        others_first = bool(self._queue) and (ticket is None or self._queue[0].number < ticket.number)
        return room and not (others_first and cost.tokens)

    def _refusal(self, claim: Claim, limit: str, what: str) -> BudgetRefused:
        return BudgetRefused(claim.step, f"refused by {self.name}: {what}", limit=limit)

    # ------------------------------------------------------------ waiting

    async def _wait(self, claim: Claim, full: Meter, ticket: _Ticket, until: float | None) -> None:
        """Wait until a call has settled in the meter that is full, but not beyond `until` or the deadline."""
        ends = [end for end in (until, self.deadline) if end is not None]
        try:
            async with asyncio.timeout_at(min(ends) if ends else None):
                await ticket.called
        except TimeoutError:
            if self.deadline is not None and (until is None or self.deadline <= until):
                meter = self._ends_first
                what = f"the {meter.limits.seconds:g} seconds were used up while it waited for calls under way"
                raise meter._refusal(claim, "seconds", what) from None
            limit = "usd" if full.limits.tokens is None else "tokens"
            what = "calls under way held what is left until the step's own time was used up"
            raise full._refusal(claim, limit, what) from None

    def _new_ticket(self) -> _Ticket:
        self._asked += 1
        return _Ticket(self._asked)

    def _leave(self, ticket: _Ticket) -> None:
        """Leave the queue; whoever was next may try."""
        if ticket in self._queue:
            was_first = self._queue[0] is ticket
            self._queue.remove(ticket)
            if was_first:
                self._call_next()

    def _call_next(self) -> None:
        if self._queue and not self._queue[0].called.done():
            self._queue[0].called.set_result(None)
