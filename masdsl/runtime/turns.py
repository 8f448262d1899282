"""One turn: a question to a model with its attempts, the faults shown to it, and the accounts of every call.

The runtime owns the policy: models make one attempt for each request, and everything that repeats, waits, gives up or
pays is here. An agent without tools has a single turn, one with tools several (`masdsl.runtime.acting`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from masdsl import sizes
from masdsl.runtime.agent import Agent
from masdsl.runtime.meter import Cost, cost_of
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Reply, Request
from masdsl.runtime.replies import Fault, Parsed
from masdsl.runtime.session import Step
from masdsl.runtime.stand_in import GivenReply, given_value
from masdsl.runtime.text import brief, clean
from masdsl.runtime.threads import bounded

MESSAGE_TOKENS: Final = 4
"""What a message costs besides its text."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
"""Seconds between attempts after a fault of the connection: doubled each time, up to the longest."""

Parser: TypeAlias = Callable[[str], Parsed | Fault]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one step asks of one model, and until when: `deadline` is a time of the loop, or None."""

    step: Step
    agent: Agent[Any]
    model: ChatModel
    deadline: float | None


def messages_of(agent: Agent[Any], prompt: str) -> tuple[Message, ...]:
    """Return the opening of a chat: the agent's role, if it has one, and the prompt."""
    opening = (Message("system", clean(agent.role)),) if agent.role else ()
    return (*opening, Message("user", clean(prompt) or "Go on."))


# ---------------------------------------------------------------- one turn


async def take_turn(
    talk: Conversation,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any] | None,
    parse: Parser,
    turn: int = 0,
    max_tokens: int | None = None,
) -> Any:
    """Ask until a reply fits, at most `1 + retries` times, and return its value; raise StepFailed.

    After a reply that does not fit, the next attempt shows it to the model together with what is wrong with it. After a
    failure of the call that may pass, the same is asked again, after a pause.
    """
    step, agent = talk.step, talk.agent
    asked, reason = messages, ""
    for attempt in range(agent.retries + 1):
        if attempt:
            step.emit("retried", attempt=attempt, detail=reason)
        request = Request(
            messages=asked,
            schema=schema,
            max_tokens=max_tokens or agent.max_tokens,
            temperature=agent.temperature,
            seed=step.session.draw(step.path, step.indices, turn * 1000 + attempt),
            agent=agent.name,
            step=step.address,
            attempt=attempt,
        )
        try:
            outcome = await _call(talk, request, parse)
        except ModelError as error:
            reason = f"{error.kind.replace('_', ' ')}: {error.detail}" if error.detail else error.kind
            if not error.retried or attempt == agent.retries or not await _pause(talk, attempt, error):
                break
            continue
        if isinstance(outcome, Parsed):
            return outcome.value
        reason = outcome.text
        said = sizes.clip_text(clean(outcome.reply), request.max_tokens)
        asked = (*messages, Message("assistant", said), Message("user", correction(reason)))
    tries = "" if agent.retries == 0 or attempt == 0 else f" (after {attempt + 1} attempts)"
    raise step.failed(f"{reason}{tries}")


def correction(fault: str) -> str:
    """Return what a model is told about a reply that does not fit."""
    return f"That reply cannot be used: {fault}. Reply again, with only the corrected answer."


async def _pause(talk: Conversation, attempt: int, error: ModelError) -> bool:
    """Wait before the next attempt, as long as the provider asks; False where no time is left for that."""
    pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
    if error.retry_after is not None:
        pause = max(error.retry_after, 0.0)
    elif error.kind == "timeout":
        pause = 0.0
    if asyncio.get_running_loop().time() + pause >= _end(talk):
        return False
    await asyncio.sleep(pause)
    return True


def _end(talk: Conversation) -> float:
    """Return the time of the loop at which the step's time, or the budget's, is used up."""
    ends = [end for end in (talk.deadline, talk.step.meter.deadline) if end is not None]
    return min(ends, default=float("inf"))


# ---------------------------------------------------------------- one call


async def _call(talk: Conversation, request: Request, parse: Parser) -> Parsed | Fault:
    """Make one call within the budget and the time, account for it, and read the reply.

    Raises ModelError, BudgetRefused, Stopped.
    """
    step, model = talk.step, talk.model
    loop = asyncio.get_running_loop()
    tokens_in = prompt_tokens(request)
    step.check_not_stopped()
    worst = cost_of(tokens_in, request.max_tokens, model.price)
    reservation = await step.meter.reserve(step.address, worst, model.name, talk.deadline)
    began = loop.time()
    seconds = min(_end(talk) - began, sizes.MODEL_SECONDS if talk.deadline is None else float("inf"))
    if step.scope.is_stopped or seconds <= 0:
        step.meter.release(reservation)
        step.check_not_stopped()
        raise ModelError("timeout", "no time is left")
    cost, answered_by, detail = worst, model.name, ""
    try:
        reply = await _complete(model, replace(request, timeout=seconds), seconds)
        cost = usage(reply, request, model)
        answered_by = reply.model or model.name
        outcome = given_value(reply, talk.agent) if isinstance(reply, GivenReply) else parse(reply.text)
        if isinstance(outcome, Fault):
            cut = f" (it was cut off at {request.max_tokens} tokens)" if reply.finish == "length" else ""
            outcome = outcome._replace(text=f"{outcome.text}{cut}")
            detail = outcome.text
    except ModelError as error:
        detail = f"{error.kind}: {error.detail}"
        if error.kind != "timeout":  # after a timeout nobody knows what was spent: all that was reserved counts
            cost = cost_of(tokens_in if error.billed else 0, 0, model.price)
        raise
    finally:
        step.meter.settle(reservation, cost)
        step.session.unpriced_calls += cost.usd is None
        step.emit(
            "called",
            attempt=request.attempt,
            model=answered_by,
            tokens_in=cost.tokens_in,
            tokens_out=cost.tokens_out,
            usd=cost.usd or 0.0,
            seconds=round(loop.time() - began, 6),
            detail=detail,
        )
    if isinstance(outcome, Parsed):
        for repair in outcome.repairs:
            step.emit("repaired", attempt=request.attempt, detail=repair)
        for clip in outcome.clips:
            step.emit("clipped", attempt=request.attempt, detail=f"reply: {clip}")
        if reply.finish == "length" and not outcome.clips:
            step.emit("clipped", attempt=request.attempt, detail=f"reply: cut off at {request.max_tokens} tokens")
    return outcome


async def _complete(model: ChatModel, request: Request, seconds: float) -> Reply:
    """Let the model answer within so many seconds; whatever it raises becomes a ModelError."""
    try:
        return await bounded(model.complete(request), seconds)
    except TimeoutError:
        raise ModelError("timeout", f"no reply within {seconds:g} s", billed=True) from None
    except ModelError:
        raise
    except Exception as error:  # a fault of an adapter must not take the run down
        raise ModelError("bad_request", f"{type(error).__name__}: {brief(str(error), 200)}") from error


# ---------------------------------------------------------------- accounts


def prompt_tokens(request: Request) -> int:
    """Return the size of a prompt by the rule of `masdsl.sizes`."""
    return sum(sizes.text_tokens(message.content) + MESSAGE_TOKENS for message in request.messages)


def usage(reply: Reply, request: Request, model: ChatModel) -> Cost:
    """Return what a call cost: the provider's counts where they are possible, else our own.

    A count is possible from an eighth of what the rule says up to one token a byte (and, for the reply, up to the
    longest one allowed): outside, a fault of the provider would refund a budget or use it up. The prompt has some room
    for what a chat template and a schema add.
    """
    content = [message.content for message in request.messages]
    schema = 0 if request.schema is None else len(json.dumps(request.schema))
    longest_prompt = sum(map(_size, content)) + 64 * (len(content) + 1) + schema
    tokens_in = _possible(reply.input_tokens, prompt_tokens(request), longest_prompt)
    longest_reply = max(_size(reply.text) + 16, request.max_tokens)
    tokens_out = _possible(reply.output_tokens, sizes.text_tokens(reply.text), longest_reply)
    return cost_of(tokens_in, tokens_out, model.price)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _possible(count: int | None, own: int, most: int) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        return own
    return min(max(count, -(-own // 8)), max(most, own))
