"""Each tier of the sandbox stops what a program may not do, or is not used: on this machine and on pretended ones."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from masdsl.sandbox import TIERS, Limits, SandboxRefused, ladder, process, run_python_sync, start, tier
from masdsl.sandbox import ladder as ladder_function
from masdsl.sandbox.ladder import TOLERATED, Rung, chosen, rung, self_test
from masdsl.sandbox.probes import PROBES
from masdsl.sandbox.run import CODE_BYTES, REQUEST_BYTES
from masdsl.sandbox.start import BWRAP, LOCKDOWN, MONTY, NotHere, find_bwrap, trustworthy
from tests.harness.pretend import MACHINES
from tests.harness.sandboxes import EVERY_TIER, ROOT, SELF_TEST, accept, as_nobody, in_process, need, package_for_all

ladder_module = sys.modules["masdsl.sandbox.ladder"]

OUTSIDE = """
import json, os, subprocess, sys, tempfile
from masdsl.sandbox.ladder import _prepared
from masdsl.sandbox.probes import PROBES, probe
os.environ["MASDSL_TEST_KEY"] = "a secret"
with tempfile.TemporaryDirectory() as folder:
    host = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    prepared = _prepared(folder) | {"host": host.pid, "home": folder}
    out, sys.stdout = sys.stdout, open(os.devnull, "w")
    said = probe(prepared, list(PROBES))
    host.kill()
print(json.dumps(said), file=out)
"""

ALWAYS_OPEN = {
    *("read a secret", "read /etc/passwd", "list a folder", "see a file", "environment", "environment of the host"),
    *("write outside", "write in the home folder", "write a temporary file", "change a file", "truncate a file"),
    *("TCP socket", "UDP socket", "unix socket", "run a shell", "run Python", "fork", "signal the host"),
    *("file in memory", "twice the memory"),
}
"""What any process may do, wherever tests run. What else is open depends on the kernel and on who runs it."""


# ---------------------------------------------------------------- the probes


def test_there_are_thirty_probes_and_one_that_sees() -> None:
    assert len(PROBES) == 31
    assert set().union(*TOLERATED.values()) == {"see a file"}


def test_outside_of_a_sandbox_the_probes_succeed() -> None:
    said = in_process(OUTSIDE)
    assert said.keys() == PROBES.keys()
    closed = {name: what for name, what in said.items() if not what.startswith("open: ")}
    assert not ALWAYS_OPEN & closed.keys(), closed


def test_outside_of_a_sandbox_the_probes_succeed_for_an_ordinary_user() -> None:
    with package_for_all() as folder:
        said = as_nobody(OUTSIDE, folder)
    assert {name for name, what in said.items() if what.startswith("open: ")} >= ALWAYS_OPEN


@EVERY_TIER
def test_in_a_tier_they_fail(tier: str) -> None:
    found = rung(need(tier))
    assert set(found.open) == TOLERATED[tier]
    assert found.works and found.reason == "" and found.seconds > 0


@EVERY_TIER
def test_in_a_tier_they_fail_for_an_ordinary_user(tier: str) -> None:
    with package_for_all() as folder:
        found = Rung(**as_nobody(SELF_TEST.format(tier=tier), folder))
    accept(found)
    assert set(found.open) == TOLERATED[tier]


@pytest.mark.parametrize("name", PROBES)
def test_one_open_probe_takes_a_tier_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = dict.fromkeys(PROBES, "closed: PermissionError")
    monkeypatch.setattr(ladder_module, "_tried", lambda *_: said | {name: "open: 40 bytes"})
    found = self_test(LOCKDOWN)
    assert found.works == (name in TOLERATED[LOCKDOWN])
    assert found.open == (name,)
    if not found.works:
        assert found.reason == f"a program in it can: {name}"


@pytest.mark.parametrize("said", ["", "opened", "closed", "CLOSED: x", "Closed: x", " closed: x"])
def test_an_answer_that_is_not_closed_is_open(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = dict.fromkeys(PROBES, "closed: PermissionError") | {"fork": said}
    monkeypatch.setattr(ladder_module, "_tried", lambda *_: everything)
    assert self_test(BWRAP).open == ("fork",)


def test_a_self_test_that_cannot_be_prepared_takes_a_tier_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    assert self_test(LOCKDOWN).reason == "its self-test cannot be prepared: Read-only file system"


def test_the_self_test_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    need(LOCKDOWN)
    self_test(LOCKDOWN)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the choice


def rungs(monkeypatch: pytest.MonkeyPatch, *working: str) -> None:
    """Let these tiers work and no others."""
    for name in TIERS:
        works = name in working
        found = Rung(name, works, "" if works else f"no {name} here", (), 0.0)
        monkeypatch.setitem(ladder_module._known, name, found)


@pytest.mark.parametrize(
    ("working", "first"),
    [(TIERS, BWRAP), ((LOCKDOWN, MONTY), LOCKDOWN), ((MONTY,), MONTY), ((BWRAP, MONTY), BWRAP), ((), None)],
)
def test_the_first_that_works_is_used(
    working: tuple[str, ...], first: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rungs(monkeypatch, *working)
    assert tier() == first
    assert [one.works for one in ladder_function()] == [name in working for name in TIERS]


def test_without_a_tier_nothing_is_run_and_the_refusal_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs(monkeypatch)
    monkeypatch.setattr("masdsl.sandbox.run.execute", lambda *_: pytest.fail("it was run"))
    with pytest.raises(SandboxRefused) as refused:
        run_python_sync("print(1)")
    assert refused.value.code == "MAS940"
    for name in TIERS:
        assert f"{name}: no {name} here" in str(refused.value)
    assert "pip install 'masdsl[code]'" in str(refused.value)


def test_a_tier_that_is_asked_for_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs(monkeypatch, LOCKDOWN)
    with pytest.raises(SandboxRefused, match=r"that tier .* \(monty: no monty here\)"):
        chosen(MONTY)


def test_a_tier_is_tested_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def tested(name: str) -> Rung:
        asked.append(name)
        return Rung(name, name == LOCKDOWN, "no", (), 0.0)

    monkeypatch.setattr(ladder_module, "_known", {})
    monkeypatch.setattr(ladder_module, "self_test", tested)
    assert tier() == LOCKDOWN and tier() == LOCKDOWN
    assert asked == [BWRAP, LOCKDOWN]
    assert len(ladder()) == 3
    assert asked == [BWRAP, LOCKDOWN, MONTY]


# ---------------------------------------------------------------- pretended machines

# machine -> which tiers can work there, if what they need is installed; and why the lockdown does not.
EXPECTED = {
    "this": ({BWRAP, LOCKDOWN, MONTY}, ""),
    "without Landlock": ({BWRAP, MONTY}, "Landlock"),
    "a container": ({LOCKDOWN, MONTY}, ""),
    "without seccomp": ({MONTY}, "seccomp"),
    "gVisor": ({MONTY}, "Landlock"),
    "with nothing": ({MONTY}, "Landlock"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other machines are pretended by Linux's seccomp")
@pytest.mark.parametrize("bare", [False, True], ids=["", "bare"])
@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_ladder_does_on_another_machine(machine: str, bare: bool) -> None:
    for name in (BWRAP, LOCKDOWN):  # where this machine has less, it cannot pretend
        if name == LOCKDOWN or not bare:
            need(name)
    arguments = [f"sys.argv = ['', {machine!r}{', 1' * bare}]", "from tests.harness.pretend import main", "main()"]
    told = in_process("\n".join(["import sys", *arguments]))
    possible, reason = EXPECTED[machine]
    installed = {LOCKDOWN} if bare else {LOCKDOWN, BWRAP, *([MONTY] if rung(MONTY).works else [])}
    working = [name for name in TIERS if told["ladder"][name]["works"]]
    assert set(working) == possible & installed, told
    assert all(set(one["open"]) <= TOLERATED[name] for name, one in told["ladder"].items())
    assert reason in told["ladder"][LOCKDOWN]["reason"]
    if working:
        assert told["run"] == {"tier": working[0], "stdout": "42\n"}
    else:
        assert told["run"]["refused"].startswith("no tier of the sandbox works here, so the Python was not run")


# ---------------------------------------------------------------- a bubblewrap that is none


def false_bwrap(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in the place where bubblewrap is looked for first."""
    folder.chmod(0o755)
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(start, "BWRAP_PLACES", (str(path),))
    return path


INSTEAD = 'while [ "$1" != "--" ]; do shift; done; shift; '


def test_one_that_isolates_nothing_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(LOCKDOWN)
    false_bwrap(tmp_path, INSTEAD + 'exec "$@"', monkeypatch)
    found = self_test(BWRAP)
    assert found.reason == "a program in it can: see a file"
    monkeypatch.setattr(ladder_module, "_known", {})
    assert run_python_sync("print(1)").tier == LOCKDOWN


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 0", "ended with exit code 0 before it was locked"),
        ("echo 'cannot do that' >&2; exit 7", "exit code 7 before it was locked: cannot do that"),
        ("kill -9 $$", "exit code -9 before it was locked"),
        ("yes >&2", "before it was locked"),
        ("exec sleep 60", "it did not come to be locked in time"),
        (INSTEAD + 'shift 5; exec "$@"', "before it was locked"),
    ],
)
def test_one_that_does_something_else_is_out(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(process, "START_SECONDS", 0.5)
    false_bwrap(tmp_path, script, monkeypatch)
    found = self_test(BWRAP)
    assert not found.works and reason in found.reason


LIAR = """
import json, os, sys
answer = json.loads(sys.stdin.readline())["answer"]
os.write(answer, b'{"locked": {}}' + bytes([10]))
sys.stdin.read()
os.write(answer, REPLY)
"""


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('b""', "it left with exit code 0 before it had a result"),
        ('b\'{"value": {}, "passed": 0, "failed": 0}\'', "it answers something else"),
        ('b\'{"value": {"fork": "closed: x"}, "passed": 0, "failed": 0}\'', "it answers something else"),
    ],
)
def test_one_that_says_it_is_locked_and_does_not_run_the_probes_is_out(
    reply: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = false_bwrap(tmp_path, "", monkeypatch)
    path.write_text(f"#!{sys.executable}\n{LIAR.replace('REPLY', reply)}")
    assert self_test(BWRAP).reason == f"its self-test failed: {reason}"


def test_a_program_is_not_sent_before_the_process_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_SECONDS", 3.0)
    false_bwrap(tmp_path, f"head -n 1 > {tmp_path}/setup; cat > {tmp_path}/program", monkeypatch)
    rungs(monkeypatch, BWRAP)  # as if it had been a good one until now
    with pytest.raises(SandboxRefused, match="did not come to be locked"):
        run_python_sync("print('the text of the program')")
    assert (tmp_path / "setup").read_text().startswith("{")
    assert (tmp_path / "program").read_text() == ""


def test_one_in_path_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = false_bwrap(tmp_path, f"touch {tmp_path}/was-run", monkeypatch)
    monkeypatch.setattr(start, "BWRAP_PLACES", ())
    monkeypatch.setattr(start, "_of_package", lambda *_: [])
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    assert self_test(BWRAP).reason == "bubblewrap is not installed"
    assert not (tmp_path / "was-run").exists()


def test_one_that_others_can_change_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = false_bwrap(tmp_path, f"touch {tmp_path}/was-run", monkeypatch)
    assert find_bwrap() == str(path)
    for place, mode in ((path, 0o757), (path.parent, 0o757)):
        before = stat.S_IMODE(place.stat().st_mode)
        place.chmod(mode)
        assert not trustworthy(str(path))
        with pytest.raises(NotHere, match="can be changed by other users"):
            find_bwrap()
        place.chmod(before)
    if os.geteuid() == 0:
        os.chown(path, 12345, 0)
        assert not trustworthy(str(path))
    assert not (tmp_path / "was-run").exists()


# ---------------------------------------------------------------- what is in the process

LOOK = """
def look():
    import os, sys
    def opened(n):
        try:
            os.fstat(n)
            return True
        except OSError:
            return False
    return {
        "descriptors": [n for n in range(64) if opened(n)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": [p for p in sys.path if "site-packages" in p or "masdsl" in p],
        "arguments": [sys.argv, sys.orig_argv],
        "modules": [m for m in sys.modules if m.startswith("masdsl")],
        "uid": os.getuid(),
    }
"""


@pytest.mark.parametrize("tier", [BWRAP, LOCKDOWN])
def test_a_program_finds_nothing_of_the_host_in_its_process(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with open(ROOT / "README.md", "rb") as held:
        os.set_inheritable(held.fileno(), True)
        seen = run_python_sync(LOOK, entry_point="look", tier=need(tier)).value
    assert len(seen["descriptors"]) == 4 and seen["descriptors"][:3] == [0, 1, 2]
    assert seen["environment"] == {} and seen["folder"] == "/" and seen["path"] == [] and seen["modules"] == []
    assert seen["arguments"] == [["program"], []]
    assert (seen["uid"] == 65534) if tier == BWRAP else (seen["uid"] == os.getuid())


@pytest.mark.parametrize("tier", [BWRAP, LOCKDOWN])
def test_packages_of_the_host_cannot_be_read(tier: str) -> None:
    """Neither masdsl itself nor what is installed beside it."""
    import lark

    for path in (lark.__file__, process.__file__):
        result = run_python_sync(f"open({path!r}).read(1)", tier=need(tier))
        assert result.error is not None and result.error.message.startswith(("PermissionError", "FileNotFoundError"))


@pytest.mark.parametrize("tier", [BWRAP, LOCKDOWN])
def test_limits_cannot_be_raised(tier: str) -> None:
    code = """
import resource
def raise_all():
    got = []
    for name in ("AS", "CPU", "FSIZE", "NOFILE", "CORE"):
        number = getattr(resource, "RLIMIT_" + name)
        try:
            resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            got.append(name)
        except (OSError, ValueError):
            pass
    hard = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in ("FSIZE", "AS", "CPU", "NPROC")]
    return [got, *hard]
"""
    result = run_python_sync(code, entry_point="raise_all", tier=need(tier))
    raised, size, memory, seconds, tasks = result.value
    assert (raised, size, memory, seconds) == ([], 0, 512 << 20, 6)
    assert start.MORE_TASKS < tasks < 100_000


@EVERY_TIER
def test_the_environment_of_the_host_is_not_even_in_the_memory_of_the_process(
    tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    command = start.command_of(need(tier), Limits())
    assert command.environment.keys() <= {"LD_LIBRARY_PATH"}
    assert "sk-secret" not in repr(command) and "/somewhere" not in repr(command)


CAPABILITIES = """
import ctypes, json, os
from masdsl.sandbox.inside.lockdown import _drop_capabilities
from masdsl.sandbox.inside.syscalls import MACHINES
_drop_capabilities(ctypes.CDLL(None, use_errno=True), MACHINES[os.uname().machine])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh")]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_all_capabilities_are_given_up() -> None:
    assert in_process(CAPABILITIES) == [0, 0, 0]


def test_the_package_of_the_tests_is_enough_to_run_it() -> None:
    """The room needs nothing but the standard library: an interpreter without site-packages can use it."""
    with package_for_all() as folder:
        code = "import masdsl.sandbox as s; print(s.run_python_sync('print(1)', tier='lockdown').stdout)"
        need(LOCKDOWN)
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            env={"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.stdout == "1\n\n", done.stderr


# ---------------------------------------------------------------- what is said about it


def test_the_page_about_security_names_every_attempt_limit_and_place() -> None:
    page = " ".join((ROOT / "docs" / "security.md").read_text(encoding="utf-8").split())
    attempts = page.partition("(`masdsl/sandbox/probes.py`): ")[2].partition(". Only")[0].split(", ")
    assert attempts == list(PROBES)
    limits = Limits()
    said = [f"{limits.seconds:g} s |", f"| {limits.cpu_seconds} s, of all", f"{limits.memory >> 20} MiB of address"]
    said += [
        f"{limits.output >> 10} KiB each of",
        f"{CODE_BYTES >> 10} KiB each; with inputs {REQUEST_BYTES >> 20} MiB",
    ]
    said += [
        f"about {start.MORE_TASKS} beyond",
        *(f"`{os.path.dirname(place)}`" for place in start.BWRAP_PLACES),
        *TIERS,
    ]
    assert [text for text in said if text not in page] == []
