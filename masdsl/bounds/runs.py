"""Stretches of a text that is not known yet, and how they count in a row: at least, and at most.

The count of a text (`sizes.counted_thirds`) is a sum over its characters and over pairs of neighbours: the first letter
of a word and the first digit of a number cost more, depending on what stands before. So lengths are added up in thirds
of a token, less what is lost at each joint, and only the whole is rounded. What is constant comes out exactly.

- **Full** is the most. It may be larger than the text, never smaller: two texts in a row count at most as much as each
  alone, less what they lose if their ends are known.
- **Rest** is the least. Taking characters out of a text never raises its count, so a text counts at least what is left
  of it when everything that may be missing is gone: values that may be empty, branches, rounds of loops.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from masdsl.sizes import counted_thirds

WORD, NUMBER, BLANK, MARK, WIDE = 1, 2, 4, 8, 16
"""What a text may begin or end with, as bits: a letter, a digit, a blank, another sign of ASCII, one outside ASCII."""
_EXAMPLES: Final = {WORD: "a", NUMBER: "0", BLANK: " ", MARK: ".", WIDE: "é"}


class Extent(NamedTuple):
    """At least and at most so many counted tokens."""

    least: int
    most: int

    def plus(self, other: Extent) -> Extent:
        """Return both together."""
        return Extent(self.least + other.least, self.most + other.most)

    def times(self, low: int, high: int) -> Extent:
        """Return it `low` to `high` times."""
        return Extent(self.least * low, self.most * high)

    def either(self, other: Extent) -> Extent:
        """Return one or the other."""
        return Extent(min(self.least, other.least), max(self.most, other.most))


class Rest(NamedTuple):
    """What is left of a text at least, in thirds: a core without blanks at its ends, behind and in front of blanks.

    `core` counts as if it began the text, and is 0 where nothing else than blanks need be there; these are then in
    `before`. `first` and `last` say what the core may begin and end with, `gap_before` and `gap_after` what the blanks
    beside it may end with.
    """

    core: int
    first: int = 0
    last: int = 0
    before: int = 0
    gap_before: int = 0
    after: int = 0
    gap_after: int = 0

    def then(self, other: Rest) -> Rest:
        """Return one after the other."""
        before, gap = self.before + other.before, other.gap_before or self.gap_before
        if not self.core:
            return Rest(other.core, other.first, other.last, before, gap, other.after, other.gap_after)
        between, gap = self.after + other.before, other.gap_before or self.gap_after
        if not other.core:
            return Rest(self.core, self.first, self.last, self.before, self.gap_before, between, gap)
        core = self.core + between + other.core - lost(gap or self.last, other.first)[1]
        return Rest(core, self.first, other.last, self.before, self.gap_before, other.after, other.gap_after)

    def repeated(self, times: int) -> Rest:
        """Return it so many times in a row."""
        if times == 0:
            return NO_REST
        if not self.core:
            return self._replace(before=self.before * times)
        between, gap = self.after + self.before, self.gap_before or self.gap_after
        joint = between - lost(gap or self.last, self.first)[1]
        return self._replace(core=self.core * times + joint * (times - 1))

    def either(self, other: Rest) -> Rest:
        """Return what is left of one or the other."""
        if not (self.core and other.core):
            return NO_REST
        before, after = min(self.before, other.before), min(self.after, other.after)
        return Rest(
            min(self.core, other.core),
            self.first | other.first,
            self.last | other.last,
            before,
            self.gap_before | other.gap_before if before else 0,
            after,
            self.gap_after | other.gap_after if after else 0,
        )

    @property
    def whole(self) -> int:
        """What it counts with the blanks at its ends."""
        return self.before + self.core + self.after - lost(self.gap_before, self.first)[1]


NO_REST: Final = Rest(0)


class Full(NamedTuple):
    """How much a text is at most, in thirds; `first` and `last` as in `Rest`, 0 where it may be empty or is unknown."""

    size: int
    first: int = 0
    last: int = 0

    def then(self, other: Full) -> Full:
        """Return one after the other."""
        size = self.size + other.size - lost(self.last, other.first)[0]
        first = self.first or (0 if self.size else other.first)
        return Full(size, first, other.last or (0 if other.size else self.last))

    def repeated(self, low: int, high: int) -> Full:
        """Return it `low` to `high` times in a row."""
        if high == 0:
            return NO_FULL
        size = self.size * high - lost(self.last, self.first)[0] * (high - 1)
        return Full(size, self.first, self.last) if low else Full(size)

    def either(self, other: Full) -> Full:
        """Return one or the other."""
        size = max(self.size, other.size)
        first = self.first | other.first if self.first and other.first else 0
        return Full(size, first, self.last | other.last if self.last and other.last else 0)


NO_FULL: Final = Full(0)


@lru_cache(maxsize=1024)
def lost(last: int, first: int) -> tuple[int, int]:
    """Return what a text counts less behind another one than alone, at least and at most, by their ends.

    What begins with neither a letter nor a digit counts the same everywhere; so do unknown ends, which have no bits.
    """
    losses = [
        counted_thirds(end) + counted_thirds(beginning) - counted_thirds(end + beginning)
        for end in _examples(last)
        for beginning in _examples(first)
    ]
    return (min(losses), max(losses)) if losses else (0, 0)


def _examples(kinds: int) -> list[str]:
    return [example for kind, example in _EXAMPLES.items() if kinds & kind]


# ---------------------------------------------------------------- both together


class Run(NamedTuple):
    """A stretch of text: what is left of it at least, and how much it is at most."""

    rest: Rest
    full: Full

    def then(self, other: Run) -> Run:
        """Return one after the other."""
        rest = self.rest if other.rest is NO_REST else self.rest.then(other.rest)
        return Run(rest, self.full.then(other.full))

    def repeated(self, low: int, high: int) -> Run:
        """Return it `low` to `high` times in a row."""
        return Run(self.rest.repeated(low), self.full.repeated(low, high))

    def either(self, other: Run) -> Run:
        """Return one or the other."""
        return Run(self.rest.either(other.rest), self.full.either(other.full))

    def maybe(self) -> Run:
        """Return it or nothing."""
        return Run(NO_REST, Full(self.full.size))

    @property
    def tokens(self) -> Extent:
        """Counted tokens, with the blanks at its ends."""
        return Extent(-(-self.rest.whole // 3), -(-self.full.size // 3))


NO_TEXT: Final = Run(NO_REST, NO_FULL)


def unknown(most: int) -> Run:
    """Return a text of which nothing is known but that it has at most so many thirds."""
    return Run(NO_REST, Full(most))


@lru_cache(maxsize=512)
def constant(text: str) -> Run:
    """Return a given text, counted exactly."""
    if not text:
        return NO_TEXT
    full = Full(counted_thirds(text), kind_of(text[0]), kind_of(text[-1]))
    core = text.strip()
    if not core:
        return Run(Rest(0, before=full.size, gap_before=full.last), full)
    start = text.index(core)
    before, after = text[:start], text[start + len(core) :]
    rest = Rest(
        counted_thirds(core),
        kind_of(core[0]),
        kind_of(core[-1]),
        counted_thirds(before),
        kind_of(before[-1]) if before else 0,
        counted_thirds(after),
        kind_of(after[-1]) if after else 0,
    )
    return Run(rest, full)


def kind_of(character: str) -> int:
    """Return the bit for a character at the end of a text."""
    if not character.isascii():
        return WIDE
    return WORD if character.isalpha() else NUMBER if character.isdigit() else BLANK if character == " " else MARK


def any_of(words: tuple[str, ...]) -> Run:
    """Return one of some words."""
    run = constant(words[0]) if words else NO_TEXT
    for word in words[1:]:
        run = run.either(constant(word))
    return run


def between(least: str, most: str) -> Run:
    """Return a text that counts at least as much as `least` and at most as much as `most`, in which `least` is left."""
    return Run(constant(least).rest, Full(counted_thirds(most)))


def whole_number(low: int, high: int) -> Run:
    """Return the digits of a number between two that are not negative."""
    least, most = (constant("9" * len(str(number))) for number in (low, high))
    return Run(least.rest, most.full)
