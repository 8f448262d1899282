"""What a journal keeps of a session: every decision with its context, every reply of a meta-agent, and how it ended.

A session is a run of its own in the journal, besides the runs of the systems that it designs. Its rows:

    call        a reply (or failure) of a meta-agent's model, by the hash of what it was asked
    decision    what a meta-agent was shown, what it gave, and whether that was taken
    start       a system that is run, under which id and with which limits
    outcome     what came of the session
    rating      whether somebody called the answer good

So a session that was broken off goes on without paying again, one that has ended can be shown again without a model,
and each decision is a line of training data: role, context, action, outcome.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from masdsl.journal.base import SESSION, OpenRun, Row, RunHeader
from masdsl.journal.errors import JournalError
from masdsl.meta.retrieval import PROVED, Known, about
from masdsl.meta.task import Emitted, Spent, Task, Try
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, ModelError, Reply, Request

if TYPE_CHECKING:
    from masdsl.journal import Journal

CALL, DECISION, START, OUTCOME, RATING = "call", "decision", "start", "outcome", "rating"
REMEMBERED: Final = 200
"""Sessions that are looked through for past successes, the newest."""


class NotKept(Exception):
    """A session that is only shown again needs something that is not in its journal."""


# ---------------------------------------------------------------- sessions


def header_of(run: str, task: Task, seed: int, tiers: Mapping[str, str]) -> RunHeader:
    """Return what a journal keeps of a session from the start."""
    import time

    from masdsl.version import __version__

    kept = {
        "query": clean(task.query),
        "signature": task.signature,
        "tools": list(task.tools),
        "effort": task.effort,
        "budget": limits_to_json(task.budget),
    }
    return RunHeader(
        id=run,
        program=SESSION,
        sources={},
        flow="main",
        inputs=kept,
        seed=seed,
        policy="frozen",
        created=time.time(),
        masdsl=__version__,
        tiers=dict(tiers),
    )


def task_of(header: RunHeader) -> Task:
    """Return the task of a kept session. Raises JournalError for a run that is no session."""
    kept = header.inputs
    if header.program != SESSION:
        raise JournalError(
            f"{header.id} is the run of a program, not a session; go on with: mas run --resume {header.id}"
        )
    return Task(
        query=kept["query"],
        signature=kept["signature"],
        budget=Limits(**kept["budget"]),
        tools=tuple(kept["tools"]),
        effort=kept["effort"],
    )


def limits_to_json(limits: Limits) -> dict[str, Any]:
    """Return limits as JSON data; None is no limit."""
    return {"calls": limits.calls, "tokens": limits.tokens, "usd": limits.usd, "seconds": limits.seconds}


def clean(text: str) -> str:
    """Return a text that can be stored: lone surrogates become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def emitted_of(kept: Mapping[str, Any]) -> Emitted:
    """Return what a meta-agent gave, from its JSON data."""
    tries = tuple(Try(one["text"], tuple(one["diagnostics"]), one["fixes"], one["tokens"]) for one in kept["tries"])
    return Emitted(kept["text"], kept["reasoning"], kept["how"], tries, Spent(**kept["spent"]))


# ---------------------------------------------------------------- models


class Tape:
    """The replies of meta-agents that a journal has, each for one request, in the order in which they came."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._kept: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row.kind == CALL:
                self._kept.setdefault(row.body["asked"], []).append(row.body)

    def take(self, asked: str) -> dict[str, Any] | None:
        """Return the next reply to a request, once; None where there is none."""
        waiting = self._kept.get(asked)
        return waiting.pop(0) if waiting else None


class KeptReply(Reply):
    """A reply of the journal: nothing was called for it now."""

    __slots__ = ()


class TapedModel(ModelAround):
    """A model whose replies are kept in a session's journal, and taken from there where they are there already.

    `left` says how many seconds of the session are left (None: no limit): no call takes longer.
    """

    def __init__(self, model: ChatModel, run: OpenRun, tape: Tape, role: str, left: Callable[[], float | None]) -> None:
        super().__init__(model)
        self._run = run
        self._tape = tape
        self._role = role
        self._left = left

    async def complete(self, request: Request) -> Reply:
        """Answer from the journal, or ask the model and keep what it says. Raises ModelError."""
        asked = asked_of(request)
        kept = self._tape.take(asked)
        is_new = kept is None
        if kept is None:
            left = self._left()
            if left == 0:
                raise ModelError("unavailable", "the seconds of the session are used up")
            kept = await self._asked(request, asked, left)
        if "error" in kept:
            raise ModelError(kept["error"], kept["detail"], billed=kept["billed"])
        given = Reply if is_new else KeptReply
        return given(kept["text"], kept["tokens_in"], kept["tokens_out"], kept["model"], kept["finish"])

    async def _asked(self, request: Request, asked: str, left: float | None) -> dict[str, Any]:
        body: dict[str, Any] = {"role": self._role, "asked": asked}
        try:
            async with asyncio.timeout(left):
                reply = await self._model.complete(request)
        except TimeoutError:
            body |= {"error": "timeout", "detail": f"no reply within the {left:g} s that were left", "billed": True}
        except ModelError as error:
            body |= {"error": error.kind, "detail": clean(error.detail), "billed": error.billed}
        else:
            body |= {"text": clean(reply.text), "tokens_in": reply.input_tokens, "tokens_out": reply.output_tokens}
            body |= {"model": reply.model, "finish": reply.finish}
        await self._run.append(CALL, body=body)
        return body

    async def close(self) -> None:
        """Do nothing: the model belongs to whoever made it."""


def asked_of(request: Request) -> str:
    """Return the hash of what a request asks; how long it may take is no part of it."""
    parts = (request.messages, request.max_tokens, request.temperature, request.seed, request.grammar)
    return sha256(json.dumps(parts, default=str).encode()).hexdigest()


# ---------------------------------------------------------------- what is learned from


def decisions(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the decisions of a session, in order."""
    return [row.body for row in rows if row.kind == DECISION]


def outcome_of(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return how a session ended, as JSON data; None for one that has not."""
    return next((row.body for row in reversed(rows) if row.kind == OUTCOME), None)


def rating_of(rows: Sequence[Row]) -> bool | None:
    """Return whether the answer of a session was called good, the last time; None where nobody said so."""
    return next((bool(row.body["good"]) for row in reversed(rows) if row.kind == RATING), None)


async def rate(journal: Journal, run: str, *, good: bool) -> None:
    """Keep whether the answer of a session was good. Raises JournalError, also for what is no session with an end."""
    header, rows = journal.read(run)
    task_of(header)
    if outcome_of(rows) is None:
        raise JournalError(f"the session {run} has not ended; go on with: mas solve --resume {run}")
    opened = journal.resume(run)
    try:
        await opened.append(RATING, body={"good": good})
        await opened.set_status(header.status)
    finally:
        await opened.close()


def training_lines(header: RunHeader, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield a line of training data for each decision of a session: role, context, action, outcome."""
    outcome = outcome_of(rows)
    for one in decisions(rows):
        yield {
            "session": header.id,
            "role": one["role"],
            "by": one["by"],
            "context": one["context"],
            "action": {"text": one["action"]["text"], "reasoning": one["action"]["reasoning"]},
            "outcome": {
                "taken": one["taken"],
                "why": one["why"],
                "how": one["action"]["how"],
                "tries": one["action"]["tries"],
                "spent": one["action"]["spent"],
                "session": outcome and {name: outcome[name] for name in ("failed", "spent", "seconds")},
                "good": rating_of(rows),
            },
        }


def past_successes(journal: Journal, limit: int = REMEMBERED) -> tuple[Known, ...]:
    """Return the systems of past sessions that gave an answer, by what they were asked; the newest of equals.

    One whose answer was called good is worth more, one whose answer was called bad is left out.

    What cannot be read is left out: a damaged old session is no reason not to answer a new query.
    """
    found: dict[str, Known] = {}
    sessions = (one for one in journal.list(limit=limit * 4, status="ended") if one.program == SESSION)
    for number, one in enumerate(sessions):
        if number >= limit:
            break
        try:
            header, rows = journal.read(one.id)
        except JournalError:
            continue
        outcome = outcome_of(rows)
        if outcome is None or outcome["failed"] or not outcome.get("template"):
            continue
        text, query = outcome["template"], header.inputs["query"]
        rated = rating_of(rows)
        if rated is False:
            continue
        said = f"It answered: {' '.join(query.split())[:200]}"
        worth = PROVED if rated else 1.0
        known = Known(f"session {one.id}", text, said, f"{query[:2_000]} {about(text)}", "success", worth)
        if text not in found or worth > found[text].worth:
            found[text] = known
    return tuple(found.values())
