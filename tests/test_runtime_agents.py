"""How agents are asked: prompts, attempts, faults shown to the model, timeouts, accounts, tools."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from masdsl import sizes
from masdsl.runtime import Agent, Enum, Items, Model, Program, Record, Result, Run, RunFailed, StepFailed, Tokens, Tool
from masdsl.runtime.events import Event
from masdsl.runtime.models.base import ChatModel, ModelError, Price, Reply, Request
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from tests.harness.virtual_time import run


class Kind(Enum):
    math = "math"
    code = "code"


class Found(Record):
    thought: str
    answer: str


class Review(Record):
    ok: bool
    issues: Annotated[list[Annotated[str, Tokens(5)]], Items(0, 2)]


def program_of(agent: Agent[Any], **inputs: object) -> Program:
    """A program whose only step `x` is a call of the agent with these inputs."""

    async def main(run: Run) -> str:
        value = await run.call("x", agent, **inputs)
        return repr(value)

    return Program(name="test", flows=(main,), agents=(agent,), tools=agent.tools)


def ask(agent: Agent[Any], model: ChatModel, tools: dict[str, Any] | None = None, **inputs: object) -> Result:
    return run(program_of(agent, **inputs).run(models=model, tools=tools))


def value_of(result: Result) -> Any:
    return next(event.value for event in result.events if event.kind == "finished" and event.path == "main.x")


def kinds(result: Result, path: str = "main.x") -> list[str]:
    return [event.kind for event in result.events if event.path == path]


def last_user(request: Request) -> str:
    return request.messages[-1].content


# ---------------------------------------------------------------- what is asked


def test_samples_that_ask_the_same_share_one_text() -> None:
    agent = Agent[str](name="a", returns=str, inputs={"q": str}, role="You are terse.", prompt="Say {{ q }}.")
    model = ScriptedModel({"a": "done"})

    async def main(run: Run) -> str:
        async def one(run: Run, q: str) -> str:
            return await run.call("x", agent, q=q)

        return "".join([*await run.sample(3, one, "this"), *await run.sample(1, one, "that")])

    run(Program(name="test", flows=(main,), agents=(agent,)).run(models=model))
    asked = [request.messages for request in model.requests]
    assert [last_user(request) for request in model.requests] == ["Say this."] * 3 + ["Say that."]
    assert [messages[0].content for messages in asked] == ["You are terse."] * 4
    assert asked[0] is asked[1] is asked[2]


def test_inputs_that_the_prompt_does_not_mention_are_sections() -> None:
    agent = Agent[str](
        name="a",
        returns=str,
        inputs={"task": str, "notes": list[str], "kind": Kind, "hint": str | None},
        optional={"hint": None},
        role="You are terse.",
        prompt="Do {{ task }}.\n",
    )
    model = ScriptedModel({"a": "done"})
    ask(agent, model, task="it", notes=["one", "two"], kind=Kind.math)
    assert [(message.role, message.content) for message in model.requests[0].messages] == [
        ("system", "You are terse."),
        ("user", "Do it.\n\nnotes:\n- one\n- two\n\nkind:\nmath\n\nhint:\nnone"),
    ]


@pytest.mark.parametrize(
    ("returns", "asked"),
    [
        (str, ""),
        (str | None, "reply with only: null"),
        (int, "Reply with only a whole number"),
        (bool, "Reply with only true or false"),
        (Kind, "Reply with only one of these words: math, code"),
        (Review, '{"ok": <true or false>, "issues": [<text>, ...] (at most 2 items)}'),
        (Annotated[list[int], Items(1, 3)], "[<whole number>, ...] (1 to 3 items)"),
        (int | None, "If there is no answer, reply with only: null"),
    ],
)
def test_the_format_of_the_reply_is_asked_for(returns: Any, asked: str) -> None:
    agent = Agent[Any](name="a", returns=returns, prompt="Go.")
    model = ScriptedModel({"a": Fails("auth")})
    with pytest.raises(RunFailed):
        ask(agent, model)
    request = model.requests[0]
    assert last_user(request).startswith("Go.")
    assert asked in last_user(request)
    assert (request.schema is None) == (returns in (str, str | None))


def test_a_request_carries_what_the_agent_declares() -> None:
    agent = Agent[Kind](
        name="a", returns=Kind, prompt="Go.", temperature=0.5, max_tokens=77, timeout=9.0, model=Model("big")
    )
    model = ScriptedModel({"a": "math"})
    ask(agent, model)
    request = model.requests[0]
    assert (request.temperature, request.max_tokens, request.timeout) == (0.5, 77, 9.0)
    assert request.schema == {"type": "string", "enum": ["math", "code"]}
    assert (request.agent, request.step, request.attempt) == ("a", "main.x", 0)


def test_a_reply_may_be_as_long_as_its_type_needs() -> None:
    model = ScriptedModel({"*": "1"})
    for returns, tokens in ((Annotated[str, Tokens(30)], 30), (str, 800)):
        agent = Agent[str](name="a", returns=returns, prompt="Go.")
        ask(agent, model)
        assert model.requests[-1].max_tokens == tokens
    ask(Agent[int](name="a", returns=int, prompt="Go."), model)
    assert 60 < model.requests[-1].max_tokens < 100


def test_models_are_found_by_tier_or_by_name() -> None:
    found: list[tuple[str, bool]] = []

    def resolver(name: str, *, tier: bool) -> ChatModel:
        found.append((name, tier))
        return ScriptedModel({"*": "ok"})

    for declared in (None, "fast", Model("gpt-4o"), Model("fast")):
        agent = Agent[str](name="a", returns=str, prompt="Go.", model=declared)
        run(program_of(agent).run(models=resolver))
    assert found == [("default", True), ("fast", True), ("gpt-4o", False), ("fast", False)]


def test_an_unknown_tier_fails_the_step() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", model="smart")
    with pytest.raises(RunFailed, match=r"main\.x: no model is given for the tier `smart`"):
        run(program_of(agent).run(models={"fast": ScriptedModel({"*": "ok"})}))


def test_inputs_are_clipped_to_their_caps() -> None:
    agent = Agent[str](
        name="a",
        returns=str,
        prompt="{{ short }}{{ few }}",
        inputs={"short": Annotated[str, Tokens(1)], "few": Annotated[list[str], Items(0, 1)]},
    )
    model = ScriptedModel({"a": "ok"})
    result = ask(agent, model, short="abcdefgh", few=["x", "y"])
    assert last_user(model.requests[0]) == 'abcd["x"]'
    clipped = [event.detail for event in result.events if event.kind == "clipped"]
    assert clipped == [
        "input `short` had 2 tokens, the cap is 1",
        "input `few` had 2 items, the cap is 1",
    ]


# ---------------------------------------------------------------- faulty replies


def test_a_fault_is_shown_to_the_model_and_the_reply_is_asked_again() -> None:
    agent = Agent[Kind](name="a", returns=Kind, prompt="Go.", retries=2)
    model = ScriptedModel({"a": ["physics", "math or code", "code!"]})
    result = ask(agent, model)
    assert value_of(result) == "code"
    assert result.calls == 3
    assert kinds(result) == ["started", "called", "retried", "called", "retried", "called", "finished"]
    first, second, third = model.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert [message.role for message in second.messages] == ["user", "assistant", "user"]
    assert second.messages[1].content == "physics"
    fault = 'expected one of math, code, got "physics"'
    assert last_user(second) == f"That reply cannot be used: {fault}. Reply again, with only the corrected answer."
    assert len(third.messages) == 3  # only the last fault is shown: the prompt does not grow
    assert "got several: math, code" in last_user(third)
    assert len({request.seed for request in model.requests}) == 3


def test_after_the_last_attempt_the_step_fails() -> None:
    agent = Agent[int](name="a", returns=int, prompt="Go.", retries=1)
    with pytest.raises(
        RunFailed, match=r"main\.x: expected a whole number, got \"dunno\" \(after 2 attempts\)"
    ) as caught:
        ask(agent, ScriptedModel({"a": "dunno"}))
    assert caught.value.result.calls == 2


def test_or_gives_its_declared_default() -> None:
    agent = Agent[Review](name="a", returns=Review, prompt="Go.", default=Review(ok=True, issues=[]))
    result = ask(agent, ScriptedModel({"a": "dunno"}))
    assert value_of(result) == {"ok": True, "issues": []}
    assert kinds(result) == ["started", "called", "failed", "finished"]
    assert [event.detail for event in result.events if event.kind == "finished"] == ["default", ""]


def test_none_can_be_a_default() -> None:
    agent = Agent[int | None](name="a", returns=int | None, prompt="Go.", default=None)
    assert value_of(ask(agent, ScriptedModel({"a": "dunno"}))) is None


def test_repairs_and_clips_of_a_reply_are_events() -> None:
    agent = Agent[Review](name="a", returns=Review, prompt="Go.")
    reply = "{'ok': true, 'issues': ['short', '" + "x" * 30 + "', 'third']}"
    result = ask(agent, ScriptedModel({"a": reply}))
    cut = sizes.clip_text("x" * 30, 5)
    assert value_of(result) == {"ok": True, "issues": ["short", cut]}
    details = [(event.kind, event.detail) for event in result.events if event.kind in ("repaired", "clipped")]
    assert details == [
        ("repaired", "other quotes"),
        ("clipped", "reply: `issues` had 3 items, the cap is 2"),
        ("clipped", f"reply: `issues[1]` had {sizes.text_tokens('x' * 30)} tokens, the cap is 5"),
    ]


def test_an_empty_reply_is_a_fault() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=1)
    assert value_of(ask(agent, ScriptedModel({"a": ["  ", "here"]}))) == "here"


# ---------------------------------------------------------------- failing calls


def waits(result: Result) -> list[float]:
    """When each call of the step began."""
    return [round(event.at - event.seconds, 3) for event in result.events if event.kind == "called"]


def test_faults_of_the_connection_are_tried_again_after_a_pause() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=3)
    model = ScriptedModel({"a": [Fails("connection"), Fails("overloaded"), Fails("rate_limit", retry_after=7.0), "ok"]})
    result = ask(agent, model)
    assert value_of(result) == "ok"
    assert waits(result) == [0.0, 0.5, 1.5, 8.5]
    assert {len(request.messages) for request in model.requests} == {1}


@pytest.mark.parametrize("kind", ["auth", "not_found", "bad_request", "too_long", "refused", "unavailable"])
def test_other_failures_are_not_tried_again(kind: Any) -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=3)
    model = ScriptedModel({"a": Fails(kind, "no")})
    with pytest.raises(RunFailed, match=f"{kind.replace('_', ' ')}: no$"):
        ask(agent, model)
    assert len(model.requests) == 1


def test_no_pause_goes_beyond_the_timeout() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=3, timeout=5.0)
    model = ScriptedModel({"a": [Fails("rate_limit", "later", retry_after=3600.0), "ok"]})
    with pytest.raises(RunFailed, match="rate limit: later") as caught:
        ask(agent, model)
    assert caught.value.result.seconds == 0.0


def test_a_timeout_bounds_the_whole_step() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=5, timeout=10.0)
    model = ScriptedModel({"a": [Fails("connection", after=6.0), Says("late", after=60.0)]})
    with pytest.raises(RunFailed, match=r"timeout: no reply within 3\.5 s") as caught:
        ask(agent, model)
    assert caught.value.result.seconds == 10.0
    assert [request.timeout for request in model.requests] == [10.0, 3.5]


def test_without_a_timeout_each_call_has_one() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=1)
    model = ScriptedModel({"a": [Says("late", after=1e6), "ok"]})
    result = ask(agent, model)
    assert value_of(result) == "ok"
    assert result.seconds == 120.0


class Stubborn:
    """A model that does not react to its cancellation for a while."""

    name, price = "stubborn", Price(0.0, 0.0)

    async def complete(self, request: Request) -> Reply:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(50)
        return Reply("never")

    async def close(self) -> None:
        pass


def test_a_timeout_holds_whatever_the_model_does_about_it() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", timeout=3.0, default="gave up")
    seen: list[Event] = []
    result = run(program_of(agent).run(models=Stubborn(), on_event=seen.append))
    assert result.seconds == 3.0
    assert tuple(seen) == result.events


class Broken:
    """An adapter with a fault of its own."""

    name, price = "broken", Price(0.0, 0.0)

    async def complete(self, request: Request) -> Reply:
        raise KeyError("choices")

    async def close(self) -> None:
        pass


def test_a_fault_of_an_adapter_fails_the_step_only() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.", retries=2)
    with pytest.raises(RunFailed, match=r"main\.x: bad request: KeyError: 'choices'$"):
        ask(agent, Broken())


def test_a_prompt_that_cannot_be_filled_in_fails_the_step() -> None:
    agent = Agent[str](name="a", returns=str, prompt="{{ missing }}")
    with pytest.raises(RunFailed, match=r"main\.x: the prompt cannot be filled in: 'missing' is undefined"):
        ask(agent, ScriptedModel({"a": "ok"}))


# ---------------------------------------------------------------- accounts


PROMPT, REPLY = "p" * 400, "r" * 40
ASKED = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS + sizes.counted_tokens(PROMPT)
SAID = sizes.counted_tokens(REPLY)
HUGE = "a huge number"


@pytest.mark.parametrize(
    ("reported", "counted", "told"),
    [
        ((30, 12), (30, 12), []),
        ((None, None), (ASKED, SAID), ["it does not count its tokens: our own counts hold"]),
        ((None, 12), (ASKED, 12), ["it does not count its tokens: our own counts hold"]),
        (
            (-5, -1),
            (ASKED, SAID),
            [
                f"its count of tokens of the reply is -1, which no count can be: {SAID} count, by our own rule",
                f"its count of tokens of the prompt is -5, which no count can be: {ASKED} count, by our own rule",
            ],
        ),
        (
            (0, 0),
            (-(-ASKED // 8), -(-SAID // 8)),
            [
                f"its count of tokens of the reply is 0, below what is possible: {-(-SAID // 8)} count",
                f"its count of tokens of the prompt is 0, below what is possible: {-(-ASKED // 8)} count",
            ],
        ),
        (
            (ASKED + 1, 801),
            (ASKED, 800),
            [
                "its count of tokens of the reply is 801, above the 800 reserved: 800 count",
                f"its count of tokens of the prompt is {ASKED + 1}, above the {ASKED} reserved: {ASKED} count",
            ],
        ),
        (
            (True, 10**30),
            (ASKED, SAID),
            [
                f"its count of tokens of the reply is {HUGE}, which no count can be: {SAID} count, by our own rule",
                f"its count of tokens of the prompt is true, which no count can be: {ASKED} count, by our own rule",
            ],
        ),
        (
            (float("nan"), 12.0),
            (ASKED, SAID),
            [
                f"its count of tokens of the reply is 12.0, which no count can be: {SAID} count, by our own rule",
                f"its count of tokens of the prompt is nan, which no count can be: {ASKED} count, by our own rule",
            ],
        ),
    ],
)
def test_usage_is_the_providers_where_it_is_possible(reported: Any, counted: tuple[int, int], told: list[str]) -> None:
    agent = Agent[str](name="a", returns=str, prompt=PROMPT)
    model = ScriptedModel({"a": Says(Reply(REPLY, *reported))}, price=Price(1.0, 2.0))
    result = ask(agent, model)
    assert (result.tokens_in, result.tokens_out) == counted
    assert result.picodollars == counted[0] * 1_000_000 + counted[1] * 2_000_000
    assert result.usd == result.picodollars / 10**12
    assert [event.detail for event in result.events if event.kind == "miscounted"] == told


def test_missing_counts_are_told_once_for_each_model() -> None:
    agent = Agent[int](name="a", returns=int, prompt="Go.", retries=4)
    result = ask(agent, ScriptedModel({"a": [*[Says(Reply("dunno"))] * 4, Says(Reply("1"))]}, name="quiet"))
    assert [event.model for event in result.events if event.kind == "miscounted"] == ["quiet"]


def test_a_reply_that_is_longer_than_allowed_counts_as_the_longest() -> None:
    agent = Agent[str](name="a", returns=str, prompt=PROMPT, max_tokens=10)
    result = ask(agent, ScriptedModel({"a": Says(Reply("word " * 200_000, 5, 5))}))
    assert result.tokens_out == 10
    assert [event.detail for event in result.events if event.kind == "miscounted"] == [
        "its reply is longer than the 10 tokens that it was allowed: 10 count",
        f"its count of tokens of the prompt is 5, below what is possible: {-(-ASKED // 8)} count",
    ]


def test_a_reply_of_unknown_length_counts_no_more_than_the_longest() -> None:
    agent = Agent[str](name="a", returns=str, prompt=PROMPT, max_tokens=10)
    assert ask(agent, ScriptedModel({"a": Says(Reply(REPLY))})).tokens_out == 10 < SAID


def test_what_an_adapter_at_fault_did_cost_nobody_knows() -> None:
    """Neither an exception nor an answer that is no reply says that nothing was billed: the prompt counts."""
    agent = Agent[str](name="a", returns=str, prompt=PROMPT, default="")
    for model in (Broken(), ScriptedModel({"a": Says(Reply(None))})):  # type: ignore[arg-type]
        result = ask(agent, model)
        assert (result.tokens_in, result.tokens_out) == (ASKED, 0)
    failed = next(event.detail for event in result.events if event.kind == "failed")
    assert failed.startswith("bad request: the model's adapter gave ")


def test_what_failed_is_paid_for_when_it_was_billed() -> None:
    agent = Agent[str](name="a", returns=str, prompt=PROMPT, retries=3)
    model = ScriptedModel({"a": [Fails("connection"), Fails("overloaded", billed=True), REPLY]})
    result = ask(agent, model)
    calls = [(event.tokens_in, event.tokens_out) for event in result.events if event.kind == "called"]
    assert calls == [(0, 0), (ASKED, 0), (ASKED, SAID)]


def test_after_a_timeout_all_that_was_reserved_counts() -> None:
    agent = Agent[str](name="a", returns=str, prompt=PROMPT, timeout=1.0, default="")
    result = ask(agent, ScriptedModel({"a": Says("late", after=9.0)}))
    assert (result.tokens_in, result.tokens_out) == (ASKED, 800)


def test_calls_without_a_price_are_counted_as_such() -> None:
    agent = Agent[str](name="a", returns=str, prompt="Go.")
    result = ask(agent, ScriptedModel({"a": "ok"}, price=None))
    assert (result.usd, result.unpriced_calls) == (0.0, 1)


# ---------------------------------------------------------------- agents with tools

add = Tool[int](
    name="add", returns=int, inputs={"a": int, "b": int}, optional={"b": 1}, granted_as="math.add", doc="Adds."
)
look = Tool[list[str]](name="look", returns=list[str], inputs={"query": str}, granted_as="web.look")
TOOLS = {"math.add": lambda a, b: a + b, "web.look": lambda query: [f"about {query}"]}


def solver(**more: Any) -> Agent[Any]:
    options: dict[str, Any] = {"returns": int, "steps": 3, "tools": (add, look)} | more
    return Agent[Any](name="solver", inputs={"task": str}, prompt="Solve: {{ task }}", **options)


def test_an_agent_uses_its_tools_and_answers() -> None:
    model = ScriptedModel(
        {
            "solver": [
                'I need help. {"tool": "add", "arguments": {"a": "2", "b": 3}}',
                {"tool": "look", "arguments": {"query": "five"}},
                {"answer": 5},
            ]
        }
    )
    result = ask(solver(), model, TOOLS, task="2 + 3")
    assert value_of(result) == 5
    assert result.calls == 3
    assert [event.address for event in result.events if event.kind == "started"] == [
        "main",
        "main.x",
        "main.x.add[0]",
        "main.x.look[1]",
    ]
    opening = model.requests[0].messages[-1].content
    assert '- {"tool": "add", "arguments": {"a": <whole number>, "b": <whole number>}}  Adds.' in opening
    assert "at most 3 times" in opening
    last = model.requests[2]
    assert [message.role for message in last.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert last.messages[1].content == '{"tool": "add", "arguments": {"a": "2", "b": 3}}'
    assert last.messages[2].content == "`add` returned:\n5\n\nYou may use tools 2 more times."
    assert last.messages[4].content == "`look` returned:\n- about five\n\nYou may use tools 1 more time."


def test_after_the_last_use_only_an_answer_is_accepted() -> None:
    use = {"tool": "add", "arguments": {"a": 1}}
    model = ScriptedModel({"solver": [use, use, {"answer": 3}]})
    result = ask(solver(steps=1, retries=1), model, TOOLS, task="x")
    assert value_of(result) == 3
    assert (
        model.requests[1]
        .messages[-1]
        .content.endswith('You cannot use tools any more. Reply with only {"answer": ...}.')
    )
    assert "no tool may be used any more" in last_user(model.requests[2])
    assert model.requests[1].schema == {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    }


def test_its_calls_are_bounded() -> None:
    model = ScriptedModel({"solver": {"tool": "add", "arguments": {"a": 1}}})
    with pytest.raises(RunFailed, match="no tool may be used any more") as caught:
        ask(solver(steps=2, retries=1), model, TOOLS, task="x")
    assert caught.value.result.calls == 2 + 2  # two turns with a tool each, and two attempts at an answer
    assert caught.value.result.ran("main.x.add") == 2


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ({"tool": "sub", "arguments": {}}, "There is no tool `sub`. The tools are: add, look."),
        ({"tool": "add", "arguments": {}}, "`add` was not used: the argument `a` is missing."),
        (
            {"tool": "add", "arguments": {"a": "x"}},
            '`add` was not used: the argument `a` does not fit: expected a whole number, got "x".',
        ),
        ({"tool": "look", "arguments": {"query": "q"}}, "`look` failed: OSError: no net."),
    ],
)
def test_what_goes_wrong_with_a_tool_is_told_to_the_model(use: dict[str, Any], told: str) -> None:
    def fails(query: str) -> list[str]:
        raise OSError("no net")

    model = ScriptedModel({"solver": [use, {"answer": 1}]})
    result = ask(solver(), model, TOOLS | {"web.look": fails}, task="x")
    assert value_of(result) == 1
    assert last_user(model.requests[1]).startswith(told)


@pytest.mark.parametrize("reply", ["5", "The answer is 5.", '{"answer": "five"}', '```json\n{"answer": 5}\n```'])
def test_an_answer_is_read_as_any_reply(reply: str) -> None:
    assert value_of(ask(solver(), ScriptedModel({"solver": reply}), TOOLS, task="x")) == 5


def test_two_uses_in_one_reply_are_a_fault() -> None:
    both = '{"tool": "add", "arguments": {"a": 1}}\n{"tool": "add", "arguments": {"a": 2}}'
    model = ScriptedModel({"solver": [both, {"answer": 1}]})
    assert value_of(ask(solver(retries=1), model, TOOLS, task="x")) == 1
    assert "expected the use of one tool, got 2" in last_user(model.requests[1])


@pytest.mark.parametrize(
    "reply",
    ['{"thought": "south", "answer": "Peru"}', '{"answer": {"thought": "south", "answer": "Peru"}}'],
)
def test_a_record_with_a_field_answer_may_be_bare(reply: str) -> None:
    agent = solver(returns=Found)
    found = ask(agent, ScriptedModel({"solver": reply}), TOOLS, task="x")
    assert found.value == repr(Found(thought="south", answer="Peru"))


def test_a_text_answer_may_be_bare() -> None:
    agent = solver(returns=str)
    assert value_of(ask(agent, ScriptedModel({"solver": "It is five."}), TOOLS, task="x")) == "It is five."


# ---------------------------------------------------------------- declarations


def test_faulty_declarations_are_refused() -> None:
    with pytest.raises(TypeError, match="no type of masdsl"):
        Agent[Any](name="a", returns=dict[str, int], prompt="")
    with pytest.raises(TypeError, match="`optional` names 'b'"):
        Agent[str](name="a", returns=str, prompt="", inputs={"a": str}, optional={"b": ""})
    agent = Agent[str](name="a", returns=str, prompt="", inputs={"class": str})
    with pytest.raises(TypeError, match="agent a has no input 'x'"):
        ask(agent, ScriptedModel({"a": "ok"}), x=1)
    with pytest.raises(TypeError, match="agent a needs the input 'class'"):
        ask(agent, ScriptedModel({"a": "ok"}))
    ask(agent, ScriptedModel({"a": "ok"}), class_="passes `class`")


def test_a_step_that_fails_can_be_caught() -> None:
    agent = Agent[str](name="a", returns=str, prompt="")

    async def main(run: Run) -> str:
        try:
            return await run.call("x", agent)
        except StepFailed as failure:
            return f"{failure.step} {failure.reason}"

    program = Program(name="test", flows=(main,), agents=(agent,))
    error = ModelError("auth", "no key")
    assert run(program.run(models=ScriptedModel({"a": error}))).value == "main.x auth: no key"
