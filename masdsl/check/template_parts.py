"""What a prompt's template consists of: a small tree, free of Jinja2, for whoever asks how long a prompt becomes.

The checker makes it of faultless templates (`check/prompts.py`, `check/template_build.py`). Jinja2's rules about blanks
are behind it: comments are gone, `{%- .. -%}` has taken the blanks beside it, and what is left of the template's text
stands in `Words` as it is printed. Two `Words` never stand side by side. Conditions are not kept, only what they choose
between.
"""

from __future__ import annotations

from typing import TypeAlias

from masdsl.node import Node

Scalar: TypeAlias = "str | int | float | bool | None"


class Words(Node):
    """Constant text, never empty."""

    text: str


class Named(Node):
    """A parameter, a loop's variable, or `loop` (the innermost one)."""

    name: str


class Field(Node):
    """`value.field` of a record that is there, or of `loop`."""

    value: Value
    field: str


class Constant(Node):
    """A text, a number, a truth value, `none`, or a list of such in brackets."""

    value: Scalar | tuple[Scalar, ...]


class Filtered(Node):
    """`value|filter(arguments)`."""

    value: Value
    filter: str
    arguments: tuple[Constant, ...]


Value: TypeAlias = Named | Field | Constant | Filtered


class Insert(Node):
    """`{{ value }}`."""

    value: Value


class Repeat(Node):
    """`{% for variable in items %} body {% else %} orelse {% endfor %}`."""

    variable: str
    items: Value
    body: Parts
    orelse: Parts


class Choose(Node):
    """`{% if .. %} .. {% elif .. %} .. {% else %} orelse {% endif %}`: one of the branches, or else the last part."""

    branches: tuple[Parts, ...]
    orelse: Parts


Part: TypeAlias = Words | Insert | Repeat | Choose
Parts: TypeAlias = tuple[Part, ...]


def words(parts: list[Part], text: str) -> None:
    """Add constant text to parts that are being collected."""
    last = parts[-1] if parts else None
    if isinstance(last, Words):
        parts[-1] = Words(last.text + text)
    elif text:
        parts.append(Words(text))
