"""Which way a kept run went: what a replay sees is what the reference interpreter decides, and pictures say it."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

from masdsl import pipeline
from masdsl.api import load
from masdsl.check import program as p
from masdsl.cli import main
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.graph import dot, mermaid, model, svg
from masdsl.graph.data import SCHEMA, as_data
from masdsl.graph.model import Cluster, Edge, Graph, Ran, Vertex
from masdsl.graph.overlay import overlay
from masdsl.graph.taken import Ways
from masdsl.journal import MemoryJournal, RunHeader
from masdsl.journal.base import Row
from masdsl.loaded import LoadedProgram
from masdsl.rectify.ways import _told as made_to_tell
from masdsl.rectify.ways import ways_of
from masdsl.runtime import RunFailed
from masdsl.runtime.failures import StepFailed
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.source import Source
from tests.harness.generate import program as generated
from tests.harness.programs import granted, write
from tests.harness.reference import Interpreter, StepFailure, World
from tests.harness.world import hashed_world
from tests.test_graph import PROGRAMS, needs_layout

CONFIG = DEFAULT._replace(tools=granted("look", "send"))

PROGRAM = """mas 1

type Kind = easy | hard | odd

agent judge(x) -> bool "Judge {{ x }}"
agent kinds(x) -> Kind "What is {{ x }}?"
agent writer(x) -> text(90) "Write {{ x }}"
agent flaky(x) -> text(90) "Try {{ x }}"

flow helper(x) -> text(90) {
  ok = judge(x)
  if ok { return "early" }
  return writer(x)
}

flow main(spec) -> text {
  kind = kinds(spec)
  out = spec
  match kind {
    easy { out = "easy" }
    hard | odd { out = helper(spec) }
  }
  refine: loop 4 {
    good = judge(out)
    until good
    out = flaky(out) else writer(out)
  }
  if len(out) > 30 {
    out = writer(out)
  } else if len(out) > 3 {
    out = out + "!"
  } else {
    return "short"
  }
  return out
}
"""
REPLIES: dict[str, Any] = {
    "kinds": "odd",
    "judge": ["false", "false", "false", "true"],
    "writer": ["draft", "second"],
    "flaky": ["fine", Fails("refused")],
}


def kept(text: str, replies: Mapping[str, Any]) -> tuple[LoadedProgram, RunHeader, list[Row]]:
    """Return a program, and a run of it as the journal has it."""
    journal = MemoryJournal()
    program = load(Source("prog.mas", text), models=ScriptedModel(dict(replies)))
    try:
        asyncio.run(program.start("main", {"spec": "s"}, journal=journal, run_id="r", rectifier=False))
    except RunFailed:
        pass
    header, rows = journal.read("r")
    return program, header, list(rows)


def drawn(program: LoadedProgram, header: RunHeader, rows: list[Row], *, replays: bool = True) -> Graph:
    """Return the picture of a run."""
    bare = pipeline.graph(pipeline.Checked(program.checked.modules[0].source, program.checked, program.config), None, 3)
    assert bare is not None
    if not replays:
        return overlay(bare, rows)
    found = asyncio.run(ways_of(header, rows, program.ground_of(header)))
    return overlay(bare, rows, ["a run"], {}, Ways(found.decided, found.asked, found.whole, found.flows))


def went(picture: Graph) -> dict[str, int | None]:
    """Return how often each way was taken: `main.match? easy`."""
    kinds = (model.DECIDES, model.OTHERWISE)
    return {f"{edge.source} {' '.join(edge.names)}": edge.taken for edge in picture.edges if edge.kind in kinds}


def ran(picture: Graph) -> dict[str, Ran | None]:
    parts: list[Vertex | Cluster] = [*picture.vertices, *picture.clusters]
    return {part.id: part.ran for part in parts}


# ---------------------------------------------------------------- what is seen


def test_a_picture_says_which_way_a_run_went() -> None:
    picture = drawn(*kept(PROGRAM, REPLIES))
    assert went(picture) == {
        "main.match? easy": 0,
        "main.match? hard | odd": 1,
        "main.match.hard.out.if? yes": 0,
        "main.refine.out if it fails": 1,
        "main.if? yes": 0,
        "main.if? no": 1,
        "main.if.elif1? yes": 1,
        "main.if.elif1? no": 0,
    }
    told = ran(picture)
    assert told["main.match?"] == Ran(times=1, ways=(("odd", 1),))
    assert told["main.refine.until"] == Ran(times=3, ways=(("left the loop", 1), ("went on", 2)))
    assert told["main.if.elif1?"] == Ran(times=1, ways=(("yes", 1),))
    assert told["main.match/easy="] == Ran() and told["main.if/1="] == Ran(times=1)
    left = [part.ran for part in picture.vertices if part.kind == model.LEAVE]
    assert left == [Ran(), Ran()]
    jsonschema.validate(as_data(picture), SCHEMA)


def test_every_format_says_it() -> None:
    picture = drawn(*kept(PROGRAM, REPLIES))
    for text in (mermaid.render(picture), dot.render(picture)):
        assert "easy, not taken" in text and "taken 1 time" in text and "went on 2" in text
    assert "stroke-width:4px" in mermaid.render(picture) and "style=dotted" in dot.render(picture)
    edges = {(one["source"], *one.get("names", ())): one for one in as_data(picture)["edges"]}
    assert edges["main.match?", "easy"]["taken"] == 0


@needs_layout
def test_the_drawing_and_its_legend_say_it() -> None:
    picture = drawn(*kept(PROGRAM, REPLIES))
    text = svg.render(picture)
    ElementTree.fromstring(text)
    assert "line decides taken" in text and "line decides not-taken" in text
    assert "the run went this way" in text and "it did not go this way" in text
    assert "nobody can say" not in text
    plain = svg.render(drawn(*kept(PROGRAM, REPLIES), replays=False))
    assert "nobody can say whether it went this way" in plain


def test_where_nobody_can_say_it_the_steps_of_a_branch_do() -> None:
    picture = drawn(*kept(PROGRAM, REPLIES), replays=False)
    ways = went(picture)
    assert ways["main.match? hard | odd"] == 1
    assert ways["main.match? easy"] is None and ways["main.if.elif1? yes"] is None
    told = ran(picture)
    assert told["main.match?"] == Ran(times=1, is_known=False)
    assert told["main.if/1="] == Ran(is_known=False) == told["main.refine.until"]
    jsonschema.validate(as_data(picture), SCHEMA)


def test_a_run_that_was_broken_off_says_as_far_as_it_came() -> None:
    program, header, rows = kept(PROGRAM, REPLIES)
    asked = [number for number, row in enumerate(rows) if row.path == "main.refine.good" and row.indices == (1,)]
    picture = drawn(program, header, rows[: asked[0]])
    told, ways = ran(picture), went(picture)
    assert told["main.match?"] == Ran(times=1, ways=(("odd", 1),)) and ways["main.match? easy"] == 0
    assert told["main.refine.until"] == Ran(times=1, ways=(("went on", 1),))
    assert told["main.if?"] == Ran(is_known=False) and ways["main.if? yes"] is None


def test_a_run_that_failed_was_not_come_to_what_is_behind() -> None:
    replies = {**REPLIES, "judge": ["false", Fails("refused")]}
    picture = drawn(*kept(PROGRAM, replies))
    told, ways = ran(picture), went(picture)
    assert told["main.match.hard.out.if?"] == Ran(times=1, ways=(("no", 1),))
    assert told["main.refine.until"] == Ran() == told["main.if?"]
    assert (ways["main.if? yes"], ways["main.if? no"]) == (0, 0)


def test_what_the_arms_of_a_match_do_not_name_is_else() -> None:
    text = """mas 1

type Kind = a | b | c | d
agent kinds(x) -> Kind "What is {{ x }}?"
agent writer(x) -> text(90) "Write {{ x }}"

flow main(spec) -> text {
  out = ""
  rounds: loop 4 {
    kind = kinds(out)
    match kind {
      a | b { out = out + "1" }
      c { out = writer(out) }
      else { out = out + "2" }
    }
  }
  return out
}
"""
    picture = drawn(*kept(text, {"kinds": ["a", "d", "b", "c"], "writer": "w"}))
    assert went(picture) == {"main.rounds.match? a | b": 2, "main.rounds.match? c": 1, "main.rounds.match? else": 1}


# ---------------------------------------------------------------- against the reference


class Deciding(Interpreter):
    """An interpreter that counts what it decides, by place and outcome."""

    def __init__(self, program: p.Program, world: World) -> None:
        super().__init__(program, world)
        self.decided: Counter[tuple[int, str]] = Counter()

    def expr(self, node: Any, names: dict[str, Any]) -> Any:
        value = super().expr(node, names)
        if id(node) in self.asked:
            word = ("yes" if value else "no") if isinstance(value, bool) else str(value)
            self.decided[self.asked[id(node)], word] += 1
        return value

    @property
    def asked(self) -> dict[int, int]:
        """Where conditions and subjects stand, by the identity of their nodes."""
        if not hasattr(self, "_asked"):
            self._asked = dict(self._find())
        return self._asked

    def _find(self) -> Iterator[tuple[int, int]]:
        from masdsl.check.uses import statements_of

        for flow in self.flows.values():
            for node in statements_of(flow.body):
                match node:
                    case p.If():
                        yield from ((id(one.condition), one.condition.span.start) for one in node.branches)
                    case p.Until():
                        yield id(node.condition), node.span.start
                    case p.Match():
                        yield id(node.subject), node.span.start
                    case _:
                        pass


def offset(source: Source, line: int, column: int) -> int:
    return source.offset(line) + column - 1


@pytest.mark.parametrize("seed", range(25))
def test_what_is_seen_is_what_the_reference_decides(seed: int) -> None:
    source = Source("prog.mas", generated(Random(seed), 8))
    checked = pipeline.check_source(source, CONFIG, Findings())
    assert checked is not None
    world = hashed_world(seed)
    reference = Deciding(checked, world)
    try:
        reference.run("main", {"q": "what is it?"})
    except StepFailure:
        return  # beside a failure, what runs at the same time may decide more or less
    if reference.failed_flows:
        return

    def answering(kind: str, name: str) -> Any:
        def answer(inputs: Any) -> Any:
            try:
                return world(kind, name, dict(inputs))
            except StepFailure:
                raise StepFailed(name, "as the world wants it") from None

        return answer

    def used(answer: Any) -> Any:
        async def function(**inputs: Any) -> Any:
            return answer(inputs)

        return function

    tools = {tool.granted_as: used(answering("tool", tool.name)) for tool in checked.tools}
    program = LoadedProgram(checked, CONFIG, ScriptedModel({}), tools)
    journal = MemoryJournal()
    header = program._header("main", {"q": "what is it?"}, 0, "frozen", "r")
    run = journal.create(header)
    stand_ins = {agent.name: answering("agent", agent.name) for agent in checked.agents}
    asyncio.run(program.compiled.run("main", run=run, stand_ins=stand_ins, tools=tools, models=ScriptedModel({})))
    header, rows = journal.read("r")
    found = asyncio.run(ways_of(header, rows, program.ground_of(header)))
    assert found.whole
    seen: Counter[tuple[int, str]] = Counter()
    for (_, _, line, column), words in found.decided.items():
        for word, count in words.items():
            seen[offset(source, line, column), word] += count
    asked = {offset(source, line, column) for _, line, column in found.asked}
    expected = Counter({key: count for key, count in reference.decided.items() if key[0] in asked})
    assert seen == expected, source.text


@pytest.mark.parametrize("path", PROGRAMS[::7], ids=lambda path: path.stem)
def test_every_decision_of_a_program_can_be_seen(path: Path) -> None:
    done = pipeline.check_file(str(path), Findings())
    program = done.program
    assert program is not None
    asked: set[tuple[str, int, int]] = set()
    pipeline.load_changed(program, lambda lowered, tree: made_to_tell(program, lowered, tree, lambda *_: None, asked))
    assert {file for file, _, _ in asked} <= {module.source.name for module in program.modules}
    decides = (model.CHOICE, model.UNTIL)
    for flow in program.flows:
        if not (flow.module or flow.statics):
            picture = pipeline.graph(done, flow.name, 0)
            assert picture is not None
            assert {tuple(vertex.place) for vertex in picture.vertices if vertex.kind in decides} <= asked


# ---------------------------------------------------------------- the commands


def test_the_commands_say_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = '[tiers]\ndefault = "one"\n[models.one]\nkind = "scripted"\npath = "one.toml"\n'
    write(tmp_path, PROGRAM, config=config)
    replies = 'kinds = "odd"\njudge = ["false", "true"]\nwriter = "draft"\n'
    (tmp_path / "one.toml").write_text(f"[replies]\n{replies}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASDSL_STATE", str(tmp_path / "state"))
    assert main(["run", "program.mas", "spec=s"]) == 0
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert main(["graph", "--run", one["id"], "--as", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    jsonschema.validate(data, SCHEMA)
    assert {edge["names"][0]: edge["taken"] for edge in data["edges"] if edge["source"] == "main.match?"} == {
        "easy": 0,
        "hard | odd": 1,
    }
    assert main(["graph", "program.mas", "--run", one["id"]]) == 0
    assert "nobody can say how often" in capsys.readouterr().out
    assert main(["report", one["id"], "-o", "report.html"]) == 0
    page = (tmp_path / "report.html").read_text()
    assert ("the run went this way" in page) is ("<svg" in page)


def test_an_edge_that_nobody_went_along_is_no_edge_of_a_program() -> None:
    program, _, _ = kept(PROGRAM, REPLIES)
    bare = pipeline.graph(pipeline.Checked(program.checked.modules[0].source, program.checked, program.config), None, 3)
    assert bare is not None and not bare.has_unknown_ways
    assert {edge.taken for edge in bare.edges} == {Edge("", "", "").taken}


# ---------------------------------------------------------------- how often


OFTEN = """mas 1

agent writer(x) -> text(90) "Write {{ x }}"

flow plain(x) -> text(90) {
  return x + "!"
}

flow twice(x) -> text(90) {
  a = 3 of writer(x)
  return a[0]
}

flow main(spec) -> text {
  out = spec
  outer: loop 2 {
    inner: loop 3 {
      drafts = 2 of twice(out)
      out = plain(drafts[1])
    }
  }
  one = twice(out)
  return one
}
"""


def test_rounds_and_calls_of_flows_are_counted_not_the_steps_in_them() -> None:
    program, header, rows = kept(OFTEN, {"writer": "w"})
    told = ran(drawn(program, header, rows))
    times = {name: one.times for name, one in told.items() if one is not None}
    assert times == {
        "main": 1,
        "main.outer": 2,
        "main.outer.inner": 6,
        "main.outer.inner.drafts": 12,
        "main.outer.inner.drafts.a": 36,
        "main.outer.inner.out": 6,
        "main.one": 1,
        "main.one.a": 3,
    }
    unseen = ran(drawn(program, header, rows, replays=False))
    counted = {name: one.times for name, one in unseen.items() if one is not None and one.is_known}
    assert counted == {name: count for name, count in times.items() if name != "main.outer.inner.out"}
    assert unseen["main.outer.inner.out"] == Ran(is_known=False)
    folded = pipeline.graph(
        pipeline.Checked(program.checked.modules[0].source, program.checked, program.config), None, 0
    )
    assert folded is not None
    told = ran(overlay(folded, rows))
    flow = told["main.outer.inner.drafts"]
    assert flow is not None and (flow.times, flow.calls) == (12, 36)
