"""Programs as LangGraph's: the same value for the same replies, as text that stands alone; the rest is refused."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.check.program import Program
from masdsl.cli import main
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Finding, Findings
from masdsl.diagnostics.render import render_short
from masdsl.interop.langgraph import export
from masdsl.interop.subset import check_langgraph
from masdsl.pipeline import check_file, check_source
from masdsl.source import Source
from tests.harness.programs import granted

pytest.importorskip("langgraph", reason="LangGraph is not installed: pip install -e '.[dev]'")
runs = pytest.importorskip("tests.harness.langgraph_runs")

ROOT = Path(__file__).resolve().parent.parent
CONFIG = DEFAULT._replace(tools=granted("look", "send"))
AGENTS = """mas 1

type Kind = math | needs_work | class
type Review { ok: bool, kind: Kind, notes: text(60)[3], class: text? }

agent writer(topic) -> text else "nothing"
  "Write about {{ topic }}."

agent solver(problem) -> int on smart temp 0.5
  "Solve {{ problem }}"

agent patient = solver retry 1

agent critic(draft) -> Review
  "Say what is wrong."

agent sorter(text_of: text) -> Kind
  "Sort it."

agent finder(what) -> text?
  "Find {{ what }}."

tool look(q: text) -> int from "look"
tool send(body: text) -> bool from "send" effect
"""

CONSTRUCTS = {
    "steps": """
flow main(topic = "tea") -> (body: text, size: int) {
  body = writer(topic)
  return (body: body, size: len(body) + 1)
}
test "a" { given writer = "Tea." out = main() expect out.size == 5 }
""",
    "side by side": """
flow main(q) -> int {
  a = solver(q)
  c = look(q)
  b = solver(q + "!") else 7
  return a * 100 + c * 10 + b
}
test "a" { given solver = 1 given solver = 3 given look = 2 out = main("x") expect out == 123 }
test "b" { given solver = 1 given solver fails given look = 2 out = main("x") expect out == 127 }
""",
    "branches": """
flow main(n: int) -> text {
  if n > 10 {
    word = "many"
  } else if n > 1 {
    word = writer("some")
  } else {
    return "one"
  }
  if starts_with(word, "m") {
    word = upper(word)
  }
  return word + "!"
}
test "a" {
  given
  writer = "mist"
  out = main(11)
  other = main(2)
  third = main(0)
  expect out == "MANY!"
  expect other == "MIST!"
  expect third == "one" }
""",
    "match": """
flow main(t) -> text {
  kind = sorter(t)
  match kind {
    math | class { word = "exact" }
    else { word = writer(text(kind)) }
  }
  match kind {
    math { return word }
    class { return word + "c" }
    needs_work { return word + "n" }
  }
}
test "a" {
  given
  sorter = Kind.math
  given sorter replies "Needs work."
  given
  sorter = Kind.class
  given
  writer = "free"
  a = main("")
  b = main("")
  c = main("")
  expect a + b + c == "exactfreenexactc" }
""",
    "loops": """
flow main(topic) -> text[6] {
  all_of = []
  draft = topic
  outer: loop 3 {
    inner: loop 2 {
      draft = writer(draft)
      all_of += [draft]
      until draft == "stop"
    }
    until len(all_of) > 4
  }
  return all_of
}
test "a" {
  given
  writer = "a"
  given
  writer = "stop"
  given
  writer = "b"
  given
  writer = "c"
  given
  writer = "d"
  out = main("x")
  expect len(out) == 5 }
""",
    "for": """
flow main(words: text[5]) -> text {
  found = ""
  for word in words {
    for part in split(word, "-") {
      n = solver(part)
      until n < 0
      found = found + text(n)
    }
    until found == "12"
  }
  return found
}
test "a" {
  given
  solver = 1
  given
  solver = -1
  given
  solver = 2
  given
  solver = 3
  out = main(["a-b", "c-d", "e"])
  expect out == "123" }
test "b" { out = main([]) expect out == "" }
""",
    "maps and samples": """
flow main(topics: text[4], n: int) -> (a: int[3], b: Review[4], c: text[4], d: int[4]) {
  a = 3 of solver("x")
  b = each topic in topics where topic != "": critic(topic)
  c = each r in b where r.ok: finder(join(r.notes, ",")) else "none"
  d = each topic in topics: len(topic) + n
  return (a: a, b: b, c: c, d: d)
}
test "a" {
  given solver = 1
  given solver = 2
  given critic = Review(ok: true, kind: Kind.math, notes: ["a"])
  given critic = Review(ok: false, kind: Kind.class, notes: [], class: "c")
  given critic = Review(ok: true, kind: Kind.math, notes: ["b", "c"])
  given finder = none
  given finder = "found"
  out = main(["p", "", "qq", "r"], 1)
  expect out.a == [1, 2, 2] and out.c == ["none", "found"] and out.d == [2, 1, 3, 2]
}
test "nothing to map" { given solver = 1 out = main([], 0) expect len(out.b) == 0 }
""",
    "maps in a loop": """
flow main() -> int {
  total = 0
  loop 3 {
    parts = 2 of solver("x")
    total = total + sum(parts)
  }
  return total
}
test "a" {
  given
  solver = 1
  given
  solver = 2
  given
  solver = 3
  given
  solver = 4
  given
  solver = 5
  given
  solver = 6
  out = main()
  expect out == 21 }
""",
    "flows": """
flow helper(topic, n: int = 2) -> int else -1 {
  draft = solver(topic)
  return draft * n
}
flow best[n = 2](solve: agent(text) -> int, task) -> int {
  drafts = n of solve(task)
  return max(drafts) else 0
}
flow main(q) -> int[3] {
  a = helper(q)
  b = best(helper, q, n: 3)
  c = best(solver, q)
  return [a, b, c]
}
test "a" {
  given
  solver = 1
  given solver fails
  given
  solver = 5
  given
  solver = 6
  given
  solver = 7
  out = main("x")
  expect out[0] == 2 }
""",
    "fallbacks and failures": """
flow main(q) -> int {
  a = first([0, 1]) else solver(q)
  b = solver(q) else look(q) else a
  c = finder(q)
  d = c else "dd"
  return b + len(d)
}
test "a" { given solver fails given look fails given finder = none out = main("") expect out == 2 }
test "b" {
  given solver replies "what?"
  given
  solver = 4
  given
  finder = "abc"
  out = main("")
  expect out == 7 and calls == 3 }
test "c" { given solver = 4 given finder fails out = main("") expect out == 1 }
""",
    "effects in order": """
flow main(words: text[3]) -> bool[3] {
  done = each word in words: send(word)
  again = send("last")
  other = send("very last")
  return done + [again and other]
}
test "a" {
  given
  send = true
  given
  send = false
  given
  send = true
  out = main(["a", "b"])
  expect out == [true, false, true] }
""",
    "values": """
flow main(a: int, b: int, xs: text[4]) -> float[9]+ {
  half = a / b
  both = a - (b - 1) - 1
  last_one = xs[-1] else "zz"
  said = number("it is 1,234.5") else 0.0
  return [half, both, -a, len(last_one), abs(-3), mod(a, b), floor(2.5), count(xs, "a"), said]
}
test "a" { out = main(7, 2, ["a", "b", "a"]) expect out[0] == 3.5 }
test "b" { out = main(7, 0, []) expect out[0] == 0.0 }
""",
    "names of Python": """
flow main(class, state: text, runtime: text, from: text, __x: text, ask: text, result: text) -> text {
  def = class + state
  lambda = writer(def)
  import = each call in [def, lambda]: call + runtime
  return join(import, from) + __x + ask + result
}
test "a" { given writer = "w" out = main("a", "b", "c", "d", "e", "f", "g") expect out == "abcdwcefg" }
""",
    "externs": """
use std.vote: vote, agreement, weighted
use std.text: final_answer, similarity, chosen
flow main(q) -> (v: int, w: text, x: float, y: int?) {
  drafts = 3 of solver(q)
  w = final_answer("So: the answer is **7**.")
  x = agreement(drafts) + similarity("a b", "b c")
  return (v: vote(drafts), w: w, x: x, y: chosen("B", ["Yes", "No"]))
}
test "a" { given solver = 1 given solver = 2 given solver = 2 out = main("") expect out.v == 2 }
""",
}
SYSTEMS = sorted((ROOT / "examples").glob("*/*.mas"))
REFUSED = {"designed_step", "documents", "tool_agent", "metaagent_software", "react"}
"""Programs of examples/ with agents that use tools themselves, or a step that a model designs."""


def checked(text: str) -> Program:
    findings = Findings()
    program = check_source(Source("made.mas", text), CONFIG, findings)
    assert program is not None, render_short(findings.sorted())
    return program


def construct(name: str) -> Program:
    uses, _, rest = CONSTRUCTS[name].lstrip("\n").partition("flow ")
    return checked(AGENTS.replace("mas 1\n", f"mas 1\n{uses}") + f"flow {rest}")


def refused(program: Program) -> tuple[Finding, ...]:
    findings = Findings()
    assert check_langgraph(program, findings) == (findings.count == 0)
    return findings.sorted()


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_a_construct_gives_the_same_for_the_same_replies(name: str, tmp_path: Path) -> None:
    program = construct(name)
    assert not refused(program)
    for title, here, there in runs.both(program, tmp_path):
        assert there == here and here.value is not None, title


@pytest.mark.slow
@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_examples_and_pool_give_the_same_for_the_same_replies(path: Path, tmp_path: Path) -> None:
    program = check_file(str(path), Findings()).program
    assert program is not None
    if path.stem in REFUSED:
        assert {finding.diagnostic.code for finding in refused(program)} == {"MAS970"}
        return
    assert not refused(program)
    for title, here, there in runs.both(program, tmp_path):
        assert there == here and here.value != runs.FAILED, title


def test_all_but_two_of_the_pool_translate() -> None:
    pool = {path.stem for path in SYSTEMS if path.parent.name == "pool"}
    assert len(pool) == 82 and len(pool & REFUSED) == 2


# ---------------------------------------------------------------- the text


def test_the_text_is_clean_deterministic_and_needs_nothing_of_masdsl(tmp_path: Path) -> None:
    for number, name in enumerate(CONSTRUCTS):
        program = construct(name)
        text = export(program, version="1", headline="Worst case: 1 call.")
        assert text == export(construct(name), version="1", headline="Worst case: 1 call.")
        imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        named = {alias.name for node in imports for alias in node.names}
        modules = {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)} | named
        assert not any(module.startswith("masdsl") for module in modules)
        (tmp_path / f"exported_{number}.py").write_text(text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--line-length", "120", "--target-version", "py311", str(tmp_path)]
    for command in ([*ruff, "format", "--check", *rules], [*ruff, "check", "--select", "E4,E7,E9,F,I,UP,W", *rules]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_head_says_how_to_run_it_and_what_is_lost() -> None:
    head = ast.get_docstring(ast.parse(export(construct("steps"), headline="Worst case: 1 call."))) or ""
    assert 'await call(MAIN, Host(models={"default": ..., "smart": ...}' in head
    assert "Worst case: 1 call." in head and all(word in head for word in ("proves", "journal", "patches", "trust"))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_of_a_program_gets_out_of_its_literal(prompt: str, role: str) -> None:
    program = construct("steps")
    hostile = tuple(
        agent.replace(prompt=prompt, role=role, doc=prompt, default=role if agent.has_default else agent.default)
        for agent in program.agents
    )
    flows = tuple(flow.replace(doc=role) for flow in program.flows)
    tree = ast.parse(export(program.replace(agents=hostile, flows=flows)))
    plain_tree = ast.parse(export(program))
    assert [type(node) for node in tree.body] == [type(node) for node in plain_tree.body]
    calls = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    agents = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Agent"]
    assert agents
    for agent in agents:
        said = {word.arg: word.value for word in agent.keywords}
        assert ast.literal_eval(said["prompt"]) == prompt and ast.literal_eval(said["role"]) == role


# ---------------------------------------------------------------- as it runs


def test_prompts_and_settings_are_those_of_the_program(tmp_path: Path) -> None:
    program = checked(AGENTS + "flow main(d) -> int { r = critic(d) n = solver(d) return n }")
    module = runs.imported(export(program), "exported_prompts", tmp_path)
    heard: list[list[Any]] = []

    def said(messages: list[Any]) -> str:
        heard.append(messages)
        return (
            "12" if "Solve" in messages[0].text else 'So: {"ok": "yes", "kind": "Needs-Work", "notes": [], "class": 3}'
        )

    model = runs.Scripted(answer=said)
    assert (
        asyncio.run(module.call(module.MAIN, module.Host({"default": model, "smart": model}), {"d": "{{ x }}"})) == 12
    )
    review, solve = sorted((messages[0].text for messages in heard), reverse=False)
    assert review.startswith("Say what is wrong.\n\ndraft:\n{{ x }}\n\nReply with only JSON of this form")
    assert solve == "Solve {{ x }}\n\nReply with only a whole number, and nothing else."
    assert {"max_tokens": 72, "temperature": 0.5} in model.asked


def test_a_reply_that_does_not_fit_is_shown_and_asked_for_again(tmp_path: Path) -> None:
    program = checked(AGENTS + "flow main(d) -> int { n = patient(d) return n }")
    module = runs.imported(export(program), "exported_retry", tmp_path)
    heard: list[Any] = []

    def said(messages: list[Any]) -> str:
        heard.extend(messages)
        return "seven and a half"

    host = module.Host({"smart": runs.Scripted(answer=said)})
    with pytest.raises(module.StepFailed, match="patient"):
        asyncio.run(module.call(module.MAIN, host, {"d": "x"}))
    assert [type(message).__name__ for message in heard] == ["HumanMessage"] * 2 + ["AIMessage", "HumanMessage"]
    assert heard[-1].text.startswith("That reply cannot be used: ")


def test_what_may_run_together_does(tmp_path: Path) -> None:
    program = checked(
        AGENTS + "flow main(d) -> int { a = solver(d) b = solver(d) c = 3 of solver(d) return a + b + sum(c) }"
    )
    module = runs.imported(export(program), "exported_together", tmp_path)
    under_way = most = 0

    class Slow(runs.Scripted):  # type: ignore[name-defined]
        async def _agenerate(self, *arguments: Any, **named: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return self._generate(*arguments, **named)

    host = module.Host({"smart": Slow(answer=lambda messages: "1")})
    assert asyncio.run(module.call(module.MAIN, host, {"d": "x"})) == 5
    assert most == 3


def test_a_model_or_a_function_that_is_missing_is_named(tmp_path: Path) -> None:
    program = checked(AGENTS + "flow main(d) -> int { n = solver(d) else 1 m = look(d) else n return m }")
    module = runs.imported(export(program), "exported_missing", tmp_path)
    with pytest.raises(LookupError, match=r"agent solver has no model: pass one as Host\(models=\{'smart'"):
        asyncio.run(module.call(module.MAIN, module.Host({}), {"d": ""}))
    with pytest.raises(LookupError, match=r"tool look has no function"):
        host = module.Host({"smart": runs.Scripted(answer=lambda messages: "1")})
        asyncio.run(module.call(module.MAIN, host, {"d": ""}))


# ---------------------------------------------------------------- what does not translate


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('agent a(q) -> int tools [look]\n  "{{ q }}"\nflow main(q) -> int { return a(q) }', "the agent `a`"),
        ("flow main(q) -> int { x = 0 within calls 2 { x = solver(q) else 1 } return x }", "`within`"),
        ("budget calls 1\nflow main(q) -> int { x = patient(q) return x }", "the budget of flow `main`"),
        ("flow f(q) -> int budget calls 1 { return patient(q) }\nflow main(q) -> int { return f(q) }", "of flow `f`"),
        ("", "a program without a flow"),
    ],
)
def test_what_does_not_translate_is_refused_where_it_stands(text: str, what: str) -> None:
    findings = Findings()
    program = check_source(Source("made.mas", AGENTS + text), CONFIG, findings)
    assert program is not None, render_short(findings.sorted())
    found = refused(program)
    assert {finding.diagnostic.code for finding in found} == {"MAS970"}
    assert any(what in finding.diagnostic.title() for finding in found)


def test_the_command_writes_a_file_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "hello_graph.py"
    hello = ROOT / "examples" / "hello" / "hello.mas"
    assert main(["export", "--to", "langgraph", str(hello), "-o", str(target)]) == 0
    assert "StateGraph" in target.read_text(encoding="utf-8") and "wrote" in capsys.readouterr().out
    assert main(["export", "--to", "langgraph", str(hello)]) == 0
    assert capsys.readouterr().out == target.read_text(encoding="utf-8")
    assert main(["export", "--to", "langgraph", str(ROOT / "examples" / "tool_agent" / "tool_agent.mas")]) == 1
    assert "error[MAS970]: the agent `clerk` does not translate" in capsys.readouterr().err
