"""The OpenAPI 3.1 document of a service: one operation for each flow, and those of runs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from masdsl.serve.endpoints import Endpoint, Served
from masdsl.serve.problems import KINDS, PROBLEM_JSON, PROBLEM_SCHEMA
from masdsl.serve.streaming import EVENT_STREAM

JSON: Final = "application/json"
STATES: Final = ("running", "ended", "failed", "stopped", "interrupted")
RUN_ID: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

USAGE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What a run took: calls of models, their tokens, their price in USD, and seconds.",
    "required": ["calls", "tokens_in", "tokens_out", "usd", "seconds"],
    "properties": {
        "calls": {"type": "integer", "minimum": 0},
        "tokens_in": {"type": "integer", "minimum": 0},
        "tokens_out": {"type": "integer", "minimum": 0},
        "usd": {"type": "number", "minimum": 0},
        "seconds": {"type": "number", "minimum": 0},
    },
}
_RUN: Final[dict[str, Any]] = {
    "run": {"type": "string", "pattern": RUN_ID},
    "program": {"type": "string"},
    "flow": {"type": "string"},
    "status": {"type": "string", "enum": list(STATES)},
    "created": {"type": "number", "description": "seconds since 1970"},
    "usage": {"$ref": "#/components/schemas/Usage"},
}
RUN: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A run. `value` is there once it has ended, `failure` where it gave none.",
    "required": list(_RUN),
    "properties": {
        **_RUN,
        "value": {"description": "what the flow gave"},
        "failure": {
            "type": "object",
            "required": ["step", "reason", "kind"],
            "properties": {
                "step": {"type": "string"},
                "reason": {"type": "string"},
                "kind": {"type": "string", "enum": sorted(KINDS)},
            },
        },
    },
}
_PREFER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "description": "`respond-async`: answer 202 at once, or after `wait=N` seconds (RFC 7240).",
    "schema": {"type": "string"},
    "example": "respond-async, wait=10",
}
_IDEMPOTENCY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and inputs always mean the same run: it is begun once, however often it is asked for.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$", "minLength": 1, "maxLength": 255},
}
_LAST_SEEN: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was seen: the stream goes on after it.",
    "schema": {"type": "string"},
}
_VALUES: Final[dict[str, Any]] = {
    "name": "values",
    "in": "query",
    "description": "Whether events show the values of steps.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}
_RUN_PATH: Final[dict[str, Any]] = {
    "name": "run",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": RUN_ID},
}


def document(served: Served, version: str, *, keys: bool) -> dict[str, Any]:
    """Return the document; `keys` says whether requests need one."""
    paths: dict[str, Any] = {one.path: {"post": _flow(one)} for one in served.endpoints.values()}
    paths["/v1/runs/{run}"] = {"parameters": [_RUN_PATH], "get": _show()}
    paths["/v1/runs/{run}/events"] = {"parameters": [_RUN_PATH], "get": _events()}
    paths["/v1/runs/{run}/resume"] = {"parameters": [_RUN_PATH], "post": _resume()}
    paths["/v1/runs/{run}/stop"] = {"parameters": [_RUN_PATH], "post": _stop()}
    paths["/healthz"] = {"get": _state("health", "Whether the process is there.", "alive")}
    paths["/readyz"] = {"get": _state("readiness", "Whether runs are taken.", "ready", 503)}
    paths["/metrics"] = {"get": _metrics()}
    paths["/openapi.json"] = {"get": _own()}
    if keys:
        for path, item in paths.items():
            for operation in (item[method] for method in ("get", "post") if method in item):
                if path not in ("/healthz", "/readyz"):
                    operation["security"] = [{"key": []}]
                    operation["responses"] |= _problems(401, 429)
                    if path == "/metrics":
                        operation["responses"] |= _problems(403)
    schemas = {"Problem": PROBLEM_SCHEMA, "Run": RUN, "Usage": USAGE, **served.components}
    components: dict[str, Any] = {"schemas": schemas}
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "masdsl",
            "version": version,
            "description": "Flows of `.mas` programs. Every run is bounded: `x-mas-bound` is its proved worst case.",
        },
        "paths": paths,
        "components": components,
    }


def _flow(one: Endpoint) -> dict[str, Any]:
    text = f"{one.doc}\n\n" if one.doc else ""
    ended = {
        "type": "object",
        "required": [*_RUN, "value"],
        "properties": {**_RUN, "status": {"type": "string", "const": "ended"}, "value": dict(one.value_schema)},
    }
    return {
        "operationId": f"{one.program}.{one.flow}",
        "tags": [one.program],
        "summary": one.doc.partition("\n")[0] or f"Run the flow {one.flow} of {one.program}.",
        "description": f"{text}A run takes at most {one.bound}.",
        "x-mas-bound": one.bound.to_json(),
        "parameters": [_IDEMPOTENCY, _PREFER, _VALUES],
        "requestBody": {
            "required": any(parameter.is_required for parameter in one.parameters),
            "content": {JSON: {"schema": dict(one.inputs_schema)}},
        },
        "responses": {**_ends(ended), **_problems(400, 402, 403, 408, 409, 413, 415, 422, 429, 500, 502, 503)},
    }


def _ends(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers of what waits for a run's end."""
    where = {"Location": {"description": "the run", "schema": {"type": "string"}}}
    stream = {"schema": {"type": "string", "description": "the run's events, ending with `ended` or `failed`"}}
    return {
        "200": {
            "description": "The run has ended; or its events, as they come.",
            "headers": where,
            "content": {JSON: {"schema": dict(value)}, EVENT_STREAM: stream},
        },
        "202": {
            "description": "The run goes on; look at `Location` for it.",
            "headers": where,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Run"}}},
        },
    }


def _answer(description: str, schema: Mapping[str, Any], media: str = JSON) -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": dict(schema)}}}


def _problems(*statuses: int) -> dict[str, Any]:
    """Return the answers that say what went wrong, with the kinds of problems behind each status."""
    problem = {"$ref": "#/components/schemas/Problem"}
    told = {}
    for status in statuses:
        kinds = ", ".join(kind for kind, one in KINDS.items() if one.status == status)
        told[str(status)] = _answer(f"{HTTPStatus(status).phrase}: {kinds}", problem, PROBLEM_JSON)
    return told


def _show() -> dict[str, Any]:
    return {
        "operationId": "runs.show",
        "tags": ["runs"],
        "summary": "How a run stands, and its value.",
        "responses": {"200": _answer("The run.", {"$ref": "#/components/schemas/Run"}), **_problems(400, 404, 503)},
    }


def _events() -> dict[str, Any]:
    return {
        "operationId": "runs.events",
        "tags": ["runs"],
        "summary": "The events of a run, as they come.",
        "parameters": [_LAST_SEEN, _VALUES],
        "responses": {
            "200": _answer("Server-sent events.", {"type": "string"}, EVENT_STREAM),
            **_problems(400, 404, 503),
        },
    }


def _resume() -> dict[str, Any]:
    return {
        "operationId": "runs.resume",
        "tags": ["runs"],
        "summary": "Let a run go on that failed, was stopped or broken off; nothing that was paid is paid again.",
        "parameters": [_PREFER, _VALUES],
        "responses": {
            **_ends({"$ref": "#/components/schemas/Run"}),
            **_problems(400, 402, 404, 408, 409, 413, 415, 429, 500, 502, 503),
        },
    }


def _stop() -> dict[str, Any]:
    return {
        "operationId": "runs.stop",
        "tags": ["runs"],
        "summary": "Let no further step of a run begin; it can be resumed.",
        "responses": {
            "202": _answer("It ends with the calls under way.", {"$ref": "#/components/schemas/Run"}),
            **_problems(400, 404, 408, 409, 413, 415),
        },
    }


def _state(name: str, summary: str, word: str, *statuses: int) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"type": "string", "const": word}},
    }
    return {
        "operationId": f"service.{name}",
        "tags": ["service"],
        "summary": summary,
        "responses": {"200": _answer("Yes.", schema), **_problems(400, *statuses)},
    }


def _metrics() -> dict[str, Any]:
    return {
        "operationId": "service.metrics",
        "tags": ["service"],
        "summary": "Figures for Prometheus.",
        "responses": {
            "200": _answer("Figures, in Prometheus' text format.", {"type": "string"}, "text/plain"),
            **_problems(400),
        },
    }


def _own() -> dict[str, Any]:
    return {
        "operationId": "service.openapi",
        "tags": ["service"],
        "summary": "This document.",
        "responses": {"200": _answer("OpenAPI 3.1.", {"type": "object"}), **_problems(400)},
    }
