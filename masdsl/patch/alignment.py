"""Which statements of two blocks to pair, by dynamic programming, when it is known what each pair costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Prices(NamedTuple):
    """What it costs to `drop` a statement, and to begin (`head`) an edit that inserts some."""

    drop: int
    head: int

    def region(self, dropped: int, inserted: int, weight: int) -> int:
        """Return what a region costs that drops and inserts so many statements, the new ones of this weight.

        Where it does both, the edit that inserts stands in place of one that drops.
        """
        if not inserted:
            return dropped * self.drop
        return self.head + weight + max(0, dropped - 1) * self.drop


def aligned(
    rows: int, columns: int, pairs: Mapping[tuple[int, int], int], weights: Sequence[int], prices: Prices
) -> tuple[int, list[tuple[int, int]]]:
    """Return the least cost of making new statements of old ones, and the pairs of that way, in order.

    `pairs` are those that may be chosen (row, column) with their costs, `weights` are those of the new statements.
    Chosen pairs follow each other in rows and in columns; what is between two of them is a region. Among ways that cost
    the same, one with more pairs is taken.
    """
    drop, head = prices
    before = [0]
    for weight in weights:
        before.append(before[-1] + weight)
    order = sorted(pairs)
    best: list[int] = []
    previous: list[int] = []
    for number, (row, column) in enumerate(order):
        least, chosen = prices.region(row, column, before[column]), -1
        # a region behind an earlier pair: the terms of `Prices.region` that do not depend on that pair come last
        up_to = before[column]
        for at in range(number):
            its_row, its_column = order[at]
            if its_row >= row or its_column >= column:
                continue
            dropped = row - its_row - 1
            cost = best[at] + dropped * drop
            if column - its_column > 1:
                cost += head + up_to - before[its_column + 1] - (drop if dropped else 0)
            if cost <= least:
                least, chosen = cost, at
        best.append(least + pairs[row, column])
        previous.append(chosen)
    least, at = prices.region(rows, columns, before[-1]), -1
    for number, (row, column) in enumerate(order):
        cost = best[number] + prices.region(rows - row - 1, columns - column - 1, before[-1] - before[column + 1])
        if cost <= least:
            least, at = cost, number
    chain: list[tuple[int, int]] = []
    while at >= 0:
        chain.append(order[at])
        at = previous[at]
    return least, chain[::-1]
