"""`mas sandbox`: which tiers work here and why others do not, and running a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from masdsl.cli import main
from masdsl.sandbox import TIERS
from masdsl.sandbox.ladder import Rung
from tests.harness.sandboxes import need

ladder_module = sys.modules["masdsl.sandbox.ladder"]


def mas(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["sandbox", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def rungs(monkeypatch: pytest.MonkeyPatch, *working: str) -> None:
    for name in TIERS:
        found = Rung(name, True, "", ("see a file",) if name == "lockdown" else (), 0.25)
        if name not in working:
            found = Rung(name, False, f"there is no \x1b[31m{name}", (), 0.0)
        monkeypatch.setitem(ladder_module._known, name, found)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("half.py").write_text("def half(n):\n    print('halving')\n    return 12 // n\n")
    Path("tests.py").write_text("assert half(4) == 3\n\nassert half(5) == 3, 'rounded'\n")
    return tmp_path


def test_the_ladder_is_shown_with_what_stops_each_tier(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rungs(monkeypatch, "lockdown")
    assert mas(capsys) == (
        0,
        """\
bwrap+lockdown  does not work: there is no \\u{1b}[31mbwrap+lockdown
lockdown        works: stopped 30 of 31 attempts, lets through: see a file; tested in 0.25 s
monty           does not work: there is no \\u{1b}[31mmonty
model-written Python runs in: lockdown
""",
        "",
    )


def test_the_ladder_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rungs(monkeypatch, "lockdown", "monty")
    code, out, _ = mas(capsys, "--json")
    told = json.loads(out)
    assert code == 0 and told["used"] == "lockdown"
    assert [tier["name"] for tier in told["tiers"]] == list(TIERS)
    assert told["tiers"][1] == {
        "name": "lockdown",
        "works": True,
        "reason": "",
        "open": ["see a file"],
        "seconds": 0.25,
    }


def test_without_a_tier_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    rungs(monkeypatch)
    code, out, _ = mas(capsys)
    assert code == 6 and out.endswith("model-written Python is not run (mas explain MAS940)\n")
    code, out, _ = mas(capsys, "--json")
    assert code == 6 and json.loads(out)["used"] is None
    code, out, err = mas(capsys, "run", "half.py")
    assert (code, out) == (6, "")
    assert err.startswith("error[MAS940]: no tier of the sandbox works here, so nothing was run\n --> half.py\n")
    assert all(f"{name}: there is no" in err for name in TIERS)


def test_a_tier_that_is_insisted_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    rungs(monkeypatch, "lockdown")
    code, _, err = mas(capsys, "run", "half.py", "--tier", "monty")
    assert code == 6 and "error[MAS940]: the tier monty of the sandbox does not work here" in err


def test_a_file_is_run(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    need("lockdown")
    Path("hello.py").write_text("import sys\nprint('\\x1b[2Jhello', end='')\nprint('aside', file=sys.stderr)\n")
    assert mas(capsys, "run", "hello.py", "--tier", "lockdown") == (0, "\\u{1b}[2Jhello\n", "aside\n")


def test_a_function_is_called(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    need("lockdown")
    run = ("run", "half.py", "--tier", "lockdown", "--entry", "half")
    assert mas(capsys, *run, "--arguments", "[4]") == (0, "halving\n3\n", "")
    code, out, err = mas(capsys, *run, "--arguments", "[0]")
    assert (code, out) == (4, "halving\n")
    assert err.startswith("error[MAS942]: the program failed: ZeroDivisionError: integer division or modulo by zero")
    assert " --> half.py:3:5\n" in err


def test_tests_are_run_and_a_failure_is_shown_where_it_is(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    need("lockdown")
    code, out, err = mas(capsys, "run", "half.py", "--tier", "lockdown", "--tests", "tests.py")
    assert code == 4
    assert out == "halving\nhalving\n1 assertions passed, 1 failed, in lockdown\n"
    assert "error[MAS942]: the program failed: line 3 of the tests: `half(5) == 3`: it is 2; rounded" in err
    assert " --> tests.py:3:1\n" in err


def test_a_limit_has_a_code_of_its_own(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    need("lockdown")
    Path("wait.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    code, out, err = mas(capsys, "run", "wait.py", "--tier", "lockdown", "--seconds", "1")
    assert (code, out) == (4, "begun\n")
    assert err.startswith("error[MAS941]: the program was stopped: it ran longer than 1 seconds\n --> wait.py\n")


def test_a_result_as_json(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    need("lockdown")
    run = ("run", "half.py", "--tier", "lockdown", "--json", "--entry", "half", "--arguments")
    code, out, _ = mas(capsys, *run, "[3]")
    told = json.loads(out)
    assert code == 0 and told.pop("seconds") > 0
    assert told == {
        "ok": True,
        "value": 4,
        "stdout": "halving\n",
        "stderr": "",
        "error": None,
        "passed": 0,
        "failed": 0,
        "tier": "lockdown",
    }
    code, out, _ = mas(capsys, *run, "[0]")
    assert code == 4
    assert json.loads(out)["error"] | {"message": ""} == {
        "kind": "exception",
        "message": "",
        "where": "program",
        "line": 3,
        "code": "MAS942",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "half.py", "--arguments", "[1"], "--arguments is not JSON"),
        (["run", "half.py", "--arguments", "{}"], "--arguments is no list"),
        (["run", "half.py", "--arguments", "[" * 100_000], "--arguments is not JSON"),
        (["run", "half.py", "--seconds", "0"], "--seconds is the time that the program has"),
        (["run", "half.py", "--seconds", "nan"], "--seconds is the time that the program has"),
        (["run", "nowhere.py"], "cannot read `nowhere.py`"),
        (["run", "half.py", "--tests", "nowhere.py"], "cannot read `nowhere.py`"),
        (["run", "half.py", "--tier", "docker"], "invalid choice: 'docker'"),
    ],
)
def test_wrong_uses(words: list[str], said: str, capsys: pytest.CaptureFixture[str], program: Path) -> None:
    code, out, err = mas(capsys, *words)
    assert (code, out) == (2, "") and said in err


def test_a_program_that_cannot_be_parsed_is_shown_where(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    need("lockdown")
    Path("bad.py").write_text("x = 1\ndef (:\n")
    code, _, err = mas(capsys, "run", "bad.py", "--tier", "lockdown")
    assert code == 4 and " --> bad.py:2:1\n" in err and "SyntaxError" in err
