"""`mas design`: a system for a query, written by a model, bound, checked and bounded; nothing is run."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from masdsl.cli import FINE
from masdsl.cli.designing import (
    add_options,
    add_query,
    host_of,
    task_of,
    team_of,
    tell_notes,
    tell_plan,
    tell_session,
    total_line,
)
from masdsl.cli.keeping import add_journal_option, opened, told
from masdsl.cli.patching import STDOUT, put
from masdsl.cli.terminal import write
from masdsl.diagnostics.escape import escape


def run(arguments: Sequence[str]) -> int:
    """Print the system for a query. UsageError for a query or an option that cannot be used."""
    import sys

    options = _parser().parse_args(arguments)
    host = host_of(options)
    task = task_of(options, host)
    team = team_of(options, host)
    from masdsl.meta import queries
    from masdsl.meta.host import BadTask
    from masdsl.meta.learned import seams_of

    seams = seams_of(host)

    journal = opened(options.journal or ":memory:")
    try:
        with told():
            if options.dry_run:
                tell_plan(queries.wait(lambda: queries.plan(task, host, team, journal, seams)), as_json=options.json)
                return FINE
            solved = queries.wait(
                lambda: queries.solve(task, host, team, journal, seed=options.seed, seams=seams, design_only=True)
            )
    except BadTask as fault:
        from masdsl.cli.boundary import UsageError

        raise UsageError(str(fault)) from fault
    finally:
        journal.close()
    assert solved.designed is not None
    if options.json:
        from json import dumps

        put(dumps(solved.to_json(), indent=2) + "\n", options.output or STDOUT)
        return FINE
    put(solved.designed.template if options.template else solved.designed.system.text, options.output or STDOUT)
    tell_notes(solved.notes)
    if options.explain:
        tell_session(solved)
    else:
        write(f"{escape(total_line(solved))}\n", sys.stderr)
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas design",
        description="Design a system for a query and print it: checked, bound to models, and within the budget.",
    )
    add_query(parser, needed=True)
    add_options(parser)
    parser.add_argument("--template", action="store_true", help="print the template, without models")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to a file")
    add_journal_option(parser)
    return parser
