"""Runs with a journal: what is kept and when, what is taken from it, effects, stops, replays, budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from masdsl.journal import JournalError, open_journal
from masdsl.journal.memory import MemoryJournal, MemoryRun
from masdsl.runtime import (
    Agent,
    BudgetExceeded,
    Event,
    Limits,
    NotInJournal,
    Program,
    Result,
    Run,
    RunFailed,
    RunStopped,
    State,
    StepFailed,
    Tool,
    flow,
)
from masdsl.runtime.hashes import agent_hash, args_hash, digest, tool_hash
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from masdsl.runtime.past import NOTHING, Past
from tests.harness.journaled import CrashError, Crashing, as_version_1, cut, header
from tests.harness.virtual_time import run

FIRST = header()
PRICE = Price(1.0, 2.0)

a = Agent[str](name="a", returns=str, inputs={"q": str}, optional={"q": ""}, prompt="A")
b = Agent[str](name="b", returns=str, inputs={"q": str}, optional={"q": ""}, prompt="B", retries=2)
number = Agent[int](name="number", returns=int, prompt="N", retries=1)
mild = Agent[str](name="mild", returns=str, prompt="M", default="nothing")
send = Tool[str](name="send", returns=str, inputs={"to": str}, granted_as="send", effect=True)
look = Tool[str](name="look", returns=str, inputs={"at": str}, granted_as="look")
clerk = Agent[str](name="clerk", returns=str, prompt="C", tools=(look, send), steps=3)


def program(*flows: Any, budget: Limits | None = None) -> Program:
    return Program(name="test", flows=flows, agents=(a, b, number, mild, clerk), tools=(send, look), budget=budget)


class Host:
    """A scripted model and two tools that remember what they were asked."""

    def __init__(self, script: Any = None, **functions: Callable[..., Any]) -> None:
        self.model = ScriptedModel(
            {"*": lambda request: f"{request.agent}{request.seed}"} | (script or {}), price=PRICE
        )
        self.sent: list[tuple[str, str]] = []
        self.looked: list[str] = []
        self.functions = functions

    @property
    def asked(self) -> list[str]:
        return [request.step for request in self.model.requests]

    def tools(self) -> dict[str, Any]:
        async def send(to: str, idempotency_key: str) -> str:
            self.sent.append((to, idempotency_key))
            return f"sent to {to}"

        async def look(at: str) -> str:
            self.looked.append(at)
            return f"seen {at}"

        return {"send": send, "look": look} | self.functions

    def options(self, **more: Any) -> dict[str, Any]:
        return {"models": self.model, "tools": self.tools()} | more


def play(flows: Any, host: Host, journaled: Any, *, budget: Limits | None = None, **more: Any) -> Result:
    flows = flows if isinstance(flows, tuple) else (flows,)
    return run(program(*flows, budget=budget).run(flows[-1].__name__, run=journaled, **host.options(**more)))


def fresh() -> MemoryRun:
    return MemoryJournal().create(FIRST)


def told(rows: Any) -> list[str]:
    return [f"{row.kind} {row.path}{list(row.indices) if row.indices else ''}" for row in rows]


def happened(result: Result, *kinds: str) -> list[str]:
    return [f"{event.kind} {event.address}" for event in result.events if event.kind in kinds]


async def two(run: Run) -> str:
    first = await run.call("first", a, q="x")
    return await run.call("second", b, q=first)


# ---------------------------------------------------------------- what is kept, and when


def test_the_rows_of_a_run_in_order() -> None:
    journaled = fresh()
    result = play(two, Host({"b": ["", "fine"]}), journaled)
    rows = journaled.rows()
    assert told(rows) == [
        "intent two.first",
        "reply two.first",
        "intent two.second",
        "reply two.second",
        "intent two.second",
        "reply two.second",
        "end ",
    ]
    assert [row.part for row in rows[2:6]] == [0, 0, 1, 1]
    assert rows[5].body["value"] == result.value == "fine" and "value" not in rows[3].body
    assert rows[3].body["text"] == "" and "text" not in rows[5].body  # what is said twice is kept once
    assert rows[6].body["value"] == "fine" and journaled.header.status == "ended"
    paid = [row.body for row in rows if row.kind == "reply"]
    assert sum(body["tokens_in"] for body in paid) == result.tokens_in
    assert sum(body["picodollars"] for body in paid) == result.picodollars
    assert all(
        intent.body["tokens_out"] >= reply.body["tokens_out"]
        for intent, reply in zip(rows[::2], rows[1::2], strict=False)
    )


class Slow(Crashing):
    """A journal that takes a second for each row; `order` tells when each is durable."""

    def __init__(self, order: list[str]) -> None:
        super().__init__(fresh(), 100)
        self.order = order

    def append(self, *args: Any, **more: Any) -> Any:
        super().append(*args, **more)

        async def written() -> int:
            await asyncio.sleep(1)
            self.order.append(f"{args[0]} {args[1]}".strip())
            return 1

        return asyncio.get_running_loop().create_task(written())


def test_nothing_leaves_the_run_before_what_it_follows_from_is_durable() -> None:
    """Nothing but the program itself goes on with a value; parallel steps wait for their own rows."""
    order: list[str] = []

    def answer(request: Any) -> str:
        order.append(f"asked {request.step}")
        return "x"

    async def look_at(at: str) -> str:
        order.append(f"looked at {at}")
        return at

    async def send_to(to: str, idempotency_key: str) -> str:
        order.append(f"sent to {to}")
        return to

    async def main(run: Run) -> str:
        first = run.start(run.call("first", a))
        second = run.start(run.call("second", a))
        value = await first + await second
        order.append("known")
        seen = await run.call("third", look, at=value)
        return await run.call("fourth", send, to=seen)

    host = Host({"a": answer}, look=look_at, send=send_to)
    result = play(main, host, Slow(order))
    order.append("told")
    assert [line for line in order if "second" not in line] == [
        "intent main.first",
        "asked main.first",
        "known",
        "reply main.first",
        "looked at xx",
        "tool main.third",
        "intent main.fourth",
        "sent to xx",
        "tool main.fourth",
        "end",
        "told",
    ]
    assert result.seconds == 4.0


def test_an_observer_is_shown_only_values_that_are_durable() -> None:
    order: list[str] = []

    async def main(run: Run) -> str:
        try:
            first = await run.call("x", a)
        except StepFailed:
            first = "none"
        return await run.call("y", look, at=first) + await run.call("z", mild)

    def observe(event: Event) -> None:
        order.append(f"shown: {event.kind} {event.path}")

    play(main, Host({"a": Fails("refused"), "mild": Fails("refused")}), Slow(order), on_event=observe)
    for row, shown in (
        ("failed main.x", "failed main.x"),
        ("tool main.y", "finished main.y"),
        ("done main.z", "finished main.z"),
    ):
        assert order.index(row) < order.index(f"shown: {shown}")
    order.clear()
    play(two, Host(), Slow(order), on_event=observe)
    assert order.index("reply two.first") < order.index("shown: finished two.first")
    assert order.index("shown: finished two.first") < order.index("intent two.second")


def test_a_moved_value_is_shown_once_its_claim_is_durable() -> None:
    order: list[str] = []
    journaled = fresh()
    play(two, Host(), journaled)
    slow = Slow(order)
    slow.run = cut(journaled.rows(), FIRST, 2)

    async def later(run: Run) -> str:
        return await run.call("other", a, q="x")

    later.__name__ = "two"
    play(later, Host(), slow, sites={"two.other"}, on_event=lambda event: order.append(f"{event.kind} {event.path}"))
    assert order.index("claim two.other") < order.index("claimed two.other")


def test_who_stops_waiting_for_the_journal_keeps_nobody_else_from_it() -> None:
    order: list[str] = []

    async def look_at(at: str) -> str:
        order.append(f"looked at {at}")
        return at

    async def main(run: Run) -> str:
        value = await run.call("first", a)
        hasty = asyncio.ensure_future(run.call("hasty", look, at="hasty"))
        patient = asyncio.ensure_future(run.call("patient", look, at="patient"))
        await asyncio.sleep(0.5)
        hasty.cancel()
        await patient
        return value

    play(main, Host(look=look_at), Slow(order))
    assert "looked at patient" in order and "looked at hasty" not in order
    assert order.index("reply main.first") < order.index("looked at patient")


def test_without_a_run_there_is_no_difference() -> None:
    kept, bare = Host(), Host()
    one = play(two, kept, fresh(), seed=99)
    other = play(two, bare, None, seed=FIRST.seed)
    assert one.value == other.value and kept.model.requests == bare.model.requests
    assert [event.kind for event in one.events] == [event.kind for event in other.events]


def test_a_journal_that_cannot_be_written_ends_the_run() -> None:
    for rows in range(5):
        with pytest.raises(JournalError):
            play(two, Host(), Crashing(fresh(), rows))


# ---------------------------------------------------------------- what is taken from it


def test_finished_steps_are_reused_and_counted() -> None:
    journaled = fresh()
    before = play(two, Host(), journaled)
    host = Host()
    after = play(two, host, cut(journaled.rows(), FIRST, 2))
    assert after.value == before.value and host.asked == ["two.second"]
    assert (after.reused, after.steps_ran, after.claimed, after.repeated) == (1, 1, 0, 0)
    assert happened(after, "started", "reused", "finished") == [
        "started two", "reused two.first", "started two.second", "finished two.second", "finished two",
    ]  # fmt: skip
    assert (after.calls, after.tokens, after.picodollars) == (before.calls, before.tokens, before.picodollars)


def test_an_unfinished_step_goes_on_with_its_replies_and_faults() -> None:
    script = {"b": [Fails("overloaded"), "", "good"]}

    async def main(run: Run) -> str:
        return await run.call("x", b)

    journaled = fresh()
    before = play(main, Host(script), journaled)
    rows = as_version_1(journaled.rows())  # in which a reply that is right may be all there is of a step
    assert told(rows)[:6] == [
        "intent main.x",
        "fault main.x",
        "intent main.x",
        "reply main.x",
        "intent main.x",
        "reply main.x",
    ]
    for upto, left, said in ((2, 2, ["", "good"]), (4, 1, "good"), (6, 0, "never")):
        host = Host({"b": said})
        after = play(main, host, cut(rows, FIRST, upto))
        assert (after.value, len(host.asked)) == ("good", left)
        assert len(happened(after, "replayed")) == 3 - left
        assert (after.calls, after.tokens, after.picodollars) == (before.calls, before.tokens, before.picodollars)


def test_what_is_asked_after_a_break_is_what_would_have_been_asked() -> None:
    journaled = fresh()
    whole = Host({"b": ["", "", "good"]})
    play(two, whole, journaled)
    host = Host({"b": ["", "good"]})
    play(two, host, cut(journaled.rows(), FIRST, 4))
    assert host.model.requests == whole.model.requests[2:]


def test_a_pause_that_was_made_is_not_made_again() -> None:
    async def main(run: Run) -> str:
        return await run.call("x", b)

    journaled = fresh()
    before = play(main, Host({"b": [Fails("overloaded", retry_after=20.0), "good"]}), journaled)
    assert before.seconds == 20.0
    rows = journaled.rows()
    assert play(main, Host(), cut(rows, FIRST, 2)).seconds == 20.0  # the pause was not over
    assert play(main, Host(), cut(rows, FIRST, 3)).seconds == 20.0  # it was: the next call was under way


def test_a_reply_to_another_question_is_not_taken() -> None:
    journaled = fresh()
    play(two, Host(), journaled)
    rows = as_version_1(journaled.rows())[:2]
    host = Host()
    play(two, host, cut([rows[0]._replace(body=rows[0].body | {"request": "00"}), rows[1]], FIRST, 2))
    assert host.asked == ["two.first", "two.second"]


@pytest.mark.parametrize("policy", ["frozen", "strict"])
def test_replies_of_an_unfinished_step_are_those_of_its_declaration(policy: str) -> None:
    later = Agent[str](name="a", returns=str, inputs={"q": str}, optional={"q": ""}, temperature=0.1, prompt="A")

    async def one(run: Run) -> str:
        return await run.call("x", a)

    async def other(run: Run) -> str:
        return await run.call("x", later)

    other.__name__ = "one"
    journaled = fresh()
    play(one, Host(), journaled)
    host = Host()
    result = play(other, host, cut(as_version_1(journaled.rows()), FIRST, 2), policy=policy)
    assert host.asked == ["one.x"] and result.calls == 2


def test_a_call_under_way_counts_in_full_and_is_reported() -> None:
    journaled = fresh()
    before = play(two, Host(), journaled)
    rows = journaled.rows()
    after = play(two, Host(), cut(rows, FIRST, 3))
    reserved = rows[2].body
    assert after.calls == before.calls + 1 and after.repeated == 1
    assert after.tokens == before.tokens + reserved["tokens_in"] + reserved["tokens_out"]
    assert after.picodollars == before.picodollars + reserved["picodollars"]


def test_defaults_are_values() -> None:
    async def main(run: Run) -> str:
        return await run.call("x", mild)

    journaled = fresh()
    play(main, Host({"mild": Fails("refused")}), journaled)
    host = Host()
    after = play(main, host, journaled)
    assert (after.value, host.asked, after.events[1].detail) == ("nothing", [], "default")


def test_a_step_that_failed_is_tried_again_only_where_the_run_ended_by_it() -> None:
    async def main(run: Run) -> str:
        try:
            first = await run.call("x", a)
        except StepFailed:
            first = "literal"
        return first + await run.call("y", b, q=first)

    journaled = fresh()
    with pytest.raises(RunFailed) as failed:
        play(main, Host({"a": Fails("refused"), "b": Fails("refused")}), journaled)
    assert failed.value.step == "main.y" and journaled.header.status == "failed"
    assert journaled.rows()[-1].body["open"] == ["main.y"]
    host = Host()
    after = play(main, host, journaled)
    assert host.asked == ["main.y"] and str(after.value).startswith("literal")
    assert [event.detail for event in after.events if event.kind == "failed"] == [
        "refused: scripted failure (as row 3 of the journal says)"
    ]
    with pytest.raises(RunFailed) as replayed:  # without its last row, it goes on to where it failed
        play(main, Host(), cut(journaled.rows(), FIRST, 6))
    assert (replayed.value.step, replayed.value.result.calls) == ("main.y", 2)


def test_all_failures_that_went_the_same_way_are_tried_again() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            return await run.call("x", a)

        started = run.start(run.call("y", b))
        return "".join(await run.sample(3, one)) + await started

    journaled = fresh()
    with pytest.raises(RunFailed):
        play(main, Host({"*": Fails("refused", after=1.0)}), journaled)
    assert sorted(journaled.rows()[-1].body["open"]) == ["main.x[0]", "main.x[1]", "main.x[2]", "main.y"]
    host = Host()
    result = play(main, host, journaled)
    assert len(host.asked) == 4 and result.calls == 8


def test_a_step_that_is_done_again_has_another_seed() -> None:
    journaled = fresh()
    host = Host({"a": Fails("refused")})
    with pytest.raises(RunFailed):
        play(two, host, journaled)
    again = Host({"a": lambda request: str(request.seed)})
    result = play(two, again, journaled)
    assert again.model.requests[0].seed != host.model.requests[0].seed
    crashed = Host({"a": lambda request: str(request.seed)})
    rows = [row for row in journaled.rows() if row.path != "two.second"]
    assert play(two, crashed, cut(rows, FIRST, 5)).value is not None
    assert crashed.model.requests[0].seed == again.model.requests[0].seed
    assert result.calls == 3


def test_other_inputs_are_said_and_run_again() -> None:
    async def main(run: Run, text: str = "one") -> str:
        return await run.call("x", a, q=text)

    journaled = fresh()
    play(main, Host(), journaled)
    host = Host()
    result = play(main, host, journaled, inputs={"text": "two"})
    assert host.asked == ["main.x"] and result.reused == 0
    assert [event.detail for event in result.events if event.kind == "rerun"] == [
        "its inputs are others than those of its value in row 2"
    ]


def test_a_value_that_does_not_fit_the_type_any_more_is_not_used() -> None:
    journaled = fresh()

    async def main(run: Run) -> str:
        return str(await run.call("x", a))

    async def later(run: Run) -> str:
        return str(
            await run.call("x", Agent[int](name="a", inputs={"q": str}, optional={"q": ""}, returns=int, prompt="A"))
        )

    play(main, Host({"a": "word"}), journaled)
    later.__name__ = "main"
    host = Host({"a": 5})
    result = play(later, host, journaled)
    assert result.value == "5"
    assert "does not fit its type" in next(event.detail for event in result.events if event.kind == "rerun")


def test_policies() -> None:
    dear = Agent[str](name="a", returns=str, inputs={"q": str}, optional={"q": ""}, prompt="A better prompt")

    async def later(run: Run) -> str:
        first = await run.call("first", dear, q="x")
        return await run.call("second", b, q=first)

    later.__name__ = "two"
    journaled = fresh()
    before = play(two, Host(), journaled)
    frozen, strict = Host(), Host({"a": "other"})
    assert play(later, frozen, cut(journaled.rows(), FIRST, 9), policy="frozen").value == before.value
    play(later, strict, cut(journaled.rows(), FIRST, 9), policy="strict")
    assert (frozen.asked, strict.asked) == ([], ["two.first", "two.second"])
    with pytest.raises(ValueError, match="frozen, strict"):
        play(two, Host(), journaled, policy="loose")


def test_hashes_say_what_is_asked_and_nothing_else() -> None:
    def agent(**more: Any) -> Agent[str]:
        said: dict[str, Any] = {"name": "a", "returns": str, "prompt": "A", "inputs": {"q": str}}
        made: Agent[str] = Agent(**(said | more))
        return made

    first = agent_hash(agent(), "m")
    assert first == agent_hash(agent(name="other", doc="told", default="d"), "m")
    changes: list[dict[str, Any]] = [
        {"prompt": "B"}, {"role": "r"}, {"returns": int}, {"inputs": {"q": int}}, {"temperature": 0.5}, {"retries": 1},
        {"timeout": 5.0}, {"max_tokens": 7}, {"tools": (look,), "steps": 1}, {"tools": (look,), "steps": 2},
    ]  # fmt: skip
    hashes = [agent_hash(agent(**change), "m") for change in changes] + [first, agent_hash(agent(), "n")]
    assert len(set(hashes)) == len(hashes)
    assert tool_hash(look) != tool_hash(send)
    assert digest(b"ab", b"c") != digest(b"a", b"bc")
    assert args_hash({"x": 1, "y": "\ud800"}) == args_hash({"y": "\ud800", "x": 1}) != args_hash({"x": "1", "y": ""})


# ---------------------------------------------------------------- tools and effects


async def sending(run: Run) -> str:
    first = await run.call("first", send, to="one")
    return await run.call("second", send, to=first)


def test_effects_are_never_repeated() -> None:
    journaled = fresh()
    whole = Host()
    play(sending, whole, journaled)
    rows = journaled.rows()
    assert told(rows)[:3] == ["intent sending.first", "tool sending.first", "intent sending.second"]
    for upto in range(len(rows) + 1):
        host = Host()
        try:
            play(sending, host, cut(rows, FIRST, upto))
        except RunFailed as failure:
            assert rows[upto - 1].kind == "intent" and "may have happened already" in failure.reason
            assert host.sent == []
        else:
            done = sum(row.kind == "tool" for row in rows[:upto])
            assert host.sent == whole.sent[done:]


def test_an_effect_of_which_nobody_knows_stays_so_until_it_is_to_be_done_again() -> None:
    journaled = fresh()
    play(sending, Host(), journaled)
    first = next(row.body["key"] for row in journaled.rows() if row.kind == "intent")
    again = cut(journaled.rows(), FIRST, 1)
    for _ in range(2):
        with pytest.raises(RunFailed, match="may have happened already"):
            play(sending, Host(), again)
    host = Host()
    play(sending, host, again, redo=["sending.first"])
    assert host.sent[0] == ("one", first)  # the same use, so the same key
    host = Host()
    play(sending, host, again)
    assert host.sent == []


def test_an_effect_that_is_done_again_has_another_key() -> None:
    journaled = fresh()
    whole = Host()
    play(sending, whole, journaled)
    host = Host()
    play(sending, host, journaled, redo=["sending.first"])
    assert [to for to, _ in host.sent] == ["one"] and host.sent[0][1] != whole.sent[0][1]


def test_a_failed_effect_is_not_tried_again_blindly() -> None:
    def fails(to: str) -> str:
        raise ValueError("connection lost")

    journaled = fresh()
    with pytest.raises(RunFailed, match="connection lost"):
        play(sending, Host(send=fails), journaled)
    host = Host()
    with pytest.raises(RunFailed, match="connection lost"):
        play(sending, host, journaled)
    assert host.sent == []


def test_keys_are_passed_without_a_journal_too_and_only_where_they_are_taken() -> None:
    host = Host()
    play(sending, host, None)
    assert len({key for _, key in host.sent}) == 2
    plain = Host(send=lambda to: f"to {to}")
    assert play(sending, plain, None).value == "to to one"


TURNS = [
    {"tool": "look", "arguments": {"at": "sky"}},
    {"tool": "send", "arguments": {"to": "me"}},
    {"answer": "done"},
]


def test_an_agent_with_tools_goes_on_between_its_turns() -> None:
    async def main(run: Run) -> str:
        return await run.call("x", clerk)

    journaled = fresh()
    whole = Host({"clerk": TURNS})
    before = play(main, whole, journaled)
    rows = journaled.rows()
    assert told(rows) == [
        "intent main.x", "reply main.x", "tool main.x.look[0]", "intent main.x", "reply main.x",
        "intent main.x.send[1]", "tool main.x.send[1]", "intent main.x", "reply main.x", "done main.x", "end ",
    ]  # fmt: skip
    for upto in range(len(rows)):
        replies = sum(row.kind == "reply" for row in rows[:upto])
        left = TURNS[replies:]
        host = Host({"clerk": left or "never"})
        result = play(main, host, cut(rows, FIRST, upto))
        assert result.value == before.value
        assert len(host.asked) == len(left) and host.looked == ([] if upto > 2 else ["sky"])
        is_doubtful = upto == 6
        assert host.sent == ([] if upto >= 6 else whole.sent)
        if is_doubtful:
            assert "may have happened" in host.model.requests[0].messages[-1].content
        elif left:
            assert host.model.requests == whole.model.requests[replies:]


def test_a_tool_is_used_only_when_the_reply_that_wants_it_is_durable() -> None:
    class Late(Crashing):
        """Writes at once, and says so late."""

        def append(self, *args: Any, **more: Any) -> Any:
            kinds.append(args[0])

            async def written() -> int:
                await asyncio.sleep(1)
                kinds.append(f"{args[0]} is durable")
                return 1

            return asyncio.get_running_loop().create_task(written())

    async def main(run: Run) -> str:
        return await run.call("x", clerk)

    kinds: list[str] = []

    async def look(at: str) -> str:
        kinds.append("looked")
        return at

    play(main, Host({"clerk": [TURNS[0], TURNS[2]]}, look=look), Late(fresh(), 100))
    assert kinds.index("reply is durable") < kinds.index("looked")


def test_a_tool_that_failed_is_not_used_again_in_the_same_step() -> None:
    def fails(at: str) -> str:
        raise ValueError("no")

    async def main(run: Run) -> str:
        return await run.call("x", look, at="sky")

    journaled = fresh()
    with pytest.raises(RunFailed):
        play(main, Host(look=fails), journaled)
    assert told(journaled.rows()) == ["tool main.x", "failed main.x", "end "]
    host = Host()
    with pytest.raises(RunFailed, match="ValueError: no"):
        play(main, host, cut(journaled.rows(), FIRST, 1))
    assert host.looked == []
    play(main, host, journaled)
    assert host.looked == ["sky"]


# ---------------------------------------------------------------- budgets


def test_what_was_spent_counts_in_the_budget() -> None:
    journaled = fresh()
    play(two, Host(), journaled)
    rows = journaled.rows()
    play(two, Host(), cut(rows, FIRST, 2), budget=Limits(calls=2))
    with pytest.raises(BudgetExceeded):  # one of two calls was made, and one may have been
        play(two, Host(), cut(rows, FIRST, 3), budget=Limits(calls=2))
    with pytest.raises(BudgetExceeded):
        play(two, Host(), cut(rows, FIRST, 2), ceiling=Limits(calls=1))


def test_slices_and_budgets_of_flows_count_what_was_reused_in_them() -> None:
    @flow(limits=Limits(calls=2))
    async def inner(run: Run) -> str:
        return await run.call("x", a) + await run.call("y", b)

    async def main(run: Run) -> str:
        async with run.within("slice", calls=3) as part:
            one = await part.call("one", inner)
            return one + await part.call("two", a) + await part.call("three", mild)

    journaled = fresh()
    before = play((inner, main), Host(), journaled)
    assert before.calls == 3 and str(before.value).endswith("nothing")
    rows = journaled.rows()
    for upto in range(len(rows)):
        spent = sum(row.kind == "intent" for row in rows[:upto]) - sum(row.kind == "reply" for row in rows[:upto])
        result = play((inner, main), Host(), cut(rows, FIRST, upto))
        assert (result.value, result.calls) == (before.value, before.calls + spent)


def test_seconds_go_on_from_where_they_were() -> None:
    async def main(run: Run) -> str:
        async with run.within("slice", seconds=10.0) as part:
            one = await part.call("x", a)
            return one + await part.call("y", b, q=one)

    slow = {"a": Says("one", after=6.0), "b": Says("two", after=3.0)}
    journaled = fresh()
    before = play(main, Host(slow), journaled, budget=Limits(seconds=10))
    assert before.seconds == 9.0
    half = cut(journaled.rows(), FIRST, 2)
    after = play(main, Host(slow), half, budget=Limits(seconds=10))
    assert (after.value, after.seconds) == (before.value, 9.0)
    late = {"b": Says("two", after=5.0)}
    for budget in (Limits(seconds=10), Limits(seconds=100)):  # of the run, of the slice
        with pytest.raises(RunFailed, match=r"timeout|10 seconds"):
            play(main, Host(late), cut(journaled.rows(), FIRST, 2), budget=budget)


# ---------------------------------------------------------------- stopping


def test_a_run_is_stopped_softly_and_goes_on() -> None:
    async def main(run: Run) -> str:
        async def one(run: Run) -> str:
            first = await run.call("x", a)
            return await run.call("y", b, q=first)

        return " ".join(await run.sample(3, one))

    def should_stop(state: State) -> str | None:
        return "half is used" if state.used_share > 0.5 else None

    script = {"a": lambda request: Says(f"a{request.seed}", after=1.0 + request.seed % 3)}
    whole = play(main, Host(script), fresh())
    journaled = fresh()
    with pytest.raises(RunStopped) as stopped:
        play(main, Host(script), journaled, budget=Limits(calls=6), should_stop=should_stop)
    error = stopped.value
    assert error.reason == "half is used" and error.step.startswith("main.y[")
    assert journaled.header.status == "stopped" and journaled.rows()[-1].body["stopped"] == "half is used"
    assert error.state is not None and error.state.failure is None
    assert error.result.calls == error.state.spent.calls == 4
    assert (error.state.remaining.calls, error.state.remaining.usd) == (2, None)
    assert {step.path for step in error.state.finished} == {"main.x", "main.y"}
    assert {row.kind for row in journaled.rows()} == {"intent", "reply", "end"}
    host = Host(script)
    after = play(main, host, journaled, budget=Limits(calls=6))
    assert after.value == whole.value and after.calls == 6 and len(host.asked) == 2


def test_a_stop_after_the_last_step_changes_nothing() -> None:
    asked: list[int] = []

    def should_stop(state: State) -> str | None:
        asked.append(state.spent.calls or 0)
        return "now" if state.spent.calls == 2 else None

    result = play(two, Host(), fresh(), should_stop=should_stop)
    assert str(result.value).startswith("b") and asked == [0, 1, 1, 2]


def test_no_fallback_begins_after_a_stop() -> None:
    async def main(run: Run) -> str:
        try:
            first = await run.call("x", a)
        except StepFailed:
            first = await run.call("x.else", b)
        return first

    stops: list[State] = []

    def should_stop(state: State) -> str | None:
        stops.append(state)
        return "enough" if state.spent.calls else None

    journaled = fresh()
    with pytest.raises(RunStopped) as stopped:
        play(main, Host({"a": Fails("refused")}), journaled, should_stop=should_stop)
    assert stopped.value.step == "main.x.else"
    host = Host()
    play(main, host, journaled)
    assert host.asked == ["main.x.else"]


def test_the_state_of_a_failed_run() -> None:
    with pytest.raises(RunFailed) as failed:
        play(two, Host({"b": Fails("refused")}), None, budget=Limits(calls=8, tokens=10_000, usd=1.0, seconds=60.0))
    state = failed.value.state
    assert state is not None and state.failure is not None
    assert (state.failure.path, state.failure.indices, state.failure.limit) == ("two.second", (), None)
    told = state.to_json()
    assert [step["step"] for step in told["finished"]] == ["two.first"]
    assert told["failure"]["reason"].startswith("refused")
    assert state.remaining.calls == 6 and state.remaining.tokens == 10_000 - failed.value.result.tokens
    assert state.remaining.usd == pytest.approx(1.0 - failed.value.result.usd)
    assert state.used_share == 0.25
    with pytest.raises(BudgetExceeded) as refused:
        play(two, Host(), None, budget=Limits(calls=1))
    assert refused.value.state is not None and refused.value.state.failure is not None
    assert refused.value.state.failure.limit == "calls" and refused.value.state.used_share == 1.0


# ---------------------------------------------------------------- replays


def test_a_replay_calls_nothing_and_adds_nothing() -> None:
    async def main(run: Run) -> str:
        return await run.call("x", clerk) + await run.call("y", mild)

    journaled = fresh()
    before = play(main, Host({"clerk": TURNS, "mild": Fails("refused")}), journaled)
    rows = list(journaled.rows())
    again = run(program(main).run("main", run=journaled, replay_only=True))
    assert (again.value, again.calls, again.picodollars) == (before.value, before.calls, before.picodollars)
    assert list(journaled.rows()) == rows
    last_paid = max(at for at, row in enumerate(rows) if row.kind == "fault")
    for upto in range(last_paid + 1):
        with pytest.raises(NotInJournal, match="is not in the journal of run r1") as missing:
            run(program(main).run("main", run=cut(rows, FIRST, upto), replay_only=True))
        assert missing.value.result is not None


def test_a_failed_run_is_replayed_to_its_failure() -> None:
    journaled = fresh()
    with pytest.raises(RunFailed) as failed:
        play(two, Host({"b": Fails("refused")}), journaled)
    with pytest.raises(RunFailed) as again:
        run(program(two).run("two", run=journaled, replay_only=True))
    assert (again.value.step, again.value.reason) == (failed.value.step, failed.value.reason)


def test_no_fallback_hides_that_something_is_missing() -> None:
    async def main(run: Run) -> str:
        try:
            return await run.call("x", a)
        except StepFailed:
            return await run.call("x.else", mild)

    with pytest.raises(NotInJournal, match=r"main\.x: attempt 1 of asking the model is not in the journal"):
        run(program(main).run("main", run=fresh(), replay_only=True))


# ---------------------------------------------------------------- breaking off


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5])
def test_a_cancelled_run_goes_on(seconds: float) -> None:
    async def main(run: Run) -> str:
        started = run.start(run.call("z", b))
        one = await run.call("x", a)
        return one + await run.call("y", a, q=one) + await started

    script = {
        "a": lambda request: Says(f"a{request.seed}", after=1.0),
        "b": lambda request: Says(f"b{request.seed}", after=3.0),
    }
    before = play(main, Host(script), None, seed=FIRST.seed)
    journaled = fresh()

    async def broken_off() -> None:
        host = Host(script)
        task = asyncio.create_task(program(main).run("main", run=journaled, **host.options()))
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) if seconds < 3 else pytest.MonkeyPatch.context():
            await task

    run(broken_off())
    host = Host(script)
    rows = list(journaled.rows())
    result = play(main, host, journaled)
    assert result.value == before.value
    assert len(host.asked) == 3 - sum(row.kind == "reply" for row in rows)


def test_many_runs_share_one_journal(tmp_path: Path) -> None:
    async def main(run: Run, n: int) -> str:
        one = await run.call("x", a, q=str(n))
        return one + await run.call("y", b, q=one)

    journal = open_journal(str(tmp_path / "runs.db"))

    def echo(request: Any) -> str:
        return f"{request.agent} {request.messages[-1].content[-40:]} {request.seed}"

    host = Host({"*": echo})
    compiled = program(main)

    async def one(n: int, rows: int | None) -> Any:
        name = f"r{n}"
        known = rows is None
        opened = journal.resume(name) if known else journal.create(header(name, inputs={"n": n}))
        try:
            run = opened if rows is None else Crashing(opened, rows)
            return (await compiled.run("main", run=run, **host.options())).value
        except CrashError:
            return None
        finally:
            await opened.close()

    async def all_of(rows: list[int | None]) -> list[Any]:
        return await asyncio.gather(*(one(n, row) for n, row in enumerate(rows)))

    count = 60
    first = asyncio.run(all_of([n % 5 for n in range(count)]))
    second = asyncio.run(all_of([None] * count))
    assert all(value is None for value in first) and None not in second
    options = {"seed": FIRST.seed} | host.options()
    bare = [run(compiled.run("main", {"n": n}, **options)).value for n in range(count)]
    assert second == bare
    for n in range(count):
        _, rows = journal.read(f"r{n}")
        replies = [(row.path, row.part) for row in rows if row.kind == "reply"]
        assert len(replies) == len(set(replies)) == 2
    journal.close()


def test_runs_that_begin_have_nothing_and_share_it() -> None:
    pasts = [Past((), redo=["main.x"], aliases={"main.y": "main.x"}, sites=["main.x"]) for _ in range(2)]
    for past in pasts:
        assert past.standing("main.y", (), b"args", b"decl") == NOTHING
        assert past.elapsed_in("main", ()) == 0.0
        assert past.news is pasts[0].news == {}
