"""Answers that say what went wrong: what, why, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from masdsl.redaction import one_line
from masdsl.serve.problems import PROBLEM_JSON, json_bytes


class Refusal(Exception):
    """What the page is told instead of a result: an HTTP status of 4xx or 5xx, a title, the detail, the next action.

    `diagnostics` are findings about a program, as `masdsl.diagnostics.render.json_document` has them.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        then: str,
        diagnostics: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.title = title
        self.detail = one_line(detail, 1000)
        self.then = then
        self.diagnostics = diagnostics

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        data: dict[str, Any] = {"title": self.title, "status": self.status, "detail": self.detail, "next": self.then}
        return data if self.diagnostics is None else data | {"diagnostics": list(self.diagnostics)}

    def response(self) -> Response:
        """Return it as an answer."""
        return Response(json_bytes(self.to_json()), self.status, media_type=PROBLEM_JSON)


def malformed(detail: str) -> Refusal:
    """Return that a request is none that the page would send."""
    return Refusal(400, "The request cannot be read", detail, "reload the page")


def not_found(what: str) -> Refusal:
    """Return that there is no such thing."""
    return Refusal(404, "There is no such thing here", what, "reload the page")
