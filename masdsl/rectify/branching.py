"""Several repairs of one run: what a run that stands would show a rectifier, and runs that go on from there.

A run stands where A_R(s_t) fires: it has failed, or was stopped because it spent more than theta_C. Its state s_t is
read from its journal alone, so whoever asks later is shown the same, and nothing is paid for it. A branch is a fork of
the run there: it has the rows up to s_t, one that says what came of asking, and goes on when it is resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from masdsl.check.program import Limits, Program
from masdsl.journal.base import Journal, Row, RunHeader
from masdsl.journal.errors import UnknownRun
from masdsl.rectify.answers import asked_row, intervention_on, patch_row
from masdsl.rectify.base import Intervention, Proposal, Trigger
from masdsl.rectify.checks import Ground, Standing, Verdict, judge
from masdsl.rectify.durable import trigger_of
from masdsl.rectify.remaining import Version, finished_steps, left_of
from masdsl.rectify.replay import ReadRun, run_again
from masdsl.rectify.state import State, Tier
from masdsl.rectify.stored import ASKED, PATCH, stored
from masdsl.rectify.watch import MICROSECONDS, Watch, spent_of
from masdsl.runtime.events import VALUED, Event, read_address
from masdsl.runtime.failures import NotInJournal, RunFailed


class Grants(NamedTuple):
    """What a run gets from its host, as a rectifier is told it: the tiers, and the tools that are granted by name."""

    tiers: tuple[Tier, ...]
    tools: frozenset[str]


def is_standing(rows: Sequence[Row]) -> bool:
    """Whether a run with these rows stands: its last one says that it failed or was stopped."""
    return bool(rows) and rows[-1].kind == "end" and "value" not in rows[-1].body


def watch_over(header: RunHeader, rows: Sequence[Row], ground: Ground) -> Watch:
    """Return what says when a kept run has spent more than theta_C, after what rectifiers were asked so far.

    Raises JournalDamaged and StoredFaulty as `masdsl.rectify.stored.stored` does.
    """
    kept = stored(header, rows, ground)
    program = kept.versions[-1].program
    return watch_for(program, (program.budget, *ground.limits), kept.interventions)


def watch_for(program: Program, limits: Iterable[Limits | None], interventions: Iterable[Intervention]) -> Watch:
    """Return what says when a run of a program has spent more than its theta_C under limits."""
    watch = Watch(None if program.rectify is None else program.rectify.at)
    watch.begin(limits, interventions)
    return watch


async def state_at(
    header: RunHeader, rows: Sequence[Row], ground: Ground, grants: Grants, *, trusted: bool
) -> State | None:
    """Return the state of a run that stands, None for one that does not.

    The state of a run that was made again, or broken off, says the same: its seconds are whole ones, and none where no
    limit counts them; calls of which nobody knows whether they were paid were made again, and count once. `trusted` is
    what judged proposals are (`masdsl.rectify.base.Rectifier`).

    Raises JournalDamaged and StoredFaulty as `masdsl.rectify.stored.stored` does.
    """
    if not is_standing(rows):
        return None
    kept = stored(header, rows, ground)
    now = kept.versions[-1]
    program = now.program
    limits = (program.budget, *ground.limits)
    spent = spent_of(rows, count_doubts=False)
    body = rows[-1].body
    tries = 0 if program.rectify is None else program.rectify.tries
    if "stopped" in body:
        measure = watch_for(program, limits, kept.interventions).crossed(spent)
        trigger = Trigger("threshold", "budget", body["step"], body["stopped"], measure)
    else:
        trigger = trigger_of(program, now.entry, body["step"], body["reason"], body.get("limit", ""))
    is_timed = left_of(limits, {})["seconds"] is not None
    spent["seconds"] = spent["seconds"] // MICROSECONDS * MICROSECONDS if is_timed else 0
    passed = await _passed(header, rows, now)
    standing = Standing(
        source=kept.source,
        now=now,
        earlier=kept.versions[:-1],
        finished=tuple(one for one in finished_steps(rows) if (one.path, one.indices) in passed),
        spent=spent,
        strict=header.policy == "strict",
    )
    return State(
        trigger=trigger,
        standing=standing,
        inputs=header.inputs,
        rest=standing.rest(),
        left=left_of(limits, spent),
        tiers=grants.tiers,
        granted=grants.tools,
        tries_left=max(tries - sum(one.is_try for one in kept.interventions), 0),
        earlier=kept.interventions,
        judge=_judge(ground, standing, trusted=trusted),
    )


def _judge(ground: Ground, standing: Standing, *, trusted: bool) -> Callable[[Proposal], Verdict]:
    @cache
    def judged(proposal: Proposal) -> Verdict:
        return judge(ground, standing, proposal, trusted=trusted)

    return judged


async def _passed(header: RunHeader, rows: Sequence[Row], now: Version) -> set[tuple[str, tuple[int, ...]]]:
    """Return the steps that a run has come past since it last began at the top, without those that ended it."""
    events: list[Event] = []
    try:
        await run_again(ReadRun(header, rows), now, events.append)
    except (RunFailed, NotInJournal):  # as it did, or it stands before a step that nobody has begun
        pass
    again = {read_address(where) for where in rows[-1].body.get("open", ())}
    return {(one.path, one.indices) for one in events if one.kind in (*VALUED, "failed", "refused")} - again


async def branch(journal: Journal, run: str, name: str, state: State, said: Proposal | str, who: str) -> None:
    """Make the branch `name` of a run that stands in a state: `said` is an accepted patch, or why there is none.

    One that is there already stays as it is. It goes on when it is resumed.

    Raises JournalError, and ValueError for a patch that is refused.
    """
    header, rows = journal.read(run)
    try:
        begun, own = journal.read(name)
        is_made = len(own) > (begun.parent_seq or 0)
    except UnknownRun:
        fresh = header._replace(id=name, status="running", created=time.time())
        opened, is_made = journal.fork(run, rows[-1].seq, fresh), False
    else:
        if is_made:
            return
        opened = journal.resume(name)
    try:
        verdict = None if isinstance(said, str) else state.judge(said)
        asked = intervention_on(state, who, said, verdict)
        if verdict is None:
            await opened.append(ASKED, body=asked_row(asked))
        elif verdict.accepted:
            await opened.append(PATCH, body=patch_row(state, verdict, asked))
        else:
            raise ValueError(f"the patch is refused: {'; '.join(asked.diagnostics)}")
    finally:
        await opened.close()
