"""Instances M in a journal: run to their end or to where A_R(s_t) fires, forked there, graded, and counted.

    A_R(s_t) = C(s_t) > theta_C  or  O(s_t) = Failure          (5)

A run that is there already is not made again; one that was broken off goes on. A fork reads its parent's rows as its
own, so what a branch took, C(tau), has the prefix in it, and what was paid for the branch has not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from masdsl.batch.base import Amount, Sample
from masdsl.batch.grading import Grader, Kept, Score
from masdsl.batch.models import BatchModels
from masdsl.batch.runner import amounts_of, without_moments
from masdsl.diagnostics.base import Findings
from masdsl.journal import Journal, JournalBusy, Row, RunHeader, UnknownRun
from masdsl.loaded import LoadedProgram
from masdsl.meta.host import Host, main_of
from masdsl.rectify.base import Proposal
from masdsl.rectify.branching import Grants, branch, is_standing, state_at, watch_for, watch_over
from masdsl.rectify.durable import checked_limits
from masdsl.rectify.state import State
from masdsl.runtime.failures import InputError, RunFailed, StepFailed
from masdsl.runtime.granted import ceiling_of
from masdsl.runtime.meter import Limits
from masdsl.runtime.session import ShouldStop
from training.trees.asking import PATIENCE

_PAUSE = 0.1


class Cannot(Exception):
    """An instance that cannot even begin; the text says why. `is_lost`: for what the host lacks, not the system."""

    def __init__(self, why: str, *, is_lost: bool = False) -> None:
        super().__init__(why)
        self.is_lost = is_lost


class Instance(NamedTuple):
    """A system M, ready to run: its program, the flow that is run, the inputs, and the seed of its sampling."""

    loaded: LoadedProgram
    key: str
    inputs: Mapping[str, Any]
    seed: int


class Rested(NamedTuple):
    """A run that has come to rest: its rows, and whether the last of them gives a value."""

    header: RunHeader
    rows: Sequence[Row]

    @property
    def has_value(self) -> bool:
        """Whether it ended with a value."""
        return not is_standing(self.rows)

    @property
    def value(self) -> Any:
        """Its value as JSON data."""
        return self.rows[-1].body.get("value")

    @property
    def cost(self) -> Amount:
        """C(tau): what the whole path took for certain, a prefix that was paid by another run included."""
        return amounts_of(self.rows)[0]

    @property
    def paid(self) -> Amount:
        """What this run itself has paid."""
        return amounts_of([row for row in self.rows if row.seq > (self.header.parent_seq or 0)])[0]

    def why(self) -> str:
        """Return how a run without a value came to rest, without what differs from try to try."""
        body = self.rows[-1].body
        return without_moments(f"{body['step']}: {body.get('reason') or body.get('stopped')}", self.header.id)


class Bench(NamedTuple):
    """Where the instances of a tree run."""

    host: Host
    journal: Journal
    models: BatchModels
    limits: Limits
    room: asyncio.Semaphore
    grader: Grader
    sample: Sample

    def instance(self, text: str, inputs: Mapping[str, Any], seed: int) -> Instance:
        """Return a program that was checked before, ready to run. Raises Cannot for one with errors."""
        program = self.host.check(text, Findings())
        main = None if program is None else main_of(program)
        if program is None or main is None:
            raise Cannot("the system has errors by now")
        loaded = self.host.loaded(program)
        key = list(loaded.compiled.flows)[[flow.key for flow in program.flows].index(main.key)]
        return Instance(loaded, key, inputs, seed)

    async def rest(self, instance: Instance, name: str, *, watched: bool) -> Rested:
        """Run an instance under a name, or go on with it, until it rests; theta_C stops it only where it is `watched`.

        Raises Cannot, and JournalError.
        """
        kept = self._kept(name)
        if kept is None or not kept[1] or kept[1][-1].kind != "end":
            async with self.room:
                await self._made(instance, name, kept, watched=watched)
            kept = self._kept(name)
        assert kept is not None
        return Rested(*kept)

    def _kept(self, name: str) -> tuple[RunHeader, Sequence[Row]] | None:
        try:
            return self.journal.read(name)
        except UnknownRun:
            return None

    async def _made(
        self, instance: Instance, name: str, kept: tuple[RunHeader, Sequence[Row]] | None, *, watched: bool
    ) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                await instance.loaded.start(
                    instance.key,
                    instance.inputs if kept is None else {},
                    journal=self.journal,
                    run_id=name if kept is None else None,
                    resume=None if kept is None else name,
                    rectifier=False,
                    budget=self.limits,
                    seed=instance.seed,
                    should_stop=self._theta(instance, kept) if watched else None,
                    models=self.models.of_run({}),
                    count_doubts=False,
                )
            except RunFailed:  # the journal says how
                pass
            except JournalBusy:  # who had it has died, or is about to be found dead
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE)
                continue
            except (InputError, StepFailed) as fault:
                raise Cannot(str(fault), is_lost=isinstance(fault, StepFailed)) from None
            return

    def _theta(self, instance: Instance, kept: tuple[RunHeader, Sequence[Row]] | None) -> ShouldStop:
        """Return what stops a run beyond theta_C.

        One that was broken off with calls under way makes those first, as it would have had them: so it stops where
        it would have stopped.
        """
        if kept is None:
            program = instance.loaded.checked
            return watch_for(program, (program.budget, *map(checked_limits, self._around())), ()).stop_reason
        header, rows = kept
        watch = watch_over(header, rows, instance.loaded.ground_of(header, *self._around()))
        paid, open_calls = amounts_of(rows)
        begun = paid.calls + open_calls.calls
        return lambda state: None if (state.spent.calls or 0) < begun else watch.stop_reason(state)

    def _around(self) -> tuple[Limits | None, Limits | None]:
        return self.limits, ceiling_of(self.host.config)

    async def state(self, instance: Instance, rested: Rested, *, trusted: bool) -> State:
        """Return s_t of a run that stands."""
        program = instance.loaded.checked
        granted = frozenset(tool.granted_as for tool in program.tools)
        grants = Grants(tuple(one.tier for one in self.host.pool(program)), granted)
        ground = instance.loaded.ground_of(rested.header, *self._around())
        state = await state_at(rested.header, rested.rows, ground, grants, trusted=trusted)
        assert state is not None, "it stands"
        return state

    async def fork(self, run: str, name: str, state: State, said: Proposal | str, who: str) -> None:
        """Make a branch of a run at s_t, to be run by `rest`. Raises JournalError."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await branch(self.journal, run, name, state, said, who)
            except JournalBusy:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE)

    async def grade(self, rested: Rested, seed: int) -> Score:
        """Return what the grader says of the value of a run. Raises JournalError."""
        kept = Kept(self.journal, f"{rested.header.id}-judge")
        score = await self.grader.score(rested.value, self.sample, seed=seed, kept=kept)
        return score._replace(why=without_moments(score.why, kept.run_id))
