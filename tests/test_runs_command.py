"""`mas run` with a journal, `mas runs`, `mas replay`: what is seen when a run is broken off, damaged, busy or over."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from masdsl.cli import main

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """mas 1

budget calls 12
rectify tries 2 at 80%

agent coder(spec, notes: text = "") -> text(200) on fast "Write {{ spec }} {{ notes }}"
agent critic(code) -> text(100) on fast "Criticise {{ code }}"

flow main(spec) -> text(200) {
  drafts = 3 of coder(spec)
  code = majority(drafts)
  refine: loop 3 {
    note = critic(code)
    code = coder(spec, note)
  }
  return code
}
"""
GOOD = '[replies]\ncoder = ["a", "b", "a", "c", "d", "e"]\ncritic = "no"\n'
SLOW = '[replies]\ncoder = ["a", "b", "a", "c", "d", "e"]\ncritic = { "$reply" = "no", "$after" = 60.0 }\n'
BAD = '[replies]\ncoder = ["a", "b", "a"]\ncritic = { "$fails" = "refused", "$detail" = "I will not" }\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {"mas.toml": "", "p.mas": PROGRAM, "good.toml": GOOD, "slow.toml": SLOW, "bad.toml": BAD}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASDSL_STATE", str(tmp_path / "state"))
    return tmp_path


def mas(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def only_run(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    _, out, _ = mas(capsys, "runs", "--json")
    (one,) = json.loads(out)
    return dict(one)


def started(here: Path, *words: str) -> subprocess.Popen[str]:
    """Start `mas` in a process of its own."""
    command = [sys.executable, "-c", "import sys; from masdsl.cli import main; sys.exit(main())", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def broken_off(
    here: Path, *words: str, script: str = "slow.toml", with_signal: int = signal.SIGKILL
) -> tuple[int, str]:
    """Run a program in a process of its own, and send it a signal once its first critic is asked."""
    process = started(here, "run", "p.mas", "spec=x", "--script", "slow.toml", "--events")
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if "refine.note" in line and "started" in line:
            process.send_signal(with_signal)
            if with_signal == signal.SIGINT:
                while "Ctrl-C again stops at once" not in told and (line := process.stderr.readline()):
                    told += line
                process.send_signal(with_signal)  # the second one does not wait for the call under way
            break
    _, rest = process.communicate(timeout=60)
    return process.returncode, told + rest


def test_a_run_is_kept_listed_shown_replayed_and_forgotten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = mas(capsys, "run", "p.mas", "spec=x", "--script", "good.toml", "--json")
    document = json.loads(out)
    run = document["run"]
    assert code == 0 and document["value"] == "e" and document["calls"] == 9
    assert only_run(capsys)["id"] == run
    code, out, _ = mas(capsys, "runs")
    assert code == 0 and re.search(rf"^{run}  ended .* main .* p\.mas$", out, re.M)
    code, out, _ = mas(capsys, "runs", "show", run)
    assert code == 0 and "main.refine.code[2]  1 calls" in out and "value    e" in out and "input    spec = x" in out
    _, out, _ = mas(capsys, "runs", "show", run, "--json")
    assert json.loads(out)["rows"][-1]["kind"] == "end"
    (here / "good.toml").unlink()
    assert mas(capsys, "replay", run)[:2] == (0, "e\n")
    code, out, error = mas(capsys, "run", "--resume", run)
    assert (code, out) == (0, "e\n") and "nothing is paid again" in error
    assert mas(capsys, "runs", "delete", run)[0] == 0
    assert json.loads(mas(capsys, "runs", "--json")[1]) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--resume", "nope"], "there is no run 'nope' in .*`mas runs` lists"),
        (["replay", "nope"], "there is no run 'nope'"),
        (["runs", "show", "nope"], "there is no run 'nope'"),
        (["runs", "delete", "nope"], "there is no run 'nope'"),
        (["runs", "prune", "--days", "-1"], "is no number of days"),
        (["run", "--resume", "x", "p.mas"], "has its program already"),
        (["run", "--resume", "x", "--no-journal"], "needs a journal"),
        (["run"], "no program is given"),
        (["run", "p.mas", "spec=x", "--script", "good.toml", "--journal", "p.mas"], "p.mas"),
    ],
)
def test_mistakes(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    code, out, error = mas(capsys, *words)
    assert code == 2 and out == "" and re.search(told, error), error
    assert "Traceback" not in error


def test_nothing_is_kept_on_demand(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(capsys, "run", "p.mas", "spec=x", "--script", "good.toml", "--no-journal")[:2] == (0, "e\n")
    assert json.loads(mas(capsys, "runs", "--json")[1]) == []


def test_a_place_that_cannot_be_used_does_not_keep_a_run_from_being_made(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "file").write_text("")
    monkeypatch.setenv("MASDSL_STATE", str(here / "file" / "below"))
    code, out, error = mas(capsys, "run", "p.mas", "spec=x", "--script", "good.toml")
    assert (code, out) == (0, "e\n") and "this run is not kept: " in error


def test_a_rectified_run_says_what_was_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, error = mas(capsys, "run", "p.mas", "spec=x", "--script", "bad.toml")
    assert (code, out) == (0, "a\n")
    assert 'rectify: patched (rules): `main.refine.note` is ""' in error
    assert '  ~ main.refine.note: else ""\n' in error and "the rest, at worst: 6 calls" in error
    run = str(only_run(capsys)["id"])
    assert "rectify: patched (rules)" in mas(capsys, "runs", "show", run)[1]
    assert mas(capsys, "replay", run)[:2] == (0, "a\n")
    code, _, error = mas(capsys, "run", "p.mas", "spec=x", "--script", "bad.toml", "--no-rectify")
    assert code == 4 and "MAS901" in error and re.search(r"go on with: mas run --resume \S+ --script bad.toml\n", error)


def test_another_model_than_the_run_began_with_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(capsys, "run", "p.mas", "spec=x", "--script", "bad.toml", "--no-rectify")[0] == 4
    run = str(only_run(capsys)["id"])
    (here / "mas.toml").write_text(
        '[tiers]\ndefault = "own"\n'
        '[models.own]\nkind = "scripted"\npath = "good.toml"\ninput_price = 0\noutput_price = 0\n'
    )
    code, _, error = mas(capsys, "run", "--resume", run)
    assert code == 0 and error.count("warning[MAS931]") == 1, error
    assert f"was scripted when run {run} began and is own now" in error
    code, _, error = mas(capsys, "run", "--resume", run)
    assert code == 0 and "MAS931" not in error, "it has ended: no model is asked"


def test_a_killed_run_goes_on_and_uses_what_was_stored(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert broken_off(here)[0] == -signal.SIGKILL
    _, out, _ = mas(capsys, "runs")
    assert "broken off" in out
    run = str(only_run(capsys)["id"])
    code, _, error = mas(capsys, "replay", run)
    assert code == 4 and f"go on with `mas run --resume {run}`" in error
    (here / "p.mas").write_text("mas 1\n")
    code, out, error = mas(capsys, "run", "--resume", run, "--script", "good.toml", "--events")
    assert (code, out) == (0, "a\n"), "the script begins anew, for the third round its third reply"
    assert "MAS930" in error and "p.mas is not what it was since run" in error
    assert error.count('"kind": "reused"') == 3
    code, out, error = mas(capsys, "replay", run)
    assert (code, out) == (0, "a\n")


def test_an_interrupted_run_says_how_to_go_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = broken_off(here, with_signal=signal.SIGINT)
    run = str(only_run(capsys)["id"])
    assert code == 130 and f"go on with: mas run --resume {run}" in error and "Traceback" not in error
    code, out, _ = mas(capsys, "run", "--resume", run, "--script", "good.toml")
    assert code == 0 and out


def test_a_busy_run_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken_off(here)
    run = str(only_run(capsys)["id"])
    hold = f"""
import time
from masdsl.journal import open_journal
journal = open_journal()
run = journal.resume({run!r})
print("has it", flush=True)
time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen([sys.executable, "-c", hold], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "has it\n"
        code, _, error = mas(capsys, "run", "--resume", run, "--script", "good.toml")
        assert code == 2 and run in error and "process" in error
        assert "running" in mas(capsys, "runs")[1]
    finally:
        holder.kill()
        holder.communicate()


def test_a_damaged_journal_names_the_row(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mas(capsys, "run", "p.mas", "spec=x", "--script", "good.toml")
    run = str(only_run(capsys)["id"])
    (path,) = (here / "state").glob("runs.db")
    with sqlite3.connect(path) as database:
        database.execute("delete from entry where rowid = 2")
    database.close()
    for words in (["replay", run], ["run", "--resume", run, "--script", "good.toml"], ["runs", "show", run]):
        code, out, error = mas(capsys, *words)
        assert code == 2 and out == "" and re.search(rf"run '{run}' is damaged from row \d+ on", error), error


@pytest.mark.slow
@pytest.mark.local_model
def test_the_local_model_killed_in_the_middle_goes_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = """mas 1

agent poet(about) -> text(30) on fast max 24 "Write one line about {{ about }}."

flow main(about) -> text(30)[7] {
  poem = [""]
  verse: loop 6 {
    line = poet(about)
    poem += [line]
  }
  return poem
}
"""
    (here / "p.mas").write_text(program)
    process = started(here, "run", "p.mas", "about=the sea", "--events")
    assert process.stderr is not None
    ended = 0
    for line in process.stderr:
        ended += '"kind": "finished"' in line
        if ended == 2:
            break
    process.kill()
    process.communicate()
    run = str(only_run(capsys)["id"])
    code, out, error = mas(capsys, "run", "--resume", run, "--events")
    assert code == 0 and len(json.loads(out)) == 7
    assert error.count('"kind": "reused"') >= 2 and error.count('"kind": "called"') <= 4
