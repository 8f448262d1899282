"""What happened in a run, on the picture of its program: from the rows of its journal (`masdsl/journal/base.py`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from masdsl.graph import model
from masdsl.graph.model import Graph, Ran
from masdsl.graph.taken import NOBODY_SAYS, Ways, taken
from masdsl.journal.base import Row

TURN: Final = 1000
"""Calls of a step are numbered by turn and attempt: `turn * TURN + attempt` (`masdsl/runtime/recording.py`)."""
_VALUED: Final = ("reply", "tool", "done")
_NOTHING: Final = Ran()
_SUMMED: Final = [name for name in Ran._fields if name not in ("times", "reason", "ways", "is_known")]


def overlay(
    graph: Graph,
    rows: Sequence[Row],
    headline: Sequence[str] = (),
    tiers: Mapping[str, str] | None = None,
    ways: Ways = NOBODY_SAYS,
) -> Graph:
    """Return a picture with what happened at every step, and at every group of steps; `headline` is about the run.

    `tiers` says which models stood behind the tiers then, `ways` which way the run went where it could go several.
    What happened below a step that the picture does not have (a system that was designed for it, a flow that is folded)
    counts for that step.
    """
    steps = {vertex.id for vertex in graph.vertices if vertex.kind in model.STEPS or vertex.kind == model.LENT}
    happened = ran_by_path(rows, steps)
    came = _times(graph, rows, steps)
    parents = {cluster.id: cluster.parent for cluster in graph.clusters}
    together: dict[str, Ran] = {}
    for vertex in graph.vertices:
        if vertex.id not in steps or vertex.state == model.DROPPED:
            continue
        ran, name = happened.get(vertex.id, _NOTHING), vertex.cluster
        if vertex.kind == model.FLOW and vertex.id in happened:
            happened[vertex.id] = ran._replace(times=came[vertex.id])
        while name:
            together[name] = _both(together.get(name, _NOTHING), ran)._replace(times=came.get(name, 0), reason="")
            name = parents[name]
    graph = graph._replace(
        vertices=tuple(
            vertex._replace(
                ran=happened.get(vertex.id, _NOTHING),
                model=(tiers or {}).get(vertex.tier, vertex.model) if vertex.kind == model.AGENT else vertex.model,
            )
            if vertex.id in steps and vertex.state != model.DROPPED
            else vertex
            for vertex in graph.vertices
        ),
        clusters=tuple(cluster._replace(ran=together.get(cluster.id)) for cluster in graph.clusters),
        headline=(*graph.headline, *headline),
    )
    return taken(graph, ways)


def _times(graph: Graph, rows: Iterable[Row], steps: Collection[str]) -> dict[str, int]:
    """Return how often a run came to each group, and to each flow that is folded, by the steps in it that happened.

    Each round of a loop and each of several calls at once has a number: so many as there are around it tell times
    apart.
    """
    depths: dict[str, int] = {}
    for cluster in graph.clusters:
        around = depths.get(cluster.parent, 0)
        depths[cluster.id] = around + (cluster.kind in (model.LOOP, model.FOR)) + bool(cluster.repeat)
    parents = {cluster.id: cluster.parent for cluster in graph.clusters}
    vertices = {vertex.id: vertex for vertex in graph.vertices if vertex.id in steps}
    came: dict[str, set[tuple[int, ...]]] = {}
    for path, indices in {(row.path, row.indices) for row in rows if row.path}:
        while path and path not in vertices:
            path = path.rpartition(".")[0]
        if not path:
            continue
        vertex = vertices[path]
        if vertex.kind == model.FLOW:
            came.setdefault(path, set()).add(indices[: depths[vertex.cluster] + bool(vertex.repeat)])
        name = vertex.cluster
        while name:
            came.setdefault(name, set()).add(indices[: depths[name]])
            name = parents[name]
    return {name: len(times) for name, times in came.items()}


def ran_by_path(rows: Iterable[Row], known: Iterable[str]) -> dict[str, Ran]:
    """Return what happened, by address; what is at none of those that are `known` counts for the nearest one above."""
    addresses = frozenset(known)
    found: dict[str, Ran] = {}
    states: dict[str, dict[tuple[str, tuple[int, ...]], str]] = {}
    for row in rows:
        path = row.path
        while path and path not in addresses:
            path = path.rpartition(".")[0]
        if not path:
            continue
        found[path] = _counted(found.get(path, _NOTHING), row)
        states.setdefault(path, {})[row.path, row.indices] = _standing(row)
    return {path: _with_states(ran, path, states.get(path, {})) for path, ran in found.items()}


def _counted(ran: Ran, row: Row) -> Ran:
    body = row.body
    if row.kind in ("reply", "fault") and "tokens_in" in body:
        ran = ran._replace(
            calls=ran.calls + 1,
            tokens=ran.tokens + body["tokens_in"] + body["tokens_out"],
            picodollars=ran.picodollars + (body["picodollars"] or 0),
            retries=ran.retries + (row.part % TURN > 0),
            faults=ran.faults + (row.kind == "fault"),
        )
    if isinstance(body.get("seconds"), int | float):
        ran = ran._replace(seconds=ran.seconds + body["seconds"])
    if row.kind in ("fault", "failed") or "failed" in body:
        reason = body.get("reason") or body.get("detail") or body.get("failed") or ""
        ran = ran._replace(reason=str(reason))
    return ran._replace(reused=ran.reused + (row.kind == "claim"), defaults=ran.defaults + bool(body.get("default")))


def _standing(row: Row) -> str:
    if row.kind == "claim" or (row.kind in _VALUED and "value" in row.body):
        return "value"
    return "failed" if row.kind == "failed" else "running"


def _with_states(ran: Ran, path: str, states: Mapping[tuple[str, tuple[int, ...]], str]) -> Ran:
    own = {key: state for key, state in states.items() if key[0] == path} or states
    counts = [list(own.values()).count(word) for word in ("value", "failed", "running")]
    reason = ran.reason if counts[1] or ran.faults else ""
    return ran._replace(times=max(len(own), 1), values=counts[0], failed=counts[1], running=counts[2], reason=reason)


def _both(one: Ran, other: Ran) -> Ran:
    sums = {name: getattr(one, name) + getattr(other, name) for name in _SUMMED}
    return one._replace(**sums)
