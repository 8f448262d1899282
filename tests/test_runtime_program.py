"""Programs from outside: inputs, models, the synchronous way, the command line, granted tools."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Annotated, Any

import pytest

from masdsl import sizes
from masdsl.runtime import (
    Agent,
    Enum,
    InputError,
    Items,
    Limits,
    Program,
    Record,
    Result,
    Run,
    RunFailed,
    Tokens,
    Tool,
    flow,
)
from masdsl.runtime.command import main as command
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.runtime.run import flow_shape
from tests.bench import step_work
from tests.harness.virtual_time import run

ROOT = Path(__file__).resolve().parent.parent


class Kind(Enum):
    math = "math"
    code = "code"


class Note(Record):
    kind: Kind
    text: str


echo = Agent[str](name="echo", returns=str, inputs={"x": str}, prompt="{{ x }}")


async def main(
    run: Run,
    text: Annotated[str, Tokens(2)],
    kind: Kind = Kind.math,
    class_: int = 1,
    notes: Annotated[list[Note], Items(0, 2)] | None = None,
) -> str:
    said = await run.call("said", echo, x=f"{text} {kind} {class_} {len(notes or [])}")
    return f"{said}!"


@flow(name="print")
async def print_(run: Run, x: str) -> str:
    return x


PROGRAM = Program(name="p.mas", flows=(print_, main), agents=(echo,))


def echoes(**more: Any) -> ScriptedModel:
    return ScriptedModel({"echo": lambda request: request.messages[-1].content} | more)


@pytest.mark.parametrize(
    ("inputs", "value"),
    [
        ({"text": "hi"}, "hi math 1 0!"),
        ({"text": "hi", "kind": "code", "class": 2}, "hi code 2 0!"),
        ({"text": "hi", "kind": Kind.code, "class_": 2}, "hi code 2 0!"),
        ({"text": "hi", "notes": [{"kind": "math", "text": "t"}]}, "hi math 1 1!"),
        ({"text": "hi", "notes": None}, "hi math 1 0!"),
        ({"text": "123456789"}, f"{sizes.clip_text('123456789', 2)} math 1 0!"),
    ],
)
def test_inputs(inputs: dict[str, Any], value: str) -> None:
    assert run(PROGRAM.run(inputs=inputs, models=echoes())).value == value


@pytest.mark.parametrize(
    ("flow_name", "inputs", "message"),
    [
        ("main", {}, "flow `main` needs the input `text`; its inputs are: text, kind, class, notes"),
        ("main", {"text": "x", "txt": "y"}, "flow `main` has no input `txt`; its inputs are: text, kind, class, notes"),
        ("main", {"text": 5}, "the input `text` of flow `main` does not fit: expected text, got 5"),
        (
            "main",
            {"text": "x", "notes": [{"kind": "art", "text": ""}]},
            'the input `notes` of flow `main` does not fit: at `[0].kind`: expected one of math, code, got "art"',
        ),
        ("other", {}, "p.mas has no flow `other`; it has print, main"),
    ],
)
def test_inputs_that_do_not_fit(flow_name: str, inputs: dict[str, Any], message: str) -> None:
    model = echoes()
    with pytest.raises(InputError) as caught:
        run(PROGRAM.run(flow_name, inputs, models=model))
    assert str(caught.value) == message
    assert model.requests == []


def test_names_of_flows_are_those_of_the_program() -> None:
    assert list(PROGRAM.flows) == ["print", "main"]
    assert run(PROGRAM.run("print", {"x": "a"})).value == "a"
    assert repr(PROGRAM) == "<program p.mas: print, main>"
    assert flow_shape(print_) is flow_shape(print_)


def test_results_are_json() -> None:
    result = run(PROGRAM.run(inputs={"text": "hi"}, models=echoes()))
    said = sizes.counted_tokens("hi math 1 0")
    asked = sizes.REQUEST_TOKENS + sizes.MESSAGE_TOKENS + said
    assert json.loads(json.dumps(result.to_json())) == {
        "value": "hi math 1 0!",
        "calls": 1,
        "tokens_in": asked,
        "tokens_out": said,
        "usd": 0.0,
        "seconds": 0.0,
    }
    assert result.tokens == asked + said


def test_models_may_be_given_by_name_or_one_for_all() -> None:
    model = echoes()
    for models in (model, {"default": model}, lambda name, tier: model):
        assert run(PROGRAM.run(inputs={"text": "hi"}, models=models)).calls == 1


def test_the_synchronous_way_works_with_and_without_a_running_loop() -> None:
    assert PROGRAM.run_sync(inputs={"text": "hi"}, models=echoes()).value == "hi math 1 0!"

    async def notebook() -> Result:
        return PROGRAM.run_sync(inputs={"text": "hi"}, models=echoes())

    assert asyncio.run(notebook()).value == "hi math 1 0!"


def test_a_hanging_tool_does_not_keep_the_process(tmp_path: Path) -> None:
    script = tmp_path / "hang.py"
    script.write_text(
        "import threading\n"
        "from masdsl.runtime import Program, Run, Tool\n"
        "tool = Tool[int](name='t', returns=int, granted_as='t', timeout=0.2, default=7)\n"
        "async def main(run: Run) -> int:\n"
        "    return await run.call('x', tool)\n"
        "program = Program(name='p', flows=(main,), tools=(tool,))\n"
        "print(program.run_sync(tools={'t': lambda: threading.Event().wait(3600)}).value)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr


# ---------------------------------------------------------------- the command line


def test_a_compiled_program_is_a_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("masdsl.runtime.program._resolver", lambda models: lambda name, tier: echoes())
        assert command(PROGRAM, ["text=a=b", "kind=Code", "class=7", "--events"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["value"] == "a=b code 7 0!"
        assert [json.loads(line)["kind"] for line in err.splitlines()] == [
            "started",
            "started",
            "called",
            "finished",
            "finished",
        ]
        assert command(PROGRAM, ["print", "x=hello"]) == 0
        with pytest.raises(SystemExit) as stop:
            PROGRAM.cli(["print", "x=hello"])
        assert stop.value.code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["text"], "has no flow `text`"),
        (["main", "text"], "`text` is no input: write name=value"),
        (["kind=art", "text=x"], "the input `kind` does not fit: expected one of math, code"),
        (["main"], "needs the input `text`"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command(PROGRAM, arguments)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_failed_runs_end_with_3_or_4(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel({"*": Fails("auth", "no \x1b[31mkey")})
    monkeypatch.setattr("masdsl.runtime.program._resolver", lambda models: lambda name, tier: model)
    assert command(PROGRAM, ["text=x"]) == 4
    assert "main.said: auth: no \\u{1b}[31mkey" in capsys.readouterr().err
    poor = Program(name="p.mas", flows=(main,), agents=(echo,), budget=Limits(calls=0))
    assert command(poor, ["text=x"]) == 3
    assert "refused by the budget: it allows no calls" in capsys.readouterr().err


# ---------------------------------------------------------------- tools of the configuration

tool = Tool[int](name="double", returns=int, inputs={"n": int}, granted_as="my.double")


async def doubles(run: Run, n: int) -> int:
    return await run.call("x", tool, n=n)


TOOLED = Program(name="t.mas", flows=(doubles,), tools=(tool,))


def test_the_configuration_grants_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mas.toml").write_text('[tools]\n"my.double" = "granted_here:Box.double"\n')
    (tmp_path / "granted_here.py").write_text(
        "class Box:\n    @staticmethod\n    def double(n):\n        return 2 * n\n"
    )
    assert TOOLED.run_sync("doubles", {"n": 4}).value == 8


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("", 'the host does not grant "my.double"'),
        ("[tols]\n", "mas.toml:1:.*tols"),
        ('[tools]\n"my.double" = "no_such_module:f"\n', "cannot be imported: ModuleNotFoundError"),
        ('[tools]\n"my.double" = "json:__doc__"\n', "is a str, not a function"),
        ('[tools]\n"my.double" = "json:nothing"\n', "cannot be imported: AttributeError"),
    ],
)
def test_what_it_does_not_grant_fails_before_anything_is_paid(
    config: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mas.toml").write_text(config)
    with pytest.raises(RunFailed, match=f"^tool double: .*{reason}"):
        TOOLED.run_sync("doubles", {"n": 4})


def test_a_faulty_configuration_fails_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mas.toml").write_text("[tiers]\nfast = 5\n")
    with pytest.raises(RunFailed, match=r"^main\.said: mas\.toml:2:"):
        PROGRAM.run_sync(inputs={"text": "x"})


class Counted(ScriptedModel):
    closed = 0

    async def close(self) -> None:
        self.closed += 1


def test_models_are_closed_at_the_end_of_a_run() -> None:
    model = Counted({"*": "x"})
    run(PROGRAM.run(inputs={"text": "x"}, models=model))
    assert model.closed == 1
    run(PROGRAM.run("print", {"x": "x"}, models=model))
    assert model.closed == 1  # it was not used


# ---------------------------------------------------------------- room


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the sizes are those of objects of CPython 3.11")
def test_a_run_in_flight_takes_less_than_25_kb(tmp_path: Path) -> None:
    """Three calls of each under way, journaled in a file; what the models hold counts as well."""

    async def held(runs: int) -> int:
        pace = step_work.Pace(0.0)
        one = step_work.masdsl(pace, str(tmp_path))
        for warm in range(3):
            await one(-warm)
        pace.gate = gate = asyncio.Event()
        gc.collect()
        tracemalloc.start()
        tasks = [asyncio.ensure_future(one(number)) for number in range(1, runs + 1)]
        while len(gate._waiters) < 3 * runs:
            await asyncio.sleep(0)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        gate.set()
        await asyncio.gather(*tasks)
        return taken // runs

    assert asyncio.run(held(200)) < 23_600  # the allocator adds less than 1,400 bytes (`bench_langgraph`)
