"""A run with a journal, and with a rectifier: steps, trouble, a patch, and on from where it stood.

    the program runs                            until it has a value: done
      |  a failure that nothing catches, a refusal by the budget, or the threshold
      v
    the rectifier is shown the state, and proposes a patch (or says why not: then a failure is the end)
      |  judged whole; a refused one counts as a try
      v
    the patch is written to the journal, in one row; from then on it is in force, whatever happens
      v
    the patched program runs from the top: finished steps have their values from the journal

Whoever resumes the run finds the texts that it began with and the patches in the journal, and so the same program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from masdsl import limits as caps
from masdsl.check.program import Limits as CheckedLimits
from masdsl.check.program import Program
from masdsl.journal.base import OpenRun
from masdsl.pipeline import load
from masdsl.rectify.answers import asked_row, intervention_on, patch_row
from masdsl.rectify.base import USER, Intervention, Proposal, Rectifier, Trigger
from masdsl.rectify.causes import cause_of
from masdsl.rectify.checks import Ground, Standing, Verdict, judge
from masdsl.rectify.locate import Sites, trail
from masdsl.rectify.remaining import Version, finished_steps, left_of
from masdsl.rectify.state import State, Tier
from masdsl.rectify.stored import ASKED, PATCH, Stored, stored
from masdsl.rectify.watch import Watch, spent_of
from masdsl.runtime import Limits, Result, RunFailed
from masdsl.runtime import Program as CompiledProgram
from masdsl.runtime.events import VALUED, Event, Observer, Witness, read_address
from masdsl.runtime.failures import BudgetRefused, RunStopped
from masdsl.runtime.program import Models
from masdsl.runtime.session import ShouldStop
from masdsl.runtime.state import State as RunState
from masdsl.runtime.tool import ToolFunction

FORCED_TRIES: Final = 1
"""How often a run is rectified whose program does not say `rectify`, where its caller asks for it."""


class Host(NamedTuple):
    """What a run gets from outside, whatever its program.

    `tools` returns the granted functions for a compiled program. `budget` and `ceiling` hold around the program's own.
    `compile` is what compiles a program, or has it already.
    """

    models: Models
    tools: Callable[[CompiledProgram], Mapping[str, ToolFunction]]
    tiers: tuple[Tier, ...]
    budget: Limits | None
    ceiling: Limits | None
    on_event: Observer | None
    on_intervention: Callable[[Intervention, Program], None] | None
    should_stop: ShouldStop | None = None
    compile: Callable[[Program], CompiledProgram] = load
    count_doubts: bool = True
    witness: Witness | None = None


def checked_limits(limits: Limits | None) -> CheckedLimits | None:
    """Return limits of the runtime as those of checked programs."""
    if limits is None:
        return None
    return CheckedLimits(limits.calls, limits.tokens, limits.usd, limits.seconds)


class DurableRun:
    """One run of a flow, in a journal. `rectifier` is None where nobody repairs it."""

    def __init__(self, run: OpenRun, ground: Ground, host: Host, rectifier: Rectifier | None) -> None:
        """Read what the journal has. Raises JournalDamaged, and StoredFaulty for a program with errors by now."""
        self._run = run
        self._ground = ground
        self._host = host
        self._rectifier = rectifier
        header = run.header
        self._strict = header.policy == "strict"
        kept: Stored = stored(header, run.rows(), ground)
        self._source = kept.source
        self._versions = list(kept.versions)
        self._interventions = list(kept.interventions)
        self._tries = 0
        self._watch = Watch(None)
        if rectifier is not None:
            self.rectify_by(rectifier)
        self._events: list[Event] = []
        self._attempt_began = 0
        self._is_over = False

    def rectify_by(self, rectifier: Rectifier) -> None:
        """Let somebody repair the run from now on, as often as the program says, or once where it says nothing.

        Raises ValueError for one that is called like the run's user, whose patches are no tries.
        """
        if rectifier.name == USER:
            raise ValueError(f"a rectifier may not be called {USER!r}: that is the run's own user")
        self._rectifier = rectifier
        declared = self.program.rectify
        self._tries = min(FORCED_TRIES if declared is None else declared.tries, caps.PATCHES)
        self._watch = Watch(None if declared is None else declared.at)

    @property
    def _now(self) -> Version:
        return self._versions[-1]

    @property
    def program(self) -> Program:
        """The program that is in force."""
        return self._now.program

    @property
    def tries_left(self) -> int:
        """How many patches may still be proposed."""
        used = sum(one.is_try for one in self._interventions)
        return max(self._tries - used, 0)

    async def run(self) -> Result:
        """Run until there is a value, and return it with what the whole run took.

        Raises what `masdsl.runtime.Program.run` raises, and errors of the journal.
        """
        while True:
            try:
                result = await self._attempt()
            except RunStopped as stopped:
                if self._is_over:
                    stopped.result = self._whole(stopped.result)
                    raise
                trigger = Trigger("threshold", "budget", stopped.step, stopped.reason, self._watch.measure)
                await self._ask(trigger)  # without a patch it goes on as it was, up to the next threshold
            except RunFailed as failure:
                if not await self._repaired(failure):
                    failure.result = self._whole(failure.result)
                    raise
            else:
                return self._whole(result)

    async def _attempt(self) -> Result:
        program = self._now.program
        compiled = self._host.compile(program)
        around = (program.budget, *self._ground.limits)
        self._watch.begin(around if self.tries_left else (), self._interventions)
        header = self._run.header
        offset = self._attempt_began = len(self._events)

        def numbered(event: Event) -> Event:
            return event._replace(number=offset + event.number) if offset else event

        show = self._host.on_event
        key = list(compiled.flows)[[flow.key for flow in program.flows].index(self._now.entry)]
        try:
            result = await compiled.run(
                key,
                header.inputs,
                models=self._host.models,
                tools=self._host.tools(compiled),
                on_event=None if show is None else lambda event: show(numbered(event)),
                budget=self._host.budget,
                ceiling=self._host.ceiling,
                seed=header.seed,
                run=self._run,
                policy="strict" if self._strict else "frozen",
                sites=Sites(program, program.flow(self._now.entry)),
                should_stop=self._stop_reason,
                count_doubts=self._host.count_doubts,
                witness=self._host.witness,
            )
        except RunFailed as failure:
            self._events.extend(map(numbered, failure.result.events))
            raise
        self._events.extend(map(numbered, result.events))
        return result

    def _stop_reason(self, state: RunState) -> str:
        """Return why the run should stop: because its caller says so, which is the end, or to ask the rectifier."""
        reason = self._host.should_stop(state) if self._host.should_stop is not None else None
        if reason:
            self._is_over = True
            return reason
        return self._watch.stop_reason(state)

    def _whole(self, result: Result) -> Result:
        return replace(result, raw_events=tuple(self._events), interventions=tuple(self._interventions))

    # ------------------------------------------------------------ trouble

    async def _repaired(self, failure: RunFailed) -> bool:
        """Ask for a patch until one is accepted, or none is proposed, or there were enough tries."""
        while self.tries_left:
            intervention = await self._ask(self._trigger(failure))
            if intervention.accepted:
                return True
            if not intervention.patch:
                return False
        return False

    def _trigger(self, failure: RunFailed) -> Trigger:
        origin = failure.__cause__
        limit = origin.limit if isinstance(origin, BudgetRefused) else ""
        return trigger_of(self.program, self._now.entry, failure.step, failure.reason, limit)

    async def _ask(self, trigger: Trigger) -> Intervention:
        """Ask the rectifier, and put its patch in force if it may be applied. The journal keeps what came of it."""
        assert self._rectifier is not None
        standing = self._standing()
        trusted = self._rectifier.trusted

        def dry(proposal: Proposal) -> Verdict:
            return judge(self._ground, standing, proposal, trusted=trusted)

        compiled_tools = self._host.tools(self._host.compile(self.program))
        state = State(
            trigger=trigger,
            standing=standing,
            inputs=self._run.header.inputs,
            rest=standing.rest(),
            left=left_of((self.program.budget, *self._ground.limits), standing.spent),
            tiers=self._host.tiers,
            granted=frozenset(compiled_tools),
            tries_left=self.tries_left,
            earlier=tuple(self._interventions),
            judge=dry,
        )
        said = await self._rectifier.propose(state)
        verdict = None if isinstance(said, str) else dry(said)
        asked = intervention_on(state, self._rectifier.name, said, verdict)
        before = self.program
        if verdict is not None and verdict.accepted:
            await self._apply(state, verdict, asked)
        else:
            await self._run.append(ASKED, body=asked_row(asked))
        self._interventions.append(asked)
        if self._host.on_intervention is not None:
            self._host.on_intervention(asked, before)
        return asked

    async def _apply(self, state: State, verdict: Verdict, asked: Intervention) -> None:
        assert verdict.source is not None and verdict.version is not None
        # once this row is there, the patch is in force
        await self._run.append(PATCH, body=patch_row(state, verdict, asked))
        self._source = verdict.source
        self._versions.append(verdict.version)

    def _standing(self) -> Standing:
        rows = self._run.rows()
        ends = [row for row in rows if row.kind == "end"]
        again = {read_address(where) for where in (ends[-1].body.get("open", ()) if ends else ())}
        kinds = (*VALUED, "failed", "refused")
        passed = {(one.path, one.indices) for one in self._events[self._attempt_began :] if one.kind in kinds} - again
        return Standing(
            source=self._source,
            now=self._now,
            earlier=tuple(self._versions[:-1]),
            finished=tuple(one for one in finished_steps(rows) if (one.path, one.indices) in passed),
            spent=spent_of(rows),
            strict=self._strict,
        )


def trigger_of(program: Program, entry: str, address: str, reason: str, limit: str) -> Trigger:
    """Return what the failure of a step asks the rectifier for; `limit` is the measure that refused it, if one did."""
    places = trail(program, program.flow(entry), address)
    callee = ""
    if places:
        step = places[-1].step
        path = address.partition("[")[0].split(".")
        is_below = step.kind == "agent" and len(path) > 1 and path[-1] != step.path.rpartition(".")[2]
        callee = "tool" if is_below and path[-1] in {tool.name for tool in program.tools} else step.kind
    return Trigger("failure", cause_of(reason, callee, limit=limit), address, reason, limit)
