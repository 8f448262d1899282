"""`mas bind`: a template and a binding are a program."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.patching import STDOUT, checker, put, read_program, read_text, refused
from masdsl.diagnostics.base import Findings


def run(arguments: Sequence[str]) -> int:
    """Write the program that a template and a binding are; return 1, with the reasons, where they do not fit."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    template = read_program(options.template, findings)
    if options.show:
        return refused(findings) if template is None else _show(options, template[1])
    if options.binding is None:
        raise UsageError("a template is bound by a binding", "write it as in mas bind template.mas binding.mas")
    binding = read_text(options.binding, findings)
    if template is None or binding is None:
        return refused(findings)
    from masdsl.patch.binding import bind

    done = bind(binding, template[0], findings, checker(options.template, findings))
    if done is None or not findings.ok:
        return refused(findings)
    put(done.source.text, options.output or STDOUT)
    return FINE


def _show(options: object, program: object) -> int:
    from masdsl.patch.binding import binding_of
    from masdsl.syntax.print import print_document

    binding = binding_of(program)  # type: ignore[arg-type]
    if binding is None:
        raise UsageError("no agent of the program has a model", "there is no binding to show")
    put(print_document(binding), getattr(options, "output", None) or STDOUT)
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas bind",
        description="Assign models to the roles that a template leaves open. The result is checked like any program.",
    )
    parser.add_argument("template", metavar="TEMPLATE", help="a program with agents that have no `on`")
    parser.add_argument("binding", nargs="?", metavar="BINDING", help="a binding: `bind 1` and lines `role = tier`")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the program to a file")
    parser.add_argument("--show", action="store_true", help="show the binding of a program instead")
    return parser
