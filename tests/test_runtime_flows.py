"""Flows: addresses, concurrency, failures that stop and cancel nothing, budgets, tools, cancellation."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Annotated, Any

import pytest

from masdsl import sizes
from masdsl.runtime import (
    Agent,
    BudgetExceeded,
    BudgetRefused,
    Items,
    Limits,
    Program,
    RawReply,
    Record,
    Result,
    Run,
    RunFailed,
    StepFailed,
    Tokens,
    Tool,
    flow,
)
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from tests.harness.virtual_time import run

a = Agent[str](name="a", returns=str, prompt="A")
b = Agent[str](name="b", returns=str, prompt="B")
c = Agent[str](name="c", returns=str, prompt="C")
ok = Agent[str](name="ok", returns=str, prompt="OK", default="else")


def program(*flows: Any, budget: Limits | None = None, tools: tuple[Tool[Any], ...] = ()) -> Program:
    return Program(name="test", flows=flows, agents=(a, b, c, ok), tools=tools, budget=budget)


def play(main: Any, script: Any = None, **options: Any) -> Result:
    budget = options.pop("budget", None)
    tools = options.pop("program_tools", ())
    model = script if isinstance(script, ScriptedModel) else ScriptedModel({"*": "x"} | (script or {}))
    return run(program(main, budget=budget, tools=tools).run(main.__name__, models=model, **options))


def begun(result: Result) -> list[str]:
    return [event.address for event in result.events if event.kind == "started"]


def ended(result: Result) -> list[str]:
    return [
        f"{event.kind} {event.address}" for event in result.events if event.kind in ("finished", "failed", "refused")
    ]


# ---------------------------------------------------------------- addresses


def test_addresses_follow_names_and_numbers() -> None:
    async def inner(run: Run, text: str) -> str:
        for step in run.loop("again", 2):
            text = await step.call("x", a)
        return text

    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("draft", a)

        async def each(run: Run, item: str, suffix: str) -> str:
            return await run.call("kept", b) + item + suffix

        drafts = await run.sample(2, one)
        kept = await run.map(drafts, each, suffix="!")
        for frame, item in run.each("for", kept):
            await frame.call("if.deep", inner, text=item)
        async with run.within("within", calls=9) as part:
            await part.call("y", c)
        return "".join(kept)

    result = play(main)
    assert result.value == "xx!xx!"
    assert begun(result) == [
        "main",
        "main.draft[0]",
        "main.draft[1]",
        "main.kept[0]",
        "main.kept[1]",
        "main.for.if.deep[0]",
        "main.for.if.deep.again.x[0,0]",
        "main.for.if.deep.again.x[0,1]",
        "main.for.if.deep[1]",
        "main.for.if.deep.again.x[1,0]",
        "main.for.if.deep.again.x[1,1]",
        "main.within.y",
    ]
    assert result.ran("main.for.if.deep.again.x") == 4


def test_every_call_has_a_seed_of_its_own_that_is_the_same_in_every_run() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("draft", a)

        return "".join(await run.sample(3, one))

    def seeds(**options: Any) -> list[int | None]:
        model = ScriptedModel({"*": "x"})
        play(main, model, **options)
        return [request.seed for request in model.requests]

    assert len(set(seeds())) == 3
    assert seeds() == seeds()
    assert seeds() != seeds(seed=1)
    assert all(seed is not None and 0 <= seed < 2**31 for seed in seeds())


# ---------------------------------------------------------------- side by side


def test_started_steps_and_samples_run_side_by_side() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("z", c)

        x = run.start(run.call("x", a))
        y = run.start(run.call("y", b))
        z = await run.sample(3, one)
        return await x + await y + "".join(z)

    result = play(main, {"a": Says("1", after=5), "b": Says("2", after=3), "c": Says("3", after=4)})
    assert result.value == "12333"
    assert result.seconds == 5.0


def test_a_step_that_is_never_awaited_still_ends_before_the_flow() -> None:
    async def main(run: Run) -> str:
        run.start(run.call("x", a))
        return await run.call("y", b)

    result = play(main, {"a": Says("1", after=5)})
    assert ended(result) == ["finished main.y", "finished main.x", "finished main"]
    with pytest.raises(RunFailed, match=r"main\.x: auth"):
        play(main, {"a": Fails("auth", after=5)})


# ---------------------------------------------------------------- failures


def test_after_a_failure_nothing_new_begins_and_what_is_under_way_ends() -> None:
    async def main(run: Run) -> str:
        async def two(run: Run) -> str:
            await run.call("first", b)
            return await run.call("second", c)

        x = run.start(run.call("x", a))
        both = run.start(two(run))
        await run.call("y", b)
        await run.call("never", c)
        return await x + await both

    script = {"a": Fails("auth", after=1), "b": Says("paid", after=3)}
    with pytest.raises(RunFailed, match=r"main\.x: auth") as caught:
        play(main, script)
    result = caught.value.result
    assert begun(result) == ["main", "main.x", "main.first", "main.y"]  # in the order of the source
    assert ended(result)[0] == "failed main.x"
    assert set(ended(result)) == {"failed main.x", "finished main.first", "finished main.y", "failed main"}
    assert (result.calls, result.seconds) == (3, 3.0)


def test_siblings_of_a_failed_sample_are_kept() -> None:
    async def main(run: Run) -> str:
        async def two(run: Run) -> str:
            await run.call("first", a)
            return await run.call("second", b)

        return "".join(await run.sample(3, two))

    script = {"main.first[1]": Fails("auth", "one", after=2), "main.first[2]": Fails("auth", "two", after=1)}
    with pytest.raises(RunFailed) as caught:
        play(main, script | {"a": Says("x", after=3)})
    assert caught.value.step == "main.first[1]"  # the first by number, whichever was first in time
    assert "finished main.first[0]" in ended(caught.value.result)
    assert "main.second[0]" not in begun(caught.value.result)


def test_a_caught_failure_of_a_flow_stops_only_that_flow() -> None:
    async def inner(run: Run) -> str:
        slow = run.start(run.call("slow", a))
        await run.call("bad", b)
        return await slow

    async def main(run: Run) -> str:
        side = run.start(run.call("side", c))
        try:
            value = await run.call("x", inner)
        except StepFailed as failure:
            value = failure.step
        return value + await side

    result = play(main, {"a": Says("slow", after=9), "b": Fails("auth"), "c": Says("!", after=20)})
    assert result.value == "main.x.bad!"
    assert ended(result)[:3] == ["failed main.x.bad", "finished main.x.slow", "failed main.x"]
    assert result.calls == 3


def test_a_flow_may_have_a_default_and_limits_of_its_own() -> None:
    @flow(limits=Limits(calls=1), default="gave up")
    async def inner(run: Run) -> str:
        await run.call("one", a)
        return await run.call("two", a)

    async def main(run: Run) -> str:
        return await run.call("x", inner) + await run.call("y", a)

    result = play(main)
    assert result.value == "gave upx"
    assert ended(result) == [
        "finished main.x.one",
        "refused main.x.two",
        "failed main.x",
        "finished main.x",
        "finished main.y",
        "finished main",
    ]


def test_inputs_and_values_of_flows_are_clipped() -> None:
    async def inner(run: Run, text: Annotated[str, Tokens(1)]) -> Annotated[list[str], Items(0, 1)]:
        return [text, text]

    async def main(run: Run) -> str:
        return "".join(await run.call("x", inner, text="abcdefgh"))

    result = play(main)
    assert result.value == "abcd"
    assert [event.detail for event in result.events if event.kind == "clipped"] == [
        "input `text` had 2 tokens, the cap is 1",
        "the value had 2 items, the cap is 1",
    ]


def test_a_fault_of_the_compiled_program_is_not_a_failed_step() -> None:
    async def main(run: Run) -> str:
        run.start(run.call("x", a))
        await run.call("y", b)
        raise LookupError("a fault of the compiler")

    seen: list[str] = []
    with pytest.raises(LookupError):
        play(main, {"a": Says("x", after=2)}, on_event=lambda event: seen.append(event.kind))
    assert seen[-1] == "finished"  # what was under way has ended first


# ---------------------------------------------------------------- budgets


ASKED = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS + sizes.counted_tokens("OK")
SAID = sizes.counted_tokens("x")


async def four(run: Run) -> str:
    return " ".join([await step.call("x", ok) for step in run.loop("again", 4)])


def test_calls_beyond_the_budget_are_refused_and_cost_nothing() -> None:
    model = ScriptedModel({"*": "x"})
    result = play(four, model, budget=Limits(calls=2))
    assert result.value == "x x else else"
    assert (result.calls, len(model.requests)) == (2, 2)
    refused = [event.detail for event in result.events if event.kind == "refused"]
    assert refused == ["refused by the budget: all 2 calls are used up"] * 2


def test_attempts_count() -> None:
    agent = Agent[int](name="n", returns=int, prompt="N", retries=5)

    async def main(run: Run) -> int:
        return await run.call("x", agent)

    with pytest.raises(BudgetExceeded, match=r"main\.x: refused by the budget: all 3 calls are used up") as caught:
        play(main, {"n": "dunno"}, budget=Limits(calls=3))
    assert caught.value.result.calls == 3


def test_tokens_are_reserved_at_worst_and_settled_by_what_they_were() -> None:
    reserved, taken = ASKED + 800, ASKED + SAID
    assert play(four, budget=Limits(tokens=reserved - 1)).value == "else else else else"
    assert play(four, budget=Limits(tokens=reserved)).value == "x else else else"
    assert play(four, budget=Limits(tokens=reserved + 3 * taken - 1)).value == "x x x else"
    assert play(four, budget=Limits(tokens=reserved + 3 * taken)).value == "x x x x"


def test_usd_needs_a_price() -> None:
    def spend(usd: float, price: Price | None) -> Result:
        return play(four, ScriptedModel({"*": "x"}, price=price), budget=Limits(usd=usd))

    cost = ASKED * 1_000_000 + 800 * 10_000_000  # in picodollars
    assert spend(cost / 10**12, Price(1.0, 10.0)).value == "x else else else"
    assert spend((cost - 1) / 10**12, Price(1.0, 10.0)).value == "else else else else"
    assert spend(0.0, Price(0.0, 0.0)).value == "x x x x"
    result = spend(1.0, None)
    assert result.value == "else else else else"
    assert "the price of the model `scripted` is unknown" in next(
        e.detail for e in result.events if e.kind == "refused"
    )


def test_seconds_are_a_deadline() -> None:
    result = play(four, {"ok": Says("x", after=4.0)}, budget=Limits(seconds=10.0))
    assert result.value == "x x else else"
    assert result.seconds == 10.0
    kinds = [event.kind for event in result.events if event.path == "four.again.x"]
    assert kinds.count("called") == 3
    assert kinds.count("refused") == 1


def test_a_slice_holds_within_and_is_part_of_the_whole() -> None:
    async def main(run: Run) -> str:
        async with run.within("slice", calls=2) as part:
            values = [await step.call("x", ok) for step in part.loop("again", 3)]
        return " ".join(values + [await step.call("y", ok) for step in run.loop("rest", 3)])

    result = play(main, budget=Limits(calls=4))
    assert result.value == "x x else x x else"
    refused = [event.detail for event in result.events if event.kind == "refused"]
    assert refused == [
        "refused by `within` at main.slice: all 2 calls are used up",
        "refused by the budget: all 4 calls are used up",
    ]


def test_a_budget_of_the_caller_comes_on_top() -> None:
    assert play(four, budget=Limits(calls=3)).calls == 3
    narrow = run(program(four).run("four", models=ScriptedModel({"*": "x"}), budget=Limits(calls=1)))
    assert narrow.calls == 1


def test_parallel_calls_never_overspend_and_wait_for_what_others_do_not_need() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("x", ok)

        return " ".join(await run.sample(8, one))

    # room for two reservations at a time; all eight fit because each settles for less
    model = ScriptedModel({"ok": Says("x", after=1.0)})
    result = play(main, model, budget=Limits(tokens=6 * (ASKED + SAID) + 2 * (ASKED + 800)))
    assert result.value == " ".join(["x"] * 8)
    assert result.tokens == 8 * (ASKED + SAID)
    assert result.seconds == 4.0  # two at a time
    assert play(main, model, budget=Limits(calls=5)).calls == 5


def test_waiting_for_room_ends_at_the_deadline() -> None:
    hasty = Agent[str](name="hasty", returns=str, prompt="H", timeout=2.0, default="late")

    async def main(run: Run) -> str:
        x = run.start(run.call("x", a))
        return await run.call("y", hasty) + await x

    result = play(main, {"a": Says("x", after=5.0)}, budget=Limits(tokens=1000))
    assert result.value == "latex"
    assert "refused main.y" in ended(result)


def test_budget_refusals_can_be_told_from_other_failures() -> None:
    async def main(run: Run) -> str:
        try:
            return await run.call("x", a)
        except BudgetRefused as refusal:
            return refusal.limit

    assert play(main, budget=Limits(calls=0)).value == "calls"


# ---------------------------------------------------------------- tools


class Sum(Record):
    total: int
    note: Annotated[str, Tokens(2)]


add = Tool[Sum](name="add", returns=Sum, inputs={"items": list[int], "kind": str}, granted_as="math.add", timeout=5.0)


async def adds(run: Run) -> int:
    return (await run.call("x", add, items=[1, 2], kind="k")).total


def use(function: Any) -> Result:
    return play(adds, tools={"math.add": function}, program_tools=(add,))


async def slow_add(items: list[int], kind: str) -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


def test_tools_get_plain_data_and_their_result_is_typed() -> None:
    got: list[Any] = []

    def function(items: list[int], kind: str) -> dict[str, Any]:
        got.append((items, kind, threading.current_thread() is threading.main_thread()))
        return {"total": sum(items), "note": "far too long"}

    result = use(function)
    assert result.value == 3
    assert result.calls == 0
    assert got == [([1, 2], "k", False)]
    assert [event.detail for event in result.events if event.kind == "clipped"] == [
        "result: `note` had 3 tokens, the cap is 2"
    ]

    async def asynchronous(items: list[int], kind: str) -> tuple[int, str]:
        return Sum(total=7, note="")  # type: ignore[return-value]

    assert use(asynchronous).value == 7


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda items, kind: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda items: {}, r"TypeError: .* unexpected keyword argument 'kind'"),
        (
            lambda items, kind: {"total": "x", "note": ""},
            'its result does not fit: at `total`: expected a whole number, got "x"',
        ),
        (slow_add, "no result within 5 s"),
        (lambda items, kind: threading.Event().wait(30), "no result within 5 s"),
        (lambda items, kind: exec("raise SystemExit('bye')"), "RuntimeError: SystemExit: bye"),
    ],
)
def test_a_tool_that_fails_fails_its_step(function: Any, reason: str) -> None:
    with pytest.raises(RunFailed, match=rf"main\.x: {reason}|adds\.x: {reason}"):
        use(function)


def test_a_tool_may_have_a_default() -> None:
    tool = Tool[int](name="t", returns=int, granted_as="t", default=9)

    async def main(run: Run) -> int:
        return await run.call("x", tool)

    assert play(main, tools={"t": lambda: 1 / 0}, program_tools=(tool,)).value == 9


def test_nothing_is_paid_when_a_tool_is_not_granted() -> None:
    async def main(run: Run) -> int:
        await run.call("y", a)
        return (await run.call("x", add, items=[], kind="")).total

    with pytest.raises(RunFailed, match='tool add: the host does not grant "math.add"') as caught:
        play(main, tools={}, program_tools=(add,))
    assert caught.value.result.calls == 0


# ---------------------------------------------------------------- cancellation


def test_an_interrupted_run_leaves_nothing_behind() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("z", c)

        x = run.start(run.call("x", a))
        await run.sample(3, one)
        return await x

    seen: list[str] = []

    async def interrupted() -> None:
        model = ScriptedModel({"*": Says("x", after=100.0)})
        running = asyncio.create_task(program(main).run(models=model, on_event=lambda event: seen.append(event.kind)))
        await asyncio.sleep(1.0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(asyncio.all_tasks()) == 1

    run(interrupted())
    assert seen.count("called") == 4  # each with all that it may have cost


# ---------------------------------------------------------------- stand-ins and observers


def test_stand_ins_answer_in_the_place_of_models() -> None:
    agent = Agent[list[str]](
        name="l", returns=Annotated[list[str], Items(0, 2)], inputs={"n": int}, prompt="L", retries=1
    )

    async def main(run: Run) -> str:
        return "".join(await run.call("x", agent, n=1))

    answers: list[Any] = [RawReply("no list"), ["a", "b", "c"]]
    got: list[Any] = []

    def answer(inputs: Any) -> Any:
        got.append(inputs)
        return answers.pop(0)

    result = play(main, stand_ins={"l": answer})
    assert result.value == "ab"
    assert got == [{"n": 1}, {"n": 1}]
    assert result.calls == 2

    def fails(inputs: Any) -> Any:
        raise StepFailed("test", "it is made to fail")

    with pytest.raises(RunFailed, match=r"main\.x: refused: it is made to fail"):
        play(main, stand_ins={"l": fails})


def test_an_observer_cannot_disturb_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def observer(event: Any) -> None:
        raise ValueError("a fault of the observer")

    assert play(four, on_event=observer).value == "x x x x"
    assert "on_event failed for event 0" in caplog.text


def test_events_are_json_and_in_order() -> None:
    result = play(four, budget=Limits(calls=2))
    data = [event.to_json() for event in result.events]
    assert [event["number"] for event in data] == list(range(len(data)))
    assert json.loads(json.dumps(data)) == data
    assert (
        data[1]
        == {
            "number": 1,
            "kind": "started",
            "path": "four.again.x",
            "indices": [0],
            "what": "agent",
            "name": "ok",
            "at": 0.0,
        }
        or data[1]["path"] == "main.again.x"
    )
