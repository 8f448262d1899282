"""What models are told about a type: its JSON schema, its form in words, and how long a reply may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masdsl import sizes
from masdsl.runtime.shapes import (
    BoolShape,
    EnumShape,
    FloatShape,
    IntShape,
    ListShape,
    OptionalShape,
    RecordShape,
    Shape,
    TextShape,
    count_text,
)


def is_free_text(shape: Shape) -> bool:
    """Whether any text is a reply of the type (but for `null`, of an optional): no schema may force JSON on it."""
    return isinstance(shape.inner if isinstance(shape, OptionalShape) else shape, TextShape)


def schema(shape: Shape) -> dict[str, Any]:
    """Return the JSON schema of a shape: caps of texts as `maxLength` in characters, every field required."""
    match shape:
        case TextShape(cap):
            return {"type": "string", "maxLength": cap * sizes.CHARACTERS_PER_TOKEN}
        case IntShape():
            return {"type": "integer"}
        case FloatShape():
            return {"type": "number"}
        case BoolShape():
            return {"type": "boolean"}
        case EnumShape(_, words):
            return {"type": "string", "enum": list(words)}
        case ListShape(element, low, high):
            return {"type": "array", "items": schema(element), "minItems": low, "maxItems": high}
        case OptionalShape(inner):
            return {"anyOf": [schema(inner), {"type": "null"}]}
        case RecordShape(_, members):
            return {
                "type": "object",
                "properties": {field.name: schema(field.shape) for field in members},
                "required": [field.name for field in members],
                "additionalProperties": False,
            }


def spell(shape: Shape) -> str:
    """Return the JSON form of a shape for a model to imitate, such as `{"ok": <true or false>, "issue": <text>}`.

    What stands for a value must not be one itself: small models copy a `"text"` into every field.
    """
    match shape:
        case TextShape():
            return "<text>"
        case IntShape():
            return "<whole number>"
        case FloatShape():
            return "<number>"
        case BoolShape():
            return "<true or false>"
        case EnumShape(_, words):
            return " or ".join(f'"{word}"' for word in words)
        case ListShape(element, low, high):
            return f"[{spell(element)}, ...] ({count_text(low, high)})"
        case OptionalShape(inner):
            return f"{spell(inner)} or null"
        case RecordShape(_, members):
            return "{" + ", ".join(f'"{field.name}": {spell(field.shape)}' for field in members) + "}"


def reply_tokens(shape: Shape) -> int:
    """Return the size of the largest reply that an agent of this type is allowed (without `max` of its own)."""
    inner = shape.inner if isinstance(shape, OptionalShape) else shape
    if isinstance(inner, TextShape):
        return max(inner.cap, sizes.WORD_TOKENS)
    return min(value_tokens(shape) + sizes.REPLY_SLACK_TOKENS, sizes.LARGEST_TEXT_TOKENS)


def value_tokens(shape: Shape) -> int:
    """Return how many tokens a value takes at most as JSON."""
    match shape:
        case TextShape(cap):
            return cap + sizes.WORD_TOKENS
        case IntShape():
            return sizes.INT_TOKENS
        case FloatShape():
            return sizes.FLOAT_TOKENS
        case BoolShape():
            return sizes.WORD_TOKENS
        case EnumShape(_, words):
            return max(map(sizes.text_tokens, words), default=0) + sizes.WORD_TOKENS
        case ListShape(element, _, high):
            return high * (value_tokens(element) + 1) + sizes.WORD_TOKENS
        case OptionalShape(inner):
            return max(value_tokens(inner), sizes.WORD_TOKENS)
        case RecordShape(_, members):
            return object_tokens({field.name: field.shape for field in members})


def object_tokens(members: Mapping[str, Shape]) -> int:
    """Return how many tokens a JSON object of these fields takes at most."""
    return sum(sizes.field_tokens(name) + value_tokens(shape) for name, shape in members.items()) + sizes.WORD_TOKENS
