"""The picture as Mermaid's `flowchart`, which many Markdown viewers draw.

Every text stands between quotes, in which each character that Mermaid, Markdown or HTML could take for more than itself
is written as an entity code (`#35;`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from masdsl.graph import model
from masdsl.graph.links import link_to
from masdsl.graph.model import Cluster, Edge, Graph, Vertex
from masdsl.graph.words import clean, edge_text, lines_of, ran_text, title_of
from masdsl.trust.labels import UNTRUSTED

_SHAPES: Final[Mapping[str, tuple[str, str]]] = {
    model.AGENT: ("(", ")"),
    model.TOOL: ("[/", "/]"),
    model.LENT: ("[/", "/]"),
    model.FLOW: ("[[", "]]"),
    model.CHOICE: ("{", "}"),
    model.UNTIL: ("{{", "}}"),
    model.CARRY: ("([", "])"),
    model.INPUT: ("([", "])"),
    model.RESULT: ("([", "])"),
    model.LEAVE: ("([", "])"),
    model.VALUE: ("[", "]"),
}
_CLASSES: Final = {
    model.AGENT: "fill:#dbeafe,stroke:#2563eb,color:#111",
    model.TOOL: "fill:#dcfce7,stroke:#15803d,color:#111",
    model.LENT: "fill:#f0fdf4,stroke:#15803d,color:#111,stroke-dasharray:3 3",
    model.FLOW: "fill:#ede9fe,stroke:#6d28d9,color:#111",
    model.CHOICE: "fill:#fef3c7,stroke:#b45309,color:#111",
    model.UNTIL: "fill:#fef3c7,stroke:#b45309,color:#111",
}
_STATES: Final = {
    model.ADDED: "fill:#bbf7d0,stroke:#15803d,stroke-width:3px,color:#111",
    model.DROPPED: "fill:#fecaca,stroke:#b91c1c,stroke-width:3px,stroke-dasharray:6 4,color:#111",
    model.CHANGED: "fill:#fde68a,stroke:#b45309,stroke-width:3px,color:#111",
    model.MOVED: "fill:#fde68a,stroke:#b45309,color:#111",
}
_LEFT_OUT: Final = "fill:#e5e7eb,stroke:#9ca3af,color:#4b5563,stroke-dasharray:3 3"
_FAILED: Final = "stroke:#b91c1c,stroke-width:3px"
_PLAIN: Final = frozenset(" ,.:;!?+*/=()_-$" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") - {";"}


def render(graph: Graph, link: str = "") -> str:
    """Return a picture as a Mermaid flowchart; `link` is a template of addresses, empty for no links."""
    return "".join(f"{line}\n" for line in _lines(graph, link))


def quoted(text: str) -> str:
    """Return a text as a label in quotes, with entity codes for all that is not plain."""
    return f'"{_encoded(text)}"'


def _encoded(text: str) -> str:
    return "".join(letter if letter in _PLAIN else f"#{ord(letter)};" for letter in text)


def _lines(graph: Graph, link: str) -> Iterator[str]:
    names = {vertex.id: f"n{number}" for number, vertex in enumerate(graph.vertices)}
    names |= {cluster.id: f"c{number}" for number, cluster in enumerate(graph.clusters)}
    yield "flowchart TB"
    for line in graph.headline:
        yield f"  %% {''.join(letter for letter in clean(line, 300) if letter not in '{}%')}"
    yield from _inside("", graph, names, 1)
    vertices = {vertex.id: vertex for vertex in graph.vertices}
    styles: list[str] = []
    for number, edge in enumerate(graph.edges):
        yield f"  {_edge(edge, vertices, names)}"
        style = _edge_style(edge)
        if style:
            styles.append(f"  linkStyle {number} {style}")
    yield from styles
    yield from _classes(graph.vertices, names)
    if link:
        for vertex in graph.vertices:
            yield f"  click {names[vertex.id]} href {quoted_address(link_to(link, vertex.place))}"


def quoted_address(address: str) -> str:
    """Return an address in quotes. `link_to` has encoded what might end it."""
    return f'"{address}"'


def _inside(parent: str, graph: Graph, names: Mapping[str, str], level: int) -> Iterator[str]:
    indent = "  " * level
    for vertex in graph.vertices:
        if vertex.cluster == parent:
            opening, closing = _SHAPES[vertex.kind]
            yield f"{indent}{names[vertex.id]}{opening}{_label(vertex)}{closing}"
    for cluster in graph.clusters:
        if cluster.parent == parent:
            yield f"{indent}subgraph {names[cluster.id]}[{quoted(_title(cluster))}]"
            yield from _inside(cluster.id, graph, names, level + 1)
            yield f"{indent}end"


def _title(cluster: Cluster) -> str:
    ran = "" if cluster.ran is None else f" [{ran_text(cluster.ran)}]"
    return f"{cluster.state + ': ' if cluster.state else ''}{title_of(cluster)}{ran}"


def _label(vertex: Vertex) -> str:
    lines = list(lines_of(vertex))
    if vertex.state:
        lines[0] = f"{vertex.state}: {lines[0]}"
    lines += [f"was {clean(line)}" for line in vertex.was]
    if vertex.ran is not None:
        lines.append(ran_text(vertex.ran))
    return '"' + "<br>".join(_encoded(line) for line in lines) + '"'


def _edge(edge: Edge, vertices: Mapping[str, Vertex], names: Mapping[str, str]) -> str:
    dotted = edge.back or edge.kind in (model.LENDS, model.OTHERWISE)
    arrow = "-.->" if dotted else "==>" if edge.kind == model.DECIDES else "-->"
    text = edge_text(edge, vertices.get(edge.source), vertices.get(edge.target))
    if edge.back:
        text = f"next round: {text}" if text else "next round"
    label = f"|{quoted(text)}|" if text else ""
    return f"{names[edge.source]} {arrow}{label} {names[edge.target]}"


def _edge_style(edge: Edge) -> str:
    if edge.state == model.ADDED:
        return "stroke:#15803d,stroke-width:3px"
    if edge.state == model.DROPPED:
        return "stroke:#b91c1c,stroke-width:2px,stroke-dasharray:6 4"
    if edge.taken is not None:
        return "stroke:#b45309,stroke-width:4px" if edge.taken else "stroke:#9ca3af,stroke-dasharray:3 3"
    return "stroke:#c2410c,stroke-width:2px" if UNTRUSTED in edge.taints else ""


def _classes(vertices: Iterable[Vertex], names: Mapping[str, str]) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for vertex in vertices:
        style = _CLASSES.get(vertex.kind, "")
        if vertex.state:
            style = _STATES[vertex.state]
        elif vertex.ran is not None and vertex.ran.is_known and not vertex.ran.times:
            style = _LEFT_OUT
        elif vertex.ran is not None and vertex.ran.failed:
            style = ",".join(part for part in (style, _FAILED) if part)
        if style:
            members.setdefault(style, []).append(names[vertex.id])
    for number, (style, found) in enumerate(members.items()):
        yield f"  classDef k{number} {style}"
        yield f"  class {','.join(found)} k{number}"
