"""Runs as OpenTelemetry traces: a tree of spans for each run, from the SDK's own exporters."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import masdsl
from masdsl import tracing
from masdsl.config import DEFAULT
from masdsl.journal import MemoryJournal
from masdsl.meta import queries
from masdsl.meta.host import Host
from masdsl.meta.task import Task
from masdsl.meta.team import team_for
from masdsl.runtime import Limits, RunFailed
from masdsl.runtime.models.base import Price, Request
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.source import Source
from masdsl.tracing.exporting import begin, is_asked_for

pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry is not installed: pip install 'masdsl[otel]'")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

pytest_plugins = ("tests.harness.postgres",)

ROOT = Path(__file__).parent.parent

PROGRAM = """\
mas 1

tool search(query) -> text(100) from "search"

agent draft(topic) -> text(40)
  "Write about {{ topic }}."

agent judge(words: text(40)) -> bool else false
  "Is this good? {{ words }}"

flow write(topic) -> text(40) {
  facts = search(topic)
  said = draft(facts)
  return said
}

flow main(topic) -> text(40) {
  words = ""
  round: loop 2 {
    words = write(topic)
    good = judge(words)
    until good
  }
  return words
}
"""


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.instrument(provider)
    yield exporter
    tracing.uninstrument()


def model(replies: dict[str, Any]) -> ScriptedModel:
    return ScriptedModel(replies, name="small", price=Price(1.0, 2.0))


def load(text: str, replies: dict[str, Any], search: Any = lambda query: f"facts about {query}") -> Any:
    return masdsl.load(Source("prog.mas", text), models=model(replies), tools={"search": search})


def tree(spans: tuple[ReadableSpan, ...]) -> dict[str, Any]:
    """Return spans as `{name: {name: ...}}`, siblings in the order of their beginnings."""
    under: dict[int, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda one: one.start_time or 0):
        under.setdefault(span.parent.span_id if span.parent else 0, []).append(span)

    def below(number: int) -> list[Any]:
        return [(span.name, below(span.context.span_id)) for span in under.get(number, [])]

    return dict(below(0))


REPLIES = {"draft": ["one", "two"], "judge": ["false", "true"]}


def test_a_run_is_a_tree_of_spans(exported: InMemorySpanExporter) -> None:
    assert asyncio.run(load(PROGRAM, REPLIES).main("bees")) == "two"
    spans = exported.get_finished_spans()
    write: tuple[str, list[Any]] = (
        "invoke_workflow write",
        [("execute_tool search", []), ("invoke_agent draft", [("chat small", [])])],
    )
    judge: tuple[str, list[Any]] = ("invoke_agent judge", [("chat small", [])])
    assert tree(spans) == {"invoke_workflow main": [write, judge, write, judge]}
    assert len({span.context.trace_id for span in spans}) == 1


def test_spans_say_what_was_used_and_what_was_proved(exported: InMemorySpanExporter) -> None:
    program = load(PROGRAM, REPLIES)
    result = program.main.run_sync("bees")
    spans = {span.attributes.get("mas.step", ""): span for span in spans_of(exported)}
    root = spans[""].attributes
    assert root["gen_ai.operation.name"] == "invoke_workflow"
    assert root["mas.run.status"] == "ended"
    assert (root["mas.spent.calls"], root["mas.spent.usd"]) == (result.calls, result.usd)
    assert root["mas.spent.input_tokens"] + root["mas.spent.output_tokens"] == result.tokens
    assert root["mas.bound.calls"] == 4 >= root["mas.spent.calls"]
    chats = [
        dict[str, Any](one.attributes or {}) for one in exported.get_finished_spans() if one.name.startswith("chat ")
    ]
    assert sum(one["gen_ai.usage.input_tokens"] for one in chats) == result.tokens_in
    assert sum(one["gen_ai.usage.output_tokens"] for one in chats) == result.tokens_out
    assert sum(one["mas.usd"] for one in chats) == pytest.approx(result.usd)
    assert {one["gen_ai.request.model"] for one in chats} == {"small"}
    judge = spans["main.round.good[1]"].attributes
    line = PROGRAM.splitlines().index("    good = judge(words)") + 1
    assert judge["mas.source"] == f"prog.mas:{line}"
    assert judge["mas.bound.calls"] == 2  # of both rounds


def spans_of(exported: InMemorySpanExporter) -> list[Any]:
    """Return the spans, those of calls before those of their steps."""
    return sorted(exported.get_finished_spans(), key=lambda one: not one.name.startswith("chat "))


def test_nothing_of_the_contents_is_in_spans_unless_asked_for(exported: InMemorySpanExporter) -> None:
    secret = "Xylophon7"
    program = load(PROGRAM, {"draft": f"about {secret}", "judge": "true"}, lambda query: f"{query} {secret}")
    asyncio.run(program.main(f"{secret} s"))
    told = "".join(span.to_json() for span in exported.get_finished_spans())
    assert secret not in told
    failing = load(PROGRAM, {"draft": Fails("refused", f"I do not talk about {secret}")})
    with pytest.raises(RunFailed):
        asyncio.run(failing.main("x"))
    whole = [span.to_json() for span in exported.get_finished_spans()]
    assert not [one for one in whole if f"Write about {secret}" in one]


def test_contents_that_are_asked_for() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.instrument(provider, contents=True)
    try:
        asyncio.run(load(PROGRAM, {"draft": "x" * 40, "judge": "true"}).main("bees"))
    finally:
        tracing.uninstrument()
    chat = next(one for one in exporter.get_finished_spans() if "Write about" in one.to_json())
    assert chat.attributes is not None
    told = json.loads(str(chat.attributes["gen_ai.input.messages"]))
    assert told[0]["parts"][0]["content"].startswith("Write about facts about bees.")
    said = json.loads(str(chat.attributes["gen_ai.output.messages"]))
    assert said == [{"role": "assistant", "parts": [{"type": "text", "content": "x" * 40}], "finish_reason": "stop"}]
    tool = next(one for one in exporter.get_finished_spans() if one.name == "execute_tool search")
    assert tool.attributes is not None and tool.attributes["gen_ai.tool.call.result"] == "facts about bees"


ACTING = """\
mas 1

tool search(query) -> text(100) from "search"

agent solver(topic) -> text(40) tools [search] steps 2
  "Find out about {{ topic }}."

flow main(topic) -> text(40) {
  return solver(topic)
}
"""


@pytest.mark.parametrize("kept", [False, True], ids=["not kept", "kept"])
def test_the_arguments_of_tools_are_contents_of_steps_and_of_uses_by_agents(kept: bool) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.instrument(provider, contents=True)
    long = PROGRAM.replace("search(query)", "search(query: text(32000))")
    for name in ("flow write", "flow main"):
        long = long.replace(f"{name}(topic)", f"{name}(topic: text(32000))")
    turns = ['{"tool": "search", "arguments": {"query": "wax"}}', '{"answer": "done"}']
    options: dict[str, Any] = {"journal": MemoryJournal()} if kept else {}
    try:
        start(load(PROGRAM, REPLIES), **options)
        start(load(ACTING, {"solver": turns}), **options)
        start(load(long, REPLIES), topic="x" * 30_000)
    finally:
        tracing.uninstrument()
    tools = [one.attributes or {} for one in exporter.get_finished_spans() if one.name == "execute_tool search"]
    told = [str(one["gen_ai.tool.call.arguments"]) for one in tools]
    assert [json.loads(one) for one in told[:3]] == [{"query": "bees"}, {"query": "bees"}, {"query": "wax"}]
    assert tools[2]["gen_ai.tool.call.result"] == "facts about wax"
    assert json.loads(told[3]) == {"query": "x" * 19_999 + "…"}


def test_a_failure_is_one_of_its_spans_and_a_default_ends_well(exported: InMemorySpanExporter) -> None:
    program = load(PROGRAM, {"draft": "one", "judge": Fails("refused", "no")})
    asyncio.run(program.main("bees"))
    judges = [one for one in exported.get_finished_spans() if one.name == "invoke_agent judge"]
    assert len(judges) == 2
    for one in judges:
        assert one.attributes is not None
        assert one.attributes["error.type"] == "refused"
        assert one.attributes["mas.taken_from"] == "default"
        assert one.status.status_code is StatusCode.ERROR
    root = next(one for one in exported.get_finished_spans() if one.parent is None)
    assert root.status.status_code is StatusCode.UNSET


def test_a_run_that_fails(exported: InMemorySpanExporter) -> None:
    def broken(query: str) -> str:
        raise OSError("no network")

    with pytest.raises(RunFailed):
        asyncio.run(load(PROGRAM, REPLIES, broken).main("bees"))
    spans = {one.name: one for one in exported.get_finished_spans()}
    assert spans["execute_tool search"].attributes["error.type"] == "tool"  # type: ignore[index]
    root = spans["invoke_workflow main"]
    assert root.attributes is not None and root.attributes["mas.run.status"] == "failed"
    assert root.status.status_code is StatusCode.ERROR
    assert "no network" not in root.to_json()


def test_a_run_that_goes_on_says_what_it_has_from_its_journal(exported: InMemorySpanExporter, tmp_path: Path) -> None:
    journal = str(tmp_path / "runs.db")
    replies = {"draft": ["one", "two"], "judge": ["false", Fails("connection", "lost")]}
    text = PROGRAM.replace(" else false", "")
    with pytest.raises(RunFailed):
        start(load(text, replies), journal=journal, run_id="r1")
    exported.clear()
    value = start(load(text, {"judge": "true"}), journal=journal, resume="r1").value
    assert value == "two"
    spans = exported.get_finished_spans()
    told = [one.attributes or {} for one in spans]
    taken = sorted(str(one["mas.step"]) for one in told if one.get("mas.taken_from"))
    assert taken == [
        "main.round.good[0]",
        "main.round.words.facts[0]",
        "main.round.words.facts[1]",
        "main.round.words.said[0]",
        "main.round.words.said[1]",
    ]
    assert len([one for one in spans if one.name == "chat small"]) == 1
    root = next(one for one in spans if one.parent is None)
    assert root.attributes is not None and root.attributes["mas.run.id"] == "r1"


def start(program: Any, *, topic: str = "bees", **options: Any) -> Any:
    inputs = {} if "resume" in options else {"topic": topic}
    return asyncio.run(program.start("main", inputs, **options))


def test_a_patch_is_an_event_of_the_run(exported: InMemorySpanExporter) -> None:
    text = PROGRAM.replace("mas 1\n", "mas 1\nbudget calls 20\nrectify tries 2 at 90%\n").replace(" else false", "")
    start(load(text, {"draft": "one", "judge": Fails("refused", "no")}))
    roots = [one for one in exported.get_finished_spans() if one.parent is None]
    assert len(roots) == 1  # however often a patch lets the run begin again
    asked = [one for one in exported.get_finished_spans() if one.name == "invoke_agent rectifier"]
    assert [(one.parent.span_id if one.parent else 0) for one in asked] == [roots[0].context.span_id]
    assert (asked[0].attributes or {})["mas.by"] == "rules"
    told = [event.attributes for event in roots[0].events if event.name == "mas.intervention"]
    assert told and told[0] is not None and (told[0]["cause"], told[0]["accepted"]) == ("refused", True)
    assert "patch" not in told[0]
    assert (roots[0].attributes or {})["mas.patches"] == 1


# ---------------------------------------------------------------- meta-agents

DESIGNED = """mas 1

agent thinker(query) -> text(60)
  "Think about: {{ query }}"

agent solver(query, thought: text(60)) -> text
  "Answer."

flow main(query) -> text {
  thought = thinker(query)
  return solver(query, thought)
}
"""
SAID = {
    "You design": f"Two steps suit it.\n```mas\n{DESIGNED}```",
    "You assign": "```bind\nbind 1\nthinker = fast\nsolver = smart\n```",
    "You repair": "The tier is down.\n```patch\npatch 1\nbind thinker = smart\n```",
}


def session(session: str, journal: MemoryJournal, *, generator: Any = SAID["You design"], resumes: bool = False) -> Any:
    """Make a session: its system's first agent has a tier that is down."""

    def answer(name: str) -> Any:
        def say(request: Request) -> Any:
            head = request.messages[0].content
            known = {**SAID, "You design": generator}
            role = next((reply for start, reply in known.items() if head.startswith(start)), None)
            if role is not None:
                return role
            return Fails("unavailable", "down") if (name, request.agent) == ("small", "thinker") else "42"

        return say

    small = ScriptedModel(answer("small"), name="small", price=Price(1, 2))
    large = ScriptedModel(answer("large"), name="large", price=Price(10, 20))
    host = Host(DEFAULT, {"fast": small, "default": small, "smart": large})
    task = Task("What is six times seven?", budget=Limits(calls=40, tokens=200_000))
    team = team_for(host)
    if resumes:
        return asyncio.run(queries.resume(session, host, team, journal))
    return asyncio.run(queries.solve(task, host, team, journal, session=session))


def test_what_meta_agents_ask_stands_below_the_session_and_the_run_that_it_repairs(
    exported: InMemorySpanExporter,
) -> None:
    done = session("s1", MemoryJournal())
    assert done.value == "42" and set(done.spent) == {"generator", "implementer", "rectifier", "run"}
    spans = exported.get_finished_spans()
    asked: list[tuple[str, list[Any]]] = [("chat large", [])]
    run = [
        ("invoke_agent thinker", [("chat small", [])]),
        ("invoke_agent rectifier", asked),
        ("invoke_agent thinker", asked),
        ("invoke_agent solver", asked),
    ]
    assert tree(spans) == {
        "invoke_workflow solve": [
            ("invoke_agent generator", asked),
            ("invoke_agent implementer", asked),
            ("invoke_workflow main", run),
        ]
    }
    named = {one.context.span_id: one.name for one in spans}
    for part in ("generator", "implementer", "rectifier"):
        calls = [
            one.attributes or {}
            for one in spans
            if one.parent is not None and named[one.parent.span_id] == f"invoke_agent {part}"
        ]
        spent = done.spent[part]
        used = [(one["gen_ai.usage.input_tokens"], one["gen_ai.usage.output_tokens"], one["mas.usd"]) for one in calls]
        assert used == [(spent.tokens_in, spent.tokens_out, spent.picodollars / 1e12)]
        assert spent.tokens_in and spent.tokens_out and "gen_ai.input.messages" not in calls[0]
    root = next(one.attributes or {} for one in spans if one.parent is None)
    assert (root["mas.run.id"], root["mas.run.status"]) == ("s1", "ended")
    assert root["mas.spent.calls"] == sum(one.calls for one in done.spent.values())
    secrets = ("Two steps suit it", "The tier is down", "six times seven")
    assert not [word for word in secrets for one in spans if word in one.to_json()]


def test_a_call_of_a_meta_agent_that_failed_is_told_by_its_cause(exported: InMemorySpanExporter) -> None:
    done = session("s1", MemoryJournal(), generator=Fails("rate_limit", "slow down, Xylophon7"))
    assert done.value == "42"  # by the nearest known system
    spans = exported.get_finished_spans()
    generator = next(one for one in spans if one.name == "invoke_agent generator")
    calls = [one for one in spans if one.parent is not None and one.parent.span_id == generator.context.span_id]
    assert calls and {(one.attributes or {})["error.type"] for one in calls} == {"overloaded"}
    assert all(one.status.status_code is StatusCode.ERROR for one in calls)
    assert "Xylophon7" not in "".join(one.to_json() for one in spans)


def test_a_session_that_goes_on_says_which_replies_it_had(exported: InMemorySpanExporter) -> None:
    journal = MemoryJournal()

    class Lost(BaseException):
        pass

    def stop(request: Request) -> Any:
        if len(request.messages) > 2:  # it is told what is wrong with its first reply
            raise Lost
        return "```mas\nmas 1\n```"

    with pytest.raises(Lost):
        session("s1", journal, generator=stop)
    first = [one for one in exported.get_finished_spans() if one.name == "chat large"]
    assert [(one.attributes or {}).get("error.type") for one in first] == [None, "other"]
    exported.clear()
    assert session("s1", journal, resumes=True).value == "42"
    spans = exported.get_finished_spans()
    generator = next(one for one in spans if one.name == "invoke_agent generator")
    asked = [one for one in spans if one.parent is not None and one.parent.span_id == generator.context.span_id]
    assert [(one.attributes or {}).get("mas.taken_from") for one in asked] == ["journal", None]


def test_runs_side_by_side_have_traces_of_their_own(exported: InMemorySpanExporter) -> None:
    async def both() -> None:
        program = load(PROGRAM, {"draft": "one", "judge": "true"})
        await asyncio.gather(program.main("bees"), program.main("ants"))

    asyncio.run(both())
    spans = exported.get_finished_spans()
    assert len({one.context.trace_id for one in spans}) == 2
    assert len([one for one in spans if one.parent is None]) == 2


def test_a_run_that_is_cancelled_leaves_no_span_open(exported: InMemorySpanExporter) -> None:
    async def main() -> None:
        called = asyncio.Event()

        async def slow(query: str) -> str:
            called.set()
            await asyncio.sleep(60)
            return ""

        run = asyncio.ensure_future(load(PROGRAM, REPLIES, slow).main("bees"))
        await asyncio.wait_for(called.wait(), 60)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    asyncio.run(main())
    names = {one.name for one in exported.get_finished_spans()}
    assert names == {"invoke_workflow main", "invoke_workflow write", "execute_tool search"}


def test_nobody_traces_by_default() -> None:
    code = "import masdsl, sys; masdsl.load; print('opentelemetry' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout.strip() == "False"
    assert tracing.active() is None


# ---------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_when_the_command_line_traces(environment: dict[str, str], asked: bool) -> None:
    assert is_asked_for(environment) is asked


def test_a_protocol_that_is_not_spoken_is_told() -> None:
    told: list[str] = []
    begin({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, told.append)()
    assert told == [
        "no traces are sent: grpc is not spoken here; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf (port 4318)"
    ]


class Collector:
    """An OTLP receiver over HTTP that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                import gzip

                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sent = ExportTraceServiceRequest.FromString(body)
                spans.extend(
                    (resource.resource, span)
                    for resource in sent.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                )
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    own = Collector()
    yield own
    own.server.shutdown()
    own.server.server_close()


SCRIPT = '[replies]\ngreeter = "Hello, Ada!"\nlistener = "cheerful"\n'


def mas(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "masdsl", *words]
    return subprocess.run(command, capture_output=True, text=True, env=own, cwd=folder, timeout=120)


def test_mas_run_sends_spans_where_the_environment_says(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(SCRIPT)
    words = ("run", str(ROOT / "examples/hello/hello.mas"), "name=Ada", "--script", "script.toml", "--no-journal")
    done = mas(*words, folder=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert done.returncode == 0, done.stderr
    assert sorted(span.name for _, span in collector.spans) == [
        "chat scripted",
        "chat scripted",
        "invoke_agent greeter",
        "invoke_agent listener",
        "invoke_workflow main",
    ]
    resource = collector.spans[0][0]
    assert {one.key: one.value.string_value for one in resource.attributes}["service.name"] == "masdsl"


@pytest.mark.parametrize("engine", ["local", "ray", "dbos"])
def test_the_runs_of_a_batch_are_one_trace_whoever_makes_them(
    collector: Collector, tmp_path: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    needed = {"local": (), "ray": ("ray",), "dbos": ("dbos", "psycopg")}[engine]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed (masdsl[scale], masdsl[ray])")
    journal = ("--journal", request.getfixturevalue("postgres")) if engine == "dbos" else ()
    (tmp_path / "script.toml").write_text(SCRIPT)
    (tmp_path / "data.jsonl").write_text("".join(f'{{"inputs": {{"name": "n{n}"}}}}\n' for n in range(4)))
    (tmp_path / "mas.toml").write_text('[models.s]\nkind = "scripted"\npath = "script.toml"\n[tiers]\nfast = "s"\n')
    (tmp_path / "hello.mas").write_text((ROOT / "examples/hello/hello.mas").read_text())
    words = ("eval", "hello.mas", "--data", "data.jsonl", "--out", "out", "--workers", "2", "--engine", engine)
    done = mas(*words, *journal, folder=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert done.returncode == 0, done.stderr + done.stdout
    spans = [span for _, span in collector.spans]
    batch = [span for span in spans if not span.parent_span_id]
    assert [span.name for span in batch] == ["invoke_workflow batch"]
    assert {span.trace_id for span in spans} == {batch[0].trace_id}
    runs = [span for span in spans if span.name == "invoke_workflow main"]
    assert [span.parent_span_id for span in runs] == 4 * [batch[0].span_id]
    assert [span.name for span in spans].count("chat s") == 8
    told = {one.key: one.value for one in batch[0].attributes}
    assert (told["mas.batch.runs"].int_value, told["mas.batch.engine"].string_value) == (4, engine)
    assert (told["mas.run.status"].string_value, told["mas.spent.calls"].int_value) == ("ended", 8)


def test_a_collector_that_is_not_there_does_not_harm_a_run(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(SCRIPT)
    words = ("run", str(ROOT / "examples/hello/hello.mas"), "name=Ada", "--script", "script.toml", "--no-journal")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    done = mas(*words, folder=tmp_path, **environment)
    assert done.returncode == 0
    assert "Hello, Ada!" in done.stdout
    assert "Traceback" not in done.stderr
