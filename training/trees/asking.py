"""A meta-agent's model, whose replies a journal keeps: a tree that is grown again asks only what nobody has answered.

The replies of a tree are the rows of a run of their own in the journal, by node and by what was asked. Failures are
not kept: what was lost to an outage is asked again by the next growth of the tree.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from masdsl import __version__
from masdsl.journal import Journal, JournalBusy, RunHeader, UnknownRun
from masdsl.journal.base import SESSION, OpenRun
from masdsl.meta.records import CALL, asked_of, clean
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, ErrorKind, ModelError, Reply, Request

PATIENCE: Final = 30.0
"""Seconds to wait for a run whose former owner has not been found dead yet."""
_PAUSE: Final = 0.1
_OWN_FAULT: Final[frozenset[ErrorKind]] = frozenset({"refused", "too_long", "too_large", "bad_request"})
"""Failures that come of what was asked: the same request fails again."""


async def taken_over(journal: Journal, run: str) -> OpenRun:
    """Resume a run, which may wait for the end of a dead owner's claim. Raises JournalError."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return journal.resume(run)
        except JournalBusy:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_PAUSE)


class Replies:
    """What the meta-agents of a tree have said, in a run of its own."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._kept: dict[tuple[str, str], dict[str, Any]] = {
            (row.path, row.body["asked"]): row.body for row in run.rows() if row.kind == CALL
        }

    @classmethod
    async def opened(cls, journal: Journal, name: str, query: str, seed: int) -> Replies:
        """Open the run of a tree, or begin it. Raises JournalError."""
        try:
            journal.read(name)
        except UnknownRun:
            header = RunHeader(name, SESSION, {}, "main", {"query": clean(query)}, seed, "frozen", 0.0, __version__)
            return cls(journal.create(header._replace(created=time.time())))
        return cls(await taken_over(journal, name))

    def take(self, node: str, asked: str) -> dict[str, Any] | None:
        """Return the reply to what was asked at a node; None where there is none."""
        return self._kept.get((node, asked))

    async def keep(self, node: str, body: dict[str, Any]) -> None:
        """Keep a reply. Raises JournalError."""
        await self._run.append(CALL, node, body=body)

    async def close(self) -> None:
        """Give the run back."""
        await self._run.close()


class AskedModel(ModelAround):
    """The model of a meta-agent at one node. `said` are its replies; `is_lost` says that the last call had none.

    Scripted models find the node as the step of the request, and the role as its agent.
    """

    def __init__(self, model: ChatModel, replies: Replies, role: str, node: str, room: asyncio.Semaphore) -> None:
        super().__init__(model)
        self._replies = replies
        self._role = role
        self._node = node
        self._room = room
        self.said: list[str] = []
        self.is_lost = False

    async def complete(self, request: Request) -> Reply:
        """Answer from the journal, or ask the model and keep what it says. Raises ModelError."""
        request = request._replace(agent=self._role, step=self._node)
        asked = asked_of(request)
        kept = self._replies.take(self._node, asked)
        if kept is None:
            self.is_lost = True
            async with self._room:
                reply = await self._answer(request)
            kept = {
                "asked": asked,
                "text": clean(reply.text),
                "tokens_in": reply.input_tokens,
                "tokens_out": reply.output_tokens,
                "model": reply.model,
                "finish": reply.finish,
            }
            await self._replies.keep(self._node, kept)
        self.is_lost = False
        self.said.append(kept["text"])
        return Reply(kept["text"], kept["tokens_in"], kept["tokens_out"], kept["model"], kept["finish"])

    async def _answer(self, request: Request) -> Reply:
        try:
            return await self._model.complete(request)
        except ModelError as error:
            self.is_lost = error.kind not in _OWN_FAULT
            raise

    async def close(self) -> None:
        """Do nothing: the model belongs to whoever made it."""
