"""The hand-written example of generated code runs, concurrently where it says so, and type checkers accept it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from masdsl.runtime import RunFailed
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from tests import runtime_example as example
from tests.harness.virtual_time import run

SOURCE = """
mas 1
type Kind = math | code | other
type Review { ok: bool, issues: text(60)[8] }
budget calls 50 tokens 200k seconds 600
tool run_tests(code: text(1500)) -> (passed: bool, log: text(300)) from "sandbox.python" timeout 30
## Search the web.
tool search(query: text(50), limit: int = 3) -> text(200)[5] from "web.search"
agent sorter(task) -> Kind else Kind.other on fast retry 1 "What kind of task is this?"
agent coder(task, notes: text(60)[8]? = none) -> text(1500) on smart role "You are a careful programmer." temp 0.2
  max 1500 retry 1 timeout 60 "Write the Python function described by the task: {{ task }}"
agent reviewer(task, code: text(1500)) -> Review else Review(ok: true, issues: []) on "openai/gpt-4o-mini"
  "List concrete defects only."
agent researcher(question) -> text(400) tools [search] steps 3 retry 1 "Answer the question. Search when in doubt."
agent grader(answer) -> float? "Grade the answer from 0 to 10, or say none when it cannot be graded."
"""

TOOLS: dict[str, Callable[..., Any]] = {
    "sandbox.python": lambda code: {"passed": "fixed" in code, "log": ""},
    "web.search": lambda query, limit: ["a fact"],
}


def script(**changes: Any) -> ScriptedModel:
    replies: dict[str, Any] = {
        "sorter": "Code.",
        "coder": ["def f(): 1", "def f(): 2", "def f(): 2", "def f(): fixed"],
        "reviewer": '```json\n{"ok": false, "issues": ["returns nothing"]}\n```',
        "researcher": ['{"tool": "search", "arguments": {"query": "f"}}', {"answer": "f is short"}],
        "grader": "8",
    }
    return ScriptedModel(replies | changes)


def test_the_example_runs() -> None:
    model = script()
    result = run(example.PROGRAM.run(inputs={"task": "write f"}, models=model, tools=TOOLS))
    assert result.value == "def f(): fixed"
    assert result.ran("main.match.code.answer.drafts") == 3
    assert result.ran("main.match.code.answer.refine.t") == 2
    assert result.ran("main.match.code.answer.refine.slice.code") == 1
    assert result.ran("main.facts.search") == 1
    assert result.ran("main.if.answer") == 0
    # 2 researcher + 1 sorter + 3 drafts + 1 reviewer + 1 coder + 1 grader; tools count as none
    assert result.calls == 9
    asked = [request.step for request in model.requests]
    assert "main.match.code.answer.refine.slice.code[0]" in asked
    assert {"main.match.code.answer.drafts[0]", "main.match.code.answer.drafts[2]"} <= set(asked)


def test_independent_steps_run_side_by_side() -> None:
    model = script(
        sorter=Says("code", after=5.0),
        researcher=[Says({"answer": "f is short"}, after=3.0)],
    )
    result = run(example.PROGRAM.run(inputs={"task": "write f"}, models=model, tools=TOOLS))
    order = [(event.kind, event.path) for event in result.events if event.path in ("main.facts", "main.kind")]
    assert order.index(("started", "main.kind")) < order.index(("finished", "main.facts"))
    assert order.index(("finished", "main.facts")) < order.index(("finished", "main.kind"))
    assert result.seconds == 5.0  # not 8


def test_a_fallback_takes_the_place_of_what_failed() -> None:
    model = script(
        sorter="math",
        researcher=Fails("auth", "no key"),
        **{"main.match.math.answer": Fails("auth", "no key")},
        coder=["def f(): fixed"],
    )
    result = run(example.PROGRAM.run(inputs={"task": "add"}, models=model, tools=TOOLS))
    assert result.value == "def f(): fixed"
    assert result.ran("main.match.math.answer.else.drafts") == 3
    failed = [event.detail for event in result.events if event.kind == "failed"]
    assert failed == ["auth: no key", "auth: no key"]


def test_a_failure_without_fallback_ends_the_run_and_keeps_what_was_done() -> None:
    model = script(coder=["def f(): 1", "def f(): 2", Fails("auth", "no key")])
    with pytest.raises(RunFailed, match=r"main\.match\.code\.answer\.drafts\[2\]: auth: no key") as caught:
        run(example.PROGRAM.run(inputs={"task": "write f"}, models=model, tools=TOOLS))
    assert caught.value.step == "main.match.code.answer.drafts[2]"
    assert caught.value.result.value is None
    assert caught.value.result.calls == 6  # sorter, researcher twice, three drafts: all of them count


def test_type_checkers_accept_the_example(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "tests/runtime_example.py"],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert done.returncode == 0, done.stdout
