"""How values become text: in prompts, in messages for people, and where text comes in from outside."""

from __future__ import annotations

import json
from typing import Any

from masdsl.diagnostics.escape import escape

LARGEST_INT = 2**63 - 1


def clean(text: str) -> str:
    """Return `text` with surrogate pairs joined and lone surrogates replaced: what any encoder accepts."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def brief(text: str, limit: int = 80) -> str:
    """Return `text` on one line without hidden characters, cut in the middle beyond `limit` characters."""
    if len(text) > 4 * limit:
        text = f"{text[: 2 * limit]}{text[-2 * limit :]}"
    line = escape(" ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - limit // 3 - 1]}…{line[-(limit // 3) :]}"


def number_text(number: float) -> str:
    """Return a number in its shortest form, whole ones without a fraction: `3`, `0.1`, `1e+20`."""
    if isinstance(number, int):
        return str(number)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def scalar_text(value: str | float | bool) -> str:
    """Return a text as it is, an enum's word, a number in its shortest form, `true` or `false`."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value)


def show(value: Any) -> str:
    """Return plain data (`shapes.plain`) as a prompt shows it.

    A text stands as it is, none is `none`, a list has a line `- item` for each item, a record a line `field: value` for
    each field. What is nested in a way that such lines cannot show is JSON.
    """
    if value is None:
        return "none"
    if isinstance(value, dict):
        if all(_on_a_line(item) for item in value.values()):
            return "\n".join(f"{name}: {show(item)}" for name, item in value.items())
        return json.dumps(value, ensure_ascii=False, indent=1)
    if isinstance(value, list):
        if not value:
            return "(empty)"
        if all(not isinstance(item, dict | list) for item in value):
            return "\n".join("- " + show(item).replace("\n", "\n  ") for item in value)
        return "\n".join("- " + json.dumps(item, ensure_ascii=False) for item in value)
    return scalar_text(value)


def _on_a_line(value: Any) -> bool:
    return not isinstance(value, dict | list) and not (isinstance(value, str) and "\n" in value)


def section(name: str, value: Any) -> str:
    """Return a labelled part of a prompt: the name, a colon, and the value from the next line on."""
    return f"{name}:\n{show(value)}"
