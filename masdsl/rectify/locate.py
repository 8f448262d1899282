"""From the address of a step in a run to the statements of the program that lead there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from masdsl.check.program import Bind, Flow, Invoke, Program, Return, Statement
from masdsl.check.uses import invokes, statements_of


class Place(NamedTuple):
    """A step as one flow on the way to it sees it: the statement it stands in, and what that calls there."""

    flow: Flow
    statement: Bind | Return
    step: Invoke


def trail(program: Program, flow: Flow, address: str) -> tuple[Place, ...]:
    """Return the steps that lead to the one at `address` of a run that began with `flow`, the outermost first.

    Indices do not count. A tool that an agent uses is found as the agent's step. Empty where there is no such step.
    """
    by_key = {one.key: one for one in program.flows}
    path = address.partition("[")[0]
    head, dot, rest = path.partition(".")
    path = f"{flow.name}{dot}{rest}" if head else path
    found: list[Place] = []
    while True:
        place = _longest(flow, path)
        if place is None:
            return tuple(found)
        found.append(place)
        inner = by_key.get(place.step.callee) if place.step.kind == "flow" else None
        if inner is None or path == place.step.path:
            return tuple(found)
        path, flow = inner.name + path[len(place.step.path) :], inner


def _longest(flow: Flow, path: str) -> Place | None:
    fitting = [one for one in steps(flow) if path == one.step.path or path.startswith(f"{one.step.path}.")]
    return max(fitting, key=lambda one: len(one.step.path), default=None)


def steps(flow: Flow) -> Iterator[Place]:
    """Yield all steps of a flow, in order of the text."""
    for statement in statements_of(flow.body):
        if isinstance(statement, Bind | Return):
            for step in invokes(statement.value):
                yield Place(flow, statement, step)


def step_statements(flow: Flow) -> Iterator[tuple[str, Statement]]:
    """Yield the statements of a flow that have an address, with it."""
    for statement in statements_of(flow.body):
        path = getattr(statement, "path", None)
        if path is not None:
            yield path, statement


class Sites:
    """The paths of all steps that a run of a flow can come to, asked one by one: `path in Sites(program, flow)`."""

    def __init__(self, program: Program, flow: Flow) -> None:
        self._program = program
        self._flow = flow
        self._agents = {agent.key: agent for agent in program.agents}
        self._tools = {tool.key: tool.name for tool in program.tools}
        self._designing = frozenset(tool.key for tool in program.tools if tool.designs)

    def __contains__(self, path: object) -> bool:
        """Whether there is a step at that path; uses of tools by agents are steps, and what a design comes to."""
        if not isinstance(path, str):
            return False
        places = trail(self._program, self._flow, path)
        if not places:
            return False
        step = places[-1].step
        whole = self._rest(places, path)
        if whole == step.path or step.callee in self._designing:
            return True
        agent = self._agents.get(step.callee) if step.kind == "agent" else None
        used = whole[len(step.path) + 1 :]
        return agent is not None and used in [self._tools[key] for key in agent.tools]

    def _rest(self, places: tuple[Place, ...], path: str) -> str:
        """Return a path as the innermost flow on the way sees it."""
        rest = f"{self._flow.name}.{path.partition('.')[2]}"
        for place, inner in pairwise(places):
            rest = inner.flow.name + rest[len(place.step.path) :]
        return rest
