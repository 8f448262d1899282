"""`mas fix`: apply the changes that diagnostics offer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.files import STDIN, find_programs, read_stdin
from masdsl.cli.terminal import exit_code, print_findings, write
from masdsl.config import Config, find_config, load_config, shown_path
from masdsl.diagnostics.base import SUGGESTED, Finding, Findings
from masdsl.diagnostics.escape import escape
from masdsl.diagnostics.internal import InternalError
from masdsl.fixes import Mended, State, mend
from masdsl.source import Source

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Options(NamedTuple):
    paths: Sequence[str]
    suggested: bool
    diff: bool
    check: bool

    @property
    def only_shows(self) -> bool:
        return self.diff or self.check


def run(arguments: Sequence[str]) -> int:
    """Mend the programs that the arguments name, and the configurations that hold for them.

    Returns 1 if, under `--check` and `--diff`, which change nothing, something would change, or if a change that should
    be safe had to be taken back; 2 if a file cannot be read.
    """
    options = _options(arguments)
    if STDIN in options.paths:
        return _mend_stdin(options)
    findings = Findings()
    paths = find_programs(options.paths)
    tally = _Tally(options)
    for path in _configurations(paths):
        done = guarded(path, findings, _mend_file, path, shown_path(path), _config_check(path), findings, options)
        tally.add(done)
    configs: dict[str, Config] = {}
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in configs:
            configs[folder] = load_config(folder, Findings())  # what is wrong with it is not mended here
        done = guarded(path, findings, _mend_file, path, path, _program_check(configs[folder]), findings, options)
        tally.add(done)
    faults = [*findings.sorted(), *tally.faults]
    print_findings(faults, stream=sys.stderr)
    if not options.diff:
        write(tally.summary())
    return exit_code(faults) or (FOUND if options.only_shows and tally.files else FINE)


class _Tally:
    """What was done to all files."""

    def __init__(self, options: _Options) -> None:
        self._options = options
        self.files = 0
        self._looked_at = 0
        self.applied = 0
        self.suggestions = 0
        self.faults: list[Finding] = []

    def add(self, done: Mended | None) -> None:
        """Count what was done to one more file, and tell of it."""
        self._looked_at += 1
        if done is None:
            return
        self.files += bool(done.applied)
        self.applied += len(done.applied)
        self.faults += _faults(done)
        self.suggestions += sum(
            fix is not None and fix.applicability == SUGGESTED for fix in (one.diagnostic.fix() for one in done.left)
        )
        if not self._options.diff:
            write(_told(done, "would fix" if self._options.check else "fixed"))

    def summary(self) -> str:
        """Return the last lines."""
        verb = "would be fixed" if self._options.check else "fixed"
        lines = f"{_counted(self.applied, 'problem')} {verb} in {self.files} of {_counted(self._looked_at, 'file')}\n"
        if self.suggestions and not self._options.suggested:
            lines += f"{_counted(self.suggestions, 'more change')} suggested: `mas fix --suggested --diff` shows what\n"
        return lines


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _told(done: Mended, verb: str) -> str:
    name = escape(done.source.name)
    codes = ", ".join(sorted({finding.diagnostic.code for finding in done.applied}))
    lines = [f"{verb} {_counted(len(done.applied), 'problem')} in {name} ({codes})\n"] if done.applied else []
    for finding, reason, _ in done.refused:
        line, column = finding.source.position(finding.diagnostic.span.start)
        lines.append(f"{name}:{line}:{column}: {finding.diagnostic.code} stays: {reason}\n")
    return "".join(lines)


def _faults(done: Mended) -> Iterator[Finding]:
    """Yield what masdsl did wrong: changes that it called safe and that had to be taken back."""
    for refused in done.refused:
        if refused.is_fault:
            source, diagnostic = refused.finding
            what = f"its change for {diagnostic.code} had to be taken back ({refused.reason})"
            yield Finding(source, InternalError(what, f"fix of {diagnostic.code}", span=diagnostic.span))


# ---------------------------------------------------------------- one file


def _mend_file(
    path: str, name: str, check: Callable[[Source], State], findings: Findings, options: _Options
) -> Mended | None:
    """Mend the file at `path`, which messages call `name`; None where it cannot be read or is no text."""
    from masdsl.reading import decode, read_bytes

    data = read_bytes(path, findings)
    if data is None:
        return None
    source = decode(name, data, Findings())
    before = _text(data)
    if before is None or before.replace("\r\n", "\n") != source.text:
        return Mended(source, (), (), ())  # not UTF-8, or too large: what was read is not the whole of it
    done = mend(source, check, suggested=options.suggested)
    if done.source.text == source.text:
        return done
    if options.diff:
        write(_diff(source, done.source))
    if not options.only_shows:
        _replace(path, data, done.source.text)
    return done


def _text(data: bytes) -> str | None:
    try:
        return data.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _replace(path: str, data: bytes, text: str) -> None:
    """Write a text in place of what was read; line ends and a byte-order mark stay as they are there."""
    from masdsl.cli.writing import replace_text

    with open(path, "rb") as file:
        if file.read() != data:
            raise UsageError(f"`{path}` has changed meanwhile, and stays as it is", "run `mas fix` again")
    if data.count(b"\r\n") * 2 > data.count(b"\n"):
        text = text.replace("\n", "\r\n")
    replace_text(path, ("\ufeff" if data.startswith(BYTE_ORDER_MARK) else "") + text)


def _mend_stdin(options: _Options) -> int:
    """Write what standard input holds, mended, to standard output; all else goes to standard error."""
    findings = Findings()
    source = read_stdin(findings)
    if not all(finding.diagnostic.fix() for finding in findings.sorted()):
        print_findings(findings.sorted(), stream=sys.stderr)
        return FOUND
    done = mend(source, _program_check(load_config("", Findings())), suggested=options.suggested)
    write(_told(done, "would fix" if options.only_shows else "fixed"), sys.stderr)
    faults = list(_faults(done))
    print_findings(faults, stream=sys.stderr)
    if options.diff:
        write(_diff(source, done.source))
    elif not options.check:
        write(done.source.text)
    return exit_code(faults) or (FOUND if options.only_shows and done.applied else FINE)


def _diff(before: Source, after: Source) -> str:
    from difflib import unified_diff

    lines = unified_diff(
        before.text.split("\n"), after.text.split("\n"), before.name, after.name, "now", "fixed", lineterm=""
    )
    return "".join(escape(line, keep="\t") + "\n" for line in lines)


# ---------------------------------------------------------------- checks


def _program_check(config: Config) -> Callable[[Source], State]:
    """Return what checks a version of a program, and bounds it where it has no errors."""

    def check(source: Source) -> State:
        from masdsl.bounds.flows import bound
        from masdsl.bounds.rates import prices_of
        from masdsl.pipeline import check_source

        findings = Findings()
        program = check_source(source, config, findings)
        if program is None:
            return State(findings.sorted())
        bounds = bound(program, prices_of(program, config, None)).flows
        return State(findings.sorted(), {key: (*one.most, one.seconds) for key, one in bounds.items()})

    return check


def _configurations(paths: Sequence[str]) -> list[str]:
    """Return the configuration files that hold for programs."""
    folders = dict.fromkeys(os.path.dirname(path) for path in paths)
    return [path for path in dict.fromkeys(map(find_config, folders)) if path is not None]


def _config_check(path: str) -> Callable[[Source], State]:
    def check(source: Source) -> State:
        from masdsl.config.reader import parse_config

        findings = Findings()
        parse_config(source, path, findings)
        return State(findings.sorted())

    return check


def _options(arguments: Sequence[str]) -> _Options:
    from argparse import ArgumentParser

    parser = ArgumentParser(
        prog="mas fix",
        description="Apply the changes that `mas check` offers, to programs and to the configuration that holds for "
        "them. Every change is checked, and taken back where it would make an error or a higher bound.",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="programs, or folders of them (default: this folder); - mends standard input to standard output",
    )
    parser.add_argument(
        "--suggested", action="store_true", help="also changes that are a guess, or change what the program does"
    )
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if something would change")
    parser.add_argument("--diff", action="store_true", help="change nothing, show what would change")
    given = parser.parse_args(arguments)
    return _Options(given.paths, given.suggested, given.diff, given.check)
