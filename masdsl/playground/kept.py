"""Runs as the journal has them: those of this folder's programs, and nobody else's business."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from masdsl.journal import Journal, JournalBusy, JournalError, Row, RunHeader, RunSummary, UnknownRun
from masdsl.journal.base import SESSION
from masdsl.playground.desk import Desk
from masdsl.playground.refusals import Refusal, not_found
from masdsl.playground.workers import Workers
from masdsl.rectify.stored import intervention_of
from masdsl.rectify.texts import texts_of
from masdsl.rectify.watch import spent_of
from masdsl.serve.ledger import Entry, State, Usage
from masdsl.serve.live import Outcome, run_json, usage_json
from masdsl.serve.outcomes import outcome_of, spent
from masdsl.sizes import MICROSECONDS

LISTED: Final = 50
"""Runs that are listed, the newest ones."""
LOOKED_THROUGH: Final = 1_000
"""Runs of the journal that are looked through for those of this folder's programs."""
LINE: Final = ("run", "program", "flow", "status", "created", "usage")
"""What a line of the list of runs says."""
_STATES: Final[Mapping[str, State]] = {"ended": "ended", "failed": "failed", "stopped": "stopped"}


class Kept:
    """The runs that are kept of a desk's programs. `where` is the journal's place, as workers open it."""

    def __init__(self, journal: Journal, where: str | None, desk: Desk, workers: Workers) -> None:
        self._journal = journal
        self._where = where
        self._folder = desk.folder
        self._name_of = desk.name_of
        self._workers = workers
        self._bounds: dict[tuple[str, int], Any] = {}
        self._usages: dict[tuple[str, float, int], Usage] = {}

    async def read(self, run: str) -> tuple[RunHeader, Sequence[Row]]:
        """Return a run. Raises Refusal where there is none, or it is of a program of another folder."""
        try:
            header, rows = await asyncio.to_thread(self._journal.read, run)
        except (UnknownRun, ValueError):
            raise not_found("the journal has no such run") from None
        except JournalBusy as error:
            raise Refusal(409, "The run is somebody else's", str(error), "wait until it has ended") from None
        except JournalError as error:
            raise Refusal(503, "The journal cannot be used", str(error), "try again") from None
        if not self._is_here(header.program):
            raise not_found("that is no run of a program of this folder")
        return header, rows

    def entry(self, header: RunHeader, attempt: int) -> Entry:
        """Return a run as the page knows it."""
        return entry(header.id, self._name_of(header.program), header.flow, header.created, attempt)

    def outcome(self, header: RunHeader, rows: Sequence[Row]) -> Outcome:
        """Return how a run that is not under way here stands, by its journal."""
        begun = self.entry(header, 1)._replace(state=_STATES.get(header.status, "interrupted"), usage=usage_of(rows))
        if begun.state == "interrupted":
            return Outcome(begun, "interrupted", begun.usage, reason="it was broken off")
        return outcome_of(begun, rows)

    async def status(self, header: RunHeader, rows: Sequence[Row], *, is_live: bool) -> dict[str, Any]:
        """Return how a run stands."""
        outcome = self.outcome(header, rows)
        shown = run_json(outcome.entry, "running", outcome.usage) if is_live else outcome_json(outcome)
        texts = await asyncio.to_thread(texts_of, header, rows)
        asked = [one for row in rows if (one := intervention_of(row)) is not None]
        return {
            **shown,
            "inputs": header.inputs,
            "bound": await self._bound(header, rows, len(texts)),
            "text": texts[-1].text,
            "interventions": [one.to_json() for one in asked],
        }

    def begins(self, run: str, bound: Any) -> None:
        """Know the worst case of a run that begins here."""
        self._bounds[run, 1] = bound

    async def _bound(self, header: RunHeader, rows: Sequence[Row], texts: int) -> Any:
        """Return the worst case of a run's program as it stands; None where it has errors by now."""
        key = header.id, texts
        if key not in self._bounds:
            if len(self._bounds) > LOOKED_THROUGH:
                self._bounds.clear()
            try:
                self._bounds[key] = await self._workers.ask("bound", run=header.id, journal=self._where)
            except Refusal:
                return None
        return self._bounds[key]

    async def recent(self, live: Collection[str]) -> list[dict[str, Any]]:
        """Return the runs of this folder's programs, the newest first; `live` are under way in this process."""
        return await asyncio.to_thread(self._recent, live)

    def _recent(self, live: Collection[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        try:
            for one in self._journal.list(limit=LOOKED_THROUGH):
                if self._is_here(one.program):
                    found.append(self._line(one, live))
                if len(found) == LISTED:
                    break
        except JournalError as error:
            raise Refusal(503, "The journal cannot be used", str(error), "try again") from None
        return found

    def _line(self, one: RunSummary, live: Collection[str]) -> dict[str, Any]:
        state: str = "running" if one.id in live else _STATES.get(one.status, "interrupted")
        if one.status == "damaged" or (one.status == "running" and one.owned):
            state = one.status
        key = one.id, one.changed, one.rows
        if key not in self._usages:
            if len(self._usages) > LOOKED_THROUGH:
                self._usages.clear()
            try:
                self._usages[key] = usage_of(self._journal.read(one.id)[1])
            except JournalError:
                self._usages[key] = Usage()
        return {
            "run": one.id,
            "program": self._name_of(one.program),
            "flow": one.flow,
            "status": state,
            "created": round(one.created, 3),
            "usage": usage_json(self._usages[key]),
        }

    def _is_here(self, program: str) -> bool:
        return program != SESSION and os.path.dirname(program) == self._folder


# ---------------------------------------------------------------- words


def entry(run: str, program: str, flow: str, created: float, attempt: int) -> Entry:
    """Return an attempt at a run that begins; `program` is the name under which it can be chosen."""
    return Entry(run, "", f"{program}/{flow}", "", None, created, "running", attempt, Usage())


def usage_of(rows: Sequence[Row]) -> Usage:
    """Return what a run took, in all its attempts."""
    return spent(rows)._replace(seconds=spent_of(rows)["seconds"] / MICROSECONDS)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return a run that has come to an end, of whatever kind, as the page is shown it."""
    shown = run_json(outcome.entry, outcome.state, outcome.usage)
    if outcome.state == "ended":
        return {**shown, "value": outcome.value}
    titles = {
        "failed": "A step of the run gave no value",
        "stopped": "The run was stopped",
        "interrupted": "The run was broken off",
    }
    title = "The run's budget had no room" if outcome.problem == "run-out-of-budget" else titles[outcome.state]
    then = "go on with it, as it is or with a changed program: nothing that is finished is paid again"
    problem = {"title": title, "detail": outcome.reason, "step": outcome.step, "next": then}
    return {**shown, "problem": problem}


def last_event(outcome: Outcome) -> tuple[str, Any]:
    """Say the last event of a run: `ended`, `failed` or `stopped`."""
    kind = "stopped" if outcome.state == "interrupted" else outcome.state
    return kind, outcome_json(outcome)
