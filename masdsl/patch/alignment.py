"""Which statements of two blocks to pair, by dynamic programming, when it is known what each pair costs."""

from __future__ import annotations

from typing import Any, Final

from masdsl.patch.scripts import Region, Same, Script, Wrapped

_MATCH, _DROPS, _INSERTS, _BOTH = range(4)
_NEVER: Final = 1 << 50


def filled(
    rows: int, columns: int, pairs: dict[tuple[int, int], tuple[int, Any]], weights: list[int], drop: int, head: int
) -> tuple[int, list[list[tuple[int, int, int, int]]]]:
    """Return the least cost, and for each cell and state the state before it.

    A cell (row, column) is about the first `row` old statements and the first `column` new ones. Its states are: behind
    a pair, or in a region that has dropped, inserted, or both. In a region with both, one drop is part of the `replace`
    that inserts.
    """
    ways: list[list[tuple[int, int, int, int]]] = []
    above: list[tuple[int, int, int, int]] = []
    for row in range(rows + 1):
        line: list[tuple[int, int, int, int]] = []
        how: list[tuple[int, int, int, int]] = []
        for column in range(columns + 1):
            match = drops = inserts = both = _NEVER
            by_match = by_drop = by_insert = by_both = 0
            if not row and not column:
                match = 0
            if row:
                up = above[column]
                if up[_MATCH] <= up[_DROPS]:
                    drops, by_drop = up[_MATCH] + drop, _MATCH
                else:
                    drops, by_drop = up[_DROPS] + drop, _DROPS
                if up[_INSERTS] < up[_BOTH] + drop:
                    both, by_both = up[_INSERTS], 10 + _INSERTS
                else:
                    both, by_both = up[_BOTH] + drop, 10 + _BOTH
            if column:
                left = line[column - 1]
                weight = weights[column - 1]
                if left[_MATCH] + head <= left[_INSERTS]:
                    inserts, by_insert = left[_MATCH] + head + weight, _MATCH
                else:
                    inserts, by_insert = left[_INSERTS] + weight, _INSERTS
                replaced = left[_DROPS] + head - drop + weight
                if replaced < both:
                    both, by_both = replaced, 20 + _DROPS
                if left[_BOTH] + weight < both:
                    both, by_both = left[_BOTH] + weight, 20 + _BOTH
            if row and column:
                pair = pairs.get((row - 1, column - 1))
                if pair is not None:
                    corner = above[column - 1]
                    least = min(corner)
                    match, by_match = least + pair[0], corner.index(least)
            line.append((match, drops, inserts, both))
            how.append((by_match, by_drop, by_insert, by_both))
        ways.append(how)
        above = line
    least = min(above[columns])
    ways.append([(above[columns].index(least), 0, 0, 0)])
    return least, ways


def traced(
    rows: int,
    columns: int,
    ways: list[list[tuple[int, int, int, int]]],
    pairs: dict[tuple[int, int], tuple[int, Any]],
    old: tuple[int, int],
    new: tuple[int, int],
) -> list[Same | Wrapped | Region]:
    """Return the pieces of the way that the table holds."""
    state = ways[rows + 1][0][0]
    row, column = rows, columns
    end = (row, column)
    pieces: list[Same | Wrapped | Region] = []

    def close() -> None:
        if (row, column) != end:
            pieces.append(Region((old[0] + row, old[0] + end[0]), (new[0] + column, new[0] + end[1])))

    while row or column:
        way = ways[row][column][state]
        if state == _MATCH:
            close()
            row, column = row - 1, column - 1
            how = pairs[row, column][1]
            made = Wrapped if isinstance(how, Script) else Same
            pieces.append(made(old[0] + row, new[0] + column, how))
            end = (row, column)
            state = way
        elif state == _DROPS:
            row, state = row - 1, way
        elif state == _INSERTS:
            column, state = column - 1, way
        elif way >= 20:
            column, state = column - 1, way - 20
        else:
            row, state = row - 1, way - 10
    close()
    return pieces[::-1]
