"""`mas eval`: programs on a data set, graded; resumable, within a budget, on every core."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from masdsl.cli import FINE, FOUND, INTERRUPTED
from masdsl.cli.boundary import UsageError
from masdsl.cli.keeping import Interruption
from masdsl.cli.terminal import exit_code, print_error, print_findings, write
from masdsl.diagnostics.base import ERROR
from masdsl.diagnostics.escape import escape
from masdsl.loaded import ProgramError

if TYPE_CHECKING:
    from masdsl.batch.coordinator import Progress
    from masdsl.batch.evaluation import Evaluation, Work
    from masdsl.runtime.meter import Limits

DESCRIBING = ("data", "grade", "models", "limit", "flow", "map", "run_budget", "cache")
"""Options that say what a batch is: it has them already where it is gone on with."""
_EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def run(arguments: Sequence[str]) -> int:
    """Make a batch of runs and print how each program did.

    Returns 0 if all runs were made (some may have failed: those are outcomes), 1 if the budget or the engine stopped it
    or a program has errors, 130 if it was interrupted; UsageError for what cannot be done as it was asked for.
    """
    options = _parser().parse_intermixed_args(arguments)
    from masdsl.batch.base import EngineFault
    from masdsl.batch.evaluation import EvaluationFault

    if options.report is not None:
        return _report(options)
    interruption = Interruption(_INTERRUPTED)
    shown = _Line()
    try:
        with interruption.watched():
            evaluation = _evaluated(options, interruption, shown)
    except EvaluationFault as fault:
        raise UsageError(str(fault)) from fault
    except ProgramError as error:
        print_findings([one for one in error.findings if one.diagnostic.severity == ERROR], stream=sys.stderr)
        return exit_code(error.findings)
    except EngineFault as fault:
        shown.end()
        print_error(str(fault))
        if options.resume or options.out:
            write(f"what was made is kept; go on with: {_again(options)}\n", sys.stderr)
        return FOUND
    except KeyboardInterrupt:
        shown.end()
        write(f"what was paid is kept; go on with: {_again(options)}\n", sys.stderr)
        raise
    shown.end()
    return _tell(options, evaluation, stopped=bool(interruption.asked))


def _report(options: Namespace) -> int:
    """Write the report on a batch anew, as far as it is made, and print it; nothing is run."""
    from masdsl.batch.base import EngineFault
    from masdsl.batch.report import write_report
    from masdsl.batch.standings import to_json

    given = [name for name in ("programs", *DESCRIBING, "out", "resume", "budget") if getattr(options, name)]
    if given:
        raise UsageError(
            f"--report runs nothing, so it takes no {given[0].replace('_', ' ')}", "write: mas eval --report DIR"
        )
    try:
        report = write_report(options.report)
    except EngineFault as fault:
        raise UsageError(str(fault)) from fault
    if options.json:
        from json import dumps

        told = {"batch": report.batch.id, "runs": report.batch.runs, "made": report.made, "files": list(report.files)}
        write(dumps(told | {"missing": list(report.missing)} | to_json(report.standings), indent=2) + "\n")
    else:
        write(escape(report.text(), keep="\n"))
    return FINE


_INTERRUPTED = b"interrupted: the runs under way end first; Ctrl-C again stops at once\n"


def _evaluated(options: Namespace, interruption: Interruption, shown: _Line) -> Evaluation:
    from masdsl.batch import evaluation

    work = _work(options, interruption, shown)
    if options.resume is not None:
        given = [name for name in DESCRIBING if getattr(options, name)] + ["programs"] * bool(options.programs)
        if given:
            raise UsageError(
                f"a batch that is gone on with has its {given[0].replace('_', ' ')} already",
                "leave it out, or begin a batch of its own with --out",
            )
        return evaluation.resume(options.resume, work)
    for name in ("programs", "data", "out"):
        if not getattr(options, name):
            raise UsageError(f"no {name} given", "write: mas eval A.mas --data questions.jsonl --grade exact --out DIR")
    return evaluation.evaluate(
        options.programs,
        options.data,
        out=options.out,
        grader=options.grade,
        models=[word for words in options.models for word in words.split(",") if word],
        repetitions=options.repeat,
        seed=options.seed,
        limit=options.limit,
        flow=options.flow,
        columns=_columns(options.map),
        run_budget=_budget(options.run_budget) or _no_limits(),
        cache=options.cache,
        sampled_calls="fresh" if options.fresh else "seeded",
        **work.how(),
    )


def _work(options: Namespace, interruption: Interruption, shown: _Line) -> Work:
    from masdsl.batch.evaluation import Work

    return Work(
        engine=options.engine,
        workers=options.workers,
        at_once=options.at_once,
        chunk=options.chunk,
        budget=_budget(options.budget),
        journal=options.journal,
        tell=(lambda progress: None) if options.json else shown.show,
        should_stop=lambda: interruption.reason(None),
        report=not options.no_report,
    )


def _no_limits() -> Limits:
    from masdsl.runtime.meter import NO_LIMITS

    return NO_LIMITS


def _budget(text: str) -> Limits | None:
    from masdsl.batch.budget import BadBudget, parse_budget

    try:
        return parse_budget(text) if text else None
    except BadBudget as fault:
        raise UsageError(str(fault)) from fault


def _columns(words: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for word in words:
        name, equals, column = word.partition("=")
        if not (name and equals and column):
            raise UsageError(f"`--map {word}` names no column", "write it as in --map question=Problem")
        columns[name] = column
    return columns


# ---------------------------------------------------------------- output


class _Line:
    """How far it is: a line that is written anew in a terminal, and now and then a line of its own elsewhere."""

    def __init__(self) -> None:
        self._rewrites = sys.stderr.isatty()
        self._told = time.monotonic()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Tell how far it is."""
        now = time.monotonic()
        if now - self._told < (0.1 if self._rewrites else _EVERY):
            return
        self._told = now
        text = progress_line(progress)
        if self._rewrites:
            write(f"\r{text.ljust(self._width)}", sys.stderr)
            self._width = len(text)
        else:
            write(f"{text}\n", sys.stderr)
        sys.stderr.flush()

    def end(self) -> None:
        """Begin a new line, where one is begun."""
        if self._width:
            write("\n", sys.stderr)
            self._width = 0


def progress_line(progress: Progress) -> str:
    """Return how far a batch is, in one line."""
    from masdsl.batch.budget import shown

    parts = [f"{progress.made:,}/{progress.runs:,} runs"]
    if progress.graded:
        parts.append(f"score {progress.right / progress.graded:.3f}")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    parts.append(shown(progress.spent))
    if progress.left is not None and progress.made < progress.runs:
        parts.append(f"{_time(progress.left)} left")
    return "  ".join(parts)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _tell(options: Namespace, evaluation: Evaluation, *, stopped: bool) -> int:
    ended = evaluation.ended
    code = FINE if evaluation.is_whole else INTERRUPTED if stopped else FOUND
    if options.json:
        from json import dumps

        write(dumps(evaluation.to_json(), indent=2) + "\n")
    else:
        write(escape(table(evaluation), keep="\n"))
    if ended.stopped:
        print_error(ended.stopped if not stopped else f"{ended.made:,} of {ended.runs:,} runs made")
        write(f"go on with: {_again(options)}\n", sys.stderr)
    if ended.doubtful.calls:
        from masdsl.batch.budget import shown

        write(f"workers died with calls under way, which may be paid besides: {shown(ended.doubtful)}\n", sys.stderr)
    if not options.json:
        report = " (report.md tells more)" if evaluation.files else ""
        write(f"kept in {escape(evaluation.folder)}{report}\n", sys.stderr)
    return code


def table(evaluation: Evaluation) -> str:
    """Return how each system did under each lineup, as a table; a score has its 95 % interval."""
    from masdsl.money import PICODOLLARS

    lines = [["system", "lineup", "runs", "failed", "score", "95 %", "calls", "tokens", "USD"]]
    for one in evaluation.standings.standings:
        contender, interval = one.contender, one.interval
        sums = contender.sums
        lines.append(
            [
                contender.system,
                contender.lineup,
                f"{contender.runs:,}",
                f"{contender.failed:,}",
                "" if interval is None else f"{interval.mean:.3f}",
                "" if interval is None else f"{interval.low:.3f}-{interval.high:.3f}",
                f"{sums['calls'] + sums['judge_calls']:,}",
                f"{sums['tokens_in'] + sums['tokens_out'] + sums['judge_tokens']:,}",
                f"{(sums['picodollars'] + sums['judge_picodollars']) / PICODOLLARS:.6g}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = []
    for line in lines:
        names = [cell.ljust(width) for cell, width in zip(line[:2], widths, strict=False)]
        figures = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        shown.append("  ".join((*names, *figures)).rstrip() + "\n")
    return "".join(shown)


def _again(options: Namespace) -> str:
    from shlex import quote

    return f"mas eval --resume {quote(options.resume or options.out)}"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="mas eval", description="Run programs on a data set, and grade what they return.")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="the programs that are compared")
    what = parser.add_argument_group("what is run")
    what.add_argument(
        "--data",
        default="",
        metavar="FILE",
        help="the data set: JSON lines, CSV, Parquet, or hf:NAME:SPLIT of Hugging Face's",
    )
    what.add_argument(
        "--grade",
        default="",
        metavar="GRADER",
        help="exact, numeric, choice, set_f1, token_f1, code or judge:PROGRAM (default: values are not graded)",
    )
    what.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="MODELS",
        help="lineups to compare, with commas between: a model for all tiers, or fast=A+smart=B",
    )
    what.add_argument("--repeat", type=int, default=1, metavar="N", help="run each sample so often (default: 1)")
    what.add_argument("--seed", type=int, default=0, metavar="N", help="all seeds follow from it (default: 0)")
    what.add_argument("--limit", type=int, metavar="N", help="take the first so many samples")
    what.add_argument("--flow", metavar="NAME", help="the flow to run (default: main, or the only one)")
    what.add_argument(
        "--map", action="append", default=[], metavar="NAME=COLUMN", help="take a column under another name"
    )
    what.add_argument("--run-budget", default="", metavar="BUDGET", help="limits of each run: 'calls 10 usd 0.01'")
    what.add_argument("--cache", default="", metavar="FILE", help="share identical calls, also with other batches")
    what.add_argument("--fresh", action="store_true", help="share no call of a temperature above 0")
    how = parser.add_argument_group("how it is run")
    how.add_argument("--out", default="", metavar="DIR", help="the folder that keeps everything")
    how.add_argument("--resume", metavar="DIR", help="go on with the batch in a folder")
    how.add_argument("--report", metavar="DIR", help="run nothing: write the report on the batch in a folder anew")
    how.add_argument("--budget", default="", metavar="BUDGET", help="what all of it may take: 'usd 5', 'calls 2k'")
    how.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one for each processor; 0: this one)"
    )
    how.add_argument("--at-once", type=int, default=16, metavar="N", help="runs that each has under way (default: 16)")
    how.add_argument("--chunk", type=int, metavar="N", help="runs that are handed out together (default: about 1 s)")
    how.add_argument("--engine", default="local", metavar="NAME", help="who makes the runs (default: local)")
    how.add_argument("--journal", metavar="PATH|URL", help="where steps are kept (default: in the folder)")
    parser.add_argument("--no-report", action="store_true", help="write no tables, manifest and plot to the folder")
    parser.add_argument("--json", action="store_true", help="print how each did as JSON, and no progress")
    return parser
