"""What models are told about a type: its JSON schema, its form in words, and how long a reply may be.

The compiler needs these texts to know how large a prompt can become, the runtime to send them: here they are said once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, assert_never

from masdsl import sizes
from masdsl.types import Bool, Enum, Float, Int, List, Nothing, Opaque, Optional, Record, Text, Type, Unknown


def is_free_text(kind: Type) -> bool:
    """Whether any text is a reply of the type (but for `null`, of an optional): no schema may force JSON on it."""
    return isinstance(kind.inner if isinstance(kind, Optional) else kind, Text)


def schema(kind: Type) -> dict[str, Any]:
    """Return the JSON schema of a type: caps of texts as `maxLength`, every field required."""
    match kind:
        case Text(cap=cap):
            return {"type": "string", "maxLength": cap * sizes.MOST_CHARACTERS_PER_TOKEN}
        case Int():
            return {"type": "integer"}
        case Float():
            return {"type": "number"}
        case Bool():
            return {"type": "boolean"}
        case Enum(words=words):
            return {"type": "string", "enum": list(words)}
        case List(element=element, low=low, high=high):
            return {"type": "array", "items": schema(element), "minItems": low, "maxItems": high}
        case Optional(inner=inner):
            return {"anyOf": [schema(inner), {"type": "null"}]}
        case Record(fields=fields):
            return _object({name: schema(field) for name, field in fields})
        case Nothing() | Unknown() | Opaque():
            return {"type": "null"}
        case _:
            assert_never(kind)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def schema_tokens(sent: Mapping[str, Any] | None) -> int:
    """Return what a schema counts that is sent with a request; 0 for none."""
    if sent is None:
        return 0
    from json import dumps

    return sizes.counted_tokens(dumps(sent, separators=(",", ":")))


# ---------------------------------------------------------------- in words

EMPTY_PROMPT: Final = "Go on."
"""What a model is told by a prompt that is empty."""


def spell(kind: Type) -> str:
    """Return the JSON form of a type for a model to imitate, such as `{"ok": <true or false>, "issue": <text>}`.

    What stands for a value must not be one itself: small models copy a `"text"` into every field.
    """
    match kind:
        case Text():
            return "<text>"
        case Int():
            return "<whole number>"
        case Float():
            return "<number>"
        case Bool():
            return "<true or false>"
        case Enum(words=words):
            return " or ".join(f'"{word}"' for word in words)
        case List(element=element, low=low, high=high):
            return f"[{spell(element)}, ...] ({count_text(low, high)})"
        case Optional(inner=inner):
            return f"{spell(inner)} or null"
        case Record(fields=fields):
            return "{" + ", ".join(f'"{name}": {spell(field)}' for name, field in fields) + "}"
        case Nothing() | Unknown() | Opaque():
            return "null"
        case _:
            assert_never(kind)


def count_text(low: int, high: int) -> str:
    """Return how many items a list has, in words."""
    if low == high:
        return f"exactly {high} item{'s' if high != 1 else ''}"
    return f"at most {high} items" if low == 0 else f"{low} to {high} items"


def expected(kind: Type) -> str:
    """Return what a value of the type is, for messages."""
    match kind:
        case Text():
            return "text"
        case Int():
            return "a whole number"
        case Float():
            return "a number"
        case Bool():
            return "true or false"
        case Enum(words=words):
            return f"one of {', '.join(words)}"
        case List(low=low, high=high):
            return f"a list of {count_text(low, high)}"
        case Optional(inner=inner):
            return f"{expected(inner)} or null"
        case Record(fields=fields):
            return f"an object with the fields {', '.join(name for name, _ in fields)}"
        case Nothing() | Unknown() | Opaque():
            return "nothing"
        case _:
            assert_never(kind)


def output_contract(kind: Type) -> str:
    """Return the sentence that asks a model for a reply of the type; empty for text, where any reply will do."""
    match kind:
        case Text():
            return ""
        case Optional(inner=Text()):
            return "If there is no answer, reply with only: null"
        case Optional(inner=inner):
            return f"{output_contract(inner)} If there is no answer, reply with only: null"
        case Enum(words=words):
            return f"Reply with only one of these words: {', '.join(words)}"
        case Record() | List():
            return f"Reply with only JSON of this form, and nothing else:\n{spell(kind)}"
        case _:
            return f"Reply with only {expected(kind)}, and nothing else."


_NOT_CONSTANT = re.compile(r"\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)


def constant_texts(role: str | None, prompt: str, said: str) -> tuple[str, ...]:
    """Return what every request of an agent says: its role, the text around the insertions of its prompt, what is said
    about the reply. Of a prompt with conditions or loops nothing is taken.
    """
    around = () if "{%" in prompt else _NOT_CONSTANT.split(prompt)
    return tuple(text for text in (role or "", *around, said) if text.strip())


# ---------------------------------------------------------------- the use of tools


class ToolForm(NamedTuple):
    """What a model is told about a tool: its name, its inputs in order, and what it is for."""

    name: str
    inputs: Mapping[str, Type]
    doc: str


NO_CALLS_LEFT = "You cannot use tools any more. Reply with the answer."
NO_TOOLS_LEFT = 'You cannot use tools any more. Reply with only {"answer": ...}.'


def tool_instructions(tools: Iterable[ToolForm], returns: Type, steps: int) -> str:
    """Return what the prompt of an agent with tools says about them."""
    lines = [f"You may use these tools, one at a time, at most {steps} time{'s' if steps != 1 else ''}:"]
    for tool in tools:
        arguments = ", ".join(f'"{name}": {spell(kind)}' for name, kind in tool.inputs.items())
        about = f"  {' '.join(tool.doc.split())}" if tool.doc else ""
        lines.append(f'- {{"tool": "{tool.name}", "arguments": {{{arguments}}}}}{about}')
    lines.append("Reply with only the JSON for the use of one tool, or, to finish, with only this JSON:")
    lines.append(f'{{"answer": {spell(returns)}}}')
    return "\n".join(lines)


def native_instructions(returns: Type, steps: int) -> str:
    """Return what the prompt says to a model that is told of the tools by its provider's own protocol."""
    start = f"You may use tools at most {steps} time{'s' if steps != 1 else ''}, then answer."
    contract = output_contract(returns)
    return f"{start} {contract}" if contract else start


def uses_left(left: int, *, native: bool = False) -> str:
    """Return what a model is told about the uses of tools that it has left."""
    if not left:
        return NO_CALLS_LEFT if native else NO_TOOLS_LEFT
    return f"You may use tools {left} more time{'s' if left != 1 else ''}."


def tool_functions(tools: Iterable[ToolForm]) -> tuple[dict[str, Any], ...]:
    """Return tools as OpenAI's protocol describes functions."""
    return tuple(
        {
            "type": "function",
            "function": {
                "name": tool.name,
                **({"description": " ".join(tool.doc.split())} if tool.doc else {}),
                "parameters": _object({name: schema(kind) for name, kind in tool.inputs.items()}),
            },
        }
        for tool in tools
    )


def tools_tokens(functions: Sequence[Mapping[str, Any]]) -> int:
    """Return what functions count that are sent with a request; 0 for none."""
    return sizes.TOOLS_TOKENS + schema_tokens({"tools": functions}) if functions else 0


def turn_schema(tools: Iterable[ToolForm], returns: Type) -> dict[str, Any]:
    """Return the JSON schema of a turn: the use of one of the tools, or the answer."""
    answer = _object({"answer": schema(returns)})
    uses = [
        _object(
            {
                "tool": {"type": "string", "enum": [tool.name]},
                "arguments": _object({name: schema(kind) for name, kind in tool.inputs.items()}),
            }
        )
        for tool in tools
    ]
    return {"anyOf": [*uses, answer]} if uses else answer


# ---------------------------------------------------------------- sizes of replies


def reply_tokens(kind: Type) -> int:
    """Return the size of the largest reply that an agent of this type is allowed (without `max` of its own)."""
    inner = kind.inner if isinstance(kind, Optional) else kind
    if isinstance(inner, Text):
        return max(inner.cap, sizes.WORD_TOKENS)
    return min(value_tokens(kind) + sizes.REPLY_SLACK_TOKENS, sizes.LARGEST_TEXT_TOKENS)


def turn_tokens(tools: Iterable[ToolForm], returns: Type) -> int:
    """Return the size of the largest reply of a turn: the use of one of the tools, or the answer."""
    largest = max(object_tokens(inputs) for inputs in ({"answer": returns}, *(tool.inputs for tool in tools)))
    return min(largest + 2 * sizes.FIELD_TOKENS + sizes.REPLY_SLACK_TOKENS, sizes.LARGEST_TEXT_TOKENS)


def value_tokens(kind: Type) -> int:
    """Return how many tokens a value takes at most as JSON."""
    match kind:
        case Text(cap=cap):
            return cap + sizes.WORD_TOKENS
        case Int():
            return sizes.INT_TOKENS
        case Float():
            return sizes.FLOAT_TOKENS
        case Bool() | Nothing() | Unknown() | Opaque():
            return sizes.WORD_TOKENS
        case Enum(words=words):
            return max(map(sizes.text_tokens, words), default=0) + sizes.WORD_TOKENS
        case List(element=element, high=high):
            return high * (value_tokens(element) + 1) + sizes.WORD_TOKENS
        case Optional(inner=inner):
            return max(value_tokens(inner), sizes.WORD_TOKENS)
        case Record(fields=fields):
            return object_tokens(dict(fields))
        case _:
            assert_never(kind)


def object_tokens(members: Mapping[str, Type]) -> int:
    """Return how many tokens a JSON object of these fields takes at most."""
    return sum(sizes.field_tokens(name) + value_tokens(kind) for name, kind in members.items()) + sizes.WORD_TOKENS
