"""Limits of a provider are waited for: calls at once, calls and tokens a minute, answers that say "too many"."""

from __future__ import annotations

import asyncio
import random
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.config import ModelConfig
from masdsl.meta.purse import Purse
from masdsl.runtime import Agent, Limits, Program, Run, RunFailed, Tokens
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Price, Reply, Request, places_of
from masdsl.runtime.models.counted import CountedModel
from masdsl.runtime.models.limits import LimitedModel, Limiter, Rates
from masdsl.runtime.models.registry import limited, rates_of
from masdsl.runtime.models.scripted import Says, ScriptedModel
from tests.harness.virtual_time import run


class Provider:
    """Answers after `seconds`; turns away what is above `room` calls at once, with 429."""

    name = "provider"
    price = Price(0.0, 0.0)

    def __init__(self, seconds: float = 1.0, room: int | None = None, retry_after: float | None = None) -> None:
        self.seconds, self.room, self.retry_after = seconds, room, retry_after
        self.under_way = self.most = self.turned_away = 0
        self.began: list[float] = []

    async def complete(self, request: Request) -> Reply:
        if self.room is not None and self.under_way >= self.room:
            self.turned_away += 1
            raise ModelError("rate_limit", "too many", retry_after=self.retry_after)
        self.began.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.under_way -= 1
        return Reply("good")

    async def close(self) -> None:
        pass


WRITER = Agent[str](
    name="writer", returns=Annotated[str, Tokens(10)], prompt="Write.", max_tokens=10, retries=0, timeout=5
)


def many(count: int, agent: Agent[Any] = WRITER) -> Program:
    async def one(run: Run) -> str:
        return str(await run.call("y", agent))

    async def main(run: Run) -> str:
        return ",".join(await run.sample(count, one))

    return Program(name="test", flows=(main,), agents=(agent,))


def ask(model: ChatModel, count: int, **options: Any) -> Any:
    return run(many(count).run(models=lambda name, *, tier: model, **options))


def limits(**rates: Any) -> Limiter:
    return Limiter(Rates(**rates))


# ---------------------------------------------------------------- in runs


def test_calls_wait_for_a_place_longer_than_their_step_may_take() -> None:
    """Forty calls of one second, two at once: the last one waits 19 s, and its step has 5 s of its own."""
    provider = Provider(1.0, room=2)
    result = ask(LimitedModel(provider, limits(at_once=2)), 40)
    assert result.value == ",".join(["good"] * 40)
    assert (provider.most, provider.turned_away, result.calls) == (2, 0, 40)
    called = [event for event in result.events if event.kind == "called"]
    assert {event.seconds for event in called} == {1.0}, "waiting is no part of a call"


def test_a_step_keeps_its_own_time() -> None:
    with pytest.raises(RunFailed, match="no reply within 5 s"):
        ask(LimitedModel(Provider(6.0), limits(at_once=2)), 4)


def test_the_seconds_of_a_budget_go_on_while_calls_wait() -> None:
    provider = Provider(1.0)
    with pytest.raises(RunFailed, match="seconds"):
        ask(LimitedModel(provider, limits(at_once=1)), 8, budget=Limits(seconds=4.5))
    assert len(provider.began) <= 5


@pytest.mark.parametrize("retry_after", [None, 0.5, 7.0])
def test_a_provider_that_says_too_many_is_asked_less_until_it_answers(retry_after: float | None) -> None:
    provider = Provider(1.0, room=3, retry_after=retry_after)
    limiter = limits()
    result = ask(LimitedModel(provider, limiter), 60)
    assert result.value == ",".join(["good"] * 60), "no retry is allowed, and none is needed"
    assert result.calls == 60 and limiter.refusals == provider.turned_away > 0
    assert provider.turned_away < 150, "a round of refusals halves what is tried"
    assert limiter.under_way == 0


def test_a_provider_that_always_says_too_many_fails_the_call_in_the_end() -> None:
    provider = Provider(room=0)
    limiter = Limiter(Rates(), patience=100)
    with pytest.raises(RunFailed, match="rate limit: too many"):
        ask(LimitedModel(provider, limiter), 3)
    assert provider.turned_away < 40
    with pytest.raises(RunFailed):
        ask(LimitedModel(provider, limiter), 1)
    assert provider.turned_away < 45, "whoever comes later does not wait as long again"


def test_calls_and_tokens_come_at_the_rate_of_their_minute() -> None:
    provider = Provider(0.0)
    ask(LimitedModel(provider, limits(calls_per_minute=60)), 100)
    assert provider.began[-1] - provider.began[0] == pytest.approx(94, abs=2)  # a burst of 5 s comes first
    for first in range(100 - 60):
        assert provider.began[first + 60] - provider.began[first] >= 54
    by_tokens = Provider(0.0)
    ask(LimitedModel(by_tokens, limits(tokens_per_minute=600)), 50)  # each: its prompt, and 10 for the reply
    assert by_tokens.began[-1] > 45


def test_a_stopped_run_gives_its_places_back() -> None:
    limiter = limits(at_once=1)
    provider = Provider(1.0)
    asked = iter(range(100))

    with pytest.raises(RunFailed, match="enough"):
        ask(LimitedModel(provider, limiter), 9, should_stop=lambda _: "enough" if next(asked) > 12 else "")
    assert limiter.under_way == 0
    assert ask(LimitedModel(provider, limiter), 2).calls == 2


def test_meta_agents_keep_to_the_limits_as_well() -> None:
    provider, limiter = Provider(1.0), limits(at_once=1)
    purse = Purse(LimitedModel(provider, limiter), timeout=1.5)

    async def together() -> None:
        await asyncio.gather(*(purse.complete(Request((Message("user", "x"),), max_tokens=9)) for _ in range(3)))

    run(together())
    assert (provider.most, len(provider.began), limiter.under_way) == (1, 3, 0)


def test_the_limits_of_an_entry_are_kept_under_its_tokenizer() -> None:
    entry = ModelConfig("m", "openai", "m", "http://127.0.0.1:9/v1", at_once=3, calls_per_minute=50)
    assert rates_of(entry) == Rates(3, 50, None)
    inner = ScriptedModel(lambda _: Says("x"))
    assert limited(inner, entry._replace(at_once=None, calls_per_minute=None)) is inner
    around = limited(inner, entry)
    assert places_of(inner) is None and places_of(around) is not None
    assert places_of(CountedModel(around, len)) is places_of(around)


# ---------------------------------------------------------------- laws


@given(at_once=st.integers(1, 50), workers=st.integers(1, 50), rate=st.floats(0.1, 1e6))
def test_shares_are_never_more_than_the_whole(at_once: int, workers: int, rate: float) -> None:
    rates = Rates(at_once, rate, rate)
    if workers > at_once:
        with pytest.raises(ValueError, match="for each worker"):
            rates.share(workers)
        return
    share = rates.share(workers)
    assert share.at_once is not None and share.at_once >= 1 and share.at_once * workers <= at_once
    assert share.calls_per_minute is not None and share.calls_per_minute * workers <= rate * 1.000001


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_no_place_is_lost_whoever_gives_up(seed: int) -> None:
    """Calls that are cancelled at any time, before, when and after they get a place, leave all places free."""
    dice = random.Random(seed)
    at_once = dice.randrange(1, 4)
    limiter = Limiter(Rates(at_once, dice.choice([None, 600.0])))
    request = Request((Message("user", "x"),), max_tokens=5)
    under_way = 0

    async def call() -> None:
        nonlocal under_way
        place = await limiter.enter(request)
        under_way += 1
        assert under_way <= at_once
        answered, error = False, None
        try:
            await asyncio.sleep(dice.choice([0, 0, 0.1, 0.5]))
            answered = dice.random() < 0.7
            error = None if answered else ModelError(dice.choice(["rate_limit", "overloaded"]), "no")
        finally:
            under_way -= 1
            place.leave(answered, error)

    async def all_of_them() -> None:
        calls = [asyncio.create_task(call()) for _ in range(25)]
        for _ in range(25):
            await asyncio.sleep(dice.choice([0, 0, 0.05, 0.2]))
            if dice.random() < 0.6:
                dice.choice(calls).cancel()
        await asyncio.wait(calls)
        assert limiter.under_way == 0 and all(one.cancelled() or one.exception() is None for one in calls)
        await asyncio.wait_for(limiter.enter(request), 200)

    run(all_of_them())
