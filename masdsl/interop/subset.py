"""What of a program LangGraph can say: everything else is refused where it stands, before a line is written."""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.bounds.flows import bound
from masdsl.bounds.result import FlowBound
from masdsl.check import program
from masdsl.check.program import Flow, Limits, Program
from masdsl.check.uses import statements_of
from masdsl.diagnostics.base import Diagnostic, Findings
from masdsl.diagnostics.interop import NotExported
from masdsl.node import NOWHERE, Span

LANGGRAPH = "LangGraph"


def check_langgraph(checked: Program, findings: Findings) -> bool:
    """Add a diagnostic for each part of a checked program that does not translate; return whether all of it does."""
    sources = {module.name: module.source for module in checked.modules}
    before = findings.count
    for module, diagnostic in _untranslated(checked):
        findings.add(sources[module], diagnostic)
    return findings.count == before


def _untranslated(checked: Program) -> Iterator[tuple[str, Diagnostic]]:
    if not checked.flows:
        yield (
            "",
            _refused(
                NOWHERE, "a program without a flow", "there is nothing to run", "export a program that has a flow"
            ),
        )
        return
    for tool in checked.tools:
        if tool.designs:
            yield (
                tool.module,
                _refused(
                    tool.span,
                    f"the tool `{tool.name}`",
                    "it designs a program while it runs",
                    "call agents or tools in its place, or run the program with `mas run`",
                ),
            )
    for agent in checked.agents:
        if agent.tools:
            yield (
                agent.module,
                _refused(
                    agent.span,
                    f"the agent `{agent.name}`",
                    "it decides itself which tools it uses",
                    "call the tools as steps of the flow, between two agents without tools",
                ),
            )
    bounds = bound(checked, {})
    for flow in checked.flows:
        for statement in statements_of(flow.body):
            if isinstance(statement, program.Within):
                yield (
                    flow.module,
                    _refused(
                        statement.span,
                        "`within`",
                        "nothing there refuses a step for lack of budget",
                        "take the steps out of the `within`, and bound them by the count of their loop",
                    ),
                )
        yield from budget_refusals(flow.limits, bounds.flows[flow.key], flow, LANGGRAPH)
        if flow.key in bounds.entries:
            yield from budget_refusals(checked.budget, bounds.flows[flow.key], flow, LANGGRAPH)


def budget_refusals(
    limits: Limits | None, costs: FlowBound, flow: Flow, target: str
) -> Iterator[tuple[str, Diagnostic]]:
    """Yield a refusal for a budget that a run may reach: one that holds at worst means nothing, and is left out."""
    if limits is None:
        return
    over = [
        f"{most:,} {what}"
        for what, most, limit in (
            ("calls", costs.needed.calls, limits.calls),
            ("tokens", costs.needed.tokens, limits.tokens),
        )
        if limit is not None and most > limit
    ]
    if over:
        yield (
            flow.module,
            NotExported(
                f"the budget of flow `{flow.name}`",
                target,
                f"a run may need {' and '.join(over)}, and nothing there refuses a step for lack of budget",
                "raise the budget to the worst case, which `mas cost` shows, or make fewer calls",
                span=flow.span,
            ),
        )


def _refused(span: Span, what: str, why: str, instead: str) -> NotExported:
    return NotExported(what, LANGGRAPH, why, instead, span=span)
