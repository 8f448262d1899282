"""The adapter for OpenAI-compatible servers, against a server on this machine that does everything wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeAlias

import pytest

from masdsl.runtime.models.base import Message, ModelError, Price, Reply, Request
from masdsl.runtime.models.openai import OpenAIModel
from tests.harness import faulty_server as faulty
from tests.harness.faulty_server import Behaviour, FaultyServer, completion, error, ok

KEY = "sk-Very+Secret/0123456789abcdef=="
KEY_ENV = "MASDSL_TEST_KEY"
ASK = Request((Message("user", "hi"),), timeout=10.0)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def model(server: FaultyServer, **options: Any) -> OpenAIModel:
    return OpenAIModel("mine", url=server.url, model="m", key_env=KEY_ENV, **options)


Outcome: TypeAlias = Reply | ModelError


def run(server: FaultyServer, *behaviours: Behaviour, request: Request = ASK, calls: int = 1) -> list[Outcome]:
    """Ask `calls` times in one event loop; failures are returned like replies."""
    server.will(*behaviours)
    asked = model(server)

    async def all_calls() -> list[Outcome]:
        results: list[Outcome] = []
        for _ in range(calls):
            try:
                results.append(await asked.complete(request))
            except ModelError as fault:
                results.append(fault)
        await asked.close()
        return results

    return asyncio.run(all_calls())


def reply(server: FaultyServer, *behaviours: Behaviour, request: Request = ASK) -> Reply:
    [result] = run(server, *behaviours, request=request)
    assert isinstance(result, Reply), result
    return result


def fault(server: FaultyServer, *behaviours: Behaviour, request: Request = ASK) -> ModelError:
    [result] = run(server, *behaviours, request=request)
    assert isinstance(result, ModelError), result
    return result


# ---------------------------------------------------------------- right answers


def test_a_right_answer(server: FaultyServer) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    request = Request(
        (Message("system", "be brief"), Message("user", "héllo\0")), max_tokens=9, temperature=0.5, seed=3, timeout=10.0
    )
    assert reply(server, ok("grüß\0", usage=usage, model="m-2"), request=request) == Reply(
        "grüß\0", 7, 3, "m-2", "stop"
    )
    [received] = server.requests
    assert received.path == "/v1/chat/completions"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "héllo\0"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 3,
        "stream": False,
    }


def test_what_the_request_leaves_open_is_not_sent(server: FaultyServer) -> None:
    reply(server, ok())
    assert set(server.requests[0].body) == {"model", "messages", "max_tokens", "stream"}


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "other"), (None, "other"), ([], "other")],
)
def test_finish(server: FaultyServer, finish: object, expected: str) -> None:
    assert reply(server, ok(finish=finish)).finish == expected


def test_content_in_parts(server: FaultyServer) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}, 3, {"type": "text"}]
    assert reply(server, ok(parts)).text == "ab"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"prompt_tokens": -1000000, "completion_tokens": -1},
        {"prompt_tokens": "7", "completion_tokens": None},
        {"prompt_tokens": True, "completion_tokens": 1.5},
        {"prompt_tokens": 10**30, "completion_tokens": float("inf")},
    ],
)
def test_impossible_usage_counts_as_none(server: FaultyServer, usage: object) -> None:
    answer = reply(server, ok(usage=usage))
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("hello", None, None)


def test_another_models_name_is_told(server: FaultyServer) -> None:
    assert reply(server, ok(model="cheap\x1b[31m-model" + "x" * 500)).model.startswith("cheap [31m-modelxxx")
    assert len(reply(server, ok(model="x" * 500)).model) == 200


def test_lone_surrogates_and_broken_utf8_are_replaced(server: FaultyServer) -> None:
    assert reply(server, ok("a\ud800b\U0001f600")).text == "a\ufffdb\U0001f600"
    data = json.dumps(completion("a#b")).encode().replace(b"#", b"\xff\xfe")
    assert reply(server, faulty.raw(data)).text == "a\ufffd\ufffdb"
    request = Request((Message("user", "a\ud800b"),), timeout=10.0)
    reply(server, ok(), request=request)
    assert server.requests[0].body["messages"][0]["content"] == "a?b"


def test_one_connection_serves_many_calls_and_loops(server: FaultyServer) -> None:
    server.will(ok())
    asked = model(server)
    for _ in range(2):
        assert asyncio.run(asked.complete(ASK)).text == "hello"

    async def at_once() -> list[Reply]:
        return await asyncio.gather(*(asked.complete(ASK) for _ in range(20)))

    assert {answer.text for answer in asyncio.run(at_once())} == {"hello"}


def test_name_and_price(server: FaultyServer) -> None:
    assert (model(server).name, model(server).price) == ("mine", None)
    assert model(server, price=Price(1.0, 2.0)).price == Price(1.0, 2.0)


@pytest.mark.parametrize("ending", ["", "/", "/chat/completions", "/chat/completions/"])
def test_the_url_may_name_the_base_or_the_endpoint(server: FaultyServer, ending: str) -> None:
    server.will(ok())
    asyncio.run(OpenAIModel("mine", url=server.url + ending, model="m").complete(ASK))
    assert server.requests[0].path == "/v1/chat/completions"
    assert "authorization" not in server.requests[0].headers


# ---------------------------------------------------------------- faults

REDIRECT = faulty.raw(b"", status=307, headers=("Location: http://192.0.2.1/",))
ODD = faulty.body({"detail": [{"msg": "field required"}]}, status=422)
FAULTS: list[tuple[str, Behaviour, str, str, bool]] = [
    # name, behaviour, kind, words of the detail, billed
    ("500", error(500, "boom"), "overloaded", "500: boom", True),
    ("503", error(503, "later"), "overloaded", "503: later", False),
    ("529", error(529, "Overloaded"), "overloaded", "529", False),
    ("429", error(429, "slow down"), "rate_limit", "429: slow down", False),
    ("quota", error(429, "You exceeded your current quota", code="insufficient_quota"), "auth", "quota", False),
    ("401", faulty.echo_key, "auth", "Incorrect API key provided: [key]. Sent as Bearer [key]", False),
    ("403", error(403, "no"), "auth", "403: no", False),
    ("404", error(404, "The model `m` does not exist"), "not_found", "does not exist", False),
    ("408", error(408, "x"), "timeout", "408", True),
    ("400", error(400, "bad thing"), "bad_request", "bad thing", False),
    ("too long", error(400, "This model's maximum context length is 8 tokens"), "too_long", "8 tokens", False),
    ("413", error(413, "large"), "too_long", "413", False),
    ("filter", error(400, "filtered", code="content_filter"), "refused", "filtered", True),
    (
        "redirect",
        faulty.raw(b"", status=307, headers=("Location: http://192.0.2.1/",)),
        "connection",
        "redirect",
        False,
    ),
    ("error with 200", faulty.body({"error": {"message": "upstream", "code": 502}}), "overloaded", "upstream", True),
    ("error without code", faulty.body({"error": "oh no"}), "overloaded", "oh no", True),
    ("plain error", faulty.raw(b"<html>Bad \x1b[31mGateway</html>", status=502), "overloaded", "Bad [31mGateway", True),
    (
        "odd error",
        faulty.body({"detail": [{"msg": "field required"}]}, status=422),
        "bad_request",
        "field required",
        False,
    ),
    ("empty error", faulty.raw(b"", status=500), "overloaded", "500", True),
    ("cut", faulty.cut, "connection", "broke", True),
    ("hang up", faulty.hang_up, "connection", "broke", True),
    ("garbage", faulty.garbage, "connection", "broke", True),
    ("huge", faulty.huge, "too_large", "1048576 bytes", True),
    ("bomb", faulty.bomb, "too_large", "1048576 bytes", True),
    ("no JSON", faulty.raw(b"hello"), "connection", "not JSON", True),
    ("empty body", faulty.raw(b""), "connection", "not JSON", True),
    ("deep JSON", faulty.raw(b"[" * 200_000), "connection", "not JSON", True),
    ("a list", faulty.body([]), "connection", "no chat completion", True),
    ("null", faulty.body(None), "connection", "not JSON", True),
    ("no choices", faulty.body({"choices": []}), "connection", "no choice", True),
    ("null choices", faulty.body({"choices": None}), "connection", "no list of `choices`", True),
    ("odd choice", faulty.body({"choices": [1]}), "connection", "no choice", True),
    ("no message", faulty.body({"choices": [{}]}), "connection", "no message", True),
    ("empty content", ok(""), "connection", "the reply is empty", True),
    ("null content", ok(None), "connection", "the reply is empty", True),
    ("blank content", ok(" \n"), "connection", "the reply is empty", True),
    ("number content", ok(3), "connection", "the reply is empty", True),
    ("used up", ok("", finish="length"), "connection", "used up `max`", True),
    ("filtered", ok("", finish="content_filter"), "refused", "declined", True),
    ("refusal", ok(None, refusal="I can't\nhelp"), "refused", "declined to answer: I can't help", True),
]


@pytest.mark.parametrize(("behaviour", "kind", "words", "billed"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faults(server: FaultyServer, behaviour: Behaviour, kind: str, words: str, billed: bool) -> None:
    failed = fault(server, behaviour)
    assert (failed.kind, failed.billed) == (kind, billed), failed
    assert words in failed.detail
    assert "\n" not in failed.detail and "\x1b" not in failed.detail and len(failed.detail) <= 300
    assert len(server.requests) == 1, "one attempt is one request"


def test_faults_never_show_the_key(server: FaultyServer) -> None:
    import base64
    from urllib.parse import quote

    forms = [KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), KEY.upper(), "x" * 280 + KEY]
    for form in forms:
        for behaviour in (
            error(401, form),
            error(500, form),
            faulty.raw(form.encode(), status=400),
            ok("", refusal=form),
        ):
            failed = fault(server, behaviour)
            for text in (str(failed), repr(failed), failed.detail):
                assert "Very" not in text and "VERY" not in text and form[-10:] not in text


def test_a_key_with_a_line_break_is_refused_without_showing_it(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, "abc\r\nX-Evil: 1")
    failed = fault(server, ok())
    assert failed.kind == "auth" and "abc" not in str(failed) and server.requests == []


def test_a_missing_key_names_the_variable(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_ENV)
    failed = fault(server, ok())
    assert failed.kind == "auth" and KEY_ENV in failed.detail and not failed.billed and not failed.retried


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("Retry-After: 2", 2, 2),
        ("Retry-After: 0.5", 0.5, 0.5),
        ("retry-after-ms: 1500", 1.5, 1.5),
        ("Retry-After: -5", 0, 0),
        ("Retry-After: 999999999", 3600, 3600),
        ("Retry-After: in 100 seconds", 60, 100),
        ("Retry-After: Mon, 01 Jan 2001 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after(server: FaultyServer, header: str, low: float, high: float) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)  # a date, the other form it takes
    header = header.replace("in 100 seconds", soon)
    failed = fault(server, error(429, "x", headers=(header,)))
    assert failed.retry_after is not None and low <= failed.retry_after <= high


@pytest.mark.parametrize("value", ["nan", "inf", "soon", "", "1e999"])
def test_senseless_retry_after_counts_as_none(server: FaultyServer, value: str) -> None:
    assert fault(server, error(429, "x", headers=(f"Retry-After: {value}",))).retry_after is None


@pytest.mark.parametrize("behaviour", [faulty.slow, faulty.silent])
def test_the_deadline_holds_on_the_wall_clock(server: FaultyServer, behaviour: Behaviour) -> None:
    started = time.monotonic()
    failed = fault(server, behaviour, request=Request((Message("user", "hi"),), timeout=0.5))
    assert (failed.kind, failed.billed) == ("timeout", True)
    assert time.monotonic() - started > 0.4
    assert server.left.wait(60), "nobody waits for the rest"


def test_the_models_own_timeout_counts_too(server: FaultyServer) -> None:
    server.will(faulty.silent)
    with pytest.raises(ModelError, match=r"timeout: no answer from 127.0.0.1:\d+ within 0.3 s"):
        asyncio.run(model(server, timeout=0.3).complete(ASK))


def test_cancelling_ends_the_call_at_once(server: FaultyServer) -> None:
    server.will(faulty.silent)
    asked = model(server)

    async def cancelled() -> None:
        task = asyncio.create_task(asked.complete(ASK._replace(timeout=250.0)))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert server.left.wait(60), "nobody waits for the answer"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "ftp://127.0.0.1/v1", "http://127.0.0.1:99999/v1", "http:///v1"]
)
def test_no_connection(url: str) -> None:
    with pytest.raises(ModelError) as failed:
        asyncio.run(OpenAIModel("mine", url=url, model="m").complete(ASK))
    assert failed.value.kind == "connection" and not failed.value.billed


def test_without_httpx_the_fault_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(ModelError, match="unavailable: .*pip install httpx"):
        asyncio.run(OpenAIModel("mine", url="http://127.0.0.1:1", model="m").complete(ASK))


# ---------------------------------------------------------------- schemas and refused parameters

RECORD = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


def typed(schema: dict[str, Any]) -> Request:
    return Request((Message("user", "hi"),), schema=schema, temperature=0.1, seed=5, timeout=10.0)


def test_a_record_is_asked_for_by_its_schema(server: FaultyServer) -> None:
    assert reply(server, ok('{"ok": true}'), request=typed(RECORD)).text == '{"ok": true}'
    asked = server.requests[0].body["response_format"]
    assert asked == {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": RECORD}}


@pytest.mark.parametrize(
    ("schema", "said", "text"),
    [
        ({"type": "integer"}, '{"value": 5}', "5"),
        ({"type": "array", "items": {"type": "string"}}, '{"value": ["ä", "b"]}', '["ä", "b"]'),
        ({"type": "string", "enum": ["a"]}, '{"value": "a"}', '"a"'),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, '{"value": null}', "null"),
        ({"type": "integer"}, '{"value": 5', '{"value": 5'),
        ({"type": "integer"}, "It is 5.", "It is 5."),
        ({"type": "integer"}, "5", "5"),
        ({"type": "integer"}, '{"other": 5}', '{"other": 5}'),
    ],
)
def test_other_types_travel_in_an_envelope(server: FaultyServer, schema: dict[str, Any], said: str, text: str) -> None:
    assert reply(server, ok(said), request=typed(schema)).text == text
    asked = server.requests[0].body["response_format"]["json_schema"]["schema"]
    assert asked["type"] == "object" and asked["properties"] == {"value": schema} and asked["required"] == ["value"]


@pytest.mark.parametrize(
    ("refused", "requests", "left"),
    [
        (("response_format",), 4, {"max_tokens", "temperature", "seed"}),
        (("response_format.json_schema",), 3, {"max_tokens", "temperature", "seed", "response_format"}),
        (("temperature",), 2, {"max_tokens", "seed", "response_format"}),
        (("seed",), 2, {"max_tokens", "temperature", "response_format"}),
        (("seed", "temperature", "response_format"), 6, {"max_tokens"}),
    ],
)
def test_refused_parameters_are_left_out_and_remembered(
    server: FaultyServer, refused: tuple[str, ...], requests: int, left: set[str]
) -> None:
    results = run(server, faulty.refuse(*refused), request=typed(RECORD), calls=2)
    assert [getattr(result, "text", result) for result in results] == ["hello", "hello"]
    assert len(server.requests) == requests + 1, "the second call asks once"
    assert set(server.requests[-1].body) - {"model", "messages", "stream"} == left


def test_the_other_name_of_the_limit(server: FaultyServer) -> None:
    refusal = error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    results = run(server, refusal, ok(), calls=2)
    assert all(isinstance(result, Reply) for result in results)
    assert [set(r.body) & {"max_tokens", "max_completion_tokens"} for r in server.requests] == [
        {"max_tokens"},
        {"max_completion_tokens"},
        {"max_completion_tokens"},
    ]


def test_a_server_that_fails_on_schemas_with_500(server: FaultyServer) -> None:
    """As `llama_cpp.server` does."""
    assert (
        reply(server, faulty.refuse("response_format.json_schema", status=500), request=typed(RECORD)).text == "hello"
    )


def test_a_request_that_is_bad_anyway_stays_bad(server: FaultyServer) -> None:
    results = run(server, *[error(400, "no")] * 4, ok(), request=typed(RECORD), calls=2)
    assert [getattr(result, "kind", "ok") for result in results] == ["bad_request", "ok"]
    assert server.requests[-1].body["response_format"]["json_schema"]["strict"], "a failure teaches nothing"


def test_a_prompt_too_long_is_not_asked_again(server: FaultyServer) -> None:
    assert fault(server, error(400, "maximum context length is 8"), request=typed(RECORD)).kind == "too_long"
    assert len(server.requests) == 1
