"""A picture while it is made: parts are added one by one, each under a name of its own."""

from __future__ import annotations

from typing import Final

from masdsl.bounds.shown import shown
from masdsl.check.program import Flow, Program
from masdsl.graph import model
from masdsl.graph.blocks import short
from masdsl.graph.model import Cluster, Edge, Place, Vertex
from masdsl.graph.names import Env, Sources, readings
from masdsl.node import Node, Span
from masdsl.types import Type

LARGEST: Final = 3_000
"""Vertices of one picture. A flow that calls flows that call flows has, unfolded, many more steps than lines."""


class TooLarge(Exception):
    """A picture would have more than `LARGEST` vertices."""


class Sketch:
    """Vertices, clusters and edges so far."""

    def __init__(self, program: Program) -> None:
        self._sources = {module.name: module.source for module in program.modules}
        self.vertices: dict[str, Vertex] = {}
        self.clusters: dict[str, Cluster] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}

    def add(self, vertex: Vertex) -> None:
        """Add a vertex. Raises TooLarge."""
        assert vertex.id not in self.vertices, f"{vertex.id} is in the picture twice"
        if len(self.vertices) >= LARGEST:
            raise TooLarge
        self.vertices[vertex.id] = vertex

    def cluster(self, address: str, kind: str, title: str, place: Place, parent: str, repeat: str = "") -> None:
        """Add a cluster. Raises TooLarge."""
        assert address not in self.clusters, f"{address} is in the picture twice"
        if len(self.clusters) >= LARGEST:
            raise TooLarge
        self.clusters[address] = Cluster(address, kind, title, parent, place, repeat=repeat)

    def free(self, name: str) -> str:
        """Return a name that no vertex and no cluster has."""
        number, free = 1, name
        while free in self.vertices or free in self.clusters:
            number += 1
            free = f"{name}_{number}"
        return free

    def edge(self, source: str, target: str, kind: str, name: str, value: Type | None, back: bool = False) -> None:
        """Add an edge, or what it brings to one that is there."""
        known = self.edges.get((source, target, kind))
        tokens = 0 if value is None else shown(value).most
        if known is None:
            known = Edge(source, target, kind, (), 0, back)
        if name and name not in known.names:
            known = known._replace(names=(*known.names, name), tokens=known.tokens + tokens)
        elif not name:
            known = known._replace(tokens=max(known.tokens, tokens))
        self.edges[source, target, kind] = known._replace(back=known.back and back)

    def reads(self, node: Node, target: str, env: Env) -> None:
        """Add the edges of all that an expression of `target` reads."""
        for label, (sources, kind) in readings(node, env):
            for source, back in sources.items():
                if source != target or back:
                    self.edge(source, target, model.DATA, label, kind, back)

    def place(self, module: str, span: Span) -> Place:
        """Return where a span of a module begins."""
        source = self._sources[module]
        position = source.position(span.start)
        return Place(source.name, position.line, position.column)

    def text(self, node: Node, flow: Flow) -> str:
        """Return what stands in the text, on one line."""
        return short(self._sources[flow.module].text[node.span.start : node.span.end])

    def join(self, sources: Sources, result: str, kind: Type) -> None:
        """Add the edges to what a flow gives."""
        for source, back in sources.items():
            ends = source in self.vertices and self.vertices[source].kind == model.LEAVE
            self.edge(source, result, model.ENDS if ends else model.DATA, "", kind, back)
