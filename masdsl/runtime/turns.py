"""One turn: a question to a model with its attempts, and the faults shown to it.

The runtime owns the policy: models make one attempt for each request, and everything that repeats, waits or gives up is
here; what a call takes and pays, in `masdsl.runtime.calling`. An agent without tools has a single turn, one with tools
several (`masdsl.runtime.acting`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from masdsl import sizes
from masdsl.formats import EMPTY_PROMPT, schema_tokens
from masdsl.runtime.agent import Agent
from masdsl.runtime.calling import Conversation, Parser, from_journal, make_call
from masdsl.runtime.models.base import Message, ModelError, Request
from masdsl.runtime.recording import TURN
from masdsl.runtime.replies import Parsed
from masdsl.runtime.text import clean


class Functions(NamedTuple):
    """The tools that a model is told of by its provider's own protocol, what they count, and if it may call them."""

    described: tuple[Mapping[str, Any], ...] = ()
    tokens: int = 0
    may_call: bool = True


NO_FUNCTIONS: Final = Functions()


def messages_of(agent: Agent[Any], prompt: str, contract: str | None = None) -> tuple[Message, ...]:
    """Return the opening of a chat: the agent's role, if it has one, then the prompt and the format of the reply.

    `contract` is how that format is asked for, where it is not the agent's own.
    """
    contract = agent.contract if contract is None else contract
    request = clean(f"{prompt}\n\n{contract}" if prompt and contract else prompt or contract) or EMPTY_PROMPT
    messages = agent.asked
    if not messages or messages[-1].content != request:
        messages = agent.asked = (*agent.opening, Message("user", request))
    return messages


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
    agent = talk.agent
    for_schema = (agent.schema_tokens if schema is agent.schema else schema_tokens(schema)) + tools.tokens
    asked, reason = messages, ""
    attempt = -1
    while attempt < agent.retries:
        attempt += 1
        part = turn * TURN + attempt
        if attempt:
            talk.step.emit("retried", attempt=attempt, detail=reason)
        request = _request(talk, asked, schema, attempt, part, tools)
        try:
            outcome = from_journal(talk, request, part, parse)
            if outcome is None:
                outcome = await make_call(talk, request, part, for_schema, parse)
        except ModelError as error:
            reason, is_over = await _after_failure(talk, error, attempt, part)
            if is_over:
                break
            continue
        if isinstance(outcome, Parsed):
            return outcome.value
        reason = outcome.text
        asked = (*messages, echo(outcome.reply, agent), Message("user", correction(reason)))
    tries = "" if agent.retries == 0 or attempt == 0 else f" (after {attempt + 1} attempts)"
    raise talk.step.failed(f"{reason}{tries}")


def _request(
    talk: Conversation,
    messages: tuple[Message, ...],
    schema: Mapping[str, Any] | None,
    attempt: int,
    part: int,
    tools: Functions,
) -> Request:
    """Return what is asked in one attempt."""
    step, agent = talk.step, talk.agent
    return Request(
        messages=messages,
        schema=schema,
        max_tokens=agent.max_tokens,
        temperature=agent.temperature,
        timeout=talk.time_for_call(),
        seed=step.session.draw(
            step.path, step.indices, part, 0 if step.entry is None else step.entry.standing.generation
        ),
        agent=agent.name,
        step=step.address,
        attempt=attempt,
        tools=tools.described,
        may_call=tools.may_call,
    )


async def _after_failure(talk: Conversation, error: ModelError, attempt: int, part: int) -> tuple[str, bool]:
    """Pause after a call that failed, if another attempt may follow; return the reason, and whether none does."""
    reason = f"{error.kind.replace('_', ' ')}: {error.detail}" if error.detail else error.kind
    if not error.retried:
        return reason, True
    last, entry = attempt == talk.agent.retries, talk.step.entry
    goes_on = entry is not None and entry.has(part + 1)  # it had paused before it was broken off
    in_vain = talk.time_is_up() if last else "" if goes_on else await _pause(talk, attempt, error)
    if in_vain and in_vain not in reason:
        reason = f"{reason}; {in_vain}"
    return reason, bool(in_vain) or last


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
