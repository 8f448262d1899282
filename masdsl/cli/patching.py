"""What the commands about patches share: reading programs, checking what comes of a patch, writing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from masdsl.cli import FINE, FOUND
from masdsl.cli.terminal import exit_code, print_findings, say, write
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax import ast

if TYPE_CHECKING:
    from masdsl.check.program import Program

STDOUT = "-"


def read_text(path: str, findings: Findings) -> Source | None:
    """Return a text; None, with findings, where it cannot be read."""
    from masdsl.reading import read_source

    source = read_source(path, findings)
    return source if findings.ok else None


def read_program(path: str, findings: Findings) -> tuple[Source, ast.Program] | None:
    """Return a program's text and tree; None, with findings, where it has syntax errors or cannot be read."""
    from masdsl.syntax.parse import parse_program

    source = read_text(path, findings)
    parsed = None if source is None else parse_program(source, findings)
    if source is None or parsed is None or not parsed.ok:
        return None
    assert isinstance(parsed.document, ast.Program)
    return source, parsed.document


def checker(path: str, findings: Findings) -> Callable[[Source, Findings], object]:
    """Return what checks a program under the configuration of the folder of `path`, whose faults are findings."""
    from masdsl.pipeline import check_source

    config: Config = load_config(os.path.dirname(path), findings)

    def check(source: Source, found: Findings) -> Program | None:
        return check_source(source, config, found)

    return check


def costs(source: Source, path: str) -> dict[str, Any] | None:
    """Return what a program costs, as `pipeline.cost_report` says; None where it has errors."""
    from masdsl.pipeline import Checked, check_source, cost_report

    findings = Findings()
    config = load_config(os.path.dirname(path), findings)
    return cost_report(Checked(source, check_source(source, config, findings), config))


def put(text: str, target: str, said: str = "") -> None:
    """Write a text to a file, or to standard output for `-`; what was done is told in the first case."""
    if target == STDOUT:
        write(text)
        return
    from masdsl.cli.writing import replace_text

    replace_text(target, text)
    say(said or f"wrote {target}")


def refused(findings: Findings, form: str = "text") -> int:
    """Tell findings and return the exit code for a command that gave no result."""
    code = exit_code(findings.sorted())
    print_findings(findings.sorted(), form, stream=sys.stderr if form == "text" else None)
    return code if code != FINE else FOUND
