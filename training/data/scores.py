"""The N x M table of MAS-GPT: what every system scored on every query, and what that took.

It is read from the folder of an evaluation (`masdsl.evaluate`), outcome by outcome. Runs that are not there, or that
no grader could score, leave their cell unknown; they are counted, never taken for zeros. (A run that failed scored 0:
that is known.)

Source: arXiv:2503.03686, section 3: s_ij = f_eval(MAS_j(Q_i), Y_i).
"""

from __future__ import annotations

import os
from array import array
from typing import Final, Literal, NamedTuple, TypeAlias

from masdsl.batch.base import EngineFault
from masdsl.batch.reading import read_batch
from masdsl.batch.rows import DataFault
from masdsl.batch.store import BATCH, outcomes_in

Measure: TypeAlias = Literal["picodollars", "tokens", "calls"]
MEASURES: Final[tuple[Measure, ...]] = ("picodollars", "tokens", "calls")


class Cell(NamedTuple):
    """What one system did on one query: mean score from 0 to 1 and mean cost of a run, over repetitions."""

    score: float
    cost: float


class Table(NamedTuple):
    """Cells by system (row) and query (column); None where it is not known.

    `measure` is what costs are in. Of `runs` runs, `missing` were not made, `ungraded` have no score, `failed` gave no
    value.
    """

    systems: tuple[str, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    measure: Measure
    runs: int
    missing: int = 0
    ungraded: int = 0
    failed: int = 0

    @property
    def queries(self) -> int:
        """How many queries it has."""
        return len(self.cells[0]) if self.cells else 0

    def shortfall(self) -> str:
        """Return what is not known of it, in words; empty where all is."""
        parts = [f"{self.missing} not made"] * bool(self.missing) + [f"{self.ungraded} not scored"] * bool(
            self.ungraded
        )
        return f"of {self.runs} runs: {', '.join(parts)}" if parts else ""


def read_table(folder: str) -> Table:
    """Return the table of an evaluation.

    Costs are in money where every system that made calls has a price, else in tokens, else in calls.

    Raises DataFault where there is no evaluation, or one without a grader or with several lineups of models.
    """
    try:
        batch = read_batch(os.path.join(folder, BATCH))
    except EngineFault as fault:
        raise DataFault(f"there is no table of scores in {folder}: {fault}") from None
    if not batch.grader:
        raise DataFault(f"the evaluation in {folder} has no grader, so no scores; make it with one, in another folder")
    if len(batch.lineups) != 1:
        told = ", ".join(one.name for one in batch.lineups)
        raise DataFault(f"the evaluation in {folder} has several lineups ({told}); a table is under one: make it anew")
    width = batch.samples
    names = [one.name for one in batch.systems]
    row_of = {name: number for number, name in enumerate(names)}
    size = len(names) * width
    scores, made, graded = array("d", bytes(8 * size)), array("L", bytes(8 * size)), array("L", bytes(8 * size))
    costs = {name: array("d", bytes(8 * size)) for name in MEASURES}
    ungraded = failed = total = 0
    try:
        for outcome in outcomes_in(folder):
            at = row_of[outcome.system] * width + outcome.sample
            total += 1
            made[at] += 1
            failed += outcome.status != "ended"
            costs["calls"][at] += outcome.calls
            costs["tokens"][at] += outcome.tokens_in + outcome.tokens_out
            costs["picodollars"][at] += outcome.picodollars
            if outcome.score is None:
                ungraded += 1
            else:
                scores[at] += outcome.score
                graded[at] += 1
    except OSError as error:
        raise DataFault(f"the outcomes in {folder} cannot be read: {error.strerror or error}") from None
    measure = _measure(costs, len(names), width)
    cells = tuple(
        tuple(
            Cell(scores[at] / graded[at], costs[measure][at] / made[at]) if graded[at] == batch.repetitions else None
            for at in range(row * width, (row + 1) * width)
        )
        for row in range(len(names))
    )
    return Table(tuple(names), cells, measure, batch.runs, batch.runs - total, ungraded, failed)


def _measure(costs: dict[Measure, array[float]], rows: int, width: int) -> Measure:
    """Return the first measure in which every system that took something has a cost."""
    for measure in MEASURES[:-1]:
        sums = [sum(costs[measure][row * width : (row + 1) * width]) for row in range(rows)]
        calls = [sum(costs["calls"][row * width : (row + 1) * width]) for row in range(rows)]
        if any(calls) and all(cost > 0 for cost, asked in zip(sums, calls, strict=True) if asked):
            return measure
    return "calls"
