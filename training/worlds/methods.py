"""Words of method: what a prompt says of how tasks of a family are gone about. SIMULATED, as all of this world.

In a world that has them (`--method`, `--misfit`; both are 0 by default, and then nothing here counts) a simulated
model's skill grows by `method` log odds where a prompt has a method of the task's own family, and shrinks by `misfit`
where it has one of another family; each once, however many there are. They work on a first thought, a program and an
expression, as the other parts of its strength do (rule 2 of `training.worlds.simulator`): not on judging, not on
evidence that is believed. So prompts matter in a way that can be learned from scores, which is all that they are for:
no real model has such words, or such sizes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "sums": ("Name the unit of each amount.", "Do one operation at a time."),
    "choice": ("Rule out the options one by one.", "Compare each option with the question."),
    "facts": ("Quote the sentence that says it.", "Name the document it stands in."),
    "puzzles": ("Draw the order as a line.", "Begin with the two ends."),
}
"""The methods of each family, as a prompt says them. None has a word that `training.worlds.reading` looks for."""
NO_METHOD: Final = ("Answer in good English.", "Do this well.")
"""Sentences that a prompt may have as well, and that change nothing."""
_BLANKS: Final = re.compile(r"\s+")


@lru_cache(maxsize=4096)
def methods_in(text: str) -> frozenset[str]:
    """Return the families of which a text has a method, whatever its case and blanks."""
    plain = _BLANKS.sub(" ", text).casefold()
    return frozenset(
        family for family, says in METHODS.items() if any(one.rstrip(".").casefold() in plain for one in says)
    )


def by_method(text: str, family: str, method: float, misfit: float) -> float:
    """Return what the methods in a prompt add to the skill for a task of a family, in log odds."""
    found = methods_in(text)
    return method * (family in found) - misfit * bool(found - {family})
