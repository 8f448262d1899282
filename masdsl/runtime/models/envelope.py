"""Envelopes: replies that are no JSON object, asked for as one.

OpenAI's protocol takes only schemas of objects, and a small model writes a bare list or number badly: its first token
is then the value's. So a schema of another type goes into an object with one field, and the reply is taken out of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

FIELD = "value"
_NOTHING = object()


class Envelope(NamedTuple):
    """The schema of the object around a reply, and how to get the reply out again."""

    schema: Mapping[str, Any]

    def open(self, text: str) -> str:
        """Return the JSON of the field `value`; the text as it is where it is no such object (cut, or in prose)."""
        value = _field(text)
        return text if value is _NOTHING else json.dumps(value, ensure_ascii=False)


def envelope_of(schema: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Envelope | None:
    """Return the envelope for a schema, None where it is one of an object already.

    `before` are schemas of fields that the model writes before its value, by name.
    """
    if schema.get("type") == "object" or "properties" in schema:
        return None
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    fields = {**(before or {}), FIELD: inner}
    wrapped: dict[str, Any] = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    if "$defs" in schema:  # references start at the root
        wrapped["$defs"] = schema["$defs"]
    return Envelope(wrapped)


def _field(text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING
    return value.get(FIELD, _NOTHING) if isinstance(value, dict) else _NOTHING
