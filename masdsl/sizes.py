"""How big values are: the one rule that maps texts to tokens, and the default and greatest sizes.

Checker, bounds and runtime all use these numbers. The true count of a provider's tokenizer may differ from the rule;
the runtime corrects its accounts by the provider's own numbers after each call, while sizes of values (`text(800)`)
mean the rule, so that the same value has the same size everywhere.

What a step costs at worst follows from the same constants:

- A call is a call of a model; calls of tools count as none. An agent with `retry r` makes at most `1 + r` calls; one
  with tools and `steps s` asks its model at most `s + 1` times, each time with its retries: `(1 + r) * (s + 1)`.
- A step without `timeout` takes at most `MODEL_SECONDS` for each call of a model, `TOOL_SECONDS` for a tool.
"""

from __future__ import annotations

from typing import Final

CHARACTERS_PER_TOKEN: Final = 4
"""Characters (code points) of text that count as one token."""
DEFAULT_TEXT_TOKENS: Final = 800
"""Size of a `text` without one, where no configuration says otherwise; a bare `str` in compiled programs."""
LARGEST_TEXT_TOKENS: Final = 32_000
"""No text is longer, whatever was joined to make it."""
LARGEST_LIST: Final = 10_000
"""No list has more items."""

INT_TOKENS: Final = 8
"""A whole number of 64 bits in a reply."""
FLOAT_TOKENS: Final = 12
"""A number in a reply."""
WORD_TOKENS: Final = 4
"""true, false, null, quotes and the like."""
FIELD_TOKENS: Final = 8
"""Name, quotes, colon and comma of a field in a reply; for names above 16 characters see `field_tokens`."""
REPLY_SLACK_TOKENS: Final = 64
"""What a reply of a type other than text may hold besides the value: a code fence, a polite sentence."""

MODEL_SECONDS: Final = 120.0
"""Longest call of a model, where the agent declares no `timeout`."""
TOOL_SECONDS: Final = 60.0
"""Longest call of a tool, where it declares no `timeout`."""


def text_tokens(text: str) -> int:
    """Return the size of a text in tokens, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def clip_text(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` that is at most `tokens` long."""
    return text[: max(tokens, 0) * CHARACTERS_PER_TOKEN]


def field_tokens(name: str) -> int:
    """Return what a field called `name` adds to a reply besides its value."""
    return max(FIELD_TOKENS, text_tokens(name) + 4)
