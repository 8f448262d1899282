"""Inter-consistency: all queries of a group get one system, the one with the greatest sum of scores on the group.

    MAS*_base = argmax_MAS  sum_{i in group} s_i(MAS)          (arXiv:2503.03686, section 3)

The paper leaves ties open: here the cheaper system wins, then the smaller hash of the program. So the choice does not
depend on the order of queries, systems or groups; sums are exact (`math.fsum`). Systems are compared on the queries
that all of them have a score for, and no others.

`at_random` is what that is compared with: any system for each group.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from random import Random
from typing import Any, Literal, NamedTuple

from masdsl.batch.rows import DataFault
from training.data.grouping import Group
from training.data.scores import Table


class Choice(NamedTuple):
    """The system of a group, by its number; None where none of them solved any of its queries.

    `total` is its summed score over the `counted` queries, `cost` its summed cost there; `margin` is how much of the
    total the next system lacks (None where there is no other), and `decided` what told them apart (`random`: nothing).
    """

    group: Group
    system: int | None
    total: float
    cost: float
    counted: tuple[int, ...]
    margin: float | None = None
    decided: Literal["score", "cost", "hash", "alone", "random", "none"] = "none"

    def to_json(self, systems: Sequence[str]) -> dict[str, Any]:
        """Return it as JSON data, with the name of the system."""
        name = None if self.system is None else systems[self.system]
        return {**self._asdict(), "group": self.group.name, "members": list(self.group.members), "system": name}


def select(table: Table, groups: Sequence[Group], hashes: Sequence[str]) -> tuple[Choice, ...]:
    """Return the choice of each group; `hashes` are those of the table's systems, in its order.

    Raises DataFault where hashes and systems do not agree in number.
    """
    if len(hashes) != len(table.systems):
        raise DataFault(f"the table has {len(table.systems)} systems, and {len(hashes)} hashes are given")
    return tuple(_choice(table, group, hashes) for group in groups)


def at_random(table: Table, groups: Sequence[Group], hashes: Sequence[str], *, seed: int = 0) -> tuple[Choice, ...]:
    """Return any system for each group, whatever it scored there: a draw for the seed and the group's name.

    Raises DataFault as `select` does.
    """
    found = []
    for one in select(table, groups, hashes):
        # By hash, so that the order of systems does not count.
        drawn = Random(f"{seed}/{one.group.name}").choice(sorted(hashes))
        row = table.cells[hashes.index(drawn)]
        cells = [cell for at in one.counted if (cell := row[at]) is not None]
        total, cost = fsum(cell.score for cell in cells), fsum(cell.cost for cell in cells)
        found.append(Choice(one.group, hashes.index(drawn), total, cost, one.counted, None, "random"))
    return tuple(found)


def _choice(table: Table, group: Group, hashes: Sequence[str]) -> Choice:
    counted = tuple(one for one in group.members if all(row[one] is not None for row in table.cells))
    ranked = []
    for system, row in enumerate(table.cells):
        cells = [cell for one in counted if (cell := row[one]) is not None]
        ranked.append((-fsum(cell.score for cell in cells), fsum(cell.cost for cell in cells), hashes[system], system))
    ranked.sort()
    lost, cost, _, system = ranked[0]
    if not lost:
        return Choice(group, None, 0.0, 0.0, counted)
    if len(ranked) == 1:
        return Choice(group, system, -lost, cost, counted, None, "alone")
    next_lost, next_cost, _, _ = ranked[1]
    decided: Literal["score", "cost", "hash"] = (
        "score" if lost != next_lost else "cost" if cost != next_cost else "hash"
    )
    return Choice(group, system, -lost, cost, counted, next_lost - lost, decided)
