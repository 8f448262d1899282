"""The commands of `docs/serve.md`, run as they stand there."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra masdsl[serve]")

from masdsl.serve.keys import read_keys
from masdsl.serve.problems import KINDS
from tests.harness.markdown import blocks
from tests.harness.serving import ROOT

PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
SCRIPT = '[replies]\ngreeter = { "$reply" = "Hello, Ada!", "$after" = 0.1 }\nlistener = "cheerful"\n'
CHANGING = [
    (re.compile(r"\bi-[0-9a-f]{40}\b|\b[0-9]{8}-[0-9]{6}-[0-9a-f]{20}\b"), "RUN"),
    (re.compile(r'"(created|seconds)":[0-9.e-]+'), r'"\1":0'),
]


def settled(text: str) -> str:
    """Return an answer without what differs from run to run."""
    for pattern, instead in CHANGING:
        text = pattern.sub(instead, text)
    return text


def commands() -> Iterator[tuple[str, str]]:
    """Yield the commands of the page that ask the service, and what they print there."""
    for block in blocks(PAGE):
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                if command.startswith("curl"):
                    yield command, printed


@pytest.mark.skipif(shutil.which("curl") is None or sys.platform == "win32", reason="needs curl")
def test_the_commands_of_the_page_print_what_stands_there(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(SCRIPT)
    command = [sys.executable, "-m", "masdsl", "serve", "--api", "examples/hello/hello.mas", "--port", "0"]
    command += ["--script", str(tmp_path / "script.toml"), "--journal", str(tmp_path / "runs.db")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        where = server.stderr.readline()
        try:
            assert where.startswith("serving hello/main on http://127.0.0.1:"), where
            address = where.split()[-1].removeprefix("http://")
            asked = list(commands())
            assert len(asked) == 6
            for line, printed in asked:
                done = subprocess.run(
                    ["bash", "-c", line.replace("127.0.0.1:8000", address)], capture_output=True, text=True, check=True
                )
                assert settled(done.stdout).strip() == settled(printed).strip(), line
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0


def test_the_page_names_every_kind_of_problem_with_its_status(tmp_path: Path) -> None:
    answers = PAGE.partition("## Answers")[2].partition("## Operation")[0]
    rows = [line for line in answers.splitlines() if re.match(r"\| \d{3}", line)]
    told: dict[str, set[int]] = {}
    for row in rows:
        statuses, kinds = row.split("|")[1:3]
        for kind in re.findall(r"[a-z-]+", kinds):
            told[kind] = {int(status) for status in re.findall(r"\d+", statuses)}
    assert set(told) == set(KINDS)
    assert all(KINDS[kind].status in statuses for kind, statuses in told.items())
    [keys] = [block.text for block in blocks(PAGE) if block.language == "toml"]
    (tmp_path / "keys.toml").write_text(keys)
    acme = read_keys(str(tmp_path / "keys.toml")).named("acme")
    assert (
        acme is not None and acme.allowance.calls == 1000 and acme.may_call("coder/main") and not acme.may_call("x/y")
    )
