"""Agents with tools: a bounded conversation in which the model either uses tools or answers.

There are two ways to say that a tool is to be used. In plain text each turn is JSON, `{"tool": name, "arguments":
{...}}` or `{"answer": value}`, one tool at a time; this works with every model, and a model that is constrained by
schema cannot reply anything else. A model whose provider has a protocol for it (`calls_tools`) gets the tools with the
request, and may call several in one reply.

What a tool returns, or why it did not, is the next message. Every use counts, whatever came of it: after `steps` of
them only an answer is accepted. Every turn has the agent's retries.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from masdsl import sizes
from masdsl.formats import (
    NO_CALLS_LEFT,
    NO_TOOLS_LEFT,
    native_instructions,
    tool_functions,
    tools_tokens,
    turn_schema,
    uses_left,
)
from masdsl.runtime.agent import MISSING, Agent, form_of
from masdsl.runtime.calling import Conversation
from masdsl.runtime.failures import BudgetRefused, StepFailed, Stopped
from masdsl.runtime.models.base import Message, calls_tools
from masdsl.runtime.models.tool_calls import ToolCall, calls_in_text
from masdsl.runtime.replies import Fault, Parsed, as_json, loose_objects, parse_reply, read_value
from masdsl.runtime.shapes import RecordShape, Shape, TextShape, plain, type_of
from masdsl.runtime.text import brief, clean, show
from masdsl.runtime.tool import Tool
from masdsl.runtime.turns import NO_FUNCTIONS, Functions, echo, messages_of, take_turn
from masdsl.runtime.using import use_tool


class Use(NamedTuple):
    """The model wants to use a tool; `arguments` are None where it wrote none that can be read. `id` is the call's."""

    tool: str
    arguments: dict[str, Any] | None
    id: str = ""


class Uses(NamedTuple):
    """What the model wants to use before it goes on: in plain text one tool, by a protocol perhaps several."""

    uses: tuple[Use, ...]


class Answer(NamedTuple):
    """The model's final value."""

    value: Any


async def act(talk: Conversation, prompt: str) -> Any:
    """Let the agent use its tools, at most `steps` times, and return its answer; raise StepFailed."""
    agent = talk.agent
    tools = {tool.name: tool for tool in agent.tools}
    forms = [form_of(tool) for tool in agent.tools]
    native = calls_tools(talk.model)
    functions = _functions(agent) if native else NO_FUNCTIONS
    messages = messages_of(agent, prompt, native_contract(agent) if native else None)
    used = 0
    for turn in range(agent.steps + 1):
        last = used == agent.steps
        if native:
            functions = functions._replace(may_call=not last)
            schema = agent.schema if last else None  # many servers would hold calls to the schema of the answer, too
        else:
            schema = turn_schema([] if last else forms, type_of(agent.returns))
        parse = partial(_read_calls if native else _read_turn, tools={} if last else tools, returns=agent.returns)
        outcome = await take_turn(talk, messages, schema, parse, turn, functions)
        if not isinstance(outcome, Uses):
            return outcome.value if isinstance(outcome, Answer) else outcome
        uses = outcome.uses[: agent.steps - used]
        told = await _use_all(talk, tools, uses, used)
        left = uses_left(agent.steps - used - len(uses), native=native)
        if len(outcome.uses) > len(uses):
            left = f"{len(outcome.uses) - len(uses)} more calls of that reply were not made. {left}"
        more = _told_calls(agent, uses, told, used, left) if native else _told(agent, uses, told, left)
        messages = (*messages, *more)

        used += len(uses)
    raise AssertionError("the last turn answers or fails")


def native_contract(agent: Agent[Any]) -> str:
    """Return what a model that calls tools by its provider's protocol is told behind the prompt."""
    return native_instructions(type_of(agent.returns), agent.steps)


def _functions(agent: Agent[Any]) -> Functions:
    described = tool_functions(map(form_of, agent.tools))
    return Functions(described, tools_tokens(described))


# ---------------------------------------------------------------- what the model is told


class Told(NamedTuple):
    """What a model is told about the use of a tool: some words, and the result as text, where there is one."""

    words: str
    shown: str = ""


def result_text(told: Told, left: str) -> str:
    """Return the message after a use of a tool: what came of it, and, behind that, how many uses are left.

    Besides the result, it counts at most `sizes.RESULT_TOKENS`: longer words are cut.
    """
    behind = f"\n\n{left}" if left else ""
    words = sizes.clip_counted(clean(told.words), sizes.RESULT_TOKENS - sizes.counted_tokens(behind))
    return f"{words}{clean(told.shown)}{behind}"


def _told(agent: Agent[Any], uses: Sequence[Use], told: Sequence[Told], left: str) -> tuple[Message, ...]:
    """Return the messages after a use of a tool in plain text: what the model said, and what came of it."""
    said = json.dumps({"tool": uses[0].tool, "arguments": as_json(uses[0].arguments)}, ensure_ascii=False)
    return echo(said, agent), Message("user", result_text(told[0], left))


def _told_calls(
    agent: Agent[Any], uses: Sequence[Use], told: Sequence[Told], before: int, left: str
) -> tuple[Message, ...]:
    """Return the messages after calls of tools: the calls, and what came of each.

    A use counts at most what the bounds take for it: two messages, a call (`sizes.CALL_TOKENS`), and a result.
    """
    calls = [_shortened(use, f"call_{before + number}", agent) for number, use in enumerate(uses)]
    results = [result_text(one, left if number == len(told) else "") for number, one in enumerate(told, 1)]
    lines = "\n".join(call.line() for call in calls)
    return Message("assistant", lines), *(Message("tool", result) for result in results)


def _shortened(use: Use, own_id: str, agent: Agent[Any]) -> ToolCall:
    """Return a call as the model is reminded of it: whole where it fits, else without its id, or its arguments."""
    room = 2 * agent.max_tokens + sizes.CALL_TOKENS - 1  # a line's end counts 1
    arguments: Any = {} if use.arguments is None else _cleaned(as_json(use.arguments))
    name = clean(use.tool)
    for call in (ToolCall(name, arguments, clean(use.id) or own_id), ToolCall(name, arguments, own_id)):
        if sizes.counted_tokens(call.line()) <= room:
            return call
    frame = sizes.counted_tokens(ToolCall("", {}, own_id).line())
    return ToolCall(sizes.clip_counted(brief(name), max((room - frame) // 2, 0)), {}, own_id)


def _cleaned(value: Any) -> Any:
    """Return JSON data with its texts as they may be shown."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return {clean(name): _cleaned(item) for name, item in value.items()} if isinstance(value, dict) else value


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
        if (
            isinstance(parsed, Fault)
            and isinstance(returns, RecordShape)
            and any(field.name == "answer" for field in returns.fields)
        ):
            bare = _read_bare(text, returns)  # the record has a field of that name itself
            parsed = bare if isinstance(bare, Parsed) else parsed
    elif found and isinstance(returns, TextShape):
        return Fault('expected {"tool": ...} or {"answer": ...}, got another object', text)
    else:
        parsed = _read_bare(text, returns)
    return parsed if isinstance(parsed, Fault) else parsed._replace(value=Answer(parsed.value))


def _read_bare(text: str, returns: Shape) -> Parsed | Fault:
    """Read a reply that is the answer itself."""
    parsed = parse_reply(text, returns)
    if isinstance(parsed, Parsed):
        return parsed._replace(repairs=(*parsed.repairs, 'the bare answer, without {"answer": ...}'))
    return parsed


def _read_use(text: str, uses: list[dict[str, Any]], tools: Mapping[str, Tool[Any]]) -> Parsed | Fault:
    if not tools:
        return Fault(f"no tool may be used any more. {NO_TOOLS_LEFT}", text)
    if len(uses) > 1 and any(use != uses[0] for use in uses):
        return Fault(f"expected the use of one tool, got {len(uses)}", text)
    name = str(uses[0]["tool"]).strip().strip("`\"'").removesuffix("()")
    arguments = uses[0].get("arguments", {key: value for key, value in uses[0].items() if key != "tool"})
    if not isinstance(arguments, dict):
        return Fault("at `arguments`: expected an object", text)
    return Parsed(Uses((Use(name, arguments),)), (), ())


def _read_calls(text: str, tools: Mapping[str, Tool[Any]], returns: Shape) -> Parsed | Fault:
    """Read a reply of a model that calls tools by a protocol: its calls, or its answer.

    Some servers let a call through as text: what is plainly one, of a tool that there is, counts as it was meant.
    """
    _, calls = calls_in_text(text)
    if calls:
        if not tools:
            return Fault(f"no tool may be used any more. {NO_CALLS_LEFT}", text)
        ids = [call.id for call in calls]
        uses = [
            Use(name, _read_arguments(arguments), id if ids.count(id) == 1 else "") for name, arguments, id in calls
        ]
        return Parsed(Uses(tuple(uses)), (), ())
    written = [use for item in loose_objects(text) if (use := _written_use(item, tools)) is not None]
    if written:
        return Parsed(Uses(tuple(written)), ("a call of a tool, written as text",), ())
    parsed = parse_reply(text, returns)
    return parsed if isinstance(parsed, Fault) else parsed._replace(value=Answer(parsed.value))


def _read_arguments(arguments: dict[str, Any] | str) -> dict[str, Any] | None:
    """Return arguments as they are read everywhere else, however they are written; None where they are no object."""
    found = loose_objects(arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))
    return found[0] if found else None


def _written_use(item: Mapping[str, Any], tools: Mapping[str, Tool[Any]]) -> Use | None:
    name = item.get("tool", item.get("name"))
    arguments = item.get("arguments", item.get("parameters"))
    return Use(name, arguments) if isinstance(name, str) and name in tools and isinstance(arguments, dict) else None


# ---------------------------------------------------------------- uses


async def _use_all(talk: Conversation, tools: Mapping[str, Tool[Any]], uses: Sequence[Use], before: int) -> list[Told]:
    """Use tools and return what the model is told of each, in order. Side by side, unless one changes the world."""
    effects = any(use.tool in tools and tools[use.tool].effect for use in uses)
    if len(uses) == 1 or effects:
        return [await _use(talk, tools, use, before + number) for number, use in enumerate(uses)]
    ended = await asyncio.gather(
        *(_use(talk, tools, use, before + number) for number, use in enumerate(uses)), return_exceptions=True
    )
    told: list[Told] = []
    for one in ended:
        if isinstance(one, BaseException):
            raise one
        told.append(one)
    return told


async def _use(talk: Conversation, tools: Mapping[str, Tool[Any]], use: Use, number: int) -> Told:
    """Use a tool, as the agent's use of that number; return what the model is told: its result, or what is wrong."""
    tool = tools.get(use.tool)
    if tool is None:
        return Told(f"There is no tool `{brief(use.tool)}`. The tools are: {', '.join(tools)}.")
    if use.arguments is None:
        return Told(f"`{tool.name}` was not used: its arguments are no JSON object.")
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
    step = talk.step.inner("tool", tool.name, number)
    try:
        value = await use_tool(step, tool, inputs, talk.deadline)
    except (BudgetRefused, Stopped):
        raise
    except StepFailed as failure:
        return Told(f"`{tool.name}` failed: {failure.reason}.")
    return Told(f"`{tool.name}` returned:\n", show(plain(value)))
