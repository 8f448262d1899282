"""Other names for declarations, parameters and what flows bind, wherever a program uses them.

Nothing is shadowed in this language, so one name in a flow is one thing. Types are told from the rest by their first
letter. Two kinds of uses are texts of their own: prompts, which name parameters, and the addresses in tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from masdsl.node import Node
from masdsl.patch.places import NAMED_ITEMS, options_of, statements_of
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate

Keep = Callable[[object, object], None]
_NONE: Mapping[str, str] = {}


class Names(NamedTuple):
    """New names by old ones.

    `declared` are those of agents, tools, flows and types. `parameters` are by the agent, tool or flow that has them,
    `locals` by the flow that binds them, all by its old name.
    """

    declared: Mapping[str, str] = _NONE
    parameters: Mapping[str, Mapping[str, str]] = {}
    locals: Mapping[str, Mapping[str, str]] = {}


def renamed(program: ast.Program, names: Names, keep: Keep = lambda old, new: None) -> ast.Program:
    """Return a program with other names; `keep` is told what stands in place of each thing."""
    renamer = _Renamer(names, keep)
    items = tuple([renamer.item(item) for item in program.items])
    keep(program.items, items)
    made = program.replace(items=items)
    keep(program, made)
    return with_addresses(program, made, keep)


def local_names(flow: ast.Flow) -> set[str]:
    """Return every name that means something inside a flow alone: parameters, bindings, labels, loop variables."""
    parts: tuple[ast.Static | ast.Param, ...] = (*flow.statics, *flow.params)
    names = {part.name.text for part in parts}
    for node in iterate(flow.body):
        match node:
            case ast.Bind() | ast.Append():
                names.add(node.name.text)
            case ast.For() | ast.Each():
                names.add(node.var.text)
        label = getattr(node, "label", None)
        if label is not None:
            names.add(label.text)
    return names


class _Renamer:
    def __init__(self, names: Names, keep: Keep) -> None:
        self._names = names
        self._keep = keep
        self._here: Mapping[str, str] = names.declared  # what names in expressions become

    def item(self, item: ast.Item) -> Any:
        names = self._names
        if not isinstance(item, NAMED_ITEMS):
            return self._parts(item)
        old = item.name.text
        params = names.parameters.get(old, _NONE)
        own = names.locals.get(old, _NONE)
        self._here = {**names.declared, **params, **own} if params or own else names.declared
        made: Any = self._parts(item)
        changes: dict[str, Any] = {}
        if old in names.declared:
            changes["name"] = item.name.replace(text=names.declared[old])
        if params and isinstance(item, ast.Agent):
            changes["prompt"] = item.prompt.replace(value=renamed_prompt(item.prompt.value, params))
        if isinstance(item, ast.Variant):
            base = item.base.text
            if base in names.declared:
                changes["base"] = item.base.replace(text=names.declared[base])
            if item.prompt is not None and base in names.parameters:
                text = renamed_prompt(item.prompt.value, names.parameters[base])
                changes["prompt"] = item.prompt.replace(value=text)
        self._here = names.declared
        if not changes:
            return made
        made = made.replace(**changes)
        self._keep(item, made)
        return made

    def _node(self, node: Any) -> Any:
        match node:
            case ast.Var():
                return self._with(node, name=self._name(node.name))
            case ast.NamedType():
                return self._with(node, name=self._name(node.name), size=self._size(node.size))
            case ast.ListType():
                return self._with(node, element=self._node(node.element), cap=self._size(node.cap))
            case ast.TagLit():
                return self._with(node, type=self._name(node.type))
            case ast.RecordLit():
                kind = None if node.type is None else self._name(node.type)
                return self._with(node, type=kind, fields=self._all(node.fields))
            case ast.Call():
                params = self._names.parameters.get(node.callee.text, _NONE)
                arguments = [self._argument(argument, params) for argument in node.arguments]
                made = node.arguments if all(map(_same, arguments, node.arguments)) else tuple(arguments)
                self._keep(node.arguments, made)
                return self._with(node, callee=self._name(node.callee), arguments=made)
            case ast.Param() | ast.Static() | ast.Append():
                return self._with(self._parts(node), node, name=self._name(node.name))
            case ast.Bind():
                return self._with(self._parts(node), node, name=self._name(node.name))
            case ast.Each():
                return self._with(self._parts(node), node, var=self._name(node.var))
            case ast.For():
                return self._with(self._parts(node), node, var=self._name(node.var), label=self._label(node.label))
            case ast.Loop():
                return self._with(self._parts(node), node, times=self._size(node.times), label=self._label(node.label))
            case ast.Within() | ast.If() | ast.Match():
                return self._with(self._parts(node), node, label=self._label(node.label))
            case ast.Sample():
                return self._with(self._parts(node), node, count=self._size(node.count))
            case ast.Attr(value=tuple() as tools):
                return self._with(node, value=self._mapped(tools, self._name))
            case ast.Given() if len(node.target) == 1:
                return self._with(self._parts(node), node, target=self._mapped(node.target, self._name))
            case ast.Name():
                return node
            case _:
                return self._parts(node)

    def _argument(self, node: ast.Argument, params: Mapping[str, str]) -> Any:
        name = node.name
        if name is not None and name.text in params:
            name = name.replace(text=params[name.text])
        return self._with(node, name=name, value=self._node(node.value))

    def _name(self, name: ast.Name) -> ast.Name:
        new = self._here.get(name.text)
        if new is None:
            return name
        made = name.replace(text=new)
        self._keep(name, made)
        return made

    def _label(self, name: ast.Name | None) -> ast.Name | None:
        return None if name is None else self._name(name)

    def _size(self, size: Any) -> Any:
        return self._name(size) if isinstance(size, ast.Name) else size

    def _all(self, nodes: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._mapped(nodes, self._node)

    def _mapped(self, nodes: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
        made = tuple([change(node) for node in nodes])
        if all(map(_same, made, nodes)):
            return nodes
        self._keep(nodes, made)
        return made

    def _parts(self, node: Any) -> Any:
        """Return a node with its parts renamed."""
        changes: dict[str, object] = {}
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, Node):
                changes[field] = self._node(value)
            elif isinstance(value, tuple):
                changes[field] = self._all(value)
        return self._with(node, **changes)

    def _with(self, node: Any, original: Any = None, /, **changes: object) -> Any:
        """Return a node with some fields changed, itself where they are the same."""
        if all(getattr(node, field) is value for field, value in changes.items()):
            return node
        made = node.replace(**changes)
        self._keep(node if original is None else original, made)
        return made


def _same(one: object, other: object) -> bool:
    return one is other


# ---------------------------------------------------------------- prompts

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?P<mark>[.|]\s*)?(?P<name>[A-Za-z_]\w*)""", re.S)


def renamed_prompt(text: str, names: Mapping[str, str]) -> str:
    """Return a prompt with other names for its parameters: inside `{{ }}` and `{% %}`, but for fields and filters."""

    def token(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None or found["mark"] or name not in names:
            return found[0]
        return names[name]

    def tag(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith("{#") else _TOKEN.sub(token, found[0])

    return _TAG.sub(tag, text)


# ---------------------------------------------------------------- addresses in tests


class _Route(NamedTuple):
    """What a statement's address in its flow becomes, and the flows that the options of the statement call."""

    address: tuple[str, ...]
    flows: tuple[str | None, ...]


def with_addresses(before: ast.Program, after: ast.Program, keep: Keep) -> ast.Program:
    """Return a program whose tests write addresses as they are in it; `before` is the same with other names."""
    if not any(isinstance(item, ast.Test) for item in after.items):
        return after
    flows = {item.name.text for item in after.items if isinstance(item, ast.Flow)}
    routes = {
        new.name.text: _routes(old, new, flows)
        for old, new in zip(before.items, after.items, strict=True)
        if isinstance(old, ast.Flow) and isinstance(new, ast.Flow)
    }
    rewriter = _Addresses(routes, keep)
    items = tuple([rewriter.node(item) if isinstance(item, ast.Test) else item for item in after.items])
    keep(after.items, items)
    made = after.replace(items=items)
    keep(after, made)
    return made


def _routes(before: ast.Flow, after: ast.Flow, flows: set[str]) -> dict[str, _Route]:
    routes = {}
    for (old, _), (new, node) in zip(statements_of(before), statements_of(after), strict=True):
        options = options_of(node.value) if isinstance(node, ast.Bind | ast.Return) else ()
        called = [option.callee.text if isinstance(option, ast.Call) else None for option in options]
        routes[old] = _Route(tuple(new.split(".")), tuple([name if name in flows else None for name in called]))
    return routes


class _Addresses:
    """Rewrites the addresses in tests: chains of names that begin with a flow."""

    def __init__(self, routes: Mapping[str, Mapping[str, _Route]], keep: Keep) -> None:
        self._routes = routes
        self._keep = keep

    def node(self, node: Any) -> Any:
        if isinstance(node, ast.Attribute):
            made = self._chain(node)
            if made is not None:
                self._keep(node, made)
                return made
        changes: dict[str, object] = {}
        for field in node._fields:
            value = getattr(node, field)
            new: object = value
            if isinstance(value, Node):
                new = self.node(value)
            elif isinstance(value, tuple):
                parts = tuple([self.node(part) for part in value])
                new = value if all(map(_same, parts, value)) else parts
                self._keep(value, new)
            if new is not value:
                changes[field] = new
        if not changes:
            return node
        made = node.replace(**changes)
        self._keep(node, made)
        return made

    def _chain(self, node: ast.Attribute) -> ast.Expr | None:
        links: list[ast.Attribute] = []
        root: ast.Expr = node
        while isinstance(root, ast.Attribute):
            links.append(root)
            root = root.value
        if not isinstance(root, ast.Var) or root.name.text not in self._routes:
            return None
        links.reverse()
        made: ast.Expr = root
        for link, text in zip(links, self._new(root.name.text, [link.field.text for link in links]), strict=True):
            made = ast.Attribute(made, link.field.replace(text=text), span=link.span)
        return made

    def _new(self, flow: str | None, parts: list[str]) -> list[str]:
        routes = self._routes.get(flow or "", {})
        for length in range(len(parts), 0, -1):
            route = routes.get(".".join(parts[:length]))
            if route is None:
                continue
            new, rest, option = list(route.address), parts[length:], 0
            if rest and rest[0].startswith("else"):
                new.append(rest[0])
                option = int(rest[0][5:] or 1) if rest[0][5:].isdigit() or rest[0] == "else" else 0
                rest = rest[1:]
            callee = route.flows[option] if option < len(route.flows) else None
            return new + self._new(callee, rest) if rest else new
        return parts
