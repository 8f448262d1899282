"""Quoted sessions: `console` blocks of Markdown pages, where `$ mas ...` is a command and the rest its output."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from masdsl.cli import main
from tests.harness.markdown import blocks

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT = re.compile(r"^\$ ", re.MULTILINE)


class Quote(NamedTuple):
    """A command that a page quotes, with what it says that the command prints."""

    page: Path
    command: str
    output: str


def quotes(page: Path) -> list[Quote]:
    """Return all commands that a page quotes."""
    found = []
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "console":
            for session in _PROMPT.split(block.text)[1:]:
                command, _, output = session.partition("\n")
                found.append(Quote(page, command, output.rstrip("\n")))
    return found


def requoted(text: str, printed: Callable[[str, str], str]) -> str:
    """Return a page with every output as `printed(command, old output)` gives it."""

    def block(match: re.Match[str]) -> str:
        sessions = []
        for session in _PROMPT.split(match[1])[1:]:
            command, _, output = session.partition("\n")
            sessions.append(f"$ {command}\n{printed(command, output.rstrip())}\n")
        return "```console\n" + "\n".join(sessions) + "```"

    return _BLOCK.sub(block, text)


def run(command: str, folder: Path) -> tuple[int, str]:
    """Run `mas ...` in a folder, in this process; return the exit code and what it prints."""
    program, *arguments = shlex.split(command)
    assert program == "mas", command
    output = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            code = main(arguments)
    finally:
        os.chdir(before)
    return code, output.getvalue().rstrip("\n")


def is_run(command: str) -> bool:
    """Whether the command asks a model, so that what it prints depends on it."""
    return command.startswith("mas run ")
