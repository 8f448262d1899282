"""`mas bind`: a template and a binding are a program."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.patching import STDOUT, checker, put, read_program, read_text, refused
from masdsl.diagnostics.base import Findings
from masdsl.source import Source


def run(arguments: Sequence[str]) -> int:
    """Write the program that a template and a binding are; return 1, with the reasons, where they do not fit."""
    options = _parser().parse_args(arguments)
    findings = Findings()
    template = read_program(options.template, findings)
    if options.show:
        return refused(findings) if template is None else _show(options, template[1])
    if options.auto:
        return refused(findings) if template is None else _auto(options, template[0], findings)
    if options.binding is None:
        advice = "write it as in mas bind template.mas binding.mas, or let one be written: mas bind --auto template.mas"
        raise UsageError("a template is bound by a binding", advice)
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


def _auto(options: Namespace, template: Source, findings: Findings) -> int:
    """Let a model (or rules) write the binding; print the program, or with --dry-run the binding alone."""
    if options.binding is not None:
        raise UsageError("with --auto the binding is written for you", "leave the file of the binding out")
    from masdsl.cli.designing import host_of, tell_notes
    from masdsl.meta.binding import assign
    from masdsl.meta.host import BadTask
    from masdsl.meta.queries import wait
    from masdsl.meta.team import Player

    host = host_of(options, os.path.dirname(options.template))
    player: Player = "rules" if options.dry_run or options.implementer == "rules" else "model"
    try:
        assigned = wait(lambda: assign(template.text, host, options.query, player, options.designer, options.seed))
    except BadTask as fault:
        raise UsageError(str(fault)) from fault
    if not assigned.binding:
        raise UsageError(
            f"no binding was found: {assigned.reason}", "write one, or give the budget or the pool more room"
        )
    if options.json:
        from json import dumps

        put(dumps(assigned.to_json(), indent=2) + "\n", options.output or STDOUT)
        return FINE
    from masdsl.patch.binding import bind

    done = bind(Source("<binding>", assigned.binding), template, findings, checker(options.template, findings))
    if done is None or not findings.ok:
        return refused(findings)
    put(assigned.binding if options.dry_run else done.source.text, options.output or STDOUT)
    tell_notes(assigned.notes)
    if options.explain:
        tell_notes((f"{assigned.by}: {assigned.reason}", *assigned.binding.splitlines()[1:]))
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
    parser.add_argument("--auto", action="store_true", help="let the binding be written, for the tiers that are here")
    auto = parser.add_argument_group("with --auto")
    auto.add_argument("--query", metavar="TEXT", default="", help="what the system is for")
    auto.add_argument(
        "--implementer", choices=("model", "rules"), default="model", help="who writes it (default: a model)"
    )
    auto.add_argument("--designer", metavar="TIER", default="smart", help="the tier of that model (default: smart)")
    auto.add_argument("--model", metavar="TIER=MODEL", action="append", default=[], help="another model behind a tier")
    auto.add_argument("--script", metavar="FILE", help="take all replies from a file instead of models")
    auto.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another binding (default: 0)")
    auto.add_argument("--explain", action="store_true", help="tell why the roles are bound so")
    auto.add_argument("--json", action="store_true", help="print binding, program and reasons as JSON")
    auto.add_argument("--dry-run", action="store_true", help="ask no model, and print the binding alone")
    return parser
