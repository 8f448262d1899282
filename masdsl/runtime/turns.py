"""One turn: a question to a model with its attempts, the faults shown to it, and the accounts of every call.

The runtime owns the policy: models make one attempt for each request, and everything that repeats, waits, gives up or
pays is here. An agent without tools has a single turn, one with tools several (`masdsl.runtime.acting`). What a request
and a reply count: `masdsl.runtime.accounts`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl import sizes
from masdsl.formats import EMPTY_PROMPT, schema_tokens
from masdsl.journal.base import Row
from masdsl.runtime.accounts import Usage, request_tokens, token_price, usage
from masdsl.runtime.agent import Agent
from masdsl.runtime.events import rounded
from masdsl.runtime.meter import LEAST_SECONDS, Claim, cost_of
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Place, Places, Reply, Request, places_of
from masdsl.runtime.past import spent_by
from masdsl.runtime.recording import TURN
from masdsl.runtime.replies import Fault, Parsed
from masdsl.runtime.session import Step
from masdsl.runtime.shapes import describe, plain
from masdsl.runtime.stand_in import GivenReply, StandInModel, given_value
from masdsl.runtime.text import brief, clean

Parser: TypeAlias = Callable[[str], Parsed | Fault]


class Functions(NamedTuple):
    """The tools that a model is told of by its provider's own protocol, what they count, and if it may call them."""

    described: tuple[Mapping[str, Any], ...] = ()
    tokens: int = 0
    may_call: bool = True


NO_FUNCTIONS: Final = Functions()


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


def messages_of(agent: Agent[Any], prompt: str, contract: str | None = None) -> tuple[Message, ...]:
    """Return the opening of a chat: the agent's role, if it has one, then the prompt and the format of the reply.

    `contract` is how that format is asked for, where it is not the agent's own.
    """
    contract = agent.contract if contract is None else contract
    request = f"{prompt}\n\n{contract}" if prompt and contract else prompt or contract
    return (*agent.opening, Message("user", clean(request) or EMPTY_PROMPT))


# ---------------------------------------------------------------- one turn


async def take_turn(
    talk: Conversation,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any] | None,
    parse: Parser,
    turn: int = 0,
    tools: Functions = NO_FUNCTIONS,
) -> Any:
    """Ask until a reply fits, at most `1 + retries` times, and return its value; raise StepFailed.

    After a reply that does not fit, the next attempt shows it to the model together with what is wrong with it. After a
    failure of the call that may pass, the same is asked again, after a pause.
    """
    step, agent = talk.step, talk.agent
    for_schema = (agent.schema_tokens if schema is agent.schema else schema_tokens(schema)) + tools.tokens
    asked, reason = messages, ""
    generation = 0 if step.entry is None else step.entry.standing.generation
    for attempt in range(agent.retries + 1):
        part = turn * TURN + attempt
        if attempt:
            step.emit("retried", attempt=attempt, detail=reason)
        request = Request(
            messages=asked,
            schema=schema,
            max_tokens=agent.max_tokens,
            temperature=agent.temperature,
            timeout=talk.time_for_call(),
            seed=step.session.draw(step.path, step.indices, part, generation),
            agent=agent.name,
            step=step.address,
            attempt=attempt,
            tools=tools.described,
            may_call=tools.may_call,
        )
        try:
            outcome = _from_journal(talk, request, part, parse)
            if outcome is None:
                outcome = await _call(talk, request, part, for_schema, parse)
        except ModelError as error:
            reason = f"{error.kind.replace('_', ' ')}: {error.detail}" if error.detail else error.kind
            if not error.retried:
                break
            last = attempt == agent.retries
            goes_on = step.entry is not None and step.entry.has(part + 1)  # it had paused before it was broken off
            in_vain = talk.time_is_up() if last else "" if goes_on else await _pause(talk, attempt, error)
            if in_vain and in_vain not in reason:
                reason = f"{reason}; {in_vain}"
            if in_vain or last:
                break
            continue
        if isinstance(outcome, Parsed):
            return outcome.value
        reason = outcome.text
        asked = (*messages, echo(outcome.reply, agent), Message("user", correction(reason)))
    tries = "" if agent.retries == 0 or attempt == 0 else f" (after {attempt + 1} attempts)"
    raise step.failed(f"{reason}{tries}")


def echo(said: str, agent: Agent[Any]) -> Message:
    """Return what a model said as a message of the chat, cut to the longest reply that it is allowed."""
    return Message("assistant", sizes.clip_text(clean(said), agent.max_tokens))


def correction(fault: str) -> str:
    """Return what a model is told about a reply that does not fit: at most `sizes.CORRECTION_TOKENS`."""
    room = sizes.CORRECTION_TOKENS - sizes.counted_tokens(_BEFORE) - sizes.counted_tokens(_BEHIND)
    return f"{_BEFORE}{sizes.clip_counted(clean(fault), room)}{_BEHIND}"


_BEFORE: Final = "That reply cannot be used: "
_BEHIND: Final = ". Reply again, with only the corrected answer."


async def _pause(talk: Conversation, attempt: int, error: ModelError) -> str:
    """Wait before the next attempt, as long as the provider asks; return why not, where no time is left for that."""
    pause = min(sizes.FIRST_PAUSE * 2**attempt, sizes.LONGEST_PAUSE)
    asked = _seconds(error.retry_after)
    if asked is not None:
        pause = asked
    elif error.kind == "timeout":
        pause = 0.0
    left = talk.time_left()
    if pause < left:
        await asyncio.sleep(pause)
        return ""
    if not left:
        return talk.time_is_up()
    told = "it asks to wait" if asked is not None else "the pause before the next attempt is"
    return f"{told} {pause:g} s, and {left:g} s are left"


def _seconds(given: object) -> float | None:
    """Return a number of seconds that a provider asks for; None where it is none. It may be infinite."""
    if not isinstance(given, int | float) or isinstance(given, bool) or math.isnan(given):
        return None
    return math.inf if given > 1e9 else max(float(given), 0.0)


# ---------------------------------------------------------------- one call


def _from_journal(talk: Conversation, request: Request, part: int, parse: Parser) -> Parsed | Fault | None:
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


async def _call(talk: Conversation, request: Request, part: int, for_schema: int, parse: Parser) -> Parsed | Fault:
    """Make one call within the budget and the time, account for it, and read the reply.

    `for_schema` is what the schema counts that is sent. Raises ModelError, BudgetRefused, Stopped.
    """
    step, model, entry = talk.step, talk.model, talk.step.entry
    now = step.session.time
    if talk.deadline + step.waited - now() < LEAST_SECONDS:
        raise ModelError("timeout", talk.time_is_up())
    price = token_price(model.price)
    tokens_in = request_tokens(request.messages, for_schema) - talk.saved
    worst = cost_of(tokens_in, request.max_tokens, price)
    claim = Claim(request.step, worst, model.name, 1)
    if not step.meter.reserve_now(claim):
        await step.meter.reserve(claim, talk.deadline + step.waited)
        request = request._replace(timeout=talk.time_for_call())
    places, place = places_of(model), None
    if places is not None:
        try:
            place = await _place(talk, request, places)
        except BaseException:
            step.meter.release(claim)
            raise
        request = request._replace(timeout=talk.time_for_call())
    began, seconds = now() - step.waited, request.timeout
    if step.is_stopped or not seconds:
        if place is not None:
            place.leave(False, None)
        step.meter.release(claim)
        step.check_not_stopped()
        raise ModelError("timeout", talk.time_is_up())
    cost, answered_by, detail = worst, model.name, ""
    try:
        if entry is not None:
            try:
                await entry.intend_call(part, worst, request)
            except BaseException:
                if place is not None:
                    place.leave(False, None)
                raise
        try:
            if places is None or place is None:
                reply = _checked(await step.session.alarm.bounded(model.complete(request), seconds))
            else:
                reply = await _answered(talk, request, place, places)
        except ModelError:
            raise
        except Exception as error:
            raise _as_model_error(error, seconds) from error
        counts = usage(reply, tokens_in, request.max_tokens)
        cost = cost_of(counts.tokens_in, counts.tokens_out, price)
        answered_by = reply.model or model.name
        outcome = given_value(reply, talk.agent) if isinstance(reply, GivenReply) else parse(reply.text)
        if isinstance(outcome, Fault):
            outcome = outcome._replace(text=f"{outcome.text}{_cut_off(request) if reply.finish == 'length' else ''}")
            detail = outcome.text
        if entry is not None:
            entry.reply(part, reply, cost, rounded(now() - step.waited - began), _kept(talk.agent, reply, outcome))
    except ModelError as error:
        detail = f"{error.kind}: {error.detail}"
        if error.kind != "timeout":  # after a timeout nobody knows what was spent: all that was reserved counts
            cost = cost_of(tokens_in if error.billed else 0, 0, price)
        if entry is not None:
            entry.fault(part, error, cost, rounded(now() - step.waited - began))
        raise
    finally:
        step.meter.settle(claim, cost)
        step.session.unpriced_calls += cost.picodollars is None
        step.emit(
            "called",
            attempt=request.attempt,
            model=answered_by,
            tokens_in=cost.tokens_in,
            tokens_out=cost.tokens_out,
            usd=cost.usd,
            seconds=rounded(now() - step.waited - began),
            detail=detail,
        )
        step.session.consider_stop()
    if (counts.faults or counts.is_missing) and not isinstance(model, StandInModel):
        _emit_miscounts(talk, request, counts)
    if isinstance(outcome, Parsed):
        for repair in outcome.repairs:
            step.emit("repaired", attempt=request.attempt, detail=repair)
        for clip in outcome.clips:
            step.emit("clipped", attempt=request.attempt, detail=f"reply: {clip}")
        if reply.finish == "length" and not outcome.clips:
            step.emit("clipped", attempt=request.attempt, detail=f"reply: cut off at {request.max_tokens} tokens")
    return outcome


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
            reply = _checked(await step.session.alarm.bounded(talk.model.complete(request), request.timeout or 0.0))
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


def _emit_miscounts(talk: Conversation, request: Request, counts: Usage) -> None:
    """Report what a model says about its tokens and cannot be; what it does not say, once for each model."""
    step, name = talk.step, talk.model.name
    for fault in counts.faults:
        step.emit("miscounted", attempt=request.attempt, model=name, detail=fault)
    if counts.is_missing and step.session.first_without_counts(name):
        detail = "it does not count its tokens: our own counts hold"
        step.emit("miscounted", attempt=request.attempt, model=name, detail=detail)
