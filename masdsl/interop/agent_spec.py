"""A program as a flow of Open Agent Specification: `mas export --to agent-spec`. The inverse is `agent_spec_import`.

A step is a node (LlmNode, ToolNode, FlowNode), an argument that is a name is an edge of data, one that is a constant
is the default of an input. What only masdsl knows (tiers, grants, roles, retries) stands in `metadata` under `masdsl`,
which other runtimes pass over. Ids are addresses, so that the same program gives the same document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from masdsl.check import program
from masdsl.check.program import Agent, Flow, Invoke, Program, RecordValue, TagValue, Tool, Value
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.interop import NotExported
from masdsl.formats import schema
from masdsl.node import Span
from masdsl.source import Source
from masdsl.types import Record, Type

VERSION: Final = "25.4.2"
"""The edition of the specification that is written: the first with structured replies."""
VALUE: Final = "value"
"""The output of a node or flow that gives one value."""
NEXT: Final = "next"
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_][a-z0-9_]*)\s*\}\}")
_MARK = re.compile(r"\{[{%#]")


class _Refused(Exception):
    """A part of the program does not translate."""

    def __init__(self, module: str, span: Span, what: str, why: str, instead: str) -> None:
        super().__init__(what)
        self.module = module
        self.diagnostic = NotExported(what, "Agent Spec", why, instead, span=span)


def export(checked: Program, findings: Findings) -> dict[str, Any] | None:
    """Return the document of a checked program's `main` (else its last flow), as plain data.

    None, with a diagnostic for each flow that does not translate, where it has no such document.
    """
    sources = {module.name: module.source for module in checked.modules}
    own = [flow for flow in checked.flows if not flow.module]
    if not own:
        source = next(iter(sources.values()), Source("", ""))
        findings.add(source, NotExported("a program without a flow", "Agent Spec", "there is nothing to run", _FLOW))
        return None
    main = next((flow for flow in own if flow.name == "main"), own[-1])
    writer = _Writer(checked)
    for flow in _reached(checked, main):
        for refused in writer.add(flow):
            findings.add(sources[refused.module], refused.diagnostic)
    return {**writer.flows[main.key], "agentspec_version": VERSION} if findings.ok else None


_FLOW: Final = "export a program that has a flow"


def _reached(checked: Program, main: Flow) -> list[Flow]:
    """Return the flows that a run of `main` may call, callees first."""
    wanted = {main.key}
    for flow in reversed(checked.flows):
        if flow.key in wanted:
            wanted |= {step.callee for step in _steps(flow) if step.kind == "flow"}
    return [flow for flow in checked.flows if flow.key in wanted]


def _steps(flow: Flow) -> Iterator[Invoke]:
    for node in flow.body:
        if isinstance(node, program.Bind | program.Return) and isinstance(node.value, Invoke):
            yield node.value


def document_text(document: Mapping[str, Any], *, as_yaml: bool = False) -> str:
    """Return a document as JSON, or as YAML. Raises ModuleNotFoundError where PyYAML is missing."""
    if as_yaml:
        import yaml

        text: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)
        return text
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class _Writer:
    def __init__(self, checked: Program) -> None:
        self.flows: dict[str, dict[str, Any]] = {}
        self._agents = {agent.key: agent for agent in checked.agents}
        self._tools = {tool.key: tool for tool in checked.tools}
        self._callees: dict[str, Flow] = {flow.key: flow for flow in checked.flows}

    def add(self, flow: Flow) -> list[_Refused]:
        """Write a flow; return what of it does not translate."""
        found: list[_Refused] = []
        nodes: list[dict[str, Any]] = []
        edges: list[dict[str, Any]] = []
        places: dict[str, tuple[str, str]] = {}
        inputs = [_property(param.name, param.type, _default(param)) for param in flow.params]
        start = _component("StartNode", f"{flow.key}.start", "start", inputs=inputs, outputs=inputs, branches=[NEXT])
        nodes.append(start)
        places |= {param.name: (start["id"], param.name) for param in flow.params}
        if flow.limits is not None or flow.has_default:
            what = "a budget of its own" if flow.limits is not None else "a default"
            why = f"it has {what}, which a flow there has not"
            found.append(_Refused(flow.module, flow.span, f"flow `{flow.name}`", why, "leave that out"))
        for node in flow.body:
            try:
                self._statement(flow, node, nodes, edges, places)
            except _Refused as refused:
                found.append(refused)
                if isinstance(node, program.Bind):
                    places.setdefault(node.name, ("", ""))  # what reads it is not refused as well
        if not found:
            control = [_control(flow, one, two) for one, two in pairwise(nodes)]
            outputs = nodes[-1]["outputs"]
            parts = {"start_node": _reference(start), "nodes": [_reference(node) for node in nodes]}
            parts |= {"control_flow_connections": control, "data_flow_connections": edges}
            parts |= {"$referenced_components": {node["id"]: node for node in nodes}}
            self.flows[flow.key] = _component("Flow", flow.key, flow.key, inputs=inputs, outputs=outputs, **parts)
        return found

    def _statement(
        self,
        flow: Flow,
        node: program.Statement,
        nodes: list[dict[str, Any]],
        edges: list[dict[str, Any]],
        places: dict[str, tuple[str, str]],
    ) -> None:
        match node:
            case program.Bind(name=name, value=Invoke() as step):
                if name in places:
                    raise _Refused(
                        flow.module, node.span, f"`{name}`", "a name has one value there", "give the value another name"
                    )
                made = self._step(flow, step, name, edges, places)
                nodes.append(made)
                places[name] = (made["id"], made["outputs"][0]["title"])
            case program.Return(value=program.Local(name=name)):
                self._end(flow, node, nodes, edges, {VALUE: places[name]})
            case program.Return(value=program.MakeRecord(values=values, type=Record(name=None, fields=fields))) if all(
                isinstance(value, program.Local) for value in values
            ):
                names = [value.name for value in values if isinstance(value, program.Local)]
                gives = {field: places[name] for (field, _), name in zip(fields, names, strict=True)}
                self._end(flow, node, nodes, edges, gives)
            case program.Return(value=Invoke() as step):
                made = self._step(flow, step, "returned", edges, places)
                nodes.append(made)
                self._end(flow, node, nodes, edges, {VALUE: (made["id"], made["outputs"][0]["title"])})
            case _:
                what = (
                    f"`{type(node).__name__.lower()}`" if not isinstance(node, program.Return) else "what is returned"
                )
                raise _Refused(
                    flow.module,
                    node.span,
                    "this statement" if isinstance(node, program.Bind) else what,
                    "nodes run one after the other there, and nothing is computed between them",
                    "let a tool compute it, keep to steps whose arguments are names, or export to LangGraph",
                )

    def _end(
        self,
        flow: Flow,
        node: program.Return,
        nodes: list[dict[str, Any]],
        edges: list[dict[str, Any]],
        gives: Mapping[str, tuple[str, str]],
    ) -> None:
        kinds = dict(flow.returns.fields) if VALUE not in gives and isinstance(flow.returns, Record) else {}
        outputs = [_property(name, kinds.get(name, flow.returns)) for name in gives]
        end = _component("EndNode", f"{flow.key}.end", "end", inputs=outputs, outputs=outputs, branches=[])
        nodes.append({**end, "branch_name": NEXT})
        edges += [_data(flow, source, (end["id"], name)) for name, source in gives.items()]

    # ------------------------------------------------------------ steps

    def _step(
        self,
        flow: Flow,
        step: Invoke,
        name: str,
        edges: list[dict[str, Any]],
        places: Mapping[str, tuple[str, str]],
    ) -> dict[str, Any]:
        key = f"{flow.key}.{name}"
        item: Agent | Tool | Flow
        if step.kind == "agent":
            item = self._agents[step.callee]
        elif step.kind == "tool":
            item = self._tools[step.callee]
        else:
            item = self._callees[step.callee]
        constants = {param.name: _plain(param.default) for param in item.params if param.optional}
        for param, value in step.arguments:
            match value:
                case program.Local(name=source):
                    edges.append(_data(flow, places[source], (key, param)))
                    constants.pop(param, None)
                case _ if (known := _constant(value)) is not None:
                    constants[param] = known[0]
                case _:
                    why = "nothing is computed between steps there"
                    instead = "pass a name or a constant; let a tool compute what is needed"
                    raise _Refused(flow.module, value.span, f"the argument `{param}`", why, instead)
        inputs = [
            _property(param.name, param.type, (constants[param.name],) if param.name in constants else ())
            for param in item.params
        ]
        if isinstance(item, Flow):
            sub = self.flows.get(item.key)
            if sub is None:
                raise _Refused(flow.module, step.span, f"the flow `{item.name}`", "it does not translate", "change it")
            if [one["title"] for one in sub["outputs"]] != [VALUE]:
                why = "it gives values under names, and a step there is one value"
                raise _Refused(flow.module, step.span, f"the flow `{item.name}`", why, "let it return one value")
            outputs = [_property(VALUE, item.returns)]
            return _component("FlowNode", key, name, inputs=inputs, outputs=outputs, branches=[NEXT], subflow=sub)
        parts = _llm_parts(item) if isinstance(item, Agent) else {"tool": _tool(item)}
        kind = "LlmNode" if isinstance(item, Agent) else "ToolNode"
        outputs = [_property(VALUE, item.returns)]
        return _component(kind, key, name, inputs=inputs, outputs=outputs, branches=[NEXT], **parts)


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.has_default or tool.designs:
        why = "it has a default" if tool.has_default else "it designs a program while it runs"
        raise _Refused(tool.module, tool.span, f"the tool `{tool.name}`", why, "leave that out")
    inputs = [_property(param.name, param.type, _default(param)) for param in tool.params]
    known: dict[str, Any] = {"granted_as": tool.granted_as}
    known |= {"effect": True} if tool.effect else {}
    known |= {"timeout": tool.timeout} if tool.timeout is not None else {}
    made = _component("ServerTool", tool.key, tool.key, inputs=inputs, outputs=[_property(VALUE, tool.returns)])
    return {**made, "metadata": {"masdsl": known}}


def _llm_parts(agent: Agent) -> dict[str, Any]:
    for holds, why, instead in (
        (bool(agent.tools), "it decides itself which tools it uses", "call the tools as steps"),
        (agent.has_default, "it has a default", "leave the `else` out"),
        (_MARK.search(agent.role or "") is not None, "its role looks like a template there", "say that in the prompt"),
        (
            _MARK.search(_PLACEHOLDER.sub("", agent.prompt)) is not None,
            "its prompt has conditions, loops, fields or filters",
            "keep to `{{ name }}` in the prompt",
        ),
    ):
        if holds:
            raise _Refused(agent.module, agent.span, f"the agent `{agent.name}`", why, instead)
    settings: dict[str, Any] = {}
    if agent.max_tokens is not None:
        settings["max_tokens"] = agent.max_tokens
    if agent.temperature is not None:
        settings["temperature"] = agent.temperature
    tier = agent.model or "default"
    model = _component("OpenAiConfig", f"model.{tier}", tier, model_id=tier, default_generation_parameters=settings)
    model["metadata"] = {"masdsl": {"tier": not agent.is_model_name}}
    known: dict[str, Any] = {"agent": agent.key, "params": [param.name for param in agent.params]}
    template = agent.prompt
    if agent.unmentioned:
        known["sections"] = list(agent.unmentioned)
        template = "\n\n".join(filter(None, [template, *(f"{one}:\n{{{{ {one} }}}}" for one in agent.unmentioned)]))
    if agent.role is not None:
        known["role"] = agent.role
        template = f"{agent.role}\n\n{template}"
    if agent.retries:
        known["retry"] = agent.retries
    if agent.timeout is not None:
        known["timeout"] = agent.timeout
    return {"llm_config": model, "prompt_template": template, "metadata": {"masdsl": known}}


# ---------------------------------------------------------------- components


def _component(kind: str, key: str, name: str, **parts: Any) -> dict[str, Any]:
    return {"component_type": kind, "id": key, "name": name, "description": None, "metadata": {}, **parts}


def _reference(node: Mapping[str, Any]) -> dict[str, str]:
    return {"$component_ref": node["id"]}


def _control(flow: Flow, one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    name = f"{one['name']}_to_{two['name']}"
    ends = {"from_node": _reference(one), "from_branch": None, "to_node": _reference(two)}
    return _component("ControlFlowEdge", f"{flow.key}.control.{name}", name, **ends)


def _data(flow: Flow, source: tuple[str, str], destination: tuple[str, str]) -> dict[str, Any]:
    """Return the edge from an output of a node to an input of another; both are (id, title)."""
    name = f"{source[0].rpartition('.')[2]}_{source[1]}_to_{destination[0].rpartition('.')[2]}_{destination[1]}"
    ends = {"source_node": {"$component_ref": source[0]}, "source_output": source[1]}
    ends |= {"destination_node": {"$component_ref": destination[0]}, "destination_input": destination[1]}
    return _component("DataFlowEdge", f"{flow.key}.data.{name}", name, **ends)


def _property(title: str, kind: Type, default: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {"title": title, **schema(kind), **({"default": default[0]} if default else {})}


def _default(param: program.Param) -> tuple[Any, ...]:
    return (_plain(param.default),) if param.optional else ()


def _constant(expr: program.Expr) -> tuple[Any] | None:
    """Return the value of an expression without names, as JSON data; None for any other."""
    match expr:
        case program.Const(value=value):
            return (_plain(value),)
        case program.MakeList(items=parts) | program.MakeRecord(values=parts):
            found = [known[0] for part in parts if (known := _constant(part)) is not None]
            if len(found) < len(parts):
                return None
            if isinstance(expr, program.MakeList):
                return (found,)
            return ({name: value for (name, _), value in zip(expr.type.fields, found, strict=True)},)
        case _:
            return None


def _plain(value: Value) -> Any:
    """Return a constant as JSON data."""
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case RecordValue(type=kind, values=values):
            return {name: _plain(part) for (name, _), part in zip(kind.fields, values, strict=True)}
        case TagValue(word=word):
            return word
        case _:
            return value
