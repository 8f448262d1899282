"""What is counted: calls, tokens and money, as exact integers that cannot overflow."""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.program import Limits
from masdsl.money import limit_of


class Amounts(NamedTuple):
    """Calls of models, counted tokens of prompts, of replies and of both together, and picodollars.

    `tokens` is kept beside its two parts, because of two branches one may have the longer prompts and the other the
    longer replies.
    """

    calls: int
    tokens_in: int
    tokens_out: int
    tokens: int
    usd: int

    def plus(self, other: Amounts) -> Amounts:
        """Return both together."""
        return Amounts(
            self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3], self[4] + other[4]
        )

    def times(self, count: int) -> Amounts:
        """Return it `count` times."""
        if count == 1:
            return self
        return Amounts(self[0] * count, self[1] * count, self[2] * count, self[3] * count, self[4] * count)

    def upper(self, other: Amounts) -> Amounts:
        """Return the greater of the two, in each measure."""
        return self if self is other else Amounts(*map(max, self, other))

    def lower(self, other: Amounts) -> Amounts:
        """Return the smaller of the two, in each measure."""
        return self if self is other else Amounts(*map(min, self, other))

    def under(self, limits: Limits | None) -> Amounts:
        """Return it under a budget, which cuts the worst case off."""
        if limits is None:
            return self
        calls, tokens_in, tokens_out, tokens, usd = self
        if limits.calls is not None:
            calls = min(calls, limits.calls)
        if limits.tokens is not None:
            tokens_in, tokens_out = min(tokens_in, limits.tokens), min(tokens_out, limits.tokens)
            tokens = min(tokens, limits.tokens)
        if limits.usd is not None:
            usd = min(usd, limit_of(limits.usd))
        return Amounts(calls, tokens_in, tokens_out, tokens, usd)


NOTHING = Amounts(0, 0, 0, 0, 0)
UNLIMITED = Amounts(*[1 << 62] * 5)
"""More than any budget allows."""


class Least(NamedTuple):
    """What a run spends at least, and the least budget with which no call of it is refused.

    They differ where a call may turn out cheaper than what has to be reserved for it: `required` is what the greatest
    reservation, or everything that is surely spent, needs. (That is less than what is really needed where a reservation
    comes last; a budget below it certainly cannot hold.)
    """

    spent: Amounts
    required: Amounts

    def then(self, other: Least) -> Least:
        """Return one and the other, in whatever order."""
        spent = self.spent.plus(other.spent)
        return Least(spent, spent.upper(self.required).upper(other.required))

    def times(self, count: int) -> Least:
        """Return it `count` times."""
        if count == 0:
            return FREE
        spent = self.spent.times(count)
        return Least(spent, spent.upper(self.required))

    def lower(self, other: Least) -> Least:
        """Return what either of the two needs at least."""
        return Least(self.spent.lower(other.spent), self.required.lower(other.required))


FREE = Least(NOTHING, NOTHING)


class Range(NamedTuple):
    """What something costs at least and at most."""

    least: Least
    most: Amounts

    def plus(self, other: Range) -> Range:
        """Return one after the other."""
        return Range(self.least.then(other.least), self.most.plus(other.most))

    def times(self, low: int, high: int) -> Range:
        """Return it repeated `low` to `high` times."""
        return Range(self.least.times(low), self.most.times(high))

    def either(self, other: Range) -> Range:
        """Return one or the other."""
        return Range(self.least.lower(other.least), self.most.upper(other.most))

    def under(self, limits: Limits | None) -> Range:
        """Return it under a budget, which cuts the worst case off."""
        return self if limits is None else Range(self.least, self.most.under(limits))


NO_COST = Range(FREE, NOTHING)


def either(one: Range | None, other: Range | None) -> Range | None:
    """Return what either costs; None is a way that cannot be taken."""
    if one is None or other is None:
        return one or other
    return one.either(other)
