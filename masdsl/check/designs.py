"""Tools that design systems: used by flows alone, and only where a slice of the budget says what a design may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from masdsl.check.program import Block, Flow, Invoke, Limits, Program, Statement, Tool, Within
from masdsl.check.uses import blocks_of, invokes, right_sides
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.tools import DesignByAgent, DesignWithoutLimit
from masdsl.node import Span
from masdsl.source import Source

NEEDED: Final = ("calls", "tokens")
"""What has to be limited: the seconds of a use are, and money follows from tokens."""


def check_designs(program: Program, findings: Findings) -> None:
    """Report tools that design where nothing limits what they may take, or in the hands of an agent."""
    designing = {tool.key: tool for tool in program.tools if tool.designs}
    if not designing:
        return
    sources = {module.name: module.source for module in program.modules}
    seen: set[tuple[str, Span]] = set()
    for agent in program.agents:
        for key in agent.tools:
            if key in designing and (agent.module, agent.span) not in seen:
                seen.add((agent.module, agent.span))
                source = sources[agent.module]
                findings.add(source, DesignByAgent(designing[key].name, agent.name, span=_head(source, agent.span)))
    for flow in program.flows:
        for statement, step, slices in _uses(flow, designing):
            missing = tuple(name for name in NEEDED if not any(getattr(one, name) is not None for one in slices))
            if missing and (flow.module, step.span) not in seen:
                seen.add((flow.module, step.span))
                name = designing[step.callee].name
                findings.add(sources[flow.module], DesignWithoutLimit(name, missing, statement.span, span=step.span))


def _uses(flow: Flow, designing: dict[str, Tool]) -> Iterator[tuple[Statement, Invoke, tuple[Limits, ...]]]:
    """Yield the steps of a flow that design, with their statements and the limits around them."""

    def within(block: Block, slices: tuple[Limits, ...]) -> Iterator[tuple[Statement, Invoke, tuple[Limits, ...]]]:
        for node in block:
            for side in right_sides((node,)):
                yield from ((node, step, slices) for step in invokes(side) if step.callee in designing)
            inside = (*slices, node.limits) if isinstance(node, Within) else slices
            for inner in blocks_of(node):
                yield from within(inner, inside)

    return within(flow.body, () if flow.limits is None else (flow.limits,))


def _head(source: Source, span: Span) -> Span:
    end = source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.start, end)
