"""A session: a system for a query is designed, assigned its models, run and repaired, within one budget.

    M_temp ~ pi_gen( . | Q)             the generator designs a template, after systems that are near
    phi ~ pi_imp( . | M_temp)           the implementer assigns a tier of the pool L to each role
    M = M_temp (+) phi                  the system; checked, and its worst case compared with what is left
    A_R(s_t), M_(t+1) ~ pi_rec          while it runs, a rectifier may patch it, and the run goes on (`masdsl.rectify`)

Whatever the meta-agents do, there is an answer to "what now": where the generator gives nothing that fits, the nearest
known system is taken; where none fits, self-consistency or a single call; where the designed system fails, the simplest
one gets what is left. Every such step is told. Symbols: MAS² (arXiv:2509.24323), definitions 1 to 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from masdsl.check.program import Flow
from masdsl.meta.design import Designer
from masdsl.meta.fitting import declared_tools, granted_to
from masdsl.meta.host import BadTask, Host, main_of, shape_of
from masdsl.meta.ledger import Ledger, spent_by
from masdsl.meta.outcome import Attempt, Designed, Seams, Solved, System, system_of
from masdsl.meta.recording import Recorder
from masdsl.meta.records import OUTCOME, START, NotKept, limits_to_json, outcome_of
from masdsl.meta.roles import ModelRectifier, rectifier_context
from masdsl.meta.task import Emitted, Spent, Task
from masdsl.meta.team import Team
from masdsl.runtime.failures import InputError, NotInJournal, RunFailed, RunStopped, StepFailed
from masdsl.runtime.meter import Limits
from masdsl.runtime.shapes import plain

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.journal import Journal
    from masdsl.meta.emission import Terms
    from masdsl.rectify.base import Intervention, Rectifier
    from masdsl.rectify.state import State
    from masdsl.runtime import Result
    from masdsl.runtime.events import Observer
    from masdsl.runtime.session import ShouldStop

MOST_ATTEMPTS: Final = 2
"""Systems that are run for one query: the designed one, and the simplest where that failed."""


class CheckedTask(NamedTuple):
    """A task that a system can fit: the flow that it asks for, and the inputs of that."""

    task: Task
    shape: Flow
    inputs: Mapping[str, Any]


def checked_task(task: Task, host: Host, inputs: Mapping[str, Any]) -> CheckedTask:
    """Return a task with its flow and inputs. Raises BadTask for one that no system can fit."""
    if not task.query.strip():
        raise BadTask('the query is empty; say what is to be done, as in: mas solve "Which is larger, 2^10 or 10^3?"')
    shape = shape_of(task, host)
    return CheckedTask(task, shape, _inputs(task, shape, inputs))


class Session:
    """One query, and what is done for it. `recorder` is the session's place in a journal (`recording`)."""

    def __init__(
        self,
        checked: CheckedTask,
        host: Host,
        team: Team,
        recorder: Recorder,
        *,
        seams: Seams | None = None,
        on_event: Observer | None = None,
        on_intervention: Callable[[Intervention, Program], None] | None = None,
        should_stop: ShouldStop | None = None,
    ) -> None:
        self.task, shape, self._inputs = checked
        self._host = host = granted_to(host, declared_tools(self.task))
        self._team = team
        self._recorder = recorder
        self._seams = seams or Seams()
        self._ledger = Ledger(self.task.budget, elapsed=recorder.elapsed)
        self._ledger.add("rectifier", recorder.spent_on_repairs())
        self._on_event = on_event
        self._on_intervention = on_intervention
        self._should_stop = should_stop
        self._designer = Designer(self.task, shape, host, team, self._ledger, recorder, self._seams)
        self._attempts: list[Attempt] = []

    async def design(self) -> Solved:
        """Design M for the query, and run nothing: the result has no value. Raises JournalError, NotKept."""
        designed = await self._designer.design()
        solved = self._solved(designed, None, "")
        await self._end(solved)
        return solved

    async def solve(self) -> Solved:
        """Design a system, run it, and return the answer; where it fails, that of the simplest one.

        Never raises for what models do. Raises JournalError, and NotKept for a session that is only shown again and
        had not come to its end.
        """
        designed = await self._designer.design()
        designed = designed._replace(system=self._begun(1) or designed.system)
        value, system = None, designed.system
        stopped = False
        while len(self._attempts) < MOST_ATTEMPTS:
            value, attempt, stopped = await self._attempt(system)
            self._attempts.append(attempt)
            if not attempt.failed or stopped:
                break
            simplest = self._designer.simplest()
            if simplest is None or simplest.name == system.name:
                break
            self._designer.note(f"{system.name} gave no answer ({attempt.failed}): {simplest.name} gets what is left")
            system = simplest
        solved = self._solved(designed, plain(value), self._attempts[-1].failed, stopped=stopped)
        await self._end(solved)
        return solved

    def _solved(self, designed: Designed, value: Any, failed: str, *, stopped: bool = False) -> Solved:
        return Solved(
            session=self._recorder.id,
            value=value,
            failed=failed,
            designed=designed,
            attempts=tuple(self._attempts),
            spent={str(part): spent for part, spent in self._ledger.spent.items() if spent.calls},
            seconds=self._ledger.seconds,
            notes=self._designer.notes,
            stopped=stopped,
        )

    # ------------------------------------------------------------ running

    def _begun(self, number: int) -> System | None:
        """Return the system that a kept session has run: rules and records may say something else by now."""
        kept = self._recorder.start_of(number)
        return None if kept is None else system_of(kept["system"])

    async def _attempt(self, system: System) -> tuple[Any, Attempt, bool]:
        """Run a system; return its value, what is told of the run, and whether somebody stopped it."""
        number = len(self._attempts) + 1
        run = f"{self._recorder.id}.{number}"
        limits = await self._limits_of(system, number)
        result: Result | None = None
        failed, stopped, value = "", False, None
        try:
            result = await self._run(system, run, limits)
            value = result.value
            failed = self._no_answer(result)
        except RunStopped as stop:
            result, failed, stopped = stop.result, stop.reason, True
        except RunFailed as failure:
            result, failed = failure.result, f"{failure.step}: {failure.reason}"
        except (InputError, StepFailed) as fault:
            failed = str(fault)
        spent = Spent() if result is None else spent_by(result)
        self._ledger.add("run", spent)
        told = () if result is None else tuple(result.interventions)
        return None if failed else value, Attempt(system.name, run, spent, failed, told), stopped

    def _no_answer(self, result: Result) -> str:
        """Return why the value of a run is no answer: repairs may have left out all that would have made one."""
        value = result.value
        if result.interventions and not result.tokens_out:
            return f"no model gave an answer: {result.interventions[0].trigger.reason}"
        if isinstance(value, str) and not value.strip():
            return "its answer is empty"
        if isinstance(value, str) and result.interventions and value.strip() == self.task.query.strip():
            return "its answer is the query itself"
        return ""

    async def _limits_of(self, system: System, number: int) -> Limits:
        """Return what a run may spend: that of the journal for one that began before."""
        kept = self._recorder.start_of(number)
        if kept is not None:
            return Limits(**kept["budget"])
        mending = self._team.mender is not None
        whole, share = self._ledger.left(), self._ledger.left(0.85 if mending else 1.0)
        calls = None if whole.calls is None else max(share.calls or 0, min(1, whole.calls))
        limits = Limits(calls=calls, tokens=share.tokens, usd=share.usd, seconds=share.seconds)
        body = {"number": number, "system": system.to_json(), "budget": limits_to_json(limits)}
        await self._recorder.append(START, body)
        return limits

    async def _run(self, system: System, run: str, limits: Limits) -> Result:
        from masdsl.diagnostics.base import Findings

        findings = Findings()
        program = self._host.check(system.text, findings)
        main = None if program is None else main_of(program)
        if program is None or main is None:
            raise InputError("the system has errors by now: the configuration has changed since it was designed")
        loaded = self._host.loaded(program)
        key = list(loaded.compiled.flows)[[flow.key for flow in program.flows].index(main.key)]
        journal = self._recorder.journal
        if self._recorder.replay_only:
            return await self._shown_again(journal, run, loaded)
        known = self._recorder.has_run(run)
        return await loaded.start(
            key,
            {} if known else self._inputs,
            journal=journal,
            resume=run if known else None,
            run_id=None if known else run,
            rectifier=self._rectifier(program) or False,
            budget=limits,
            seed=self._recorder.seed,
            on_event=self._on_event,
            on_intervention=self._on_intervention,
            should_stop=self._should_stop,
        )

    async def _shown_again(self, journal: Journal, run: str, loaded: Any) -> Result:
        from masdsl.rectify.replay import replay

        header, rows = journal.read(run)
        try:
            return await replay(header, rows, loaded.ground_of(header), self._on_event)
        except NotInJournal as missing:
            raise NotKept(str(missing)) from None

    # ------------------------------------------------------------ repairing

    def _rectifier(self, program: Program) -> Rectifier | None:
        """Return pi_rec for a run: a model, whose calls are the session's, and who is asked where it has no patch."""
        mender, otherwise = self._team.mender, self._team.rectifier
        if mender is None:
            return otherwise
        taped = self._recorder.taped(mender, "rectifier", self._ledger.seconds_left)
        config, context = self._host.config, self._team.context
        asks = partial(rectifier_context, context=context)
        return ModelRectifier(taped, config, asks, self._rectifier_terms, self._rectified, otherwise)

    def _rectifier_terms(self) -> Terms:
        return self._ledger.terms("rectifier", self.task.effort, self._recorder.seed)

    def _rectified(self, state: State, emitted: Emitted) -> None:
        self._ledger.add("rectifier", emitted.spent)
        by = "" if self._team.mender is None else f"model {self._team.mender.name}"
        why = "" if emitted.text else "no patch may be applied"
        self._recorder.decided_now("rectifier", by, state.to_json(), emitted, why, self._ledger.seconds)

    # ------------------------------------------------------------ the end

    async def _end(self, solved: Solved) -> None:
        """Keep how the session ended. Its template is remembered where it gave the answer as it was designed."""
        is_new = outcome_of(self._recorder.rows()) is None
        if not self._recorder.replay_only and not solved.stopped and is_new:
            body = solved.to_json()
            del body["designed"]
            first = solved.attempts[0] if solved.attempts else None
            is_good = first is not None and not first.failed and not first.interventions
            body["template"] = solved.designed.template if is_good and solved.designed is not None else ""
            await self._recorder.append(OUTCOME, body)
            await self._recorder.status("failed" if solved.failed else "ended")
            if self._seams.ended is not None:
                self._seams.ended(self.task, solved)


def _inputs(task: Task, shape: Flow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of `main`: the query is the parameter `query`, or the only one. Raises BadTask."""
    names = [one.name for one in shape.params]
    name = "query" if "query" in names or len(names) != 1 else names[0]
    inputs = {**given, **({name: task.query} if name in names else {})}
    missing = [one.name for one in shape.params if one.name not in inputs and not one.optional and one.default is None]
    unknown = [one for one in inputs if one not in names]
    if missing or unknown:
        what = f"the input `{missing[0]}` is missing" if missing else f"there is no input `{unknown[0]}`"
        raise BadTask(f"{what}; the signature is: {task.signature}")
    return inputs
