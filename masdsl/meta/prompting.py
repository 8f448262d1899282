"""What meta-agents are told: the files `prompts/*.jinja`, each with what the system says and what the user says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import Message

if TYPE_CHECKING:
    from jinja2 import Environment

Role = Literal["generator", "implementer", "rectifier", "trained", "trained_implementer", "trained_rectifier"]
QUERY_CHARACTERS: Final = 6_000
"""How much of a query a meta-agent reads: what stands behind that does not change what is designed for it."""
STATE_CHARACTERS: Final = 16_000
"""How much of a run's state a rectifier reads."""


class Shown(NamedTuple):
    """An example as a prompt shows it."""

    name: str
    about: str
    text: str


def messages_for(role: Role, values: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the messages for a meta-agent: its file's two blocks, filled in. Values are never read as templates."""
    template = _environment().get_template(f"{role}.jinja")
    context = template.new_context(dict(values))
    said = {name: "".join(block(context)).strip() for name, block in template.blocks.items()}
    return Message("system", said["system"]), Message("user", said["user"])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prompts")
    return Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False)


def clipped(text: str, most: int) -> str:
    """Return a text, or the beginning and the end of one that is too long, with how much is left out."""
    if len(text) <= most:
        return text
    head, tail = most * 3 // 4, most // 4
    return f"{text[:head]}\n... ({len(text) - most} characters left out) ...\n{text[-tail:]}"


def room_text(left: Limits) -> str:
    """Return limits in words: `6 calls, 20,000 tokens`."""
    parts = [
        f"{left.calls} calls" if left.calls is not None else "",
        f"{left.tokens:,} tokens" if left.tokens is not None else "",
        f"{left.usd:g} USD" if left.usd is not None else "",
        f"{left.seconds:.0f} seconds" if left.seconds is not None else "",
    ]
    return ", ".join(filter(None, parts)) or "what the language allows"


def within_characters(examples: Iterable[Shown], most: int) -> tuple[Shown, ...]:
    """Return the first examples that together have at most so many characters."""
    taken: list[Shown] = []
    for example in examples:
        most -= len(example.text) + len(example.about)
        if most < 0:
            break
        taken.append(example)
    return tuple(taken)
