"""Prompts: what an agent's template may say, checked against the types of the agent's parameters.

A prompt inserts values, repeats a part for each item of a list and leaves parts out:

    {{ review.issues|join(", ") }}   {% for note in notes %}..{% endfor %}   {% if notes is not none %}..{% endif %}

Any value may be printed: a text or a word of an enum as it is, nothing for `none`, JSON for a list or a record
(`runtime/prompt.py`). Everything that could fail or surprise when a prompt is filled in is an error here instead:
unknown names and fields, loops over a text, fields of what may be `none`, comparisons that never hold.

Most prompts only insert parameters. Those are read here. Jinja2, whose import takes longer than the check of a program,
is loaded for the others (`check/template_types.py`) and for prompts with a fault, so that one parser words the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from masdsl.check.literal_places import LiteralPlaces
from masdsl.check.template_parts import Field, Insert, Named, Part, Parts, Value, Words, words
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.prompts import PromptTooLarge
from masdsl.limits import EXPRESSION_DEPTH, TEMPLATE_BYTES, TEMPLATE_NODES
from masdsl.node import Span
from masdsl.source import Source
from masdsl.types import Record, Type, Unknown

Report = Callable[[Diagnostic], None]

MARK = re.compile(r"\{[{%#]")
_INSERTION = re.compile(r"\{\{[ \t\n]*([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)[ \t\n]*\}\}")
KEPT_NAMES = frozenset(("and", "else", "false", "if", "in", "is", "loop", "none", "not", "or", "self", "true"))
"""Names that mean something else in templates; parameters of these names cannot be mentioned."""


class PromptInfo(NamedTuple):
    """What a prompt says: `unmentioned` are the parameters that it never names, in their order.

    `parts` is what it consists of, nothing where it has a fault.
    """

    unmentioned: tuple[str, ...]
    parts: Parts


class Reading(NamedTuple):
    """The parameters that a template names, and what it consists of."""

    mentioned: set[str]
    parts: Parts


def check_prompt(text: str, params: Mapping[str, Type], source: Source, literal: Span, report: Report) -> PromptInfo:
    """Check the prompt `text`, the value of the string literal at `literal` in `source`.

    `params` are the agent's parameters in order. Faults are reported with spans inside the literal. A prompt that
    cannot be read counts as mentioning all of them.
    """
    if len(text.encode("utf-8", "surrogatepass")) > TEMPLATE_BYTES:
        report(PromptTooLarge("is too long", f"at most {TEMPLATE_BYTES:_} bytes", span=literal))
        return PromptInfo((), ())
    if MARK.search(text) is None:
        return PromptInfo(tuple(params), (Words(text),) if text else ())
    template = text.replace("\r\n", "\n").replace("\r", "\n")
    reading = _insertions_only(template, params)
    if reading is None:
        from masdsl.check.template_types import check_template

        reading = check_template(template, params, LiteralPlaces(source, literal, text), report)
    return PromptInfo(tuple(name for name in params if name not in reading.mentioned), reading.parts)


def _insertions_only(text: str, params: Mapping[str, Type]) -> Reading | None:
    """Return what a prompt says, if it is faultless and has plain insertions only; else None."""
    text = text.removesuffix("\n")  # as Jinja2 does
    mentioned: set[str] = set()
    parts: list[Part] = []
    end = 0
    size = 3  # of the tree that Jinja2 would make: the template, its one output statement and the text at the end
    mark = MARK.search(text)
    while mark is not None:
        insertion = _INSERTION.match(text, mark.start())
        if insertion is None:
            return None
        name, *fields = insertion.group(1).split(".")
        kind: Type | None = None if name in KEPT_NAMES else params.get(name)
        for field in fields:
            kind = field_type(kind, field) if kind is not None else None
        size += 2 + len(fields)
        if kind is None or size > TEMPLATE_NODES or len(fields) >= EXPRESSION_DEPTH:
            return None
        mentioned.add(name)
        value: Value = Named(name)
        for field in fields:
            value = Field(value, field)
        words(parts, text[end : mark.start()])
        parts.append(Insert(value))
        end = insertion.end()
        mark = MARK.search(text, end)
    words(parts, text[end:])
    return Reading(mentioned, tuple(parts))


def field_type(kind: Type, field: str) -> Type | None:
    """Return the type of a field of a value that is there, or None where it has none of that name."""
    if isinstance(kind, Unknown):
        return kind
    return kind.field(field) if isinstance(kind, Record) else None
