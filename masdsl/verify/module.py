"""What stands at the top of a module: imports, classes, agents, tools, flows, the program."""

from __future__ import annotations

import ast

from masdsl.verify.expressions import (
    Scope,
    check_limits,
    check_names,
    check_type,
    check_value,
    items_of,
    keywords_of,
)
from masdsl.verify.forms import refuse
from masdsl.verify.functions import check_function
from masdsl.verify.vocabulary import MODULES


def check_module(tree: ast.Module) -> None:
    """Check a module whose forms of syntax have been checked."""
    _Module().check(tree)


class _Module:
    """What has been declared so far."""

    def __init__(self) -> None:
        self._scope = Scope()
        self._complete = False

    def check(self, tree: ast.Module) -> None:
        """Check the statements of the module in order."""
        body = list(tree.body)
        if body and isinstance(body[0], ast.Expr) and _is_constant(body[0].value, str):
            body.pop(0)
        while body and isinstance(body[0], ast.ImportFrom):
            self._import(body.pop(0))
        for node in body:
            match node:
                case ast.ClassDef():
                    self._class(node)
                case ast.Assign():
                    self._alias(node)
                case ast.AnnAssign():
                    self._declaration(node)
                case ast.AsyncFunctionDef():
                    self._flow(node)
                case ast.If():
                    self._guard(node)
                case _:
                    refuse(node, "does not stand at the top of a module")

    # ------------------------------------------------------------ declarations

    def _import(self, node: ast.stmt) -> None:
        assert isinstance(node, ast.ImportFrom)
        known = MODULES.get(node.module or "")
        if known is None or node.level:
            refuse(node, f"an import from {(node.module or '.')[:80]!a}")
        for alias in node.names:
            if alias.name not in known or alias.asname is not None:
                refuse(node, f"the import of {alias.name[:80]!a}")
            self._scope.imported.add(alias.name)

    def _new(self, node: ast.AST, name: str) -> None:
        if not self._scope.is_free(name):
            refuse(node, f"{name} means something else in this file")

    def _class(self, node: ast.ClassDef) -> None:
        self._new(node, node.name)
        base = node.bases[0] if len(node.bases) == 1 else node
        if node.decorator_list or node.keywords or not isinstance(base, ast.Name):
            refuse(node, "not a plain class")
        members: list[str] = []
        for member in node.body:
            match member:
                case ast.AnnAssign(target=ast.Name(id=name), value=None, simple=1) if base.id == "Record":
                    check_type(self._scope, member.annotation)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str())) if base.id == "Enum":
                    pass
                case ast.Pass() if base.id == "Record" and len(node.body) == 1:
                    continue
                case _:
                    refuse(member, "not a field or a word")
            if name.startswith("_") or name in members:
                refuse(member, f"the member {name}")
            members.append(name)
        if base.id not in self._scope.imported or base.id not in ("Record", "Enum"):
            refuse(node, f"the base class {base.id}")
        table = self._scope.records if base.id == "Record" else self._scope.enums
        table[node.name] = frozenset(members)
        if base.id == "Record":
            self._scope.fields |= set(members)

    def _alias(self, node: ast.Assign) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript(value=ast.Name(id="Annotated"))):
                self._new(node, name)
                check_type(self._scope, node.value)
                self._scope.aliases.add(name)
            case _:
                refuse(node, "does not stand at the top of a module")

    def _declaration(self, node: ast.AnnAssign) -> None:
        match node:
            case ast.AnnAssign(
                target=ast.Name(id=name),
                annotation=ast.Subscript(value=ast.Name(id="Final"), slice=kind_),
                value=ast.expr() as constant,
                simple=1,
            ):
                self._scope.needs(node, "Final")
                self._new(node, name)
                check_type(self._scope, kind_)
                check_value(self._scope, constant)
                self._scope.constants.add(name)
                return
            case ast.AnnAssign(
                target=ast.Name(id=name), annotation=ast.Name(id="Final"), value=ast.Call() as call, simple=1
            ):
                pass
            case _:
                refuse(node, "not a declaration")
        if "Final" not in self._scope.imported:
            refuse(node, "Final is not imported")
        match call.func:
            case ast.Name(id="Program") if name == "PROGRAM" and "Program" in self._scope.imported:
                self._program(call)
                return
            case ast.Subscript(value=ast.Name(id="Agent" | "Tool" as kind), slice=kinds) if (
                kind in self._scope.imported
            ):
                self._new(node, name)
                check_type(self._scope, kinds)
            case _:
                refuse(call, "not an agent, a tool or the program")
        for key, value in keywords_of(call):
            self._attribute(key, value)
        (self._scope.agents if kind == "Agent" else self._scope.tools).add(name)

    def _attribute(self, key: str, value: ast.expr) -> None:
        """Check an attribute of an agent or a tool."""
        match key, value:
            case ("name" | "granted_as" | "role" | "prompt" | "doc" | "model", ast.Constant(value=str())):
                pass
            case "model", ast.Call(func=ast.Name(id="Model"), args=[ast.Constant(value=str())], keywords=[]):
                self._scope.needs(value, "Model")
            case ("temperature" | "timeout" | "max_tokens" | "retries" | "steps", ast.Constant(value=int() | float())):
                pass
            case "effect", ast.Constant(value=bool()):
                pass
            case "inputs", ast.Dict():
                for _, kind in items_of(value):
                    check_type(self._scope, kind)
            case "optional", ast.Dict():
                for _, default in items_of(value):
                    check_value(self._scope, default)
            case "returns", _:
                check_type(self._scope, value)
            case "default", _:
                check_value(self._scope, value)
            case "tools", ast.Tuple():
                check_names(value, self._scope.tools)
            case _:
                refuse(value, f"the attribute {key[:80]!a}")

    def _program(self, call: ast.Call) -> None:
        if self._complete:
            refuse(call, "PROGRAM is declared already")
        self._complete = True
        for key, value in keywords_of(call):
            match key:
                case "name" if _is_constant(value, str):
                    pass
                case "flows":
                    check_names(value, self._scope.flows)
                case "agents":
                    check_names(value, self._scope.agents)
                case "tools":
                    check_names(value, self._scope.tools)
                case "budget":
                    self._limits(value)
                case _:
                    refuse(value, f"the attribute {key[:80]!a}")

    def _guard(self, node: ast.If) -> None:
        match node:
            case ast.If(
                test=ast.Compare(
                    left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]
                ),
                body=[
                    ast.Expr(
                        value=ast.Call(
                            func=ast.Attribute(value=ast.Name(id="PROGRAM"), attr="cli"), args=[], keywords=[]
                        )
                    )
                ],
                orelse=[],
            ) if self._complete:
                pass
            case _:
                refuse(node, "does not stand at the top of a module")

    def _limits(self, node: ast.expr) -> None:
        match node:
            case ast.Call(func=ast.Name(id="Limits"), args=[]):
                self._scope.needs(node, "Limits")
                check_limits(node)
            case _:
                refuse(node, "not limits")

    def _needs(self, node: ast.AST, name: str) -> None:
        if name not in self._scope.imported:
            refuse(node, f"{name} is not imported")

    # ------------------------------------------------------------ flows

    def _flow(self, node: ast.AsyncFunctionDef) -> None:
        self._new(node, node.name)
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(func=ast.Name(id="flow"), args=[]) if len(node.decorator_list) == 1:
                    self._scope.needs(decorator, "flow")
                case _:
                    refuse(decorator, "a decorator")
            for key, value in keywords_of(decorator):
                match key:
                    case "name" if _is_constant(value, str):
                        pass
                    case "limits":
                        self._limits(value)
                    case "default":
                        check_value(self._scope, value)
                    case _:
                        refuse(value, f"the attribute {key[:80]!a}")
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                check_value(self._scope, default, frozenset(self._scope.constants))
        check_function(self._scope, node)
        self._scope.flows.add(node.name)


def _is_constant(node: ast.expr, kind: type) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, kind)
