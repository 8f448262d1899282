"""The HTTP application: routes, and how what happens becomes answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from masdsl.playground import pages
from masdsl.playground.desk import Desk
from masdsl.playground.gate import Address, Gate
from masdsl.playground.language import LanguageServers
from masdsl.playground.refusals import Refusal, malformed
from masdsl.serve.bodies import body_of
from masdsl.serve.inputs import read_json
from masdsl.serve.problems import Problem, json_bytes
from masdsl.version import __version__

MOST_BYTES: Final = 4 << 20
"""Bytes of a request's body."""


class Parts(NamedTuple):
    """What the application is made of."""

    address: Address
    desk: Desk
    language: LanguageServers
    tiers: Mapping[str, str]
    journal: str


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
        programs = [{"name": name, "doc": desk.doc_of(name)} for name in desk.names()]
        document = await asyncio.to_thread(desk.opened, desk.first)
        return answer(
            {
                "version": __version__,
                "programs": programs,
                "document": document,
                "root": desk.root,
                "tiers": self._parts.tiers,
                "journal": self._parts.journal,
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
