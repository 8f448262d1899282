"""The Python interface: `masdsl.check`, `format`, `build`, `load`, `run`."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest

import masdsl
from masdsl.runtime import BudgetExceeded, InputError, RunFailed
from masdsl.runtime.models.scripted import Fails, ScriptedModel

PROGRAM = """mas 1

type Kind = math | code
type Review { ok: bool, issues: text(60)[8] }

budget calls 3

tool plus_of(a: int, b: int) -> int from "math.add"

agent sorter(task) -> Kind on fast
  "Sort the task."

agent reviewer(draft) -> Review on smart
  "Review the draft."

## Review a draft.
flow main(draft, rounds: int = 2) -> Review {
  review = reviewer(draft)
  return review
}

flow kind_of(task) -> Kind {
  kind = sorter(task)
  return kind
}

flow sum_of(a: int, b: int) -> int {
  s = plus_of(a, b)
  return s
}

flow busy(task) -> int {
  kinds = 4 of sorter(task)
  return len(kinds)
}
"""

SCRIPT = {"sorter": "math", "reviewer": {"ok": False, "issues": ["too long"]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mas.toml").write_text('[tools]\n"math.add" = "host_tools_of_this_test:add"\n')
    (tmp_path / "host_tools_of_this_test.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "program.mas").write_text(PROGRAM)
    return tmp_path / "program.mas"


def test_check_returns_findings(path: Path) -> None:
    codes = [finding.diagnostic.code for finding in masdsl.check(path)]
    assert codes and all(code.startswith("MAS7") or code == "MAS402" for code in codes)
    [finding] = masdsl.check(masdsl.Source("<input>", "mas 1\nflow main(x) -> text { return y }\n"))
    assert finding.diagnostic.code == "MAS101"
    assert "MAS004" in {finding.diagnostic.code for finding in masdsl.check(str(path) + "x")}


def test_check_is_a_function_although_a_folder_has_its_name() -> None:
    import masdsl.types

    assert inspect.isfunction(masdsl.check)
    from masdsl import check

    assert inspect.isfunction(check)


def test_format_returns_the_canonical_text() -> None:
    assert masdsl.format(PROGRAM.replace("\n\n", "\n\n\n").replace(" -> ", "->")) == PROGRAM
    with pytest.raises(masdsl.ProgramError, match="MAS0"):
        masdsl.format("mas 1 flow")
    with pytest.raises(masdsl.ProgramError, match="MAS0"):
        masdsl.format("mas 1 # \udcff")


def test_build_returns_python(path: Path) -> None:
    text = masdsl.build(path)
    assert "class Review(Record):  # mas:4" in text
    compile(text, "x", "exec")
    with pytest.raises(masdsl.ProgramError) as raised:
        masdsl.build(masdsl.Source("<input>", "mas 1\nflow main(x) -> text { return y }\n"))
    assert "error[MAS101]: `y` is not defined\n  --> <input>:2:" in str(raised.value)
    assert [finding.diagnostic.code for finding in raised.value.findings] == ["MAS101"]


def test_flows_are_typed_functions(path: Path) -> None:
    program = masdsl.load(path, models=ScriptedModel(SCRIPT))
    assert list(program.flows) == ["main", "kind_of", "sum_of", "busy"]
    assert list(inspect.signature(program.main).parameters) == ["draft", "rounds"]
    assert inspect.signature(program.main).parameters["rounds"].default == 2
    assert program.main.__name__ == "main" and program.main.__doc__ == "Review a draft."
    assert repr(program.sum_of) == "<flow sum_of(a: int, b: int) -> int>"
    review = program.main.sync("a draft")
    assert (review.ok, review.issues) == (False, ["too long"])
    assert program.kind_of.sync(task="x") == "math"
    assert program.sum_of.sync(3, b=4) == 7
    assert {"main", "flows"} <= set(dir(program))


def test_flows_can_be_awaited(path: Path) -> None:
    program = masdsl.load(path, models=ScriptedModel(SCRIPT))

    async def both() -> tuple[Any, Any]:
        value, result = await asyncio.gather(program.kind_of("x"), program.main.run(draft="y"))
        return value, result

    value, result = asyncio.run(both())
    assert (value, result.value.ok, result.calls) == ("math", False, 1)

    async def inside_a_loop() -> Any:
        return program.kind_of.sync("x")

    assert asyncio.run(inside_a_loop()) == "math"


def test_wrong_inputs_are_refused_before_anything_is_called(path: Path) -> None:
    program = masdsl.load(path, models=ScriptedModel({}))
    for wrong, message in (
        (lambda: program.sum_of.sync(1), "needs the input `b`"),
        (lambda: program.sum_of.sync(1, 2, 3), "takes 2 inputs, not 3"),
        (lambda: program.sum_of.sync(1, a=2), "got the input `a` twice"),
        (lambda: program.sum_of.sync(1, c=2), "has no input `c`"),
        (lambda: program.sum_of.sync(1, "two"), "`b`"),
        (lambda: masdsl.run(path, flow="none"), "has no flow `none`; it has main, kind_of"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()
    with pytest.raises(AttributeError, match="no flow 'mian'; it has main, kind_of"):
        _ = program.mian


def test_failed_runs_say_what_they_did(path: Path) -> None:
    program = masdsl.load(path, models=ScriptedModel({"sorter": Fails("refused"), "reviewer": "?"}))
    with pytest.raises(RunFailed) as failed:
        program.kind_of.sync("x")
    assert (failed.value.step, failed.value.result.calls) == ("kind_of.kind", 1)
    with pytest.raises(BudgetExceeded):
        masdsl.run(path, {"task": "x"}, flow="busy", models=ScriptedModel(SCRIPT))


def test_run_and_the_hosts_own_tools(path: Path) -> None:
    result = masdsl.run(path, {"a": 1, "b": 2}, flow="sum_of", tools={"math.add": lambda a, b: 40 + a + b})
    assert result.value == 43
    assert masdsl.run(path, {"draft": "x"}, models={"smart": ScriptedModel(SCRIPT)}).value.issues == ["too long"]


def test_text_that_is_no_file_can_be_loaded_but_imports_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helpers.mas").write_text("mas 1\nflow same(x) -> text { return x }\n")
    text = "mas 1\nflow main(x) -> text { return upper(x) }\n"
    assert masdsl.run(masdsl.Source("<input>", text), {"x": "a"}).value == "A"
    importing = "mas 1\nuse helpers: same\nflow main(x) -> text { y = same(x) return y }\n"
    with pytest.raises(masdsl.ProgramError, match="can import only from std"):
        masdsl.load(masdsl.Source("<input>", importing))
    assert masdsl.run(masdsl.Source("program.mas", importing), {"x": "a"}).value == "a"


def test_the_configuration_can_be_given(path: Path) -> None:
    config = masdsl.load(path, models=ScriptedModel({})).config
    assert config.path == str(path.parent / "mas.toml")
    findings = masdsl.check(path, config=config._replace(tools={}))
    assert any(finding.diagnostic.severity == "error" for finding in findings)
