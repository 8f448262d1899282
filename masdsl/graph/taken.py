"""Which way a run went at the decisions of a picture.

What was decided comes from outside (`masdsl.rectify.ways`). Where nobody can say it, the steps of a branch do: one that
happened was come to. What neither tells stays unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar

from masdsl.graph import model
from masdsl.graph.model import Cluster, Edge, Graph, Ran, Vertex

Decision: TypeAlias = tuple[str, str, int, int]
"""Where something is decided: the address of the frame, and the file, line and column of what is asked."""
LEFT, WENT_ON = "left the loop", "went on"
"""What an `until` may come to, beside `yes` and `no`."""
Part = TypeVar("Part", Vertex, Cluster)
_FRAMES: Final = frozenset((model.RUN, model.CALLED, model.LOOP, model.FOR, model.WITHIN))
_ELSE: Final = "else"


class Ways(NamedTuple):
    """How often each decision had which outcome: `yes` or `no`, or a word.

    `asked` are the places (file, line, column) whose outcomes would have been seen; `whole` says that the run was
    followed to its end, so that what is not in `decided` was not come to. `flows` is how often each flow was called, by
    the address of the step that calls it.
    """

    decided: Mapping[Decision, Mapping[str, int]] = {}
    asked: Collection[tuple[str, int, int]] = ()
    whole: bool = False
    flows: Mapping[str, int] = {}


NOBODY_SAYS: Final = Ways()


def taken(graph: Graph, ways: Ways) -> Graph:
    """Return the picture of a run, whose steps have what happened at them, with the ways that it went."""
    return _Taken(graph, ways).graph()


class _Taken:
    def __init__(self, graph: Graph, ways: Ways) -> None:
        self._graph = graph
        self._ways = ways
        self._clusters = {cluster.id: cluster for cluster in graph.clusters}
        self._vertices = {vertex.id: vertex for vertex in graph.vertices}
        self._ways_out: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            if edge.kind == model.DECIDES:
                self._ways_out.setdefault(edge.source, []).append(edge)
        self._reached = dict(self._steps_reached())
        self._taken: dict[tuple[str, str, tuple[str, ...]], int | None] = {}
        self._ran: dict[str, Ran] = {}

    def graph(self) -> Graph:
        self._flows()
        for vertex in self._graph.vertices:
            if vertex.state == model.DROPPED:
                continue
            if vertex.kind == model.CHOICE:
                self._choice(vertex)
            elif vertex.kind == model.UNTIL:
                self._until(vertex)
        for edge in self._graph.edges:
            if edge.kind == model.OTHERWISE and edge.target in self._reached:
                self._taken[_key(edge)] = self._reached[edge.target]
        self._branches()
        self._left_out()
        return self._graph._replace(
            vertices=tuple(self._with(vertex) for vertex in self._graph.vertices),
            clusters=tuple(self._with(cluster) for cluster in self._graph.clusters),
            edges=tuple(edge._replace(taken=self._taken.get(_key(edge))) for edge in self._graph.edges),
        )

    def _with(self, part: Part) -> Part:
        return part._replace(ran=self._ran[part.id]) if part.id in self._ran else part

    # ------------------------------------------------------------ what is known

    def _flows(self) -> None:
        """Say how often flows were called: one that only computes leaves nothing in the journal."""
        parts: tuple[Vertex | Cluster, ...] = (*self._graph.vertices, *self._graph.clusters)
        for part in parts:
            if part.kind not in (model.FLOW, model.CALLED) or part.state == model.DROPPED:
                continue
            ran, count = part.ran or Ran(), self._ways.flows.get(part.id, 0)
            is_silent = part.cost is None or not (part.cost.calls or part.cost.microseconds)
            is_known = not is_silent or self._ways.whole or count > 0
            self._ran[part.id] = ran._replace(times=max(ran.times, count), is_known=is_known)
            self._reached[part.id] = max(ran.times, count)

    def _steps_reached(self) -> Iterator[tuple[str, int]]:
        """Yield how often each step, and each group with steps in it, was come to."""
        for vertex in self._graph.vertices:
            if vertex.kind in model.STEPS and vertex.ran is not None:
                yield vertex.id, vertex.ran.times
        for cluster in self._graph.clusters:
            if cluster.ran is not None:
                yield cluster.id, cluster.ran.times

    def _found(self, vertex: Vertex) -> Mapping[str, int] | None:
        """Return the outcomes of a decision; None where nobody can say them."""
        name = vertex.cluster
        while self._clusters[name].kind not in _FRAMES:
            name = self._clusters[name].parent
        found = self._ways.decided.get((name, *vertex.place))
        if found is None and self._ways.whole and vertex.place in self._ways.asked:
            return {}
        return found

    def _choice(self, vertex: Vertex) -> None:
        edges = self._ways_out.get(vertex.id, [])
        found = self._found(vertex)
        if found is not None:
            self._ran[vertex.id] = Ran(times=sum(found.values()), ways=tuple(sorted(found.items())))
            named = {word for edge in edges for word in _words(edge)}
            for edge in edges:
                words = set(found) - named if _words(edge) == [_ELSE] else set(_words(edge))
                self._taken[_key(edge)] = sum(found.get(word, 0) for word in words)
            return
        for edge in edges:
            self._taken[_key(edge)] = self._reached.get(edge.target) or None
        known = [count for edge in edges if (count := self._taken[_key(edge)])]
        self._ran[vertex.id] = Ran(times=sum(known), is_known=False)

    def _until(self, vertex: Vertex) -> None:
        found = self._found(vertex)
        if found is None:
            self._ran[vertex.id] = Ran(is_known=False)
            return
        named = {"yes": LEFT, "no": WENT_ON}
        told = tuple((named[word], count) for word, count in sorted(found.items(), reverse=True))
        self._ran[vertex.id] = Ran(times=sum(found.values()), ways=told)

    # ------------------------------------------------------------ what follows from it

    def _branches(self) -> None:
        """Say of what a decision leads to how often it was come to, where it has no steps that say it."""
        for edges in self._ways_out.values():
            for edge in edges:
                count = self._taken.get(_key(edge))
                if edge.target in self._clusters:
                    known = self._clusters[edge.target].ran or Ran()
                    if count is not None:
                        self._ran[edge.target] = known._replace(times=max(known.times, count))
                elif self._vertices[edge.target].kind in (model.VALUE, model.LEAVE):
                    self._ran[edge.target] = Ran(is_known=False) if count is None else Ran(times=count)

    def _left_out(self) -> None:
        """Say of everything in a branch that was not taken that the run did not come there."""
        for vertex in self._graph.vertices:
            name = vertex.cluster
            while name and vertex.ran is None and vertex.id not in self._ran:
                ran = self._ran.get(name)
                if ran is not None and ran.is_known and not ran.times:
                    self._ran[vertex.id] = Ran()
                name = self._clusters[name].parent


def _words(edge: Edge) -> list[str]:
    return [word for name in edge.names for word in name.split(" | ")]


def _key(edge: Edge) -> tuple[str, str, tuple[str, ...]]:
    return edge.source, edge.target, edge.names
