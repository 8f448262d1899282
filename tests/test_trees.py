"""Many files: the same results in the same order, however many processes work on them and whatever becomes of these."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from masdsl.cli import main, trees, workers
from masdsl.cli.checking import ProgramCheck
from masdsl.cli.terminal import FORMATS
from masdsl.cli.trees import Outcome, over
from masdsl.diagnostics.base import Finding
from masdsl.diagnostics.syntax import UnreadableFile
from masdsl.node import NOWHERE
from masdsl.source import Source

ROOT = Path(__file__).resolve().parent.parent

METHODS = ["spawn"]
if sys.platform == "linux":
    METHODS.append("fork")

GOOD = """mas 1

agent writer(topic) -> text
  "Write about the topic."

flow main(topic) -> text {
  draft = writer(topic)
  return draft
}

test "writes" {
  given writer = "words"
  out = main("sea")
  expect out == "words"
}
"""
BAD = GOOD.replace("return draft", "return drafts")
WARNED = GOOD.replace("return draft", 'return "nothing"')
FAILING = GOOD.replace('expect out == "words"', 'expect out == "other"')
UGLY = GOOD.replace("(topic) -> text\n", "(topic)->text\n")
IMPORTING = GOOD.replace("mas 1\n", "mas 1\n\nuse shared: helper\n")


class Told(NamedTuple):
    """A `Work` of the tests: what it does with a file is written in the file's name, which need not exist."""

    weight: int = 1

    def known(self, path: str) -> Outcome[str] | None:
        return Outcome(path, (), (), "known") if "known" in path else None

    def done(self, path: str) -> Outcome[str]:
        words = path.split()
        if "die" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if "exit" in words:
            os._exit(3)
        if "once" in words and _first_time(path):
            os.kill(os.getpid(), signal.SIGKILL)
        if "big" in words:
            return Outcome(path, (), (), path[-1] * 3_000_000)
        if "fault" in words:
            finding = Finding(Source(path, "text"), UnreadableFile(path, "it is odd", "look", span=NOWHERE))
            return Outcome(path, (finding,), (), None)
        if "process" in words:
            return Outcome(path, (), (), str(os.getpid()))
        return Outcome(path, (), (), path.upper())


def _first_time(path: str) -> bool:
    try:
        os.close(os.open(path.split()[-1], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@pytest.fixture(params=METHODS)
def spread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make everything pay, so that two files are enough for processes; return how these are started."""
    method: str = request.param
    if method == "fork" and threading.active_count() > 1 and sys.version_info >= (3, 12):
        pytest.skip("this Python warns of a fork beside the test runner's threads")
    monkeypatch.setattr(trees, "start_method", lambda: (method, 0))
    return method


def values(outcomes: Iterator[Outcome[str]]) -> list[str | None]:
    return [outcome.value for outcome in outcomes]


# ---------------------------------------------------------------- the runner


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_outcomes_come_in_the_order_of_the_paths(spread: str, jobs: int) -> None:
    paths = [f"{'known ' if number % 3 == 0 else ''}{number}" for number in range(60)]
    outcomes = list(over(paths, Told(), jobs=jobs))
    assert [outcome.path for outcome in outcomes] == paths
    assert [outcome.value for outcome in outcomes] == ["known" if "known" in path else path for path in paths]


def test_the_work_is_done_in_other_processes(spread: str) -> None:
    found = values(over([f"process {number}" for number in range(40)], Told(), jobs=2))
    others = set(found) - {str(os.getpid())}
    assert 1 <= len(others) <= 2
    assert found.count(str(os.getpid())) == (1 if spread == "fork" else 0)  # the first warms up what is copied


def test_a_file_that_kills_its_process_is_reported_and_the_others_are_done(spread: str) -> None:
    paths = [
        f"{'die ' if number in (7, 8, 30) else ''}{'exit ' if number == 12 else ''}{number}" for number in range(40)
    ]
    outcomes = list(over(paths, Told(), jobs=2))
    assert [outcome.path for outcome in outcomes] == paths
    for outcome in outcomes:
        if "die" not in outcome.path and "exit" not in outcome.path:
            assert outcome.value == outcome.path.upper() and not outcome.findings
            continue
        (finding,) = outcome.findings
        assert finding.diagnostic.code == "MAS007" and finding.source.name == outcome.path and outcome.value is None
        assert ("exit code 3" if "exit" in outcome.path else "SIGKILL") in finding.diagnostic.title()


def test_every_file_may_kill_its_process(spread: str) -> None:
    paths = ["first", *(f"die {number}" for number in range(12))]
    codes = [[finding.diagnostic.code for finding in outcome.findings] for outcome in over(paths, Told(), jobs=2)]
    assert codes == [[], *([["MAS007"]] * 12)]


def test_a_process_that_dies_by_chance_is_replaced(spread: str, tmp_path: Path) -> None:
    paths = ["first", *(f"once {tmp_path}/{number}" for number in range(6)), "last"]
    assert values(over(paths, Told(), jobs=2)) == [path.upper() for path in paths]
    assert len(list(tmp_path.iterdir())) == 6, "each killed one process"


def test_findings_come_back_from_other_processes(spread: str) -> None:
    for outcome in islice(over(["a", *["fault"] * 5], Told(), jobs=2), 1, None):
        (finding,) = outcome.findings
        assert finding.source == Source("fault", "text") and finding.diagnostic.title().endswith("it is odd")


def test_large_outcomes_and_long_paths_do_not_block(spread: str) -> None:
    paths = ["a", *(f"big {'x' * 3900}{number}" for number in range(10))]
    assert [len(value or "") for value in values(over(paths, Told(), jobs=2))] == [1, *[3_000_000] * 10]


def test_without_processes_the_work_is_done_here(spread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(11, "no more processes")

    monkeypatch.setattr(workers, "_start", refuse)
    paths = [f"process {number}" for number in range(10)]
    assert values(over(paths, Told(), jobs=4)) == [str(os.getpid())] * 10


@pytest.mark.skipif("fork" not in METHODS, reason="what is patched here is patched in copies only")
def test_when_no_process_comes_up_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    if threading.active_count() > 1 and sys.version_info >= (3, 12):
        pytest.skip("this Python warns of a fork beside the test runner's threads")
    monkeypatch.setattr(trees, "start_method", lambda: ("fork", 0))
    monkeypatch.setattr(workers, "_serve", lambda *_: os._exit(9))
    paths = [f"process {number}" for number in range(10)]
    assert values(over(paths, Told(), jobs=4)) == [str(os.getpid())] * 10


def test_an_abandoned_run_leaves_no_process(spread: str) -> None:
    outcomes = over(["first", *(f"process {number}" for number in range(30))], Told(), jobs=2)
    pids = {int(outcome.value or 0) for outcome in islice(outcomes, 1, 10)} - {os.getpid()}
    assert pids
    outcomes.close()  # type: ignore[attr-defined]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_interrupts_reach_this_process_alone(spread: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    outcomes = over(["first", *(f"process {number}" for number in range(30))], Told(), jobs=2)
    pids = {int(outcome.value or 0) for outcome in islice(outcomes, 1, 10)} - {os.getpid()}
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    assert len(values(outcomes)) == 21, "the others were not interrupted"
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("paths", [["-", "a", "b"], ["a"], []])
def test_standard_input_and_single_files_start_no_process(
    spread: str, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "over_processes", pytest.fail)
    assert values(over(paths, Told(), jobs=4)) == [path.upper() for path in paths]


def test_few_files_start_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "over_processes", pytest.fail)
    paths = [str(tmp_path / f"{number}.mas") for number in range(8)]
    for path in paths:
        Path(path).write_text(GOOD)
    assert all(not outcome.findings for outcome in over(paths, ProgramCheck[None](cached=False), jobs=4))


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", "1000", "٣", ""])
def test_a_number_of_jobs_is_a_number(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"--jobs={jobs}"]) == 2
    assert "give a number from 1 to 256" in capsys.readouterr().err


# ---------------------------------------------------------------- the commands


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mas.toml").write_text('[sizes]\ntxt = 3\n\n[lints]\nDeadCall = "error"\n')
    texts = (GOOD, BAD, WARNED, FAILING, UGLY, IMPORTING, "mas 1 flow", "")
    for number in range(40):
        folder = tmp_path / f"folder{number % 5}"
        folder.mkdir(exist_ok=True)
        (folder / f"p{number}.mas").write_text(texts[number % len(texts)])
    (tmp_path / "folder0" / "shared.mas").write_text('mas 1\n\nagent helper(x) -> text\n  "Say it."\n')
    (tmp_path / "folder1" / "latin.mas").write_bytes(b"mas 1\n# \xe9\n")
    (tmp_path / "folder1" / "gone.mas").symlink_to("nowhere.mas")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = [
    *(["check", "--no-cache", "--format", form] for form in FORMATS),
    ["check", "--no-cache", "--verbose", "--strict"],
    ["check", "--verbose"],
    ["fmt", "--check"],
    ["fmt", "--check", "--format", "sarif"],
    ["fmt", "--diff"],
    *(["test", "--format", form] for form in FORMATS),
    ["test", "-k", "writ"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_say_the_same_with_any_number_of_processes(
    tree: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    method = "fork" if "fork" in METHODS and sys.version_info < (3, 12) else "spawn"
    monkeypatch.setattr(trees, "start_method", lambda: (method, 0))

    def said(jobs: int) -> tuple[int, str, str]:
        monkeypatch.setattr(trees, "usable_processors", lambda: jobs)
        code = main(command)
        out, err = capsys.readouterr()
        return code, re.sub(r'("seconds": |time=")[0-9.e-]+', r"\1", out), err

    alone = said(1)
    assert "MAS000" not in alone[1] + alone[2] and "MAS007" not in alone[1] + alone[2]
    assert len(alone[1] + alone[2]) > 500 or command[:2] == ["fmt", "--check"]
    for jobs in (2, 4):
        assert said(jobs) == alone


def test_fmt_check_says_in_every_format_what_would_change(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", "--format", "short", "folder4/p4.mas", "folder3/p13.mas"]) == 1
    out, err = capsys.readouterr()
    assert not err and "folder4/p4.mas:3:1: MAS023 the text is not in its one layout" in out
    assert (tree / "folder4" / "p4.mas").read_text() == UGLY
    for wrong in (["fmt", "--format", "short"], ["fmt", "--diff", "--format", "json"]):
        assert main(wrong) == 2
        assert "`--format` says how `mas fmt --check` reports on files" in capsys.readouterr().err


def test_a_thousand_files_are_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = 'mas 1\nagent a(x) -> text "Say."\nflow main(x) -> text {{ y = a(x) return {} }}\n'
    for number in range(1000):
        (tmp_path / f"p{number:03}.mas").write_text(program.format("x" if number % 100 == 0 else "y"))
    (tmp_path / "mas.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--format", "short"]) == 0
    first = capsys.readouterr().out
    assert len(first.splitlines()) == 10 and re.match(r"p000\.mas:3:\d+: MAS7", first)
    monkeypatch.setattr(ProgramCheck, "done", pytest.fail)
    assert main(["check", "--format", "short"]) == 0
    assert capsys.readouterr().out == first


# ---------------------------------------------------------------- signals, on real processes


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `mas` in a process group of its own, on enough files for seconds of work in several processes."""
    for number in range(1500):
        (folder / f"p{number:04}.mas").write_text(GOOD)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "masdsl", *arguments, "--jobs", "2"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job ignores it
    )


def _wait_until(true: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if true():
            return True
        time.sleep(0.02)
    return False


def _members(group: int) -> set[int]:
    """Return the processes of a group that have not ended."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] not in "ZX":
                found.add(int(entry.name))
    return found


on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@on_linux
@pytest.mark.parametrize("command", [["check", "--no-cache", "--verbose"], ["test"]], ids=" ".join)
def test_an_interrupt_ends_all_processes_without_a_word(tmp_path: Path, command: list[str]) -> None:
    process = _start(tmp_path, *command)
    assert process.stdout is not None
    assert _wait_until(lambda: len(_members(process.pid)) == 3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
    assert _wait_until(lambda: not _members(process.pid))


@on_linux
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    process = _start(tmp_path, "check", "--no-cache", "--verbose")
    assert _wait_until(lambda: len(_members(process.pid)) == 3)
    process.kill()
    process.communicate(timeout=60)
    assert _wait_until(lambda: not _members(process.pid))


@on_linux
def test_a_process_killed_from_outside_changes_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path, "check", "--no-cache", "--format", "json")
    assert _wait_until(lambda: len(_members(process.pid)) == 3)
    for victim in sorted(_members(process.pid) - {process.pid}):
        os.kill(victim, signal.SIGKILL)
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, b"") and b'"findings": []' in out
