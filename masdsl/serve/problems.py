"""Answers that say what went wrong: `application/problem+json` (RFC 9457), and nothing else.

Besides the members of the RFC, each has `next`: what the caller can do about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from masdsl.redaction import one_line

PROBLEM_JSON: Final = "application/problem+json"
URN: Final = "urn:masdsl:problem:"


class Kind(NamedTuple):
    """A kind of problem: its HTTP status, a title for people, and the caller's next action where nothing better is
    known.
    """

    status: int
    title: str
    next: str


KINDS: Final[Mapping[str, Kind]] = {
    "malformed-request": Kind(400, "The request cannot be read", "mend what `detail` names and send it again"),
    "no-key": Kind(401, "An API key is needed", "send it as in `Authorization: Bearer KEY`"),
    "budget-too-small": Kind(
        402, "The key's budget can never hold this flow", "ask the operator for a greater budget, or call another flow"
    ),
    "forbidden": Kind(403, "This is not allowed", "ask the operator"),
    "not-found": Kind(404, "There is no such thing here", "look at /openapi.json for what there is"),
    "method-not-allowed": Kind(405, "The method is not allowed here", "use a method that the header `Allow` names"),
    "too-slow": Kind(408, "The request took too long to arrive", "send it again"),
    "conflict": Kind(409, "The run is not in a state for this", "look at the run: GET /v1/runs/{id}"),
    "run-stopped": Kind(409, "The run was stopped", "go on with it: POST /v1/runs/{id}/resume"),
    "too-large": Kind(413, "The request is too large", "send a smaller one"),
    "not-json": Kind(415, "The body must be JSON", "send it with `Content-Type: application/json`"),
    "wrong-host": Kind(421, "This server does not answer to that name", "use the address that it listens on"),
    "wrong-inputs": Kind(422, "The inputs do not fit the flow", "mend the places that `faults` lists"),
    "key-reused": Kind(
        409, "The Idempotency-Key was used with other inputs", "send the same inputs again, or use a new key"
    ),
    "budget-exhausted": Kind(429, "The key's budget has no room for this run", "wait as long as `Retry-After` says"),
    "too-many-requests": Kind(429, "Too many requests", "wait as long as `Retry-After` says"),
    "too-many-runs": Kind(429, "Too many runs at once", "wait until one of them has ended"),
    "internal": Kind(500, "The service made a mistake", "tell the operator; the log of the service has it"),
    "run-out-of-budget": Kind(
        500, "The run's own budget had no room for a call", "go on after the operator has raised the program's budget"
    ),
    "run-failed": Kind(
        502, "A step of the run gave no value", "go on with it, nothing is paid twice: POST /v1/runs/{id}/resume"
    ),
    "busy": Kind(503, "The service has no room for another run", "wait as long as `Retry-After` says"),
    "journal-unavailable": Kind(503, "The journal cannot be used", "try again later; what was paid is kept"),
    "run-interrupted": Kind(
        503, "The run was broken off", "send the request again, or POST /v1/runs/{id}/resume; nothing is lost"
    ),
    "shutting-down": Kind(503, "The service is shutting down", "send the request again in a moment"),
}


class Problem(Exception):
    """What the caller is told instead of a result. `more` are further members, `headers` further headers."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        then: str = "",
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = one_line(detail, 1000)
        self.next = then or KINDS[kind].next
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, int(-(-retry_after // 1))))
        self.more = dict(more or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind].status

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "type": URN + self.kind,
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
            "next": self.next,
            **self.more,
        }

    def response(self) -> Response:
        """Return it as an answer."""
        return Response(json_bytes(self.to_json()), self.status, self.headers, PROBLEM_JSON)


def json_bytes(data: Any) -> bytes:
    """Return JSON data as it goes over the wire; half a character (a lone surrogate) becomes a question mark."""
    return dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What went wrong (RFC 9457), why, and what to do next.",
    "required": ["type", "title", "status", "detail", "next"],
    "properties": {
        "type": {"type": "string", "enum": sorted({URN + kind for kind in KINDS})},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened here"},
        "next": {"type": "string", "description": "what the caller can do"},
        "faults": {
            "type": "array",
            "description": "the places in the body that do not fit, as JSON pointers",
            "items": {
                "type": "object",
                "required": ["pointer", "expected", "got"],
                "properties": {
                    "pointer": {"type": "string"},
                    "expected": {"type": "string"},
                    "got": {"type": "string"},
                },
            },
        },
        "run": {"type": "string", "description": "the run that this is about"},
        "step": {"type": "string", "description": "the step of the run that failed"},
        "usage": {"$ref": "#/components/schemas/Usage"},
    },
}
