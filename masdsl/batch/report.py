"""The report on a batch: tables, manifest and picture, of what is in its folder. It may be made at any time, and again.

outcomes.parquet  timings.parquet   all outcomes, and the figures of chunks (needs `masdsl[eval]`)
manifest.json                       what the batch was made of
report.json  report.md              how the contenders stand
accuracy-cost.svg  accuracy-cost.png  accuracy against the cost of a run (needs `masdsl[eval]`)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.base import Batch, EngineFault, Outcome
from masdsl.batch.manifest import budget_in, manifest_of
from masdsl.batch.plots import NoPlots, write_plot
from masdsl.batch.reading import read_batch
from masdsl.batch.standings import Contender, Standings, Tallies, cost_text, standings_of, to_json
from masdsl.batch.statistics import EQUAL_COST
from masdsl.batch.store import BATCH, OUTCOMES, TIMINGS, outcomes_in
from masdsl.batch.tables import NoTables, read_timings, whole_file, write_outcomes, write_timings

OUTCOME_TABLE, TIMING_TABLE, MANIFEST = "outcomes.parquet", "timings.parquet", "manifest.json"
TEXT, FIGURES, PLOT = "report.md", "report.json", "accuracy-cost"
MOST_PAIRS: Final = 60
"""Comparisons that the text shows; `report.json` has all."""


class Report(NamedTuple):
    """How a batch stands, which `files` were written to its folder, and what is `missing` there, and why."""

    batch: Batch
    made: int
    standings: Standings
    files: tuple[str, ...]
    missing: tuple[str, ...]

    def text(self) -> str:
        """Return it as Markdown."""
        return "\n".join(_text(self))


def write_report(folder: str, *, budget: Mapping[str, Any] | None = None) -> Report:
    """Write the report on the batch in a folder, as far as its runs are made, and return it.

    `budget` is that of the batch as a whole (calls, tokens, usd); an earlier manifest's stays where none is given.
    Raises EngineFault where there is no batch in the folder, or where it cannot be written to.
    """
    folder = os.path.abspath(folder)
    batch = read_batch(os.path.join(folder, BATCH))
    outcomes = os.path.join(folder, OUTCOMES)
    files: list[str] = []
    missing: list[str] = []
    try:
        tallies = Tallies(batch)
        try:
            write_outcomes(os.path.join(folder, OUTCOME_TABLE), tallies.counted(outcomes_of(outcomes, batch)))
            write_timings(os.path.join(folder, TIMING_TABLE), read_timings(os.path.join(folder, TIMINGS)))
            files += [OUTCOME_TABLE, TIMING_TABLE]
        except NoTables as fault:
            missing.append(str(fault))
            for _ in tallies.counted(outcomes_of(outcomes, batch)):
                pass
        contenders = tallies.contenders()
        standings = standings_of(contenders, seed=batch.seed)
        made = sum(one.runs for one in contenders)
        manifest = os.path.join(folder, MANIFEST)
        _write_json(manifest, manifest_of(batch, made, outcomes, budget or budget_in(manifest)))
        _write_json(
            os.path.join(folder, FIGURES), {"batch": batch.id, "runs": batch.runs, "made": made} | to_json(standings)
        )
        files += [MANIFEST, FIGURES]
        try:
            plots = [f"{PLOT}.svg", f"{PLOT}.png"]
            if write_plot([os.path.join(folder, name) for name in plots], standings, _title(batch)):
                files += plots
        except NoPlots as fault:
            missing.append(str(fault))
        report = Report(batch, made, standings, (*files, TEXT), tuple(missing))
        with (
            whole_file(os.path.join(folder, TEXT)) as written,
            open(written, "w", encoding="utf-8", errors="replace") as file,
        ):
            file.write(report.text())
    except OSError as error:
        raise EngineFault(f"the report in {folder} cannot be written: {error.strerror or error}") from None
    return report


def outcomes_of(path: str, batch: Batch) -> Iterator[Outcome]:
    """Yield the outcomes in the file of a batch, each run's first one; those of no run of it are left out."""
    seen = bytearray(batch.runs)
    if not os.path.exists(path):
        return
    for outcome in outcomes_in(os.path.dirname(path)):
        if 0 <= outcome.number < batch.runs and not seen[outcome.number]:
            seen[outcome.number] = 1
            yield outcome


def _write_json(path: str, data: Any) -> None:
    with whole_file(path) as written, open(written, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")


# ---------------------------------------------------------------- the text


def _title(batch: Batch) -> str:
    return f"batch {batch.id}: {batch.samples:,} samples x {batch.repetitions}, grader {batch.grader or 'none'}"


def _text(report: Report) -> Iterator[str]:
    batch, found = report.batch, report.standings
    contenders = [one.contender for one in found.standings]
    names = _names(contenders)
    yield f"# Batch {_cell(batch.id)}\n"
    yield f"{report.made:,} of {batch.runs:,} runs made: systems {len(batch.systems)}, lineups {len(batch.lineups)},"
    yield f"samples {batch.samples:,}, repetitions {batch.repetitions}; seed {batch.seed}; grader"
    yield f"`{batch.grader or 'none'}`. Samples: SHA-256 `{batch.samples_hash[:16]}..`; `{MANIFEST}` has the rest.\n"
    yield "## Scores\n"
    yield from _scores(found, names)
    if any(one.reasons for one in contenders):
        yield "\n## Runs without a value\n"
        rows = [
            (name, f"{count:,}", reason)
            for name, one in zip(names, contenders, strict=True)
            for reason, count in one.reasons
        ]
        yield from _table(("contender", "runs", "why"), rows, "lrl")
    if found.pairs:
        yield "\n## In pairs\n"
        yield from _pairs(found, names)
    if found.at_equal_cost:
        yield "\n## At equal cost\n"
        yield from _at_equal_cost(found, names)
    if f"{PLOT}.svg" in report.files:
        yield f"\n![Accuracy against cost]({PLOT}.svg)"
    for fault in report.missing:
        yield f"\nMissing here: {fault}"
    yield ""


def _scores(found: Standings, names: Sequence[str]) -> Iterator[str]:
    rows = []
    for name, one in zip(names, found.standings, strict=True):
        contender, interval = one.contender, one.interval
        score = (
            ("", "", "")
            if interval is None
            else (_score(interval.mean), _between(interval.low, interval.high), interval.method)
        )
        ungraded = contender.runs - contender.graded if interval is not None else 0
        means = (
            f"{contender.mean('calls'):.2f}",
            f"{contender.mean('tokens'):,.0f}",
            _usd(contender.mean("picodollars")),
        )
        rows.append(
            (
                name,
                f"{contender.runs:,}",
                f"{contender.failed:,}",
                f"{ungraded:,}",
                *score,
                *means,
                "yes" if one.on_front else "",
            )
        )
    titles = (
        "contender",
        "runs",
        "failed",
        "ungraded",
        "score",
        "95 % interval",
        "by",
        "calls",
        "tokens",
        "USD",
        "front",
    )
    yield from _table(titles, rows, "lrrrrrlrrrl")
    yield ""
    yield "`score` is the mean over samples of the mean over repetitions. A run without a value scores 0, one that"
    yield "could not be graded counts for nothing. Calls, tokens and USD are means of a run. `front`: no other"
    yield f"contender scores as much for less, by {_UNITS[found.measure]}."
    judged = {
        name: sum(one.contender.sums[name] for one in found.standings)
        for name in ("judge_calls", "judge_tokens", "judge_picodollars")
    }
    if judged["judge_calls"]:
        yield f"\nThe judge took {judged['judge_calls']:,} calls, {judged['judge_tokens']:,} tokens and"
        yield f"{_usd(judged['judge_picodollars'])} USD besides, which no contender is charged with."


def _pairs(found: Standings, names: Sequence[str]) -> Iterator[str]:
    ordered = sorted(found.pairs, key=lambda one: (one.test.p, one.first, one.second))
    rows = [
        (
            names[one.first],
            names[one.second],
            f"{one.test.samples:,}",
            f"{one.test.more:,}",
            f"{one.test.less:,}",
            f"{one.test.difference:+.3f}",
            _p(one.test.p),
            _p(one.adjusted),
            one.test.method,
            "yes" if one.equal_cost else _ratio(found, one.first, one.second),
        )
        for one in ordered[:MOST_PAIRS]
    ]
    titles = ("A", "B", "samples", "A more", "B more", "A - B", "p", "p (Holm)", "test", "equal cost")
    yield from _table(titles, rows, "llrrrrrrll")
    yield ""
    yield f"Two-sided, paired by sample. Cost is equal where the means differ by at most {EQUAL_COST - 1:.0%};"
    yield "otherwise it says how many times B's cost A's is, and a difference in score is not one of programs alone."
    if len(ordered) > MOST_PAIRS:
        yield f"{len(ordered):,} pairs in all, the {MOST_PAIRS} of the smallest p shown; `{FIGURES}` has the others."


def _at_equal_cost(found: Standings, names: Sequence[str]) -> Iterator[str]:
    rows = []
    for one in found.at_equal_cost:
        first, second, share = one.mixture
        said = names[first] if share >= 1 else f"{share:.0%} {names[first]} + {1 - share:.0%} {names[second]}"
        cost = cost_text(found.standings[one.contender].cost, found.measure)
        rows.append((names[one.contender], cost, said, f"{one.test.difference:+.3f}", _p(one.test.p), _p(one.adjusted)))
    yield from _table(
        ("contender", "cost", "best of the others for as much", "difference", "p", "p (Holm)"), rows, "lrlrrr"
    )
    yield ""
    yield "Whoever has two systems may run each sample on the one or the other by lot, for any cost in between. Each"
    yield "contender stands here beside the best such mixture of the others that costs no more in the mean; the"
    yield "cheapest has none. The mixture was chosen by the same scores, in its own favour."


# ---------------------------------------------------------------- cells

_UNITS: Final = {"picodollars": "money", "tokens": "tokens (some calls have no price)", "calls": "calls"}


def _names(contenders: Sequence[Contender]) -> list[str]:
    several = len({one.lineup for one in contenders}) > 1
    return [one.name if several else one.system for one in contenders]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'|'.join('---:' if side == 'r' else '---' for side in sides)}|"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    """Return a text that stays in its cell, whatever a model or a tool put into it."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    for sign in "\\|<>`*[]!":
        shown = shown.replace(sign, f"\\{sign}")
    return shown


def _score(value: float) -> str:
    return f"{value:.3f}"


def _between(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def _usd(picodollars: float) -> str:
    return cost_text(picodollars, "picodollars").removeprefix("$")


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _ratio(found: Standings, first: int, second: int) -> str:
    one, two = found.standings[first].cost, found.standings[second].cost
    return f"x {one / two:.2f}" if two else "B costs nothing"
