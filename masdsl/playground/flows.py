"""The flows of a program as a form: what each takes, gives and may cost at worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from masdsl.check.relations import show
from masdsl.loaded import LoadedProgram
from masdsl.money import PICODOLLARS
from masdsl.serve.endpoints import BadProgram, Endpoint, served

_REFERENCE: Final = "#/components/schemas/"


def flows_of(loaded: LoadedProgram) -> list[dict[str, Any]]:
    """Return the flows that a run may begin with: in the order of the program."""
    try:
        found = served([("program", loaded)])
    except BadProgram:  # it has none
        return []
    return [_flow(one, found.components) for one in found.endpoints.values()]


def bound_json(endpoint: Endpoint) -> dict[str, Any]:
    """Return the worst case of a flow, within its budgets."""
    bound = endpoint.bound
    return {
        "calls": bound.calls,
        "tokens_in": bound.input_tokens,
        "tokens_out": bound.output_tokens,
        "usd": bound.picodollars / PICODOLLARS,
        "seconds": bound.seconds,
    }


def _flow(endpoint: Endpoint, components: Mapping[str, Any]) -> dict[str, Any]:
    properties = endpoint.inputs_schema.get("properties", {})
    return {
        "name": endpoint.flow,
        "doc": endpoint.doc,
        "parameters": [
            {
                "name": one.name,
                "type": show(one.type),
                "schema": _whole(properties[one.name], components),
                **({} if one.is_required else {"default": one.default}),
            }
            for one in endpoint.parameters
        ],
        "returns": {"type": show(endpoint.returns), "schema": _whole(endpoint.value_schema, components)},
        "bound": bound_json(endpoint),
    }


def _whole(schema: Any, components: Mapping[str, Any]) -> Any:
    """Return a schema with what it refers to in its place: types do not contain themselves."""
    if isinstance(schema, list):
        return [_whole(one, components) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    name = schema.get("$ref")
    if isinstance(name, str):
        return _whole(components[name.removeprefix(_REFERENCE)], components)
    return {key: _whole(value, components) for key, value in schema.items()}
