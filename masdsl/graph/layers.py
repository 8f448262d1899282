"""One group of boxes in layers, from top to bottom (Sugiyama, Tagawa and Toda, 1981).

Which layer a box is in follows from what it needs. Lines pass the layers between their ends at points of their own, and
have their labels in layers between those of the boxes. In which order the parts of a layer stand, so that few lines
cross, is found by `fast_sugiyama`; it knows no sizes, so where exactly they stand is worked out here: as straight below
each other as their order and widths allow, layer by layer, by isotonic regression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from masdsl.graph.nets import Crossing, Net

GAP: Final = 15.0
"""Pixels between layers, twice between those of boxes."""
APART: Final = 22.0
"""Pixels between boxes of one layer."""
LABEL: Final = 14.0
"""Pixels of height of a label."""
MOST_BESIDE: Final = 20
"""Boxes of one layer."""
SWEEPS: Final = 12
STIFF: Final = 24.0
"""How much a line that passes layers wants to be straight, beside a weight of 1 of two boxes that are joined."""

Point: TypeAlias = tuple[float, float]


class Size(NamedTuple):
    """A box. `ports` are where nets come in at the top and go out at the bottom, from its middle, if it is a group."""

    width: float
    height: float
    ports_in: Mapping[int, float] = {}
    ports_out: Mapping[int, float] = {}


class Placed(NamedTuple):
    """A group: its size, the middle of the top of its boxes, the points of its lines and where their labels stand.

    Lines are by net and then by end: the name of a child, or the empty text for the port at which a net leaves. The
    ports are from its left side.
    """

    width: float
    height: float
    boxes: Mapping[str, Point]
    lines: Mapping[int, Mapping[str, tuple[Point, ...]]]
    labels: Mapping[int, Point]
    ports_in: Mapping[int, float]
    ports_out: Mapping[int, float]


class NoLayout(Exception):
    """The library that orders layers is not installed; the text says what to do."""


class _Part:
    """What stands in a layer: a box, a port, a label or a point of a line."""

    __slots__ = ("chain", "down", "height", "layer", "up", "weight", "width", "x", "y")

    def __init__(self, layer: int, width: float, height: float, weight: float, chain: int = -1) -> None:
        self.layer = layer
        self.width = width
        self.height = height
        self.weight = weight
        self.chain = chain
        self.x = 0.0
        self.y = 0.0
        self.up: list[tuple[int, float, float]] = []
        self.down: list[tuple[int, float, float]] = []


Arrange: TypeAlias = Callable[[Sequence[tuple[int, int]]], Mapping[int, float]]


def arrange(edges: Sequence[tuple[int, int]]) -> dict[int, float]:
    """Return how far right each part of a layered graph stands so that few edges cross. Raises NoLayout."""
    if not edges:
        return {}
    try:
        from fast_sugiyama import from_edges
    except ModuleNotFoundError:
        raise NoLayout(
            "pictures as SVG need `pip install 'masdsl[graph]'`; mermaid, dot and json need nothing"
        ) from None
    found: dict[int, float] = {}
    right = 0.0
    layouts = [dict(positions) for positions, *_ in from_edges(list(edges))]
    for positions in sorted(layouts, key=lambda one: min(one)):
        left = min(x for x, _ in positions.values())
        found.update((int(name), x - left + right) for name, (x, _) in positions.items())
        right = max(found.values()) + 1.0
    return found


def place(
    children: Sequence[str],
    sizes: Mapping[str, Size],
    seen: Sequence[Crossing],
    nets: Sequence[Net],
    order: Callable[[Sequence[tuple[int, int]]], Mapping[int, float]] = arrange,
) -> Placed:
    """Return a group of boxes, which are in the order of the text, without any margin around it."""
    work = _Group(children, sizes, seen, nets)
    work.order(order)
    work.straighten()
    return work.placed()


class _Group:
    def __init__(
        self, children: Sequence[str], sizes: Mapping[str, Size], seen: Sequence[Crossing], nets: Sequence[Net]
    ) -> None:
        self._sizes = sizes
        self._seen = seen
        self._nets = nets
        self._children = children
        self._parts: list[_Part] = []
        self._of: dict[str, int] = {}
        self._ways: dict[int, dict[str, list[int]]] = {}
        self._labels: dict[int, int] = {}
        self._ins: dict[int, int] = {}
        self._outs: dict[int, int] = {}
        layers = _layers(children, seen)
        self._last = 2 * max(layers.values(), default=0) + 1
        for name in children:
            size = sizes[name]
            self._of[name] = self._add(2 * layers[name], size.width, size.height, 1.0)
        self._names = {number: name for name, number in self._of.items()}
        for one in seen:
            self._draw(one)
        self._rows: list[list[int]] = []

    def _add(self, layer: int, width: float, height: float, weight: float, chain: int = -1) -> int:
        self._parts.append(_Part(layer, width, height, weight, chain))
        return len(self._parts) - 1

    def _draw(self, one: Crossing) -> None:
        """Add the points that a net passes, one in each layer, and its label below where it begins."""
        net = self._nets[one.net]
        if one.top is None:
            begin = self._ins[one.net] = self._add(-1, 8.0, 0.0, 2.0)
            offset = 0.0
        else:
            begin = self._of[one.top]
            offset = self._sizes[one.top].ports_out.get(one.net, 0.0)
        trunk = [begin]
        shown = bool(net.label) and bool(one.bottoms) and one.top is not None
        for name in sorted(one.bottoms, key=lambda bottom: self._parts[self._of[bottom]].layer):
            end = self._of[name]
            self._extend(trunk, self._parts[end].layer - 1, net, one.net, offset, shown)
            self._join(trunk[-1], end, offset if len(trunk) == 1 else 0.0, self._sizes[name].ports_in.get(one.net, 0.0))
            self._ways.setdefault(one.net, {})[name] = [*trunk, end]
        if one.leaves:
            self._extend(trunk, self._last - 1, net, one.net, offset, shown)
            port = self._outs[one.net] = self._add(self._last, 8.0, 0.0, 2.0)
            self._join(trunk[-1], port, offset if len(trunk) == 1 else 0.0, 0.0)
            self._ways.setdefault(one.net, {})[""] = [*trunk, port]

    def _extend(self, trunk: list[int], upto: int, net: Net, number: int, offset: float, shown: bool) -> None:
        while self._parts[trunk[-1]].layer < upto:
            layer = self._parts[trunk[-1]].layer + 1
            if shown and len(trunk) == 1:
                point = self._labels[number] = self._add(layer, net.label_width, LABEL, 2.0)
            else:
                point = self._add(layer, 8.0, 0.0, 4.0, number)
            self._join(trunk[-1], point, offset if len(trunk) == 1 else 0.0, 0.0)
            trunk.append(point)

    def _join(self, upper: int, lower: int, upper_offset: float, lower_offset: float) -> None:
        self._parts[upper].down.append((lower, upper_offset, lower_offset))
        self._parts[lower].up.append((upper, lower_offset, upper_offset))

    # ------------------------------------------------------------ order and places

    def order(self, arranged: Callable[[Sequence[tuple[int, int]]], Mapping[int, float]]) -> None:
        """Find the order of each layer."""
        edges = [(number, lower) for number, part in enumerate(self._parts) for lower, _, _ in part.down]
        across = arranged(edges)
        far = max(across.values(), default=0.0) + 1.0
        rows: dict[int, list[int]] = {}
        for number, part in enumerate(self._parts):
            rows.setdefault(part.layer, []).append(number)
        self._rows = [sorted(rows[layer], key=lambda one: (across.get(one, far), one)) for layer in sorted(rows)]
        for row in self._rows:
            right = 0.0
            for number in row:
                part = self._parts[number]
                part.x = right + part.width / 2
                right += part.width + self._gap(part)

    @staticmethod
    def _gap(part: _Part) -> float:
        return APART if part.height > LABEL else 8.0

    def straighten(self) -> None:
        """Move what is joined below each other, as far as the order of each layer allows."""
        for sweep in range(SWEEPS):
            rows = self._rows if sweep % 2 == 0 else self._rows[::-1]
            middles = self._middles()
            for row in rows:
                self._settle(row, sweep, middles)

    def _middles(self) -> dict[int, float]:
        """Return where each line that passes layers stands in the mean: it is to be straight."""
        found: dict[int, list[float]] = {}
        for part in self._parts:
            if part.chain >= 0:
                found.setdefault(part.chain, []).append(part.x)
        return {chain: sum(across) / len(across) for chain, across in found.items()}

    def _settle(self, row: Sequence[int], sweep: int, middles: Mapping[int, float]) -> None:
        wanted, weights, offsets = [], [], []
        right = 0.0
        for at, number in enumerate(row):
            part = self._parts[number]
            if at:
                before = self._parts[row[at - 1]]
                right += before.width / 2 + part.width / 2 + max(self._gap(before), self._gap(part))
            joined = part.up if sweep % 2 == 0 else part.down
            if sweep >= SWEEPS - 4 or not joined:
                joined = [*part.up, *part.down]
            total = sums = 0.0
            if part.chain >= 0:
                total, sums = STIFF, STIFF * middles[part.chain]
            for other, own, others in joined:
                weight = part.weight * self._parts[other].weight
                total += weight
                sums += weight * (self._parts[other].x + others - own)
            wanted.append((sums / total if total else part.x) - right)
            weights.append(total or 0.1)
            offsets.append(right)
        for number, x, offset in zip(row, isotonic(wanted, weights), offsets, strict=True):
            self._parts[number].x = x + offset

    def placed(self) -> Placed:
        """Return the group as it stands now, its left side at 0 and its top at 0."""
        parts = self._parts
        if not parts:
            return Placed(0.0, 0.0, {}, {}, {}, {}, {})
        left = min(part.x - part.width / 2 for part in parts)
        y = 0.0
        heights: list[float] = []
        for row in self._rows:
            tallest = max(parts[number].height for number in row)
            heights.append(tallest)
            for number in row:
                part = parts[number]
                part.x -= left
                part.y = y
            y += tallest + GAP
        tall = {parts[row[0]].layer: height for row, height in zip(self._rows, heights, strict=True)}
        return Placed(
            width=max(part.x + part.width / 2 for part in parts),
            height=max(y - GAP, 0.0),
            boxes={name: (parts[number].x, parts[number].y) for name, number in self._of.items()},
            lines={
                net: {end: self._points(net, way, tall) for end, way in ways.items()}
                for net, ways in self._ways.items()
            },
            labels={net: (parts[number].x, parts[number].y) for net, number in self._labels.items()},
            ports_in={net: parts[number].x for net, number in self._ins.items()},
            ports_out={net: parts[number].x for net, number in self._outs.items()},
        )

    def _points(self, net: int, way: Sequence[int], tall: Mapping[int, float]) -> tuple[Point, ...]:
        parts = self._parts
        first, last = parts[way[0]], parts[way[-1]]
        offset = self._attached(way[0], way[1], net, down=True)
        points: list[Point] = [(first.x + offset, first.y + first.height)]
        points.append((first.x + offset, first.y + tall[first.layer]))
        for number in way[1:-1]:
            part = parts[number]
            points += [(part.x, part.y), (part.x, part.y + tall[part.layer])]
        points.append((last.x + self._attached(way[-1], way[-2], net, down=False), last.y))
        return tuple(points)

    def _attached(self, number: int, other: int, net: int, *, down: bool) -> float:
        """Return where a line meets a box, from its middle: lines stand side by side, or at the port of a group."""
        name = self._names.get(number)
        if name is None:
            return 0.0
        size = self._sizes[name]
        ports = size.ports_out if down else size.ports_in
        if net in ports:
            return ports[net]
        part = self._parts[number]
        joined = sorted(
            {one for one, *_ in (part.down if down else part.up)}, key=lambda one: (self._parts[one].x, one)
        )
        if len(joined) < 2:
            return 0.0
        room = min(size.width * 0.6, 16.0 * (len(joined) - 1))
        return room * (joined.index(other) / (len(joined) - 1) - 0.5)


def _layers(children: Sequence[str], seen: Sequence[Crossing]) -> dict[str, int]:
    """Return the layer of each child: below all that it needs, and those that need nothing just above their use."""
    needs: dict[str, list[str]] = {name: [] for name in children}
    used: dict[str, list[str]] = {name: [] for name in children}
    place = {name: number for number, name in enumerate(children)}
    for one in seen:
        for bottom in one.bottoms:
            if one.top is not None and place[one.top] < place[bottom]:
                needs[bottom].append(one.top)
                used[one.top].append(bottom)
    layers: dict[str, int] = {}
    for name in children:
        layers[name] = max((layers[one] + 1 for one in needs[name]), default=0)
    for name in reversed(children):
        if used[name] and not needs[name]:
            layers[name] = min(layers[one] for one in used[name]) - 1
    return _folded(children, layers)


def _folded(children: Sequence[str], layers: Mapping[str, int]) -> dict[str, int]:
    """Return the layers from 0 on, with one that has very many boxes as several."""
    members: dict[int, list[str]] = {}
    for name in children:
        members.setdefault(layers[name], []).append(name)
    found: dict[str, int] = {}
    top = 0
    for layer in sorted(members):
        for number, name in enumerate(members[layer]):
            found[name] = top + number // MOST_BESIDE
        top += 1 + (len(members[layer]) - 1) // MOST_BESIDE
    return found


def isotonic(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the non-decreasing numbers nearest to those that are wanted, by weighted squares.

    By pooling adjacent violators (Barlow, Bartholomew, Bremner and Brunk, 1972).
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(wanted, weights, strict=True):
        mean, total, count = value, weight, 1
        while pools and pools[-1][0] > mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * total) / (heavy + total)
            total += heavy
            count += many
        pools.append((mean, total, count))
    return [mean for mean, _, count in pools for _ in range(count)]
