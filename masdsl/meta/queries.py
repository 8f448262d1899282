"""From a query to a session: its task, its place in a journal, and the session: begun, resumed or shown again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from masdsl import tracing
from masdsl.limits import MAX_TEXT_TOKENS
from masdsl.meta.design import EXAMPLES, Designer
from masdsl.meta.emission import Terms
from masdsl.meta.host import BadTask, Host
from masdsl.meta.ledger import Ledger
from masdsl.meta.outcome import Seams, Solved
from masdsl.meta.recording import Recorder, begin_session, replay_session, resume_session
from masdsl.meta.session import CheckedTask, Session, checked_task
from masdsl.meta.systems import SIGNATURE_SIZED
from masdsl.meta.task import SIGNATURE, Effort, Spent, Task
from masdsl.meta.team import Team
from masdsl.runtime.granted import ceiling_of
from masdsl.runtime.meter import Limits, tightest, usd_of
from masdsl.sizes import text_tokens
from masdsl.tracing import names

if TYPE_CHECKING:
    from masdsl.check.program import Program
    from masdsl.journal import Journal
    from masdsl.rectify.base import Intervention
    from masdsl.runtime.events import Observer
    from masdsl.runtime.session import ShouldStop

BUDGET: Final = Limits(calls=100, tokens=500_000, seconds=900)
"""What a query may take where nobody says: a limit that is given takes the place of its own alone."""
T = TypeVar("T")


class Watch(NamedTuple):
    """Who is told while a session goes on, and who may stop it."""

    on_event: Observer | None = None
    on_intervention: Callable[[Intervention, Program], None] | None = None
    should_stop: ShouldStop | None = None


NOBODY: Final = Watch()


def task_for(
    query: str,
    host: Host,
    *,
    signature: str = SIGNATURE,
    budget: Limits = BUDGET,
    tools: tuple[str, ...] = (),
    effort: Effort = "medium",
) -> Task:
    """Return the task of a query; no budget is above the host's ceiling. Raises BadTask for a query that is too long.

    A query that is longer than a text without a size may be gets a signature that takes all of it.
    """
    size = text_tokens(query)
    if size > MAX_TEXT_TOKENS:
        raise BadTask(
            f"the query has {size:,} tokens, and a text at most {MAX_TEXT_TOKENS:,}; put what it is about into"
            " documents that a tool searches, or ask about a part of it"
        )
    if signature == SIGNATURE and size > host.config.text_size:
        signature = SIGNATURE_SIZED.format(size=size)
    lowest = tightest(budget, ceiling_of(host.config))
    return Task(query, signature, budget if lowest is None else lowest, tools, effort)


def task_for_longest(queries: Iterable[str], host: Host) -> Task:
    """Return the task of several queries: its signature takes the longest. Raises BadTask as `task_for` does."""
    return task_for(max(queries, key=text_tokens, default=""), host)


async def solve(
    task: Task,
    host: Host,
    team: Team,
    journal: Journal,
    *,
    seed: int = 0,
    session: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    seams: Seams | None = None,
    watch: Watch = NOBODY,
    design_only: bool = False,
) -> Solved:
    """Answer a query in a new session, which the journal keeps under the name `session`.

    With `design_only` the system is designed, and not run: the result has no value. Raises BadTask for a task that no
    system can fit, and JournalError. Whatever models do is told in the result.
    """
    checked = checked_task(task, host, inputs or {})
    recorder = begin_session(journal, task, seed, tiers_of(host), session)
    return await _to_its_end(recorder, checked, host, team, seams, watch, design_only=design_only)


async def resume(
    run: str,
    host: Host,
    team: Team,
    journal: Journal,
    *,
    inputs: Mapping[str, Any] | None = None,
    seams: Seams | None = None,
    watch: Watch = NOBODY,
) -> Solved:
    """Go on with a session: what was decided and paid for is there. Raises what `solve` does."""
    recorder, task = resume_session(journal, run)
    return await _to_its_end(recorder, checked_task(task, host, inputs or {}), host, team, seams, watch)


async def replay(
    run: str,
    host: Host,
    team: Team,
    journal: Journal,
    *,
    inputs: Mapping[str, Any] | None = None,
    watch: Watch = NOBODY,
) -> Solved:
    """Show a session again from its journal alone: no model and no tool is called. Raises JournalError, NotKept."""
    recorder, task = replay_session(journal, run)
    return await _to_its_end(recorder, checked_task(task, host, inputs or {}), host, team, None, watch)


async def _to_its_end(
    recorder: Recorder,
    task: CheckedTask,
    host: Host,
    team: Team,
    seams: Seams | None,
    watch: Watch,
    *,
    design_only: bool = False,
) -> Solved:
    try:
        session = Session(task, host, team, recorder, seams=seams, **watch._asdict())
        if recorder.replay_only:
            return await session.solve()
        with tracing.workflow("design" if design_only else "solve", _traced_as(recorder.id)) as settle:
            solved = await (session.design() if design_only else session.solve())
            settle(*_ending(solved))
            return solved
    finally:
        await recorder.close()


def _traced_as(session: str) -> dict[str, str]:
    return {names.RUN: session, names.CONVERSATION: session}


def _ending(solved: Solved) -> tuple[str, dict[str, Any]]:
    """Return how a session ended, and what it took, as its span has it."""
    whole = Spent()
    for one in solved.spent.values():
        whole = whole.plus(one)
    status = "stopped" if solved.stopped else "failed" if solved.failed else "ended"
    return status, names.spending(whole.calls, whole.tokens_in, whole.tokens_out, usd_of(whole.picodollars))


def wait(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do something of this module from code that is not asynchronous."""
    from masdsl.runtime.program import run_coroutine

    done: Any = run_coroutine(start)  # type: ignore[arg-type]  # it returns whatever the coroutine does
    return done  # type: ignore[no-any-return]


def tiers_of(host: Host) -> dict[str, str]:
    """Return the model that stands behind each tier here."""
    from masdsl.diagnostics.base import Findings

    program = host.check("mas 1\n\nflow main(query) -> text {\n  return query\n}\n", Findings())
    return {} if program is None else {one.tier.name: one.tier.model for one in host.pool(program)}


# ---------------------------------------------------------------- without a model


class Plan(NamedTuple):
    """What would be done for a task, as far as that is known without a model.

    `examples` are the systems that the generator would be shown; `terms` bounds its calls; `near` and `simple` are what
    would be taken where it gives nothing.
    """

    task: Task
    examples: tuple[tuple[str, float, str], ...]
    terms: Terms
    room: Limits
    near: str
    simple: str
    team: Team

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "query": self.task.query,
            "signature": self.task.signature,
            "tools": list(self.task.tools),
            "budget": _amounts(self.task.budget),
            "team": {
                "generator": self.team.generator.name,
                "implementer": self.team.implementer.name,
                "rectifier": _rectifier_name(self.team),
            },
            "examples": [
                {"name": name, "score": round(score, 4), "about": said} for name, score, said in self.examples
            ],
            "design": {"tries": self.terms.tries, "calls": self.terms.calls, "tokens": self.terms.tokens},
            "run": _amounts(self.room),
            "nearest": self.near,
            "simplest": self.simple,
        }


async def plan(task: Task, host: Host, team: Team, journal: Journal, seams: Seams | None = None) -> Plan:
    """Return what would be done for a task. No model is asked, nothing is kept. Raises BadTask."""
    from masdsl.journal import MemoryJournal
    from masdsl.meta.roles import Desk, PoolGenerator

    shape, ledger = checked_task(task, host, {}).shape, Ledger(task.budget)
    recorder = begin_session(MemoryJournal(), task, 0, {})
    recorder.journal = journal
    designer = Designer(task, shape, host, team, ledger, recorder, seams or Seams())
    examples = designer.examples()
    terms = ledger.terms("generator", task.effort, 0)
    left = ledger.left()
    near = await PoolGenerator().generate(task, examples, Desk(host, shape, left, terms, lambda model: model))
    simple = designer.simplest()
    shown = tuple((one.system.name, one.score, one.system.title) for one in examples[:EXAMPLES])
    return Plan(task, shown, terms, left, near.reasoning, "nothing" if simple is None else simple.name, team)


def _amounts(limits: Limits) -> dict[str, Any]:
    return {"calls": limits.calls, "tokens": limits.tokens, "usd": limits.usd, "seconds": limits.seconds}


def _rectifier_name(team: Team) -> str:
    if team.mender is not None:
        return f"model {team.mender.name}"
    return "nobody" if team.rectifier is None else team.rectifier.name
