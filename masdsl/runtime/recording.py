"""How a run keeps its journal: intents before what is paid, outcomes after, values before they leave the run.

A row is appended in the order in which things happen, and once it is durable, all rows before it are. Whoever is about
to do something that the world outside notices waits: a call of a model and a tool with an effect for their intents, any
other tool, an observer's event and the end of the run for the rows before them. A reply and a value are not waited for:
until one of those comes, only the program goes on with them, and it does nothing but compute. Were the process killed
then, nothing that followed from the value would have happened either, and the call counts as one under way, as it would
have a moment earlier. So a step that follows another one costs a single commit: its intent, with the reply before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Final

from masdsl.journal.base import Encoded, OpenRun, Row, Written
from masdsl.journal.codec import encoded, encoded_time
from masdsl.runtime.agent import Agent
from masdsl.runtime.alarm import clock_of
from masdsl.runtime.events import rounded
from masdsl.runtime.failures import BudgetRefused, NotInJournal, StepFailed
from masdsl.runtime.hashes import agent_hash, args_hash, idempotency_key, request_hash, tool_hash
from masdsl.runtime.meter import Cost, Meter
from masdsl.runtime.models.base import ChatModel, ModelError, Price, Reply, Request
from masdsl.runtime.past import NOTHING_SPENT, Epoch, Past, Standing
from masdsl.runtime.shapes import plain
from masdsl.runtime.tool import Tool

TURN: Final = 1000
"""The wire calls of an agent's step are numbered by its turns and attempts: `turn * TURN + attempt`."""
NOT_WRITTEN: Final = Written(0)


class Recording:
    """The journal of one run: what it has, and where more is added.

    `above` are the meters of the run as a whole, in which everything that the journal has is counted from the start.
    """

    __slots__ = ("_began", "_last", "_time", "above", "id", "past", "replay_only", "run")

    def __init__(self, run: OpenRun, past: Past, above: tuple[Meter, ...]) -> None:
        self.run = run
        self.past = past
        self.above = above
        self.id = run.header.id
        self.replay_only = past.replay_only
        self._began = above[0].began
        self._time = clock_of(asyncio.get_running_loop())
        self._last: Awaitable[int] = NOT_WRITTEN

    def entry(
        self, path: str, indices: tuple[int, ...], callee: Agent[Any] | Tool[Any], model: str, values: Mapping[str, Any]
    ) -> Entry:
        """Return the place in the journal of a step with these fitted inputs."""
        args = args_hash(values)
        if isinstance(callee, Tool):
            decl, effect = tool_hash(callee), callee.effect
        else:
            decl, effect = agent_hash(callee, model), False
        return Entry(self, path, indices, args, decl, self.past.standing(path, indices, args, decl, effect=effect))

    def post(
        self,
        kind: str,
        path: str,
        indices: tuple[int, ...],
        part: int,
        args: bytes,
        decl: bytes,
        body: dict[str, Any],
    ) -> Awaitable[int]:
        """Add a row. What is returned is awaited, or given to `leave`."""
        if self.replay_only:
            return NOT_WRITTEN
        body["t"] = rounded(self._time() - self._began)
        return self.run.append(kind, path, indices, part, args, decl, body)

    def post_encoded(
        self, kind: str, path: str, indices: tuple[int, ...], part: int, args: bytes, decl: bytes, fields: str
    ) -> Awaitable[int]:
        """Do the same with a body that is JSON already, but for the braces around it: the rows of every call."""
        if self.replay_only:
            return NOT_WRITTEN
        body = Encoded(f'{{{fields},"t":{encoded_time(self._time() - self._began)}}}')
        return self.run.append(kind, path, indices, part, args, decl, body)

    def leave(self, waiting: Awaitable[int]) -> None:
        """Let a row be written without waiting for it: what keeps it from that keeps the next one as well."""
        if isinstance(waiting, asyncio.Future) and waiting.done() and not waiting.cancelled():
            waiting.exception()
        self._last = waiting

    async def durable(self) -> None:
        """Wait until all rows are durable that were left so far. Raises JournalError."""
        waiting = self._last
        if isinstance(waiting, asyncio.Future):
            waiting = asyncio.shield(waiting)  # who is cancelled while waiting does not keep the others from it
        await waiting

    async def begin(self) -> None:
        """Say that the run goes on, and by which new rules."""
        if self.replay_only:
            return
        if self.past.news:
            await self.post("patch", "", (), 0, b"", b"", dict(self.past.news))
        if self.run.header.status != "running":
            await self.run.set_status("running")

    async def end(self, status: str, body: dict[str, Any]) -> None:
        """Say how the run ended."""
        if not self.replay_only:
            self.run.set_status(status)
        await self.post("end", "", (), 0, b"", b"", body)


class Entry:
    """The place of one step in its run's journal."""

    __slots__ = ("args", "below", "decl", "given_by", "indices", "path", "recording", "replied", "standing")

    def __init__(
        self, recording: Recording, path: str, indices: tuple[int, ...], args: bytes, decl: bytes, standing: Standing
    ) -> None:
        self.recording = recording
        self.path = path
        self.indices = indices
        self.args = args
        self.decl = decl
        self.standing = standing
        self.replied = False
        """Whether its value was kept with the reply that gave it."""
        self.given_by = ""
        """What gave a tool's value, where the tool says so."""
        self.below = NOTHING_SPENT
        """What steps below it did cost, for one whose value stands for all of them."""

    # ------------------------------------------------------------ what there is

    @property
    def _unfinished(self) -> Epoch | None:
        return self.standing.unfinished

    def outcome(self, part: int, request: Request | None = None) -> Row | None:
        """Return how a call ended that was made before, if it asked the same."""
        epoch = self._unfinished
        row = None if epoch is None else epoch.outcome(part)
        if row is None or epoch is None or request is None:
            return row
        asked = epoch.request(part)
        return row if asked is None or asked == request_hash(request) else None

    def has(self, part: int) -> bool:
        """Whether a call was begun."""
        epoch = self._unfinished
        return epoch is not None and any(row.part == part for row in epoch.rows)

    def was_under_way(self, part: int) -> bool:
        """Whether a call was under way when the run was broken off."""
        epoch = self._unfinished
        return epoch is not None and part in epoch.open_intents()

    def check_may_call(self, step: str, what: str) -> None:
        """Raise NotInJournal in a run that is only replayed."""
        if self.recording.replay_only:
            raise NotInJournal(step, f"{what} is not in the journal of run {self.recording.id}")

    def key(self) -> str:
        """Return the idempotency key of this use of a tool."""
        return idempotency_key(self.recording.id, self.path, self.indices, self.standing.uses)

    # ------------------------------------------------------------ what is added

    def _post(self, kind: str, body: dict[str, Any], part: int = 0) -> Awaitable[int]:
        return self.recording.post(kind, self.path, self.indices, part, self.args, self.decl, body)

    def _post_encoded(self, kind: str, fields: str, part: int) -> Awaitable[int]:
        return self.recording.post_encoded(kind, self.path, self.indices, part, self.args, self.decl, fields)

    def intend_call(self, part: int, worst: Cost, request: Request) -> Awaitable[int]:
        """Say what a wire call may cost; it may be made once that is durable."""
        fields = f'{_encoded_cost(worst)},"request":"{request_hash(request)}"'
        return self._post_encoded("intent", fields, part)

    def intend_use(self, key: str) -> Awaitable[int]:
        """Say that a tool with an effect is to be used; it may be once that is durable."""
        return self._post("intent", {"effect": True, "key": key})

    def reply(self, part: int, reply: Reply, cost: Cost, seconds: float, more: dict[str, Any]) -> None:
        """Keep a reply; with a `value` in `more`, that is the step's, and the row is its last."""
        answered = f'"finish":{encoded(str(reply.finish))},"model":{encoded(str(reply.model))}'
        fields = f'{_encoded_cost(cost)},{answered},"seconds":{encoded_time(seconds)}'
        for name, value in more.items():
            fields = f'{fields},"{name}":{encoded(value)}'
        self.replied = "value" in more
        if not (self.replied and more["value"] == reply.text):
            fields = f'{fields},"text":{encoded(reply.text)}'
        self.recording.leave(self._post_encoded("reply", fields, part))

    def fault(self, part: int, error: ModelError, cost: Cost, seconds: float) -> None:
        """Keep that a wire call failed."""
        body = _of_cost(cost)
        body |= {"kind": error.kind, "detail": error.detail, "seconds": seconds}
        after = error.retry_after
        if isinstance(after, int | float) and abs(after) < float("inf"):
            body["retry_after"] = after
        if error.billed:
            body["billed"] = True
        self.recording.leave(self._post("fault", body, part))

    def misuse(self, reason: str, seconds: float) -> None:
        """Keep that a use of a tool failed."""
        self.recording.leave(self._post("tool", {"failed": reason, "seconds": seconds}))

    def value(self, kind: str, value: Any, *, is_default: bool = False) -> None:
        """Keep the step's value, where its reply was not kept with it: a row `done`, or `tool` for what a tool gave."""
        if is_default or not self.replied:
            body = {"value": plain(value)}
            if is_default:
                body["default"] = True
            elif self.given_by:
                body["by"] = self.given_by
            self._tell_below(body)
            self.recording.leave(self._post(kind, body))

    def failed(self, failure: StepFailed, own_address: str) -> None:
        """Keep that the step failed for good."""
        body: dict[str, Any] = {"reason": failure.reason}
        if failure.step != own_address:
            body["step"] = failure.step
        if isinstance(failure, BudgetRefused):
            body["limit"] = failure.limit
        self._tell_below(body)
        self.recording.leave(self._post("failed", body))

    def _tell_below(self, body: dict[str, Any]) -> None:
        if self.below is not NOTHING_SPENT:
            body["below"] = {**_of_cost(self.below.cost), "calls": self.below.calls}

    def claim(self, epoch: Epoch, moved_from: str) -> None:
        """Keep that the step took the value of one that stood elsewhere."""
        assert epoch.end is not None
        self.recording.leave(self._post("claim", {"seq": epoch.end.seq, "from": moved_from}))


def _of_cost(cost: Cost) -> dict[str, Any]:
    return {"tokens_in": cost.tokens_in, "tokens_out": cost.tokens_out, "picodollars": cost.picodollars}


def _encoded_cost(cost: Cost) -> str:
    picodollars = "null" if cost.picodollars is None else cost.picodollars
    return f'"tokens_in":{cost.tokens_in},"tokens_out":{cost.tokens_out},"picodollars":{picodollars}'


class SilentModel:
    """Stands for the model of a run that is only replayed: it has a name, and is never asked."""

    price: Price | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    async def complete(self, request: Request) -> Reply:
        """Refuse."""
        raise ModelError("unavailable", "a run that is only replayed asks no model")

    async def close(self) -> None:
        """Do nothing."""


def silent_models(tiers: Mapping[str, str]) -> Any:
    """Return a resolver for a run that is only replayed, with the names of models that the run began with."""

    def resolve(name: str, *, tier: bool) -> ChatModel:
        return SilentModel(tiers.get(name, name) if tier else name)

    return resolve
