"""How control leaves a block, and what it has cost by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from masdsl.bounds.amounts import FREE, NO_COST, NOTHING, Amounts, Least, Range, either
from masdsl.check.program import Limits


class Ways(NamedTuple):
    """The cost of each way that a block can end, None where it cannot: behind it, out of its loop, out of its flow."""

    behind: Range | None
    out: Range | None = None
    back: Range | None = None

    def then(self, next_one: Ways) -> Ways:
        """Return the ways of this and of what comes behind it."""
        if self.behind is None:
            return self
        if next_one.out is None and next_one.back is None and next_one.behind is not None:
            return Ways(self.behind.plus(next_one.behind), self.out, self.back)
        return Ways(
            None if next_one.behind is None else self.behind.plus(next_one.behind),
            either(self.out, None if next_one.out is None else self.behind.plus(next_one.out)),
            either(self.back, None if next_one.back is None else self.behind.plus(next_one.back)),
        )

    def or_else(self, other: Ways) -> Ways:
        """Return the ways of one branch or another."""
        return Ways(either(self.behind, other.behind), either(self.out, other.out), either(self.back, other.back))

    def under(self, limits: Limits) -> Ways:
        """Return the ways under a slice of the budget."""
        return Ways(*(None if way is None else way.under(limits) for way in self))

    @property
    def range(self) -> Range:
        """The cost whatever way it ends."""
        ways = [way for way in self if way is not None]
        whole = ways[0] if ways else NO_COST
        for way in ways[1:]:
            whole = whole.either(way)
        return whole


Rounds: TypeAlias = Sequence[tuple[Ways, int]]
"""The rounds of a loop in order: how each goes, and how many in a row go like that."""


def repeated(rounds: Rounds, low: int) -> Ways:
    """Return the ways of a loop that runs all rounds, or at least `low` of them, unless it is left before.

    Later rounds are as dear as earlier ones or dearer.
    """
    behind: Range | None = NO_COST if low == 0 else None
    out: Range | None = None
    back: Range | None = None
    spent = NOTHING
    least, done = FREE, 0
    for ways, count in rounds:
        last = spent if ways.behind is None else spent.plus(ways.behind.most.times(count - 1))
        out = either(out, _after(last, ways.out))
        back = either(back, _after(last, ways.back))
        if ways.behind is None:
            behind = NO_COST if low == 0 else None
            break
        spent = spent.plus(ways.behind.most.times(count))
        counted = min(count, max(low - done, 0))
        least = least.then(ways.behind.least.times(counted))
        done += count
    else:
        if rounds:
            behind = Range(least if low else FREE, spent)
        else:
            behind = NO_COST
    return Ways(either(behind, out), None, back)


def _after(spent: Amounts, way: Range | None) -> Range | None:
    """Return a way out of the loop after other rounds, which cost nothing in the cheapest case: it may be the first."""
    return None if way is None else Range(way.least, spent.plus(way.most))


def leasts(*found: Least | None) -> Least | None:
    """Return the least of what is there, None where nothing is."""
    least: Least | None = None
    for one in found:
        if one is not None:
            least = one if least is None else least.lower(one)
    return least


def totals(rounds: Rounds) -> Iterator[tuple[Ways, int]]:
    """Yield the rounds that can be reached."""
    for ways, count in rounds:
        yield ways, count
        if ways.behind is None:
            return
