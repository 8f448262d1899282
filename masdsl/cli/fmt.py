"""`mas fmt`: write programs in their one layout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import guarded
from masdsl.cli.files import STDIN, find_programs, read_stdin
from masdsl.cli.terminal import exit_code, print_findings, say, write
from masdsl.diagnostics.base import Finding, Findings
from masdsl.syntax.format import format_source


class _Options(NamedTuple):
    paths: Sequence[str] = ()
    check: bool = False
    diff: bool = False


def run(arguments: Sequence[str]) -> int:
    """Format the programs that the arguments name.

    Returns 1 if a program cannot be parsed, or, under `--check` and `--diff`, which change nothing, if one would
    change.
    """
    options = _options(arguments)
    if STDIN in options.paths:
        return _format_stdin(options)
    faults: list[Finding] = []
    changed = 0
    paths = find_programs(options.paths)
    for path in paths:
        findings = Findings()
        texts = guarded(path, findings, _formatted, path, findings)
        faults.extend(findings.sorted())
        if texts is None or texts[0] == texts[1]:
            continue
        changed += 1
        if options.diff:
            write(_diff(path, *texts))
        elif options.check:
            say(f"would change {path}")
        else:
            from masdsl.cli.writing import replace_text

            replace_text(path, texts[1])
            say(f"changed {path}")
    print_findings(faults, stream=sys.stderr)
    if not faults and not options.diff:
        verb = "would change" if options.check else "changed"
        write(f"{changed} of {len(paths)} program{'s' if len(paths) != 1 else ''} {verb}\n")
    return exit_code(faults) or (FOUND if changed and (options.check or options.diff) else FINE)


def _formatted(path: str, findings: Findings) -> tuple[str, str] | None:
    """Return the text as it is and as it should be; None with findings where it cannot be told."""
    from masdsl.reading import read_source

    source = read_source(path, findings)
    text = None if source is None or not findings.ok else format_source(source, findings)
    if text is None:
        return None
    with open(path, "rb") as file:  # line ends and a byte-order mark are part of the layout as well
        return file.read().decode("utf-8"), text


def _format_stdin(options: _Options) -> int:
    findings = Findings()
    source = read_stdin(findings)
    text = guarded(source.name, findings, format_source, source, findings) if findings.ok else None
    if text is None:
        print_findings(findings.sorted(), stream=sys.stderr)
        return FOUND
    if options.diff:
        write(_diff(source.name, source.text, text))
    elif options.check:
        write("" if source.text == text else f"would change {source.name}\n")
    else:
        write(text)
    return FOUND if source.text != text and (options.check or options.diff) else FINE


def _diff(path: str, before: str, after: str) -> str:
    from difflib import unified_diff

    from masdsl.diagnostics.escape import escape

    lines = unified_diff(before.split("\n"), after.split("\n"), path, path, "now", "formatted", lineterm="")
    return "".join(escape(line, keep="\t") + "\n" for line in lines)


def _options(arguments: Sequence[str]) -> _Options:
    if not any(argument.startswith("-") and argument != STDIN for argument in arguments):
        return _Options(arguments)
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="mas fmt", description="Write programs in their one layout. Comments stay.")
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="programs or folders; - formats standard input to standard output"
    )
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if something would change")
    parser.add_argument("--diff", action="store_true", help="change nothing, show what would change")
    given = parser.parse_args(arguments)
    return _Options(given.paths, given.check, given.diff)
