"""The faults that show on the wire, from a server on this machine through the real adapters to the ledger of a run."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from masdsl import sizes
from masdsl.formats import schema_tokens
from masdsl.runtime import RunFailed
from masdsl.runtime.accounts import request_tokens
from masdsl.runtime.models.base import ChatModel, Reply, Request
from masdsl.runtime.models.openai import OpenAIModel
from masdsl.runtime.shapes import plain, type_of
from tests.harness.bounding import Case, prepared
from tests.harness.fault_scenes import HEAD, RIGHT
from tests.harness.faults import MODEL_KINDS, Context, Kind, billed
from tests.harness.faulty_server import FaultyServer, ok

KEY_ENV = "MASDSL_TEST_KEY"
KINDS = [kind for kind in MODEL_KINDS if kind.wire is not None]
FINE = Kind("fine", "value", "counts")
AGENTS = ("draft", "review", "rate", "parts")
Adapter = Callable[..., ChatModel]


def litellm_model(name: str, *, url: str, model: str, **options: Any) -> ChatModel:
    from masdsl.runtime.models.litellm_model import LiteLLMModel

    return LiteLLMModel(name, model=f"openai/{model}", url=url, **options)


needs_litellm = pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed")
AS_LITELLM_HAS_IT: dict[str, Kind] = {
    "redirect": FINE._replace(then="again", bills="prompt"),  # it goes there, without the key, and finds nobody
    "truths for counts": FINE._replace(bills="least"),  # true is 1 to it, and false 0
    "counts of nothing": FINE,  # it reports 0 where a server says nothing, so 0 is no count
}
"""What litellm changes before the adapter sees it; nothing of it is less than what is possible."""
ADAPTERS = [
    pytest.param(OpenAIModel, id="openai"),
    pytest.param(litellm_model, id="litellm", marks=needs_litellm),
]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, "sk-Very+Secret/0123456789abcdef==")
    monkeypatch.setattr(sizes, "FIRST_PAUSE", 0.01)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


@cache
def case_of(agent: str) -> Case:
    return prepared(f"{HEAD}flow main(x: text(60)) -> bool {{ a = {agent}(x) return a == a }}\n")


def right(agent: str) -> str:
    value = RIGHT[agent]
    return value if isinstance(value, str) else json.dumps(value)


class Billed:
    """A model through an adapter, and what its calls count by the table: the first by its fault, others as they are."""

    name = "m"
    price = None

    def __init__(self, inner: ChatModel, kind: Kind) -> None:
        self.inner = inner
        self.kinds = [kind]
        self.due: list[tuple[int, int]] = []

    async def complete(self, request: Request) -> Reply:
        kind = self.kinds.pop() if self.kinds else FINE
        reserved = request_tokens(request.messages, schema_tokens(request.schema))
        at = len(self.due)
        self.due.append(billed(kind, request, reserved, ""))
        reply = await self.inner.complete(request)
        self.due[at] = billed(kind, request, reserved, reply.text)
        return reply

    async def close(self) -> None:
        await self.inner.close()


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_fault_on_the_wire_is_what_the_table_says(server: FaultyServer, adapter: Adapter, kind: Kind) -> None:
    agents = case_of(AGENTS[0]).compiled.agents
    agent = next(one for one in AGENTS if kind.fits(Context(None, right(one), type_of(agents[one].returns), False)))
    if kind.name == "words for counts" and adapter is litellm_model:
        pytest.skip("litellm takes the words for numbers, and these are possible ones")
    assert kind.wire is not None
    server.will(kind.wire(right(agent)), ok(right(agent)))
    due_as = AS_LITELLM_HAS_IT.get(kind.name, kind) if adapter is litellm_model else kind
    limit = 0.5 if kind.hangs else 30.0
    model = Billed(adapter("m", url=server.url, model="m", key_env=KEY_ENV, timeout=limit), due_as)
    try:
        tools = dict.fromkeys(("look", "dig", "send"), print)
        result = asyncio.run(case_of(agent).compiled.run("main", {"x": "x"}, models=model, tools=tools))
        assert plain(result.value) is True
        assert kind.then != "ended"
    except RunFailed as failure:
        result = failure.result
        assert kind.then == "ended", failure
        assert failure.step == "main.a"
        assert "Very+Secret" not in str(failure)
    assert result.calls == len(model.due) == (2 if kind.then in ("again", "corrected") else 1)
    due = sum(tokens for tokens, _ in model.due), sum(tokens for _, tokens in model.due)
    assert (result.tokens_in, result.tokens_out) == due
