"""A run that stands is changed by its user: the patch is judged like a rectifier's, and from then on it is in force."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from masdsl.diagnostics.base import ERROR
from masdsl.diagnostics.render import json_document
from masdsl.journal import Journal, JournalError, Row, RunHeader
from masdsl.loaded import LoadedProgram, ProgramError
from masdsl.playground.refusals import Refusal
from masdsl.rectify.answers import intervention_on, patch_row
from masdsl.rectify.base import USER, Proposal
from masdsl.rectify.branching import Grants, is_standing, state_at
from masdsl.rectify.checks import Verdict
from masdsl.rectify.remaining import finished_steps
from masdsl.rectify.state import State
from masdsl.rectify.stored import PATCH, StoredFaulty
from masdsl.runtime.failures import RunFailed

REASON: Final = "its user has changed the program in the playground"
_NOBODY: Final = Grants((), frozenset())


class _Judged(NamedTuple):
    state: State
    verdict: Verdict


def finished(rows: Sequence[Row]) -> int:
    """Return how many steps of a run are finished."""
    return sum(not step.failed for step in finished_steps(rows))


async def change(
    journal: Journal, header: RunHeader, rows: Sequence[Row], loaded: LoadedProgram, key: str, patch: str
) -> tuple[RunHeader, Sequence[Row]]:
    """Put a patch in force in a run that is not under way; return the run as it is then.

    `key` is what the compiled program calls its flow.

    Raises Refusal with the diagnostics where the patch is refused; then nothing is changed.
    """
    try:
        if not is_standing(rows):
            await _stand(journal, header, loaded, key)
            header, rows = await asyncio.to_thread(journal.read, header.id)
        judged = await asyncio.to_thread(lambda: asyncio.run(_judged(header, rows, loaded, patch)))
        state, verdict = judged
        asked = intervention_on(state, USER, Proposal(patch, REASON), verdict)
        opened = journal.resume(header.id)
        try:
            if len(opened.rows()) != len(rows):
                raise Refusal(409, "The run has gone on", "somebody else has it", "look at it again")
            await opened.append(PATCH, body=patch_row(state, verdict, asked))
        finally:
            await opened.close()
        header, rows = await asyncio.to_thread(journal.read, header.id)
    except JournalError as error:
        raise Refusal(409, "The run cannot be changed", str(error), "look at the run, and try again") from None
    return header, rows


async def _stand(journal: Journal, header: RunHeader, loaded: LoadedProgram, key: str) -> None:
    """Let a run that was broken off say where it stands: it begins again, and stops before its next step."""
    try:
        await loaded.start(key, {}, journal=journal, resume=header.id, should_stop=lambda state: REASON)
    except ProgramError as error:
        raise Refusal(422, "The program of the run has errors now", str(error), "mend the file it imports") from None
    except RunFailed:
        return
    raise Refusal(409, "The run has ended", f"{header.id} has its value", "begin another run")


async def _judged(header: RunHeader, rows: Sequence[Row], loaded: LoadedProgram, patch: str) -> _Judged:
    try:
        state = await state_at(header, rows, loaded.ground_of(header), _NOBODY, trusted=True)
    except StoredFaulty as faulty:
        raise Refusal(422, "The program of the run has errors now", str(faulty), "mend what it imports") from None
    if state is None:
        raise Refusal(409, "The run cannot be changed", "it is not clear where it stands", "go on without a change")
    verdict = state.judge(Proposal(patch, REASON))
    if not verdict.accepted:
        faults = [one for one in verdict.findings if one.diagnostic.severity == ERROR]
        first = faults[0].diagnostic.title() if faults else "it does not fit the run"
        then = "change the program in another way, or begin another run"
        raise Refusal(422, "The run cannot go on like this", first, then, json_document(verdict.findings)["findings"])
    return _Judged(state, verdict)
