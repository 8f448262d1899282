"""What makes two programs the same: the hash of the canonical text with the names of locals normalised.

Layout, comments, the order of attributes and the names that nobody outside a flow or test can know do not count.
Locals are the names that a body binds: steps and other bindings, loop variables, labels. They become `_1`, `_2`, ... in
the order of their first binding, wherever they are used: in the body, and in the addresses of steps that tests write.
Parameters stay as they are, because callers and prompts name them.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, TypeVar

from masdsl.node import Node
from masdsl.syntax import ast
from masdsl.syntax.print import print_program

_N = TypeVar("_N", bound=Node)


def program_hash(program: ast.Program) -> str:
    """Return the identity of a program: SHA-256 of `canonical_text` in UTF-8, as 64 hexadecimal digits."""
    return sha256(canonical_text(program).encode()).hexdigest()


def canonical_text(program: ast.Program) -> str:
    """Return the canonical text of a program without comments and with normalised names of locals."""
    return print_program(normalise_locals(program))


def normalise_locals(program: ast.Program) -> ast.Program:
    """Return the program with `_1`, `_2`, ... for the locals of each flow and each test."""
    scopes = _Scopes(program)
    items = tuple([scopes.renamed(item) if isinstance(item, ast.Flow | ast.Test) else item for item in program.items])
    return program.replace(items=items)


class _Scopes:
    """The new names of all locals, and which flow a step calls: an address may lead into that one."""

    def __init__(self, program: ast.Program) -> None:
        self._flows = {item.name.text: item for item in program.items if isinstance(item, ast.Flow)}
        self._taken = {name for item in program.items for name in _declared(item)}
        self._names = {name: self._numbered(flow) for name, flow in self._flows.items()}
        self._entered = {name: self._calls(flow) for name, flow in self._flows.items()}

    def renamed(self, item: ast.Flow | ast.Test) -> ast.Flow | ast.Test:
        names = self._names[item.name.text] if isinstance(item, ast.Flow) else self._numbered(item)
        if isinstance(item, ast.Flow):
            return item.replace(body=_Renamer(self, names).node(item.body))
        renamer = _Renamer(self, names)
        return item.replace(
            givens=tuple([renamer.node(given) for given in item.givens]),
            body=renamer.node(item.body),
            expects=tuple([renamer.node(expect) for expect in item.expects]),
        )

    def step(self, flow: str | None, name: str) -> tuple[str, str | None]:
        """Return the new name of a step or label in a flow, and the flow that the next part of the address is in."""
        if flow is None:
            return name, None
        return self._names[flow].get(name, name), self._entered[flow].get(name, flow)

    def is_flow(self, name: str) -> bool:
        return name in self._flows

    def _numbered(self, item: ast.Flow | ast.Test) -> dict[str, str]:
        own: set[str] = set()
        if isinstance(item, ast.Flow):
            own.update([static.name.text for static in item.statics], [param.name.text for param in item.params])
        names: dict[str, str] = {}
        number = 0
        for name in _bound(item.body):
            if name in own or name in names:
                continue
            number += 1
            while f"_{number}" in self._taken or f"_{number}" in own:
                number += 1
            names[name] = f"_{number}"
        return names

    def _calls(self, flow: ast.Flow) -> dict[str, str]:
        return {
            bind.name.text: call.callee.text
            for bind in _all(flow.body, ast.Bind)
            for call in _all(bind.value, ast.Call)
            if call.callee.text in self._flows
        }


class _Renamer:
    """Rewrites the body of one flow or test."""

    def __init__(self, scopes: _Scopes, names: dict[str, str]) -> None:
        self._scopes = scopes
        self._names = names

    def node(self, node: Node) -> Any:
        """Return a node with the new names."""
        match node:
            case ast.Var():
                return node.replace(name=self._name(node.name))
            case ast.Attribute() | ast.Index():
                address = self._address(node)
                return self._parts(node) if address is None else address[0]
            case ast.Bind() | ast.Append():
                return self._parts(node).replace(name=self._name(node.name))
            case ast.Each():
                return self._parts(node).replace(var=self._name(node.var))
            case ast.For():
                return self._parts(node).replace(label=self._label(node.label), var=self._name(node.var))
            case ast.Loop() | ast.Within() | ast.If() | ast.Match():
                return self._parts(node).replace(label=self._label(node.label))
            case ast.Given():
                return self._parts(node).replace(target=self._target(node.target))
            case _:
                return self._parts(node)

    def _parts(self, node: Node) -> Any:
        """Return a node with its parts rewritten."""
        changes: dict[str, object] = {}
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, Node):
                changes[field] = self.node(value)
            elif isinstance(value, tuple):
                changes[field] = tuple([self.node(part) for part in value])
        return node.replace(**changes) if changes else node

    def _name(self, name: ast.Name) -> ast.Name:
        new = self._names.get(name.text)
        return name if new is None else name.replace(text=new)

    def _label(self, name: ast.Name | None) -> ast.Name | None:
        return None if name is None else self._name(name)

    def _target(self, target: tuple[ast.Name, ...]) -> tuple[ast.Name, ...]:
        """Return the address of a `given`: it is one if it starts with a flow, else it names an agent or a tool."""
        flow: str | None = target[0].text if self._scopes.is_flow(target[0].text) else None
        parts = [target[0]]
        for part in target[1:]:
            text, flow = self._scopes.step(flow, part.text)
            parts.append(part.replace(text=text))
        return tuple(parts)

    def _address(self, node: ast.Expr) -> tuple[ast.Expr, str | None] | None:
        """Return `main.refine.code[1]` with new names and the flow it leads to; None for what starts with no flow."""
        match node:
            case ast.Var() if self._scopes.is_flow(node.name.text) and node.name.text not in self._names:
                return node, node.name.text
            case ast.Attribute() | ast.Index():
                inner = self._address(node.value)
                if inner is None:
                    return None
                value, flow = inner
                if isinstance(node, ast.Index):
                    return ast.Index(value, self.node(node.index), span=node.span), flow
                text, flow = self._scopes.step(flow, node.field.text)
                return ast.Attribute(value, node.field.replace(text=text), span=node.span), flow
            case _:
                return None


def _declared(item: ast.Item) -> Iterator[str]:
    match item:
        case ast.Use():
            yield item.path[-1].text
            for name in item.names:
                yield (name.alias or name.name).text
        case ast.Tool() | ast.Agent() | ast.Variant() | ast.Extern() | ast.Flow():
            yield item.name.text


def _bound(node: Node) -> Iterator[str]:
    """Yield the names that a body binds, in the order of the text."""
    match node:
        case ast.Bind():
            yield node.name.text
        case ast.Loop() | ast.For() | ast.Within() | ast.If() | ast.Match():
            if node.label is not None:
                yield node.label.text
    if isinstance(node, ast.For | ast.Each):
        yield node.var.text
    for part in _children(node):
        yield from _bound(part)


def _all(node: Node, kind: type[_N]) -> Iterator[_N]:
    """Yield all nodes of a class in a tree, the root included."""
    if isinstance(node, kind):
        yield node
    for part in _children(node):
        yield from _all(part, kind)


def _children(node: Node) -> Iterator[Node]:
    for field in node._fields:
        value = getattr(node, field)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from value
