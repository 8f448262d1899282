"""Identical calls of a model are made once, by whatever run of whatever batch: their replies are kept in a file.

A call is identical to another one where the model (the entry of the configuration, without its key) and all that it is
sent are. Calls that sample are a policy of the batch: under `seeded` a reply is shared by calls of the same seed, which
differ in runs, steps and samples, so that a batch that is made again gets the same replies while samples of one run
never collapse into one; under `fresh` it is shared by nobody. Only a temperature of 0 is no sampling.

What a run says that it took does not depend on the cache: a reply from it counts like any other. What was saved is
counted apart (`ReplyCache.taken`), and taken off what the batch has spent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import sys
from typing import Any, Final, Literal, NamedTuple

from masdsl.batch.base import NOTHING, Amount, EngineFault
from masdsl.config import ModelConfig
from masdsl.runtime.accounts import request_tokens, token_price
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, ModelError, Place, Places, Reply, Request, places_of

Sampled = Literal["seeded", "fresh"]
_TABLE: Final = "CREATE TABLE IF NOT EXISTS reply_v1 (key BLOB PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"
_WAIT: Final = 10_000
"""Milliseconds for which another process may write."""


class ReplyCache:
    """A file of replies by what was asked, shared by all workers of a machine.

    Raises EngineFault where the file cannot be opened. One that cannot be read or written later on is told once and not
    used any more: then calls are made.
    """

    def __init__(self, path: str, sampled: Sampled = "seeded") -> None:
        self._hits = 0
        self._saved: Amount = NOTHING
        self._path = path
        self._sampled = sampled
        self._made: dict[bytes, asyncio.Future[Reply]] = {}
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self._file: sqlite3.Connection | None = sqlite3.connect(path, isolation_level=None)
            self._file.execute(f"PRAGMA busy_timeout = {_WAIT}")
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise EngineFault(
                f"the cache {path} cannot be used ({error}); delete it, or name another file with --cache"
            ) from None

    def key(self, model: str, request: Request) -> bytes | None:
        """Return what identifies a call; None for one whose reply is nobody else's."""
        seed = None
        if request.temperature != 0:
            if self._sampled == "fresh":
                return None
            seed = request.seed
        asked = [
            model,
            request.messages,
            request.schema,
            request.max_tokens,
            request.temperature,
            request.tools,
            request.may_call,
            request.grammar,
            seed,
        ]
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"), default=dict)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    def find(self, key: bytes) -> Reply | None:
        """Return a reply that is kept; None for none, and for one that cannot be read."""
        row = self._do("SELECT reply FROM reply_v1 WHERE key = ?", (key,))
        try:
            return None if row is None else Reply(**json.loads(row[0]))
        except (ValueError, TypeError):
            return None

    def keep(self, key: bytes, reply: Reply) -> None:
        """Keep a reply; the first one stays."""
        kept = {
            "text": reply.text,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "model": reply.model,
            "finish": reply.finish,
        }
        self._do("INSERT OR REPLACE INTO reply_v1 VALUES (?, ?)", (key, json.dumps(kept)))

    async def of(self, key: bytes, model: ChatModel, request: Request) -> Reply:
        """Return the reply of a call: the one that is kept, the one that is under way, or a new one."""
        reply = self.find(key)
        other = self._made.get(key)
        if reply is None and other is not None:
            await asyncio.wait([other])
            reply = None if other.cancelled() or other.exception() is not None else other.result()
        if reply is not None:
            self._count(model, request, reply)
            return reply
        own: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._made[key] = own
        try:
            reply = await model.complete(request)
            own.set_result(reply)
        finally:
            own.cancel()
            if self._made.get(key) is own:
                del self._made[key]
        if _is_whole(reply):
            self.keep(key, reply)
        return reply

    def taken(self) -> tuple[int, Amount]:
        """Return how many calls were not made since this was last asked, and what they would have taken at least."""
        told = self._hits, self._saved
        self._hits, self._saved = 0, NOTHING
        return told

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _count(self, model: ChatModel, request: Request, reply: Reply) -> None:
        """Count a call that was not made, by the least that it can count in a run."""
        own = request_tokens(request.messages)
        tokens_in = min(reply.input_tokens or 0, own)
        tokens_out = min(reply.output_tokens or 0, request.max_tokens)
        price = token_price(model.price)
        self._hits += 1
        cost = 0 if price is None else price.of(tokens_in, tokens_out)
        self._saved = self._saved.plus(Amount(1, tokens_in + tokens_out, cost))

    def _do(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._file is None:
            return None
        try:
            row: tuple[Any, ...] | None = self._file.execute(statement, values).fetchone()
            return row
        except sqlite3.Error as error:
            self.close()
            sys.stderr.write(f"masdsl: the cache {self._path} is not used any more: {error}\n")
            return None


def identity_of(entry: ModelConfig) -> str:
    """Return what tells a model from others: its entry, but for its key, price, limits and name."""
    file: tuple[int, int] | None = None
    if entry.path:
        try:
            status = os.stat(entry.path)
            file = (status.st_size, status.st_mtime_ns)
        except OSError:
            pass
    told: tuple[object, ...] = (entry.kind, entry.model or entry.name, entry.url, entry.path, file, entry.context)
    if entry.factory:
        told += (entry.factory, entry.folder, entry.options)
    return json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)


class CachedModel(ModelAround):
    """Another model, whose identical calls are made once. A call that needs not be made needs no place either."""

    def __init__(self, model: ChatModel, identity: str, cache: ReplyCache) -> None:
        super().__init__(model)
        self._identity = identity
        self._cache = cache

    @property
    def places(self) -> Places | None:
        """What has places for the calls that are made."""
        inner = places_of(self._model)
        return None if inner is None else _PlacesForMisses(self, inner)

    def knows(self, request: Request) -> bool:
        """Whether the reply of a call is kept."""
        key = self._cache.key(self._identity, request)
        return key is not None and self._cache.find(key) is not None

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        key = self._cache.key(self._identity, request)
        if key is None:
            return await self._model.complete(request)
        return await self._cache.of(key, self._model, request)


class _PlacesForMisses(NamedTuple):
    model: CachedModel
    inner: Places

    async def enter(self, request: Request) -> Place:
        return _NoPlace() if self.model.knows(request) else await self.inner.enter(request)


class _NoPlace:
    def leave(self, answered: bool, error: ModelError | None) -> bool:
        """Nothing was taken."""
        return False


def _is_whole(reply: object) -> bool:
    """Whether a reply may be kept: an adapter may give anything."""
    return isinstance(reply, Reply) and isinstance(reply.text, str)
