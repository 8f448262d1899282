"""Two pictures as one: what a change of a program adds, drops, changes and moves.

A part is the same in both where it has the same address. One that was renamed, or put somewhere else as it was, is
found again by what it says, where that is said once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from masdsl.graph import model
from masdsl.graph.model import Cluster, Edge, Graph, Vertex
from masdsl.graph.words import lines_of

Part = TypeVar("Part", Vertex, Cluster)


def difference(
    before: Graph, after: Graph, renames: Mapping[str, str] | None = None, headline: Sequence[str] = ()
) -> Graph:
    """Return the later picture with what is different from the earlier one; what was dropped stands where it stood.

    `renames` says which addresses are others by now, and which.
    """
    renamed = _renamed([part.id for part in before.vertices] + [part.id for part in before.clusters], renames or {})
    now = {vertex.id for vertex in after.vertices} | {cluster.id for cluster in after.clusters}
    moved = _moved(before.vertices, after.vertices, renamed, now, _vertex_says)
    moved |= _moved(before.clusters, after.clusters, renamed, now, _cluster_says)
    names = {old: moved.get(old, new) for old, new in renamed.items()}
    earlier = {names[vertex.id]: vertex for vertex in before.vertices}
    vertices = [_compared(vertex, earlier.get(vertex.id), names) for vertex in after.vertices]
    groups = {names[cluster.id]: cluster for cluster in before.clusters}
    clusters = [_compared_cluster(cluster, groups.get(cluster.id)) for cluster in after.clusters]
    gone = [
        vertex._replace(id=names[vertex.id], cluster=names[vertex.cluster], state=model.DROPPED)
        for vertex in before.vertices
        if names[vertex.id] not in now
    ]
    gone_clusters = [
        cluster._replace(
            id=names[cluster.id], parent=names[cluster.parent] if cluster.parent else "", state=model.DROPPED
        )
        for cluster in before.clusters
        if names[cluster.id] not in now
    ]
    order = [names[vertex.id] for vertex in before.vertices]
    return after._replace(
        vertices=tuple(_merged(vertices, gone, order)),
        clusters=tuple(_merged(clusters, gone_clusters, [names[cluster.id] for cluster in before.clusters])),
        edges=tuple(_edges(before.edges, after.edges, names)),
        headline=(*after.headline, *headline),
    )


def _renamed(names: Sequence[str], renames: Mapping[str, str]) -> dict[str, str]:
    """Return each address as it is after the renames; of those that it lies below, the longest counts."""
    longest = sorted(renames, key=len, reverse=True)
    found = {}
    for name in names:
        old = next((old for old in longest if name.startswith(old) and name[len(old) :][:1] in _ENDS), "")
        found[name] = renames[old] + name[len(old) :] if old else name
    return found


_ENDS: Final = frozenset(("", ".", "@", "?", "=", "/", "("))
"""What may follow an address in the name of a part that belongs to it."""


def _vertex_says(vertex: Vertex) -> tuple[str, ...]:
    return (vertex.kind, *lines_of(vertex, costs=False), vertex.declared)


def _cluster_says(cluster: Cluster) -> tuple[str, ...]:
    return (cluster.kind, cluster.title)


def _moved(
    before: Sequence[Part], after: Sequence[Part], renamed: Mapping[str, str], now: set[str], says: object
) -> dict[str, str]:
    """Return where parts are by now that have gone from their addresses and are found elsewhere, once, as they were."""
    assert callable(says)
    known = set(renamed.values())
    old = [part for part in before if renamed[part.id] not in now]
    new = [part for part in after if part.id not in known]
    counts = Counter(says(part) for part in old), Counter(says(part) for part in new)
    places = {says(part): part.id for part in new}
    return {part.id: places[words] for part in old if counts[0][words := says(part)] == 1 and counts[1][words] == 1}


def _compared(vertex: Vertex, before: Vertex | None, names: Mapping[str, str]) -> Vertex:
    if before is None:
        return vertex._replace(state=model.ADDED)
    now, old = lines_of(vertex, costs=False), lines_of(before, costs=False)
    was = tuple(line for line in old if line not in now)
    if (now, vertex.declared, vertex.type) != (old, before.declared, before.type):
        told = was or (("another declaration",) if vertex.declared != before.declared else (before.type,))
        return vertex._replace(state=model.CHANGED, was=told)
    stays = names[before.cluster] == vertex.cluster and _own(vertex) == _own(before)
    return vertex if stays else vertex._replace(state=model.MOVED, was=(before.id,))


def _own(vertex: Vertex) -> str:
    """Return what a part is called in its cluster."""
    return vertex.id.removeprefix(vertex.cluster)


def _compared_cluster(cluster: Cluster, before: Cluster | None) -> Cluster:
    if before is None:
        return cluster._replace(state=model.ADDED)
    if cluster.title != before.title:
        return cluster._replace(state=model.CHANGED, was=(before.title,))
    return cluster


def _merged(now: Sequence[Part], gone: Sequence[Part], order: Sequence[str]) -> list[Part]:
    """Return the parts of both, each that is gone behind the one that it stood behind."""
    merged = list(now)
    places = {name: number for number, name in enumerate(order)}
    for part in gone:
        at = next(
            (
                number + 1
                for number in range(len(merged) - 1, -1, -1)
                if places.get(merged[number].id, len(order)) < places[part.id]
            ),
            0,
        )
        merged.insert(at, part)
    return merged


def _edges(before: Sequence[Edge], after: Sequence[Edge], names: Mapping[str, str]) -> list[Edge]:
    old = {}
    for edge in before:
        moved = edge._replace(source=names[edge.source], target=names[edge.target])
        old[moved.source, moved.target, moved.kind] = moved
    new = {(edge.source, edge.target, edge.kind): edge for edge in after}
    found = [edge if key in old else edge._replace(state=model.ADDED) for key, edge in new.items()]
    return [*found, *(edge._replace(state=model.DROPPED) for key, edge in old.items() if key not in new)]
