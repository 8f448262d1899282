"""Agents with tools: a bounded conversation in which the model either uses one tool or answers.

Each turn the model replies with JSON, `{"tool": name, "arguments": {...}}` or `{"answer": value}`; this works with
every model, and a model that is constrained by schema cannot reply anything else. What a tool returns, or why it did
not, is the next message. After `steps` uses of tools, only an answer is accepted. Every turn has the agent's retries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from masdsl import sizes
from masdsl.formats import NO_TOOLS_LEFT, turn_schema, uses_left
from masdsl.runtime.agent import MISSING, form_of
from masdsl.runtime.failures import BudgetRefused, StepFailed, Stopped
from masdsl.runtime.models.base import Message
from masdsl.runtime.replies import Fault, Parsed, as_json, loose_objects, parse_reply, read_value
from masdsl.runtime.shapes import Shape, TextShape, plain, type_of
from masdsl.runtime.text import brief, clean, show
from masdsl.runtime.tool import Tool
from masdsl.runtime.turns import Conversation, echo, messages_of, take_turn
from masdsl.runtime.using import use_tool


class Use(NamedTuple):
    """The model wants to use a tool."""

    tool: str
    arguments: dict[str, Any]


class Answer(NamedTuple):
    """The model's final value."""

    value: Any


async def act(talk: Conversation, prompt: str) -> Any:
    """Let the agent use its tools, at most `steps` times, and return its answer; raise StepFailed."""
    agent = talk.agent
    tools = {tool.name: tool for tool in agent.tools}
    forms = {tool.name: form_of(tool) for tool in agent.tools}
    returns = type_of(agent.returns)
    messages = messages_of(agent, prompt)
    for turn in range(agent.steps + 1):
        last = turn == agent.steps
        allowed = {} if last else tools
        outcome = await take_turn(
            talk,
            messages,
            turn_schema([] if last else forms.values(), returns),
            partial(_read_turn, tools=allowed, returns=agent.returns),
            turn,
        )
        if not isinstance(outcome, Use):
            return outcome.value if isinstance(outcome, Answer) else outcome
        if talk.step.entry is not None:
            await talk.step.entry.recording.durable()
        told = await _use(talk, tools, outcome, turn)
        said = json.dumps({"tool": outcome.tool, "arguments": as_json(outcome.arguments)}, ensure_ascii=False)
        messages = (*messages, echo(said, agent), Message("user", result_text(told, agent.steps - turn - 1)))
    raise AssertionError("the last turn answers or fails")


class Told(NamedTuple):
    """What a model is told about the use of a tool: some words, and the result as text, where there is one."""

    words: str
    shown: str = ""


def result_text(told: Told, left: int) -> str:
    """Return the message after a use of a tool: what came of it, and how many uses are left.

    Besides the result, it counts at most `sizes.RESULT_TOKENS`: longer words are cut.
    """
    behind = f"\n\n{uses_left(left)}"
    words = sizes.clip_counted(clean(told.words), sizes.RESULT_TOKENS - sizes.counted_tokens(behind))
    return f"{words}{clean(told.shown)}{behind}"


# ---------------------------------------------------------------- what the model replied


def _read_turn(text: str, tools: Mapping[str, Tool[Any]], returns: Shape) -> Parsed | Fault:
    """Read a turn: the use of a tool, or an answer. A reply without either may be the bare answer."""
    found = loose_objects(text)
    uses = [item for item in found if "tool" in item and "answer" not in item]
    if uses:
        return _read_use(text, uses, tools)
    answers = [item["answer"] for item in found if "answer" in item]
    if any(answer != answers[0] for answer in answers):
        return Fault(f"expected one answer, got {len(answers)} different ones", text)
    if answers:
        parsed = read_value(answers[0], returns, text)
    elif found and isinstance(returns, TextShape):
        return Fault('expected {"tool": ...} or {"answer": ...}, got another object', text)
    else:
        parsed = parse_reply(text, returns)
        if isinstance(parsed, Parsed):
            parsed = parsed._replace(repairs=(*parsed.repairs, 'the bare answer, without {"answer": ...}'))
    return parsed if isinstance(parsed, Fault) else parsed._replace(value=Answer(parsed.value))


def _read_use(text: str, uses: list[dict[str, Any]], tools: Mapping[str, Tool[Any]]) -> Parsed | Fault:
    if not tools:
        return Fault(f"no tool may be used any more. {NO_TOOLS_LEFT}", text)
    if len(uses) > 1 and any(use != uses[0] for use in uses):
        return Fault(f"expected the use of one tool, got {len(uses)}", text)
    name = str(uses[0]["tool"]).strip().strip("`\"'").removesuffix("()")
    arguments = uses[0].get("arguments", {key: value for key, value in uses[0].items() if key != "tool"})
    if not isinstance(arguments, dict):
        return Fault("at `arguments`: expected an object", text)
    return Parsed(Use(name, arguments), (), ())


async def _use(talk: Conversation, tools: Mapping[str, Tool[Any]], use: Use, turn: int) -> Told:
    """Use a tool and return what the model is told: its result, or what went wrong."""
    tool = tools.get(use.tool)
    if tool is None:
        return Told(f"There is no tool `{brief(use.tool)}`. The tools are: {', '.join(tools)}.")
    inputs: dict[str, object] = {}
    for name, shape in tool.parameters.shapes.items():
        if name not in use.arguments:
            default = tool.parameters.defaults.get(name, MISSING)
            if default is MISSING:
                return Told(f"`{tool.name}` was not used: the argument `{name}` is missing.")
            inputs[name] = default
            continue
        parsed = read_value(use.arguments[name], shape, "")
        if isinstance(parsed, Fault):
            return Told(f"`{tool.name}` was not used: the argument `{name}` does not fit: {parsed.text}.")
        inputs[name] = parsed.value
    step = talk.step.inner("tool", tool.name, turn)
    try:
        value = await use_tool(step, tool, inputs, talk.deadline)
    except (BudgetRefused, Stopped):
        raise
    except StepFailed as failure:
        return Told(f"`{tool.name}` failed: {failure.reason}.")
    return Told(f"`{tool.name}` returned:\n", show(plain(value)))
