"""What the formats for machines know beside the findings: the command, the files, the tests, what was allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from masdsl.diagnostics.base import Diagnostic, Suppressed
from masdsl.source import Source


class TestRun(NamedTuple):
    """A test of a program that was run: where its title stands, how long it took in seconds, and what failed in it."""

    source: Source
    line: int
    title: str
    seconds: float
    failures: tuple[Diagnostic, ...]


class About(NamedTuple):
    """What a command did.

    `command` is its name and `arguments` are those it was given; `exit_code` is the one it ends with. `files` are the
    programs that it looked at, by name. `tests` are those that it ran, None where it runs none. `suppressed` are the
    findings that are allowed.
    """

    command: str = "check"
    arguments: Sequence[str] = ()
    exit_code: int = 0
    files: Sequence[str] = ()
    tests: Sequence[TestRun] | None = None
    suppressed: Sequence[Suppressed] = ()
