"""Programs on disk, for tests that go through the whole compiler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from masdsl import pipeline
from masdsl.check.program import Program
from masdsl.config import Grant
from masdsl.diagnostics.base import Finding
from masdsl.diagnostics.render import render_text
from masdsl.source import Source
from masdsl.testing import run_tests


def granted(*names: str) -> dict[str, Grant]:
    """The grants of a configuration in which Python functions are behind these names."""
    return {name: Grant("python", function=f"tests:{name}") for name in names}


def write(folder: Path, text: str, files: Mapping[str, str] | None = None, config: str | None = None) -> Path:
    """Write a program, the files beside it and its configuration into a folder; return the program's path.

    Without a configuration an empty one is written, so that none of a folder further up is found.
    """
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "mas.toml").write_text(config or "", encoding="utf-8")
    path = folder / "program.mas"
    path.write_text(text, encoding="utf-8")
    return path


def failing_tests(source: Source, program: Program) -> str:
    """Return what `mas test` says about the tests of a program that fail; nothing where all pass."""
    failures = [failure for outcome in run_tests(program) for failure in outcome.failures]
    return render_text([Finding(source, failure) for failure in failures]) if failures else ""


def run_report(source: Source, program: Program) -> str:
    """Return how each test of a program ended: its calls, and why it failed."""
    lines = []
    for outcome in run_tests(program):
        lines.append(f"{'passed' if outcome.passed else 'FAILED'}  {outcome.test.title}  ({outcome.calls} calls)")
        lines += [render_text([Finding(source, failure)]) for failure in outcome.failures]
    return "\n".join(lines)


def compiled(program: Program) -> str:
    """Return the text of the module that a program compiles to."""
    return pipeline.build(program).text
