"""Time: every step has a deadline, nothing waits beyond it, and whoever runs out of time says whose time it was."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import sizes
from masdsl.runtime import Agent, BudgetExceeded, Limits, Program, Result, Run, RunFailed, Tool
from masdsl.runtime.alarm import Alarm
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from tests.harness.adversary import MOMENT, Adversary, Hostile
from tests.harness.virtual_time import run

look = Tool[str](name="look", returns=str, inputs={"query": str}, granted_as="web.look", timeout=7.0)
watch = Tool[str](name="watch", returns=str, inputs={}, granted_as="web.watch")


def program_of(agent: Agent[Any], budget: Limits | None = None) -> Program:
    async def main(run: Run) -> str:
        return repr(await run.call("x", agent))

    return Program(name="p", flows=(main,), agents=(agent,), tools=agent.tools, budget=budget)


def ask(agent: Agent[Any], replies: Any, budget: Limits | None = None, tools: Any = None) -> Result:
    model = ScriptedModel({"*": replies}) if isinstance(replies, list | str | Says | Fails) else replies
    return run(program_of(agent, budget).run(models=model, tools=tools or {}))


def failed(agent: Agent[Any], replies: Any, budget: Limits | None = None, tools: Any = None) -> tuple[str, float]:
    """Return why the step fails, and when."""
    with pytest.raises(RunFailed) as caught:
        ask(agent, replies, budget, tools)
    return caught.value.reason, caught.value.result.seconds


def asker(**more: Any) -> Agent[Any]:
    return Agent[int](name="a", returns=int, prompt="Go.", **more)


# ---------------------------------------------------------------- the formula


def test_a_timeout_is_the_whole_time() -> None:
    assert sizes.agent_seconds(3.5, retries=9, steps=9, tool_seconds=9.0) == 3.5


@pytest.mark.parametrize(
    ("retries", "steps", "tool", "seconds"),
    [(0, 0, 0.0, 120.0), (2, 0, 0.0, 3 * 120.0 + 2 * 8.0), (0, 2, 7.0, 3 * 120.0 + 2 * 7.0), (1, 1, 60.0, 556.0)],
)
def test_without_a_timeout_all_calls_pauses_and_tools_have_their_time(
    retries: int, steps: int, tool: float, seconds: float
) -> None:
    assert sizes.agent_seconds(None, retries, steps, tool) == seconds


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(0, 3),
    st.none() | st.floats(0.5, 300.0),
    st.integers(0, 10**6),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_no_step_takes_longer_than_the_formula(
    retries: int, steps: int, timeout: float | None, seed: int, faults: float, broken: float
) -> None:
    """Whatever breaks, however late the answers come, and however long the model asks to wait."""
    tools = (look, watch) if steps else ()
    agent = asker(retries=retries, steps=steps, timeout=timeout, tools=tools, default=0)
    longest = sizes.agent_seconds(timeout, retries, steps, sizes.TOOL_SECONDS if steps else 0.0)
    program = program_of(agent)
    late = Adversary(program, seed, "last moment", faults=faults, broken=broken, failures=0.3)
    for model, granted in ((late, late.tools), (Hostile(seed), {"web.look": sleeper, "web.watch": sleeper})):
        result = run(program.run(models=model, tools=granted))
        assert result.seconds <= round(longest, 6)


async def sleeper(**inputs: Any) -> str:
    await asyncio.sleep(10**6)
    return ""


def test_the_formula_is_tight() -> None:
    """A model that breaks off at the last moment, and asks for all of the pauses, uses the time up."""
    agent = asker(retries=2)

    class Late:
        name, price = "late", None

        async def complete(self, request: Request) -> Reply:
            assert request.timeout is not None
            await asyncio.sleep(request.timeout - MOMENT)
            raise ModelError("connection", "broken off", retry_after=sizes.LONGEST_PAUSE)

        async def close(self) -> None:
            pass

    _, seconds = failed(agent, Late())
    assert seconds == pytest.approx(sizes.agent_seconds(None, 2), abs=10 * MOMENT)


# ---------------------------------------------------------------- pauses


@pytest.mark.parametrize(
    ("wait", "pause"), [(None, 0.5), (math.nan, 0.5), ("soon", 0.5), (True, 0.5), (-5.0, 0.0), (0, 0.0), (2, 2.0)]
)
def test_a_wait_that_is_none_leaves_our_own_pause(wait: Any, pause: float) -> None:
    assert ask(asker(retries=1), [Fails("rate_limit", retry_after=wait), "1"]).seconds == pause


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (3600.0, "it asks to wait 3600 s, and 30 s are left"),
        (math.inf, "it asks to wait inf s, and 30 s are left"),
        (30.0, "it asks to wait 30 s, and 30 s are left"),
    ],
)
def test_a_wait_beyond_the_deadline_ends_the_attempts_at_once(wait: float, said: str) -> None:
    reason, seconds = failed(asker(retries=3, timeout=30.0), [Fails("rate_limit", "later", retry_after=wait), "1"])
    assert (reason, seconds) == (f"rate limit: later; {said}", 0.0)


def test_a_wait_within_the_deadline_is_kept_however_long() -> None:
    assert ask(asker(retries=1, timeout=30.0), [Fails("rate_limit", retry_after=29.0), "1"]).seconds == 29.0


def test_our_own_pause_beyond_the_deadline_ends_the_attempts_too() -> None:
    reason, seconds = failed(asker(retries=3, timeout=10.0), [Fails("connection", "lost", after=9.75), "1"])
    assert (reason, seconds) == (
        "connection: lost; the pause before the next attempt is 0.5 s, and 0.25 s are left",
        9.75,
    )


def test_a_wait_beyond_the_seconds_of_the_budget_ends_the_attempts() -> None:
    reason, seconds = failed(asker(retries=3), [Fails("rate_limit", "later", retry_after=60.0)], Limits(seconds=20))
    assert (reason, seconds) == ("rate limit: later; it asks to wait 60 s, and 20 s are left", 0.0)


# ---------------------------------------------------------------- whose time it was


def test_a_step_says_that_its_own_time_is_used_up() -> None:
    reason, seconds = failed(asker(retries=3, timeout=10.0), Says("1", after=99.0))
    assert (reason, seconds) == ("timeout: no reply within 10 s; the 10 s for this step are used up", 10.0)


def test_a_step_without_a_timeout_has_one_for_each_call() -> None:
    reason, seconds = failed(asker(retries=1), Says("1", after=999.0))
    assert (reason, seconds) == ("timeout: no reply within 120 s (after 2 attempts)", 240.0)


def test_a_step_says_that_the_seconds_of_the_budget_are_used_up() -> None:
    reason, seconds = failed(asker(retries=3, timeout=10.0), Says("1", after=99.0), Limits(seconds=4))
    assert (reason, seconds) == ("timeout: no reply within 4 s; the 4 seconds of the budget are used up", 4.0)


def test_a_timeout_of_nothing_makes_no_call() -> None:
    model = ScriptedModel({"*": "1"})
    reason, seconds = failed(asker(timeout=0.0), model)
    assert (reason, seconds, model.requests) == ("timeout: the 0 s for this step are used up", 0.0, [])


def test_waiting_for_room_counts_within_the_deadline() -> None:
    slow = Agent[str](name="slow", returns=str, prompt="S", max_tokens=100)
    hasty = Agent[str](name="hasty", returns=str, prompt="H", max_tokens=100, timeout=3.0)

    async def main(run: Run) -> str:
        first = run.start(run.call("slow", slow))
        await run.call("hasty", hasty)
        return await first

    program = Program(name="p", flows=(main,), agents=(slow, hasty), budget=Limits(tokens=300))
    with pytest.raises(BudgetExceeded) as caught:
        run(program.run(models=ScriptedModel({"slow": Says("x", after=50.0), "hasty": "y"})))
    failure = caught.value
    assert failure.reason == (
        "refused by the budget: calls under way held what is left until the step's own time was used up"
    )
    refused = next(event for event in failure.result.events if event.kind == "refused")
    assert (refused.address, refused.at, failure.result.calls) == ("main.hasty", 3.0, 1)


def test_time_that_is_left_after_waiting_is_all_that_the_call_gets() -> None:
    slow = Agent[str](name="slow", returns=str, prompt="S", max_tokens=100)
    next_one = Agent[str](name="next", returns=str, prompt="N", max_tokens=100, timeout=8.0, default="late")

    async def main(run: Run) -> str:
        first = run.start(run.call("slow", slow))
        return await run.call("next", next_one) + await first

    model = ScriptedModel({"slow": Says("x", after=5.0), "next": Says("y", after=4.0)})
    program = Program(name="p", flows=(main,), agents=(slow, next_one), budget=Limits(tokens=300))
    result = run(program.run(models=model))
    assert (result.value, result.seconds, model.requests[1].timeout) == ("latex", 8.0, 3.0)


# ---------------------------------------------------------------- tools


def acting(use: str, **more: Any) -> Agent[Any]:
    return asker(tools=(look, watch), steps=2, **more)


USE = '{"tool": "look", "arguments": {"query": "q"}}'


def test_a_tool_ends_with_the_agent_that_uses_it() -> None:
    agent = acting("look", timeout=5.0)
    tools = {"web.look": sleeper, "web.watch": sleeper}
    with pytest.raises(RunFailed) as caught:
        ask(agent, [Says(USE, after=2.0), "1"], tools=tools)
    assert caught.value.reason == "timeout: the 5 s for this step are used up"
    assert caught.value.result.seconds == 5.0
    details = [event.detail for event in caught.value.result.events if event.kind == "called" and event.what == "tool"]
    assert details == ["no result within 3 s: the time of the agent that uses it is used up"]


def test_a_tool_has_its_own_timeout() -> None:
    model = ScriptedModel({"*": [USE, "1"]})
    result = ask(acting("look"), model, tools={"web.look": sleeper, "web.watch": sleeper})
    assert (result.value, result.seconds) == ("1", 7.0)
    assert "`look` failed: no result within 7 s." in model.requests[1].messages[-1].content


def test_a_tool_ends_with_the_budget() -> None:
    async def main(run: Run) -> str:
        return await run.call("x", watch)

    program = Program(name="p", flows=(main,), tools=(watch,), budget=Limits(seconds=9))
    with pytest.raises(RunFailed) as caught:
        run(program.run(models={}, tools={"web.watch": sleeper}))
    assert caught.value.reason == "no result within 9 s: the 9 seconds of the budget are used up"
    assert caught.value.result.seconds == 9.0


def test_a_tool_with_no_time_is_not_used() -> None:
    never = Tool[str](name="never", returns=str, inputs={}, granted_as="n", timeout=0.0)

    async def main(run: Run) -> str:
        return await run.call("x", never)

    with pytest.raises(RunFailed, match=r"main\.x: it has a timeout of 0 s"):
        run(Program(name="p", flows=(main,), tools=(never,)).run(models={}, tools={"n": lambda: "x"}))


# ---------------------------------------------------------------- the alarm of a run

spans = st.floats(0.001, 50.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(spans, spans, spans, st.booleans()), min_size=1, max_size=12))
def test_every_limit_is_kept_to_the_moment_whatever_else_is_set(calls: list[tuple[float, float, float, bool]]) -> None:
    async def one(alarm: Alarm, start: float, takes: float, limit: float, resists: bool) -> tuple[float, bool]:
        async def work() -> None:
            ends = asyncio.get_running_loop().time() + takes
            while (left := ends - asyncio.get_running_loop().time()) > 0:
                try:
                    await asyncio.sleep(left)
                except asyncio.CancelledError:
                    if not resists:
                        raise

        await asyncio.sleep(start)
        began = asyncio.get_running_loop().time()
        try:
            await alarm.bounded(work(), limit)
        except TimeoutError:
            return asyncio.get_running_loop().time() - began, True
        return asyncio.get_running_loop().time() - began, False

    async def all_of() -> list[tuple[float, bool]]:
        alarm = Alarm()
        return await asyncio.gather(*(one(alarm, *call) for call in calls))

    for (_, takes, limit, _), (took, timed_out) in zip(calls, run(all_of()), strict=True):
        assert took == pytest.approx(min(takes, limit), abs=1e-6)
        assert timed_out == (limit < takes) or takes == pytest.approx(limit)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_who_is_cancelled_cancels_what_it_bounds_and_waits_for_its_end(turns: int) -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(9)
        finally:
            await asyncio.sleep(1)
            seen.append("ended")

    async def bounded() -> None:
        await Alarm().bounded(work(), 5.0)

    async def all_of() -> None:
        task = asyncio.ensure_future(bounded())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == (["ended"] if turns > 1 else [])  # it had not even begun

    run(all_of())


def test_a_run_leaves_no_timer_behind() -> None:
    async def all_of() -> list[Any]:
        await program_of(asker(retries=1)).run(models=ScriptedModel({"*": ["no", "1"]}), tools={})
        loop: Any = asyncio.get_running_loop()
        return [timer for timer in loop._scheduled if not timer.cancelled()]

    assert run(all_of()) == []
