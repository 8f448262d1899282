"""Runs in a world whose model is real and answers on this machine: each call is made once, with the time that it took.

Replies are kept in `calls.db` (`masdsl.batch.cache`: the same model, request and seed is the same call), and the
seconds of each call in `seconds.jsonl` beside it. A run counts what its calls took when they were made, also those that
another run had made before it: five samples of a chain of thought are the first five of nine, whoever asked first. So
what a system takes does not hang on the order of an experiment, and one that was killed goes on at the call where it
stopped.

Seconds of the processor are those of this process while a call was under way; calls wait for each other. What a tool
takes (the sandbox is another process) counts by the clock for both.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.batch.cache import CachedModel, ReplyCache, identity_of
from masdsl.config import Config, ModelConfig
from masdsl.meta.emission import Terms
from masdsl.meta.fallback import simplest
from masdsl.meta.host import fit_of
from masdsl.meta.roles import Desk, Generator
from masdsl.runtime import Limits, Result
from masdsl.runtime.models.around import Lent, ModelAround
from masdsl.runtime.models.base import ChatModel, ModelResolver, Reply, Request
from masdsl.runtime.models.limits import LimitedModel, Limiter, Rates
from masdsl.runtime.models.registry import Models
from training.data.pools import Query
from training.experiments.parts.running import Did, World
from training.stage.faults import TrainingFault

GRADER: Final = "numeric"
REPLY_TOKENS: Final = 240
TEXT_CHARACTERS: Final = 100
"""What a reply of an agent may have at most, and each text of a typed one. Without it a quarter of SmolLM2's typed
replies run on to 1,692 tokens (12 calls of `maslab_cot`: 13 s in the mean, 0.9 s in the median)."""


class Took(NamedTuple):
    """Seconds of the processor, and of the clock."""

    cpu: float = 0.0
    wall: float = 0.0

    def plus(self, other: Took) -> Took:
        """Return both together."""
        return Took(self.cpu + other.cpu, self.wall + other.wall)


class TimedCalls(ReplyCache):
    """The calls of an experiment in a folder: replies, and what each took. Raises EngineFault, OSError."""

    def __init__(self, folder: str) -> None:
        super().__init__(os.path.join(folder, "calls.db"))
        self._path_of_seconds = os.path.join(folder, "seconds.jsonl")
        self._took: dict[bytes, Took] = {}
        self._spent = Took()
        self.made = 0
        """How many calls were made since it was opened."""
        if os.path.exists(self._path_of_seconds):
            with open(self._path_of_seconds, encoding="utf-8") as file:
                for line in file:
                    try:
                        key, cpu, wall = json.loads(line)
                        self._took[bytes.fromhex(key)] = Took(float(cpu), float(wall))
                    except (ValueError, TypeError):  # it was killed while it wrote this line: the call is made again
                        continue

    async def of(self, key: bytes, model: ChatModel, request: Request) -> Reply:
        """Return the reply of a call, kept or new, and count what it took."""
        reply, took = self.find(key), self._took.get(key)
        if reply is not None and took is not None:
            self._spent = self._spent.plus(took)
            return reply
        cpu, wall = time.process_time(), time.monotonic()
        try:
            reply = await model.complete(request)
        finally:
            took = Took(round(time.process_time() - cpu, 3), round(time.monotonic() - wall, 3))
            self._spent = self._spent.plus(took)
            self.made += 1
        self.keep(key, reply)
        self._took[key] = took
        with open(self._path_of_seconds, "a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps([key.hex(), *took])}\n")  # a line of its own, also behind one that was cut off
        return reply

    def spent(self) -> Took:
        """Return what calls took since this was last asked."""
        told, self._spent = self._spent, Took()
        return told

    def around(self, model: ChatModel, identity: str) -> ChatModel:
        """Return a model whose calls are these, one at a time; `identity` tells it from others."""
        return Lent(CachedModel(LimitedModel(model, Limiter(Rates(at_once=1))), identity, self))


class Terse(ModelAround):
    """A model whose replies have at most REPLY_TOKENS tokens, and each text of a typed reply TEXT_CHARACTERS."""

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise `ModelError`."""
        schema = None if request.schema is None else _short_texts(request.schema)
        most = min(request.max_tokens, REPLY_TOKENS)
        return await self._model.complete(request._replace(max_tokens=most, schema=schema))


def _short_texts(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_short_texts(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {name: one if name in ("enum", "const") else _short_texts(one) for name, one in schema.items()}
    if found.get("type") == "string" and "enum" not in found:
        found["maxLength"] = min(found.get("maxLength", TEXT_CHARACTERS), TEXT_CHARACTERS)
    return found


class LocalModels:
    """The models of a configuration, their calls kept and timed."""

    def __init__(self, config: Config, folder: str, calls: TimedCalls) -> None:
        def around(model: ChatModel, entry: ModelConfig) -> ChatModel:
            return Terse(calls.around(model, identity_of(entry)))

        self._find = Models(config, folder, around)

    def of_run(self, tiers: Mapping[str, str]) -> ModelResolver:
        """Return where a run finds its models."""
        return self._find

    async def close(self) -> None:
        """Do nothing: the weights stay loaded."""


class LocalWorld(World):
    """A world whose models answer on this machine."""

    def __init__(self, folder: str, queries: Sequence[Query], calls: TimedCalls) -> None:
        """Open a world for queries of it. Raises ProgramError for a configuration with mistakes."""
        super().__init__(folder, queries, GRADER)
        self.calls = calls

    def models(self) -> LocalModels:
        """Return the models of runs."""
        return LocalModels(self.host.config, self.folder, self.calls)

    def seconds(self, result: Result) -> tuple[float, float]:
        """Return the seconds of the processor that a run took which has just ended, and those of the clock."""
        took = self.calls.spent()
        tools = sum(one.seconds for one in result.events if one.kind == "called" and one.what == "tool")
        return took.cpu + tools, took.wall + tools

    async def written(self, generator: Generator, query: Query, calls: int) -> tuple[str, bool, Did]:
        """Let a generator write a system with so many calls for a query.

        Returns its text, whether it is the generator's own (else the simplest that fits, as in a session), and what
        the writing took.
        """
        self.calls.spent()
        task, left = self.task._replace(query=query.text), Limits(calls=calls)
        desk = Desk(self.host, self.shape, left, Terms(), lambda model: self.calls.around(model, generator.name))
        said = await generator.generate(task, (), desk)
        took = self.calls.spent()
        tokens = said.spent.tokens_in + said.spent.tokens_out
        did = Did(0.0, True, 0, tokens, 0, round(took.cpu, 3), wall=round(took.wall, 3))
        texts = [("", said.text), *simplest(task, self.shape)]
        for _, text in texts:
            fit = fit_of(text, self.shape, self.host, left) if text else None
            if fit is not None and fit.program is not None and not fit.over:
                return text, text == said.text, did
        raise TrainingFault(f"no system with {calls} calls fits the query {query.id}; allow more")
