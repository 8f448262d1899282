"""How a small local model is held to a type: JSON schemas made fit for constrained decoding.

The grammar is written for llguidance, which is part of llama.cpp's builds with xllamacpp. Measured with SmolLM2-135M:
a bare number is hopeless (its first token is the answer: 0 of 24 sums right), one after a line of working is like
free text (11 and 10 of 24); compact JSON takes a third fewer tokens than indented, and cannot run on in blanks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from masdsl.runtime.models.envelope import Envelope, envelope_of

LARGEST_INT: Final = 10**15 - 1
"""No larger whole number is offered: a small model that starts a number without an end would never finish it."""
WORKING: Final = "equation"
WORKING_CHARACTERS: Final = 60
_NUMBER_TOKENS = 32  # of the object around the working and the number, and of the longest number
_SHORTEST_WORKING = 12
_LAYOUT = {"x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}}
_NUMBERS = ("integer", "number")


class Constraint(NamedTuple):
    """The schema to decode under, and the envelope to take the reply out of, if there is one."""

    schema: Mapping[str, Any]
    envelope: Envelope | None


def constraint_of(schema: Mapping[str, Any], max_tokens: int) -> Constraint:
    """Return how a reply of this schema is asked for, in at most `max_tokens`.

    Numbers come after a line of working, lists and optional values as the field of an object; words and truth values
    are asked for as they are.
    """
    schema = _bounded(schema)
    kinds = _kinds(schema)
    if not kinds & {*_NUMBERS, "array", "null"}:
        return Constraint(schema, None)
    before = None
    room = max_tokens - _NUMBER_TOKENS  # a digit is a token, so a character of the working may be one
    if kinds & set(_NUMBERS) and room >= _SHORTEST_WORKING:
        before = {WORKING: {"type": "string", "maxLength": min(room, WORKING_CHARACTERS)}}
    envelope = envelope_of(schema, before)
    return Constraint(schema if envelope is None else envelope.schema, envelope)


def llguidance_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of all JSON texts of a schema, laid out on one line."""
    return "%llguidance {}\nstart: %json " + json.dumps({**_LAYOUT, **schema})


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Return the JSON types that a value of the schema may have."""
    options = schema.get("anyOf")
    if isinstance(options, list):
        return {kind for option in options if isinstance(option, Mapping) for kind in _kinds(option)}
    kind = schema.get("type")
    return set(kind) if isinstance(kind, list) else {kind} if isinstance(kind, str) else set()


def _bounded(schema: Any) -> Any:
    """Return a schema whose whole numbers have bounds that the decoder can keep."""
    if isinstance(schema, list):
        return [_bounded(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result = {key: value if key in ("enum", "const") else _bounded(value) for key, value in schema.items()}
    if result.get("type") == "integer":
        result["minimum"] = max(_bound(result, "minimum", -LARGEST_INT), -LARGEST_INT)
        result["maximum"] = min(_bound(result, "maximum", LARGEST_INT), LARGEST_INT)
    return result


def _bound(schema: Mapping[str, Any], key: str, otherwise: int) -> int:
    value = schema.get(key)
    return int(value) if isinstance(value, int | float) else otherwise
