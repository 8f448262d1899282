"""Functions of generated code: flows, and the helpers inside them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from masdsl.limits import LOOP_TIMES
from masdsl.verify.expressions import Scope, check_limits, check_type, check_value, keywords_of
from masdsl.verify.forms import refuse


def check_function(scope: Scope, flow: ast.AsyncFunctionDef) -> None:
    """Check a flow's parameters and body, and those of its helpers."""
    pending: list[tuple[ast.AsyncFunctionDef, bool]] = [(flow, False)]
    while pending:
        function, is_helper = pending.pop()
        _signature(scope, function, is_helper)
        body = _Body(scope, function)
        body.check()
        pending += [(helper, True) for helper in body.helpers]


def _signature(scope: Scope, node: ast.AsyncFunctionDef, is_helper: bool) -> None:
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        refuse(node, "parameters that generated code does not have")
    if is_helper and (node.decorator_list or arguments.defaults or arguments.kwonlyargs):
        refuse(node, "a helper has plain parameters")
    match arguments.args[:1]:
        case [ast.arg(annotation=ast.Name(id="Run"))]:
            scope.needs(node, "Run")
        case _:
            refuse(node, "the first parameter is no frame")
    for parameter in (*arguments.args[1:], *arguments.kwonlyargs):
        if parameter.annotation is None:
            refuse(node, "a parameter without a type")
        check_type(scope, parameter.annotation)
    if node.returns is None:
        refuse(node, "a function without a type")
    check_type(scope, node.returns)


class _Body:
    """The body of one function: its names, its frames, its helpers."""

    def __init__(self, scope: Scope, node: ast.AsyncFunctionDef) -> None:
        self._scope = scope
        self._node = node
        self._frames: set[str] = {node.args.args[0].arg}
        parameters = [parameter.arg for parameter in (*node.args.args[1:], *node.args.kwonlyargs)]
        self._names: set[str] = set(parameters)
        self._known: set[str] = set()
        self.helpers: list[ast.AsyncFunctionDef] = []
        self._collect()

    def _collect(self) -> None:
        """Find out what every name of the function is, before its statements are looked at."""
        helpers: set[str] = set()
        pending: list[ast.stmt] = list(self._node.body)
        while pending:
            node = pending.pop()
            match node:
                case ast.AsyncFunctionDef():
                    helpers.add(node.name)
                    continue
                case ast.For(target=ast.Name(id=frame)):
                    self._frames.add(frame)
                case ast.For(target=ast.Tuple(elts=[ast.Name(id=frame), ast.Name(id=name)])):
                    self._frames.add(frame)
                    self._names.add(name)
                case ast.AsyncWith(items=[ast.withitem(optional_vars=ast.Name(id=frame))]):
                    self._frames.add(frame)
                case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                    self._names.update(part.id for part in ast.walk(target) if isinstance(part, ast.Name))
                case _:
                    pass
            pending += _blocks(node)
        for name in (*self._frames, *self._names, *helpers):
            if not self._scope.is_free(name):
                refuse(self._node, f"{name} means something else in this file")
        if self._frames & self._names or helpers & (self._frames | self._names):
            refuse(self._node, "a name with two meanings")
        self._values = frozenset(self._names)

    def check(self) -> None:
        """Check the statements in order."""
        pending: list[tuple[ast.stmt, bool]] = [(node, False) for node in reversed(self._node.body)]
        first: ast.stmt | None = self._node.body[0]
        while pending:
            node, in_loop = pending.pop()
            if node is first and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                if not isinstance(node.value.value, str) or node.value.kind is not None:
                    refuse(node, "not a docstring")
                continue
            self._statement(node, in_loop)
            if not isinstance(node, ast.AsyncFunctionDef):
                inside = in_loop or isinstance(node, ast.For)
                pending += [(inner, inside) for inner in reversed(list(_blocks(node)))]

    # ------------------------------------------------------------ statements

    def _statement(self, node: ast.stmt, in_loop: bool) -> None:
        """Check a statement, without the blocks inside it."""
        match node:
            case ast.Assign(targets=[ast.Name()], value=given):
                self._right_side(given)
            case ast.Assign(targets=[ast.Tuple(elts=parts)], value=ast.Await(value=ast.Name(id=task))):
                if task not in self._names or not all(isinstance(part, ast.Name) for part in parts):
                    refuse(node, "not an assignment of generated code")
            case ast.AnnAssign(target=ast.Name(), value=given, simple=1):
                check_type(self._scope, node.annotation)
                if given is not None:
                    self._right_side(given)
            case ast.Expr(value=ast.Await(value=given)):
                self._awaited(given)
            case ast.Return(value=None):
                pass
            case ast.Return(value=ast.Await(value=given)):
                self._awaited(given)
            case ast.Return(value=ast.Tuple(elts=parts)):
                for part in parts:
                    self._value(part)
            case ast.Return(value=ast.expr() as given):
                self._value(given)
            case ast.For(orelse=[]):
                self._loop(node)
            case ast.AsyncWith(items=[ast.withitem(context_expr=ast.Call() as call, optional_vars=ast.Name())]):
                self._within(call)
            case ast.If():
                self._value(node.test)
            case ast.Match():
                self._match(node)
            case ast.Try(
                handlers=[ast.ExceptHandler(type=ast.Name(id="StepFailed"), name=None)], orelse=[], finalbody=[]
            ):
                self._scope.needs(node, "StepFailed")
            case ast.Break() if in_loop:
                pass
            case ast.Raise(
                exc=ast.Call(func=ast.Name(id="AssertionError"), args=[ast.Constant(value=str())], keywords=[]),
                cause=None,
            ):
                pass
            case ast.Pass():
                pass
            case ast.AsyncFunctionDef():
                if node.name in self._known:
                    refuse(node, f"{node.name} is defined already")
                self._known.add(node.name)
                self.helpers.append(node)
            case _:
                refuse(node, "not a statement of generated code")

    def _right_side(self, node: ast.expr) -> None:
        match node:
            case ast.Await(value=given):
                self._awaited(given)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=frame), attr="start"), args=[given], keywords=[]) if (
                frame in self._frames
            ):
                self._awaitable(given)
            case _:
                self._value(node)

    def _value(self, node: ast.expr) -> None:
        check_value(self._scope, node, self._values)

    def _loop(self, node: ast.For) -> None:
        match node:
            case ast.For(
                target=ast.Name(),
                iter=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=frame), attr="loop"),
                    args=[ast.Constant(value=str()), ast.Constant(value=int() as times)],
                    keywords=[],
                ),
            ) if frame in self._frames and 1 <= times <= LOOP_TIMES:
                pass
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(), ast.Name()]),
                iter=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=frame), attr="each"),
                    args=[ast.Constant(value=str()), items],
                    keywords=[],
                ),
            ) if frame in self._frames:
                self._value(items)
            case _:
                refuse(node, "a loop whose rounds no frame counts")

    def _within(self, call: ast.Call) -> None:
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=frame), attr="within"), args=[ast.Constant(value=str())]
            ) if frame in self._frames:
                check_limits(call)
            case _:
                refuse(call, "not a slice of the budget")

    def _match(self, node: ast.Match) -> None:
        self._value(node.subject)
        for case in node.cases:
            patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
            for pattern in patterns:
                match pattern:
                    case ast.MatchValue(value=ast.Attribute(value=ast.Name(id=name), attr=word)) if word in (
                        self._scope.enums.get(name, ())
                    ):
                        pass
                    case ast.MatchAs(pattern=None, name=None) if len(patterns) == 1:
                        pass
                    case _:
                        refuse(pattern, "not a word of an enum")
            if case.guard is not None:
                refuse(case.guard, "a guard")

    # ------------------------------------------------------------ what is awaited

    def _awaited(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self._value(node)
        else:
            self._awaitable(node)

    def _awaitable(self, node: ast.expr) -> None:
        """Check the call of a step or of a helper."""
        scope = self._scope
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=frame), attr=method), args=[first, ast.Name(id=callee)]
            ) if frame in self._frames:
                match method, first:
                    case "call", ast.Constant(value=str()):
                        if callee not in scope.agents | scope.tools | scope.flows:
                            refuse(node, f"{callee} is no agent, tool or flow that is declared above")
                    case "sample" | "sample_in_order", ast.Constant(value=int() as count) if 1 <= count <= LOOP_TIMES:
                        self._helper(node, callee)
                    case "map" | "map_in_order", _:
                        self._value(first)
                        self._helper(node, callee)
                    case _:
                        refuse(node, "not a step")
            case ast.Call(func=ast.Name(id=helper), args=[ast.Name(id=frame)]) if frame in self._frames:
                self._helper(node, helper)
            case _:
                refuse(node, "not a step")
        for _, given in keywords_of(node):
            self._value(given)

    def _helper(self, node: ast.AST, name: str) -> None:
        if name not in self._known:
            refuse(node, f"{name} is no helper that is defined above")


def _blocks(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements inside a statement, in order."""
    match node:
        case ast.For() | ast.AsyncWith():
            yield from node.body
        case ast.If():
            yield from node.body
            yield from node.orelse
        case ast.Try():
            yield from node.body
            for handler in node.handlers:
                yield from handler.body
        case ast.Match():
            for case in node.cases:
                yield from case.body
        case _:
            pass
