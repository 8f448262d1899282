"""Edges of nested boxes as nets: what goes from one box to several is one line that branches.

An edge from a box inside one group to a box inside another one crosses their borders at ports. So every group sees only
its own children, its ports, and lines between these; what is inside of a child is that child's own business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """An edge to be drawn: `kind` says how (lines of one kind from one box may be one), `label` what stands at it."""

    source: str
    target: str
    kind: str
    label: str
    label_width: float


class Net(NamedTuple):
    """Lines that begin at one box. With `is_up` the arrows point to where it begins: it goes up in the picture."""

    top: str
    bottoms: tuple[str, ...]
    kind: str
    label: str
    label_width: float
    is_up: bool


class Crossing(NamedTuple):
    """What a group sees of a net: it begins at the child `top`, or at a port where that is None, and ends at the
    children `bottoms`, and, with `leaves`, at a port.
    """

    net: int
    top: str | None
    bottoms: tuple[str, ...]
    leaves: bool


class Nesting(NamedTuple):
    """Which group each box and group is in, and the place of each in the order of the text."""

    parents: Mapping[str, str]
    order: Mapping[str, int]

    def around(self, name: str) -> Iterator[str]:
        """Yield the groups around a box, the innermost first."""
        while name in self.parents:
            name = self.parents[name]
            yield name

    def child(self, group: str, name: str) -> str | None:
        """Return the child of a group that a box is, or is in; None where it is outside."""
        while name in self.parents:
            if self.parents[name] == group:
                return name
            name = self.parents[name]
        return None


def nets_of(lines: Sequence[Line], nesting: Nesting) -> tuple[Net, ...]:
    """Return lines as nets. One that goes back in the order of the text goes up; one from a box to itself is none."""
    found: dict[tuple[str, str, str, bool], list[str]] = {}
    widths: dict[str, float] = {}
    for line in lines:
        pair = _apart(line, nesting)
        if pair is None:
            continue
        is_up = nesting.order[pair[0]] > nesting.order[pair[1]]
        top, bottom = (line.target, line.source) if is_up else (line.source, line.target)
        bottoms = found.setdefault((top, line.kind, line.label, is_up), [])
        if bottom not in bottoms:
            bottoms.append(bottom)
        widths[line.label] = line.label_width
    return tuple(
        Net(top, tuple(bottoms), kind, label, widths[label], is_up)
        for (top, kind, label, is_up), bottoms in found.items()
    )


def _apart(line: Line, nesting: Nesting) -> tuple[str, str] | None:
    """Return the two children that the ends are in, of the innermost group around both; None where these are one."""
    for group in nesting.around(line.source):
        target = nesting.child(group, line.target)
        if target is not None:
            source = nesting.child(group, line.source)
            assert source is not None
            return None if source == target else (source, target)
    return None


def crossings(nets: Sequence[Net], nesting: Nesting) -> dict[str, list[Crossing]]:
    """Return what each group sees of nets."""
    found: dict[str, list[Crossing]] = {}
    for number, net in enumerate(nets):
        groups = dict.fromkeys(group for end in (net.top, *net.bottoms) for group in nesting.around(end))
        for group in groups:
            top = nesting.child(group, net.top)
            inside = [nesting.child(group, one) for one in net.bottoms]
            bottoms = tuple(dict.fromkeys(one for one in inside if one is not None and one != top))
            leaves = top is not None and None in inside
            if bottoms or leaves:
                found.setdefault(group, []).append(Crossing(number, top, bottoms, leaves))
    return found
