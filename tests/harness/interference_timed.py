"""The oracle of trust labels on compiled programs, whose steps run at the same time, in virtual time.

How long agents and tools take follows from what they are asked. Uses of tools with an effect are compared in their
order; other tools and models are asked at the same time, so of these only what they are asked counts.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from masdsl import pipeline
from masdsl.runtime import RunFailed
from masdsl.runtime.failures import StepFailed
from masdsl.runtime.loader import load_module
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.runtime.stand_in import GivenReply
from masdsl.trust.policy import entries
from tests.harness import virtual_time
from tests.harness.interference import SHAPES, Subject, inputs_of, questions
from tests.harness.world import value_of


class Seen(NamedTuple):
    """What was seen of a run: effects in order, everything else; and whether it ended early."""

    effects: tuple[str, ...]
    others: Counter[str]
    is_early: bool


class _Outside:
    """Models and tools, in one world. An agent answers at once, as if it had used its tools before."""

    name = "outside"
    price = None

    def __init__(self, subject: Subject, seed: int, salts: Mapping[str, int], watched: frozenset[str]) -> None:
        self._tools_of = {agent.name: agent.tools for agent in subject.program.agents}
        self._blind = frozenset(subject.trust.endorse)
        self._seed = seed
        self._salts = salts
        self._watched = watched
        self.effects: list[str] = []
        self.others: Counter[str] = Counter()

    async def complete(self, request: Request) -> Reply:
        """Answer as an agent, after a while."""
        asked = [message.content for message in request.messages]
        if request.agent in self._watched:
            self.others[json.dumps([request.agent, asked])] += 1
        digest = self._digest(request.agent, [asked, request.attempt])
        await asyncio.sleep(1 + digest[20] % 9)
        if digest[0] % 6 == 0:
            raise ModelError("refused", "it does not want to", billed=True)
        name = request.agent
        value = value_of(name.removeprefix("ask_").removeprefix("bare_") if "_" in name else "text", digest)
        return GivenReply(str(value), model=self.name, value=value)

    async def close(self) -> None:
        """Nothing is held."""

    def tool(self, name: str, effect: bool) -> Callable[..., Any]:
        """Return a tool."""

        async def function(**inputs: Any) -> Any:
            if name in self._watched:
                use = json.dumps([name, {key: inputs[key] for key in inputs if (name, key) not in self._blind}])
                if effect:
                    self.effects.append(use)
                else:
                    self.others[use] += 1
            digest = self._digest(name, [sorted(inputs.items())])
            await asyncio.sleep(1 + digest[20] % 9)
            if digest[0] % 6 == 0:
                raise StepFailed(name, "it does not want to")
            return value_of(SHAPES.get(name, name), digest)

        return function

    def _digest(self, name: str, what: Any) -> bytes:
        salts = [self._salts.get(one, 0) for one in (name, *self._tools_of.get(name, ()))]
        text = json.dumps([self._seed, name, salts, what], sort_keys=True)
        return sha256(text.encode("utf-8", "surrogatepass")).digest()


def seen(
    subject: Subject, compiled: Any, seed: int, salts: Mapping[str, int], watched: frozenset[str], flow: str, asked: str
) -> Seen:
    """Run a flow of a compiled program in one world."""
    outside = _Outside(subject, seed, salts, watched)
    tools = {tool.granted_as: outside.tool(tool.name, tool.effect) for tool in subject.program.tools}
    inputs = inputs_of(subject.program.flow(flow), seed, asked)

    async def run() -> bool:
        try:
            await compiled.run(flow, inputs, models=outside, tools=tools)
        except RunFailed:
            return True
        return False

    is_early = virtual_time.run(run())
    return Seen(tuple(outside.effects), outside.others, is_early)


def same(one: Seen, other: Seen, endings: bool) -> bool:
    """Whether who watches two runs cannot tell them apart."""
    if (not one.is_early and not other.is_early) or endings:
        return one.effects == other.effects and one.others == other.others
    short, long = sorted((one, other), key=lambda run: (not run.is_early, len(run.effects)))
    if long.is_early:
        return long.effects[: len(short.effects)] == short.effects
    return long.effects[: len(short.effects)] == short.effects and short.others <= long.others


def interferes(subject: Subject, worlds: int = 6, seeds: int = 1) -> bool:
    """Whether some world is seen that shows what must not be seen."""
    compiled = load_module(pipeline.build(subject.program).text, {}).PROGRAM
    for differing, watched, asks in questions(subject):
        for flow in entries(subject.program):
            for seed in range(seeds):
                runs = [
                    seen(
                        subject,
                        compiled,
                        seed,
                        dict.fromkeys(differing, number),
                        watched,
                        flow.key,
                        f"q{number * asks}",
                    )
                    for number in range(worlds)
                ]
                if any(not same(runs[0], other, subject.trust.endings) for other in runs[1:]):
                    return True
    return False
