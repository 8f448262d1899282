"""`mas serve`: a playground for programs, or programs as an HTTP service."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError, guarded
from masdsl.cli.inputs import tier_change
from masdsl.cli.keeping import add_journal_option, told
from masdsl.cli.run import load_for_run
from masdsl.cli.terminal import exit_code, print_findings, write
from masdsl.config import load_config
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.escape import escape
from masdsl.loaded import LoadedProgram

if TYPE_CHECKING:
    from masdsl.serve import server


def run(arguments: Sequence[str]) -> int:
    """Serve a playground, or the flows of programs, until a signal ends it.

    Returns 1 if a program of a service has errors; UsageError for wrong options, keys, names, and for what cannot be
    opened.
    """
    options = _parser().parse_args(arguments)
    _fits(options)
    if not options.api:
        from masdsl.cli.playground import play

        return play(options)
    if not options.programs:
        raise UsageError("no program is given", "name one, as in `mas serve --api hello.mas`")
    try:
        from masdsl.serve import endpoints, keys, ledger, listening, server
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "masdsl":
            raise
        raise UsageError(f"`{error.name}` is not installed", "write: pip install 'masdsl[serve]'") from error
    findings = Findings()
    programs: list[tuple[str, LoadedProgram]] = []
    try:
        for path in options.programs:
            config = tier_change(options.model)(load_config(os.path.dirname(path), findings))
            loaded = guarded(path, findings, load_for_run, path, options.script, config, findings)
            if loaded is not None:
                programs.append((endpoints.name_of(path), loaded))
        if not findings.ok or len(programs) < len(options.programs):
            print_findings([one for one in findings.sorted() if one.diagnostic.severity == ERROR], stream=sys.stderr)
            return exit_code(findings.sorted())
        with told():
            server.serve(programs, _settings(options, server.Settings()), _say)
    except listening.CannotServe as why:
        raise UsageError(str(why), why.advice) from why
    except (endpoints.BadProgram, keys.BadKeys, ledger.LedgerError) as fault:
        raise UsageError(str(fault)) from fault
    return FINE


def _settings(options: Namespace, default: server.Settings) -> server.Settings:
    _check(options)
    return default._replace(
        host=options.host,
        port=options.port,
        journal=options.journal,
        keys=options.keys,
        hosts=tuple(options.allow_host),
        at_once=options.at_once,
        most_bytes=options.max_body,
        heartbeat=options.heartbeat,
        grace=options.grace,
        stop_within=options.stop_within,
        resume_runs=options.resume_runs,
    )


OF_THE_API: Final = {
    "host": "127.0.0.1",
    "keys": None,
    "allow_host": (),
    "resume_runs": False,
    "at_once": 256,
    "max_body": 1 << 20,
    "heartbeat": 15.0,
    "grace": 15.0,
    "stop_within": 10.0,
}
"""Options of the service alone, and what holds where they are not given."""


def _fits(options: Namespace) -> None:
    """Fill in what is not given; raise UsageError for options of the other kind of service, and for a wrong port."""
    for name, default in OF_THE_API.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
        elif not options.api:
            option = f"--{name.replace('_', '-')}"
            why = "listens on this machine alone" if name in ("host", "keys", "allow_host") else "has no such option"
            raise UsageError(
                f"{option} belongs to the service for programs, and the playground {why}",
                f"leave it out, or offer flows over HTTP with: mas serve --api PROGRAM {option} ..",
            )
    if options.api and options.open:
        raise UsageError("--open opens the playground in a browser, and --api has no page", "leave one of them out")
    if not 0 <= options.port <= 65_535:
        raise UsageError(f"--port is {options.port:g}", "give a number from 0 to 65535")


def _check(options: Namespace) -> None:
    """Raise UsageError for numbers that are out of range."""
    ranges = {
        "at_once": (1, 100_000),
        "max_body": (1, 1 << 30),
        "heartbeat": (0.1, 3600),
        "grace": (0, 86_400),
        "stop_within": (0, 86_400),
    }
    for name, (low, high) in ranges.items():
        if not low <= getattr(options, name) <= high:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is {getattr(options, name):g}", f"give a number from {low} to {high}")


def _say(line: str) -> None:
    write(f"{escape(line)}\n", sys.stderr)
    sys.stderr.flush()


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas serve",
        description="Open a program, or the programs of a folder, in a page on this machine: to write, look at and run"
        " them (docs/playground.md). With --api, serve the flows of programs over HTTP (docs/serve.md).",
    )
    parser.add_argument(
        "programs", metavar="PROGRAM", nargs="*", help="programs, such as hello.mas, or a folder of some"
    )
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0: any that is free (default: 8000)")
    parser.add_argument(
        "--model", metavar="TIER=MODEL", action="append", default=[], help="put another model behind a tier"
    )
    parser.add_argument("--script", metavar="FILE", help="take all replies from a file instead of models")
    add_journal_option(parser)
    parser.add_argument("--open", action="store_true", help="open the page in your browser")
    api = parser.add_argument_group("the service for programs")
    api.add_argument("--api", action="store_true", help="serve an HTTP API instead of the page")
    api.add_argument("--host", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    api.add_argument("--keys", metavar="FILE", help="API keys and their budgets (TOML); must be there to be reached")
    api.add_argument("--allow-host", action="append", metavar="NAME", help="a name that it answers to, behind a proxy")
    api.add_argument(
        "--resume-runs", action="store_true", default=None, help="let runs go on that were broken off (it may cost)"
    )
    api.add_argument("--at-once", type=int, metavar="N", help="runs at once at most (default: 256)")
    api.add_argument("--max-body", type=int, metavar="BYTES", help="of a request (default: 1 MiB)")
    api.add_argument("--heartbeat", type=float, metavar="S", help="seconds between signs of life of a stream")
    api.add_argument("--grace", type=float, metavar="S", help="seconds for runs to end by themselves")
    api.add_argument("--stop-within", type=float, metavar="S", help="seconds for calls under way after that")
    return parser
