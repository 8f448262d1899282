"""Programs that do not want to end are ended, and nothing of a sandbox outlives its host."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from masdsl.sandbox import Limits, run_python_sync
from masdsl.sandbox.ladder import Rung
from tests.harness.orphans import RUNAWAYS
from tests.harness.sandboxes import CPYTHON, EVERY_TIER, ROOT, SELF_TEST, accept, as_nobody, need, package_for_all

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leftovers are found by Linux's subreapers")

# runaway -> kinds of failure that contain it; None: it could not even begin to run away, and came to its end.
CONTAINED: dict[str, set[str | None]] = {
    "busy loop": {"cpu"},
    "no signal stops it": {"cpu", "time"},
    "daemon": {None},
    "flood of output": {"output"},
    "memory bomb": {"memory", "cpu"},  # to fill the memory takes a busy machine its time
    "fork bomb": {"exit"},
    "thread bomb": {"exception", "memory"},
    "great number": {"cpu", "memory"},
    "catastrophic regular expression": {"cpu"},
}


def orphans(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.harness.orphans", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def orphans_of_nobody(what: str, tier: str, *arguments: str) -> Any:
    """The same for an ordinary user, where there is one and the tier is to be had for it."""
    with package_for_all() as folder:
        accept(Rung(**as_nobody(SELF_TEST.format(tier=tier), folder)))
        return as_nobody((ROOT / "tests" / "harness" / "orphans.py").read_text(), folder, what, tier, *arguments)


@pytest.mark.slow
@CPYTHON
def test_nine_runaways_are_contained_and_leave_nothing(tier: str) -> None:
    contained(orphans("runaways", need(tier)))


@pytest.mark.slow
@CPYTHON
def test_nine_runaways_of_an_ordinary_user_are_contained_and_leave_nothing(tier: str) -> None:
    contained(orphans_of_nobody("runaways", tier))


@pytest.mark.slow
@EVERY_TIER
def test_a_host_of_an_ordinary_user_that_is_killed_leaves_nothing_running(tier: str) -> None:
    assert orphans_of_nobody("kills", tier, "4") == {"left": []}


def contained(outcome: Any) -> None:
    assert outcome["told"].keys() == RUNAWAYS.keys() == CONTAINED.keys()
    for name, (kind, message) in outcome["told"].items():
        assert kind in CONTAINED[name] or (kind == "time" and "cpu" in CONTAINED[name]), (name, kind, message)
    assert outcome["left"] == []


@pytest.mark.slow
@pytest.mark.parametrize("user", ["this", "an ordinary one"])
def test_monty_contains_them_as_well(user: str) -> None:
    """Most of them it does not even know; what counts is that all of them end, and that nothing is left."""
    of = orphans if user == "this" else orphans_of_nobody
    outcome = of("runaways", need("monty"))
    assert outcome["told"].keys() == RUNAWAYS.keys()
    for name in ("busy loop", "flood of output", "great number", "fork bomb", "thread bomb"):
        assert outcome["told"][name][0] is not None, name
    assert outcome["left"] == []


@pytest.mark.slow
@EVERY_TIER
def test_a_host_that_is_killed_leaves_nothing_running(tier: str) -> None:
    assert orphans("kills", need(tier), "8") == {"left": []}


@EVERY_TIER
def test_a_coroutine_that_is_cancelled_leaves_nothing_running(tier: str) -> None:
    assert orphans("cancels", need(tier), "6") == {"left": []}


@EVERY_TIER
def test_the_wall_limit_ends_what_only_waits(tier: str) -> None:
    code = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(1)"
    result = run_python_sync(
        code, tier=need(tier), limits=Limits(seconds=3.0)
    )  # to begin takes a busy machine its time
    assert result.error is not None
    assert (result.error.kind, result.error.message, result.error.code) == (
        "time",
        "it ran longer than 3 seconds",
        "MAS941",
    )
    assert result.stdout == "begun\n"


@EVERY_TIER
def test_output_is_cut_at_its_limit(tier: str) -> None:
    need(tier)
    for limit in (0, 1, 999):
        enough = run_python_sync(f"print('x' * {limit}, end='')", tier=tier, limits=Limits(output=limit))
        if tier != "monty":  # whose reply is part of its output
            assert enough.ok and len(enough.stdout) == limit
        more = run_python_sync(f"print('x' * {limit + 1}, end='')", tier=tier, limits=Limits(output=limit))
        assert more.error is not None and more.error.kind == "output"
        assert len(more.stdout) <= limit


@CPYTHON
def test_standard_error_has_the_same_limit(tier: str) -> None:
    code = "import sys\nprint('e' * int(sys.stdin.read()), end='', file=sys.stderr)"
    assert run_python_sync(code, stdin="1000", tier=need(tier), limits=Limits(output=1000)).stderr == "e" * 1000
    more = run_python_sync(code, stdin="1001", tier=tier, limits=Limits(output=1000))
    assert more.error is not None and more.error.kind == "output"


@CPYTHON
def test_memory_is_limited(tier: str) -> None:
    code = "kept = bytearray(300 << 20)"
    assert run_python_sync(code, tier=need(tier)).ok
    error = run_python_sync(code, tier=tier, limits=Limits(memory=256 << 20)).error
    assert error is not None and error.kind == "memory"


@CPYTHON
def test_what_closes_its_pipes_is_ended_all_the_same(tier: str) -> None:
    code = "import os, time\nos.closerange(0, 64)\nwhile True: time.sleep(1)"
    result = run_python_sync(code, tier=need(tier), limits=Limits(seconds=1.0))
    assert result.error is not None and result.error.kind == "time"


def test_many_programs_leave_no_descriptor_and_no_thread() -> None:
    tier = need("lockdown")
    for code in ("", "while True: pass", "def (:", "print('x' * 10**6)", "import os; os._exit(3)"):
        run_python_sync(code, tier=tier, limits=Limits(seconds=0.3))
    gc.collect()  # what earlier tests have left is not counted, nor is its end
    descriptors, threads = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
    for code in ("", "while True: pass", "def (:", "print('x' * 10**6)", "import os; os._exit(3)"):
        run_python_sync(code, tier=tier, limits=Limits(seconds=0.3))
    assert set(os.listdir("/proc/self/fd")) <= descriptors and set(threading.enumerate()) <= threads
