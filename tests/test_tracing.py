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
from pathlib import Path
from typing import Any

import pytest

import masdsl
from masdsl import tracing
from masdsl.runtime import RunFailed
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.source import Source
from masdsl.tracing.exporting import begin, is_asked_for

pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry is not installed: pip install 'masdsl[otel]'")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

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
    write = (
        "invoke_workflow write",
        [("execute_tool search", []), ("invoke_agent draft", [("chat small", [])])],
    )
    judge = ("invoke_agent judge", [("chat small", [])])
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
    chats = [span.attributes for span in exported.get_finished_spans() if span.name.startswith("chat ")]
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
    taken = sorted(str(one.attributes["mas.step"]) for one in spans if (one.attributes or {}).get("mas.taken_from"))
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


def start(program: Any, **options: Any) -> Any:
    inputs = {} if "resume" in options else {"topic": "bees"}
    return asyncio.run(program.start("main", inputs, **options))


def test_a_patch_is_an_event_of_the_run(exported: InMemorySpanExporter) -> None:
    text = PROGRAM.replace("mas 1\n", "mas 1\nbudget calls 20\nrectify tries 2 at 90%\n").replace(" else false", "")
    start(load(text, {"draft": "one", "judge": Fails("refused", "no")}))
    roots = [one for one in exported.get_finished_spans() if one.parent is None]
    assert len(roots) == 1  # however often a patch lets the run begin again
    told = [event.attributes for event in roots[0].events if event.name == "mas.intervention"]
    assert told and told[0] is not None and (told[0]["cause"], told[0]["accepted"]) == ("refused", True)
    assert "patch" not in told[0]
    assert (roots[0].attributes or {})["mas.patches"] == 1


def test_runs_side_by_side_have_traces_of_their_own(exported: InMemorySpanExporter) -> None:
    async def both() -> None:
        program = load(PROGRAM, {"draft": "one", "judge": "true"})
        await asyncio.gather(program.main("bees"), program.main("ants"))

    asyncio.run(both())
    spans = exported.get_finished_spans()
    assert len({one.context.trace_id for one in spans}) == 2
    assert len([one for one in spans if one.parent is None]) == 2


def test_a_run_that_is_cancelled_leaves_no_span_open(exported: InMemorySpanExporter) -> None:
    async def slow(query: str) -> str:
        await asyncio.sleep(60)
        return ""

    async def main() -> None:
        run = asyncio.ensure_future(load(PROGRAM, REPLIES, slow).main("bees"))
        await asyncio.sleep(0.05)
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


def test_the_workers_of_a_batch_send_spans_too(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(SCRIPT)
    (tmp_path / "data.jsonl").write_text("".join(f'{{"inputs": {{"name": "n{n}"}}}}\n' for n in range(4)))
    (tmp_path / "mas.toml").write_text('[models.s]\nkind = "scripted"\npath = "script.toml"\n[tiers]\nfast = "s"\n')
    (tmp_path / "hello.mas").write_text((ROOT / "examples/hello/hello.mas").read_text())
    words = ("eval", "hello.mas", "--data", "data.jsonl", "--out", "out", "--workers", "1")
    done = mas(*words, folder=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert done.returncode == 0, done.stderr + done.stdout
    assert [span.name for _, span in collector.spans].count("invoke_workflow main") == 4


def test_a_collector_that_is_not_there_does_not_harm_a_run(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(SCRIPT)
    words = ("run", str(ROOT / "examples/hello/hello.mas"), "name=Ada", "--script", "script.toml", "--no-journal")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    done = mas(*words, folder=tmp_path, **environment)
    assert done.returncode == 0
    assert "Hello, Ada!" in done.stdout
    assert "Traceback" not in done.stderr
