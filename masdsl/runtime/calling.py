"""One call of a model: by the journal where it has it; else within the budget, the time and the model's limits.

What a request and a reply count: `masdsl.runtime.accounts`. Attempts, pauses, what a model is told: `turns.py`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl import sizes
from masdsl.journal.base import Row
from masdsl.money import TokenPrice
from masdsl.runtime.accounts import Usage, request_tokens, token_price, usage
from masdsl.runtime.agent import Agent
from masdsl.runtime.events import rounded
from masdsl.runtime.meter import LEAST_SECONDS, Claim, Cost, cost_of
from masdsl.runtime.models.base import ChatModel, ModelError, Place, Places, Reply, Request, places_of
from masdsl.runtime.past import spent_by
from masdsl.runtime.replies import Fault, Parsed
from masdsl.runtime.session import Step
from masdsl.runtime.shapes import describe, plain
from masdsl.runtime.stand_in import GivenReply, StandInModel, given_value
from masdsl.runtime.text import brief

Parser: TypeAlias = Callable[[str], Parsed | Fault]


class Conversation(NamedTuple):
    """What one step asks of one model, and until when: `deadline` is a time of the loop.

    `ends` is that, or the earlier one at which the time of a budget is used up. Time in which a call waited for a place
    at its model is added to `deadline` alone.
    `saved` is what every request counts less than by the rule, for a model whose own tokenizer is at hand.
    """

    step: Step
    agent: Agent[Any]
    model: ChatModel
    deadline: float
    ends: float
    saved: int = 0

    def time_for_call(self) -> float:
        """Return the seconds that a call may take now; 0.0 where there is no time."""
        left = self.time_left()
        return min(left, sizes.MODEL_SECONDS) if self.agent.timeout is None else left

    def time_left(self) -> float:
        """Return the seconds that are left of the step's time and of the budget's; 0.0 where none are."""
        left = self.ends - self.step.session.time()
        if self.step.waited:
            left = min(left + self.step.waited, self.budget_time_left())
        return left if left >= LEAST_SECONDS else 0.0

    def budget_time_left(self) -> float:
        """Return the seconds that are left of the budget's time."""
        until = self.step.meter.deadline
        return math.inf if until is None else until - self.step.session.time()

    def time_is_up(self) -> str:
        """Return whose time is used up, in a few words; nothing while some is left."""
        if self.time_left():
            return ""
        if self.ends < self.deadline + self.step.waited:
            return self.step.meter.time_is_up
        return f"the {self.agent.seconds:g} s for this step are used up"


def from_journal(talk: Conversation, request: Request, part: int, parse: Parser) -> Parsed | Fault | None:
    """Return what came of a call by the journal, None where it is to be made. Raises ModelError, Stopped."""
    step, entry = talk.step, talk.step.entry
    step.check_not_stopped()
    if entry is None:
        return None
    row = entry.outcome(part, request)
    if row is not None:
        return _replay(talk, request, row, parse)
    entry.check_may_call(step.address, f"attempt {request.attempt + 1} of asking the model")
    if entry.was_under_way(part):
        step.emit("repeated", attempt=request.attempt, model=talk.model.name, detail=_REPEATED)
    return None


_REPEATED: Final = "this call was under way when the run was broken off: it may have been paid for already"


def _replay(talk: Conversation, request: Request, row: Row, parse: Parser) -> Parsed | Fault:
    """Return what came of a call that was made before the run was broken off."""
    step, body = talk.step, row.body
    assert step.entry is not None
    spent = spent_by([row])
    step.meter.charge(spent.cost, spent.calls, step.entry.recording.above)
    if row.kind == "fault":
        step.emit("replayed", attempt=request.attempt, detail=f"{body['kind']}: {body['detail']}")
        raise ModelError(body["kind"], body["detail"], retry_after=body.get("retry_after"))
    text = str(body.get("text", ""))
    if "given" in body:
        outcome: Parsed | Fault = given_value(GivenReply(text, value=body["given"]), talk.agent)
    else:
        outcome = Fault(str(body["unfit"]), text) if "unfit" in body else parse(text)
    if isinstance(outcome, Fault) and body.get("finish") == "length":
        outcome = outcome._replace(text=f"{outcome.text}{_cut_off(request)}")
    step.emit(
        "replayed",
        attempt=request.attempt,
        model=str(body.get("model", "")),
        detail=outcome.text if isinstance(outcome, Fault) else "",
    )
    return outcome


def _cut_off(request: Request) -> str:
    return f" (it was cut off at {request.max_tokens} tokens)"


async def make_call(talk: Conversation, request: Request, part: int, for_schema: int, parse: Parser) -> Parsed | Fault:
    """Make one call within the budget and the time, account for it, and read the reply.

    `for_schema` is what the schema counts that is sent. Raises ModelError, BudgetRefused, Stopped. So many calls may be
    under way that it counts what this frame has room for: what needs no waiting is done by others.
    """
    entry, price = talk.step.entry, token_price(talk.model.price)
    claim = _claim(talk, request, for_schema, price)
    if not talk.step.meter.reserve_now(claim):
        await talk.step.meter.reserve(claim, talk.deadline + talk.step.waited)
        request = request._replace(timeout=talk.time_for_call())
    places, place = places_of(talk.model), None
    if places is not None:
        try:
            place = await _place(talk, request, places)
        except BaseException:
            talk.step.meter.release(claim)
            raise
        request = request._replace(timeout=talk.time_for_call())
    began = _begun(talk, request, claim, place)
    cost, answered_by, detail = claim.cost, talk.model.name, ""
    try:
        if entry is not None:
            try:
                await entry.intend_call(part, cost, request)
            except BaseException:
                if place is not None:
                    place.leave(False, None)
                raise
        try:
            if places is None or place is None:
                reply = _checked(await talk.step.session.alarm.bounded(talk.model.complete(request), _seconds(request)))
            else:
                reply = await _answered(talk, request, place, places)
        except ModelError:
            raise
        except Exception as error:
            raise _as_model_error(error, _seconds(request)) from error
        counts = usage(reply, cost.tokens_in, request.max_tokens)
        cost = cost_of(counts.tokens_in, counts.tokens_out, price)
        answered_by = reply.model or answered_by
        outcome = given_value(reply, talk.agent) if isinstance(reply, GivenReply) else parse(reply.text)
        if isinstance(outcome, Fault):
            if reply.finish == "length":
                outcome = outcome._replace(text=f"{outcome.text}{_cut_off(request)}")
            detail = outcome.text
        if entry is not None:
            entry.reply(part, reply, cost, _since(talk, began), _kept(talk.agent, reply, outcome))
    except ModelError as error:
        detail = f"{error.kind}: {error.detail}"
        if error.kind != "timeout":  # after a timeout nobody knows what was spent: all that was reserved counts
            cost = cost_of(claim.cost.tokens_in if error.billed else 0, 0, price)
        if entry is not None:
            entry.fault(part, error, cost, _since(talk, began))
        raise
    finally:
        _account(talk, request, claim, cost, answered_by, began, detail)
    _tell(talk, request, reply, counts, outcome)
    return outcome


def _claim(talk: Conversation, request: Request, for_schema: int, price: TokenPrice | None) -> Claim:
    """Return the room that a call needs. Raises ModelError where the step's time is used up."""
    if talk.deadline + talk.step.waited - talk.step.session.time() < LEAST_SECONDS:
        raise ModelError("timeout", talk.time_is_up())
    tokens_in = request_tokens(request.messages, for_schema) - talk.saved
    return Claim(request.step, cost_of(tokens_in, request.max_tokens, price), talk.model.name, 1)


def _begun(talk: Conversation, request: Request, claim: Claim, place: Place | None) -> float:
    """Return when a call begins that has room and a place, less the time it waited; else give those back.

    Raises ModelError, Stopped.
    """
    began = talk.step.session.time() - talk.step.waited
    if talk.step.is_stopped or not request.timeout:
        if place is not None:
            place.leave(False, None)
        talk.step.meter.release(claim)
        talk.step.check_not_stopped()
        raise ModelError("timeout", talk.time_is_up())
    return began


def _seconds(request: Request) -> float:
    return request.timeout or 0.0


def _since(talk: Conversation, began: float) -> float:
    return rounded(talk.step.session.time() - talk.step.waited - began)


def _account(
    talk: Conversation, request: Request, claim: Claim, cost: Cost, answered_by: str, began: float, detail: str
) -> None:
    """Settle for a call that ended, and say so."""
    step = talk.step
    step.meter.settle(claim, cost)
    step.session.unpriced_calls += cost.picodollars is None
    step.emit(
        "called",
        attempt=request.attempt,
        model=answered_by,
        tokens_in=cost.tokens_in,
        tokens_out=cost.tokens_out,
        usd=cost.usd,
        seconds=_since(talk, began),
        detail=detail,
    )
    step.session.consider_stop()


def _tell(talk: Conversation, request: Request, reply: Reply, counts: Usage, outcome: Parsed | Fault) -> None:
    """Report what was not as it should be with a reply: its counts of tokens, its form, its length."""
    emit, attempt, name = talk.step.emit, request.attempt, talk.model.name
    if (counts.faults or counts.is_missing) and not isinstance(talk.model, StandInModel):
        for fault in counts.faults:
            emit("miscounted", attempt=attempt, model=name, detail=fault)
        if counts.is_missing and talk.step.session.first_without_counts(name):  # it is told once for each model
            emit("miscounted", attempt=attempt, model=name, detail="it does not count its tokens: our own counts hold")
    if isinstance(outcome, Parsed):
        for repair in outcome.repairs:
            emit("repaired", attempt=attempt, detail=repair)
        for clip in outcome.clips:
            emit("clipped", attempt=attempt, detail=f"reply: {clip}")
        if reply.finish == "length" and not outcome.clips:
            emit("clipped", attempt=attempt, detail=f"reply: cut off at {request.max_tokens} tokens")


async def _place(talk: Conversation, request: Request, places: Places) -> Place:
    """Wait for a place for a call; that is on top of the step's time. Raises ModelError where the budget's ends."""
    step, now = talk.step, talk.step.session.time
    began = now()
    try:
        async with asyncio.timeout(min(max(talk.budget_time_left(), 0.0), _LONGEST_WAIT)):
            return await places.enter(request)
    except TimeoutError:
        raise ModelError("timeout", talk.time_is_up() or f"`{talk.model.name}` had no place for the call") from None
    finally:
        step.waited += now() - began


async def _answered(talk: Conversation, request: Request, place: Place, places: Places) -> Reply:
    """Make a call in its place; one that the provider turns away for its limits, at no cost, waits for another place.

    Raises ModelError and what the model's adapter lets out.
    """
    step, now = talk.step, talk.step.session.time
    while True:
        began, answered, error = now(), False, None
        try:
            reply = _checked(await step.session.alarm.bounded(talk.model.complete(request), _seconds(request)))
            answered = True
            return reply
        except ModelError as fault:
            error = fault
        finally:
            again = place.leave(answered, error)
        step.waited += now() - began
        if not again or step.is_stopped:
            raise error
        try:
            place = await _place(talk, request, places)
        except ModelError:
            raise error from None
        request = request._replace(timeout=talk.time_for_call())


_LONGEST_WAIT: Final = 86_400.0
"""Seconds."""


def _kept(agent: Agent[Any], reply: Reply, outcome: Parsed | Fault) -> dict[str, Any]:
    """Return what the journal keeps of a reply besides its text: the step's value, where that is what it is."""
    if not agent.steps and isinstance(outcome, Parsed):
        return {"value": plain(outcome.value)}
    if not isinstance(reply, GivenReply):
        return {}
    return {"unfit": outcome.text} if isinstance(outcome, Fault) else {"given": plain(outcome.value)}


def _checked(reply: object) -> Reply:
    """Return what a model's adapter gave, if it is a reply."""
    if not isinstance(reply, Reply) or not isinstance(reply.text, str):
        raise ModelError("bad_request", f"the model's adapter gave {describe(reply)} for a reply", billed=True)
    return reply


def _as_model_error(error: Exception, seconds: float) -> ModelError:
    """Return what it means for a call that it has raised something; what it cost then, nobody knows."""
    if isinstance(error, TimeoutError):
        return ModelError("timeout", f"no reply within {seconds:g} s", billed=True)
    return ModelError("bad_request", f"{type(error).__name__}: {brief(str(error), 200)}", billed=True)
