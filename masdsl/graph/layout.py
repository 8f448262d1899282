"""Where everything in a picture stands: groups from the inside out, each one laid out as a box of the one around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from masdsl.graph.layers import Placed, Point, Size, place
from masdsl.graph.nets import Line, Nesting, Net, crossings, nets_of

SIDE: Final = 14.0
"""Pixels between the border of a group and what is in it."""
HEAD: Final = 26.0
"""Pixels of height of the title of a group."""


class Rectangle(NamedTuple):
    """Where a box or a group stands, in pixels from the upper left."""

    x: float
    y: float
    width: float
    height: float


class Drawn(NamedTuple):
    """A net as it is drawn: pieces of its way, each once; those in `ends` come to a box (its name, the last point)."""

    net: Net
    pieces: tuple[tuple[Point, ...], ...]
    ends: tuple[tuple[str, Point, Point], ...]
    label: Point | None


class Layout(NamedTuple):
    """The whole picture."""

    width: float
    height: float
    boxes: Mapping[str, Rectangle]
    drawn: tuple[Drawn, ...]


def lay_out(
    groups: Mapping[str, Sequence[str]],
    boxes: Mapping[str, tuple[float, float]],
    titles: Mapping[str, float],
    lines: Sequence[Line],
) -> Layout:
    """Return where boxes, groups and lines stand.

    `groups` are the children of each group in the order of the text, that of the empty name being the whole; `boxes`
    are widths and heights, `titles` the widths of the titles of groups. Raises NoLayout.
    """
    parents = {child: group for group, children in groups.items() for child in children}
    order = {name: number for number, name in enumerate(_in_order("", groups))}
    nesting = Nesting(parents, order)
    nets = nets_of(lines, nesting)
    seen = crossings(nets, nesting)
    sizes: dict[str, Size] = {name: Size(*size) for name, size in boxes.items()}
    placed: dict[str, Placed] = {}
    for group in _inside_out("", groups):
        children = [child for child in groups[group] if child in sizes]
        done = placed[group] = place(children, sizes, seen.get(group, ()), nets)
        width = max(done.width, titles.get(group, 0.0)) + 2 * SIDE
        shift = (width - done.width) / 2 - width / 2
        sizes[group] = Size(
            width,
            done.height + HEAD + SIDE,
            {net: x + shift for net, x in done.ports_in.items()},
            {net: x + shift for net, x in done.ports_out.items()},
        )
    found: dict[str, Rectangle] = {}
    origins: dict[str, Point] = {}
    _put("", SIDE, 0.0, groups, sizes, placed, found, origins)
    whole = sizes[""]
    within: dict[int, list[str]] = {}
    for group, ways in seen.items():
        for way in ways:
            within.setdefault(way.net, []).append(group)
    drawn = tuple(
        _drawn(number, net, within.get(number, ()), placed, origins, found) for number, net in enumerate(nets)
    )
    return Layout(whole.width + 2 * SIDE, whole.height + HEAD, found, drawn)


def _in_order(group: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    found: list[str] = []
    for child in groups[group]:
        found.append(child)
        if child in groups:
            found += _in_order(child, groups)
    return found


def _inside_out(group: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    return [*(one for child in groups[group] if child in groups for one in _inside_out(child, groups)), group]


def _put(
    group: str,
    left: float,
    top: float,
    groups: Mapping[str, Sequence[str]],
    sizes: Mapping[str, Size],
    placed: Mapping[str, Placed],
    found: dict[str, Rectangle],
    origins: dict[str, Point],
) -> None:
    """Note where everything in a group stands whose upper left is there."""
    size, done = sizes[group], placed[group]
    x, y = left + (size.width - done.width) / 2, top + HEAD
    origins[group] = x, y
    for child, (middle, above) in done.boxes.items():
        box = sizes[child]
        found[child] = Rectangle(x + middle - box.width / 2, y + above, box.width, box.height)
        if child in groups:
            _put(child, found[child].x, found[child].y, groups, sizes, placed, found, origins)


def _drawn(
    number: int,
    net: Net,
    groups: Sequence[str],
    placed: Mapping[str, Placed],
    origins: Mapping[str, Point],
    found: Mapping[str, Rectangle],
) -> Drawn:
    pieces: dict[tuple[Point, ...], None] = {}
    ends: list[tuple[str, Point, Point]] = []
    label: Point | None = None
    for group in groups:
        done, (x, y) = placed[group], origins[group]
        for end, way in done.lines.get(number, {}).items():
            points = [(x + across, y + down) for across, down in way]
            if number in done.ports_in and group in found:
                points.insert(0, (points[0][0], found[group].y))
            if not end and group in found:
                points.append((points[-1][0], found[group].y + found[group].height))
            for before, after in pairwise(points):
                if before != after:
                    pieces[before, after] = None
            if end in net.bottoms:
                ends.append((end, points[-2], points[-1]))
        if number in done.labels:
            across, down = done.labels[number]
            label = x + across, y + down
    return Drawn(net, tuple(pieces), tuple(ends), label)
