"""What names hold, followed through a program: of which vertices the value of an expression is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from masdsl.check.program import Append, Bind, Block, Each, GetField, Local
from masdsl.check.uses import statements_of
from masdsl.graph import model
from masdsl.graph.model import Edge, Vertex
from masdsl.node import Node
from masdsl.types import Type

Sources: TypeAlias = dict[str, bool]
"""Vertices that a value is made of; true for one that gave it in the round before."""
Env: TypeAlias = dict[str, Sources]


def made_of(node: Node, env: Mapping[str, Sources]) -> Sources:
    """Return what the value of an expression is made of."""
    found: Sources = {}
    for _, (sources, _) in readings(node, env):
        found |= sources
    return found


def readings(node: Node, env: Mapping[str, Sources]) -> Iterator[tuple[str, tuple[Sources, Type]]]:
    """Yield what an expression reads: as it is said (`draft`, `review.issues`), what it is made of, and its type."""
    pending: list[tuple[Node, Mapping[str, Sources]]] = [(node, env)]
    while pending:
        part, known = pending.pop()
        label = _dotted(part)
        if label is not None:
            assert isinstance(part, Local | GetField)
            sources = known.get(label.partition(".")[0])
            if sources:
                yield label, (sources, part.type)
            continue
        if isinstance(part, Each):
            pending.append((part.items, known))
            inside = {**known, part.var: made_of(part.items, known)}
            inner = [part.body] if part.condition is None else [part.body, part.condition]
            for one in inner:  # what an item gives is part of the list
                quiet = {name: sources for name, sources in inside.items() if name != part.var}
                pending.append((one, quiet))
            continue
        for field in part._fields:
            value = getattr(part, field)
            if field in ("type", "var_type", "extern"):
                continue
            _push(value, known, pending)


def _push(value: object, known: Mapping[str, Sources], pending: list[tuple[Node, Mapping[str, Sources]]]) -> None:
    if isinstance(value, Node):
        pending.append((value, known))
    elif isinstance(value, tuple):
        for item in reversed(value):
            _push(item, known, pending)


def _dotted(node: Node) -> str | None:
    if isinstance(node, Local):
        return node.name
    if isinstance(node, GetField):
        inner = _dotted(node.value)
        return None if inner is None else f"{inner}.{node.field}"
    return None


def written(block: Block) -> list[str]:
    """Return the names that a block, or one in it, gives a value, each once."""
    return list(dict.fromkeys(node.name for node in statements_of(block) if isinstance(node, Bind | Append)))


def merged(env: Env, after: list[Env]) -> bool:
    """Put what holds behind branches into `env`; say whether control gets there at all."""
    if not after:
        return False
    joined: Env = {}
    for inside in after:
        for name, sources in inside.items():
            joined[name] = joined.get(name, {}) | sources
    env.clear()
    env.update(joined)
    return True


# ---------------------------------------------------------------- carried names


def contracted(vertices: Mapping[str, Vertex], edges: Sequence[Edge]) -> tuple[Edge, ...]:
    """Return the edges with each carried name that one vertex alone gives a value replaced by that vertex."""
    carried = {name for name, vertex in vertices.items() if vertex.kind == model.CARRY}
    stands: dict[str, str] = {}
    while True:
        given: dict[str, set[str]] = {name: set() for name in carried if name not in stands}
        for edge in edges:
            if edge.target in given and _for(edge.source, stands) != edge.target:
                given[edge.target].add(_for(edge.source, stands))
        lone = {name: next(iter(found)) for name, found in given.items() if len(found) == 1}
        fresh = {name: one for name, one in lone.items() if _for(one, stands) != name}
        if not fresh:
            break
        name, one = next((name, fresh[name]) for name in vertices if name in fresh)
        stands[name] = one
    empty = {name for name, found in given.items() if not found}
    kept: dict[tuple[str, str, str], Edge] = {}
    for edge in edges:
        source, target = _for(edge.source, stands), edge.target
        if target in stands or target in empty or source in empty:
            continue
        known = kept.get((source, target, edge.kind))
        if known is None:
            kept[source, target, edge.kind] = edge._replace(source=source)
        else:
            more = tuple(name for name in edge.names if name not in known.names)
            tokens = known.tokens + edge.tokens if more else max(known.tokens, edge.tokens)
            kept[source, target, edge.kind] = known._replace(
                names=known.names + more, tokens=tokens, back=known.back and edge.back
            )
    return tuple(kept.values())


def _for(name: str, stands: Mapping[str, str]) -> str:
    while name in stands:
        name = stands[name]
    return name


def is_used(vertex: Vertex, edges: Sequence[Edge]) -> bool:
    """Say whether anything goes into a vertex, and anything out of it."""
    return any(edge.target == vertex.id for edge in edges) and any(edge.source == vertex.id for edge in edges)
