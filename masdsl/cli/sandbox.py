"""`mas sandbox`: where model-written Python would be run on this machine, and running some there."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from masdsl.cli import FAILED, FINE, NO_SANDBOX
from masdsl.cli.boundary import UsageError
from masdsl.cli.terminal import exit_code, print_findings, say, write
from masdsl.diagnostics.base import Findings

if TYPE_CHECKING:
    from masdsl.diagnostics.sandbox import SandboxedProgramFailed, SandboxLimit
    from masdsl.sandbox import Failure, Result, Rung
    from masdsl.source import Source


def run(arguments: Sequence[str]) -> int:
    """Show the ladder, each tier tested, or run a file in it; 6 where no tier works, 4 where the program fails."""
    options = _parser().parse_args(arguments)
    return _run(options) if options.action == "run" else _show(options.json)


def _parser() -> ArgumentParser:
    from masdsl.sandbox import TIERS, Limits

    parser = ArgumentParser(
        prog="mas sandbox",
        description="Show in which sandbox model-written Python is run on this machine. Every tier is tested: a "
        "program in it tries what no program may do.",
    )
    parser.set_defaults(action="show")
    parser.add_argument("--json", action="store_true", help="print the tiers, and which is used, as JSON")
    commands = parser.add_subparsers(dest="action", metavar="COMMAND")
    run = commands.add_parser("run", help="run a Python file in the sandbox", description="Run a Python file there.")
    run.add_argument("file", metavar="FILE", help="the program")
    run.add_argument("--tests", metavar="FILE", help="assertions that are run after it")
    run.add_argument("--entry", metavar="NAME", help="call this function of it, or give it to `check` of the tests")
    run.add_argument("--arguments", metavar="JSON", default="[]", help="what the function is called with, a list")
    run.add_argument("--tier", choices=TIERS, help="insist on a tier; default: the first that works")
    run.add_argument("--seconds", type=float, default=Limits().seconds, help="wall time (default: %(default)g)")
    run.add_argument("--json", action="store_true", dest="result", help="print the result as JSON")
    return parser


def _show(as_json: bool) -> int:
    from masdsl.sandbox import ladder

    rungs = ladder()
    used = next((rung.name for rung in rungs if rung.works), None)
    if as_json:
        import json

        tiers = [rung._asdict() for rung in rungs]
        write(json.dumps({"used": used, "tiers": tiers}, indent=2) + "\n")
    else:
        width = max(len(rung.name) for rung in rungs)
        for rung in rungs:
            say(f"{rung.name.ljust(width)}  {_told(rung)}")
        say(f"model-written Python runs in: {used}" if used else "model-written Python is not run (mas explain MAS940)")
    return FINE if used else NO_SANDBOX


def _told(rung: Rung) -> str:
    from masdsl.sandbox.probes import PROBES

    if not rung.works:
        return f"does not work: {rung.reason}"
    stopped = len(PROBES) - len(rung.open)
    but = f", lets through: {', '.join(rung.open)}" if rung.open else ""
    return f"works: stopped {stopped} of {len(PROBES)} attempts{but}; tested in {rung.seconds:.2f} s"


def _run(options: Namespace) -> int:
    from masdsl.reading import read_source
    from masdsl.sandbox import Limits, SandboxRefused, ladder, run_python_sync

    findings = Findings()
    program = read_source(options.file, findings)
    tests = read_source(options.tests, findings) if options.tests else None
    if program is None or not findings.ok:
        print_findings(findings.sorted(), stream=sys.stderr)
        return exit_code(findings.sorted())
    if not options.seconds > 0:
        raise UsageError("--seconds is the time that the program has", "give a number above 0")
    try:
        result = run_python_sync(
            program.text,
            entry_point=options.entry,
            arguments=_arguments(options.arguments),
            tests=tests.text if tests is not None else None,
            limits=Limits(seconds=options.seconds),
            tier=options.tier,
        )
    except SandboxRefused as refused:
        from masdsl.diagnostics.sandbox import NoSandbox

        lacking = [(one.name, one.reason) for one in ladder() if not one.works and options.tier in (None, one.name)]
        findings.add(_whole(program), NoSandbox(tuple(lacking) or ((options.tier or "", str(refused)),)))
        print_findings(findings.sorted(), stream=sys.stderr)
        return NO_SANDBOX
    if options.result:
        _print_json(result)
    else:
        _print(result)
    if result.error is not None:
        about = tests if tests is not None and result.error.where == "tests" else program
        findings.add(about if result.error.line else _whole(about), _diagnostic(result.error, about))
        print_findings(findings.sorted(), stream=sys.stderr)
    return FINE if result.ok else FAILED


def _whole(source: Source) -> Source:
    """Return the source for a finding that is about all of a file, so that no line of it is shown."""
    return type(source)(source.name, "")


def _arguments(text: str) -> list[object]:
    import json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--arguments is not JSON: {error}", "write a list, such as '[1, \"a\"]'") from error
    if not isinstance(value, list):
        raise UsageError("--arguments is no list", "write a list, such as '[1, \"a\"]'")
    return value


def _print(result: Result) -> None:
    """Print what the program printed, and after it the value or how its tests went."""
    from masdsl.diagnostics.escape import escape

    # A program in a sandbox must not speak to the terminal either.
    write(escape(result.stdout, keep="\n\t"))
    write(escape(result.stderr, keep="\n\t"), sys.stderr)
    if result.stdout and not result.stdout.endswith("\n"):
        write("\n")
    if result.value is not None:
        import json

        say(json.dumps(result.value, ensure_ascii=False))
    if result.passed or result.failed:
        say(f"{result.passed} assertions passed, {result.failed} failed, in {result.tier}")


def _print_json(result: Result) -> None:
    import json

    error = result.error._asdict() | {"code": result.error.code} if result.error is not None else None
    write(json.dumps(result._asdict() | {"error": error}, indent=2) + "\n")


def _diagnostic(failure: Failure, about: Source) -> SandboxLimit | SandboxedProgramFailed:
    from masdsl.diagnostics.sandbox import SandboxedProgramFailed, SandboxLimit
    from masdsl.node import NOWHERE, Span

    span = NOWHERE
    if 0 < failure.line <= about.line_count:
        line = about.line(failure.line)
        start = about.offset(failure.line) + len(line) - len(line.lstrip())
        span = Span(start, max(start, about.offset(failure.line) + len(line.rstrip())))
    if failure.code == SandboxLimit.code:
        return SandboxLimit(failure.message, span=span)
    return SandboxedProgramFailed(failure.message, span=span)
