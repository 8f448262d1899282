"""How big a program may be. Every limit is tested at its value and one above; exceeding one is the diagnostic MAS009.

The numbers keep every stage linear and shallow: no input whatever makes a recursive pass run out of stack, and none
takes longer than about a second to refuse.
"""

from __future__ import annotations

from typing import Final

# Text and syntax.
SOURCE_BYTES: Final = 256 * 1024
"""Bytes of one source file."""
TOKENS: Final = 65_536
"""Tokens of one source file, comments not counted."""
BLOCK_DEPTH: Final = 16
"""Braces inside braces. Python itself stops at 20 nested loops."""
BRACKET_DEPTH: Final = 32
"""Parentheses and square brackets inside one another."""
EXPRESSION_DEPTH: Final = 32
"""Levels of one expression or type, however they are written: `((a))`, `not not a`, `a.b.c`, `a + b + c`, `T[2][2]`."""
NAME_LENGTH: Final = 64
"""Characters of a name."""
STRING_BYTES: Final = 64 * 1024
"""Bytes of one decoded string."""
INTEGER_DIGITS: Final = 10
"""Digits of an integer as it counts, so `9999999999` is the largest and `10000000k` is too large."""
FRACTION_DIGITS: Final = 15
"""Digits after a decimal point: what a 64-bit float can hold."""
DIAGNOSTICS: Final = 50
"""Diagnostics in one run; the parser stops there."""

# Values.
MAX_TEXT_TOKENS: Final = 32_000
"""Tokens of a text, however it came to be."""
MAX_LIST_ITEMS: Final = 10_000
"""Items of a list, however it came to be."""

# Programs.
AGENTS: Final = 64
"""Agents of one program, imported ones included."""
RECORD_FIELDS: Final = 1_000
"""Fields of a record type, with those of the records in it."""
RECORD_DEPTH: Final = 32
"""Records inside records of a type."""
CALLS: Final = 100_000
"""Calls that one run of a flow may make at worst; above that it needs a `budget`. A typo in a nested loop is caught, a
map over the longest list is not."""
MODULES: Final = 16
"""Modules that one program may load."""
IMPORT_DEPTH: Final = 4
"""Imports inside imports."""
EXPANDED_NODES: Final = 10_000
"""Statements of all instances of all flows together, a loop's body counted each time its types are tried."""
FLOW_INSTANCES: Final = 256
"""Flows of one program, one for each set of static arguments."""
WAITS_AT_WAYS_OUT: Final = 4_000
"""How much may be open, counted at every place of a block where control may leave it: whatever is open has to be waited
for on each way out, in a line of its own. Only programs with hundreds of ways out ever begin a step later for this."""
LOOP_TIMES: Final = 1_000
"""Rounds of one `loop`, draws of one `n of`."""
STATIC_INTEGER: Final = 10_000
"""A static integer parameter of a flow."""

# Patches.
PATCH_BYTES: Final = 64 * 1024
"""Bytes of one patch."""
PATCH_EDITS: Final = 100
"""Edits of one patch."""
PATCHES: Final = 3
"""Patches applied to one run."""

# Prompts.
TEMPLATE_BYTES: Final = 20 * 1024
"""Bytes of one prompt template."""
TEMPLATE_NODES: Final = 400
"""Nodes of a prompt template's tree."""
TEMPLATE_LOOPS: Final = 2
"""`for` inside `for` in a prompt template."""
TEMPLATE_BLOCKS: Final = 8
"""`for` and `if` inside one another in a prompt template."""
RENDERED_BYTES: Final = 256 * 1024
"""Bytes of a prompt after rendering."""
