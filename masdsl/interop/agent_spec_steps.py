"""The steps of a flow as nodes of an Agent Spec flow: calls, computed values, maps, and what stands in for failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from masdsl.check import program
from masdsl.check.program import Agent, Flow, Invoke, Tool
from masdsl.check.uses import nodes_of
from masdsl.interop.agent_spec_parts import (
    CAUGHT,
    NEXT,
    OTHERWISE,
    VALUE,
    Component,
    Place,
    Refused,
    any_value,
    component,
    constant,
    control_edge,
    is_plain,
    known,
    llm_parts,
    plain,
    prompt_input,
    prompt_tool,
    property_of,
    tool_of,
)
from masdsl.interop.agent_spec_values import YES, computing_tool, condition_tool, is_pure
from masdsl.types import Bool, Int, List, Optional, Type

Places = tuple[Place, ...]
Env = dict[str, Places]
KEY = "branching_mapping_key"
BODY = "body"
ROUND, ITEMS = "round", "items"
INFO = "caught_exception_info"
_BARE = "\0"
"""In front of a callee's key: its own default is caught around it already."""


class Callees(NamedTuple):
    """What the steps of a program call, by key, and which of that has effects."""

    agents: Mapping[str, Agent]
    tools: Mapping[str, Tool]
    flows: Mapping[str, Flow]
    effects: frozenset[tuple[str, str]]


class Exit(NamedTuple):
    """A way on that leads nowhere yet: a branch of a node, None for its only one."""

    node: Component
    branch: str | None


class StepGraph(ABC):
    """Writes the nodes of one flow, each behind all that is open; `refused` has what of it does not translate."""

    def __init__(self, flow: Flow, callees: Callees, *, named: bool = False, is_body: bool = False) -> None:
        """`named`: what the flow gives is several outputs; `is_body`: it is the body of a map or a fallback."""
        self.refused: list[Refused] = []
        self._flow, self._callees = flow, callees
        self._named, self._is_body = named, is_body
        self._nodes: list[Component] = []
        self._control: list[Component] = []
        self._data: list[tuple[Place, Place]] = []
        self._taken: set[str] = set()
        self._open: list[Exit] = []
        self._leave: list[tuple[list[Exit], list[Env]]] = []
        self._again: dict[Place, Places] = {}
        self._maybe = {param.name for param in flow.params if isinstance(param.type, Optional)}

    # ------------------------------------------------------------ nodes

    def _key(self, name: str) -> str:
        made, number = name, 1
        while made in self._taken:
            number += 1
            made = f"{name}_{number}"
        self._taken.add(made)
        return f"{self._flow.key}.{made}"

    def _name(self, path: str) -> str:
        """Return the part of an address that is below this flow; a body has no address."""
        return VALUE if self._is_body else path.partition(".")[2]

    def _add(self, node: Component, branch: str | None = None) -> Component:
        """Add a node behind all that is open; `branch` is the only way on from it."""
        self._nodes.append(node)
        self._control += [control_edge(self._flow.key, one.node, one.branch, node) for one in self._open]
        self._open = [Exit(node, branch)]
        return node

    def _node(self, kind: str, path: str, inputs: list[Any], outputs: list[Any], **parts: Any) -> Component:
        key = self._key(path)
        name = key.removeprefix(f"{self._flow.key}.")
        return component(kind, key, name, inputs=inputs, outputs=outputs, branches=[NEXT], **parts)

    def _feed(self, node: Component, title: str, sources: Places) -> None:
        self._data += [(source, Place(node["id"], title)) for source in sources]

    def _compute(
        self, path: str, value: program.Rhs, env: Env, kind: Type | None = None, name: str = "", **says: Any
    ) -> Places:
        """Add a node that computes; `name` is what it binds, else it is a part of the next step."""
        key = self._key(path)
        for node in nodes_of(value):
            if isinstance(node, program.Builtin) and node.extern is not None and not node.extern.module:
                why = "it is a function of the runtime that this module itself declares"
                raise Refused(self._flow.module, value.span, f"`{node.name}`", why, "export a program that uses it")
        says = says or ({} if name else {"part": True})
        if says.get("condition"):
            tool, names = condition_tool(f"{key}.tool", value)  # type: ignore[arg-type]
        else:
            tool, names = computing_tool(f"{key}.tool", value, kind)
        for number, (one, read) in enumerate(names.items()):
            if self._is_narrowed(one, read):
                tool["inputs"][number] = property_of(one, Optional(read))
        made = component(
            "ToolNode",
            key,
            key.removeprefix(f"{self._flow.key}."),
            inputs=tool["inputs"],
            outputs=tool["outputs"],
            branches=[NEXT],
            tool=tool,
        )
        self._add(known(made, **({"bind": name} if name else {}), **says))
        for one in names:
            self._feed(made, one, env[one])
        return (Place(key),)

    def _choice(self, path: str, condition: program.Expr, env: Env, **says: Any) -> Component:
        """Add a node that computes a condition and one that branches on it: `yes`, or the default."""
        word = self._compute(f"{path}.condition", condition, env, part=True, condition=True)
        asked = [{"title": KEY, "type": "string"}]
        made = component("BranchingNode", self._key(path), "", inputs=asked, outputs=[], branches=[OTHERWISE, YES])
        made["name"] = made["id"].removeprefix(f"{self._flow.key}.")
        made = {**made, "mapping": {YES: YES}}
        self._add(known(made, **says) if says else made)
        self._feed(made, KEY, word)
        return made

    # ------------------------------------------------------------ values

    def _value(self, path: str, value: program.Rhs, env: Env, kind: Type, name: str) -> Places:
        """Write what gives a value; `name` is what it binds, none for what is returned."""
        if is_pure(value):
            return self._compute(path, value, env, kind, name)
        says: dict[str, Any] = {"bind": name} if name else {"part": True}
        match value:
            case Invoke():
                return (self._step(path, value, env, says),)
            case program.Fallback(options=options):
                return self._fallback(path, options, env, kind, says)
            case program.Sample(count=count):
                numbers = tuple(program.Const(number, Int()) for number in range(1, count + 1))
                drawn = program.MakeList(numbers, List(Int(), count, count), span=value.span)
                draws = property_of("draw", Int()), self._compute(f"{path}.draws", drawn, env)
                return (self._map(path, value, draws, env, {**says, "draws": count}),)
            case program.Each(var=var, var_type=var_type, items=items, condition=condition):
                assert isinstance(items.type, List)
                chosen: program.Rhs = items
                if condition is not None:
                    same = program.Local(var, var_type)
                    chosen = program.Each(var, var_type, items, condition, same, items.type, span=value.span)
                each = property_of(var, var_type), self._argument(f"{path}.{ITEMS}", chosen, env, items.type)
                return (self._map(path, value, each, env, says),)
            case _:
                raise AssertionError(value)

    def _argument(self, path: str, value: program.Rhs, env: Env, kind: Type) -> Places:
        """Return where a value comes from, which a node computes unless it is a name."""
        if isinstance(value, program.Local) and not self._is_narrowed(value.name, value.type):
            return env[value.name]
        return self._compute(path, value, env, None if isinstance(value.type, type(kind)) else kind)

    def _is_narrowed(self, name: str, kind: Type) -> bool:
        """Return whether a name that may be none where it is bound is known not to be so where it is read."""
        return name in self._maybe and not isinstance(kind, Optional)

    def _step(self, path: str, step: Invoke, env: Env, says: dict[str, Any]) -> Place:
        """Write a call; one whose callee has a default catches what fails."""
        item = self._item(step)
        if item.has_default and not step.callee.startswith(_BARE):
            return self._caught(path, step, plain(item.default), step.type, env, says)[0]
        constants = {param.name: plain(param.default) for param in item.params if param.optional}
        sources: dict[str, Places] = {}
        kinds = {param.name: param.type for param in item.params}
        for param, value in step.arguments:
            if (fixed := constant(value)) is not None:
                constants[param] = fixed[0]
            else:
                sources[param] = self._argument(f"{path}.{param}", value, env, kinds[param])
                constants.pop(param, None)
        inputs = [
            property_of(param.name, param.type, (constants[param.name],) if param.name in constants else ())
            for param in item.params
        ]
        parts: dict[str, Any]
        if isinstance(item, Flow):
            kind, parts = "FlowNode", {"subflow": {"$component_ref": item.key}}
        elif isinstance(item, Tool):
            kind, parts = "ToolNode", {"tool": tool_of(item)}
        else:
            kind, parts = "LlmNode", llm_parts(item)
            inputs = self._prompt(path, item, inputs, sources)
        made = self._node(kind, path, inputs, [property_of(VALUE, item.returns)], **parts)
        made = known(made, **says)
        self._add(made)
        for title, found in sources.items():
            self._feed(made, title, found)
        return Place(made["id"])

    def _prompt(self, path: str, agent: Agent, inputs: list[Any], sources: dict[str, Places]) -> list[Any]:
        """Write the node that renders a prompt with more than placeholders; return the inputs that are left."""
        if is_plain(agent.prompt):
            return inputs
        shown = [one for one in inputs if one["title"] not in agent.unmentioned]
        output = [{"title": VALUE, "type": "string"}]
        made = self._node("ToolNode", f"{path}.prompt", shown, output, tool=prompt_tool(agent))
        self._add(known(made, part=True))
        for one in shown:
            self._feed(made, one["title"], sources.pop(one["title"], ()))
        title = prompt_input(agent)
        sources[title] = (Place(made["id"]),)
        return [{"title": title, "type": "string"}, *(one for one in inputs if one not in shown)]

    def _item(self, step: Invoke) -> Agent | Tool | Flow:
        key = step.callee.removeprefix(_BARE)
        if step.kind == "agent":
            return self._callees.agents[key]
        return self._callees.tools[key] if step.kind == "tool" else self._callees.flows[key]

    # ------------------------------------------------------------ bodies

    @abstractmethod
    def _body(self, path: str, value: program.Attempt, kind: Type) -> tuple[Component, dict[str, Type]]:
        """Return the flow that is one right-hand side, and the names that it takes."""

    def _free(self, path: str, names: Mapping[str, Type], env: Env) -> dict[str, Places]:
        """Return where the names that a body takes come from."""
        return {
            name: self._argument(f"{path}.{name}", program.Local(name, kind), env, kind) for name, kind in names.items()
        }

    def _map(
        self,
        path: str,
        value: program.Sample | program.Each,
        over: tuple[dict[str, Any], Places],
        env: Env,
        says: dict[str, Any],
    ) -> Place:
        """Write a map over (the property of an item, where the list comes from).

        What it goes through is an item or a list of them, in this form, as `pyagentspec` itself would say it: WayFlow
        knows by it that it has to go through the list.
        """
        item, items = over
        body, names = self._body(path, value.body, value.type.element)
        inner = body["inputs"]
        if all(one["title"] != item["title"] for one in inner):
            body = _with_input(body, item)
            inner = body["inputs"]
        inputs = []
        for one in inner:
            title = f"iterated_{one['title']}"
            if one["title"] == item["title"]:
                inputs.append({"title": title, "anyOf": [one, {"type": "array", "items": one}]})
            else:
                inputs.append({**one, "title": title})
        outputs = [{**property_of(f"collected_{VALUE}", value.type)}]
        steps = [node for node in nodes_of(value.body) if isinstance(node, Invoke)]
        has_effect = any((step.kind, step.callee) in self._callees.effects for step in steps)
        kind = "MapNode" if has_effect else "ParallelMapNode"
        made = self._node(kind, path, inputs, outputs, subflow=body, reducers={VALUE: "append"})
        made = known(made, **says)
        free = self._free(path, {name: inner for name, inner in names.items() if name != item["title"]}, env)
        self._add(made)
        self._feed(made, f"iterated_{item['title']}", items)
        for name, found in free.items():
            self._feed(made, f"iterated_{name}", found)
        return Place(made["id"], f"collected_{VALUE}")

    def _caught(
        self, path: str, value: Invoke, default: Any, kind: Type, env: Env, says: dict[str, Any]
    ) -> tuple[Place, Component]:
        """Write a step that gives a default where it fails; both ways lead on."""
        item = self._item(value)
        if item.has_default:
            value = value.replace(callee=f"{_BARE}{value.callee}")
        body, names = self._body(path, value, kind)
        outputs = [
            property_of(VALUE, kind, (default,)),
            {"title": INFO, "anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        ]
        made = self._node("CatchExceptionNode", path, body["inputs"], outputs, subflow=body)
        made = known({**made, "branches": [CAUGHT, NEXT]}, **says)
        free = self._free(path, names, env)
        self._add(made, NEXT)
        self._open = [Exit(made, NEXT), Exit(made, CAUGHT)]
        for name, found in free.items():
            self._feed(made, name, found)
        return Place(made["id"]), made

    def _fallback(
        self, path: str, options: tuple[program.Expr | Invoke, ...], env: Env, kind: Type, says: dict[str, Any]
    ) -> Places:
        """Write options, of which each but the last is caught, and followed by the next where it fails or is none."""
        first, *rest = options
        if not rest:
            if isinstance(first, Invoke):
                return (self._step(path, first, env, says),)
            return self._compute(path, first, env, kind)
        if not isinstance(first, Invoke):
            why = "a value that may be none has no step behind it there"
            raise Refused(self._flow.module, first.span, "this `else`", why, "test it with `if`, or put a step first")
        may_be_none = isinstance(first.type, Optional)
        fixed = constant(rest[0]) if len(rest) == 1 and not may_be_none else None
        own = first.type.inner if isinstance(first.type, Optional) else first.type
        default = fixed[0] if fixed is not None else None if may_be_none else any_value(own)
        given, made = self._caught(path, first, default, kind if fixed is not None else first.type, env, says)
        if fixed is not None:
            return (given,)
        ends, others = [Exit(made, NEXT)], [Exit(made, CAUGHT)]
        if may_be_none:
            self._open = ends
            value = program.Local(VALUE, first.type)
            is_there = program.Binary(value, "!=", program.Const(None, first.type), Bool())
            choice = self._choice(f"{path}.found", is_there, {VALUE: (given,)}, found=True)
            ends, others = [Exit(choice, YES)], [*others, Exit(choice, OTHERWISE)]
        self._open = others
        found = self._fallback(f"{path}.else", tuple(rest), env, kind, {"part": True})
        self._open += ends
        return (given, *found)

    # ------------------------------------------------------------ the end

    def _fill_types(self, data: Iterable[tuple[Place, Place]]) -> None:
        """Give what is `[]` the type of what takes it: edges join only outputs and inputs of like types."""
        by_id = {node["id"]: node for node in self._nodes}
        for source, target in data:
            node = by_id[source.node]
            wanted = next(one for one in by_id[target.node]["inputs"] if one["title"] == target.output)
            if _items_of_nothing(wanted) or not any(_items_of_nothing(one) for one in node["outputs"]):
                continue
            outputs = [{"title": source.output, **_untitled(wanted), "minItems": 0}]
            self._nodes[self._nodes.index(node)] = by_id[source.node] = {
                **node,
                "outputs": outputs,
                "tool": {**node["tool"], "outputs": outputs},
            }

    def _sources(self, place: Place) -> list[Place]:
        """Return the outputs that a place stands for: those of the round before, of one that is carried."""
        found: list[Place] = []
        pending, seen = [place], set[Place]()
        while pending:
            one = pending.pop(0)
            if one in seen:
                continue
            seen.add(one)
            if one.node.startswith("\0"):
                pending += self._again.get(one, ())
            else:
                found.append(one)
        return found


def _items_of_nothing(one: Mapping[str, Any]) -> bool:
    """Return whether a property is that of `[]`, whose items have no type."""
    return one.get("items") == {"type": "null"}


def _untitled(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in ("title", "default")}


def _with_input(body: Component, item: dict[str, Any]) -> Component:
    """Return a body that also takes an item which it does not read."""
    inputs = [*body["inputs"], item]
    nodes = dict(body["$referenced_components"])
    start = body["start_node"]["$component_ref"]
    nodes[start] = {**nodes[start], "inputs": inputs, "outputs": inputs}
    return {**body, "inputs": inputs, "$referenced_components": nodes}
