"""The dependencies as they are installed, and the commands that the project promises."""

from __future__ import annotations

import re
import site
import sysconfig
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# setuptools, where it is installed, does this on purpose.
KNOWN_START_UP_FILES = {"distutils-precedence.pth"}


def test_no_dependency_runs_code_whenever_python_starts() -> None:
    """Two releases of litellm stole credentials through such a file."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    running = [
        path.name
        for folder in folders
        for path in Path(folder).glob("*.pth")
        if re.search(r"^import[ \t]", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    ]
    assert set(running) <= KNOWN_START_UP_FILES


def test_litellm_is_no_release_that_is_known_to_be_bad() -> None:
    version = metadata.version("litellm")
    assert version not in ("1.82.7", "1.82.8") and not version.startswith("1.107.")


def test_ci_runs_the_very_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.split("\n") if line.startswith("python3 -m venv ")]
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").split("\n")
    assert all(command in script for command in commands)
