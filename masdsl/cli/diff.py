"""`mas diff`: the patch that makes one program of another."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE, FOUND
from masdsl.cli.boundary import UsageError
from masdsl.cli.patching import STDOUT, costs, put, read_program, refused
from masdsl.cli.terminal import write
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.escape import escape


def run(arguments: Sequence[str]) -> int:
    """Show how two programs differ; under `--exit-code`, return 1 where they do."""
    options = _parser().parse_args(arguments)
    if options.textconv is not None:
        if options.before is not None:
            raise UsageError("`--textconv` shows one file", "leave the others out")
        return _textconv(options.textconv)
    if options.before is None or options.after is None:
        raise UsageError("two programs are compared", "write it as in mas diff before.mas after.mas")
    findings = Findings()
    before, after = read_program(options.before, findings), read_program(options.after, findings)
    if before is None or after is None:
        return refused(findings)
    from masdsl.patch.diff import NotAProgram, diff

    try:
        patch = diff(before[1], after[1])
    except NotAProgram as error:
        raise UsageError(f"`{options.after}` is no program: {error}", "`mas check` shows where") from None
    code = FOUND if patch.edits and options.exit_code else FINE
    if options.format == "json":
        from json import dumps

        from masdsl.patch.view import as_data, bounds_change

        data = as_data(patch, before[1], after[1])
        data["bounds"] = bounds_change(costs(before[0], options.before), costs(after[0], options.after))
        write(dumps(data, ensure_ascii=False, indent=2) + "\n")
    elif options.view or options.stat:
        from masdsl.patch.view import as_text, bounds_change, summary, view

        shown = view(patch, before[1])
        change = bounds_change(costs(before[0], options.before), costs(after[0], options.after))
        lines = as_text(shown) if options.view else ""
        write(escape(lines + "; ".join(part for part in (summary(shown), change) if part) + "\n", keep="\n"))
    else:
        from masdsl.syntax.print import print_document

        put(print_document(patch), options.output or STDOUT)
    return code


def _textconv(path: str) -> int:
    """Show a file in canonical layout, for `git diff`; as it is where that cannot be had."""
    from masdsl.reading import read_source
    from masdsl.syntax.format import format_source

    findings = Findings()
    source = read_source(path, findings)
    if source is None:
        return refused(findings)
    text = format_source(source, findings) if findings.ok else None
    write(source.text if text is None else text)
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas diff",
        description="Show the smallest patch that makes one program of another. Layout and comments do not count.",
    )
    parser.add_argument("before", nargs="?", metavar="BEFORE", help="a program")
    parser.add_argument("after", nargs="?", metavar="AFTER", help="another one")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the patch to a file")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--view", action="store_true", help="show what is added (+), changed (~) and dropped (-), and the bounds"
    )
    shown.add_argument("--stat", action="store_true", help="show the last line of --view alone")
    shown.add_argument("--format", choices=("text", "json"), default="text", help="json for tools")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if the programs differ")
    parser.add_argument("--textconv", metavar="FILE", help="show one file as `git diff` should compare it")
    return parser
