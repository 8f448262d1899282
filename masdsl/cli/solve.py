"""`mas solve`: a query is answered by a system that is designed for it, run, and repaired while it runs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from masdsl.cli import FAILED, FINE, INTERRUPTED
from masdsl.cli.boundary import UsageError
from masdsl.cli.designing import (
    add_options,
    add_query,
    host_of,
    print_answer,
    task_of,
    team_of,
    tell_notes,
    tell_plan,
    tell_session,
    total_line,
)
from masdsl.cli.keeping import Interruption, add_journal_option, opened, show_intervention, told
from masdsl.cli.progress import add_progress_option, watched
from masdsl.cli.terminal import print_error, write
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.journal import Journal
    from masdsl.meta.outcome import Solved
    from masdsl.runtime.events import Observer


AGAIN = ("resume", "replay", "decisions", "good", "bad")
"""Options that name a kept session."""


def run(arguments: Sequence[str]) -> int:
    """Print the answer to a query; return 4 where no system gave one, 130 if it was interrupted.

    UsageError for a query or an option that cannot be used, and for what is wrong with the journal.
    """
    options = _parser().parse_args(arguments)
    again = [name for name in AGAIN if getattr(options, name)]
    if again and options.query is not None:
        raise UsageError(f"a session that is named by --{again[0]} has its query already", "leave the query out")
    journal = _journal(options)
    try:
        if options.decisions:
            return _decisions(journal, options.decisions)
        if options.good or options.bad:
            return _rate(journal, options.good or options.bad, good=bool(options.good))
        return _solve(options, journal)
    finally:
        journal.close()


def _journal(options: Namespace) -> Journal:
    """Return the journal. The user's own is no must: where it cannot be opened, a new session is not kept."""
    needed = any(getattr(options, name) for name in AGAIN)
    if options.no_journal and needed:
        raise UsageError("a kept session needs its journal, and --no-journal says that there is none", "leave it out")
    if options.no_journal or options.dry_run:
        return opened(":memory:")
    try:
        return opened(options.journal)
    except UsageError as error:
        if options.journal is not None or needed:
            raise
        write(f"this session is not kept: {error}\n", sys.stderr)
        options.no_journal = True
        return opened(":memory:")


def _solve(options: Namespace, journal: Journal) -> int:
    from masdsl.journal import new_id
    from masdsl.meta import queries
    from masdsl.meta.host import BadTask
    from masdsl.meta.learned import seams_of
    from masdsl.meta.records import NotKept

    host = host_of(options)
    team = team_of(options, host, options.rectifier)
    seams = seams_of(host)
    interruption = Interruption()
    show = None if options.json else show_intervention
    session = options.resume or options.replay or new_id()

    async def go_on(observer: Observer | None) -> Solved:
        watch = queries.Watch(observer, show, interruption.reason)
        if options.resume:
            return await queries.resume(session, host, team, journal, seams=seams, watch=watch)
        if options.replay:
            return await queries.replay(session, host, team, journal, watch=watch)
        return await queries.solve(
            task_of(options, host), host, team, journal, seed=options.seed, session=session, seams=seams, watch=watch
        )

    try:
        with told():
            if options.dry_run:
                task = task_of(options, host)
                tell_plan(queries.wait(lambda: queries.plan(task, host, team, journal, seams)), as_json=options.json)
                return FINE
            progress = watched(events=options.events, progress=options.progress)
            with interruption.watched(), progress as observer:
                solved = queries.wait(lambda: go_on(observer))
    except BadTask as fault:
        raise UsageError(str(fault)) from fault
    except NotKept as missing:
        print_error(str(missing))
        return FAILED
    except KeyboardInterrupt:
        if not options.no_journal:
            write(f"go on with: mas solve --resume {session}\n", sys.stderr)
        raise
    return _tell(options, solved)


def _tell(options: Namespace, solved: Solved) -> int:
    code = INTERRUPTED if solved.stopped else FAILED if solved.failed else FINE
    if options.json:
        from json import dumps

        write(dumps(solved.to_json(), indent=2) + "\n")
        return code
    if not solved.failed:
        print_answer(solved.value)
    tell_notes(solved.notes)
    if solved.failed and not solved.stopped:
        print_error(f"no system gave an answer: {solved.failed}")
    if options.explain:
        tell_session(solved)
    else:
        write(f"{escape(total_line(solved))}\n", sys.stderr)
    if solved.stopped and not options.no_journal:
        write(f"go on with: mas solve --resume {solved.session}\n", sys.stderr)
    return code


def _decisions(journal: Journal, run: str) -> int:
    """Print the decisions of a session as training data, a line of JSON each."""
    from json import dumps

    from masdsl.meta.records import task_of as task_of_header
    from masdsl.meta.records import training_lines

    with told():
        header, rows = journal.read(run)
        task_of_header(header)
    for line in training_lines(header, rows):
        write(dumps(line) + "\n")
    return FINE


def _rate(journal: Journal, run: str, *, good: bool) -> int:
    """Keep what somebody thinks of an answer: good ones are shown to the designers of similar systems."""
    from masdsl.meta.queries import wait
    from masdsl.meta.records import rate

    with told():
        wait(lambda: rate(journal, run, good=good))
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas solve",
        description="Answer a query: design a system for it, run it, repair it while it runs; all within one budget.",
    )
    add_query(parser, needed=False)
    add_options(parser)
    parser.add_argument(
        "--rectifier",
        choices=("model", "rules", "nobody"),
        help="who repairs a run that goes wrong (default: the model, if it reads more than 6,000 tokens, else rules)",
    )
    add_journal_option(parser)
    parser.add_argument("--no-journal", action="store_true", help="keep nothing: a session that is broken off is lost")
    parser.add_argument("--resume", metavar="ID", help="go on with a session that was broken off")
    parser.add_argument("--replay", metavar="ID", help="show a session again without calling a model")
    parser.add_argument("--decisions", metavar="ID", help="print a session's decisions as training data (JSON lines)")
    parser.add_argument("--good", metavar="ID", help="say that an answer was good: its system becomes an example")
    parser.add_argument("--bad", metavar="ID", help="say that an answer was bad: its system is no example")
    add_progress_option(parser)
    return parser
