"""How tokens stand in the text and on the parser's stack, and how names are written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from masdsl.syntax.lex import END, Tokens

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine

DECLARATIONS = frozenset({"USE", "TYPE", "TOOL", "AGENT", "EXTERN", "FLOW", "BUDGET", "RECTIFY", "TEST"})
BLOCKS = frozenset({"LOOP", "FOR", "WITHIN", "IF", "MATCH"})
STATEMENTS = BLOCKS | {"UNTIL", "RETURN", "GIVEN", "EXPECT"}


def begins_line(machine: Machine, number: int) -> bool:
    """Whether a token is the first of its line."""
    starts = machine.tokens.starts
    return number == 0 or "\n" in machine.recovery.text[starts[number - 1] : starts[number]]


def stands_out(machine: Machine, number: int) -> bool:
    """Whether a token is the first of a line that is not indented, or the end: surely not a part of a block."""
    start = machine.tokens.starts[number]
    return machine.tokens.kinds[number] == END or start == 0 or machine.recovery.text[start - 1] == "\n"


def sole(machine: Machine, at: int) -> bool:
    """Whether the last value on the stack is token `at` alone."""
    return bool(machine.starts) and at >= 0 and machine.starts[-1] == machine.tokens.starts[at]


def adjacent(tokens: Tokens, at: int) -> bool:
    """Whether there is no gap between token `at` and the next."""
    return at + 1 < len(tokens.kinds) and tokens.ends[at] == tokens.starts[at + 1]


def snake(text: str) -> str:
    """A name in the style of values: `writeDraft` is `write_draft`, `MAX_N` is `max_n`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()


def camel(text: str) -> str:
    """A name in the style of types: `my_review` is `MyReview`."""
    return "".join(part[:1].upper() + part[1:] for part in text.split("_"))
