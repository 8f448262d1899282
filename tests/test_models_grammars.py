"""Grammars through servers: what is asked of them, how they give way, and whole programs written through them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from masdsl.config import DEFAULT, ModelConfig, load_config
from masdsl.decode.draft import begin
from masdsl.decode.models import GrammarModel
from masdsl.decode.pieces import next_piece
from masdsl.decode.write import write
from masdsl.diagnostics.base import Findings
from masdsl.meta.emission import Terms, emit_program
from masdsl.meta.host import Host, fit_of, shape_of
from masdsl.meta.task import Task
from masdsl.runtime.meter import Limits
from masdsl.runtime.models import store
from masdsl.runtime.models.base import Message, ModelError, Price, Reply, Request, grammars_of
from masdsl.runtime.models.counted import CountedModel
from masdsl.runtime.models.openai import OpenAIModel
from masdsl.runtime.models.registry import configured
from tests.harness.faulty_server import FaultyServer, Received, completion, error, ok, raw

PREFIX = "mas 1\nbudget calls 6\n"
ASK = Request(
    (Message("user", "Write."), Message("assistant", PREFIX)), max_tokens=60, grammar='start: "x"', timeout=10.0
)
EXTRAS = {"grammar", "structured_outputs", "guided_grammar", "chat_template_kwargs"}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def served(server: FaultyServer, grammars: str = "llguidance") -> OpenAIModel:
    return OpenAIModel("mine", url=server.url, model="m", price=Price(0.0, 0.0), grammars=grammars)


def asked(model: OpenAIModel, request: Request = ASK) -> Reply:
    async def ask() -> Reply:
        try:
            return await model.complete(request)
        finally:
            await model.close()

    return asyncio.run(ask())


# ---------------------------------------------------------------- what is sent


def test_a_grammar_is_sent_under_the_names_that_servers_know(server: FaultyServer) -> None:
    server.will(ok("agent a(b) -> text\n"))
    assert asked(served(server)).text == "agent a(b) -> text\n"
    [received] = server.requests
    body = received.body
    assert body["grammar"] == body["guided_grammar"] == body["structured_outputs"]["grammar"] == ASK.grammar
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["messages"][-1] == {"role": "assistant", "content": PREFIX}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_an_assistant_message_is_only_continued_where_it_is_the_last(server: FaultyServer) -> None:
    server.will(ok("x"))
    asked(served(server), ASK._replace(messages=(Message("assistant", "Hi."), Message("user", "Write."))))
    assert not {"continue_final_message", "add_generation_prompt"} & set(server.requests[0].body)


def test_a_request_without_a_grammar_has_none_of_it(server: FaultyServer) -> None:
    server.will(ok("x"))
    asked(served(server), ASK._replace(grammar=""))
    assert not EXTRAS & set(server.requests[0].body)


def test_a_beginning_that_is_said_again_is_cut_off(server: FaultyServer) -> None:
    server.will(ok(PREFIX + "type A = b\n"))
    assert asked(served(server)).text == "type A = b\n"
    server.will(ok(PREFIX))
    assert asked(served(server), ASK._replace(grammar="")).text == PREFIX


def test_a_server_that_takes_no_grammars_is_not_asked(server: FaultyServer) -> None:
    server.will(ok("x"))
    with pytest.raises(ModelError, match="bad_request: `mine` takes no grammars here"):
        asked(served(server, ""))
    assert server.requests == []
    from masdsl.runtime.models.litellm_model import LiteLLMModel

    with pytest.raises(ModelError, match="takes no grammars here"):
        asyncio.run(LiteLLMModel("theirs", model="openai/x").complete(ASK))


# ---------------------------------------------------------------- giving way


def unknown(*names: str, known: bool = False) -> Any:
    """A right answer, but 400 to a request with one of these parameters, which is named."""

    def answer(connection: socket.socket, received: Received) -> None:
        found = [name for name in names if name in received.body]
        said = error(400, f"Unrecognized request argument supplied: {found[0]}") if found else ok("x")
        said(connection, received)

    return answer


@pytest.mark.parametrize(
    "names",
    [
        ("guided_grammar",),
        ("structured_outputs", "chat_template_kwargs"),
        ("grammar", "guided_grammar"),
        ("grammar", "structured_outputs"),
    ],
)
def test_names_that_a_server_does_not_know_are_left_out(server: FaultyServer, names: tuple[str, ...]) -> None:
    server.will(unknown(*names))
    model = served(server)
    asked(model)
    assert len(server.requests) == 1 + len(names)
    assert EXTRAS & set(server.requests[-1].body) == EXTRAS - set(names)
    asked(model)
    assert len(server.requests) == 2 + len(names), "what was learned is kept"


def test_a_server_that_knows_none_of_them_has_refused(server: FaultyServer) -> None:
    server.will(unknown("grammar", "structured_outputs", "guided_grammar"))
    with pytest.raises(ModelError, match="bad_request"):
        asked(served(server))
    assert len(server.requests) == 3


def test_a_grammar_that_is_refused_is_never_left_out(server: FaultyServer) -> None:
    server.will(error(400, "Failed to parse grammar: unexpected token at 3"), ok("x"))
    with pytest.raises(ModelError, match="Failed to parse grammar"):
        asked(served(server))
    assert len(server.requests) == 1


# ---------------------------------------------------------------- by configuration


def test_the_configuration_says_it(tmp_path: Path) -> None:
    entry = 'kind = "openai"\nurl = "http://127.0.0.1:1/v1"\nmodel = "m"\ninput_price = 0\noutput_price = 0\n'
    text = f'[models.a]\n{entry}grammar = "gbnf"\n[models.b]\n{entry}'
    (tmp_path / "mas.toml").write_text(text, encoding="utf-8")
    findings = Findings()
    config = load_config(str(tmp_path), findings)
    assert findings.ok
    assert [grammars_of(configured(config.models[name])) for name in ("a", "b")] == ["gbnf", ""]
    assert grammars_of(CountedModel(configured(config.models["a"]), len)) == "gbnf"
    for wrong in (text.replace("gbnf", "regex"), text.replace("openai", "litellm").replace("kind", "kind", 1)):
        (tmp_path / "mas.toml").write_text(wrong, encoding="utf-8")
        findings = Findings()
        load_config(str(tmp_path), findings)
        assert not findings.ok, wrong


# ---------------------------------------------------------------- whole programs


def writes_at_random(connection: socket.socket, received: Received) -> None:
    """A random text of the grammar, after the beginning; free text where there is no grammar."""
    from tests.harness.random_writer import RandomWriter

    grammar = received.body.get("structured_outputs", {}).get("grammar", "")
    piece = RandomWriter().sample(grammar, received.body["max_tokens"], received.body["seed"]) if grammar else None
    text = "It fits." if piece is None else received.body["messages"][-1]["content"] + piece.text
    usage = {"prompt_tokens": 90, "completion_tokens": 9 if piece is None else piece.tokens}
    finish = "stop" if piece is None or piece.whole else "length"
    raw(json.dumps(completion(text, usage=usage, finish=finish)).encode())(connection, received)


def test_a_program_is_written_through_a_server(server: FaultyServer) -> None:
    pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")
    server.will(writes_at_random)
    task, host = Task("What is 2 + 2?", budget=Limits(calls=6)), Host(DEFAULT)

    async def emit() -> Any:
        model = served(server)
        try:
            return await emit_program(model, ASK.messages[:1], task, host, Terms(tries=6, reply_tokens=4_000))
        finally:
            await model.close()

    one = asyncio.run(emit())
    assert one.how in ("grammar", "closed") and one.reasoning == "It fits."
    assert fit_of(one.text, shape_of(task, host), host, task.budget).program is not None
    assert one.spent.calls == len(server.requests) > 3


def _missing() -> str:
    try:
        import xllamacpp  # noqa: F401
    except ImportError:
        return "xllamacpp is not installed (pip install masdsl[local])"
    return "" if store.where("smollm2") else "the weights of smollm2 are missing (mas models pull smollm2)"


@pytest.mark.local_model
@pytest.mark.skipif(bool(_missing()), reason=_missing())
@pytest.mark.parametrize("notation", ["llguidance", "gbnf"])
def test_a_real_llama_cpp_server_goes_on_within_a_grammar(notation: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = store.where("smollm2")
    parameters.n_ctx, parameters.n_parallel, parameters.port = 1024, 1, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup, parameters.verbosity = False, 0
    running = xllamacpp.Server(parameters)
    draft = begin("flow main(query) -> text", DEFAULT, header="budget calls 6\n")
    grammar = next_piece(draft)
    assert grammar is not None
    entry = ModelConfig("here", "openai", model="m", url=f"{running.listening_address}/v1", grammar=notation)

    async def ask() -> Any:
        model = configured(entry, Price(0.0, 0.0))
        pieces = GrammarModel(model, ASK.messages[:1], temperature=1.0, timeout=60.0, piece_tokens=60)
        try:
            return await write(draft, pieces, tokens=120, seed=1)
        finally:
            await model.close()

    written = asyncio.run(ask())
    assert written.pieces >= 1 and written.text.startswith(draft.text), written
    findings = Findings()
    from masdsl.pipeline import check_source
    from masdsl.source import Source

    assert check_source(Source("x", written.text), DEFAULT, findings) is not None
