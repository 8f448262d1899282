"""The HTTP application: routes, and how what happens becomes answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from masdsl.diagnostics import catalogue
from masdsl.playground import pages
from masdsl.playground.desk import Desk
from masdsl.playground.gate import Address, Gate
from masdsl.playground.language import LanguageServers
from masdsl.playground.refusals import Refusal, malformed, not_found
from masdsl.playground.runs import Runs
from masdsl.playground.workers import Workers
from masdsl.serve.bodies import body_of
from masdsl.serve.inputs import read_json
from masdsl.serve.problems import Problem, json_bytes
from masdsl.serve.streaming import EVENT_STREAM, HEADERS
from masdsl.version import __version__

MOST_BYTES: Final = 4 << 20
"""Bytes of a request's body."""


class Parts(NamedTuple):
    """What the application is made of. `journal` is where runs are kept (None: the user's own), as workers open it."""

    address: Address
    desk: Desk
    language: LanguageServers
    workers: Workers
    runs: Runs
    tiers: Mapping[str, str]
    journal: str | None
    journal_name: str
    is_scripted: bool


def application(parts: Parts) -> Gate:
    """Return the application, behind its gate."""
    routes = Routes(parts)
    app = Starlette(
        routes=[
            Route("/", routes.index, methods=["GET"]),
            Route("/page/{name}", routes.static, methods=["GET"]),
            Route("/api/start", routes.start, methods=["GET"]),
            Route("/api/programs/{name}", routes.program, methods=["GET"]),
            Route("/api/save", routes.save, methods=["POST"]),
            Route("/api/look", routes.look, methods=["POST"]),
            Route("/api/graph", routes.graph, methods=["POST"]),
            Route("/api/diff", routes.diff, methods=["POST"]),
            Route("/api/runs", routes.recent, methods=["GET"]),
            Route("/api/runs", routes.begin, methods=["POST"]),
            Route("/api/runs/{run}", routes.show, methods=["GET"]),
            Route("/api/runs/{run}/events", routes.events, methods=["GET"]),
            Route("/api/runs/{run}/stop", routes.stop, methods=["POST"]),
            Route("/api/runs/{run}/resume", routes.resume, methods=["POST"]),
            Route("/api/runs/{run}/step", routes.step, methods=["GET"]),
            Route("/api/explain/{code}", routes.explain, methods=["GET"]),
            Route("/api/runs/{run}/report", routes.report, methods=["GET"]),
            WebSocketRoute("/lsp", parts.language.serve),
        ],
        exception_handlers={Refusal: _refused, Problem: _problem, HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False
    return Gate(app, parts.address)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


async def _problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Refusal(
        error.status_code, error.detail, f"{request.method} is no request of the page", "reload it"
    ).response()


class Routes:
    """What the paths do."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._saving = asyncio.Lock()

    # ---------------------------------------------------------------- the page

    async def index(self, request: Request) -> Response:
        """Answer with the page."""
        return pages.index(self._parts.address.authority)

    async def static(self, request: Request) -> Response:
        """Answer with a file of the page."""
        return pages.static(request.path_params["name"])

    # ---------------------------------------------------------------- programs

    async def start(self, request: Request) -> Response:
        """Answer with all that the page begins with."""
        desk = self._parts.desk
        programs, document = await asyncio.to_thread(lambda: (desk.listed(), desk.opened(desk.first)))
        return answer(
            {
                "version": __version__,
                "programs": programs,
                "document": document,
                "root": desk.root,
                "tiers": self._parts.tiers,
                "journal": self._parts.journal_name,
                "scripted": self._parts.is_scripted,
            }
        )

    async def program(self, request: Request) -> Response:
        """Answer with a program to choose."""
        desk = self._parts.desk
        return answer(await asyncio.to_thread(desk.opened, desk.named(request.path_params["name"])))

    async def save(self, request: Request) -> Response:
        """Write the text to its file."""
        body = await fields(request, uri=str, text=str, hash=str)
        async with self._saving:
            digest = await asyncio.to_thread(self._parts.desk.save, body["uri"], body["text"], body["hash"])
        return answer({"hash": digest})

    async def look(self, request: Request) -> Response:
        """Answer what is wrong with a text, and what its flows take and may cost."""
        body = await fields(request, uri=str, text=str)
        path = self._parts.desk.path_of(body["uri"])
        return answer(await self._parts.workers.ask("look", path=path, text=body["text"]))

    async def graph(self, request: Request) -> Response:
        """Answer with the picture of a text, or of a run."""
        body = await fields(request, uri=str, text=str, run=object)
        path = self._parts.desk.path_of(body["uri"])
        run = body.get("run")
        if run is None:
            return answer(await self._parts.workers.ask("graph", path=path, text=body["text"]))
        await self._parts.runs.check(str(run))
        return answer(await self._parts.workers.ask("graph", run=str(run), journal=self._parts.journal))

    async def diff(self, request: Request) -> Response:
        """Answer how two texts differ."""
        body = await fields(request, uri=str, before=str, after=str)
        path = self._parts.desk.path_of(body["uri"])
        return answer(await self._parts.workers.ask("diff", path=path, before=body["before"], after=body["after"]))

    # ---------------------------------------------------------------- runs

    async def begin(self, request: Request) -> Response:
        """Begin a run."""
        body = await fields(request, uri=str, text=str, flow=str, inputs=dict, models=object)
        path = self._parts.desk.path_of(body["uri"])
        models = body.get("models") or {}
        if not isinstance(models, dict) or not all(isinstance(one, str) and one for one in models.values()):
            raise malformed("the field 'models' says which model is behind which tier")
        run = await self._parts.runs.begin(path, body["text"], body["flow"], body["inputs"], models)
        return answer({"run": run}, 202)

    async def recent(self, request: Request) -> Response:
        """Answer with the runs of this folder's programs."""
        return answer(await self._parts.runs.recent())

    async def show(self, request: Request) -> Response:
        """Answer how a run stands."""
        return answer(await self._parts.runs.status(request.path_params["run"]))

    async def events(self, request: Request) -> Response:
        """Answer with a run's events, as they come."""
        run, seen = request.path_params["run"], request.headers.get("last-event-id", "")
        stream = self._parts.runs.events(run, seen)
        if stream is None:
            stream = await self._parts.runs.past_events(run, seen)
        return StreamingResponse(stream, headers=HEADERS, media_type=EVENT_STREAM)

    async def stop(self, request: Request) -> Response:
        """Let no further step of a run begin."""
        await fields(request)
        self._parts.runs.stop(request.path_params["run"])
        return answer({"run": request.path_params["run"]}, 202)

    async def resume(self, request: Request) -> Response:
        """Let a run go on, as it is, as another text says, or by a patch."""
        body = await fields(request, text=object, patch=object)
        if len(body) > 1 or not all(isinstance(one, str) for one in body.values()):
            raise malformed("give `text` or `patch`, as text, or neither")
        run = request.path_params["run"]
        begun = await self._parts.runs.resume(run, body.get("text"), body.get("patch"))
        return answer(begun._asdict(), 202)

    async def step(self, request: Request) -> Response:
        """Answer with what a step of a run was asked, and what it was replied."""
        run, at = request.path_params["run"], request.query_params.get("at", "")
        await self._parts.runs.check(run)
        found = await self._parts.workers.ask("step", run=run, journal=self._parts.journal, at=at)
        if found is None:
            raise not_found(f"nothing is kept of a step {at!r}"[:300])
        return answer(found)

    async def explain(self, request: Request) -> Response:
        """Answer with the page about a diagnostic."""
        code = request.path_params["code"]
        try:
            return answer({"code": code, "text": await asyncio.to_thread(catalogue.explain, code)})
        except catalogue.UnknownCode as unknown:
            raise not_found(str(unknown)) from None

    async def report(self, request: Request) -> Response:
        """Answer with the page about a run."""
        run = request.path_params["run"]
        await self._parts.runs.check(run)
        found = await self._parts.workers.ask("report", run=run, journal=self._parts.journal)
        return pages.report(found["html"])


async def fields(request: Request, **wanted: type) -> dict[str, Any]:
    """Return the fields of a body that is a JSON object with these and no others. Raises Refusal and Problem.

    A field whose type is `object` may be left out, or be anything.
    """
    data = read_json(await body_of(request, MOST_BYTES) or b"{}")
    if not isinstance(data, dict):
        raise malformed("the body has to be a JSON object")
    for name in data:
        if name not in wanted:
            raise malformed(f"the body has a field {name!r} that is none of {', '.join(wanted)}"[:300])
    for name, kind in wanted.items():
        if kind is not object and not isinstance(data.get(name), kind):
            raise malformed(f"the field {name!r} has to be there, as {kind.__name__}")
    return data


def answer(data: Any, status: int = 200) -> Response:
    """Return JSON data as an answer."""
    return Response(json_bytes(data), status, media_type="application/json")
