"""How large what a decoder writes may become: bounds that make every piece of a program end, and the whole too.

A small model does not stop by itself. With these, each piece has a longest text, so that a program can always be closed
before a limit of tokens.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Profile(NamedTuple):
    """The most of each thing in a program that a decoder writes. Lengths are in characters."""

    whole_language: bool = False
    """Whether every line of the language may be written, with the names that are visible, or only what types allow. The
    first is for models that know the language: what types refuse is found by the checker, a piece later."""
    types: int = 2
    agents: int = 5
    statements: int = 8
    """Statements of a flow, nested ones included."""
    depth: int = 2
    """Blocks inside each other."""
    params: int = 3
    fields: int = 4
    words: int = 4
    rounds: int = 4
    """Rounds of a loop, and samples."""
    name: int = 20
    text: int = 80
    """A text among values."""
    prompt: int = 240
    items: int = 3
    """Items of a list that is spelt out."""
    edits: int = 4
    """Edits of a patch."""


SIZES: Final = (20, 60, 120, 300, 600, 1000)
"""Caps of texts, in tokens."""
CAPS: Final = (3, 5, 8)
"""Caps of lists, in items."""


USUAL: Final = Profile()
"""The profile where nobody says another."""
WHOLE: Final = Profile(True, types=8, agents=16, statements=60, depth=6, name=40, text=400, prompt=2_000)
"""The profile of models that know the language."""
TRAINED: Final = Profile(True, agents=6, statements=12, name=24, text=120, prompt=300)
"""The profile of small models that were trained to write short programs (`masdsl.meta.trained`)."""
