"""Programs in which every call goes wrong, one at a time or by chance, and what must come of it.

    outcome = play(scene, once(position, kind))
    assert not list(wrong(scene, outcome))
    assert outcome.given == expected(scene, position, kind, always=False)

A scene (`fault_scenes`) says what its run gives where a step fails for good; the table of `faults` says what a kind of
fault does to a call. Whatever happens, the ledger has to say exactly what the table bills.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Coroutine, Iterator
from functools import cache
from typing import Any, NamedTuple
from unicodedata import category

from masdsl.bounds.flows import bound
from masdsl.runtime import Result, RunFailed
from masdsl.runtime.accounts import token_price
from masdsl.runtime.meter import cost_of
from masdsl.runtime.shapes import plain
from tests.harness import virtual_time
from tests.harness.adversary import draw
from tests.harness.bounding import exceeded, took
from tests.harness.fault_scenes import BY_NAME, TOOLS, USED, Lost, Scene, Schedule, Troubled, case_of, nothing
from tests.harness.faults import MODEL_KINDS, Context, Kind
from tests.harness.tool_faults import TOOL_KINDS


class Position(NamedTuple):
    """A call of the undisturbed run: who is called how often before; the step, its path, and its context."""

    who: str
    number: int
    step: str
    context: Context

    @property
    def is_tool(self) -> bool:
        """Whether a tool is called, not a model."""
        return self.who in TOOLS

    @property
    def kinds(self) -> list[Kind]:
        """The faults that can be done here."""
        return [kind for kind in (TOOL_KINDS if self.is_tool else MODEL_KINDS) if kind.fits(self.context)]


def once(position: Position, kind: Kind) -> Schedule:
    """A fault at one call alone."""
    return lambda who, number: kind if (who, number) == (position.who, position.number) else None


def from_then_on(position: Position, kind: Kind) -> Schedule:
    """A fault at a call and at all further ones of the same step."""
    return lambda who, number: kind if who == position.who and number >= position.number else None


def by_chance(seed: int, share: float = 0.3) -> Schedule:
    """Faults anywhere, by a seed."""
    models = [kind for kind in MODEL_KINDS if not kind.blocks]
    tools = [kind for kind in TOOL_KINDS if not kind.blocks and inspect.iscoroutinefunction(kind.call)]

    def schedule(who: str, number: int) -> Kind | None:
        kinds = tools if who in TOOLS else models
        chance = draw(seed, "fault", who, number) / share
        return kinds[int(chance * len(kinds))] if chance < 1 else None

    return schedule


# ---------------------------------------------------------------- runs


class Outcome(NamedTuple):
    """How a run ended: what it gives (a value or `Lost`), why it gives none, and what nobody should have heard of."""

    given: Any
    reason: str
    result: Result
    model: Troubled
    complaints: tuple[str, ...]


def play(scene: Scene, schedule: Schedule = nothing, **options: Any) -> Outcome:
    """Run a scene in virtual time; whatever but `RunFailed` comes of it is raised."""
    model = Troubled(scene, schedule)
    complaints: list[str] = []
    try:
        result = guarded(run(scene, model, **options), complaints)
    except RunFailed as failure:
        return Outcome(Lost(failure.step), failure.reason, failure.result, model, tuple(complaints))
    return Outcome(plain(result.value), "", result, model, tuple(complaints))


def run(scene: Scene, model: Troubled, **options: Any) -> Coroutine[Any, Any, Result]:
    """Return the run of a scene."""
    return case_of(scene.name).compiled.run("main", {"x": "x"}, models=model, tools=model.tools, **options)


def guarded(work: Coroutine[Any, Any, Result], complaints: list[str]) -> Result:
    """Run a coroutine in virtual time; keep what the loop complains of, such as exceptions that nobody asked for."""

    async def watched() -> Result:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
        return await work

    return virtual_time.run(watched())


@cache
def positions(scene_name: str) -> tuple[Position, ...]:
    """Return every call of a scene's undisturbed run, of models and of tools."""
    scene = BY_NAME[scene_name]
    outcome = play(scene)
    assert outcome.given == scene.value, outcome
    steps: dict[str, list[str]] = {}
    for event in outcome.result.events:
        if event.kind == "called" and event.what == "tool":
            steps.setdefault(event.name, []).append(event.address)
    made = [Position(call.who, call.number, call.who, call.context) for call in outcome.model.calls]
    made += [Position(use.who, use.number, steps[use.who][use.number], use.context) for use in outcome.model.uses]
    return tuple(position for position in made if position.is_tool or _agent(position) != "bad")


def expected(scene: Scene, position: Position, kind: Kind, *, always: bool) -> Any:
    """Return what a run must give whose call at a position goes wrong, once or from then on: a value, `Lost` or ANY."""
    if kind.then == "other value":
        return ANY
    if kind.then in ("value", "told"):
        return scene.value
    path = path_of(position.step)
    if position.is_tool:
        if any(path.endswith(f".{used}") for used in USED.values()):  # the agent is told, and goes on
            return scene.value
    elif kind.then in ("again", "corrected") and not always:
        agent = case_of(scene.name).compiled.agents[_agent(position)]
        if agent.retries and not (kind.hangs and agent.timeout is not None):
            return scene.value
    return scene.fails.get(path, Lost(position.step))


def path_of(step: str) -> str:
    """Return the path in an address."""
    return step.partition("[")[0]


def _agent(position: Position) -> str:
    assert position.context.request is not None
    return position.context.request.agent


class _Any:
    """Equals every value, and no `Lost`."""

    def __eq__(self, other: object) -> bool:
        return not isinstance(other, Lost)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "any value"


ANY = _Any()


# ---------------------------------------------------------------- what must hold whatever happens


def wrong(scene: Scene, outcome: Outcome) -> Iterator[str]:
    """Yield what should not be in any run: a wrong ledger, steps without an end, more than the bound, complaints."""
    result, model = outcome.result, outcome.model
    price = token_price(model.price)
    calls = model.calls
    told = (result.calls, result.tokens_in, result.tokens_out, result.picodollars)
    costs = [cost_of(call.tokens_in, call.tokens_out, price) for call in calls]
    due = (
        len(calls),
        sum(cost.tokens_in for cost in costs),
        sum(cost.tokens_out for cost in costs),
        sum(cost.picodollars or 0 for cost in costs),
    )
    if told != due:
        yield f"the ledger says {told}, the table {due}"
    called = [event for event in result.events if event.kind == "called" and event.what == "agent"]
    if (sum(event.tokens_in for event in called), sum(event.tokens_out for event in called)) != due[1:3]:
        yield "the events say something else than the table"
    begun = Counter(event.address for event in result.events if event.kind == "started")
    ended = Counter(event.address for event in result.events if event.kind in ("finished", "failed", "refused"))
    for address in {*begun, *ended}:
        stopped = not ended[address] and not begun[address]
        finished = sum(event.address == address and event.kind == "finished" for event in result.events)
        if not stopped and (begun[address] != 1 or not 1 <= ended[address] <= 2 or finished > 1):
            yield f"{address} began {begun[address]} times and ended {ended[address]} times"
    case = case_of(scene.name)
    lost = isinstance(outcome.given, Lost)
    limit = bound(case.program, case.prices).flows["main"]
    yield from exceeded(took(result, outcome.reason or "lost" if lost else ""), limit)
    if lost:
        try:
            outcome.reason.encode()
        except UnicodeEncodeError:
            yield f"the reason cannot be written: {outcome.reason[:200]!r}"
        if len(outcome.reason) > 3000 or any(category(one) in ("Cc", "Cf", "Cs") for one in outcome.reason):
            yield f"the reason is no line for a person: {outcome.reason[:200]!r}"
    elif not isinstance(outcome.given, str):
        yield f"the value is {outcome.given!r}"
    yield from (f"the loop complains: {complaint}" for complaint in outcome.complaints)
