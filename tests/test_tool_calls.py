"""Tools by a provider's own protocol: what is sent, what is read, how it is bounded; the same in plain text."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import masdsl
from masdsl import formats, sizes
from masdsl.bounds.flows import bound
from masdsl.config import DEFAULT, Config, ModelConfig
from masdsl.redaction import Secret
from masdsl.runtime import Agent, Program, Record, Result, Run, RunFailed, Tool
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Reply, Request, calls_tools
from masdsl.runtime.models.chat_api import reply_of
from masdsl.runtime.models.registry import configured
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.runtime.models.tool_calls import ToolCall, calls_in_text, calls_of, text_with_calls, wire_messages
from masdsl.source import Source
from tests.harness import faulty_server as faulty
from tests.harness.bounding import exceeded, largest_inputs, play, prepared
from tests.harness.faulty_server import FaultyServer
from tests.harness.journaled import cut, header
from tests.harness.programs import granted, write
from tests.harness.virtual_time import run

# ---------------------------------------------------------------- calls as text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(max_size=5), JSON, max_size=3) | st.text(max_size=20)
CALLS = st.lists(st.builds(ToolCall, st.text(max_size=9), ARGUMENTS, st.text(max_size=9)), max_size=4)
SAID = st.text(max_size=30).filter(lambda text: not text.split("\n")[-1].startswith('{"tool"'))


@given(SAID, CALLS)
def test_calls_survive_the_way_through_text(said: str, calls: list[ToolCall]) -> None:
    assert calls_in_text(text_with_calls(said, calls)) == (said, tuple(calls))


@pytest.mark.parametrize(
    "line",
    [
        '{"tool": "t"}',
        '{"tool": "t", "arguments": [], "id": "x"}',
        '{"tool": 1, "arguments": {}, "id": "x"}',
        '{"tool"',
    ],
)
def test_other_lines_are_what_was_said(line: str) -> None:
    assert calls_in_text(f"so\n{line}") == (f"so\n{line}", ())


@given(st.lists(st.tuples(SAID, CALLS, st.integers(0, 5)), max_size=4))
def test_a_call_goes_on_the_wire_with_its_result_and_never_without(
    turns: list[tuple[str, list[ToolCall], int]],
) -> None:
    messages = [Message("user", "go")]
    for said, calls, results in turns:
        messages.append(Message("assistant", text_with_calls(said, calls)))
        messages += [Message("tool", f"result {number}") for number in range(results)]
    wire = wire_messages(messages)
    at = 0
    for number, message in enumerate(wire):
        calls = message.get("tool_calls", [])
        following = wire[number + 1 : number + 1 + len(calls)]
        assert [one.get("tool_call_id") for one in following] == [call["id"] for call in calls]
        assert message["role"] != "tool" or at > 0  # no result stands alone
        at = len(calls) if calls else at - 1
    assert all(message["role"] in ("user", "assistant", "tool") for message in wire)


@pytest.mark.parametrize(
    ("calls", "read"),
    [
        ([{"id": "1", "function": {"name": "t", "arguments": '{"a": 1}'}}], [ToolCall("t", {"a": 1}, "1")]),
        ([{"id": "1", "function": {"name": "t", "arguments": {"a": 1}}}], [ToolCall("t", {"a": 1}, "1")]),
        ([{"id": None, "function": {"name": "t", "arguments": ""}}], [ToolCall("t", {}, "")]),
        ([{"id": "1", "function": {"name": "t", "arguments": '{"a": '}}], [ToolCall("t", '{"a": ', "1")]),
        ([{"id": "1", "function": {"name": "t", "arguments": "[1]"}}], [ToolCall("t", "[1]", "1")]),
        ([{"id": "1", "function": None}, {"id": "2"}, 3, {"function": {"name": 7}}], []),
        (None, []),
    ],
)
def test_what_providers_send_as_calls(calls: Any, read: list[ToolCall]) -> None:
    assert calls_of({"tool_calls": calls}) == read


def test_a_reply_with_calls_and_no_text_is_a_reply() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "t", "arguments": "{}"}}]
    body = faulty.completion(None, finish="tool_calls", tool_calls=calls)
    assert reply_of(body, None, Secret(), with_calls=True).text == '{"tool": "t", "arguments": {}, "id": "1"}'
    with pytest.raises(ModelError, match="the reply is empty"):
        reply_of(body, None, Secret())


# ---------------------------------------------------------------- the conversation

add = Tool[int](
    name="add", returns=int, inputs={"a": int, "b": int}, optional={"b": 1}, granted_as="math.add", doc="Adds."
)
look = Tool[list[str]](name="look", returns=list[str], inputs={"query": str}, granted_as="web.look")
send = Tool[bool](name="send", returns=bool, inputs={"to": str}, granted_as="mail.send", effect=True)


class Host:
    """The host's functions, which keep what was used, in order."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def tools(self) -> dict[str, Any]:
        def adding(a: int, b: int) -> int:
            self.used.append(f"add {a} {b}")
            return a + b

        def looking(query: str) -> list[str]:
            self.used.append(f"look {query}")
            if query == "fail":
                raise OSError("no net")
            return [f"about {query}"]

        async def sending(to: str) -> bool:
            self.used.append(f"send {to}")
            return True

        return {"math.add": adding, "web.look": looking, "mail.send": sending}


def solver(**more: Any) -> Agent[Any]:
    options: dict[str, Any] = {"returns": int, "steps": 3, "tools": (add, look, send)} | more
    return Agent[Any](name="solver", inputs={"task": str}, prompt="Solve: {{ task }}", **options)


def program_of(agent: Agent[Any]) -> Program:
    async def main(run: Run) -> str:
        return repr(await run.call("x", agent, task="it"))

    return Program(name="test", flows=(main,), agents=(agent,), tools=agent.tools)


def ask(agent: Agent[Any], *replies: Any, host: Host | None = None) -> tuple[Result, list[Request]]:
    model = ScriptedModel({"solver": list(replies)}, tool_calls=True)
    result = run(program_of(agent).run(models=model, tools=(host or Host()).tools()))
    return result, model.requests


def calls(*uses: tuple[str, Any]) -> str:
    return text_with_calls("", [ToolCall(name, arguments, f"id{at}") for at, (name, arguments) in enumerate(uses)])


def test_tools_go_with_the_request_and_results_come_back_by_their_calls() -> None:
    result, requests = ask(solver(), calls(("add", {"a": "2", "b": 3})), calls(("look", {"query": "five"})), "5")
    assert result.value == "5"
    assert result.calls == 3
    first, _, last = requests
    assert [tool["function"]["name"] for tool in first.tools] == ["add", "look", "send"]
    assert first.tools[0]["function"]["description"] == "Adds."
    assert first.tools[0]["function"]["parameters"]["required"] == ["a", "b"]
    assert first.may_call and first.schema is None
    assert first.messages[-1].content == (
        "Solve: it\n\nYou may use tools at most 3 times, then answer. Reply with only a whole number, and nothing else."
    )
    assert [message.role for message in last.messages] == ["user", "assistant", "tool", "assistant", "tool"]
    assert last.messages[1].content == '{"tool": "add", "arguments": {"a": "2", "b": 3}, "id": "id0"}'
    assert last.messages[2].content == "`add` returned:\n5\n\nYou may use tools 2 more times."
    assert last.messages[4].content == "`look` returned:\n- about five\n\nYou may use tools 1 more time."


def test_several_calls_of_one_reply_are_made_and_count_each() -> None:
    host = Host()
    three = calls(("add", {"a": 1}), ("look", {"query": "x"}), ("add", {"a": 5}))
    result, (_, last) = ask(solver(), three, "6", host=host)
    assert result.value == "6"
    assert sorted(host.used) == ["add 1 1", "add 5 1", "look x"]
    assert [event.address for event in result.events if event.kind == "started"][2:] == [
        "main.x.add[0]",
        "main.x.look[1]",
        "main.x.add[2]",
    ]
    assert [message.role for message in last.messages] == ["user", "assistant", "tool", "tool", "tool"]
    assert last.messages[1].content == three
    assert [message.content.split("\n\n")[0] for message in last.messages[2:]] == [
        "`add` returned:\n2",
        "`look` returned:\n- about x",
        "`add` returned:\n6",
    ]
    assert last.messages[-1].content.endswith("\n\nYou cannot use tools any more. Reply with the answer.")
    assert not last.may_call and last.tools and last.schema == {"type": "integer"}


def test_more_calls_than_are_left_are_not_made() -> None:
    host = Host()
    result, requests = ask(solver(steps=2), calls(*[("add", {"a": a}) for a in range(5)]), "1", host=host)
    assert result.value == "1"
    assert sorted(host.used) == ["add 0 1", "add 1 1"]
    assert (
        requests[1]
        .messages[-1]
        .content.endswith(
            "\n\n3 more calls of that reply were not made. You cannot use tools any more. Reply with the answer."
        )
    )
    assert len(calls_in_text(requests[1].messages[1].content)[1]) == 2


def test_calls_that_change_the_world_keep_their_order() -> None:
    host = Host()
    ask(solver(), calls(("send", {"to": "a"}), ("look", {"query": "x"}), ("send", {"to": "b"})), "1", host=host)
    assert host.used == ["send a", "look x", "send b"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("sub", {}), "There is no tool `sub`. The tools are: add, look, send."),
        (("add", {}), "`add` was not used: the argument `a` is missing."),
        (("add", {"a": "x"}), '`add` was not used: the argument `a` does not fit: expected a whole number, got "x".'),
        (("add", '{"a": '), "`add` was not used: its arguments are no JSON object."),
        (("look", {"query": "fail"}), "`look` failed: OSError: no net."),
        (("t" * 5000, {}), "There is no tool `ttt"),
    ],
)
def test_what_goes_wrong_with_a_call_is_told_to_the_model_and_counts(call: Any, told: str) -> None:
    result, requests = ask(solver(steps=1), calls(call), "1")
    assert result.value == "1"
    assert requests[1].messages[-1].role == "tool"
    assert requests[1].messages[-1].content.startswith(told)
    assert not requests[1].may_call


def test_a_call_after_the_last_is_a_fault() -> None:
    use = calls(("add", {"a": 1}))
    result, requests = ask(solver(steps=1, retries=1), use, use, "3")
    assert result.value == "3"
    assert requests[2].messages[-1].content == (
        "That reply cannot be used: no tool may be used any more. You cannot use tools any more. Reply with the answer."
        ". Reply again, with only the corrected answer."
    )
    assert wire_messages(requests[2].messages)[-2]["role"] == "assistant"
    assert "tool_calls" not in wire_messages(requests[2].messages)[-2]  # it has no result
    with pytest.raises(RunFailed, match="no tool may be used any more") as caught:
        ask(solver(steps=2), use)
    assert caught.value.result.calls == 3


@pytest.mark.parametrize("use", ['{"tool": "add", "arguments": {"a": 1}}', '{"name": "add", "parameters": {"a": 1}}'])
def test_a_call_that_a_server_lets_through_as_text_counts_as_it_was_meant(use: str) -> None:
    host = Host()
    result, requests = ask(solver(), f"I will add.\n```json\n{use}\n```", "2", host=host)
    assert (result.value, host.used) == ("2", ["add 1 1"])
    assert requests[1].messages[1].content == '{"tool": "add", "arguments": {"a": 1}, "id": "call_0"}'
    assert any("written as text" in event.detail for event in result.events if event.kind == "repaired")


class Point(Record):
    name: str
    arguments: str


def test_an_answer_that_looks_like_a_call_of_no_tool_is_an_answer() -> None:
    result, _ = ask(solver(returns=Point), '{"name": "x", "arguments": "y"}')
    assert result.value == repr(Point(name="x", arguments="y"))
    assert ask(solver(returns=str), "It is five.")[0].value == "'It is five.'"


def test_calls_without_ids_or_with_the_same_get_some_of_their_own() -> None:
    twice = text_with_calls("", [ToolCall("add", {"a": 1}, "same"), ToolCall("add", {"a": 2}, "same")])
    _, requests = ask(solver(), twice, text_with_calls("", [ToolCall("add", {"a": 3}, "")]), "1")
    ids = [call.id for message in requests[2].messages for call in calls_in_text(message.content)[1]]
    assert ids == ["call_0", "call_1", "call_2"]


@given(st.text(max_size=300), st.dictionaries(st.text(max_size=40), JSON, max_size=4), st.text(max_size=300))
def test_what_a_model_is_reminded_of_has_its_limit_and_stays_a_call(name: str, arguments: Any, id: str) -> None:
    agent = solver(max_tokens=20, steps=1)
    _, requests = ask(agent, text_with_calls("", [ToolCall(name, arguments, id)]), "1")
    if len(requests) > 1:
        said = requests[1].messages[1].content
        assert sizes.counted_tokens(said) <= 2 * agent.max_tokens + sizes.CALL_TOKENS
        assert len(calls_in_text(said)[1]) == 1
        assert json.loads(json.dumps(wire_messages(requests[1].messages)))[2]["role"] == "tool"


def test_a_run_that_was_broken_off_goes_on_behind_its_calls() -> None:
    """What a journal has of calls is enough: no tool is used twice, and the model is asked what it was asked."""
    replies: list[Any] = [calls(("add", {"a": 1}), ("send", {"to": "a"})), calls(("look", {"query": "x"})), "1"]
    whole, first = Host(), ScriptedModel({"solver": list(replies)}, tool_calls=True)
    program = program_of(solver())

    async def once(rows: Any, model: ScriptedModel, host: Host) -> Result:
        return await program.run(models=model, tools=host.tools(), run=rows)

    opened = cut([], header(flow="main"), 0)
    run(once(opened, first, whole))
    rows = list(opened.rows())
    for upto in range(1, len(rows)):
        host = Host()
        asked = [row for row in rows[:upto] if row.kind in ("reply", "fault")]
        model = ScriptedModel({"solver": replies[len(asked) :] or ["1"]}, tool_calls=True)
        resumed = cut(rows, header(flow="main"), upto)
        try:
            result = run(once(resumed, model, host))
        except RunFailed as failure:
            assert "its effect may have happened already" in str(failure.result.events)
            continue
        assert result.value == "1"
        done = [row.path.rpartition(".")[2] for row in rows[:upto] if row.kind == "tool"]
        assert not {use.split()[0] for use in host.used} & set(done)


# ---------------------------------------------------------------- which of the two


def test_a_model_says_by_itself_or_by_its_configuration_whether_it_calls_tools() -> None:
    entry = ModelConfig("m", "openai", "m", "http://127.0.0.1:9/v1")
    assert calls_tools(configured(entry))
    assert not calls_tools(configured(entry._replace(tool_calls=False)))
    assert calls_tools(configured(ModelConfig("m", "litellm", "openai/m")))
    assert not calls_tools(configured(ModelConfig("m", "litellm", "openai/m", tool_calls=False)))
    assert not calls_tools(ScriptedModel({}))
    other: Any = object()
    assert not calls_tools(other)


# ---------------------------------------------------------------- bounds

TEXT = """mas 1
type Review { ok: bool, score: int, title: text(9), kind: text(5), share: float }
tool look(q: text(9)) -> bool from "look"
agent a(q) -> Review on fast max 30 tools [look] steps 3
  "Look. {{ q }}"
flow main(q: text(20)) -> Review { return a(q) }
"""


def test_the_bound_holds_and_is_nearly_reached() -> None:
    """The dearest conversation: every use fails in as many words as are told, every call is as long as may be."""
    case = prepared(TEXT, native=True)
    room = 2 * 30 + sizes.CALL_TOKENS - 1
    arguments = {"q": "!" * (room - sizes.counted_tokens(calls(("look", {"q": ""}))))}
    answer = {"ok": False, "score": 1, "title": "!", "kind": "!", "share": 0.5}

    class Dear(ScriptedModel):
        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            return Reply(reply.text, 10**9, 10**6)

    model = Dear({"a": [*[calls(("look", arguments))] * 3, answer]})

    def fails(q: str) -> bool:
        raise RuntimeError("!" * 5000)

    took = play(case, model, largest_inputs(case), tools={"look": fails})
    found = bound(case.program, case.prices).flows["main"]
    assert took.gives, took.why
    assert not exceeded(took, found)
    assert (took.calls, took.tokens_out) == (found.most.calls, found.most.tokens_out) == (4, 120)
    assert 0 <= found.most.tokens_in - took.tokens_in < 60  # less than any of the constants in it


def config(tool_calls: bool | None) -> Config:
    model = ModelConfig("m", "openai", "m", "http://127.0.0.1:9/v1", input_price=1, output_price=1)
    tiers = {**DEFAULT.tiers, "fast": "m"}
    return DEFAULT._replace(tiers=tiers, models={"m": model._replace(tool_calls=tool_calls)}, tools=granted("look"))


def test_where_the_model_is_not_known_the_bound_holds_for_both() -> None:
    from masdsl import pipeline
    from masdsl.diagnostics.base import Findings

    def found(tool_calls: bool | None, priced: bool) -> tuple[int, int, int, int]:
        program = pipeline.check_source(Source("<t>", TEXT), config(tool_calls), Findings(), priced=priced)
        assert program is not None
        flow = bound(program, {}).flows["main"]
        return flow.least.tokens_in, flow.most.tokens_in, flow.most.calls, flow.most.tokens_out

    plain, native, unknown = found(False, True), found(True, True), found(False, False)
    assert plain != native == found(None, True)
    assert unknown == (min(plain[0], native[0]), max(plain[1], native[1]), *plain[2:])


# ---------------------------------------------------------------- a real server


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


PROGRAM = """mas 1
## Adds two numbers.
tool plus(a: int, b: int) -> int from "math.plus"
agent clerk(question) -> (answer: int, sure: bool) on fast tools [plus] steps 3
  "{{ question }}"
flow main(question) -> int {
  found = clerk(question)
  return found.answer
}
"""
needs_litellm = pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed")


def called(*uses: tuple[str, str, str]) -> faulty.Behaviour:
    """A reply of the protocol that calls tools, by id, name and arguments."""
    wire = [{"id": id, "type": "function", "function": {"name": n, "arguments": a}} for id, n, a in uses]
    return faulty.ok(None, finish="tool_calls", tool_calls=wire, usage={"prompt_tokens": 50, "completion_tokens": 9})


def sums(a: int, b: int) -> int:
    return a + b


def loaded(server: FaultyServer, folder: Any, kind: str, more: str = "") -> Any:
    model = "openai/m" if kind == "litellm" else "m"
    configuration = (
        f'[tiers]\nfast = "mine"\n[models.mine]\nkind = "{kind}"\nurl = "{server.url}"\nmodel = "{model}"\n'
        f'input_price = 0\noutput_price = 0\nkey_env = "MASDSL_TEST_KEY"\n{more}\n[tools]\n"math.plus" = "host"\n'
    )
    path = write(folder, PROGRAM, config=configuration)
    return masdsl.load(path, tools={"math.plus": sums}).main


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASDSL_TEST_KEY", "sk-0123456789abcdef")
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


@pytest.mark.parametrize("kind", ["openai", pytest.param("litellm", marks=needs_litellm)])
def test_a_server_that_calls_tools(kind: str, server: FaultyServer, tmp_path: Any) -> None:
    server.will(
        called(("c1", "plus", '{"a": 2, "b": 3}'), ("c2", "plus", '{"a": 10, "b": 20}')),
        called(("c3", "plus", '{"a": 5, "b": 30}')),
        faulty.ok('{"answer": 35, "sure": true}'),
    )
    result = loaded(server, tmp_path, kind).run_sync(question="2 + 3 + 10 + 20?")
    assert (result.value, result.calls) == (35, 3)
    first, second, third = (received.body for received in server.requests)
    assert first["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "plus",
                "description": "Adds two numbers.",
                "parameters": {
                    "type": "object",
                    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                    "required": ["a", "b"],
                    "additionalProperties": False,
                },
            },
        }
    ]
    assert "tool_choice" not in first and "response_format" not in first
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in second["messages"][1]["tool_calls"]] == ["c1", "c2"]
    assert json.loads(second["messages"][1]["tool_calls"][1]["function"]["arguments"]) == {"a": 10, "b": 20}
    assert [message["tool_call_id"] for message in second["messages"][2:]] == ["c1", "c2"]
    assert second["messages"][2]["content"] == "`plus` returned:\n5"
    assert third["tool_choice"] == "none"
    assert third["tools"] == first["tools"]
    assert third["response_format"]["json_schema"]["schema"]["required"] == ["answer", "sure"]


@pytest.mark.parametrize("kind", ["openai", pytest.param("litellm", marks=needs_litellm)])
def test_the_same_server_without_tool_calls_gets_plain_text(kind: str, server: FaultyServer, tmp_path: Any) -> None:
    server.will(
        faulty.ok('{"tool": "plus", "arguments": {"a": 2, "b": 3}}'),
        faulty.ok('{"answer": {"answer": 5, "sure": true}}'),
    )
    main = loaded(server, tmp_path, kind, "tool_calls = false")
    assert main.sync(question="2 + 3?") == 5
    first, second = (received.body for received in server.requests)
    assert "tools" not in first and "tool_choice" not in second
    assert "anyOf" in json.dumps(first["response_format"])
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("kind", ["openai", pytest.param("litellm", marks=needs_litellm)])
def test_a_server_that_refuses_tools_is_told_of_with_the_remedy(kind: str, server: FaultyServer, tmp_path: Any) -> None:
    server.will(faulty.error(400, '"auto" tool choice requires --enable-auto-tool-choice'))
    with pytest.raises(RunFailed, match=r"write tool_calls = false in its entry of \[models\]"):
        loaded(server, tmp_path, kind).sync(question="2 + 3?")


def test_a_server_that_takes_no_schema_beside_tools_is_asked_without(server: FaultyServer, tmp_path: Any) -> None:
    server.will(
        called(*[(f"c{n}", "plus", '{"a": 2, "b": 3}') for n in range(3)]),
        faulty.error(400, "Cannot use custom grammar constraints with tools."),
        faulty.error(400, "Cannot use custom grammar constraints with tools."),
        faulty.error(400, "Cannot use custom grammar constraints with tools."),
        faulty.ok('{"answer": 5, "sure": true}'),
    )
    assert loaded(server, tmp_path, "openai").sync(question="2 + 3?") == 5
    assert "response_format" not in server.requests[-1].body


@needs_litellm
def test_litellm_never_leaves_tools_out_without_a_word() -> None:
    from masdsl.runtime.models.litellm_model import LiteLLMModel

    functions = formats.tool_functions([formats.ToolForm("t", {}, "")])
    request = Request((Message("user", "hi"),), timeout=10.0, tools=functions)
    model: ChatModel = LiteLLMModel("mine", model="petals/x", url="http://127.0.0.1:1")
    with pytest.raises(ModelError, match="litellm knows no tool calls for petals/x"):
        asyncio.run(model.complete(request))
