"""What a request asks for besides its path: who asks, the idempotency key, preferences."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from starlette.requests import Request

from masdsl.serve.keys import LOCAL, Key
from masdsl.serve.problems import Problem
from masdsl.serve.service import Service
from masdsl.serve.streaming import EVENT_STREAM

IDEMPOTENCY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
RUN_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_WAIT: Final = re.compile(r"wait=([0-9]{1,6})")


class Preferences(NamedTuple):
    """What the headers `Prefer` (RFC 7240) and `Accept` ask for.

    `is_async`: answer before the run has ended, after `wait` seconds (None: at once).
    """

    is_async: bool
    wait: float | None
    is_stream: bool

    @property
    def applied(self) -> str:
        """The header `Preference-Applied`, for an answer that came before the run's end."""
        return "respond-async" if self.wait is None else f"respond-async, wait={self.wait:.0f}"


def caller(request: Request, service: Service) -> Key:
    """Return whose request it is, and count it. Raises Problem `no-key`, `too-many-requests`."""
    if not service.keys.are_required:
        return LOCAL
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    key = service.keys.find(presented.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        service.metrics.refused("key")
        what = "the key is none of this service's" if scheme.lower() == "bearer" else "the request has no API key"
        raise Problem("no-key", what, headers={"WWW-Authenticate": "Bearer"})
    service.admit(key)
    return key


def shows_values(request: Request) -> bool:
    """Return whether events are to show the values of steps. Raises Problem for any other query than that."""
    for name, value in request.query_params.multi_items():
        if name != "values" or value not in ("true", "false"):
            raise Problem(
                "malformed-request", f"the query has {name}={value}", then="leave it out, or write values=true"
            )
    return request.query_params.get("values") == "true"


def no_query(request: Request) -> None:
    """Raise Problem where there is a query: nothing is silently left aside."""
    for name in request.query_params:
        raise Problem("malformed-request", f"there is no parameter {name!r} here", then="leave the query out")


def idempotency_key(request: Request) -> str:
    """Return the idempotency key; empty without one. Raises Problem `malformed-request`."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return ""
    if len(given) > 1 or not IDEMPOTENCY.fullmatch(given[0]):
        raise Problem("malformed-request", "an `Idempotency-Key` is one header of 1 to 255 visible ASCII characters")
    return given[0]


def preferences(request: Request) -> Preferences:
    """Return what the headers prefer. What is not understood is left aside, as RFC 7240 has it."""
    wanted = [one.strip().lower() for value in request.headers.getlist("prefer") for one in value.split(",")]
    waits = [found for one in wanted if (found := _WAIT.fullmatch(one))]
    accepted = [one.partition(";")[0].strip().lower() for one in request.headers.get("accept", "").split(",")]
    return Preferences("respond-async" in wanted, float(waits[0][1]) if waits else None, EVENT_STREAM in accepted)
