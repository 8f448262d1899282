"""`mas build`: compile a program to a Python file that needs `masdsl.runtime` alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from masdsl.cli import FOUND
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.terminal import exit_code, print_findings, say, write
from masdsl.diagnostics.base import Findings

STDOUT = "-"


class _Options(NamedTuple):
    paths: Sequence[str]
    output: str | None = None
    check: bool = False


def run(arguments: Sequence[str]) -> int:
    """Compile each program to its file; under `--check`, compare instead and return 1 where a file is out of date."""
    options = _options(arguments)
    if options.output is not None and len(options.paths) > 1:
        raise UsageError("-o names one file, but there are several programs", "build them one by one")
    findings = Findings()
    stale = False
    for path in options.paths:
        text = guarded(path, findings, _python, path, findings)
        if text is None:
            continue
        target = options.output or output_path(path)
        if target == STDOUT:
            write(text)
        elif options.check:
            state = _state(target, text)
            stale = stale or state != "up to date"
            say(f"{target}: {state}")
        elif _state(target, text) != "up to date":
            from masdsl.cli.writing import replace_text

            replace_text(target, text)
            say(f"wrote {target}")
        else:
            say(f"{target} is up to date")
    print_findings(findings.sorted(), stream=sys.stderr)
    return FOUND if stale else exit_code(findings.sorted())


def output_path(path: str) -> str:
    """Return where a program is compiled to: `coder.mas` to `coder_mas.py`, which Python can import, in the same
    folder.
    """
    folder, name = os.path.split(path)
    stem = name.removesuffix(".mas")
    return os.path.join(folder, "".join(letter if letter.isalnum() else "_" for letter in stem) + "_mas.py")


def _python(path: str, findings: Findings) -> str | None:
    from masdsl.pipeline import build, check_file

    program = check_file(path, findings).program
    return None if program is None or not findings.ok else build(program).text


def _state(target: str, text: str) -> str:
    try:
        with open(target, "rb") as file:
            return "up to date" if file.read() == text.encode("utf-8") else "out of date; `mas build` writes it anew"
    except FileNotFoundError:
        return "missing; `mas build` writes it"


def _options(arguments: Sequence[str]) -> _Options:
    if arguments and not any(argument.startswith("-") for argument in arguments):
        return _Options(arguments)
    from argparse import ArgumentParser

    parser = ArgumentParser(
        prog="mas build", description="Compile programs to Python. x.mas becomes x_mas.py beside it."
    )
    parser.add_argument("paths", nargs="+", metavar="PROGRAM", help="programs")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write; - is standard output")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit with 1 if a file is missing or out of date"
    )
    given = parser.parse_args(arguments)
    return _Options(given.paths, given.output, given.check)
