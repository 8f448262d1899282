"""What requests count: the formulas of `masdsl.sizes`, which bounds compute and the ledger reserves by.

The adversary and the hostile model drive them as far as they go.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import formats, sizes
from masdsl.runtime import Agent, Items, Program, Record, Result, Run, RunFailed, Tokens, Tool
from masdsl.runtime.accounts import request_tokens
from masdsl.runtime.acting import Told, result_text
from masdsl.runtime.models.base import Message, Reply, Request
from masdsl.runtime.shapes import fit, plain, shape_of, type_of
from masdsl.runtime.text import show
from masdsl.runtime.turns import correction
from tests.harness.adversary import TEXTS, Adversary, Hostile, filled, largest, may_use_tools, written
from tests.harness.virtual_time import run

ANYTHING = st.text(st.characters(), max_size=2000) | st.sampled_from(["", "x" * 10**6, "\ud800" * 5000, "\n" * 5000])


class Page(Record):
    title: Annotated[str, Tokens(12)]
    lines: Annotated[list[Annotated[str, Tokens(9)]], Items(0, 4)]


class Verdict(Record):
    ok: bool
    why: Annotated[str, Tokens(40)]
    parts: Annotated[list[Page], Items(1, 3)]


search = Tool[list[str]](
    name="search",
    returns=Annotated[list[Annotated[str, Tokens(30)]], Items(0, 5)],
    inputs={"query": Annotated[str, Tokens(20)], "limit": int},
    optional={"limit": 3},
    granted_as="web.search",
)
fetch = Tool[Page](name="fetch", returns=Page, inputs={"address": Annotated[str, Tokens(15)]}, granted_as="web.fetch")


def agent_of(returns: Any, **more: Any) -> Agent[Any]:
    options: dict[str, Any] = {"prompt": "Do it.", "default": None} | more
    return Agent[Any](name="a", returns=returns | None, **options)


def program_of(agent: Agent[Any]) -> Program:
    async def main(run: Run) -> str:
        return written(plain(await run.call("x", agent)))

    return Program(name="p", flows=(main,), agents=(agent,), tools=agent.tools)


def played(program: Program, model: Any, tools: Any) -> Result:
    try:
        return run(program.run(models=model, tools=tools))
    except RunFailed as failure:
        return failure.result


# ---------------------------------------------------------------- the parts


def test_a_request_counts_its_messages_and_its_schema() -> None:
    messages = (Message("system", "You are kind."), Message("user", "Hello, world! 漢字"))
    schema = {"type": "string", "enum": ["a", "é"]}
    texts = sizes.counted_tokens("You are kind.") + sizes.counted_tokens("Hello, world! 漢字")
    own = sizes.REQUEST_TOKENS + 2 * sizes.MESSAGE_TOKENS + texts
    assert request_tokens(messages) == own
    assert formats.schema_tokens(None) == 0
    for_schema = sizes.counted_tokens(json.dumps(schema, separators=(",", ":")))
    assert request_tokens(messages, formats.schema_tokens(schema)) == own + for_schema


@given(ANYTHING)
def test_a_correction_never_counts_more_than_its_share(fault: str) -> None:
    text = correction(fault)
    assert sizes.counted_tokens(text) <= sizes.CORRECTION_TOKENS
    assert text.startswith("That reply cannot be used: ") and text.endswith("with only the corrected answer.")


@given(ANYTHING, ANYTHING, st.integers(0, 200))
def test_the_words_around_a_result_never_count_more_than_their_share(words: str, shown: str, left: int) -> None:
    for behind in (formats.uses_left(left), f"31 more calls of that reply were not made. {formats.NO_CALLS_LEFT}", ""):
        text = result_text(Told(words, shown), behind)
        assert_within(text, shown, behind)


def assert_within(text: str, shown: str, behind: str) -> None:
    assert sizes.counted_tokens(text) <= sizes.RESULT_TOKENS + sizes.counted_tokens(shown.replace("\ud800", "\ufffd"))
    assert text.endswith(behind)


# ---------------------------------------------------------------- whole conversations


def growth_of(agent: Agent[Any], program: Program) -> tuple[int, int]:
    """Return what a faulty reply, and what a use of a tool, adds to a request at most."""
    echoed = 2 * sizes.MESSAGE_TOKENS + 2 * agent.max_tokens
    results = [largest_shown(tool) for tool in program.tools.values()]
    return echoed + sizes.CORRECTION_TOKENS, echoed + sizes.RESULT_TOKENS + max(results, default=0)


def largest_shown(tool: Tool[Any]) -> int:
    """Return what the result of a tool counts at most as it is shown: over all texts that it may be made of."""
    kind = type_of(tool.returns)
    return max(sizes.counted_tokens(show(largest(kind, of))) for of in TEXTS)


def check_growth(requests: list[Request], agent: Agent[Any], program: Program) -> None:
    faulty, used = growth_of(agent, program)
    base = turn = 0
    for number, request in enumerate(requests):
        counted = request_tokens(request.messages, formats.schema_tokens(request.schema))
        if number == 0:
            base = counted
        elif request.attempt == 0:
            turn += 1
        assert counted <= base + turn * used + (faulty if request.attempt else 0)
        assert len(request.messages) <= len(requests[0].messages) + 2 * turn + (2 if request.attempt else 0)
    assert len(requests) <= (1 + agent.retries) * (1 + agent.steps)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([int, str, Verdict, Annotated[str, Tokens(60)], list[bool], float]),
    st.integers(0, 3),
    st.integers(0, 4),
    st.sampled_from([None, 1, 7, 200]),
    st.integers(0, 10**6),
    st.floats(0, 1),
)
def test_requests_grow_no_more_than_the_formula(
    returns: Any, retries: int, steps: int, max_tokens: int | None, seed: int, faults: float
) -> None:
    agent = agent_of(
        returns,
        retries=retries,
        steps=steps,
        tools=(search, fetch) if steps else (),
        max_tokens=max_tokens,
        role="You.",
    )
    program = program_of(agent)
    enemy = Adversary(program, seed, faults=faults, broken=0.2, failures=0.2, nones=0.3)
    result = played(program, enemy, enemy.tools)
    check_growth(enemy.requests, agent, program)
    assert result.tokens_out <= result.calls * agent.max_tokens

    requests: list[Request] = []

    class Watched(Hostile):
        async def complete(self, request: Request) -> Any:
            requests.append(request)
            return await super().complete(request)

    played(program, Watched(seed), enemy.tools)
    check_growth(requests, agent, program)


@pytest.mark.parametrize("returns", [int, str, Verdict, list[int]])
@pytest.mark.parametrize(("retries", "steps"), [(0, 0), (2, 0), (0, 3), (1, 2)])
def test_the_adversary_reaches_the_bound_of_calls_and_of_replies(returns: Any, retries: int, steps: int) -> None:
    """Every attempt, every turn and every token of reply that the formulas allow is used."""
    agent = agent_of(returns, retries=retries, steps=steps, tools=(search, fetch) if steps else ())
    program = program_of(agent)
    enemy = Adversary(program, 1, text="!")
    result = played(program, enemy, enemy.tools)
    assert result.calls == (1 + retries) * (1 + steps)
    assert result.tokens_out == result.calls * agent.max_tokens
    assert result.tokens_in == sum(
        request_tokens(request.messages, formats.schema_tokens(request.schema)) for request in enemy.requests
    )
    assert sum(event.kind == "called" and event.what == "tool" for event in result.events) == steps
    for request in enemy.requests:
        if request.attempt:  # the faulty reply is shown at its longest
            assert sizes.text_tokens(request.messages[-2].content) == agent.max_tokens


def test_the_use_of_a_tool_is_shown_no_longer_than_a_reply_may_be() -> None:
    program = program_of(agent_of(int, steps=1, tools=(fetch,), max_tokens=30))
    requests: list[Request] = []

    class Talkative:
        name, price = "talkative", None

        async def complete(self, request: Request) -> Reply:
            requests.append(request)
            return Reply(json.dumps({"tool": "fetch", "arguments": {"address": "\ud800" * 1000}}))

        async def close(self) -> None:
            pass

    played(program, Talkative(), {"web.fetch": lambda address: {"title": "", "lines": []}})
    assert 28 < sizes.text_tokens(requests[1].messages[-2].content) <= 30
    assert "\ud800" not in requests[1].messages[-2].content


# ---------------------------------------------------------------- the adversary's values


@pytest.mark.parametrize("of", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 10, 77, 800])
def test_texts_are_filled_to_their_size(of: str, size: int) -> None:
    text = filled(size, of)
    assert text == text.strip() and text
    assert size - 4 <= sizes.text_tokens(text) <= size


@pytest.mark.parametrize("of", TEXTS)
def test_the_largest_values_fit_their_types(of: str) -> None:
    kinds = map(shape_of, (Verdict, Page, int, float, bool, Annotated[str, Tokens(3)]))
    for shape in (*kinds, search.returns):
        value = largest(type_of(shape), of)
        fitted = fit(value, shape)
        assert plain(fitted.value) == value and fitted.clips == ()


def test_the_adversary_is_the_same_every_time() -> None:
    agent = agent_of(Verdict, retries=2, steps=2, tools=(search, fetch))
    program = program_of(agent)

    def conversation(seed: int) -> list[Any]:
        enemy = Adversary(program, seed, "mixed", 0.6, 0.3, 0.2, 0.1)
        result = played(program, enemy, enemy.tools)
        return [result.seconds, result.tokens, [request.messages for request in enemy.requests]]

    assert conversation(3) == conversation(3)
    assert conversation(3) != conversation(4)


def test_single_calls_can_be_chosen() -> None:
    program = program_of(agent_of(int, retries=3))
    acts: list[Any] = ["unbilled", "billed", "timeout", "none"]
    enemy = Adversary(program, choose=lambda request: acts[request.attempt])
    result = played(program, enemy, {})
    calls = [event for event in result.events if event.kind == "called"]
    reserved = request_tokens(enemy.requests[0].messages, formats.schema_tokens(enemy.requests[0].schema))
    out = program.agents["a"].max_tokens
    assert [(call.tokens_in, call.tokens_out) for call in calls] == [
        (0, 0),
        (reserved, 0),
        (reserved, out),
        (reserved, out),
    ]
    assert result.value == "null"


def test_a_turn_without_tools_is_told_from_one_with_them() -> None:
    program = program_of(agent_of(int, steps=2, tools=(search,)))
    enemy = Adversary(program)
    played(program, enemy, enemy.tools)
    assert [may_use_tools(request) for request in enemy.requests] == [True, True, False]
