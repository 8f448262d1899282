"""`mas replay`: a kept run once more, from its journal alone: no model and no tool is called."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FAILED, FINE
from masdsl.cli.boundary import guarded
from masdsl.cli.keeping import add_journal_option, changes_of, folder_of_run, opened, stored_program, told
from masdsl.cli.progress import add_progress_option, watched
from masdsl.cli.run import print_json, print_value
from masdsl.cli.terminal import exit_code, print_error, print_findings
from masdsl.config import load_config
from masdsl.diagnostics.base import ERROR, Findings


def run(arguments: Sequence[str]) -> int:
    """Replay a run and print its value; return 4 where it failed, or where the journal lacks something."""
    options = _parser().parse_args(arguments)
    journal = opened(options.journal)
    try:
        with told():
            header, rows = journal.read(options.id)
        findings = Findings()
        config = load_config(folder_of_run(header), findings)
        from masdsl.runtime.recording import silent_models

        models = silent_models(header.tiers)
        loaded = guarded(header.program, findings, stored_program, header, config, findings, models)
        if loaded is None or not findings.ok:
            print_findings([one for one in findings.sorted() if one.diagnostic.severity == ERROR], stream=sys.stderr)
            return exit_code(findings.sorted())
        print_findings(changes_of(header), stream=sys.stderr)
    finally:
        journal.close()
    from masdsl.rectify.replay import replay
    from masdsl.runtime import RunFailed
    from masdsl.runtime.failures import NotInJournal
    from masdsl.runtime.program import run_coroutine

    ground = loaded.ground_of(header)
    try:
        with told(), watched(events=options.events, progress=options.progress) as observer:
            result = run_coroutine(lambda: replay(header, rows, ground, observer))
    except RunFailed as failure:
        print_error(f"the run failed, as it did: {failure}")
        if options.json:
            print_json(failure.result, header.id, failed=failure)
        return FAILED
    except NotInJournal as missing:
        print_error(f"{missing}; the run had not come further: go on with `mas run --resume {header.id}`")
        return FAILED
    if options.json:
        print_json(result, header.id)
    else:
        print_value(result)
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas replay",
        description="Run a kept run once more from its journal alone. No model and no tool is called.",
    )
    parser.add_argument("id", metavar="ID", help="the run (`mas runs` lists them)")
    add_journal_option(parser)
    add_progress_option(parser)
    parser.add_argument("--json", action="store_true", help="print the value and what it took as JSON")
    return parser
