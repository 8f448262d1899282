"""The near name: what somebody who wrote a name that does not exist probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from masdsl.diagnostics.base import SAFE, SUGGESTED, Fix
from masdsl.node import Span

MAX_CANDIDATES = 2_000


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that is closest to `word`, or None where none is close enough to be meant.

    Close is one edit for up to three letters, two up to seven and a third of the length beyond; an edit adds, drops or
    changes a letter, or swaps two neighbours. Letter case and underscores count for nothing (`RunTests` is
    `run_tests`). Among equals the first one in the order given wins, so the result never depends on hashing.
    """
    folded = _fold(word)
    best: str | None = None
    limit = _tolerance(len(folded))
    for number, candidate in enumerate(candidates):
        if number >= MAX_CANDIDATES:
            break
        if candidate == word:
            continue
        other = _fold(candidate)
        if abs(len(other) - len(folded)) > limit:
            continue
        distance = _distance(folded, other, limit)
        if distance <= limit and distance < max(len(folded), len(other)):
            best, limit = candidate, distance - 1
            if limit < 0:
                break
    return best


def same_word(word: str, other: str) -> bool:
    """Return whether two names differ in letter case and underscores alone: then the one is surely meant by the
    other.
    """
    return _fold(word) == _fold(other)


def near_fix(word: str, near: str | None, span: Span, *, written: str | None = None) -> Fix | None:
    """Return the change that writes `near` in place of `word` at `span`; None where nothing is near.

    It is safe where the two differ in letter case and underscores alone, else a guess. `written` is how `near` is
    written there, where that is not the name itself.
    """
    if not near:
        return None
    sure = SAFE if same_word(word, near) else SUGGESTED
    return Fix(f"write `{near}`", ((span, near if written is None else written),), sure)


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str) -> str:
    """Return a help text: "did you mean `x`?" where a candidate is near, else `otherwise`."""
    found = nearest(word, candidates)
    return f"did you mean `{found}`?" if found is not None else otherwise


def _fold(word: str) -> str:
    return word.replace("_", "").replace("-", "").casefold()


def _tolerance(length: int) -> int:
    if length <= 3:
        return 1
    return 2 if length <= 7 else length // 3


def _distance(a: str, b: str, limit: int) -> int:
    """Return the optimal-string-alignment distance, or a number above `limit` as soon as it must exceed that."""
    before_last: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = 0 if letter == other else 1
            value = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
            if cost and i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                value = min(value, before_last[j - 2] + 1)
            row.append(value)
        if min(row) > limit:
            return limit + 1
        before_last, last = last, row
    return last[-1]
