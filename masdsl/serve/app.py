"""The HTTP application: routes, and how what the service says becomes answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from masdsl.serve import metrics as figures
from masdsl.serve.bodies import body_of
from masdsl.serve.endpoints import Endpoint
from masdsl.serve.guard import Guard
from masdsl.serve.inputs import read_body
from masdsl.serve.ledger import LedgerError
from masdsl.serve.live import Live, Outcome
from masdsl.serve.openapi import document
from masdsl.serve.problems import Problem, json_bytes
from masdsl.serve.requests import Preferences, caller, idempotency_key, no_query, preferences, shows_values
from masdsl.serve.service import Service
from masdsl.serve.streaming import EVENT_STREAM, HEADERS, ended_events, live_events

Handler = Callable[[Request], Awaitable[Response]]
_log: Final = logging.getLogger("masdsl.serve")


class Wire(NamedTuple):
    """What an application keeps to: bytes of a body, seconds between heartbeats of a stream, names it answers to."""

    most_bytes: int = 1_048_576
    heartbeat: float = 15.0
    hosts: Collection[str] = ()


def application(service: Service, wire: Wire, version: str) -> FastAPI:
    """Return the application that serves a service's flows."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        if not service.draining:  # under another server than ours, which drains by its own rules
            await service.drain(0.0, 5.0)

    app = FastAPI(
        title="masdsl",
        version=version,
        docs_url=None,  # they load scripts from a stranger's server
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    routes = Routes(service, wire)
    for endpoint in service.served.endpoints.values():
        app.add_api_route(endpoint.path, routes.call(endpoint), methods=["POST"])
    app.add_api_route("/v1/runs/{run}", routes.show, methods=["GET"])
    app.add_api_route("/v1/runs/{run}/events", routes.events, methods=["GET"])
    app.add_api_route("/v1/runs/{run}/resume", routes.resume, methods=["POST"])
    app.add_api_route("/v1/runs/{run}/stop", routes.stop, methods=["POST"])
    app.add_api_route("/healthz", routes.health, methods=["GET"])
    app.add_api_route("/readyz", routes.ready, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    app.add_api_route("/openapi.json", routes.openapi, methods=["GET"])
    routes.document = app.openapi_schema = document(service.served, version, keys=service.keys.are_required)

    @app.exception_handler(Problem)
    async def told(request: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(LedgerError)
    async def unkept(request: Request, error: LedgerError) -> Response:
        _log.error("%s", error)
        return Problem("journal-unavailable", "what runs need is not there at the moment", retry_after=5).response()

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> Response:
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "malformed-request")
        detail = f"{request.method} {request.url.path}: {error.detail}"
        return Problem(kind, detail, headers=error.headers).response()

    app.add_middleware(Guard, is_open=not service.keys.are_required, hosts=wire.hosts, metrics=service.metrics)
    return app


class Routes:
    """What the paths do."""

    def __init__(self, service: Service, wire: Wire) -> None:
        self._service = service
        self._wire = wire
        self.document: dict[str, Any] = {}

    # ---------------------------------------------------------------- runs

    def call(self, endpoint: Endpoint) -> Handler:
        """Return what answers a POST to a flow."""

        async def run_flow(request: Request) -> Response:
            service = self._service
            key = caller(request, service)
            if not key.may_call(endpoint.name):
                raise Problem("forbidden", f"the key may not call {endpoint.name}")
            wanted, idempotency = preferences(request), idempotency_key(request)
            shows_values(request)
            body = await body_of(request, self._wire.most_bytes)
            try:
                inputs = read_body(body, endpoint.parameters)
            except Problem:
                service.metrics.refused("inputs")
                raise
            is_watched = wanted.is_async or wanted.is_stream
            found = service.begin(key, endpoint, inputs, idempotency, is_watched=is_watched)
            if isinstance(found, Live) and (idempotency or wanted.is_async):
                found.is_kept = True
            return await self._answer(request, found, wanted)

        return run_flow

    async def resume(self, request: Request) -> Response:
        """Answer a POST that asks for a run to go on."""
        key = caller(request, self._service)
        wanted = preferences(request)
        shows_values(request)
        await body_of(request, self._wire.most_bytes)
        entry = self._service.find(key, request.path_params["run"])
        found = self._service.resume(key, entry)
        if isinstance(found, Live):
            found.is_kept = True
        return await self._answer(request, found, wanted)

    async def stop(self, request: Request) -> Response:
        """Answer a POST that asks for a run to be stopped."""
        key = caller(request, self._service)
        no_query(request)
        await body_of(request, self._wire.most_bytes)
        entry = self._service.find(key, request.path_params["run"])
        return _json(self._service.stop(entry), 202, {"Location": f"/v1/runs/{entry.id}"})

    async def show(self, request: Request) -> Response:
        """Answer how a run stands."""
        key = caller(request, self._service)
        no_query(request)
        return _json(self._service.status(self._service.find(key, request.path_params["run"])))

    async def events(self, request: Request) -> Response:
        """Answer with a run's events."""
        key = caller(request, self._service)
        shows_values(request)
        entry = self._service.find(key, request.path_params["run"])
        live = self._service.live(entry.id)
        if live is None:
            return self._stream(request, self._service.outcome(entry))
        return self._stream(request, live)

    async def _answer(self, request: Request, found: Live | Outcome, wanted: Preferences) -> Response:
        """Answer with a run's end, with its events, or with where it can be found."""
        if wanted.is_stream:
            return self._stream(request, found)
        if isinstance(found, Outcome):
            return _ended(found)
        if wanted.is_async:
            outcome = await found.wait(wanted.wait or 0.0)
            return _ended(outcome) if outcome is not None else _accepted(found, wanted)
        found.waiting += 1
        gone = asyncio.ensure_future(_gone(request))
        waiting = asyncio.ensure_future(found.wait())
        try:
            await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            waiting.cancel()
            found.leave()
        if found.outcome is None:
            raise Problem("malformed-request", "the caller went away")
        return _ended(found.outcome)

    def _stream(self, request: Request, found: Live | Outcome) -> Response:
        last_seen = request.headers.get("last-event-id", "")
        if isinstance(found, Outcome):
            stream = ended_events(found, last_seen)
        else:
            values = shows_values(request)
            stream = self._watched(found, live_events(found, last_seen, self._wire.heartbeat, values=values))
        run = found.entry.id
        headers = {**HEADERS, "Location": f"/v1/runs/{run}"}
        return StreamingResponse(stream, headers=headers, media_type=EVENT_STREAM)

    async def _watched(self, live: Live, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        live.waiting += 1
        live.was_read = True
        self._service.metrics.stream_began()
        try:
            async for piece in events:
                yield piece
        finally:
            self._service.metrics.stream_ended()
            live.leave()

    # ---------------------------------------------------------------- the service itself

    async def health(self, request: Request) -> Response:
        """Answer that the process is there."""
        no_query(request)
        return _json({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Answer whether runs are taken."""
        no_query(request)
        if self._service.draining:
            raise Problem("shutting-down", "the service is shutting down", retry_after=5)
        return _json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Answer with figures for Prometheus."""
        no_query(request)
        if not caller(request, self._service).metrics:
            raise Problem("forbidden", "the key may not read /metrics", then="ask the operator for `metrics = true`")
        return Response(self._service.metrics.text(), media_type=None, headers={"Content-Type": figures.CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """Answer with the OpenAPI document."""
        no_query(request)
        caller(request, self._service)
        return _json(self.document)


async def _gone(request: Request) -> None:
    """Wait until the caller goes away; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _ended(outcome: Outcome) -> Response:
    if outcome.state != "ended":
        return outcome.as_problem().response()
    return _json(outcome.to_json(), headers={"Location": f"/v1/runs/{outcome.entry.id}"})


def _accepted(live: Live, wanted: Preferences) -> Response:
    headers = {"Location": f"/v1/runs/{live.entry.id}", "Preference-Applied": wanted.applied, "Retry-After": "1"}
    from masdsl.serve.live import run_json

    return _json(run_json(live.entry, "running", live.entry.usage), 202, headers)


def _json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json_bytes(data), status, headers, "application/json")
