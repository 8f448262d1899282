"""The tool `sandbox`: what a program did, in the fields that a declaration asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import masdsl
from masdsl import sandbox
from masdsl.config import DEFAULT, Grant
from masdsl.journal import MemoryJournal
from masdsl.sizes import text_tokens
from masdsl.tools import code
from masdsl.tools.base import Declared, ToolFault, ToolUnusable
from masdsl.tools.code import code_runner
from masdsl.types import Bool, Float, Int, List, Optional, Record, Text, Type

needs_sandbox = pytest.mark.skipif(sandbox.tier() is None, reason="no tier of the sandbox works on this machine")
RESULT = Record(
    None,
    "",
    (
        ("passed", Bool()),
        ("log", Text(90)),
        ("output", Text(90)),
        ("value", Text(90)),
        ("error", Optional(Text(60))),
    ),
)


def run(returns: Type = RESULT, timeout: float = 30.0, **inputs: Any) -> Any:
    declared = Declared("run", "sandbox.python", {}, frozenset(), returns, False, timeout)
    answered = asyncio.run(code_runner().function(declared)(**inputs))
    assert answered.by in sandbox.TIERS, "whoever keeps a journal learns where it ran"
    return answered.result


@needs_sandbox
def test_what_a_program_did_is_told_in_the_fields_that_are_declared() -> None:
    done = run(code="print('hi')")
    assert done == {"passed": True, "log": done["log"], "output": "hi\n", "value": "", "error": None}
    assert "hi" in done["log"]
    failed = run(code="print('before')\n1 / 0")
    assert (failed["passed"], failed["output"]) == (False, "before\n")
    assert "ZeroDivisionError" in failed["error"] and "ZeroDivisionError" in failed["log"]
    assert "hi" in run(Text(90), code="print('hi')")
    assert run(Record(None, "", (("passed", Bool()),)), code="1") == {"passed": True}


@needs_sandbox
@pytest.mark.parametrize("returns", [RESULT, Text(90), Record(None, "", (("log", Optional(Text(90))),))])
def test_a_log_that_is_too_long_keeps_the_reason_of_the_failure(returns: Type) -> None:
    done = run(returns, code="print('word ' * 1000)\nraise ValueError('the reason')")
    log = done if isinstance(done, str) else done["log"]
    assert log.startswith("word word") and log.endswith("(line 2: `raise ValueError('the reason')`)")
    assert 80 <= text_tokens(log) <= 90
    assert run(code="print('word ' * 1000)")["log"].startswith("word word")
    long = run(code=f"print('word')\nraise ValueError({'reason ' * 1000!r})")["log"]
    assert long.strip().startswith("[...]\nValueError: reason reason")


@needs_sandbox
def test_a_function_of_the_program_gives_a_value_of_the_declared_type() -> None:
    program = "def double(x):\n    return x * 2\n\ndef nothing():\n    return None\n"

    def value(kind: Type, entry: str = "double", arguments: str = "[4]") -> Any:
        returns = Record(None, "", (("value", kind), ("passed", Bool())))
        return run(returns, code=program, entry=entry, arguments=arguments)["value"]

    assert value(Int()) == value(Float()) == 8
    assert value(Text(9)) == "8"
    assert value(Text(9), arguments='["a"]') == "aa"
    assert value(Text(9), arguments="[[1]]") == "[1, 1]"
    assert value(List(Int(), 0, 5), arguments="[[1]]") == [1, 1]
    assert value(Optional(Int()), entry="nothing", arguments="") is None
    assert value(Optional(Int()), entry="missing") is None
    with pytest.raises(ToolFault, match="missing"):
        value(Int(), entry="missing")
    for arguments in ("{}", "nonsense"):
        with pytest.raises(ToolFault, match="write (a list|one), as in"):
            value(Int(), arguments=arguments)


@needs_sandbox
def test_tests_run_after_the_program_and_input_is_read() -> None:
    program = "def add(a, b):\n    return a + b\n"
    assert run(code=program, tests="assert add(1, 2) == 3")["passed"] is True
    failed = run(code=program, tests="assert add(1, 2) == 4")
    assert failed["passed"] is False
    assert "add(1, 2) == 4" in failed["log"]
    assert run(code="print(input())", input="line")["output"] == "line\n"


@needs_sandbox
def test_a_program_is_stopped_before_the_time_of_the_tool() -> None:
    done = run(code="while True: pass", timeout=1.5)
    assert done["passed"] is False
    assert done["error"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("```python\nprint(6)\n```", "6"),
        ("Here it is:\n\n```py\nprint(6)\n```\nIt prints 6.", "6"),
        ("```\nprint(6)\n```", "6"),
        ("~~~~ Python3 title=a\nprint(6)\n~~~~\n", "6"),
        ("```python\nprint(6)", "6"),  # cut short, or nobody closed it
        ("- so:\n  ```python\nprint(6)\n  ```", "6"),
        ("```bash\npip install everything-that-is-needed\n```\n```python\nprint(6)\n```", "6"),
        ("```python\nprint(6)\n```\nOutput of the program:\n```\nsix, which is a number\n```", "6"),
        ("```python\n1\n```\nor rather\n```python\nprint(3 + 3)\n```", "6"),
        ('print("""\n```python\n5\n```\n""".strip()[10])', "5"),  # it is Python as it stands
        ("print('''\n```\n4\n```\n'''.strip()[4])", "4"),
        ("print(len('```'))", "3"),
        ("# ``` is a fence\nprint(2)", "2"),
    ],
)
@needs_sandbox
def test_a_program_between_fences_is_unpacked(written: str, meant: str) -> None:
    done = run(code=written)
    assert (done["error"], done["output"]) == (None, meant + "\n")


@needs_sandbox
def test_tests_between_fences_are_unpacked_and_other_languages_are_not_run() -> None:
    assert run(code="```python\nx = 1\n```", tests="```python\nassert x == 1\n```")["passed"] is True
    assert run(code="x = 1", tests="```python\nassert x == 2\n```")["passed"] is False
    assert "SyntaxError" in run(code="```bash\nprint(1)\n```")["error"]


def test_limits_leave_time_to_tell_what_happened() -> None:
    assert code._limits(60.0).seconds == 10.0
    assert code._limits(5.0).seconds == 4.0
    assert code._limits(1.0).seconds == 0.5


def test_where_no_tier_works_the_run_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "tier", lambda: None)
    monkeypatch.setattr(code, "ladder", lambda: (sandbox.Rung("lockdown", False, "no Landlock", (), 0.0),))
    with pytest.raises(ToolUnusable, match=r"no sandbox works on this machine \(lockdown: no Landlock\)"):
        code_runner().check()


def test_a_run_keeps_which_tier_ran_a_program(tmp_path: Path) -> None:
    path = tmp_path / "p.mas"
    path.write_text(
        'mas 1\ntool run(code) -> (passed: bool, output: text(20)) from "sandbox.python" timeout 20\n'
        "flow main(code) -> text {\n  done = run(code)\n  return done.output\n}\n"
    )
    program = masdsl.load(path, config=DEFAULT._replace(tools={"sandbox.python": Grant("sandbox")}))
    journal = MemoryJournal()
    result = asyncio.run(program.main.run("print(6 * 7)", journal=journal))
    assert result.value == "42\n"
    (run,) = journal.list()
    _, rows = journal.read(run.id)
    used = [row.body["by"] for row in rows if row.path == "main.done" and "by" in row.body]
    told = [event.model for event in result.events if event.kind == "called"]
    assert used == told and len(used) == 1 and used[0] in sandbox.TIERS
