"""Programs as flows of Open Agent Specification and back: valid for `pyagentspec`, the same value, a fixed point."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.check.program import Program
from masdsl.cli import main
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.render import render_short
from masdsl.interop.agent_spec import document_text, export
from masdsl.interop.agent_spec_import import import_text
from masdsl.pipeline import check_file, check_source, load
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.runtime.shapes import plain
from masdsl.source import Source
from tests.harness import agent_spec_runs
from tests.harness.programs import granted

ROOT = Path(__file__).resolve().parent.parent

CONFIG = DEFAULT._replace(tools=granted("look", "send"))
PROGRAM = """mas 1

type Mood = cheerful | formal
type Review { ok: bool, mood: Mood, notes: text(20)[3], hint: text(10)?, score: float }

agent greeter(name, tone: text(10) = "kind") -> text(40) on fast temp 0.5 max 50 retry 1 role "You are kind."
  "Greet {{ name }} with \\"{{ tone }}\\"."

agent critic(words: text(40), note: int, last: Review?) -> Review on "openai/gpt-4o-mini" timeout 30
  "Review."

agent plain_one(words: Review[4]+) -> Mood[2]
  "{{ words }}"

tool look(q: text(40), deep: bool = true) -> int from "look" timeout 5

tool send(what: Mood[2]) -> bool from "send" effect

flow inner(words: text(40), start: Review = Review(ok: true, mood: Mood.formal, notes: ["a"], score: 1.5)) -> Review {
  n = look(words)
  return critic(words, n, start)
}

flow main(name = "world", _count: int = 3, rest: Review[4]+) -> (words: text(40), review: Review, moods: Mood[2]) {
  first_words = greeter(name, tone: "warm")
  again = greeter(first_words)
  review = inner(again)
  moods = plain_one(rest)
  _sent = send(moods)
  return (words: again, review: review, moods: moods)
}
"""
REPLIES: dict[str, Any] = {
    "greeter": ["Hello!", "Hello again!"],
    "critic": {"ok": False, "mood": "formal", "notes": ["long"], "hint": None, "score": 2.5},
    "plain_one": ["cheerful", "formal"],
}
INPUTS = {"name": "Ada", "rest": [{"ok": True, "mood": "formal", "notes": [], "hint": None, "score": 1.0}]}


def checked(text: str) -> Program:
    findings = Findings()
    program = check_source(Source("made.mas", text), CONFIG, findings)
    assert program is not None, render_short(findings.sorted())
    return program


def exported(text: str) -> dict[str, Any]:
    findings = Findings()
    document = export(checked(text), findings)
    assert document is not None, render_short(findings.sorted())
    return document


def imported(text: str) -> str:
    findings = Findings()
    program = import_text(Source("made.json", text), findings)
    assert program is not None, render_short(findings.sorted())
    return program


def value_of(text: str) -> tuple[Any, list[Any], list[Any]]:
    """Return what a program gives for the scripted replies, what its tools got, and what its models were told."""
    used: list[Any] = []

    def look(q: str, deep: bool) -> int:
        used.append((q, deep))
        return 7

    def send(what: list[str]) -> bool:
        used.append(what)
        return True

    model = ScriptedModel(REPLIES)
    models = dict.fromkeys(("fast", "default", "openai/gpt-4o-mini"), model)
    result = load(checked(text)).run_sync("main", INPUTS, models=models, tools={"look": look, "send": send})
    told = [(request.agent, request.messages, request.temperature, request.max_tokens) for request in model.requests]
    return plain(result.value), used, sorted(told)


def test_a_program_comes_back_with_the_same_meaning_and_stays_so() -> None:
    document = exported(PROGRAM)
    text = imported(document_text(document))
    assert value_of(text) == value_of(PROGRAM)
    assert exported(text) == document
    assert imported(document_text(exported(text))) == text
    assert "retry 1" in text and 'role "You are kind."' in text and "temp 0.5 max 50" in text and "effect" in text


def test_the_official_package_loads_it_and_what_that_writes_is_the_same_program() -> None:
    serialization = pytest.importorskip("pyagentspec.serialization", reason="pip install -e '.[dev]'")
    document = exported(PROGRAM)
    flow = serialization.AgentSpecDeserializer().from_json(document_text(document))
    assert [node.name for node in flow.nodes] == ["start", "first_words", "again", "review", "moods", "_sent", "end"]
    written = serialization.AgentSpecSerializer()
    assert imported(written.to_json(flow)) == imported(written.to_yaml(flow)) == imported(document_text(document))
    as_yaml = document_text(document, as_yaml=True)
    assert serialization.AgentSpecDeserializer().from_yaml(as_yaml) == flow
    assert imported(as_yaml) == imported(document_text(document))


def test_a_document_that_others_wrote_becomes_a_program_that_checks() -> None:
    serialization = pytest.importorskip("pyagentspec.serialization", reason="pip install -e '.[dev]'")
    from pyagentspec.flows.flowbuilder import FlowBuilder
    from pyagentspec.flows.nodes import LlmNode
    from pyagentspec.llms import VllmConfig
    from pyagentspec.property import StringProperty

    llm = VllmConfig(name="Llama 3.1 8B", url="http://127.0.0.1:1", model_id="llama")
    draft = LlmNode(
        name="Draft It", llm_config=llm, prompt_template="Write on {{topic}}.", outputs=[StringProperty(title="draft")]
    )
    judge = LlmNode(name="return", llm_config=llm, prompt_template="Judge {{ draft }}.")
    flow = FlowBuilder.build_linear_flow([draft, judge])
    source = serialization.AgentSpecSerializer().to_json(flow)
    findings = Findings()
    text = import_text(Source("made.json", source), findings)
    if text is None:  # the builder of this version leaves the flow without inputs or outputs
        assert {finding.diagnostic.code for finding in findings.sorted()} == {"MAS971"}
        return
    checked(text)
    assert "on llama_3_1_8b" in text


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=60), st.text(min_size=1, max_size=30))
def test_texts_survive_the_way_there_and_back(constant: str, role: str) -> None:
    program = checked(PROGRAM)
    agents = tuple(
        agent.replace(role=role if "{" not in role else "{ x") if agent.key == "greeter" else agent
        for agent in program.agents
    )
    flow = program.flow("main")
    params = tuple(param.replace(default=constant) if param.name == "name" else param for param in flow.params)
    flows = tuple(one.replace(params=params) if one.key == "main" else one for one in program.flows)
    document = export(program.replace(agents=agents, flows=flows), Findings())
    assert document is not None
    text = document_text(document)
    findings = Findings()
    back = import_text(Source("made.json", text), findings)
    if back is None:  # characters that no program may hold
        assert {finding.diagnostic.code for finding in findings.sorted()} == {"MAS972"}
        assert not (constant + role).isascii() or not (constant + role).isprintable()
    else:
        assert exported(back) == json.loads(text)


CONSTRUCTS = {
    "branches": """
flow main(n: int, name) -> text(40) {
  size: if n > 10 { word = "many" } else if n > 1 { word = greeter("some") } else { return "one" }
  if starts_with(word, "m") { word = upper(word) }
  return word + "!"
}
test "a" { given greeter = "mist" a = main(11, "") b = main(2, "") c = main(0, "") expect a + b + c == "MANY!MIST!one" }
""",
    "match": """
flow main(n: int) -> text(40) {
  kind = mood("x")
  kind_of: match kind { cheerful { word = greeter("y") } formal { word = "exact" } }
  match kind { formal { return word + "!" } else { word = word + "?" } }
  return word
}
test "a" { given mood = Mood.cheerful given mood replies "formal" given greeter = "hey" a = main(1) b = main(2)
  expect a + b == "hey?exact!" }
""",
    "loops": """
flow main(n: int) -> text(40)[9] {
  all_of = []
  draft = "start"
  earlier = draft
  outer: loop 3 {
    inner: loop 2 {
      earlier = draft
      draft = greeter(draft)
      all_of += [draft + earlier]
      until draft == "stop"
    }
    until len(all_of) > 4
  }
  for one in all_of { if one == "bstop" { draft = draft + "-" + one } }
  return all_of + [draft]
}
test "a" { given greeter = "a" given greeter = "b" given greeter = "stop" given greeter = "c" given greeter = "d"
  out = main(1) expect out == ["astart", "ba", "stopb", "cstop", "dc", "d"] }
""",
    "maps and samples": """
flow main(topics: text(10)[4] = ["x", "y", "z"]) -> text(60) {
  drafts = 3 of greeter("t")
  best = each topic in topics where topic != "y": greeter(topic, upper(topic))
  sizes = each draft in best: len(draft)
  return join(best, "+") + text(sum(sizes)) + join(drafts, "")
}
test "a" { given greeter = "a" given greeter = "b" given greeter = "c" given greeter = "d" given greeter = "e"
  out = main() expect out == "d+e2abc" }
""",
    "fallbacks": """
flow main(n: int) -> text(40) {
  a = greeter("1") else "none"
  b = greeter("2") else finder("3") else greeter("4")
  c = finder("5") else b
  d = look("q") else n
  e = sure("x")
  return a + b + c + text(d) + e
}
test "a" { given greeter fails given greeter fails given greeter = "B" given finder = none given look fails
  given sure fails out = main(7) expect out == "noneBB7sure" }
test "b" { given greeter = "A" given finder = "F" given look = 1 given sure = "s" out = main(7) expect out == "AAF1s" }
""",
    "several values": """
flow greeter_of(n: int) -> text(40) {
  return greeter(text(n)) else "nobody"
}
flow halved(n: int) -> (low: int, high: int) {
  if n > 3 { return (low: 3, high: n) }
  return (low: n, high: 3)
}
flow main(n: int) -> (sum: int, words: text(40)) {
  two = halved(n)
  one = greeter_of(n)
  words = shaped(two.low, one)
  return (sum: two.low + two.high, words: words)
}
test "a" { given greeter fails given shaped = "w" out = main(5) expect out.sum == 8 and out.words == "w" }
""",
}
AGENTS = """mas 1

type Mood = cheerful | formal

agent greeter(name, tone: text(10) = "kind") -> text(40)
  "Greet {{ name }} with {{ tone }}."

agent mood(name) -> Mood
  "{% if name %}What is the mood of {{ name }}?{% endif %}"

agent finder(what) -> text(20)?
  "Find it."

agent sure(what) -> text(20) else "sure"
  "{{ what }}"

agent shaped(low: int, name: text(40)) -> text(40) role "You are terse."
  "{% if low > 2 %}{{ low }}: {% endif %}{{ name | upper }}"

tool look(q: text(40), deep: bool = true) -> int from "look"
"""


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_construct_that_came_back_gives_the_same_for_the_same_replies(name: str) -> None:
    program = checked(AGENTS + CONSTRUCTS[name])
    found = agent_spec_runs.both(program)
    assert len(found) == len(program.tests)
    for title, here, there in found:
        assert here == there and here.value != agent_spec_runs.FAILED, title


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_construct_stays_what_it_is_and_the_official_package_loads_it(name: str) -> None:
    document = exported(AGENTS + CONSTRUCTS[name])
    text = imported(document_text(document))
    assert imported(document_text(exported(text))) == text
    serialization = pytest.importorskip("pyagentspec.serialization", reason="pip install -e '.[dev]'")
    flow = serialization.AgentSpecDeserializer().from_json(document_text(document))
    assert imported(serialization.AgentSpecSerializer().to_json(flow)) == text


SYSTEMS = sorted([*ROOT.glob("examples/pool/*.mas"), *ROOT.glob("examples/*/*.mas")])
REFUSED = {"designed_step", "tool_agent", "react", "metaagent_software", "plan_and_solve"}
EXACT = 60
"""At least as many come back as a program that exports to the very same document; the others use the library."""


@pytest.mark.slow
def test_examples_and_pool_come_back_with_the_same_meaning() -> None:
    refused, exact = set(), 0
    for number, path in enumerate(dict.fromkeys(SYSTEMS)):
        program = check_file(str(path), Findings()).program
        assert program is not None
        findings = Findings()
        document = export(program, findings)
        if document is None:
            refused.add(path.stem)
            assert {finding.diagnostic.code for finding in findings.sorted()} == {"MAS970"}
            continue
        if number % 3 == 0:  # all of them take a minute
            for title, here, there in agent_spec_runs.both(program):
                assert here == there, f"{path.stem}: {title}"
        text = imported(document_text(document))
        names = [tool.granted_as for tool in program.tools]
        back = check_source(Source("made.mas", text), DEFAULT._replace(tools=granted(*names)), findings)
        assert back is not None, render_short(findings.sorted())
        again = export(back, findings)
        assert again is not None
        assert imported(document_text(again)) == text, path.stem
        exact += again == document
    assert refused == REFUSED
    assert exact >= EXACT


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("return greeter(name)\n}", ""),
        ("within calls 1 { x = greeter(name) } return x }", "`within`"),
        ("x = maybe else greeter(name) return x }", "this `else`"),
        ("x = using(name) return x }", "the agent `using`"),
    ],
)
def test_what_does_not_translate_is_refused_where_it_stands(change: str, what: str) -> None:
    using = 'agent using(name) -> text(40) tools [look] steps 2\n  "{{ name }}"\n\nflow main'
    text = PROGRAM[: PROGRAM.index("flow inner")]
    text += f'flow main(name = "x", maybe: text(40)? = none) -> text(40) {{ {change}'
    findings = Findings()
    program = checked(text.replace("flow main", using))
    document = export(program, findings)
    if not what:
        assert document is not None
        return
    assert document is None
    assert all(finding.diagnostic.code == "MAS970" for finding in findings.sorted())
    assert any(what in finding.diagnostic.title() for finding in findings.sorted())
    assert all(finding.diagnostic.span.start > 0 for finding in findings.sorted())


def test_a_budget_that_a_run_may_reach_is_refused_and_one_that_holds_is_left_out() -> None:
    for calls, code in ((4, {"MAS970"}), (9, set())):
        text = PROGRAM.replace("mas 1\n", f"mas 1\n\nbudget calls {calls}\n", 1)
        findings = Findings()
        export(checked(text), findings)
        assert {finding.diagnostic.code for finding in findings.sorted()} == code


def without_edge(text: str) -> str:
    document = json.loads(text)
    document["data_flow_connections"] = document["data_flow_connections"][1:]
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda text: text.replace('"LlmNode"', '"AgentNode"'), "MAS971", "AgentNode"),
        (lambda text: text.replace('"ServerTool"', '"RemoteTool"'), "MAS971", "only tools of the host"),
        (lambda text: text.replace('"maxItems"', '"most"'), "MAS971", "maxItems"),
        (lambda text: text.replace("Greet {{", "{% if x %}Greet {{"), "MAS971", "marks of a template"),
        (without_edge, "MAS971", "nothing gives its input"),
        (lambda text: text.replace('"$component_ref": "main.again"', '"$component_ref": "gone"'), "MAS972", "gone"),
        (lambda text: text.replace('"start_node"', '"begin"', 1), "MAS972", "start_node"),
        (lambda text: text[: len(text) // 2], "MAS972", ""),
        (lambda text: "[1, 2]", "MAS972", "Flow"),
        (lambda text: "", "MAS972", "Flow"),
        (lambda text: "{}", "MAS972", "Flow"),
        (lambda text: re.sub(r'"id": "[^"]*"', '"id": 3', text), "MAS972", ""),
    ],
)
def test_what_a_document_says_beyond_that_is_a_located_diagnostic(
    change: Callable[[str], str], code: str, says: str
) -> None:
    text = change(document_text(exported(PROGRAM)))
    findings = Findings()
    assert import_text(Source("made.json", text), findings) is None
    [finding] = findings.sorted()
    assert finding.diagnostic.code == code and says in finding.diagnostic.title() + finding.diagnostic.help()
    assert 0 <= finding.diagnostic.span.start <= finding.diagnostic.span.end <= len(text)
    if code == "MAS971" and change is not without_edge:
        assert finding.diagnostic.span.start > 0


def test_the_commands_write_files_or_say_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.mas").write_text(
        'mas 1\n\nagent a(q) -> text\n  "{{ q }}"\n\nflow main(q) -> text {\n  x = a(q)\n  return x\n}\n'
    )
    for name in ("one.json", "one.yaml"):
        assert main(["export", "--to", "agent-spec", str(tmp_path / "one.mas"), "-o", str(tmp_path / name)]) == 0
        assert main(["import", "--from", "agent-spec", str(tmp_path / name), "-o", str(tmp_path / "two.mas")]) == 0
        assert main(["check", str(tmp_path / "two.mas")]) == 0
    capsys.readouterr()
    assert main(["import", "--from", "agent-spec", str(tmp_path / "one.json")]) == 0
    assert capsys.readouterr().out == (tmp_path / "two.mas").read_text(encoding="utf-8")
    (tmp_path / "no.json").write_text("{")
    assert main(["import", "--from", "agent-spec", str(tmp_path / "no.json")]) == 1
    assert "error[MAS972]" in capsys.readouterr().err
    assert ERROR == "error"
