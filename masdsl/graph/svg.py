"""The picture as SVG: text that can be read aloud and searched, light and dark, no script and nothing from elsewhere.

Every vertex is a link to its line and has all that is known of it as its title. What colours say, words or shapes say
as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from masdsl.diagnostics.escape import width
from masdsl.graph import model
from masdsl.graph.layout import SIDE, Drawn, Layout, Rectangle, lay_out
from masdsl.graph.links import link_to
from masdsl.graph.model import Cluster, Edge, Graph, Vertex
from masdsl.graph.nets import Line
from masdsl.graph.palette import STYLE
from masdsl.graph.words import clean, cost_text, details, edge_text, lines_of, ran_text, sentences, title_of
from masdsl.trust.labels import SECRET, UNTRUSTED

_NAME, _SMALL, _LABEL = 7.9, 6.1, 5.7
"""Pixels of width of a letter of a name, of a further line, and of a label: a little more than the fonts have."""
_ROW: Final = 15.0
_PADDING: Final = 11.0
_LOOP: Final = 30.0
_MARKS: Final = {model.ADDED: "+ ", model.DROPPED: "− ", model.CHANGED: "~ ", model.MOVED: "~ "}
_RAN: Final = "in this run "
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEGEND: Final = (
    (model.AGENT, "an agent's step"),
    (model.TOOL, "a tool's step"),
    (model.FLOW, "a flow, folded"),
    (model.LENT, "a tool that an agent may use"),
    (model.CHOICE, "a decision"),
    (model.CARRY, "a name that a loop hands on"),
)


def render(graph: Graph, link: str = "", *, prefix: str = "mas") -> str:
    """Return a picture as an SVG document; `link` is a template of addresses, empty for no links.

    `prefix` begins the names of its parts, so that several pictures can stand on one page. Raises NoLayout.
    """
    return "\n".join((*_lines(graph, link, prefix), ""))


def xml(text: str) -> str:
    """Return a text as it stands in XML, in attributes too; what XML cannot hold becomes a replacement character."""
    text = _NOT_XML.sub("\ufffd", text)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(sign, entity)
    return text


def _lines(graph: Graph, link: str, prefix: str) -> Iterator[str]:
    texts = {vertex.id: _texts(vertex) for vertex in graph.vertices}
    layout = _laid_out(graph, texts)
    head = [*graph.headline]
    top = 18.0 * len(head) + (8.0 if head else 0.0)
    legend = [(kind, said) for kind, said in _LEGEND if any(one.kind == kind for one in graph.vertices)]
    longest = max((width(clean(line, 200)) * _SMALL for line in head), default=0.0)
    wide = max(layout.width, longest + 2 * SIDE, 320.0)
    rows = _legend_rows(legend, graph, wide)
    high = top + layout.height + 18.0 * len(rows) + 10.0
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mas-graph" viewBox="0 0 {_n(wide)} {_n(high)}" '
        f'width="{_n(wide)}" height="{_n(high)}" role="group" aria-labelledby="{prefix}-title {prefix}-desc">'
    )
    yield f'<title id="{prefix}-title">{xml(clean(graph.title, 200))}</title>'
    yield f'<desc id="{prefix}-desc">{xml(sentences(graph))}</desc>'
    yield f"<style>{STYLE}</style>"
    yield f'<defs><marker id="{prefix}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
    yield ' markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path class="tip" d="M0 0L8 4L0 8z"/></marker>'
    yield "</defs>"
    yield f'<rect class="paper" width="{_n(wide)}" height="{_n(high)}"/>'
    for number, line in enumerate(head):
        yield f'<text class="head" x="{_n(SIDE)}" y="{_n(18.0 * (number + 1))}">{xml(clean(line, 200))}</text>'
    yield f'<g transform="translate({_n((wide - layout.width) / 2)} {_n(top)})">'
    for cluster in graph.clusters:
        yield from _cluster(cluster, layout.boxes[cluster.id])
    vertices = {vertex.id: vertex for vertex in graph.vertices}
    for drawn in layout.drawn:
        yield from _net(drawn, graph, vertices, prefix)
    for edge in graph.edges:
        if edge.source == edge.target and edge.source in layout.boxes:
            yield from _self_loop(edge, layout.boxes[edge.source], prefix)
    for cluster in graph.clusters:
        box = layout.boxes[cluster.id]
        yield f'<text class="over" x="{_n(box.x + 9)}" y="{_n(box.y + 16)}">{xml(_cluster_title(cluster))}</text>'
    loops = {edge.source for edge in graph.edges if edge.source == edge.target}
    for vertex in graph.vertices:
        yield from _vertex(vertex, texts[vertex.id], layout.boxes[vertex.id], link, vertex.id in loops)
    yield "</g>"
    for number, row in enumerate(rows):
        yield f'<g transform="translate({_n(SIDE)} {_n(top + layout.height + 4 + 18.0 * number)})">{row}</g>'
    yield "</svg>"


# ---------------------------------------------------------------- sizes


def _texts(vertex: Vertex) -> tuple[str, ...]:
    lines = list(lines_of(vertex))
    lines[0] = _MARKS.get(vertex.state, "") + lines[0]
    lines += [f"was {clean(line)}" for line in vertex.was]
    if vertex.ran is not None:
        lines.append(f"{_RAN}{ran_text(vertex.ran)}")
    return tuple(lines)


def _size(vertex: Vertex, lines: Sequence[str], loops: bool) -> tuple[float, float]:
    wide = max(width(lines[0]) * _NAME, *(width(line) * _SMALL for line in lines[1:]), 30.0)
    slant = 20.0 if vertex.kind in (model.CHOICE, model.UNTIL) else 8.0 if len(lines) == 1 else 0.0
    return wide + 2 * _PADDING + slant + (2 * _LOOP if loops else 0.0), _ROW * len(lines) + 12.0


def _laid_out(graph: Graph, texts: Mapping[str, Sequence[str]]) -> Layout:
    loops = {edge.source for edge in graph.edges if edge.source == edge.target}
    boxes = {vertex.id: _size(vertex, texts[vertex.id], vertex.id in loops) for vertex in graph.vertices}
    groups = _groups(graph)
    titles = {cluster.id: width(_cluster_title(cluster)) * 6.4 for cluster in graph.clusters}
    vertices = {vertex.id: vertex for vertex in graph.vertices}
    lines = []
    for edge in graph.edges:
        text = _edge_label(edge, vertices)
        lines.append(Line(edge.source, edge.target, _style(edge), text, width(text) * _LABEL + 6.0))
    return lay_out(groups, boxes, titles, lines)


def _groups(graph: Graph) -> dict[str, list[str]]:
    """Return the children of each cluster in the order of the text: a cluster stands where its first vertex does."""
    parents = {cluster.id: cluster.parent for cluster in graph.clusters}
    groups: dict[str, list[str]] = {"": [], **{cluster.id: [] for cluster in graph.clusters}}
    placed: set[str] = set()

    def put(name: str, parent: str) -> None:
        if parent and parent not in placed:
            placed.add(parent)
            put(parent, parents[parent])
        groups[parent].append(name)

    for vertex in graph.vertices:
        put(vertex.id, vertex.cluster)
    for cluster in graph.clusters:
        if cluster.id not in placed:
            placed.add(cluster.id)
            put(cluster.id, cluster.parent)
    return groups


def _edge_label(edge: Edge, vertices: Mapping[str, Vertex]) -> str:
    return edge_text(edge, vertices.get(edge.source), vertices.get(edge.target))


def _style(edge: Edge) -> str:
    """Return the classes of an edge."""
    classes = [edge.kind]
    if edge.back:
        classes.append("back")
    if UNTRUSTED in edge.taints:
        classes.append(UNTRUSTED)
    if any(taint.startswith(SECRET) for taint in edge.taints):
        classes.append("secret")
    if edge.state:
        classes.append(edge.state)
    if edge.taken is not None:
        classes.append("taken" if edge.taken else "not-taken")
    return " ".join(classes)


# ---------------------------------------------------------------- parts


def _cluster_title(cluster: Cluster) -> str:
    ran = "" if cluster.ran is None else f" · in this run {ran_text(cluster.ran)}"
    was = "".join(f" (was {clean(line)})" for line in cluster.was)
    return f"{_MARKS.get(cluster.state, '')}{title_of(cluster)}{was}{ran}"


def _cluster(cluster: Cluster, box: Rectangle) -> Iterator[str]:
    classes = " ".join(
        part for part in ("group", cluster.kind.replace(" ", "-"), cluster.state, _reached(cluster)) if part
    )
    title = xml(f"{cluster.id}\n{_cluster_title(cluster)}\n{cluster.place.file}:{cluster.place.line}")
    yield f'<g class="{classes}"><title>{title}</title>{_rect(box, 8.0)}</g>'


def _reached(part: Cluster | Vertex) -> str:
    return "left-out" if part.ran is not None and part.ran.is_known and not part.ran.times else ""


def _vertex(vertex: Vertex, lines: Sequence[str], box: Rectangle, link: str, loops: bool) -> Iterator[str]:
    if loops:
        box = box._replace(x=box.x + _LOOP, width=box.width - 2 * _LOOP)
    classes = ["node", vertex.kind.replace(" ", "-"), vertex.state, _reached(vertex)]
    if vertex.ran is not None and vertex.ran.failed:
        classes.append("failed")
    if vertex.trust is not None and vertex.trust.refused:
        classes.append("refused")
    opened = f'<a href="{xml(link_to(link, vertex.place))}">' if link else ""
    yield f'{opened}<g class="{" ".join(part for part in classes if part)}"><title>{xml(details(vertex))}</title>'
    if vertex.repeat:
        yield _rect(box._replace(x=box.x + 4, y=box.y + 4), 9.0, "behind")
    yield _shape(vertex, box)
    middle = box.x + box.width / 2
    for number, line in enumerate(lines):
        y = box.y + 6.0 + _ROW * (number + 1) - 4.0
        kind = "name" if number == 0 else _line_class(line)
        yield f'<text class="{kind}" x="{_n(middle)}" y="{_n(y)}">{xml(line)}</text>'
    yield f"</g>{'</a>' if link else ''}"


def _line_class(line: str) -> str:
    if line.startswith(_RAN):
        return "small ran"
    if line.startswith(("gives untrusted", "REFUSED")) or " REFUSED" in line:
        return "small warn"
    return "small soft" if line.startswith("at most") else "small"


def _shape(vertex: Vertex, box: Rectangle) -> str:
    x, y, wide, high = box
    if vertex.kind in (model.CHOICE, model.UNTIL):
        cut = 10.0
        corners = [(x + cut, y), (x + wide - cut, y), (x + wide, y + high / 2), (x + wide - cut, y + high)]
        corners += [(x + cut, y + high), (x, y + high / 2)]
        return f'<polygon points="{" ".join(f"{_n(across)},{_n(down)}" for across, down in corners)}"/>'
    if vertex.kind == model.FLOW:
        inner = Rectangle(x + 3, y + 3, wide - 6, high - 6)
        return _rect(box, 4.0) + _rect(inner, 2.0, "inner")
    if vertex.kind in (model.TOOL, model.LENT):
        bar = f'<path class="bar" d="M{_n(x + 5)} {_n(y)}v{_n(high)}"/>'
        return _rect(box, 2.0) + bar
    if vertex.kind in (model.INPUT, model.RESULT, model.CARRY, model.LEAVE):
        return _rect(box, min(high / 2, 16.0))
    return _rect(box, 9.0 if vertex.kind == model.AGENT else 2.0)


def _rect(box: Rectangle, round_by: float, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    place = f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"'
    return f'<rect{named} {place} rx="{_n(round_by)}"/>'


def _net(drawn: Drawn, graph: Graph, vertices: Mapping[str, Vertex], prefix: str) -> Iterator[str]:
    net = drawn.net
    arrow = f"url(#{prefix}-arrow)"
    starts = {piece[0] for piece in drawn.pieces} - {piece[1] for piece in drawn.pieces}
    heads = {end[1:] for end in drawn.ends}
    yield f'<g class="line {net.kind}"><title>{xml(_told(drawn, vertices))}</title>'
    plain = [piece for piece in drawn.pieces if piece not in heads and not (net.is_up and piece[0] in starts)]
    if plain:
        yield f'<path d="{"".join(_curve(*piece) for piece in plain)}"/>'
    for piece in drawn.pieces:
        if net.is_up and piece[0] in starts:
            yield f'<path d="{_curve(*piece)}" marker-start="{arrow}"/>'
        elif piece in heads:
            yield f'<path d="{_curve(*piece)}"' + ("/>" if net.is_up else f' marker-end="{arrow}"/>')
    if drawn.label is not None and net.label:
        x, y = drawn.label
        yield f'<text class="label" x="{_n(x)}" y="{_n(y + 10.5)}">{xml(net.label)}</text>'
    yield "</g>"


def _told(drawn: Drawn, vertices: Mapping[str, Vertex]) -> str:
    names = [vertices[name].name if name in vertices else name for name in drawn.net.bottoms]
    top = vertices[drawn.net.top].name if drawn.net.top in vertices else drawn.net.top
    said = f" ({drawn.net.label})" if drawn.net.label else ""
    if drawn.net.is_up:
        return f"{', '.join(names)} to {top}{said}, in the next round"
    return f"{top} to {', '.join(names)}{said}"


def _curve(begin: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (across, down) = begin, end
    if abs(x - across) < 0.05:
        return f"M{_n(x)} {_n(y)}V{_n(down)}"
    half = (y + down) / 2
    return f"M{_n(x)} {_n(y)}C{_n(x)} {_n(half)} {_n(across)} {_n(half)} {_n(across)} {_n(down)}"


def _self_loop(edge: Edge, box: Rectangle, prefix: str) -> Iterator[str]:
    right, y = box.x + box.width - _LOOP, box.y + box.height / 2
    path = f"M{_n(right)} {_n(y + 8)}c{_n(_LOOP)} 12 {_n(_LOOP)} -28 0 -16"
    said = xml(f"{', '.join(edge.names)}: its own, in the next round")
    drawn = f'<path d="{path}" marker-end="url(#{prefix}-arrow)"/>'
    yield f'<g class="line {_style(edge)}"><title>{said}</title>{drawn}</g>'


def _legend_rows(legend: Sequence[tuple[str, str]], graph: Graph, wide: float) -> list[str]:
    """Return the rows of the legend: what the shapes and lines that are there mean."""
    entries: list[tuple[str, str]] = [
        (f'<g class="node {kind.replace(" ", "-")}"><rect x="0" y="1" width="14" height="11" rx="3"/></g>', said)
        for kind, said in legend
    ]
    for there, classes, said in (
        (any(edge.back for edge in graph.edges), "back", "to the next round"),
        (any(UNTRUSTED in edge.taints for edge in graph.edges), UNTRUSTED, "untrusted text"),
        (any("secret" in _style(edge).split() for edge in graph.edges), "secret", "a secret"),
        (any(edge.kind == model.OTHERWISE for edge in graph.edges), "else", "if it fails"),
        (any(edge.taken for edge in graph.edges), "decides taken", "the run went this way"),
        (any(edge.taken == 0 for edge in graph.edges), "decides not-taken", "it did not go this way"),
        (graph.has_unknown_ways, "decides", "nobody can say whether it went this way"),
    ):
        if there:
            entries.append((f'<g class="line {classes}"><path d="M0 7H14"/></g>', said))
    states = {*(vertex.state for vertex in graph.vertices), *(cluster.state for cluster in graph.clusters)}
    for state, said in ((model.ADDED, "added"), (model.DROPPED, "dropped"), (model.CHANGED, "changed")):
        if state in states:
            sign = f'<g class="node {state}"><rect x="0" y="1" width="14" height="11" rx="3"/></g>'
            entries.append((sign, f"{_MARKS[state].strip()} {said} by a patch"))
        elif any(edge.state == state for edge in graph.edges):
            entries.append((f'<g class="line {state}"><path d="M0 7H14"/></g>', f"{said} by a patch"))
    if any(edge.tokens for edge in graph.edges):
        entries.append(("", "≤ n t: at most n tokens"))
    if graph.cost is not None:
        entries.append(("", f"the whole run: {cost_text(graph.cost)}"))
    rows: list[str] = []
    x, row = 0.0, ""
    for sign, said in entries:
        long = width(said) * _LABEL + (38.0 if sign else 20.0)
        if x and x + long > wide - 2 * SIDE:
            rows.append(row)
            x, row = 0.0, ""
        text = f'<text class="legend" x="{18 if sign else 0}" y="10.5">{xml(said)}</text>'
        row += f'<g transform="translate({_n(x)} 0)">{sign}{text}</g>'
        x += long
    return [*rows, row] if row else rows


def _n(number: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
