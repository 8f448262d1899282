"""`mas runs`: the runs that are kept: list them, look at one, forget some."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from masdsl.cli import FINE
from masdsl.cli.boundary import UsageError
from masdsl.cli.keeping import add_journal_option, changes_of, intervention_text, opened, resume_command, told
from masdsl.cli.terminal import print_findings, say, write
from masdsl.config import shown_path
from masdsl.diagnostics.escape import escape

if TYPE_CHECKING:
    from masdsl.journal import Journal, Row, RunHeader, RunSummary

SHOWN: Final = 20
"""Runs that are listed where nobody says how many."""
WIDTH: Final = 100
"""Characters of a value that are shown."""
DAY: Final = 86_400.0


def run(arguments: Sequence[str]) -> int:
    """List, show, delete or prune the runs of a journal."""
    options = _parser().parse_args(arguments)
    journal = opened(options.journal)
    try:
        with told():
            act = {"list": _list, "show": _show, "delete": _delete, "prune": _prune}[options.action or "list"]
            act(journal, options)
    finally:
        journal.close()
    return FINE


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="mas runs",
        description="The runs that are kept. Without a word behind it, `mas runs` lists them, the newest first.",
    )
    _add_list_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="")
    listing = actions.add_parser("list", help="list the runs, the newest first")
    _add_list_options(listing, keep=True)
    show = actions.add_parser("show", help="show a run: its steps, what they cost, and its patches")
    show.add_argument("id", metavar="ID")
    show.add_argument("--json", action="store_true", help="print everything that is kept of it as JSON")
    _add_journal(show)
    delete = actions.add_parser("delete", help="forget runs")
    delete.add_argument("ids", metavar="ID", nargs="+")
    _add_journal(delete)
    prune = actions.add_parser("prune", help="forget runs that nothing has happened to for a time")
    prune.add_argument("--days", type=float, default=30.0, metavar="N", help="how many days (default: 30)")
    _add_journal(prune)
    return parser


def _add_list_options(parser: ArgumentParser, *, keep: bool = False) -> None:
    from argparse import SUPPRESS

    more: dict[str, Any] = {"default": SUPPRESS} if keep else {}
    if keep:
        _add_journal(parser)
    else:
        add_journal_option(parser)
    number = {"default": SHOWN} | more
    parser.add_argument("--limit", type=int, metavar="N", help=f"how many at most (default: {SHOWN})", **number)
    parser.add_argument("--status", choices=("running", "ended", "failed", "stopped"), help="only those", **more)
    parser.add_argument("--json", action="store_true", help="print them as JSON", **more)


def _add_journal(parser: ArgumentParser) -> None:
    from argparse import SUPPRESS

    parser.add_argument("--journal", metavar="PATH|URL", help="where runs are kept", default=SUPPRESS)


# ---------------------------------------------------------------- actions


def _list(journal: Journal, options: Namespace) -> None:
    found = list(journal.list(limit=max(options.limit, 0), status=options.status))
    if options.json:
        from json import dumps

        write(dumps([one._asdict() for one in found], indent=2) + "\n")
        return
    if not found:
        say("no runs are kept here")
        return
    rows = [("run", "status", "began", "flow", "rows", "program")]
    rows += [
        (one.id, standing(one), _moment(one.created), one.flow, str(one.rows), _program(one.program)) for one in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write(f"{escape(line.rstrip())}\n")


def standing(run: RunSummary) -> str:
    """Return how a run stands, in a word: one that says it runs and that no process has was broken off."""
    if run.status == "running":
        return "running" if run.owned else "broken off"
    return run.status


def _show(journal: Journal, options: Namespace) -> None:
    header, rows = journal.read(options.id)
    if options.json:
        from json import dumps

        document = header._asdict() | {"rows": [_row(row) for row in rows]}
        write(dumps(document, indent=2, default=str) + "\n")
        return
    print_findings(changes_of(header), stream=sys.stderr)
    write(f"{escape(chr(10).join(_lines(header, rows, options.journal)), keep=chr(10))}\n")


def _row(row: Row) -> dict[str, Any]:
    return row._asdict() | {"args": row.args.hex(), "decl": row.decl.hex()}


def _lines(header: RunHeader, rows: Sequence[Row], journal: str | None) -> Iterable[str]:
    from masdsl.journal.base import SESSION
    from masdsl.money import show_usd
    from masdsl.rectify.remaining import finished_steps
    from masdsl.rectify.stored import intervention_of
    from masdsl.rectify.watch import spent_of

    yield f"run      {header.id} ({header.status})"
    yield f"began    {_moment(header.created)}, masdsl {header.masdsl}, seed {header.seed}, policy {header.policy}"
    yield f"program  {_program(header.program)}, flow {header.flow}"
    for name, value in header.inputs.items():
        yield f"input    {name} = {_clipped(value)}"
    spent = spent_of(rows)
    if header.program == SESSION:
        yield from _session_lines(header, rows)
        return
    yield f"spent    {spent['calls']} calls, {spent['tokens']:,} tokens, {show_usd(spent['usd'])}"
    for step in finished_steps(rows):
        cost = f"{step.calls} calls, {step.tokens_in + step.tokens_out:,} tokens"
        yield f"  {step.address}  {cost}  {'failed' if step.failed else _clipped(step.value)}"
    for row in rows:
        asked = intervention_of(row)
        if asked is not None:
            yield from intervention_text(asked, None).splitlines()
    last = rows[-1] if rows else None
    if last is not None and last.kind == "end" and "value" in last.body:
        yield f"value    {_clipped(last.body['value'])}"
    elif last is not None and last.kind == "end":
        yield f"ended    {last.body.get('step', '')}: {last.body.get('reason') or last.body.get('stopped', '')}"
    if header.status != "ended":
        yield f"go on    {resume_command(header.id, journal)}"


def _session_lines(header: RunHeader, rows: Sequence[Row]) -> Iterable[str]:
    """Yield what a session of meta-agents decided, which systems it ran, and how it ended."""
    for row in rows:
        body = row.body
        if row.kind == "decision":
            spent = body["action"]["spent"]
            tokens = spent["tokens_in"] + spent["tokens_out"]
            outcome = "taken" if body["taken"] else f"not taken: {_clipped(body['why'])}"
            yield f"  {body['role']} ({body['by']})  {spent['calls']} calls, {tokens:,} tokens  {outcome}"
        elif row.kind == "start":
            yield f"  run {header.id}.{body['number']}  {body['system']['name']}"
        elif row.kind == "outcome":
            yield f"value    {_clipped(body['value'])}" if not body["failed"] else f"failed   {body['failed']}"
    again = "replay" if header.status == "ended" else "resume"
    yield f"go on    mas solve --{again} {header.id}"


def _delete(journal: Journal, options: Namespace) -> None:
    for name in options.ids:
        journal.delete(name)
        say(f"forgot run {name}")


def _prune(journal: Journal, options: Namespace) -> None:
    import time

    if not 0 <= options.days < 1e6:
        raise UsageError(f"{options.days:g} is no number of days", "give one from 0 on")
    gone = journal.prune(time.time() - options.days * DAY)
    say(f"forgot {gone} run{'' if gone == 1 else 's'}")


# ---------------------------------------------------------------- words


def _moment(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _program(name: str) -> str:
    return name if name.startswith("<") else shown_path(name)


def _clipped(value: object) -> str:
    from json import dumps

    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n")
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}..."
