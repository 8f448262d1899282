"""Queries played by a team of meta-agents, one try for each decision, and what each role wrote.

    query --generator--> template --implementer--> system --run, where a step fails: rectifier, in the run--> answer

Greedy and in plain text. A template or binding that is none, machine fixes included, ends the query as a failure that
costs nothing; a failure without a patch that may be applied is the end of the run. Nothing takes their place.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from masdsl.diagnostics.base import Findings
from masdsl.meta.emission import Terms
from masdsl.meta.fitting import declared_tools, granted_to, roles_without_model
from masdsl.meta.host import shape_of
from masdsl.meta.library import hash_of
from masdsl.meta.roles import Desk
from masdsl.meta.systems import parsed, repairable, template, with_binding
from masdsl.meta.task import SIGNATURE, Emitted, Task
from masdsl.meta.trained import TrainedGenerator, TrainedImplementer, trained_rectifier
from masdsl.rectify import Rectifier, State
from masdsl.runtime import Limits
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, Reply, Request
from training.data.pools import Query, write_text
from training.experiments.parts.casting import CALLS, LONGEST, ROUNDS, TOOLS
from training.experiments.parts.running import Did, World
from training.trees.tree import Role

NOTHING = Did(0.0, False, 0, 0, 0, 0.0)


class Played(NamedTuple):
    """What became of a query.

    `system` is the hash of the template, empty where there is none; `fixed` says that machine fixes were needed.
    `bound` is None where there was nothing to bind. `tiers` are those of the binding, a word for each role, in order.
    `repairs` counts patches of the rectifier that may be applied, of the `did.asked` times that it was asked.
    """

    system: str
    fixed: bool = False
    bound: bool | None = None
    tiers: tuple[str, ...] = ()
    repairs: int = 0
    did: Did = NOTHING


class Remembering(ModelAround):
    """A greedy model that is asked the same thing once."""

    def __init__(self, model: ChatModel) -> None:
        super().__init__(model)
        self._known: dict[tuple[Any, int], Reply] = {}

    async def complete(self, request: Request) -> Reply:
        """Answer as before, or ask. Raises ModelError."""
        key = request.messages, request.max_tokens
        if key not in self._known:
            self._known[key] = await self._model.complete(request)
        return self._known[key]


def terms_of(role: Role) -> Terms:
    """Return how a player is asked: once, greedily, in plain text."""
    return Terms(
        tries=1, temperature=0.0, reply_tokens=LONGEST[role], reasoning_tokens=0, constrained=False, timeout=600
    )


def played(
    models: Mapping[Role, ChatModel], queries: Sequence[Query], world: World, quiet: dict[tuple[str, str], Did]
) -> list[Played]:
    """Return what becomes of queries in a world with a model in each role.

    `quiet` are runs of this world in which nobody asked a rectifier, by system and query: they are the same whoever
    it is, and are not made again; new ones are put there.
    """
    return [_played(models, query, world, quiet) for query in queries]


def _played(models: Mapping[Role, ChatModel], query: Query, world: World, quiet: dict[tuple[str, str], Did]) -> Played:
    task = Task(query.text, SIGNATURE, Limits(calls=CALLS), TOOLS)
    host = granted_to(world.host, declared_tools(task))
    shape = shape_of(task, host)

    def desk(role: Role) -> Desk:
        return Desk(host, shape, task.budget, terms_of(role), lambda model: model)

    emitted = asyncio.run(TrainedGenerator(models["generator"]).generate(task, (), desk("generator")))
    text = template(emitted.text) or emitted.text
    tree = parsed(text) if text else None
    program = None if tree is None else host.check(text, Findings())
    if tree is None or program is None:
        return Played("")
    done = Played(hash_of(tree)[:8], fixed=bool(emitted.tries[-1].fixes))
    if roles_without_model(text):
        player = TrainedImplementer(models["implementer"])
        binding = asyncio.run(player.implement(task, text, host.pool(program), desk("implementer"))).text
        bound = with_binding(text, binding) if binding else None
        if bound is None:
            return done._replace(bound=False)
        lines = [line.partition(" = ")[2] for line in binding.splitlines() if " = " in line]
        text, done = bound, done._replace(bound=True, tiers=tuple(lines))
    if (text, query.id) in quiet:
        return done._replace(did=quiet[text, query.id])
    patches: list[bool] = []

    def decided(_: State, said: Emitted) -> None:
        patches.append(bool(said.text))

    rectifier = trained_rectifier(models["rectifier"], host.config, lambda: terms_of("rectifier"), decided)
    did = run(text, query, world, rectifier)
    if not did.asked:
        quiet[text, query.id] = did
    return done._replace(did=did, repairs=sum(patches))


def run(text: str, query: Query, world: World, rectifier: Rectifier | bool) -> Did:
    """Run a bound system on a query, with so many repairs as in trees."""
    limits = Limits(calls=CALLS)
    return world.runs(repairable(text, ROUNDS), [query], seed=0, rectifier=rectifier, limits=limits)[0]


def read_played(path: str) -> list[Played] | None:
    """Return what is there already; None where nothing is."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [Played(**{**row, "tiers": tuple(row["tiers"]), "did": Did(**row["did"])}) for row in rows]


def write_played(found: Sequence[Played], path: str) -> None:
    """Keep what became of queries. Raises OSError."""
    write_text(path, "".join(json.dumps({**one._asdict(), "did": one.did._asdict()}) + "\n" for one in found))
