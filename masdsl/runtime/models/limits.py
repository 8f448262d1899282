"""Limits of a provider that are waited for instead of run into: calls at once, calls and tokens a minute.

What a provider allows stands in the model's entry of the configuration (`at_once`, `calls_per_minute`,
`tokens_per_minute`). Where it says "too many" nevertheless (429), fewer calls are made at once from then on: half as
many after each such answer, one more for every round without one (additive increase, multiplicative decrease).

Waiting for a place comes before a call's time, and counts neither as an attempt nor as time of the step: the runtime
asks for the place (`masdsl.runtime.calling`) and then makes the call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, ModelError, Place, Places, Request, places_of
from masdsl.sizes import counted_tokens

PATIENCE: Final = 900.0
"""Seconds for which a provider may say "too many" without a single answer in between, before a call fails of it."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_BURST: Final = 5.0
"""Seconds whose calls and tokens may be used up at once."""


class Rates(NamedTuple):
    """What a provider allows; None is no limit. Tokens are those of prompts and of the longest replies asked for."""

    at_once: int | None = None
    calls_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def share(self, workers: int) -> Rates:
        """Return what each of so many workers may use. Raises ValueError where there is less than a call for each."""
        if self.at_once is not None and self.at_once < workers:
            raise ValueError(f"the model allows {self.at_once} calls at once, which is less than one for each worker")
        return Rates(
            None if self.at_once is None else self.at_once // workers,
            None if self.calls_per_minute is None else self.calls_per_minute / workers,
            None if self.tokens_per_minute is None else self.tokens_per_minute / workers,
        )


class Limiter:
    """The calls under way to one provider, and those that wait, first come, first served.

    It belongs to one event loop at a time. `clock` gives seconds, by default the loop's.
    """

    def __init__(self, rates: Rates, *, patience: float = PATIENCE, clock: Callable[[], float] | None = None) -> None:
        self._rates = rates
        self._patience = patience
        self._clock = clock
        self._width = None if rates.at_once is None else float(rates.at_once)
        self._under_way = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._calls = _Flow(rates.calls_per_minute)
        self._tokens = _Flow(rates.tokens_per_minute)
        self._closed_until = 0.0
        self._pause = _FIRST_PAUSE
        self._refused_since: float | None = None
        self._round = 0.0
        self.refusals = 0
        """How often the provider said "too many"."""

    @property
    def width(self) -> float | None:
        """How many calls are made at once at present; None is no limit."""
        return self._width

    @property
    def under_way(self) -> int:
        """How many places are taken."""
        return self._under_way

    async def enter(self, request: Request) -> Place:
        """Wait for a place."""
        tokens = 0
        if self._rates.tokens_per_minute is not None:
            tokens = sum(counted_tokens(one.content) for one in request.messages) + request.max_tokens
        if self._waiting or not self._admits(tokens):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((future, tokens))
            self._serve()
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():  # it was given just now
                    self._give_back()
                raise
        return _Taken(self, self._now())

    def leave(self, began: float, answered: bool, error: ModelError | None) -> bool:
        """Take a place back; return whether its call is to be made again. `began` is when it was given."""
        now = self._now()
        again = False
        if error is not None and error.kind == "rate_limit" and not error.billed:
            again = self._refused(now, began, error.retry_after)
        elif answered:
            self._refused_since, self._pause = None, _FIRST_PAUSE
            if self._width is not None and (self._rates.at_once is None or self._width < self._rates.at_once):
                self._width += 1 / self._width
        self._give_back()
        return again

    def _refused(self, now: float, began: float, asked: float | None) -> bool:
        self.refusals += 1
        since = self._refused_since = now if self._refused_since is None else self._refused_since
        if began >= self._round:  # calls that were under way together are one round: they tell the same thing
            self._width = max(1.0, (self._under_way if self._width is None else min(self._width, self._under_way)) / 2)
            pause = self._pause if asked is None or asked != asked else max(float(asked), 0.0)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._closed_until = self._round = now + min(pause, self._patience)
        return self._closed_until - since < self._patience

    def _give_back(self) -> None:
        self._under_way -= 1
        self._serve()

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    def _admits(self, tokens: int) -> bool:
        """Take a place where there is one."""
        now = self._now()
        if self._width is not None and self._under_way >= int(self._width):
            return False
        if max(self._closed_until, self._calls.free_at, self._tokens.free_at) > now:
            return False
        self._calls.take(now, 1)
        self._tokens.take(now, tokens)
        self._under_way += 1
        return True

    def _serve(self) -> None:
        """Give places to those who wait; where only time is missing, come back when it has passed."""
        while self._waiting:
            future, tokens = self._waiting[0]
            if future.cancelled():
                self._waiting.popleft()
            elif self._admits(tokens):
                self._waiting.popleft()
                future.set_result(None)
            else:
                break
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and (self._width is None or self._under_way < int(self._width)):
            wait = max(self._closed_until, self._calls.free_at, self._tokens.free_at) - self._now()
            self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0), self._serve)


class _Flow:
    """So many units a minute, evenly, after a burst (generic cell rate algorithm)."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = 0.0 if per_minute is None else 60.0 / per_minute
        self._due = 0.0

    @property
    def free_at(self) -> float:
        """When the next one may come."""
        return self._due - _BURST if self._seconds else 0.0

    def take(self, now: float, units: float) -> None:
        """Count units; more than a burst is waited for by whoever comes next."""
        self._due = max(self._due, now) + units * self._seconds


class _Taken(NamedTuple):
    limiter: Limiter
    began: float

    def leave(self, answered: bool, error: ModelError | None) -> bool:
        return self.limiter.leave(self.began, answered, error)


@asynccontextmanager
async def in_a_place(model: ChatModel, request: Request) -> AsyncIterator[None]:
    """Have a place for one call of a model, where its calls need any."""
    places = places_of(model)
    if places is None:
        yield
        return
    place, answered, error = await places.enter(request), False, None
    try:
        yield
        answered = True
    except ModelError as fault:
        error = fault
        raise
    finally:
        place.leave(answered, error)


class LimitedModel(ModelAround):
    """Another model, whose calls wait for a place. `limiter` may be shared by several models of one provider."""

    def __init__(self, model: ChatModel, limiter: Limiter) -> None:
        super().__init__(model)
        self._limiter = limiter

    @property
    def places(self) -> Places:
        """What a call needs a place of."""
        return self._limiter
