"""`mas serve`: programs as an HTTP service."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    """Serve the flows of programs until a signal ends it.

    Returns 1 if a program has errors; UsageError for wrong options, keys, names, and for what cannot be opened.
    """
    options = _parser().parse_args(arguments)
    if not options.api:
        raise UsageError(
            "`mas serve` without --api is kept for a playground that does not exist yet",
            "serve programs over HTTP with: mas serve --api PROGRAM",
        )
    if not options.programs:
        raise UsageError("no program is given", "name one, as in `mas serve --api hello.mas`")
    try:
        from masdsl.serve import endpoints, keys, ledger, server
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
    except server.CannotServe as why:
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


def _check(options: Namespace) -> None:
    """Raise UsageError for numbers that are out of range."""
    ranges = {
        "port": (0, 65_535),
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
    parser = ArgumentParser(prog="mas serve", description="Serve the flows of programs over HTTP (docs/serve.md).")
    parser.add_argument("--api", action="store_true", help="serve an HTTP API (the only kind of service there is yet)")
    parser.add_argument("programs", metavar="PROGRAM", nargs="*", help="programs, such as hello.mas")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0: any that is free (default: 8000)")
    parser.add_argument("--keys", metavar="FILE", help="API keys and their budgets (TOML); must be there to be reached")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that it answers to, behind a proxy"
    )
    parser.add_argument("--resume-runs", action="store_true", help="let runs go on that were broken off (it may cost)")
    parser.add_argument("--at-once", type=int, default=256, metavar="N", help="runs at once at most (default: 256)")
    parser.add_argument("--max-body", type=int, default=1 << 20, metavar="BYTES", help="of a request (default: 1 MiB)")
    parser.add_argument(
        "--heartbeat", type=float, default=15.0, metavar="S", help="seconds between signs of life of a stream"
    )
    parser.add_argument("--grace", type=float, default=15.0, metavar="S", help="seconds for runs to end by themselves")
    parser.add_argument(
        "--stop-within", type=float, default=10.0, metavar="S", help="seconds for calls under way after that"
    )
    parser.add_argument(
        "--model", metavar="TIER=MODEL", action="append", default=[], help="put another model behind a tier"
    )
    parser.add_argument("--script", metavar="FILE", help="take all replies from a file instead of models")
    add_journal_option(parser)
    return parser
