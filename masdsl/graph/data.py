"""The picture as plain data, for other programs: JSON with a schema (`SCHEMA`)."""

from __future__ import annotations

from typing import Any, Final

from masdsl.graph import model
from masdsl.graph.model import Cluster, Cost, Edge, Graph, Place, Ran, Role, Trust, Vertex
from masdsl.money import PICODOLLARS
from masdsl.sizes import MICROSECONDS

VERSION: Final = 1


def as_data(graph: Graph) -> dict[str, Any]:
    """Return a picture as JSON data: what says nothing (no cost, no label, an empty text) is left out."""
    return _without_nothing(
        {
            "version": VERSION,
            "title": graph.title,
            "headline": list(graph.headline),
            "cost": _cost(graph.cost),
            "budget": dict(graph.budget),
            "folded": graph.folded,
            "clusters": [_cluster(one) for one in graph.clusters],
            "vertices": [_vertex(one) for one in graph.vertices],
            "edges": [_edge(one) for one in graph.edges],
            "agents": [_role(one) for one in graph.roles],
        },
        ("version", "title", "clusters", "vertices", "edges", "agents"),
    )


def _vertex(one: Vertex) -> dict[str, Any]:
    return _without_nothing(
        {
            "id": one.id,
            "kind": one.kind,
            "name": one.name,
            "text": one.text,
            "cluster": one.cluster,
            "place": _place(one.place),
            "type": one.type,
            "repeat": one.repeat,
            "times": one.times,
            "cost": _cost(one.cost),
            "tier": one.tier,
            "model": one.model,
            "about": one.about,
            "notes": list(one.notes),
            "effect": one.effect,
            "trust": _trust(one.trust),
            "wave": one.wave,
            "declared": one.declared,
            "state": one.state,
            "was": list(one.was),
            "ran": _ran(one.ran),
        },
        ("id", "kind", "name", "text", "cluster", "place", "times", "wave"),
    )


def _cluster(one: Cluster) -> dict[str, Any]:
    return _without_nothing(
        {
            "id": one.id,
            "kind": one.kind,
            "title": one.title,
            "parent": one.parent,
            "place": _place(one.place),
            "cost": _cost(one.cost),
            "times": one.times,
            "state": one.state,
            "was": list(one.was),
            "ran": _ran(one.ran),
            "repeat": one.repeat,
        },
        ("id", "kind", "title", "parent", "place", "times"),
    )


def _edge(one: Edge) -> dict[str, Any]:
    went = {} if one.taken is None else {"taken": one.taken}
    return went | _without_nothing(
        {
            "source": one.source,
            "target": one.target,
            "kind": one.kind,
            "names": list(one.names),
            "tokens": one.tokens,
            "back": one.back,
            "taints": list(one.taints),
            "state": one.state,
        },
        ("source", "target", "kind"),
    )


def _role(one: Role) -> dict[str, Any]:
    data = one._asdict() | {"tools": list(one.tools), "place": _place(one.place)}
    return _without_nothing(data, ("name", "tier", "model", "place"))


def _place(place: Place) -> dict[str, Any]:
    return place._asdict()


def _cost(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    usd, seconds = cost.picodollars / PICODOLLARS, cost.microseconds / MICROSECONDS
    return {"calls": cost.calls, "tokens": cost.tokens, "usd": usd, "seconds": seconds}


def _trust(trust: Trust | None) -> dict[str, Any] | None:
    if trust is None:
        return None
    return {name: list(value) if isinstance(value, tuple) else value for name, value in trust._asdict().items()}


def _ran(ran: Ran | None) -> dict[str, Any] | None:
    if ran is None:
        return None
    data = ran._asdict()
    data["usd"] = data.pop("picodollars") / PICODOLLARS
    data["ways"] = dict(ran.ways)
    unsaid = [name for name, nothing in (("ways", {}), ("is_known", True)) if data[name] == nothing]
    return {name: value for name, value in data.items() if name not in unsaid}


def _without_nothing(data: dict[str, Any], always: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name in always or value not in (None, "", 0, False, [], {})}


# ---------------------------------------------------------------- schema

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_COUNT: Final = {"type": "integer", "minimum": 0}
_AMOUNT: Final = {"type": "number", "minimum": 0}


def _object(properties: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_PLACE: Final = _object({"file": _TEXT, "line": {"type": "integer", "minimum": 1}, "column": _COUNT}, Place._fields)
_COST: Final = _object(
    {"calls": _COUNT, "tokens": _COUNT, "usd": _AMOUNT, "seconds": _AMOUNT}, ("calls", "tokens", "usd", "seconds")
)
_TRUST: Final = _object(
    {"decided": _TEXTS, "given": _TEXTS, "gives": _TEXTS, "takes": _TEXT, "refused": {"type": "boolean"}}, Trust._fields
)
_RAN: Final = _object(
    {name: _COUNT for name in Ran._fields if name not in ("picodollars", "seconds", "reason", "ways", "is_known")}
    | {"usd": _AMOUNT, "seconds": _AMOUNT, "reason": _TEXT, "is_known": {"type": "boolean"}}
    | {"ways": {"type": "object", "additionalProperties": _COUNT}},
    ("times", "values", "failed"),
)
_STATE: Final = {"enum": [model.ADDED, model.DROPPED, model.CHANGED, model.MOVED]}
_VERTEX_KINDS: Final = (
    *(model.INPUT, model.RESULT, model.AGENT, model.TOOL, model.FLOW, model.LENT, model.CHOICE, model.UNTIL),
    *(model.VALUE, model.CARRY, model.LEAVE),
)
_VERTEX_TEXTS: Final = ("name", "text", "cluster", "type", "repeat", "tier", "model", "about", "declared")
SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "The picture of a .mas program",
    **_object(
        {
            "version": {"const": VERSION},
            "title": _TEXT,
            "headline": _TEXTS,
            "cost": _COST,
            "budget": {"type": "object", "additionalProperties": _AMOUNT},
            "folded": _COUNT,
            "clusters": {
                "type": "array",
                "items": _object(
                    {
                        "id": _TEXT,
                        "kind": {"enum": [model.RUN, model.CALLED, model.LOOP, model.FOR, model.BRANCH, model.WITHIN]},
                        "title": _TEXT,
                        "parent": _TEXT,
                        "place": _PLACE,
                        "cost": _COST,
                        "times": _COUNT,
                        "state": _STATE,
                        "was": _TEXTS,
                        "ran": _RAN,
                        "repeat": _TEXT,
                    },
                    ("id", "kind", "title", "parent", "place", "times"),
                ),
            },
            "vertices": {
                "type": "array",
                "items": _object(
                    {
                        "id": _TEXT,
                        "kind": {"enum": list(_VERTEX_KINDS)},
                        "place": _PLACE,
                        "times": _COUNT,
                        "cost": _COST,
                        "notes": _TEXTS,
                        "effect": {"type": "boolean"},
                        "trust": _TRUST,
                        "wave": _COUNT,
                        "state": _STATE,
                        "was": _TEXTS,
                        "ran": _RAN,
                        **dict.fromkeys(
                            ("name", "text", "cluster", "type", "repeat", "tier", "model", "about", "declared"), _TEXT
                        ),
                    },
                    ("id", "kind", "name", "text", "cluster", "place", "times", "wave"),
                ),
            },
            "edges": {
                "type": "array",
                "items": _object(
                    {
                        "source": _TEXT,
                        "target": _TEXT,
                        "kind": {"enum": [model.DATA, model.DECIDES, model.OTHERWISE, model.LENDS, model.ENDS]},
                        "names": _TEXTS,
                        "tokens": _COUNT,
                        "back": {"type": "boolean"},
                        "taints": _TEXTS,
                        "state": _STATE,
                        "taken": _COUNT,
                    },
                    ("source", "target", "kind"),
                ),
            },
            "agents": {
                "type": "array",
                "items": _object(
                    {
                        "name": _TEXT,
                        "tier": _TEXT,
                        "model": _TEXT,
                        "role": _TEXT,
                        "temperature": {"type": "number"},
                        "retries": _COUNT,
                        "tools": _TEXTS,
                        "place": _PLACE,
                    },
                    ("name", "tier", "model", "place"),
                ),
            },
        },
        ("version", "title", "clusters", "vertices", "edges", "agents"),
    ),
}
"""The JSON schema of what `as_data` returns."""
