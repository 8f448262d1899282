"""`mas fmt`: write programs in their one layout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.files import STDIN, find_programs, read_stdin
from masdsl.cli.terminal import FAIL_ON, FORMATS, exit_code, print_findings, say, write
from masdsl.cli.trees import Outcome, over
from masdsl.diagnostics.base import Finding, Findings
from masdsl.syntax.format import format_source, layout_finding


class _Options(NamedTuple):
    paths: Sequence[str] = ()
    check: bool = False
    diff: bool = False
    form: str = "text"
    fail_on: str = "error"
    jobs: int | None = None


class _Formatting(NamedTuple):
    """A `Work` whose value says how a program would change: the difference under `--diff`, else the new text; empty
    where nothing would change. Under `--check` it is enough that something would; in other formats than text that is a
    finding.
    """

    options: _Options
    weight: int = 1

    def known(self, path: str) -> Outcome[str] | None:
        """Nothing is kept of layouts."""
        return None

    def done(self, path: str) -> Outcome[str]:
        """Lay out the program at `path`; the file stays as it is."""
        findings = Findings()
        change = guarded(path, findings, self._change, path, findings)
        return Outcome(path, findings.sorted(), (), change)

    def _change(self, path: str, findings: Findings) -> str | None:
        from masdsl.reading import decode, read_bytes

        data = read_bytes(path, findings)
        source = None if data is None else decode(path, data, findings)
        text = None if source is None or not findings.ok else format_source(source, findings)
        if data is None or source is None or text is None:
            return None
        before = data.decode("utf-8")  # line ends and a byte-order mark are part of the layout as well
        if before == text:
            return ""
        if self.options.diff:
            return _diff(path, before, text)
        if self.options.check and self.options.form != "text":
            findings.add(*layout_finding(source, text))
        return "changed" if self.options.check else text


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
    for path, findings, _, change in over(paths, _Formatting(options), jobs=options.jobs):
        faults.extend(findings)
        if not change:
            continue
        changed += 1
        if options.diff:
            write(change)
        elif not options.check:
            from masdsl.cli.writing import replace_text

            replace_text(path, change)
            say(f"changed {path}")
        elif options.form == "text":
            say(f"would change {path}")
    fails = changed and (options.check or options.diff) and options.fail_on != "never"
    code = exit_code(faults, options.fail_on) or (FOUND if fails else FINE)
    if options.form != "text":
        from masdsl.diagnostics.report import About

        print_findings(faults, options.form, about=About("fmt", arguments, code, paths))
        return code
    print_findings(faults, stream=sys.stderr)
    if not faults and not options.diff:
        verb = "would change" if options.check else "changed"
        write(f"{changed} of {len(paths)} program{'s' if len(paths) != 1 else ''} {verb}\n")
    return code


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
    fails = source.text != text and (options.check or options.diff) and options.fail_on != "never"
    return FOUND if fails else FINE


def _diff(path: str, before: str, after: str) -> str:
    from difflib import unified_diff

    from masdsl.diagnostics.escape import escape

    lines = unified_diff(before.split("\n"), after.split("\n"), path, path, "now", "formatted", lineterm="")
    return "".join(escape(line, keep="\t") + "\n" for line in lines)


def _options(arguments: Sequence[str]) -> _Options:
    if not any(argument.startswith("-") and argument != STDIN for argument in arguments):
        return _Options(arguments)
    from argparse import ArgumentParser

    from masdsl.cli.trees import add_jobs_option

    parser = ArgumentParser(prog="mas fmt", description="Write programs in their one layout. Comments stay.")
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="programs or folders; - formats standard input to standard output"
    )
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if something would change")
    parser.add_argument("--diff", action="store_true", help="change nothing, show what would change")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how --check says which would change")
    parser.add_argument(
        "--fail-on", choices=FAIL_ON, default="error", help="never: --check and --diff only tell (default: error)"
    )
    add_jobs_option(parser)
    given = parser.parse_args(arguments)
    if given.format != "text" and (given.diff or not given.check or STDIN in given.paths):
        raise UsageError("`--format` says how `mas fmt --check` reports on files", "leave it out, or add --check")
    return _Options(given.paths, given.check, given.diff, given.format, given.fail_on, given.jobs)
