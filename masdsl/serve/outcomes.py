"""How runs ended and what they took, by their results and by the rows of their journals."""

from __future__ import annotations

from collections.abc import Sequence

from masdsl.journal import Row
from masdsl.redaction import one_line
from masdsl.runtime import Result
from masdsl.runtime.past import spent_by
from masdsl.serve.ledger import Entry, Usage
from masdsl.serve.live import Outcome


def taken(result: Result) -> Usage:
    """Return what a result says that its run took."""
    return Usage(result.calls, result.tokens_in, result.tokens_out, result.picodollars)


def spent(rows: Sequence[Row]) -> Usage:
    """Return what a run took by the rows of its journal."""
    found = spent_by(rows)
    return Usage(found.calls, found.cost.tokens_in, found.cost.tokens_out, found.cost.picodollars or 0)


def outcome_of(entry: Entry, rows: Sequence[Row]) -> Outcome:
    """Return how a run ended, by its last row."""
    ends = [row for row in rows if row.kind == "end"]
    body = ends[-1].body if ends else {}
    if entry.state == "ended":
        return Outcome(entry, "ended", entry.usage, body.get("value"))
    if entry.state == "stopped":
        reason = str(body.get("stopped") or "its caller stopped it")
        return Outcome(entry, "stopped", entry.usage, reason=reason, problem="run-stopped")
    kind = "run-out-of-budget" if "limit" in body else "run-failed"
    reason = one_line(str(body.get("reason", "it failed before its first step")))
    return Outcome(entry, "failed", entry.usage, None, str(body.get("step", "")), reason, kind)
