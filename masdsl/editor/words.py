"""The words of the language by what they look like in an editor: one table for every highlighter.

Highlighters go by looks alone, so a word that is a name in most places counts as a keyword only where what follows
shows that it is one.
"""

from __future__ import annotations

from typing import Final

from masdsl.syntax.grammar import keywords

DECLARATION: Final = ("agent", "budget", "extern", "flow", "rectify", "test", "tool", "type", "use")
CONTROL: Final = (
    *("each", "else", "expect", "for", "given", "if", "loop", "match", "of", "return", "until", "where", "within"),
    *("add", "after", "before", "bind", "drop", "otherwise", "redo", "rename", "replace", "set", "wrap"),
)
LOGICAL: Final = ("and", "not", "or")
CONSTANT: Final = ("false", "none", "true")
PRIMITIVE: Final = ("bool", "float", "int", "text")
IN_PLACE: Final = {
    **dict.fromkeys(("max", "retry", "steps", "temp", "timeout", "tries"), "[0-9]"),
    **dict.fromkeys(("calls", "seconds", "tokens", "usd", "mas", "patch", "at"), "[0-9]"),
    **dict.fromkeys(("from", "replies", "role"), '"'),
    "as": "[A-Za-z_]",
    "in": '[A-Za-z_"(\\[]',
    "on": '[a-z_"]',
    "tools": "\\[",
}
"""Words that are keywords in front of blanks and one of these characters (a class of a regular expression)."""
ALONE: Final = ("effect", "fails")
"""Words that are keywords where neither a bracket, a dot nor a sign of a binding follows."""
TEMPLATE: Final = ("and", "elif", "else", "endfor", "endif", "for", "if", "in", "is", "not", "or")


def unclassified() -> frozenset[str]:
    """Return the words of the grammar that are in no group: none, or this table is behind the grammar."""
    known = {*DECLARATION, *CONTROL, *LOGICAL, *CONSTANT, *IN_PLACE, *ALONE}
    return keywords() ^ known
