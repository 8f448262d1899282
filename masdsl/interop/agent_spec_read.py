"""Components of an Agent Spec document as declarations: types, tools and agents, each once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from masdsl.interop.agent_spec_parts import MARK, VALUE
from masdsl.interop.agent_spec_types import NAME, NoType, Types
from masdsl.syntax import ast
from masdsl.syntax.grammar import reserved_words

Component = Mapping[str, Any]
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_SETTINGS = frozenset({"max_tokens", "temperature"})


class NotRead(Exception):
    """A component does not translate."""

    def __init__(self, component: Component, why: str, instead: str) -> None:
        super().__init__(why)
        self.component, self.instead = component, instead


class Reader:
    """Reads components; `items` are the declarations that they need."""

    def __init__(self, document: Component) -> None:
        self._reserved = frozenset(reserved_words())
        self.types = Types(self._reserved)
        self._known: dict[str, Component] = {}
        self.taken: set[str] = set(self._reserved)
        self._tools: dict[str, ast.Tool] = {}
        self._agents: dict[str, ast.Agent] = {}
        self.flows: dict[str, ast.Flow] = {}
        self.reading: set[str] = set()
        self.uses: dict[str, dict[str, None]] = {}
        self._collect(document)

    def items(self) -> list[ast.Item]:
        """Return the declarations, each before its use."""
        uses = [
            ast.Use(
                tuple(map(ast.Name, module.split("."))), tuple(ast.ImportName(ast.Name(one), None) for one in names)
            )
            for module, names in sorted(self.uses.items())
        ]
        declared = (self.types.declarations, self._tools.values(), self._agents.values(), self.flows.values())
        return [*uses, *(item for group in declared for item in group)]

    def use(self, module: str, name: str) -> None:
        """Note that an expression calls a function of the library."""
        self.uses.setdefault(module, {})[name] = None

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
                    if {"computes", "renders", "body"} & set(own(one)):
                        pass  # what is no declaration takes no name
                    elif one["component_type"] in ("Flow", "ServerTool", "ClientTool"):
                        self.taken.add(plain_name(str(one.get("name"))))
                    self.taken |= {str(own(one)["agent"])} if "agent" in own(one) else set()
                pending += one.values()

    def find(self, part: Any) -> Component:
        """Return a component, or the one that a reference leads to."""
        found = self._known.get(part["$component_ref"]) if "$component_ref" in part else part
        if found is None:
            raise ValueError(f"the reference `{part['$component_ref']}` leads nowhere")
        return found

    # ------------------------------------------------------------ properties

    def type_of(self, component: Component, schema: Any, hint: str) -> ast.TypeExpr:
        """Return the type of a schema that a component has."""
        try:
            return self.types.type_of(schema, hint)
        except NoType as refused:
            raise NotRead(component, f"`{schema.get('title', hint)}`: {refused}", refused.instead) from None

    def literal(self, component: Component, schema: Component) -> ast.Literal:
        """Return the default of an input or output."""
        try:
            return self.types.literal(schema["default"], schema, schema["title"])
        except NoType as refused:
            raise NotRead(component, f"`{schema['title']}`: {refused}", refused.instead) from None

    def param(self, component: Component, schema: Component, name: str, *, constant: bool = True) -> ast.Param:
        """Return an input as a parameter."""
        default = self.literal(component, schema) if constant and "default" in schema else None
        return ast.Param(ast.Name(name), self.type_of(component, schema, schema["title"]), default)

    def title(self, component: Component, schema: Component) -> str:
        """Return the title of a property, which has to be a name."""
        title = str(schema["title"])
        if NAME.fullmatch(title) is None or title in self._reserved:
            raise NotRead(component, f"`{title[:40]}` is no name", "rename it: small letters, digits and underscores")
        return title

    # ------------------------------------------------------------ steps

    def tool(self, tool: Component) -> str:
        """Return the name of a tool of the host."""
        if tool["component_type"] not in ("ServerTool", "ClientTool"):
            raise NotRead(tool, "only tools of the host translate", "make it a ServerTool, and grant it in mas.toml")
        key = tool["id"]
        if key not in self._tools:
            known = own(tool)
            params = tuple(self.param(tool, one, self.title(tool, one)) for one in tool.get("inputs") or [])
            attrs = [ast.Attr("effect", None)] if known.get("effect") else []
            attrs += [ast.Attr("timeout", _number(known["timeout"]))] if "timeout" in known else []
            name = plain_name(tool["name"])
            if any(one.name.text == name for one in self._tools.values()):
                name = unique(name, self.taken)
            granted = ast.StrLit(str(known.get("granted_as", tool["name"])))
            output = ast.Output(self.result(tool, name), None)
            self._tools[key] = ast.Tool(ast.Name(name), params, output, granted, tuple(attrs))
        return self._tools[key].name.text

    def result(self, component: Component, hint: str) -> ast.TypeExpr:
        """Return the type of what a component gives."""
        outputs = component.get("outputs") or []
        if not outputs:
            raise NotRead(component, "it gives nothing", "give it an output")
        if len(outputs) == 1:
            return self.type_of(component, outputs[0], hint if outputs[0]["title"] == VALUE else outputs[0]["title"])
        return ast.RecordType(
            tuple(
                ast.Field(ast.Name(self.title(component, one)), self.type_of(component, one, one["title"]))
                for one in outputs
            )
        )

    def agent(self, node: Component, rendering: Component | None) -> tuple[str, list[str]]:
        """Return the agent of an LlmNode and the titles of its parameters; `rendering` writes its prompt, if any."""
        known = own(node)
        wanted = str(known.get("agent") or f"{plain_name(node['name'])}_agent")
        schemas = {self.title(node, one): one for one in node.get("inputs") or []}
        template, written = self._template(node, known), ""
        if rendering is not None:
            mark = PLACEHOLDER.fullmatch(template)
            if mark is None or mark[1] not in schemas:
                raise NotRead(node, "its prompt is more than what a tool writes", "let the tool write all of it")
            del schemas[mark[1]]
            schemas |= {self.title(rendering, one): one for one in rendering.get("inputs") or []}
            written = str(own(rendering)["renders"])
        else:
            mentioned = {match[1] for match in PLACEHOLDER.finditer(template)}
            if MARK.search(PLACEHOLDER.sub("", template)) is not None:
                why = "its prompt has marks of a template besides `{{ name }}`"
                raise NotRead(node, why, "write them in another way")
            if mentioned | set(known.get("sections", [])) != set(schemas):
                raise NotRead(node, "its inputs are not the placeholders of its prompt", "give it one input for each")
        order = [str(one) for one in known.get("params", [])]
        titles = sorted(schemas, key=lambda one: order.index(one) if one in order else len(order))
        made = ast.Agent(
            ast.Name(plain_name(wanted)),
            tuple(self.param(node, schemas[one], one, constant=False) for one in titles),
            ast.Output(self.result(node, wanted), None),
            self._attributes(node, known),
            ast.StrLit(written or template),
        )
        for other in self._agents.values():
            if other.replace(name=made.name) == made and other.name.text.startswith(made.name.text):
                return other.name.text, titles
        name = made.name.text
        if any(other.name.text == name for other in self._agents.values()) or name not in self.taken:
            name = unique(name, self.taken)
        self._agents[name] = made.replace(name=ast.Name(name))
        return name, titles

    def _template(self, node: Component, known: Component) -> str:
        """Return a prompt without the role and the sections that the export put around it."""
        template = str(node["prompt_template"])
        sections = [str(one) for one in known.get("sections", [])]
        role = f"{known['role']}\n\n" if "role" in known else ""
        behind = "\n\n".join(f"{one}:\n{{{{ {one} }}}}" for one in sections)
        if not template.startswith(role) or not template.endswith(behind):
            raise NotRead(node, "its prompt was changed, but what `metadata` says of it was not", "remove `metadata`")
        prompt = template[len(role) : len(template) - len(behind)]
        return prompt.removesuffix("\n\n") if behind else prompt

    def _attributes(self, node: Component, known: Component) -> tuple[ast.Attr, ...]:
        model = self.find(node["llm_config"])
        settings = {
            name: value
            for name, value in (model.get("default_generation_parameters") or {}).items()
            if value is not None
        }
        if set(settings) - _SETTINGS:
            other = sorted(set(settings) - _SETTINGS)[0]
            raise NotRead(model, f"`{other}` is no setting of an agent", "set it at the model's provider")
        found: list[ast.Attr] = []
        if model["component_type"] == "OpenAiConfig" and not own(model).get("tier"):
            named = str(model["model_id"])
            found.append(ast.Attr("on", ast.StrLit(named if own(model) else f"openai/{named}")))
        else:
            tier = plain_name(str(model["name"]))
            found += [] if tier == "default" else [ast.Attr("on", ast.Name(tier))]
        found += [ast.Attr("role", ast.StrLit(str(known["role"])))] if "role" in known else []
        found += [ast.Attr("temp", _number(settings["temperature"]))] if "temperature" in settings else []
        found += [ast.Attr("max", _number(settings["max_tokens"]))] if "max_tokens" in settings else []
        found += [ast.Attr(name, _number(known[name])) for name in ("retry", "timeout") if name in known]
        return tuple(found)


def own(component: Component) -> Component:
    """Return what masdsl says of a component."""
    known = (component.get("metadata") or {}).get("masdsl")
    return known if isinstance(known, dict) else {}


def _number(value: Any) -> ast.IntLit | ast.FloatLit:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} stands where a number should")
    return ast.IntLit(value) if isinstance(value, int) else ast.FloatLit(value)


def plain_name(name: str) -> str:
    """Return a name of the language that is like another one."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") if NAME.fullmatch(name) is None else name
    return (f"n_{plain}" if not plain or plain[0].isdigit() else plain)[:56]


def unique(name: str, taken: set[str]) -> str:
    """Return the name, or one like it, that is not taken yet, and take it."""
    made, number = name, 1
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    taken.add(made)
    return made
