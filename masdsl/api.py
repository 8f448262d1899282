"""What a Python program does with `.mas` programs: check, format, build, load, run. Re-exported by `masdsl`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from masdsl.config import DEFAULT, Config, load_config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.emit import PyModule

Location: TypeAlias = "str | os.PathLike[str] | Source"
"""Where a program is: the path of a file, or a `Source` that holds its text. A string is always a path."""


class ProgramError(Exception):
    """A program has errors. `findings` are all of them, and its warnings; the text shows them as `mas check` does."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        from masdsl.diagnostics.render import render_text

        return "\n" + render_text(self.findings).rstrip("\n")


def check(program: Location, *, config: Config | None = None) -> tuple[Finding, ...]:
    """Return everything that is wrong or suspicious about a program; nothing is run.

    Without `config`, the nearest `mas.toml` (or `[tool.masdsl]`) upwards from the program counts; for a `Source` that
    is no file, the defaults. A file that cannot be read is a finding too.
    """
    findings = Findings()
    _check(program, config, findings)
    return findings.sorted()


def format(text: str) -> str:
    """Return a program in its canonical layout.

    Raises:
        ProgramError: the text has syntax errors.
    """
    from masdsl.pipeline import format_source
    from masdsl.reading import decode

    findings = Findings()
    source = decode("<input>", text.encode("utf-8", "surrogatepass"), findings)
    formatted = format_source(source, findings) if findings.ok else None
    if formatted is None:
        raise ProgramError(findings.sorted())
    return formatted


def build(program: Location, *, config: Config | None = None) -> str:
    """Return the Python text that a program compiles to. It needs `masdsl.runtime` alone.

    Raises:
        ProgramError: the program has errors.
    """
    return compile_program(program, config).text


def compile_program(program: Location, config: Config | None = None) -> PyModule:
    """Return a program as a verified Python module. Raises ProgramError."""
    from masdsl.pipeline import build as build_checked

    findings = Findings()
    checked, _ = _check(program, config, findings)
    if checked is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return build_checked(checked)


def _check(program: Location, config: Config | None, findings: Findings) -> tuple[Program | None, Config]:
    from masdsl.pipeline import check_file, check_source

    if isinstance(program, Source):
        if config is None:
            is_file = not program.name.startswith("<")
            config = load_config(os.path.dirname(program.name), findings) if is_file else DEFAULT
        return check_source(program, config, findings), config
    checked = check_file(os.fspath(program), findings, config)
    return checked.program, checked.config
