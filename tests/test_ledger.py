"""The ledger: meters by themselves, and wide programs that never overspend, whatever their models do."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import sizes
from masdsl.money import TokenPrice, limit_of
from masdsl.runtime import (
    Agent,
    BudgetRefused,
    Event,
    Items,
    Limits,
    Program,
    Result,
    Run,
    RunFailed,
    StepFailed,
    Tokens,
    Tool,
    flow,
)
from masdsl.runtime.accounts import token_price
from masdsl.runtime.meter import Claim, Cost, Meter, cost_of, usd_of
from masdsl.runtime.models.base import ChatModel, Price, Reply, Request
from tests.harness.adversary import Adversary, Honest, Hostile, draw
from tests.harness.virtual_time import run

# ---------------------------------------------------------------- limits and amounts


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"calls": -1}, "the limit of calls is -1: give a whole number from 0 on"),
        ({"calls": 2.0}, "the limit of calls is 2.0"),
        ({"calls": True}, "the limit of calls is True"),
        ({"tokens": -5}, "the limit of tokens is -5"),
        ({"usd": -0.01}, "the limit of usd is negative: -0.01"),
        ({"usd": math.nan}, "the limit of usd is not a finite number: nan"),
        ({"usd": math.inf}, "the limit of usd is not a finite number: inf"),
        ({"seconds": -1.0}, "the limit of seconds is -1.0: give a number from 0 on"),
        ({"seconds": math.nan}, "the limit of seconds is nan"),
        ({"seconds": "9"}, "the limit of seconds is '9'"),
    ],
)
def test_limits_that_cannot_be_meant(limits: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match="limit") as caught:
        Limits(**limits)
    assert str(caught.value).startswith(why)


@given(st.integers(0, 10**18))
def test_usd_is_the_number_nearest_to_the_picodollars(picodollars: int) -> None:
    usd = usd_of(picodollars)
    for other in (math.nextafter(usd, math.inf), math.nextafter(usd, -math.inf)):
        distance = abs(Fraction(usd) - Fraction(picodollars, 10**12))
        assert distance <= abs(Fraction(other) - Fraction(picodollars, 10**12))


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_prices_are_taken_as_they_are_written(input_price: int, output_price: int) -> None:
    """A price in picodollars a token survives the way through USD per million tokens as a float."""
    price = Price(input_price / 10**6, output_price / 10**6)
    assert token_price(price) == TokenPrice(input_price, output_price)


@pytest.mark.parametrize("price", [None, Price(math.nan, 1.0), Price(-1.0, 1.0), Price(1.0, math.inf)])
def test_a_price_that_is_none_is_unknown(price: Price | None) -> None:
    assert token_price(price) is None
    assert cost_of(5, 5, token_price(price)) == Cost(5, 5, None)


# ---------------------------------------------------------------- meters by themselves


def claim(tokens: int = 0, picodollars: int | None = 0, calls: int = 1, step: str = "s") -> Claim:
    return Claim(step, Cost(tokens, 0, picodollars), "m", calls)


def played(scene: Callable[[], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        return await scene()

    return run(play())


def test_what_is_refused_counts_nowhere() -> None:
    async def scene() -> None:
        outer = Meter(Limits(tokens=10), "the budget")
        inner = Meter(Limits(calls=5), "the slice", outer)
        with pytest.raises(BudgetRefused, match="refused by the budget: it may need 11 tokens, more than the 10 in al"):
            await inner.reserve(claim(tokens=11))
        assert (inner.calls, outer.calls, inner.held_tokens, outer.held_tokens) == (0, 0, 0, 0)

    played(scene)


@pytest.mark.parametrize(
    ("limits", "spent", "asked", "why"),
    [
        (Limits(calls=0), None, claim(), "it allows no calls"),
        (Limits(calls=1), claim(), claim(), "all 1 calls are used up"),
        (Limits(seconds=0), None, claim(), "it allows no time"),
        (Limits(tokens=0), None, claim(tokens=1), "it may need 1 tokens, more than the 0 in all"),
        (Limits(tokens=9), claim(tokens=5), claim(tokens=5), "it may need 5 tokens and 4 of 9 are left"),
        (
            Limits(usd=0.0),
            None,
            claim(picodollars=1),
            "it may cost 0.000000000001 USD, more than the 0 in all",
        ),
        (
            Limits(usd=0.5),
            claim(picodollars=3 * 10**11),
            claim(picodollars=25 * 10**10),
            "it may cost 0.25 USD and 0.2 of 0.5 are left",
        ),
        (
            Limits(usd=0.5),
            None,
            claim(picodollars=None),
            "the price of the model `m` is unknown, so a limit in USD cannot be kept",
        ),
    ],
)
def test_a_refusal_says_what_was_asked_and_what_is_left(
    limits: Limits, spent: Claim | None, asked: Claim, why: str
) -> None:
    async def scene() -> str:
        meter = Meter(limits, "the budget")
        if spent is not None:
            meter.settle(await meter.reserve(spent), spent.cost)
        with pytest.raises(BudgetRefused) as caught:
            await meter.reserve(asked)
        return caught.value.reason

    assert played(scene) == f"refused by the budget: {why}"


def test_a_call_of_a_tool_needs_no_calls_and_no_room() -> None:
    async def scene() -> None:
        meter = Meter(Limits(calls=0, tokens=0, usd=0.0), "the budget")
        await meter.reserve(claim(calls=0))

    played(scene)


def test_settling_twice_counts_once_and_releasing_gives_all_back() -> None:
    async def scene() -> None:
        meter = Meter(Limits(), "the budget")
        first = await meter.reserve(claim(tokens=9, picodollars=9))
        meter.settle(first, Cost(2, 1, 5))
        meter.settle(first, Cost(9, 0, 9))
        meter.release(first)
        meter.release(await meter.reserve(claim(tokens=9, picodollars=9)))
        assert (meter.calls, meter.tokens_in, meter.tokens_out, meter.picodollars) == (1, 2, 1, 5)
        assert (meter.held_tokens, meter.held_picodollars) == (0, 0)

    played(scene)


@pytest.mark.parametrize("cost", [Cost(10, 0, 0), Cost(0, 10, 0), Cost(0, 0, 10)])
def test_a_call_cannot_cost_more_than_it_reserved(cost: Cost) -> None:
    async def scene() -> None:
        meter = Meter(Limits(), "the budget")
        reservation = await meter.reserve(claim(tokens=9, picodollars=9))
        with pytest.raises(AssertionError, match="more than"):
            meter.settle(reservation, cost)

    played(scene)


def test_who_waits_is_served_in_the_order_of_asking() -> None:
    """A small call does not overtake a large one, which would otherwise wait for ever."""

    async def scene() -> list[str]:
        meter = Meter(Limits(tokens=10), "the budget")
        order: list[str] = []

        async def one(name: str, tokens: int, used: int, after: float) -> None:
            reservation = await meter.reserve(claim(tokens=tokens))
            order.append(name)
            await asyncio.sleep(after)
            meter.settle(reservation, Cost(used, 0, 0))

        await asyncio.gather(
            one("a", 6, 0, 3), one("large", 9, 0, 1), one("small", 1, 0, 1), one("tiny", 1, 0, 1), one("b", 5, 0, 1)
        )
        assert meter.held_tokens == 0
        return order

    assert played(scene) == ["a", "large", "small", "tiny", "b"]


def test_a_call_of_a_tool_waits_for_nobody() -> None:
    async def scene() -> None:
        meter = Meter(Limits(tokens=10), "the budget")
        await meter.reserve(claim(tokens=6))
        waiting = asyncio.create_task(meter.reserve(claim(tokens=6)))
        await asyncio.sleep(1)
        async with asyncio.timeout(1):
            await meter.reserve(claim(calls=0))
        waiting.cancel()

    played(scene)


def test_who_gives_up_waiting_lets_the_next_one_try() -> None:
    async def scene() -> list[str]:
        meter = Meter(Limits(tokens=10), "the budget")
        loop = asyncio.get_running_loop()
        first = await meter.reserve(claim(tokens=6))
        log: list[str] = []

        async def one(name: str, tokens: int, until: float | None) -> None:
            try:
                await meter.reserve(claim(tokens=tokens), until)
                log.append(f"{name} at {loop.time() - began:g}")
            except BudgetRefused as refusal:
                log.append(f"{name} at {loop.time() - began:g}: {refusal.limit}: {refusal.reason}")
            except asyncio.CancelledError:
                log.append(f"{name} cancelled")

        began = loop.time()
        tasks = [
            asyncio.create_task(one("cancelled", 9, None)),
            asyncio.create_task(one("hasty", 9, began + 2)),
            asyncio.create_task(one("next", 4, None)),
        ]
        await asyncio.sleep(1)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        meter.settle(first, Cost(6, 0, 0))
        return log

    held = "calls under way held what is left until the step's own time was used up"
    assert played(scene) == [
        "cancelled cancelled",
        f"hasty at 2: tokens: refused by the budget: {held}",
        "next at 2",
    ]


def test_waiting_ends_with_the_seconds_of_the_budget() -> None:
    async def scene() -> str:
        outer = Meter(Limits(seconds=4), "the budget")
        inner = Meter(Limits(tokens=10), "the slice", outer)
        await inner.reserve(claim(tokens=6))
        with pytest.raises(BudgetRefused) as caught:
            await inner.reserve(claim(tokens=6), asyncio.get_running_loop().time() + 9)
        assert asyncio.get_running_loop().time() == outer.began + 4
        return f"{caught.value.limit}: {caught.value.reason}"

    assert played(scene) == (
        "seconds: refused by the budget: the 4 seconds were used up while it waited for calls under way"
    )


def test_ten_thousand_that_wait_take_no_quadratic_time() -> None:
    """Each call that settles wakes one that waits, not all of them."""
    tries = 0

    class Counting(Meter):
        def _has_room(self, claim: Claim, ticket: Any) -> bool:
            nonlocal tries
            tries += 1
            return super()._has_room(claim, ticket)

    async def scene() -> None:
        meter = Counting(Limits(tokens=20_100), "the budget")

        async def one() -> None:
            reservation = await meter.reserve(claim(tokens=10))
            await asyncio.sleep(1)
            meter.settle(reservation, Cost(2, 0, 0))

        await asyncio.gather(*(one() for _ in range(10_000)))
        assert meter.tokens_in == 20_000

    played(scene)
    assert tries < 40_000


def test_calls_that_wait_at_two_meters_do_not_pass_each_other_round_for_ever() -> None:
    """Each of them has room in one of the meters and finds others first in the other one, whichever it waits at."""
    tries = 0

    class Counting(Meter):
        def _has_room(self, claim: Claim, ticket: Any) -> bool:
            nonlocal tries
            tries += 1
            assert tries < 1000, "nobody is ever served"
            return super()._has_room(claim, ticket)

    async def scene() -> None:
        outer = Counting(Limits(tokens=9), "outer")
        inner = Counting(Limits(tokens=7), "inner", outer)

        async def one(meter: Meter, tokens: int, after: int) -> None:
            reservation = await meter.reserve(claim(tokens=tokens))
            await asyncio.sleep(after)
            meter.settle(reservation, Cost())

        await asyncio.gather(one(inner, 6, 2), one(outer, 5, 2), one(inner, 7, 0), one(inner, 2, 2), one(inner, 2, 2))

    played(scene)


LIMITS = st.builds(
    lambda calls, tokens, pico: Limits(calls=calls, tokens=tokens, usd=None if pico is None else pico / 10**12),
    st.none() | st.integers(0, 40),
    st.none() | st.integers(0, 400),
    st.none() | st.integers(0, 4000),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(LIMITS, min_size=3, max_size=3),
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 60), st.integers(0, 9), st.floats(0, 1), st.integers(0, 3), st.booleans()
        ),
        max_size=64,
    ),
)
def test_no_meter_is_ever_overdrawn(limits: list[Limits], calls: list[tuple[int, int, int, float, int, bool]]) -> None:
    """Two slices of one budget, 64 calls at once, each settled at a share of what it reserved, some of them broken off:
    at every moment, what is spent and what is held fit every limit, and in the end nothing is held."""

    async def scene() -> None:
        top = Meter(limits[0], "top")
        meters = [top, Meter(limits[1], "one", top), Meter(limits[2], "two", top)]

        def sound() -> None:
            for meter in meters:
                spent = meter.tokens_in + meter.tokens_out + meter.held_tokens
                assert meter.limits.calls is None or meter.calls <= meter.limits.calls
                assert meter.limits.tokens is None or spent <= meter.limits.tokens
                if meter.limits.usd is not None:
                    assert meter.picodollars + meter.held_picodollars <= limit_of(meter.limits.usd)

        async def one(where: int, tokens: int, price: int, share: float, after: int, broken: bool) -> int:
            meter = meters[where]
            try:
                reservation = await meter.reserve(claim(tokens, tokens * price))
            except BudgetRefused:
                return 0
            sound()
            await asyncio.sleep(after)
            if broken:
                meter.release(reservation)
            else:
                used = int(tokens * share)
                meter.settle(reservation, Cost(used, 0, used * price))
            sound()
            return int(not broken)

        made = await asyncio.gather(*(one(*call) for call in calls))
        assert all(meter.held_tokens == meter.held_picodollars == 0 for meter in meters)
        assert top.calls == sum(made)

    played(scene)


# ---------------------------------------------------------------- wide programs

search = Tool[str](
    name="search",
    returns=Annotated[str, Tokens(40)],
    inputs={"query": Annotated[str, Tokens(10)]},
    granted_as="web.search",
    timeout=5.0,
)
plain = Agent[int](name="plain", returns=int, prompt="Give a number.", retries=2, default=-1)
firm = Agent[int](name="firm", returns=int, prompt="A number, please.", retries=1, timeout=30.0)
vague = Agent[int | None](name="vague", returns=int | None, prompt="A number, or nothing.", retries=1)
solver = Agent[int](
    name="solver", returns=int, prompt="Work it out.", retries=1, tools=(search,), steps=2, max_tokens=90
)
texter = Agent[str](name="texter", returns=Annotated[str, Tokens(30)], prompt="{{ n }}", inputs={"n": int}, default="")

WIDTH = 64


@flow(default=-9)
async def guarded(run: Run, n: int) -> int:
    """A flow whose failure is caught by its default, with a slice in it and a flow of its own budget."""
    async with run.within("slice", calls=3, tokens=2000) as part:
        first = await part.call("first", firm)
    return first + await run.call("second", capped)


@flow(limits=Limits(calls=2, usd=0.01), default=-8)
async def capped(run: Run) -> int:
    return await run.call("only", plain) + await run.call("again", firm)


async def wide(run: Run) -> Annotated[list[int], Items(0, 10_000)]:
    async def chain(run: Run) -> int:
        try:
            value = await run.call("a.vague", vague)
        except StepFailed:
            value = None
        if value is None:
            try:
                value = await run.call("b.firm", firm)
            except StepFailed:
                value = await run.call("c.plain", plain)
        return value

    async def worked(run: Run, n: int) -> int:
        try:
            return await run.call("solve", solver)
        except StepFailed:
            return len(await run.call("text", texter, n=n))

    async def called(run: Run, n: int) -> int:
        return await run.call("guarded", guarded, n=n)

    kinds = [
        run.start(run.sample(WIDTH // 2, chain)),
        run.start(run.map(list(range(WIDTH // 4)), worked)),
        run.start(run.map(list(range(WIDTH // 4)), called)),
    ]
    return [value for kind in kinds for value in await kind]


AGENTS = (plain, firm, vague, solver, texter)


def wide_program(budget: Limits | None = None) -> Program:
    return Program(name="wide", flows=(capped, guarded, wide), agents=AGENTS, tools=(search,), budget=budget)


class Wire:
    """A model seen from the wire: what was sent, and which of the calls ended by themselves."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.name, self.price = inner.name, inner.price
        self.sent: list[Request] = []
        self.cancelled = 0

    async def complete(self, request: Request) -> Reply:
        self.sent.append(request)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            reply: Reply = await self.inner.complete(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            assert request.timeout is not None
            assert loop.time() >= began + request.timeout - 1e-6, "only a timeout breaks a call off"
            raise
        return reply

    async def close(self) -> None:
        pass


def spend(model: Any, own: Limits, seed: int = 0, **options: Any) -> tuple[Result, Wire]:
    """Run the wide program under a budget; return what it took, and the wire."""
    program = wide_program(own)
    wire = Wire(model(program, seed))
    tools = getattr(wire.inner, "tools", {search.granted_as: slow_search})
    try:
        result = run(program.run("wide", models=wire, tools=tools, seed=seed, **options))
    except RunFailed as failure:
        result = failure.result
    return result, wire


async def slow_search(query: str) -> str:
    await asyncio.sleep(draw(7, query) * 10)
    return query * 20


def calls_of(result: Result) -> list[Event]:
    return [event for event in result.events if event.kind == "called" and event.what == "agent"]


def check_sound(result: Result, wire: Wire, budget: Limits) -> None:
    """Every law of the ledger that a finished run must keep."""
    calls = calls_of(result)
    assert result.calls == len(wire.sent) == len(calls), "a call that is sent counts, and no other"
    assert (result.tokens_in, result.tokens_out) == (sum(c.tokens_in for c in calls), sum(c.tokens_out for c in calls))
    price = token_price(wire.price)
    assert price is not None
    assert result.picodollars == price.of(result.tokens_in, result.tokens_out)
    longest = {agent.name: agent.max_tokens for agent in AGENTS}
    assert all(0 <= call.tokens_out <= longest[call.name] and call.tokens_in >= 0 for call in calls)
    assert budget.calls is None or result.calls <= budget.calls
    assert budget.tokens is None or result.tokens <= budget.tokens
    assert budget.usd is None or result.picodollars <= limit_of(budget.usd)
    assert budget.seconds is None or result.seconds <= budget.seconds
    refused = [event for event in result.events if event.kind == "refused"]
    for event in refused:  # a refused step had no more calls than its earlier attempts and turns
        own = [e for e in result.events if (e.path, e.indices) == (event.path, event.indices)]
        assert [e.kind for e in own if e.number >= event.number] in (["refused"], ["refused", "finished"])
    for event in result.events:
        if event.kind in ("finished", "failed") and event.what == "agent":
            agent = next(agent for agent in AGENTS if agent.name == event.name)
            assert event.seconds <= sizes.agent_seconds(agent.timeout, agent.retries, agent.steps, 5.0) + 1e-6
    begun = Counter(e.address for e in result.events if e.kind == "started")
    ended = Counter(e.address for e in result.events if e.kind in ("finished", "failed", "refused"))
    assert begun.keys() == ended.keys(), "every step that begins ends"


BUDGETS = st.one_of(
    st.builds(lambda n: Limits(calls=n), st.integers(0, 260)),
    st.builds(lambda n: Limits(tokens=n), st.integers(0, 120_000)),
    st.builds(lambda n: Limits(usd=n / 10**6), st.integers(0, 900_000)),
    st.builds(
        lambda calls, tokens, usd, seconds: Limits(calls=calls, tokens=tokens, usd=usd / 10**6, seconds=seconds),
        st.integers(0, 260),
        st.integers(0, 120_000),
        st.integers(0, 900_000),
        st.integers(0, 400),
    ),
)


def dear(program: Program, seed: int) -> Adversary:
    """An adversary whose habits follow from the seed."""
    habits: dict[str, Any] = {name: draw(seed, name) for name in ("faults", "broken", "nones", "failures")}
    pace: Any = ("instant", "last moment", "mixed")[seed % 3]
    return Adversary(program, seed, pace, **habits)


def hostile(program: Program, seed: int) -> Hostile:
    return Hostile(seed)


@settings(max_examples=40, deadline=None)
@given(BUDGETS, st.integers(0, 10**6), st.sampled_from([dear, hostile, Honest]))
def test_wide_programs_never_overspend(budget: Limits, seed: int, model: Any) -> None:
    result, wire = spend(model, budget, seed)
    check_sound(result, wire, budget)


@settings(max_examples=15, deadline=None)
@given(BUDGETS, BUDGETS, BUDGETS, st.integers(0, 10**6))
def test_budgets_of_program_caller_and_host_hold_together(
    own: Limits, callers: Limits, ceiling: Limits, seed: int
) -> None:
    result, wire = spend(dear, own, seed, budget=callers, ceiling=ceiling)
    for budget in (own, callers, ceiling):
        check_sound(result, wire, budget)


@pytest.mark.parametrize("calls", [0, 1, 5, 63, 64, 65])
def test_calls_are_spent_to_the_last_one(calls: int) -> None:
    async def main(run: Run) -> int:
        async def one(run: Run) -> int:
            return await run.call("x", plain)

        return sum(await run.sample(WIDTH, one))

    program = Program(name="p", flows=(main,), agents=AGENTS, budget=Limits(calls=calls))
    result = run(program.run(models=Honest(program)))
    assert result.calls == min(calls, WIDTH)
    refused = sum(event.kind == "refused" for event in result.events)
    assert refused == max(0, WIDTH - calls), "those that are refused follow `else`"


@pytest.mark.parametrize("unit", ["tokens", "usd"])
def test_a_budget_of_exactly_what_a_wide_step_needs_is_enough_and_one_less_is_not(unit: str) -> None:
    """The dearest run of 64 samples under exactly its own cost, and under one token or picodollar less."""

    async def main(run: Run) -> int:
        async def one(run: Run) -> int:
            return await run.call("x", firm)

        return sum(await run.sample(WIDTH, one))

    def played_under(budget: Limits) -> Result:
        program = Program(name="p", flows=(main,), agents=AGENTS, budget=budget)
        return run(program.run(models=Adversary(program, faults=1.0)))

    free = played_under(Limits())
    need = free.tokens if unit == "tokens" else free.picodollars
    as_limit: Callable[[int], Limits] = (
        (lambda n: Limits(tokens=n)) if unit == "tokens" else (lambda n: Limits(usd=n / 10**12))
    )
    assert played_under(as_limit(need)).tokens == free.tokens
    with pytest.raises(RunFailed, match="refused by the budget"):
        played_under(as_limit(need - 1))


def test_paid_calls_under_way_end_and_are_kept_when_another_fails() -> None:
    async def main(run: Run) -> int:
        async def one(run: Run) -> int:
            return await run.call("x", firm)

        return sum(await run.sample(WIDTH, one))

    def choose(request: Request) -> Any:
        return "refused" if request.step.endswith("[5]") else "value"

    program = Program(name="p", flows=(main,), agents=AGENTS)
    model = Wire(Adversary(program, pace="mixed", choose=choose))
    with pytest.raises(RunFailed, match=r"main\.x\[5\]: refused: not that") as caught:
        run(program.run(models=model))
    result = caught.value.result
    assert (result.calls, model.inner.answered, model.cancelled) == (WIDTH, WIDTH, 0)
    assert sum(event.kind == "finished" for event in result.events) == WIDTH - 1


def test_who_waits_for_room_is_not_sent_once_the_flow_has_failed() -> None:
    async def main(run: Run) -> int:
        async def one(run: Run) -> int:
            return await run.call("x", firm)

        return sum(await run.sample(3, one))

    reserved = sizes.REQUEST_TOKENS + 4 * sizes.MESSAGE_TOKENS + firm.max_tokens + 50
    program = Program(name="p", flows=(main,), agents=AGENTS, budget=Limits(tokens=2 * reserved))
    model = Wire(Adversary(program, pace="mixed", choose=lambda request: "refused"))
    with pytest.raises(RunFailed, match=r"main\.x\[\d\]: refused: not that") as caught:
        run(program.run(models=model))
    result = caught.value.result
    assert result.calls == len(model.sent) == 2, "the third had no room, and then no reason, to be sent"
    assert "not started, because another step has failed" in [event.detail for event in result.events]


def test_a_model_whose_price_changes_is_billed_at_the_one_that_was_reserved() -> None:
    class Moody:
        name = "moody"
        asked = 0

        @property
        def price(self) -> Price:
            self.asked += 1
            return Price(1.0 * self.asked, 2.0)

        async def complete(self, request: Request) -> Reply:
            return Reply("7", 100, 1)

        async def close(self) -> None:
            pass

    async def main(run: Run) -> int:
        return await run.call("x", firm)

    model: ChatModel = Moody()
    result = run(Program(name="p", flows=(main,), agents=AGENTS).run(models=model))
    assert result.picodollars == result.tokens_in * 1_000_000 + result.tokens_out * 2_000_000


def test_unpriced_models_are_refused_under_usd_wherever_it_stands() -> None:
    async def main(run: Run) -> int:
        async with run.within("slice", usd=1.0) as part:
            first = await part.call("x", plain)
        return first + await run.call("y", plain)

    program = Program(name="p", flows=(main,), agents=AGENTS)
    model = Adversary(program, price=None, faults=0.0)
    result = run(program.run(models=model))
    assert [event.address for event in result.events if event.kind == "refused"] == ["main.slice.x"]
    assert (result.calls, result.unpriced_calls, result.picodollars) == (1, 1, 0)
    assert run(program.run(models=model, ceiling=Limits(usd=1.0))).calls == 0


def test_the_adversary_is_dearer_than_its_honest_twin() -> None:
    costs = [spend(model, Limits(), 1)[0] for model in (Adversary, Honest)]
    assert costs[0].calls > costs[1].calls and costs[0].tokens > 3 * costs[1].tokens
