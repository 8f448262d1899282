"""One run: what all its steps share, and the scopes in which steps live.

A failure never cancels what was paid for. Each call of a flow, and each set of samples, is a scope: when something in
it fails for good, the scope is stopped, which lets no further step begin; the calls under way end and are counted, and
then the failure goes on to the caller, who may have a fallback.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from masdsl.diagnostics.bounds import CEILING
from masdsl.runtime.agent import Agent
from masdsl.runtime.alarm import Alarm
from masdsl.runtime.events import Event, EventKind, Observer, RawEvent, StepKind, Witness, address, rounded
from masdsl.runtime.failures import BudgetRefused, StepFailed, Stopped
from masdsl.runtime.meter import Limits, Meter
from masdsl.runtime.models.base import ChatModel, ModelError, ModelResolver
from masdsl.runtime.state import State
from masdsl.runtime.tool import ToolFunction

if TYPE_CHECKING:
    from masdsl.runtime.recording import Entry, Recording

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

StandIn: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""Takes the place of an agent's model in a test: gets the agent's inputs as JSON data, once for each attempt.

It returns the value, or `RawReply`, or raises `StepFailed`, which fails the step.
"""

ShouldStop: TypeAlias = Callable[[State], str | None]
"""Is asked before a step of an agent or a tool begins, and after each call of a model; gives a reason to stop."""

STAND_IN: Final = "stand-in"
"""The name of the model of an agent that has a stand-in."""


class RawReply(NamedTuple):
    """What a stand-in returns to have a model's words read as a reply."""

    text: str


_log = logging.getLogger("masdsl")


class Session:
    """What the steps of a run share: models, tools, the root meter, events and the seed."""

    __slots__ = (
        *("_key", "_models", "_observer", "_resolve", "_should_stop", "_without_counts", "alarm", "events"),
        *("halted", "innermost", "just_started_by", "meter", "now", "prevented", "recording", "seed", "stand_ins"),
        *("state", "time", "tools", "unpriced_calls", "witness"),
    )

    def __init__(
        self,
        *,
        limits: Limits,
        ceiling: Limits | None = None,
        models: ModelResolver,
        tools: Mapping[str, ToolFunction],
        stand_ins: Mapping[str, StandIn],
        observer: Observer | None,
        seed: int,
        budget: Limits | None = None,
        elapsed: float = 0.0,
        should_stop: ShouldStop | None = None,
        witness: Witness | None = None,
    ) -> None:
        above = None if ceiling is None else Meter(ceiling, CEILING, elapsed=elapsed)
        self.meter = Meter(limits, "the budget", above, elapsed=elapsed)
        self.now = self.meter.elapsed
        """Gives the seconds since the run began."""
        self.innermost = self.meter
        """The meter of the run as a whole, below the caller's own budget."""
        if budget is not None:
            self.innermost = Meter(budget, "the budget of this run", self.meter, elapsed=elapsed)
        self.alarm = Alarm()
        self.time = self.alarm.time
        """Gives the time of the run's event loop, in seconds."""
        self.tools = tools
        self.stand_ins = stand_ins
        self.seed = seed
        self.events: list[RawEvent] = []
        self.just_started_by: dict[asyncio.Task[Any] | None, None] = {}
        """Tasks that have started another one, which has not begun yet."""
        self.unpriced_calls = 0
        self._without_counts: tuple[str, ...] = ()
        self._resolve = models
        self._models: tuple[tuple[str, bool, ChatModel], ...] = ()
        self._key = ""
        self._observer = observer
        self.witness = witness
        self.recording: Recording | None = None
        self.state = State(self.events, self.innermost)
        self._should_stop = should_stop
        self.halted = ""
        """Why no further step may begin in the whole run; empty while they may."""
        self.prevented = ""
        """The address of the first step that did not begin for that reason."""

    def note_start(self) -> None:
        """Remember that the current task has started another one."""
        self.just_started_by[asyncio.current_task()] = None

    async def let_started_begin(self) -> None:
        """Let the tasks that the current one has started begin before it goes on: steps begin in source order."""
        task = asyncio.current_task()
        if task in self.just_started_by:
            del self.just_started_by[task]
            await asyncio.sleep(0)

    def model_of(self, agent: Agent[Any]) -> ChatModel:
        """Return the model that an agent is assigned to; raise ModelError where there is none."""
        return self.model(agent.model, tier=agent.is_tier)

    def model(self, name: str, *, tier: bool) -> ChatModel:
        """Return the model of a tier, or of its own name; raise ModelError where there is none."""
        for known, is_tier, model in self._models:
            if known == name and is_tier == tier:
                return model
        model = self._resolve(name, tier=tier)
        self._models = (*self._models, (name, tier, model))
        return model

    def model_name(self, agent: Agent[Any]) -> str:
        """Return the name of the model that an agent is assigned to; where there is none, what is asked for."""
        if agent.name in self.stand_ins:
            return STAND_IN
        try:
            return self.model_of(agent).name
        except ModelError:
            return agent.model

    @property
    def is_steered(self) -> bool:
        """Whether somebody is shown the run's state, to say whether it is to stop."""
        return self._should_stop is not None

    def consider_stop(self) -> None:
        """Ask whether the run is to stop."""
        if self._should_stop is not None and not self.halted:
            self.halted = self._should_stop(self.state) or ""

    @property
    def key(self) -> str:
        """Names this run and no other."""
        if self.recording is not None:
            return self.recording.id
        if not self._key:
            self._key = os.urandom(8).hex()
        return self._key

    def go_on(self, recording: Recording, *, count_doubts: bool = True) -> None:
        """Keep a journal from here on, and count everything that it says was spent: also what is in doubt, or not."""
        self.recording = recording
        spent = recording.past.spent if count_doubts else recording.past.paid
        self.innermost.charge(spent.cost, spent.calls)
        self.unpriced_calls += spent.unpriced

    def opened_models(self) -> list[ChatModel]:
        """Return the models that this run has used, each once."""
        return list({id(model): model for _, _, model in self._models}.values())

    def first_without_counts(self, model: str) -> bool:
        """Whether this is the first time in this run that a model of that name does not count its tokens."""
        is_first = model not in self._without_counts
        if is_first:
            self._without_counts = (*self._without_counts, model)
        return is_first

    @property
    def is_watched(self) -> bool:
        """Whether somebody is shown the events, and with them values, while the run goes on."""
        return self._observer is not None

    def record(self, raw: RawEvent) -> None:
        """Keep an event and show it to the observer, whose faults do not concern the run."""
        self.events.append(raw)
        if self._observer is not None:
            event = Event(*raw)
            try:
                self._observer(event)
            except Exception:
                _log.exception("on_event failed for event %d (%s %s)", event.number, event.kind, event.address)

    def draw(self, path: str, indices: tuple[int, ...], attempt: int, generation: int = 0) -> int:
        """Return the seed of one model call: the same in every run with this run's seed, different for every call.

        `generation` is how often the step had ended before, in a run that goes on from its journal.
        """
        again = f"\0{generation}" if generation else ""
        text = f"{self.seed}\0{path}\0{indices}\0{attempt}{again}"
        return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


class Scope:
    """Steps that end together; `failure` is set once something in it has failed for good."""

    __slots__ = ("_all_ended", "_context", "_running", "_when_ended", "failure", "parent", "tasks")

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.failure: BaseException | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self._running = 0
        self._context: Context | None = None
        self._when_ended: Callable[[asyncio.Task[Any]], object] | None = None
        self._all_ended: asyncio.Future[None] | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether no further step may begin here."""
        scope: Scope | None = self
        while scope is not None:
            if scope.failure is not None:
                return True
            scope = scope.parent
        return False

    def stop(self, failure: BaseException) -> None:
        """Let no further step begin. The first failure counts; one that only reports a stop is none of its own."""
        if self.failure is None and not isinstance(failure, Stopped):
            self.failure = failure

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as a task of this scope. A failure that leaves it stops the scope."""
        task = asyncio.get_running_loop().create_task(coroutine, name="step")
        if self._when_ended is None:  # one for all: each callback would get its own
            self._context, self._when_ended = copy_context(), self._ended
        self.tasks.append(task)
        self._running += 1
        task.add_done_callback(self._when_ended, context=self._context)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stop(error)
        self._running -= 1
        if not self._running:
            self._when_ended = None  # or the scope would refer to itself
            if self._all_ended is not None and not self._all_ended.done():
                self._all_ended.set_result(None)

    async def drain(self) -> None:
        """Wait until every task of the scope has ended. Cancelled while waiting, it cancels them and waits again."""
        while self._running:
            self._all_ended = asyncio.get_running_loop().create_future()
            try:
                await self._all_ended
            except asyncio.CancelledError:
                await self.cancel()
                raise

    async def cancel(self) -> None:
        """Cancel every task of the scope and wait until they have ended."""
        pending = [task for task in self.tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's value once everything in the scope has ended, or raise the scope's failure."""
        try:
            value = await coroutine
        except asyncio.CancelledError:
            await self.cancel()
            raise
        except BaseException as error:
            self.stop(error)
            await self.drain()
            if self.failure is not None and self.failure is not error:
                self._gather(error)
                raise self.failure from None
            self._gather()
            raise
        await self.drain()
        if self.failure is not None:
            self._gather()
            raise self.failure
        return value

    def _gather(self, *more: BaseException) -> None:
        """Put all failures that ended the scope beside the first."""
        ended = [task.exception() for task in self.tasks if not task.cancelled()]
        put_beside(self.failure, (*ended, *more))


def put_beside(failure: BaseException | None, others: Iterable[BaseException | None]) -> None:
    """Remember, with the failure that goes on, those that went the same way."""
    if isinstance(failure, StepFailed):
        more = {id(one): one for one in others if isinstance(one, StepFailed) and not isinstance(one, Stopped)}
        more.pop(id(failure), None)
        if more:
            failure.beside = (*failure.beside, *more.values())


class Started(Generic[T_co]):
    """A step that runs beside the others; await it for its value."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[T_co]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, T_co]:
        return self._task.__await__()


@dataclass(eq=False, slots=True)
class Step:
    """One execution of a step: where it stands, what it calls, and what it belongs to.

    `began` and `entry` are set later: when it is its turn, and once its inputs are known.
    """

    session: Session
    meter: Meter
    scope: Scope
    path: str
    indices: tuple[int, ...]
    what: StepKind
    name: str
    began: float = 0.0
    entry: Entry | None = None
    """The step's place in the journal, if the run has one."""
    waited: float = 0.0
    """Seconds in which its calls waited for places at a model."""

    @property
    def address(self) -> str:
        """The step's address, such as `main.refine.code[1]`."""
        return address(self.path, self.indices)

    def emit(
        self,
        kind: EventKind,
        *,
        attempt: int = 0,
        model: str = "",
        tokens_in: int = 0,
        tokens_out: int = 0,
        usd: float = 0.0,
        seconds: float = 0.0,
        detail: str = "",
        value: Any = None,
    ) -> None:
        """Record an event of this step."""
        session = self.session
        number, at = len(session.events), rounded(session.now())
        where = (number, kind, self.path, self.indices, self.what, self.name, at)
        session.record((*where, attempt, model, tokens_in, tokens_out, usd, seconds, detail, value))

    def begin(self) -> None:
        """Record that the step begins; raise Stopped where none may."""
        self.check_not_stopped()
        session = self.session
        now = rounded(session.now())
        session.record((len(session.events), "started", self.path, self.indices, self.what, self.name, now))

    def emit_failure(self, failure: StepFailed) -> None:
        """Record that the step gave no value of its own."""
        kind: EventKind = "refused" if isinstance(failure, BudgetRefused) and failure.step == self.address else "failed"
        self.emit(kind, detail=failure.reason, seconds=self.seconds)

    def inner(self, what: Literal["tool"], name: str, index: int) -> Step:
        """Return a call that this step makes, as a step of its own: `main.answer.search[0]`."""
        path, indices = f"{self.path}.{name}", (*self.indices, index)
        return Step(self.session, self.meter, self.scope, path, indices, what, name)

    @property
    def is_stopped(self) -> bool:
        """Whether neither a step may begin nor a call be made."""
        return bool(self.session.halted) or self.scope.is_stopped

    def check_not_stopped(self) -> None:
        """Raise Stopped where neither a step may begin nor a call be made."""
        session = self.session
        if session.halted:
            session.prevented = session.prevented or self.address
            raise Stopped(self.address, f"not started, because the run was stopped: {session.halted}")
        if self.scope.is_stopped:
            raise Stopped(self.address, "not started, because another step has failed")

    @property
    def seconds(self) -> float:
        """How long the step has been running."""
        return rounded(self.session.now() - self.began)

    def failed(self, reason: str) -> StepFailed:
        """Return the failure of this step."""
        return StepFailed(self.address, reason)
