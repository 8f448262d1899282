"""A program as a flow of Open Agent Specification: `mas export --to agent-spec`. The inverse is `agent_spec_import`.

A step is a node (LlmNode, ToolNode, FlowNode), an argument that is a name is an edge of data, one that is a constant
is the default of an input; branches, loops, maps and fallbacks are nodes and ways between them (`agent_spec_flow`), and
what is computed is a tool (`agent_spec_values`). What only masdsl knows (tiers, grants, roles, retries, expressions)
stands in `metadata` under `masdsl`, which other runtimes pass over. Ids are addresses, so that the same program gives
the same document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from masdsl.bounds.flows import bound
from masdsl.check import program
from masdsl.check.program import Flow, Program
from masdsl.check.uses import invokes, right_sides, statements_of
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.interop import NotExported
from masdsl.interop.agent_spec_flow import Callees, FlowGraph
from masdsl.interop.agent_spec_parts import Component
from masdsl.interop.subset import budget_refusals
from masdsl.lower.lower import effects_of
from masdsl.source import Source
from masdsl.types import Record

TARGET: Final = "Agent Spec"
VERSION: Final = "25.4.2"
"""The edition of the specification that is written: the first with structured replies and parallel maps."""
VERSION_WITH_CATCH: Final = "26.1.2"
"""The first edition with CatchExceptionNode, which is what `else` needs."""
_FLOW: Final = "export a program that has a flow"


def export(checked: Program, findings: Findings, entry: str = "") -> Component | None:
    """Return the document of a flow as plain data: that of the key `entry`, else `main`, else the program's last one.

    None, with a diagnostic for each part that does not translate, where it has no such document.
    """
    sources = {module.name: module.source for module in checked.modules}
    main = checked.flow(entry) if entry else main_of(checked)
    if main is None:
        source = next(iter(sources.values()), Source("", ""))
        findings.add(source, NotExported("a program without a flow", TARGET, "there is nothing to run", _FLOW))
        return None
    flows = reached(checked, main)
    bounds = bound(checked, {})
    written: dict[str, Component] = {}
    callees = Callees(
        {agent.key: agent for agent in checked.agents},
        {tool.key: tool for tool in checked.tools},
        {flow.key: flow for flow in checked.flows},
        frozenset(effects_of(checked)),
    )
    for flow in flows:
        for limits in (flow.limits, checked.budget if flow is main else None):
            for module, diagnostic in budget_refusals(limits, bounds.flows[flow.key], flow, TARGET):
                findings.add(sources[module], diagnostic)
        if flow is main and flow.has_default:
            why = "nothing catches there what fails for good"
            what = f"the default of flow `{flow.name}`"
            findings.add(sources[flow.module], NotExported(what, TARGET, why, "leave it out", span=flow.span))
        graph = FlowGraph(flow, callees, named=flow is main and _gives_names(flow))
        made = graph.component()
        for refused in graph.refused:
            findings.add(sources[refused.module], refused.diagnostic)
        if not graph.refused:
            written[flow.key] = made
    if not findings.ok:
        return None
    version = VERSION_WITH_CATCH if '"CatchExceptionNode"' in json.dumps(written) else VERSION
    document = written.pop(main.key)
    parts = {**document["$referenced_components"], **written}
    return {**document, "$referenced_components": parts, "agentspec_version": version}


def main_of(checked: Program) -> Flow | None:
    """Return the flow that is exported: `main`, else the last one of the program itself."""
    own = [flow for flow in checked.flows if not flow.module]
    return next((flow for flow in own if flow.name == "main"), own[-1] if own else None)


def reached(checked: Program, main: Flow) -> list[Flow]:
    """Return the flows that a run of `main` may call, callees first."""
    wanted = {main.key}
    for flow in reversed(checked.flows):
        if flow.key in wanted:
            steps = [step for value in right_sides(statements_of(flow.body)) for step in invokes(value)]
            wanted |= {step.callee for step in steps if step.kind == "flow"}
    return [flow for flow in checked.flows if flow.key in wanted]


def _gives_names(flow: Flow) -> bool:
    """Return whether every `return` of a flow writes out the values of several outputs."""
    is_record = isinstance(flow.returns, Record) and flow.returns.name is None
    returned = [node.value for node in statements_of(flow.body) if isinstance(node, program.Return)]
    return is_record and all(isinstance(value, program.MakeRecord) for value in returned)


def document_text(document: Mapping[str, Any], *, as_yaml: bool = False) -> str:
    """Return a document as JSON, or as YAML. Raises ModuleNotFoundError where PyYAML is missing."""
    if as_yaml:
        import yaml

        text: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)
        return text
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
