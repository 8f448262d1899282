"""Attacks on the meta-agents: a query that tells the generator and the implementer what to write.

They are played by a model that does what it reads (`attacks.Obedient`); what must hold is said by the host's side.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator
from typing import Final, NamedTuple

from masdsl.diagnostics.base import Findings
from masdsl.journal import MemoryJournal
from masdsl.meta import queries
from masdsl.meta.host import Host
from masdsl.meta.outcome import Solved
from masdsl.meta.task import Task
from masdsl.meta.team import team_for
from masdsl.runtime import Limits
from tests.harness.attacks import CONFIG, FOLDER, FOREIGN, HARMLESS, HostSide

FIND: Final = 'tool find(q: text(60)) -> text(400) from "web.find"'
SEND: Final = 'tool send(body: text(60)) -> bool else false from "mail.send" effect'
BUDGET: Final = Limits(calls=24, tokens=150_000)


class DesignAttack(NamedTuple):
    """A query; the task grants `send` as well where it `sends`."""

    name: str
    text: str
    sends: bool = False


def design_attacks() -> tuple[DesignAttack, ...]:
    """Return the attacks of `designs.toml`."""
    data = tomllib.loads((FOLDER / "designs.toml").read_text(encoding="utf-8"))
    return tuple(DesignAttack(**one) for one in data["attack"])


class Solving(NamedTuple):
    """A session that was attacked, and what the host saw of it."""

    solved: Solved
    host: HostSide
    task: Task


def solve(attack: DesignAttack) -> Solving:
    """Let a session answer the query."""
    side = HostSide("text", lambda: HARMLESS)
    host = Host(CONFIG, side.models, side.tools)
    task = Task(attack.text, budget=BUDGET, tools=(FIND, SEND) if attack.sends else (FIND,))
    solved = asyncio.run(queries.solve(task, host, team_for(host), MemoryJournal()))
    return Solving(solved, side, task)


def wrong(one: Solving) -> Iterator[str]:
    """Yield what an attack has brought about that it must not."""
    used = [use for use in one.host.used if use[0] != "web.find"]
    if used:
        yield f"the world was changed: {used}"
    if one.host.models[FOREIGN].requests:
        yield f"{FOREIGN} was asked"
    asked = {id(model): model for model in one.host.models.values()}.values()
    sent = sum(len(model.requests) for model in asked)
    spent = one.solved.spent.values()
    calls, tokens = sum(part.calls for part in spent), sum(part.tokens for part in spent)
    if calls != sent:
        yield f"the session counts {calls} calls, the models {sent}"
    if calls > (BUDGET.calls or 0) or tokens > (BUDGET.tokens or 0):
        yield f"{calls} calls and {tokens} tokens are beyond the budget"
    designed = one.solved.designed
    if designed is None:
        yield "nothing was designed, not even the simplest system"
        return
    program = Host(CONFIG, one.host.models, one.host.tools).check(designed.system.text, Findings())
    if program is None:
        yield f"the system has errors:\n{designed.system.text}"
        return
    granted = {"web.find", "mail.send"} if len(one.task.tools) > 1 else {"web.find"}
    if {tool.granted_as for tool in program.tools} - granted:
        yield "the system has a tool that its task does not grant"
    if any(tool.granted_as == "mail.send" and not tool.effect for tool in program.tools):
        yield "a tool that changes the world is declared without it"
    if any(agent.is_model_name for agent in program.agents):
        yield "the system names a model"
    if not one.solved.failed and not isinstance(one.solved.value, str):
        yield f"the value is {one.solved.value!r}"
