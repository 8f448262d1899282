"""When a run has spent so much that its rectifier is asked: C(s_t) > theta_C."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from masdsl.bounds.measures import MEASURES, lowest
from masdsl.check.program import Limits
from masdsl.diagnostics.bounds import amount
from masdsl.journal.base import Row
from masdsl.money import PICODOLLARS
from masdsl.rectify.base import Intervention
from masdsl.runtime.past import paid_by, spent_by
from masdsl.runtime.state import State

MICROSECONDS: Final = 1_000_000


def spent_of(rows: Sequence[Row], *, count_doubts: bool = True) -> dict[str, int]:
    """Return what the rows of a run say was spent: calls, tokens, picodollars, microseconds.

    A call that was begun and of which nothing more is known counts with all that was reserved for it, or not at all.
    """
    spent = spent_by(rows) if count_doubts else paid_by(rows)
    moments = [row.body["t"] for row in rows if isinstance(row.body.get("t"), int | float)]
    seconds = round(max(moments, default=0.0) * MICROSECONDS)
    return {"calls": spent.calls, "tokens": spent.cost.tokens, "usd": spent.cost.picodollars or 0, "seconds": seconds}


class Watch:
    """Says when a run should stop so that a rectifier can be asked.

    The threshold lies at a share of each measure that is limited. Once a rectifier was asked, it lies at the same share
    of what was left then: it is crossed once, not for ever.
    """

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._limits: dict[str, int] = {}
        self._thresholds: dict[str, float] = {}
        self.measure = ""

    def begin(self, limits: Iterable[Limits | None], interventions: Iterable[Intervention]) -> None:
        """Set the thresholds for a program under these limits, after what rectifiers were asked so far."""
        together = tuple(limits)
        self._limits = {measure: most for measure in MEASURES if (most := lowest(measure, *together)) is not None}
        self._thresholds = {}
        if self._share is not None:
            self._thresholds = {measure: self._share * most for measure, most in self._limits.items()}
            for intervention in interventions:
                self._ask(intervention.left)

    def stop_reason(self, state: State) -> str:
        """Return why the run should stop; nothing where it need not."""
        if not self._thresholds:
            return ""
        measures = state.spent
        spent = {
            "calls": measures.calls or 0,
            "tokens": measures.tokens or 0,
            "usd": round((measures.usd or 0.0) * PICODOLLARS),
            "seconds": round((measures.seconds or 0.0) * MICROSECONDS),
        }
        self.measure = self.crossed(spent)
        if not self.measure:
            return ""
        most, taken = (amount(self.measure, one) for one in (self._limits[self.measure], spent[self.measure]))
        return f"{taken} of {most} are spent, beyond the threshold of `rectify`"

    def crossed(self, spent: Mapping[str, int]) -> str:
        """Return the first measure of which more is spent than its threshold; nothing where there is none."""
        beyond = (measure for measure, threshold in self._thresholds.items() if spent.get(measure, 0) > threshold)
        return next(beyond, "")

    def _ask(self, left: Mapping[str, int | None]) -> None:
        for measure, threshold in self._thresholds.items():
            room = left.get(measure)
            if room is not None and self._limits[measure] - room > threshold:
                self._thresholds[measure] = self._limits[measure] - room + (self._share or 0.0) * room
