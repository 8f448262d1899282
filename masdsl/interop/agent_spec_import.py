"""A flow of Open Agent Specification as a program: `mas import --from agent-spec`. The inverse is `agent_spec`.

The document is read as data; `pyagentspec` is not needed. What has no counterpart is refused where it stands, and
nothing is left out: either the whole flow translates, or there is no program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.interop import NoDocument, NotImported
from masdsl.interop.agent_spec import VALUE
from masdsl.interop.agent_spec_types import NAME, NoType, Types
from masdsl.node import NOWHERE, Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.grammar import reserved_words
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import format_document, print_item

Component = Mapping[str, Any]
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_MARK = re.compile(r"\{[{%#]")
_STEPS = ("LlmNode", "ToolNode", "FlowNode")
_SETTINGS = frozenset({"max_tokens", "temperature"})


class _Refused(Exception):
    """A component does not translate."""

    def __init__(self, component: Component, why: str, instead: str) -> None:
        super().__init__(why)
        self.component, self.instead = component, instead


def import_text(source: Source, findings: Findings) -> str | None:
    """Return the canonical text of the program that a document (JSON, or YAML where PyYAML is installed) means.

    None, with located diagnostics (MAS971, MAS972), for what is no document or does not translate. Nothing is raised.
    """
    try:
        document = _parsed(source.text)
        if not isinstance(document, dict) or document.get("component_type") != "Flow":
            raise ValueError("its root is no component of the type `Flow`")
        reader = _Reader(document)
        reader.flow(document)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError) as error:
        why = str(error) if isinstance(error, ValueError) else f"a part of it is missing or of another form ({error})"
        findings.add(source, NoDocument(why.split("\n")[0].rstrip("."), span=Span(0, min(1, len(source.text)))))
        return None
    except _Refused as refused:
        component = refused.component
        what = f"the {component.get('component_type', 'component')} `{str(component.get('name', '?'))[:64]}`"
        place = _place(source.text, component)
        findings.add(source, NotImported(what, str(refused).rstrip("."), refused.instead, span=place))
        return None
    text = "\n\n".join(["mas 1", *(print_item(item).strip("\n") for item in reader.items())]) + "\n"
    faults = Findings()
    parsed = parse_program(Source(source.name, text), faults)
    if not faults.ok:  # such as a control character in a prompt, which no program may hold
        why = f"it says what no program can say: {faults.sorted()[0].diagnostic.title()}"
        findings.add(source, NoDocument(why, span=Span(0, min(1, len(source.text)))))
        return None
    return format_document(parsed)


def _parsed(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return json.loads(text)
    try:
        import yaml
    except ModuleNotFoundError:
        raise ValueError("it is no JSON, and YAML needs a reader: pip install pyyaml") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is neither JSON nor YAML: {error}") from None


def _place(text: str, component: Component) -> Span:
    """Return where a component's id stands in the text."""
    for quoted in (f'"id": {json.dumps(component.get("id"))}', f"id: {component.get('id')}"):
        at = text.find(quoted)
        if at >= 0:
            return Span(at, at + len(quoted))
    return Span(0, min(1, len(text))) if text else NOWHERE


class _Reader:
    def __init__(self, document: Component) -> None:
        self._reserved = frozenset(reserved_words())
        self._types = Types(self._reserved)
        self._known: dict[str, Component] = {}
        self._taken: set[str] = set(self._reserved)
        self._tools: dict[str, ast.Tool] = {}
        self._agents: dict[str, ast.Agent] = {}
        self._flows: dict[str, ast.Flow] = {}
        self._collect(document)

    def items(self) -> list[ast.Item]:
        """Return the declarations, each before its use."""
        return [*self._types.declarations, *self._tools.values(), *self._agents.values(), *self._flows.values()]

    def _collect(self, part: Any) -> None:
        """Note every component by its id, and keep the names of all that will be declared."""
        pending = [part]
        while pending:
            one = pending.pop()
            if isinstance(one, list):
                pending += one
            elif isinstance(one, dict):
                if "component_type" in one and isinstance(one.get("id"), str):
                    self._known[one["id"]] = one
                    if one["component_type"] in ("Flow", "ServerTool", "ClientTool"):
                        self._taken.add(_plain_name(str(one.get("name"))))
                    self._taken |= {str(_own(one)["agent"])} if "agent" in _own(one) else set()
                pending += one.values()

    def _component(self, part: Any) -> Component:
        found = self._known.get(part["$component_ref"]) if "$component_ref" in part else part
        if found is None:
            raise ValueError(f"the reference `{part['$component_ref']}` leads nowhere")
        return found

    # ------------------------------------------------------------ flows

    def flow(self, component: Component) -> str:
        """Read a flow, those that it calls first; return its name."""
        key = component["id"]
        if key in self._flows:
            return self._flows[key].name.text
        nodes = [self._component(node) for node in component["nodes"]]
        order = self._in_order(component, nodes)
        local = set(self._taken)
        params: list[ast.Param] = []
        places: dict[tuple[str, str], ast.Expr] = {}
        for one in order[0].get("inputs") or []:
            name = _unique(_plain_name(one["title"]), local)
            places[order[0]["id"], one["title"]] = ast.Var(ast.Name(name))
            params.append(self._param(component, one, name))
        sources: dict[tuple[str, str], tuple[str, str]] = {}
        for edge in component.get("data_flow_connections") or []:
            target = (self._component(edge["destination_node"])["id"], edge["destination_input"])
            if target in sources:
                raise _Refused(edge, "an input has two sources", "connect each input once")
            sources[target] = (self._component(edge["source_node"])["id"], edge["source_output"])
        statements: list[ast.Statement] = []
        for node in order[1:-1]:
            call = self._step(node, self._inputs(node, sources, places))
            name = _unique(_plain_name(node["name"]), local)
            statements.append(ast.Bind(ast.Name(name), call))
            titles = [one["title"] for one in node.get("outputs") or []]
            whole = len(titles) == 1 and (node["component_type"] != "FlowNode" or titles == [VALUE])
            for title in titles:
                value: ast.Expr = ast.Var(ast.Name(name))
                places[node["id"], title] = value if whole else ast.Attribute(value, ast.Name(title))
        gives = self._inputs(order[-1], sources, places)
        outputs = order[-1].get("outputs") or []
        if not gives:
            raise _Refused(order[-1], "the flow gives nothing", "give its end an output")
        returned, kind = self._returned(order[-1], outputs, gives)
        body = ast.Block((*statements, ast.Return(returned)))
        name = _plain_name(component["name"])
        name = name if all(flow.name.text != name for flow in self._flows.values()) else _unique(name, self._taken)
        self._flows[key] = ast.Flow(ast.Name(name), (), tuple(params), ast.Output(kind, None), None, body)
        return name

    def _returned(self, end: Component, outputs: list[Any], gives: list[ast.Expr]) -> tuple[ast.Expr, ast.TypeExpr]:
        kinds = [self._type(end, one, one["title"]) for one in outputs]
        if [one["title"] for one in outputs] == [VALUE]:
            return gives[0], kinds[0]
        names = [ast.Name(self._title(end, one)) for one in outputs]
        fields = tuple(ast.Field(name, kind) for name, kind in zip(names, kinds, strict=True))
        values = tuple(ast.NamedValue(name, value) for name, value in zip(names, gives, strict=True))
        return ast.RecordLit(None, values), ast.RecordType(fields)

    def _in_order(self, component: Component, nodes: list[Component]) -> list[Component]:
        """Return the nodes from the start to the end; each has one way on."""
        ways: dict[str, list[str]] = {}
        for edge in component["control_flow_connections"]:
            ways.setdefault(self._component(edge["from_node"])["id"], []).append(self._component(edge["to_node"])["id"])
        node = self._component(component["start_node"])
        order = [node]
        while node["component_type"] != "EndNode":
            targets = ways.get(node["id"], [])
            if node["component_type"] not in (*_STEPS, "StartNode") or len(targets) != 1:
                why = "only steps one after the other translate"
                raise _Refused(node, why, "write this part of the program by hand: `match`, `loop`, `each`")
            node = self._known[targets[0]]
            if any(node is one for one in order):
                raise _Refused(node, "its steps go round in a circle", "write it as a bounded `loop` by hand")
            order.append(node)
        for other in nodes:
            if all(other is not one for one in order):
                raise _Refused(other, "no way leads there", "remove it, or connect it")
        return order

    # ------------------------------------------------------------ properties

    def _type(self, component: Component, schema: Any, hint: str) -> ast.TypeExpr:
        try:
            return self._types.type_of(schema, hint)
        except NoType as refused:
            raise _Refused(component, f"`{schema.get('title', hint)}`: {refused}", refused.instead) from None

    def _literal(self, component: Component, schema: Component) -> ast.Literal:
        try:
            return self._types.literal(schema["default"], schema, schema["title"])
        except NoType as refused:
            raise _Refused(component, f"`{schema['title']}`: {refused}", refused.instead) from None

    def _param(self, component: Component, schema: Component, name: str, *, constant: bool = True) -> ast.Param:
        default = self._literal(component, schema) if constant and "default" in schema else None
        return ast.Param(ast.Name(name), self._type(component, schema, schema["title"]), default)

    def _title(self, component: Component, schema: Component) -> str:
        title = str(schema["title"])
        if NAME.fullmatch(title) is None or title in self._reserved:
            raise _Refused(component, f"`{title[:40]}` is no name", "rename it: small letters, digits and underscores")
        return title

    def _inputs(
        self,
        node: Component,
        sources: Mapping[tuple[str, str], tuple[str, str]],
        places: Mapping[tuple[str, str], ast.Expr],
    ) -> list[ast.Expr]:
        """Return what a node's inputs get, in order."""
        found: list[ast.Expr] = []
        for one in node.get("inputs") or []:
            source = sources.get((node["id"], one["title"]))
            if source is not None and source not in places:
                raise _Refused(node, f"`{one['title']}` comes from a later node", "take it from one before")
            if source is None and "default" not in one:
                raise _Refused(node, f"nothing gives its input `{one['title']}`", "connect it, or give it a default")
            found.append(self._literal(node, one) if source is None else places[source])
        return found

    # ------------------------------------------------------------ steps

    def _step(self, node: Component, arguments: list[ast.Expr]) -> ast.Call:
        match node["component_type"]:
            case "FlowNode":
                callee = self.flow(self._component(node["subflow"]))
            case "ToolNode":
                callee = self._tool(self._component(node["tool"]))
            case _:
                callee = self._agent(node)
        return ast.Call(ast.Name(callee), tuple(ast.Argument(None, value) for value in arguments))

    def _tool(self, tool: Component) -> str:
        if tool["component_type"] not in ("ServerTool", "ClientTool"):
            raise _Refused(tool, "only tools of the host translate", "make it a ServerTool, and grant it in mas.toml")
        key = tool["id"]
        if key not in self._tools:
            known = _own(tool)
            params = tuple(self._param(tool, one, self._title(tool, one)) for one in tool.get("inputs") or [])
            attrs = [ast.Attr("effect", None)] if known.get("effect") else []
            attrs += [ast.Attr("timeout", _number(known["timeout"]))] if "timeout" in known else []
            name = _plain_name(tool["name"])
            if any(one.name.text == name for one in self._tools.values()):
                name = _unique(name, self._taken)
            granted = ast.StrLit(str(known.get("granted_as", tool["name"])))
            output = ast.Output(self._result(tool, name), None)
            self._tools[key] = ast.Tool(ast.Name(name), params, output, granted, tuple(attrs))
        return self._tools[key].name.text

    def _result(self, component: Component, hint: str) -> ast.TypeExpr:
        outputs = component.get("outputs") or []
        if not outputs:
            raise _Refused(component, "it gives nothing", "give it an output")
        if len(outputs) == 1:
            return self._type(component, outputs[0], hint if outputs[0]["title"] == VALUE else outputs[0]["title"])
        return ast.RecordType(
            tuple(
                ast.Field(ast.Name(self._title(component, one)), self._type(component, one, one["title"]))
                for one in outputs
            )
        )

    def _agent(self, node: Component) -> str:
        known = _own(node)
        wanted = str(known.get("agent") or f"{_plain_name(node['name'])}_agent")
        params = [self._title(node, one) for one in node.get("inputs") or []]
        prompt = self._prompt(node, params, known)
        inputs = [self._param(node, one, one["title"], constant=False) for one in node.get("inputs") or []]
        made = ast.Agent(
            ast.Name(_plain_name(wanted)),
            tuple(inputs),
            ast.Output(self._result(node, wanted), None),
            self._attributes(node, known),
            ast.StrLit(prompt),
        )
        for other in self._agents.values():
            if other.replace(name=made.name) == made and other.name.text.startswith(made.name.text):
                return other.name.text
        name = made.name.text
        if any(other.name.text == name for other in self._agents.values()) or name not in self._taken:
            name = _unique(name, self._taken)
        self._agents[name] = made.replace(name=ast.Name(name))
        return name

    def _prompt(self, node: Component, params: list[str], known: Component) -> str:
        template = str(node["prompt_template"])
        sections = [str(one) for one in known.get("sections", [])]
        role = f"{known['role']}\n\n" if "role" in known else ""
        behind = "\n\n".join(f"{one}:\n{{{{ {one} }}}}" for one in sections)
        if not template.startswith(role) or not template.endswith(behind):
            raise _Refused(node, "its prompt was changed, but what `metadata` says of it was not", "remove `metadata`")
        prompt = template[len(role) : len(template) - len(behind)]
        prompt = prompt.removesuffix("\n\n") if behind else prompt
        mentioned = {match[1] for match in _PLACEHOLDER.finditer(prompt)}
        if _MARK.search(_PLACEHOLDER.sub("", prompt)) is not None:
            raise _Refused(node, "its prompt has marks of a template besides `{{ name }}`", "write them in another way")
        if mentioned | set(sections) != set(params):
            raise _Refused(node, "its inputs are not the placeholders of its prompt", "give it one input for each")
        return prompt

    def _attributes(self, node: Component, known: Component) -> tuple[ast.Attr, ...]:
        model = self._component(node["llm_config"])
        settings = {
            name: value
            for name, value in (model.get("default_generation_parameters") or {}).items()
            if value is not None
        }
        if set(settings) - _SETTINGS:
            other = sorted(set(settings) - _SETTINGS)[0]
            raise _Refused(model, f"`{other}` is no setting of an agent", "set it at the model's provider")
        found: list[ast.Attr] = []
        if model["component_type"] == "OpenAiConfig" and not _own(model).get("tier"):
            named = str(model["model_id"])
            found.append(ast.Attr("on", ast.StrLit(named if _own(model) else f"openai/{named}")))
        else:
            tier = _plain_name(str(model["name"]))
            found += [] if tier == "default" else [ast.Attr("on", ast.Name(tier))]
        found += [ast.Attr("role", ast.StrLit(str(known["role"])))] if "role" in known else []
        found += [ast.Attr("temp", _number(settings["temperature"]))] if "temperature" in settings else []
        found += [ast.Attr("max", _number(settings["max_tokens"]))] if "max_tokens" in settings else []
        found += [ast.Attr(name, _number(known[name])) for name in ("retry", "timeout") if name in known]
        return tuple(found)


def _own(component: Component) -> Component:
    """Return what masdsl says of a component."""
    known = (component.get("metadata") or {}).get("masdsl")
    return known if isinstance(known, dict) else {}


def _number(value: Any) -> ast.IntLit | ast.FloatLit:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} stands where a number should")
    return ast.IntLit(value) if isinstance(value, int) else ast.FloatLit(value)


def _plain_name(name: str) -> str:
    """Return a name of the language that is like another one."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") if NAME.fullmatch(name) is None else name
    return (f"n_{plain}" if not plain or plain[0].isdigit() else plain)[:56]


def _unique(name: str, taken: set[str]) -> str:
    """Return the name, or one like it, that is not taken yet, and take it."""
    made, number = name, 1
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    taken.add(made)
    return made
