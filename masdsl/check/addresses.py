"""From the address of a step in a run to the places of the program that it names.

A run's address goes through all flows from the one it began with: `main.answer.draft` is the step `draft` of the flow
that `main.answer` calls. Seen from that flow alone it is `answer.draft`, say, if the flow is called `answer`.
"""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.program import Block, Invoke, Program
from masdsl.check.tests_of import invokes
from masdsl.node import Span


class Place(NamedTuple):
    """A step seen from one of the flows around it: its address there, and where it (or the call that leads to it)
    stands.
    """

    address: str
    module: str
    span: Span


def places(program: Program, block: Block, address: str) -> tuple[Place, ...]:
    """Return the step at `address` (indices do not count) as seen from each flow on the way, the outermost first.

    `block` is the body that the address begins in. Empty where there is no such step.
    """
    by_key = {flow.key: flow for flow in program.flows}
    path, module = address.partition("[")[0], ""
    found: list[Place] = []
    while True:
        step = _step(block, path)
        if step is None:
            return tuple(found)
        found.append(Place(path, module, step.span))
        flow = by_key.get(step.callee) if step.kind == "flow" else None
        if flow is None or path == step.path:
            return tuple(found)
        path, block, module = flow.name + path[len(step.path) :], flow.body, flow.module


def _step(block: Block, path: str) -> Invoke | None:
    """Return the step that a path names or leads through; the tools that an agent uses are steps below its own."""
    fitting = [step for step in invokes(block) if path == step.path or path.startswith(f"{step.path}.")]
    return max(fitting, key=lambda step: len(step.path), default=None)
