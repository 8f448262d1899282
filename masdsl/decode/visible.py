"""What can be used at a place of a checked program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from masdsl.check.cursor import Cursor
from masdsl.check.program import Flow, Program
from masdsl.config import Config
from masdsl.decode.typed import ITEM, Scope, Target

_NO_LIMIT: Final = 1_000
"""Calls that a program without a budget may make."""


def calls_allowed(program: Program, config: Config) -> int:
    """Return how many calls of models the budgets allow a run."""
    limits = (limit.calls for limit in (program.budget, config.ceiling) if limit is not None)
    return min((calls for calls in limits if calls is not None), default=_NO_LIMIT)


def visible(
    program: Program, cursor: Cursor, flow: Flow, most_calls: Mapping[str, int], *, left: int, nested: bool
) -> Scope:
    """Return what is visible at a cursor in a flow: names, steps that can be called, types.

    `most_calls` are the calls of each flow at worst, by key; `left` is how many fit at the place. `nested` says that a
    block is around it, so that names from outside may be given another value.
    """
    names = tuple(cursor.names.items())
    own = cursor.bound_here | {ITEM}
    return Scope(
        names=names,
        carried=tuple((name, kind) for name, kind in names if nested and name not in own),
        callables=tuple(_callables(program, most_calls, flow)),
        types=tuple(one for one in program.types if not one.module and one.name),
        returns=flow.returns,
        calls=left,
    )


def _callables(program: Program, most_calls: Mapping[str, int], inside: Flow) -> Iterator[Target]:
    for agent in program.agents:
        if not agent.module:
            yield Target(agent.name, agent.params, agent.returns, (1 + agent.retries) * (1 + agent.steps))
    for tool in program.tools:
        if not tool.module:
            yield Target(tool.name, tool.params, tool.returns, 0)
    for flow in program.flows:
        if not flow.module and flow.key != inside.key and not flow.statics:
            yield Target(flow.name, flow.params, flow.returns, most_calls[flow.key])
