"""The picture in DOT, for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from masdsl.graph import model
from masdsl.graph.links import link_to
from masdsl.graph.model import Cluster, Edge, Graph, Vertex
from masdsl.graph.words import clean, details, edge_text, lines_of, ran_text, title_of
from masdsl.trust.labels import UNTRUSTED

_SHAPES: Final[Mapping[str, str]] = {
    model.AGENT: 'shape=box style="rounded,filled" fillcolor="#dbeafe" color="#2563eb"',
    model.TOOL: 'shape=component style=filled fillcolor="#dcfce7" color="#15803d"',
    model.LENT: 'shape=component style="filled,dashed" fillcolor="#f0fdf4" color="#15803d"',
    model.FLOW: 'shape=box peripheries=2 style=filled fillcolor="#ede9fe" color="#6d28d9"',
    model.CHOICE: 'shape=hexagon style=filled fillcolor="#fef3c7" color="#b45309"',
    model.UNTIL: 'shape=octagon style=filled fillcolor="#fef3c7" color="#b45309"',
    model.CARRY: 'shape=oval style=filled fillcolor="#f3f4f6" color="#6b7280"',
    model.INPUT: 'shape=oval style=filled fillcolor="#ffffff" color="#374151"',
    model.RESULT: 'shape=oval style="filled,bold" fillcolor="#ffffff" color="#374151"',
    model.LEAVE: 'shape=oval style=filled fillcolor="#f3f4f6" color="#374151"',
    model.VALUE: 'shape=box style=filled fillcolor="#f3f4f6" color="#6b7280"',
}
_STATES: Final[Mapping[str, str]] = {
    model.ADDED: 'fillcolor="#bbf7d0" color="#15803d" penwidth=3',
    model.DROPPED: 'fillcolor="#fecaca" color="#b91c1c" penwidth=3 style="filled,dashed"',
    model.CHANGED: 'fillcolor="#fde68a" color="#b45309" penwidth=3',
    model.MOVED: 'fillcolor="#fde68a" color="#b45309"',
}


def render(graph: Graph, link: str = "") -> str:
    """Return a picture in DOT; `link` is a template of addresses, empty for no links."""
    return "".join(f"{line}\n" for line in _lines(graph, link))


def quoted(text: str) -> str:
    r"""Return a text as a quoted string: `"` and `\` escaped, line feeds as `\n`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _lines(graph: Graph, link: str) -> Iterator[str]:
    names = {vertex.id: f"n{number}" for number, vertex in enumerate(graph.vertices)}
    clusters = {cluster.id: f"cluster_{number}" for number, cluster in enumerate(graph.clusters)}
    label = "\n".join(clean(line, 300) for line in graph.headline)
    yield "digraph mas {"
    yield "  compound=true rankdir=TB newrank=true;"
    yield f'  label={quoted(label)} labelloc=t fontname="Helvetica";'
    yield '  node [fontname="Helvetica" fontsize=11 margin="0.12,0.06"];'
    yield '  edge [fontname="Helvetica" fontsize=9 color="#4b5563"];'
    yield from _inside("", graph, names, clusters, link, 1)
    inner = _inner_vertices(graph)
    vertices = {vertex.id: vertex for vertex in graph.vertices}
    for edge in graph.edges:
        yield f"  {_edge(edge, vertices, names, clusters, inner)};"
    yield "}"


def _inside(
    parent: str, graph: Graph, names: Mapping[str, str], clusters: Mapping[str, str], link: str, level: int
) -> Iterator[str]:
    indent = "  " * level
    for vertex in graph.vertices:
        if vertex.cluster == parent:
            yield f"{indent}{names[vertex.id]} [{_attributes(vertex, link)}];"
    for cluster in graph.clusters:
        if cluster.parent == parent:
            yield f"{indent}subgraph {clusters[cluster.id]} {{"
            style = 'style="rounded,dashed"' if cluster.kind == model.BRANCH else 'style="rounded"'
            yield f'{indent}  label={quoted(_title(cluster))} {style} color="#6b7280" fontsize=11;'
            yield from _inside(cluster.id, graph, names, clusters, link, level + 1)
            yield f"{indent}}}"


def _title(cluster: Cluster) -> str:
    ran = "" if cluster.ran is None else f" [{ran_text(cluster.ran)}]"
    return f"{cluster.state + ': ' if cluster.state else ''}{title_of(cluster)}{ran}"


def _attributes(vertex: Vertex, link: str) -> str:
    lines = list(lines_of(vertex))
    if vertex.state:
        lines[0] = f"{vertex.state}: {lines[0]}"
    lines += [f"was {clean(line)}" for line in vertex.was]
    if vertex.ran is not None:
        lines.append(ran_text(vertex.ran))
    parts = [f"label={quoted(chr(10).join(lines))}", _SHAPES[vertex.kind], f"tooltip={quoted(details(vertex))}"]
    if vertex.state:
        parts.append(_STATES[vertex.state])
    elif vertex.ran is not None and vertex.ran.is_known and not vertex.ran.times:
        parts.append('fillcolor="#e5e7eb" color="#9ca3af" fontcolor="#4b5563"')
    elif vertex.ran is not None and vertex.ran.failed:
        parts.append('color="#b91c1c" penwidth=3')
    if link:
        parts.append(f"URL={quoted(link_to(link, vertex.place))}")
    return " ".join(parts)


def _inner_vertices(graph: Graph) -> dict[str, str]:
    """Return, for each cluster, a vertex in it: edges of Graphviz go to vertices and are cut off at the cluster."""
    parents = {cluster.id: cluster.parent for cluster in graph.clusters}
    inner: dict[str, str] = {}
    for vertex in graph.vertices:
        name = vertex.cluster
        while name and name not in inner:
            inner[name] = vertex.id
            name = parents[name]
    return inner


def _edge(
    edge: Edge,
    vertices: Mapping[str, Vertex],
    names: Mapping[str, str],
    clusters: Mapping[str, str],
    inner: Mapping[str, str],
) -> str:
    parts = []
    text = edge_text(edge, vertices.get(edge.source), vertices.get(edge.target))
    if text:
        parts.append(f"label={quoted(text)}")
    if edge.source in clusters:
        parts.append(f"ltail={clusters[edge.source]}")
    if edge.target in clusters:
        parts.append(f"lhead={clusters[edge.target]}")
    if edge.back or edge.kind in (model.LENDS, model.OTHERWISE):
        parts.append("style=dashed")
    if edge.back:
        parts.append("constraint=false")
    if edge.state in (model.ADDED, model.DROPPED):
        parts.append(f'color="{"#15803d" if edge.state == model.ADDED else "#b91c1c"}" penwidth=2')
    elif edge.taken is not None:
        parts.append('color="#b45309" penwidth=3' if edge.taken else 'color="#9ca3af" style=dotted')
    elif UNTRUSTED in edge.taints:
        parts.append('color="#c2410c" penwidth=2')
    ends = [names[name if name in names else inner[name]] for name in (edge.source, edge.target)]
    return f"{' -> '.join(ends)} [{' '.join(parts)}]" if parts else " -> ".join(ends)
