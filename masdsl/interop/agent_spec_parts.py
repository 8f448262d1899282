"""Components of an Agent Spec document as plain data: properties, edges, tools and models, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl.check import program
from masdsl.check.program import Agent, RecordValue, TagValue, Tool, Value
from masdsl.diagnostics.interop import NotExported
from masdsl.formats import schema
from masdsl.node import Span
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

Component: TypeAlias = dict[str, Any]
VALUE: Final = "value"
"""The output of a node or flow that gives one value."""
NEXT: Final = "next"
OTHERWISE: Final = "default"
"""The branch of a BranchingNode for a key that its mapping does not have."""
CAUGHT: Final = "caught_exception_branch"
PROMPT: Final = "prompt"
"""The input of an LlmNode whose prompt a tool writes."""
PLACEHOLDER: Final = re.compile(r"\{\{\s*([a-z_][a-z0-9_]*)\s*\}\}")
MARK: Final = re.compile(r"\{[{%#]")


class Place(NamedTuple):
    """An output of a node."""

    node: str
    output: str = VALUE


class Refused(Exception):
    """A part of the program does not translate."""

    def __init__(self, module: str, span: Span, what: str, why: str, instead: str) -> None:
        super().__init__(what)
        self.module = module
        self.diagnostic = NotExported(what, "Agent Spec", why, instead, span=span)


def component(kind: str, key: str, name: str, **parts: Any) -> Component:
    """Return a component; what masdsl alone says of it is put under `metadata` by `known`."""
    return {"component_type": kind, "id": key, "name": name, "description": None, "metadata": {}, **parts}


def known(made: Component, **says: Any) -> Component:
    """Return a component that also has what masdsl alone says, which other runtimes pass over."""
    inner = {**made["metadata"].get("masdsl", {}), **says}
    return {**made, "metadata": {"masdsl": inner}}


def reference(node: Mapping[str, Any]) -> dict[str, str]:
    """Return a reference to a component."""
    return {"$component_ref": node["id"]}


def control_edge(flow: str, one: Mapping[str, Any], branch: str | None, two: Mapping[str, Any]) -> Component:
    """Return the way from a branch of a node (None: its only one) to another node of a flow."""
    name = f"{one['name']}_{branch}_to_{two['name']}" if branch else f"{one['name']}_to_{two['name']}"
    ends = {"from_node": reference(one), "from_branch": branch, "to_node": reference(two)}
    return component("ControlFlowEdge", f"{flow}.control.{name}", name, **ends)


def data_edge(flow: str, source: Place, destination: Place) -> Component:
    """Return the edge from an output of a node to an input of another."""
    one, two = (place.node.removeprefix(f"{flow}.") for place in (source, destination))
    name = f"{one}_{source.output}_to_{two}_{destination.output}"
    ends = {"source_node": {"$component_ref": source.node}, "source_output": source.output}
    ends |= {"destination_node": {"$component_ref": destination.node}, "destination_input": destination.output}
    return component("DataFlowEdge", f"{flow}.data.{name}", name, **ends)


def property_of(title: str, kind: Type, default: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return an input or output."""
    return {"title": title, **schema(kind), **({"default": default[0]} if default else {})}


def params_of(params: tuple[program.Param, ...]) -> list[dict[str, Any]]:
    """Return parameters as inputs."""
    return [property_of(one.name, one.type, (plain(one.default),) if one.optional else ()) for one in params]


def constant(expr: program.Rhs) -> tuple[Any] | None:
    """Return the value of an expression without names, as JSON data; None for any other."""
    match expr:
        case program.Const(value=value):
            return (plain(value),)
        case program.MakeList(items=parts) | program.MakeRecord(values=parts):
            found = [value[0] for part in parts if (value := constant(part)) is not None]
            if len(found) < len(parts):
                return None
            if isinstance(expr, program.MakeList):
                return (found,)
            return ({name: value for (name, _), value in zip(expr.type.fields, found, strict=True)},)
        case _:
            return None


def plain(value: Value) -> Any:
    """Return a constant as JSON data."""
    match value:
        case tuple():
            return [plain(item) for item in value]
        case RecordValue(type=kind, values=values):
            return {name: plain(part) for (name, _), part in zip(kind.fields, values, strict=True)}
        case TagValue(word=word):
            return word
        case _:
            return value


def any_value(kind: Type) -> Any:
    """Return some value of a type, as JSON data: what stands in an output that nobody reads."""
    match kind:
        case Text():
            return ""
        case Int():
            return 0
        case Float():
            return 0.0
        case Bool():
            return False
        case Enum(words=words):
            return words[0]
        case List(element=element, low=low):
            return [any_value(element)] * low
        case Record(fields=fields):
            return {name: any_value(inner) for name, inner in fields}
        case Optional() | _:
            return None


def tool_of(tool: Tool) -> Component:
    """Return a tool of the host. Raises Refused."""
    if tool.designs:
        why = "it designs a program while it runs"
        raise Refused(tool.module, tool.span, f"the tool `{tool.name}`", why, "call agents or tools in its place")
    says: dict[str, Any] = {"granted_as": tool.granted_as}
    says |= {"effect": True} if tool.effect else {}
    says |= {"timeout": tool.timeout} if tool.timeout is not None else {}
    inputs, outputs = params_of(tool.params), [property_of(VALUE, tool.returns)]
    return known(component("ServerTool", tool.key, tool.key, inputs=inputs, outputs=outputs), **says)


def is_plain(prompt: str) -> bool:
    """Return whether a prompt has nothing but `{{ name }}`, which is all that Agent Spec's templates have."""
    return MARK.search(PLACEHOLDER.sub("", prompt)) is None


def prompt_tool(agent: Agent) -> Component:
    """Return the tool that writes an agent's prompt: a template with conditions, loops, fields or filters."""
    shown = [one for one in agent.params if one.name not in agent.unmentioned]
    inputs = [property_of(one.name, one.type) for one in shown]
    key = f"{agent.key}.prompt"
    made = component("ServerTool", key, key, inputs=inputs, outputs=[{"title": VALUE, "type": "string"}])
    made["description"] = "Renders this template (Jinja2)."
    return known(made, renders=agent.prompt)


def prompt_input(agent: Agent) -> str:
    """Return what the input for a written prompt is called."""
    name = PROMPT
    while any(param.name == name for param in agent.params):
        name += "_"
    return name


def llm_parts(agent: Agent) -> dict[str, Any]:
    """Return what an LlmNode says for an agent, besides inputs and outputs. Raises Refused."""
    for holds, why, instead in (
        (bool(agent.tools), "it decides itself which tools it uses", "call the tools as steps"),
        (MARK.search(agent.role or "") is not None, "its role looks like a template there", "say that in the prompt"),
    ):
        if holds:
            raise Refused(agent.module, agent.span, f"the agent `{agent.name}`", why, instead)
    settings: dict[str, Any] = {}
    if agent.max_tokens is not None:
        settings["max_tokens"] = agent.max_tokens
    if agent.temperature is not None:
        settings["temperature"] = agent.temperature
    tier = agent.model or "default"
    model = component("OpenAiConfig", f"model.{tier}", tier, model_id=tier, default_generation_parameters=settings)
    model = known(model, tier=not agent.is_model_name)
    says: dict[str, Any] = {"agent": agent.key, "params": [param.name for param in agent.params]}
    template = agent.prompt if is_plain(agent.prompt) else f"{{{{ {prompt_input(agent)} }}}}"
    if agent.unmentioned:
        says["sections"] = list(agent.unmentioned)
        template = "\n\n".join(filter(None, [template, *(f"{one}:\n{{{{ {one} }}}}" for one in agent.unmentioned)]))
    if agent.role is not None:
        says["role"] = agent.role
        template = f"{agent.role}\n\n{template}"
    if agent.retries:
        says["retry"] = agent.retries
    if agent.timeout is not None:
        says["timeout"] = agent.timeout
    return {"llm_config": model, "prompt_template": template, "metadata": {"masdsl": says}}
