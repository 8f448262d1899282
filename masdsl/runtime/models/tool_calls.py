"""Tool calls of OpenAI's protocol, as text and back.

Replies and messages are text everywhere else: in conversations, in the journal, in scripts. So a reply that calls tools
is what the model said besides, followed by a line of JSON for each call:

    {"tool": "search", "arguments": {"query": "tea"}, "id": "call_1"}

`arguments` that are no JSON object stay the text that they are. On the way back, a message of this form together with
the results behind it (messages of the role `tool`, one for each call, in order) becomes what the protocol wants.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from masdsl.runtime.models.base import Message, Request

_KEYS = ("tool", "arguments", "id")


class ToolCall(NamedTuple):
    """What a model calls: `arguments` are a JSON object, or text where they are none."""

    name: str
    arguments: dict[str, Any] | str
    id: str

    def line(self) -> str:
        """Return the call as a line of text."""
        return json.dumps(dict(zip(_KEYS, self, strict=True)), ensure_ascii=False)


def text_with_calls(said: str, calls: Iterable[ToolCall]) -> str:
    """Return a reply as text: what was said, and a line for each call."""
    return "\n".join([*([said] if said else []), *(call.line() for call in calls)])


def calls_in_text(text: str) -> tuple[str, tuple[ToolCall, ...]]:
    """Return what was said and what is called; no calls where the text does not end with such lines."""
    lines = text.split("\n")
    calls: list[ToolCall] = []
    while lines and (call := _call_of(lines[-1])) is not None:
        calls.append(call)
        lines.pop()
    return "\n".join(lines), tuple(reversed(calls))


def _call_of(line: str) -> ToolCall | None:
    if not line.startswith('{"tool"'):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or tuple(found) != _KEYS:
        return None
    name, arguments, id = found.values()
    if not isinstance(name, str) or not isinstance(id, str) or not isinstance(arguments, dict | str):
        return None
    return ToolCall(name, arguments, id)


# ---------------------------------------------------------------- the protocol


def calls_of(message: Mapping[str, Any]) -> list[ToolCall]:
    """Return the calls in a message of the protocol; what is none of a function is left out."""
    calls = []
    for entry in message.get("tool_calls") or ():
        function = entry.get("function") if isinstance(entry, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(function, Mapping) and isinstance(name, str):
            calls.append(ToolCall(name, _arguments(function.get("arguments")), str(entry.get("id") or "")))
    return calls


def _arguments(given: object) -> dict[str, Any] | str:
    """Return arguments as an object where they are one: most servers send text, some the object itself, or nothing."""
    if isinstance(given, str) and given.strip():
        try:
            found: object = json.loads(given)
        except (ValueError, RecursionError):
            return given
        return found if isinstance(found, dict) else given
    return dict(given) if isinstance(given, Mapping) else {}


def wire_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages as the protocol has them: calls with their results, everything else as it is."""
    wire: list[dict[str, Any]] = []
    at = 0
    while at < len(messages):
        role, content = messages[at]
        said, calls = calls_in_text(content) if role == "assistant" else ("", ())
        results = messages[at + 1 : at + 1 + len(calls)]
        at += 1
        if not calls or [result.role for result in results] != ["tool"] * len(calls):
            wire.append({"role": "user" if role == "tool" else role, "content": content})
            continue
        wire.append({"role": "assistant", "content": said, "tool_calls": [_wire_call(call) for call in calls]})
        for call, result in zip(calls, results, strict=True):
            wire.append({"role": "tool", "tool_call_id": call.id, "content": result.content})
        at += len(calls)
    return wire


def _wire_call(call: ToolCall) -> dict[str, Any]:
    written = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": written}}


def tool_options(request: Request) -> dict[str, Any]:
    """Return the parameters of a request that say which tools there are, and that none may be called any more."""
    if not request.tools:
        return {}
    return {"tools": list(request.tools)} | ({} if request.may_call else {"tool_choice": "none"})


ADVICE = "if the model cannot call tools, write tool_calls = false in its entry of [models]"


def is_about_tools(said: str, request: Request) -> bool:
    """Whether a refusal of a request seems to mean its tools."""
    return bool(request.tools) and "tool" in said.lower()
