"""What holds for every request, before anything looks at it: names, origins, sizes; and what no answer may show.

Without keys, whoever reaches the service may use it. It listens on loopback only then, and browsers are kept from being
made to call it: by a name that a stranger's DNS points here (the `Host` header must be an address of this machine), and
from a stranger's page (an `Origin` must be the service's own).
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from masdsl.serve.metrics import Metrics
from masdsl.serve.problems import PROBLEM_JSON, Problem, json_bytes

_log: Final = logging.getLogger("masdsl.serve")
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Guard:
    """The outermost layer of the service. `hosts` are the names that it answers to, besides addresses of loopback.

    With `is_open` (no keys) only those and loopback are answered; else any name is, where `hosts` is empty.
    """

    def __init__(self, app: ASGIApp, *, is_open: bool, hosts: Collection[str], metrics: Metrics) -> None:
        self._app = app
        self._is_open = is_open
        self._hosts = frozenset(host.lower() for host in hosts)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in HEADERS if name not in names]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        try:
            problem = self._refusal(scope)
            if problem is not None:
                await problem.response()(scope, receive, watched)
            else:
                await self._app(scope, receive, watched)
        except OSError:  # the caller went away
            pass
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if not status:
                await _internal(watched)
        finally:
            route = scope.get("route")
            self._metrics.answered(scope["method"], getattr(route, "path", ""), status)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        hosts = headers.get(b"host", [])
        if len(hosts) != 1:
            return Problem("malformed-request", "there has to be one `Host` header")
        host = hosts[0].decode("latin-1").lower()
        name = _without_port(host)
        if name not in self._hosts and (self._hosts or self._is_open) and not is_loopback(name):
            return Problem("wrong-host", f"the `Host` header says {name!r}")
        if self._is_open:
            for origin in headers.get(b"origin", []):
                if origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}"):
                    return Problem("forbidden", "a page of another origin may not use this service")
        return None


def is_loopback(name: str) -> bool:
    """Whether a host is this machine alone, by its address or as `localhost`."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if host.count(":") == 1 else host


async def _internal(send: Send) -> None:
    """Say that something went wrong, and nothing of what."""
    body = json_bytes(Problem("internal", "what happened is in the log of the service").to_json())
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
