"""Tracebacks, debuggers and breakpoints speak of the `.mas` file."""

from __future__ import annotations

import ast
import asyncio
import io
import linecache
import pdb
import subprocess
import sys
import traceback
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from masdsl import pipeline
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.emit import PyModule
from masdsl.runtime import StepFailed
from masdsl.runtime.loader import load_file, load_module, places_of
from masdsl.source import Source
from masdsl.verify import VerificationError

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """mas 1
use std.vote: self_consistency as agreed

agent coder(task) -> text "Write it: {{ task }} # mas:99"

## Draws and votes.
flow draw(task) -> text {
  drafts = 3 of coder(task)
  return agreed(drafts[0], coder)
}

flow main(task) -> text {
  refine: loop 2 {
    until task == ""
    draft = draw(task)
    task_ = draft + task
    answer = coder(
      task_
    )
  }
  return task
}
"""


def build(text: str, name: str = "coder.mas") -> PyModule:
    findings = Findings()
    program = pipeline.check_source(Source(name, text), DEFAULT, findings)
    assert program is not None, findings.sorted()
    return pipeline.build(program)


def codes(code: CodeType) -> list[CodeType]:
    """Return a code object and all inside it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [code, *(found for part in inner for found in codes(part))]


def function(module: Any, name: str) -> FunctionType:
    found = getattr(module, name)
    assert isinstance(found, FunctionType)
    return found


def lines_of(code: CodeType) -> set[int]:
    return {line for part in codes(code) for _, _, line in part.co_lines() if line}


def failing(module: Any) -> Exception:
    """Run `main` with an agent that always fails; return the exception with its traceback."""

    def fail(inputs: Any) -> Any:
        raise StepFailed("main", "as told")

    with pytest.raises(Exception) as caught:
        asyncio.run(module.PROGRAM.run("main", {"task": "x"}, stand_ins={"coder": fail}, models={}))
    return caught.value


# ---------------------------------------------------------------- positions


def test_functions_have_the_lines_and_the_name_of_the_program() -> None:
    made = build(PROGRAM)
    module = load_module(made.text, made.sources)
    main = function(module, "main").__code__
    assert main.co_filename == "coder.mas"
    assert lines_of(main) == {12, 13, 14, 15, 16, 17, 21}
    assert main.co_firstlineno == 12
    helper = next(code for code in codes(function(module, "draw").__code__) if code.co_name == "drafts_one")
    assert (helper.co_filename, lines_of(helper)) == ("coder.mas", {8})


def test_functions_of_an_imported_module_are_in_its_file() -> None:
    made = build(PROGRAM)
    agreed = function(load_module(made.text, made.sources), "self_consistency").__code__
    assert agreed.co_filename == str(ROOT / "stdlib" / "vote.mas")
    text = Path(agreed.co_filename).read_text(encoding="utf-8").split("\n")
    assert "flow self_consistency" in text[agreed.co_firstlineno - 1]


def test_every_statement_of_a_flow_has_a_place() -> None:
    made = build(PROGRAM)
    places = places_of(made.text, ast.parse(made.text))
    lines = made.text.split("\n")
    assert {place.module for place in places.values()} == {"mas", "std.vote"}
    for number, place in places.items():
        assert lines[number - 1].endswith(f"  # {place.module}:{place.line}")
    source = PROGRAM.split("\n")
    for number, place in places.items():
        if place.module == "mas" and ".call(" in lines[number - 1]:
            step = lines[number - 1].split('.call("')[1].split('"')[0]
            assert source[place.line - 1].strip().startswith((f"{step} =", f"{step} ")), lines[number - 1]


def test_what_looks_like_a_mark_in_a_text_is_none() -> None:
    made = build(PROGRAM)
    assert "# mas:99" in made.text
    assert all(place.line != 99 for place in places_of(made.text, ast.parse(made.text)).values())


def test_a_mark_in_a_text_of_several_lines_is_none() -> None:
    prompt = '"""\n  one  # mas:77\n  two  # mas:78\n  """'
    made = build(f"mas 1\nagent a(q) -> text {prompt}\nflow main(q) -> text {{\n  x = a(q)\n  return x\n}}\n")
    assert {place.line for place in places_of(made.text, ast.parse(made.text)).values()} == {2, 6, 7, 8}


# ---------------------------------------------------------------- tracebacks


def test_a_traceback_shows_the_program() -> None:
    made = build(PROGRAM)
    error = failing(load_module(made.text, made.sources))
    shown = "".join(traceback.format_exception(error))
    assert '  File "coder.mas", line 15, in main\n    draft = draw(task)\n' in shown
    assert '  File "coder.mas", line 8, in drafts_one\n    drafts = 3 of coder(task)\n' in shown
    assert "_mas.py" not in shown and "await run.call" not in shown
    assert "^" not in shown.split("coder.mas", 1)[1].split("in main")[1].split("\n")[2]


def test_a_program_without_a_file_is_shown_too() -> None:
    made = build(PROGRAM, "<input>")
    shown = "".join(traceback.format_exception(failing(load_module(made.text, made.sources))))
    assert '  File "<input>", line 15, in main\n    draft = draw(task)\n' in shown


def test_without_sources_the_lines_are_still_right() -> None:
    made = build(PROGRAM)
    linecache.cache.pop("<mas>", None)
    shown = "".join(traceback.format_exception(failing(load_module(made.text))))
    assert '  File "<mas>", line 15, in main\n' in shown


def test_a_file_that_python_imports_shows_python_with_marks(tmp_path: Path) -> None:
    (tmp_path / "coder_mas.py").write_text(build(PROGRAM).text, encoding="utf-8")
    script = (
        "import asyncio, coder_mas\n"
        "from masdsl.runtime import StepFailed\n"
        "def fail(inputs): raise StepFailed('main', 'as told')\n"
        "asyncio.run(coder_mas.PROGRAM.run('main', {'task': 'x'}, stand_ins={'coder': fail}, models={}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'draft = await refine.call("draft", draw, task=task)  # mas:15' in done.stderr


def test_a_debugger_stops_at_a_line_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "coder.mas"
    path.write_text(PROGRAM, encoding="utf-8")
    made = build(PROGRAM, str(path))
    module = load_module(made.text, made.sources)
    output = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("continue\np task\nlist\nq\n"), stdout=output, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    assert not debugger.set_break(str(path), 15)

    def answer(inputs: Any) -> Any:
        return "y"

    def run() -> Any:
        return asyncio.run(module.PROGRAM.run("main", {"task": "x"}, stand_ins={"coder": answer}, models={}))

    try:
        debugger.runcall(run)
    except BaseException as error:  # `q` ends it
        assert type(error).__name__ == "BdbQuit"
    finally:
        sys.settrace(None)
    shown = output.getvalue()
    assert f"{path}(15)main()" in shown
    assert "'x'" in shown
    assert (
        "B->\tdraft = draw(task)" in shown.replace("    ", "\t").replace("\t\t", "\t") or "draft = draw(task)" in shown
    )


# ---------------------------------------------------------------- loading


def test_a_loaded_module_has_its_program_and_its_flows() -> None:
    made = build(PROGRAM)
    module = load_module(made.text, made.sources, "coder_mas")
    assert module.__name__ == "coder_mas"
    assert list(module.PROGRAM.flows) == ["self_consistency", "draw", "main"]
    assert module.__doc__ is not None and module.__doc__.startswith("Flow `main`")
    assert "coder_mas" not in sys.modules


def test_the_end_of_a_module_does_not_run_it() -> None:
    made = build(PROGRAM)
    load_module(made.text, made.sources, "__main__x")


def test_loaded_code_sees_few_of_pythons_functions() -> None:
    made = build(PROGRAM)
    builtins = load_module(made.text).__dict__["__builtins__"]
    assert not {"open", "eval", "exec", "compile", "getattr", "print", "input"} & set(builtins)
    with pytest.raises(ImportError, match="generated code does not import os"):
        builtins["__import__"]("os")


def test_a_file_is_loaded_with_the_source_beside_it(tmp_path: Path) -> None:
    (tmp_path / "coder.mas").write_text(PROGRAM, encoding="utf-8")
    target = tmp_path / "coder_mas.py"
    target.write_text(build(PROGRAM).text, encoding="utf-8")
    module = load_file(target)
    assert module.__name__ == "coder_mas"
    assert function(module, "main").__code__.co_filename == str(tmp_path / "coder.mas")
    assert function(module, "self_consistency").__code__.co_filename == str(ROOT / "stdlib" / "vote.mas")
    shown = "".join(traceback.format_exception(failing(module)))
    assert f'  File "{tmp_path / "coder.mas"}", line 15, in main\n    draft = draw(task)\n' in shown


def test_a_file_without_its_source_is_loaded_too(tmp_path: Path) -> None:
    target = tmp_path / "coder_mas.py"
    target.write_bytes(build(PROGRAM).text.replace("\n", "\r\n").encode())
    assert function(load_file(target), "main").__code__.co_filename == "<mas>"


HOSTILE = {
    "not UTF-8": b'"""\xff"""\n',
    "not Python": b"async def",
    "not generated": b"import os\nos.system('true')\n",
    "marks that lead elsewhere": b'"""x"""\n\nfrom os import path  # std.no_such:3\n',
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_of_somebody_else_is_refused(name: str, tmp_path: Path) -> None:
    target = tmp_path / "x_mas.py"
    target.write_bytes(HOSTILE[name])
    if name == "nothing":
        assert not hasattr(load_file(target), "PROGRAM")
        return
    with pytest.raises(VerificationError):
        load_file(target)


def test_declarations_that_make_no_sense_are_refused() -> None:
    made = build(PROGRAM)
    text = made.text.replace('inputs={"task": ', 'inputs={"other": 3 if')
    with pytest.raises(VerificationError):
        load_module(text)
    text = made.text.replace("retries=0,", 'optional={"nothing": 3},\n    retries=0,')
    with pytest.raises(VerificationError, match="nothing"):
        load_module(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="x_mas"):
        load_file(tmp_path / "x_mas.py")
