"""The litellm adapter, through the real litellm to a server on this machine."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest

from masdsl.runtime.models import litellm_model
from masdsl.runtime.models.base import Message, ModelError, Price, Reply, Request
from masdsl.runtime.models.litellm_model import LiteLLMModel, check_version, listed_price
from tests.harness import faulty_server as faulty
from tests.harness.faulty_server import Behaviour, FaultyServer, error, ok

needs_litellm = pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed")
KEY = "sk-Very+Secret/0123456789abcdef=="
KEY_ENV = "MASDSL_TEST_KEY"
ASK = Request((Message("user", "hi"),), max_tokens=9, timeout=30.0)
RECORD = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    if importlib.util.find_spec("litellm") is not None:
        litellm_model.load_litellm()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def ask(server: FaultyServer, *behaviours: Behaviour, request: Request = ASK, **options: Any) -> Reply:
    server.will(*behaviours)
    model = LiteLLMModel("mine", model="openai/m", url=server.url, **({"key_env": KEY_ENV} | options))
    return asyncio.run(model.complete(request))


def fault(server: FaultyServer, *behaviours: Behaviour, request: Request = ASK, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as failed:
        ask(server, *behaviours, request=request, **options)
    return failed.value


@needs_litellm
def test_a_right_answer(server: FaultyServer, capfd: pytest.CaptureFixture[str]) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    request = Request((Message("user", "hé\ud800"),), max_tokens=9, temperature=0.5, seed=3, timeout=30.0)
    assert ask(server, ok("grüß\ud800", usage=usage), request=request) == Reply("grüß\ufffd", 7, 3, "m", "stop")
    [received] = server.requests
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body["messages"] == [{"role": "user", "content": "hé\ufffd"}]
    assert {"max_tokens": 9, "temperature": 0.5, "seed": 3}.items() <= received.body.items()
    assert capfd.readouterr() == ("", "")


@needs_litellm
@pytest.mark.parametrize("usage", [None, {"prompt_tokens": -1000000, "completion_tokens": -1, "total_tokens": 0}])
def test_usage_that_litellm_makes_up_counts_as_none(server: FaultyServer, usage: object) -> None:
    answer = ask(server, ok(usage=usage))
    assert (answer.input_tokens, answer.output_tokens) == (None, None)


@needs_litellm
def test_a_compressed_answer_is_read(server: FaultyServer) -> None:
    data = gzip.compress(json.dumps(faulty.completion("grüß")).encode())
    assert ask(server, faulty.raw(data, headers=("Content-Encoding: gzip",))).text == "grüß"
    assert server.requests[0].headers["accept-encoding"] == "identity"


@needs_litellm
def test_schemas(server: FaultyServer) -> None:
    request = Request((Message("user", "hi"),), schema={"type": "integer"}, timeout=30.0)
    assert ask(server, ok('{"value": 5}'), request=request).text == "5"
    assert server.requests[0].body["response_format"]["json_schema"]["strict"] is True
    request = Request((Message("user", "hi"),), schema=RECORD, timeout=30.0)
    assert ask(server, faulty.refuse("response_format"), request=request).text == "hello"
    assert len(server.requests) == 4


FAULTS: list[tuple[str, Behaviour, set[str], str]] = [
    ("500", error(500, "boom"), {"overloaded"}, "500: boom"),
    ("429", error(429, "slow down", headers=("Retry-After: 2",)), {"rate_limit"}, "slow down"),
    ("401", faulty.echo_key, {"auth"}, "Incorrect API key provided: [key]"),
    ("400", error(400, "bad thing"), {"bad_request"}, "bad thing"),
    ("404", error(404, "no such model"), {"not_found"}, "no such model"),
    ("too long", error(400, "maximum context length is 8", code="context_length_exceeded"), {"too_long"}, "is 8"),
    ("cut", faulty.cut, {"connection"}, "connection"),
    ("hang up", faulty.hang_up, {"connection"}, "connection"),
    ("huge", faulty.huge, {"too_large"}, "1048576 bytes"),
    ("bomb", faulty.bomb, {"too_large"}, "1048576 bytes"),
    ("odd compression", faulty.raw(b"xx", headers=("Content-Encoding: br",)), {"connection", "overloaded"}, ""),
    ("false compression", faulty.raw(b"xx", headers=("Content-Encoding: gzip",)), {"connection", "overloaded"}, ""),
    ("no JSON", faulty.raw(b"hello"), {"connection", "overloaded"}, ""),
    ("bad UTF-8", faulty.raw(b'{"choices": "\xff"}'), {"connection", "overloaded"}, ""),
    ("no choices", faulty.body({"choices": []}), {"connection"}, "no choice"),
    ("empty content", ok(""), {"connection"}, "the reply is empty"),
    ("null content", ok(None), {"connection"}, "the reply is empty"),
]


@needs_litellm
@pytest.mark.parametrize(("behaviour", "kinds", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faults(
    server: FaultyServer, behaviour: Behaviour, kinds: set[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    failed = fault(server, behaviour)
    assert failed.kind in kinds and words in failed.detail, failed
    assert "Very" not in str(failed) and "\n" not in failed.detail and len(failed.detail) <= 300
    assert failed.retry_after == (2.0 if failed.kind == "rate_limit" else None)
    assert len(server.requests) == 1, "one attempt is one request"
    assert capfd.readouterr() == ("", "")


@needs_litellm
@pytest.mark.parametrize("behaviour", [faulty.slow, faulty.silent])
def test_the_deadline_holds_on_the_wall_clock(server: FaultyServer, behaviour: Behaviour) -> None:
    failed = fault(server, behaviour, request=Request((Message("user", "hi"),), timeout=0.7))
    assert (failed.kind, failed.billed) == ("timeout", True)
    assert server.left.wait(60), "nobody waits for the rest"


@needs_litellm
def test_a_key_that_litellm_finds_by_itself_is_redacted(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-Ambient-0123456789")
    failed = fault(server, faulty.echo_key, key_env=None)
    assert failed.kind == "auth" and "Ambient" not in str(failed) and "[key]" in failed.detail


@needs_litellm
def test_an_unknown_model(server: FaultyServer, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="not_found: litellm knows no such model: write provider/model"):
        asyncio.run(LiteLLMModel("mine", model="nonsense-9").complete(ASK))
    assert capfd.readouterr() == ("", "")


@needs_litellm
def test_other_users_of_litellm_have_no_limit(server: FaultyServer) -> None:
    litellm = litellm_model.load_litellm()
    long = "x" * 3_000_000
    server.will(ok(long))

    async def call() -> Any:
        return await litellm.acompletion(
            model="openai/m", api_base=server.url, api_key=KEY, messages=[{"role": "user", "content": "hi"}]
        )

    assert asyncio.run(call()).choices[0].message.content == long
    assert fault(server, ok(long)).kind == "too_large"


@needs_litellm
def test_prices_come_from_litellms_list_without_loading_it() -> None:
    script = (
        "import sys; from masdsl.runtime.models.litellm_model import listed_price as p, LiteLLMModel as M;"
        "assert p('openai/gpt-4o-mini') == M('x', model='gpt-4o-mini').price, p('openai/gpt-4o-mini');"
        "price = p('openai/gpt-4o-mini'); assert abs(price.input - 0.15) < 0.1 and price.output > price.input, price;"
        "assert p('openai/nonsense') is None and 'litellm' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_configured_price_comes_first() -> None:
    assert LiteLLMModel("x", model="openai/gpt-4o-mini", price=Price(1.0, 2.0)).price == Price(1.0, 2.0)
    assert listed_price("nobody/knows-this") is None


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8", "1.107.0"])
def test_bad_releases_are_refused_before_they_run(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=f"unavailable: litellm {version} is a release that") as failed:
        check_version(version)
    assert "pip install" in failed.value.detail
    monkeypatch.setattr(metadata, "version", lambda _: version)
    monkeypatch.setitem(sys.modules, "litellm", None)  # an import would be another failure
    with pytest.raises(ModelError, match="is not loaded"):
        asyncio.run(LiteLLMModel("x", model="openai/m").complete(ASK))


def test_good_releases_are_not_refused() -> None:
    for version in ("1.106.2", "1.108.0", "1.109.1"):
        check_version(version)


def test_without_litellm_the_fault_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ModelError, match="unavailable: .*pip install litellm"):
        asyncio.run(LiteLLMModel("x", model="openai/m").complete(ASK))
