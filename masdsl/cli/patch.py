"""`mas patch`: change a program by a patch, whole or not at all."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.patching import STDOUT, checker, put, read_program, read_text, refused
from masdsl.cli.terminal import say
from masdsl.diagnostics.base import Findings


def run(arguments: Sequence[str]) -> int:
    """Apply a patch to a program; return 1, with the reasons, where it is refused. Then nothing is written."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    patch = read_text(options.patch, findings)
    program = read_program(options.program, findings)
    if patch is None or program is None:
        return refused(findings)
    from masdsl.patch.patching import apply_patch

    source, before = program
    done = apply_patch(patch, source, findings, checker(options.program, findings))
    if done is None or not findings.ok:
        return refused(findings)
    if options.reverse:
        from masdsl.patch.diff import diff
        from masdsl.syntax.print import print_document

        put(print_document(diff(done.program, before)), options.output or STDOUT)
        return FINE
    changes = done.source.text != source.text
    if options.check:
        say(f"would change {options.program}" if changes else f"{options.program} would stay as it is")
        return FINE
    target = options.output or options.program
    if changes or options.output:
        put(done.source.text, target, f"changed {target}")
    else:
        say(f"{target} stays as it is")
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas patch",
        description="Change a program by a patch. The result is checked; a patch that makes it wrong is refused.",
    )
    parser.add_argument("patch", metavar="PATCH", help="a patch, as `mas diff` writes it")
    parser.add_argument("program", metavar="PROGRAM", help="the program that it changes")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the result elsewhere; - is standard output")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing, exit with 1 if the patch is refused")
    what.add_argument(
        "--reverse", action="store_true", help="leave the program, and write the patch that would undo this one"
    )
    return parser
