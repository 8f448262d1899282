"""Calls of agents, tools and flows: arguments, static parameters, and the instances of flows that calls need."""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.context import Callee, Frame, Statics
from masdsl.check.declarations import agent, callee_of, tool
from masdsl.check.expressions import check_fits, is_function, report_uncallable, typed, unknown
from masdsl.check.program import Const, Expr, Invoke
from masdsl.check.relations import fits, join, show
from masdsl.check.resolve import resolve, visible
from masdsl.check.scope import Declared, Names
from masdsl.diagnostics.names import DeclaredBelow, Recursion, UnknownParameter
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.types import BadAgentArgument, BadStatic, CannotInfer, MissingArgument, TooManyArguments
from masdsl.limits import STATIC_INTEGER
from masdsl.syntax import ast
from masdsl.types import List, Optional, Text, Type, Unknown


def invoke(frame: Frame, names: Names, node: ast.Call, path: str) -> Invoke | Const:
    """Return the checked step that calls an agent, a tool or a flow; a faulty callee gives an unknown constant."""
    name = node.callee.text
    callee = frame.callees.get(name)
    if callee is not None:
        return _step(frame, names, node, path, callee)
    declared = frame.scope.names.get(name)
    if declared is None or not isinstance(declared.node, ast.Agent | ast.Tool | ast.Flow):
        report_uncallable(frame, names, node.callee)
        return _given_up(frame, names, node)
    if declared.visible_from > node.callee.span.start:
        if frame.current is not None and declared.node is frame.current.node:
            frame.report(Recursion(name, span=node.callee.span))
        else:
            line = frame.scope.source.position(declared.at.start).line
            frame.report(DeclaredBelow(name, line, declared.at, span=node.callee.span))
        return _given_up(frame, names, node)
    if isinstance(declared.node, ast.Flow):
        if is_generic(declared.node):
            return _generic_step(frame, names, node, path, declared, declared.node)
        instance = _instance(frame, declared, {}, {}, node)
        return _step(frame, names, node, path, instance) if instance else _given_up(frame, names, node)
    return _step(frame, names, node, path, named_callee(frame, declared))


def is_generic(node: ast.Flow) -> bool:
    """Say whether a flow has to be instantiated: it has static parameters or takes agents."""
    return bool(node.statics) or any(isinstance(param.type, ast.AgentType) for param in node.params)


def named_callee(frame: Frame, declared: Declared) -> Callee:
    """Return the agent or tool that a name stands for."""
    return callee_of(tool(frame, declared) if isinstance(declared.node, ast.Tool) else agent(frame, declared))


def _given_up(frame: Frame, names: Names, node: ast.Call) -> Const:
    for argument in node.arguments:
        if not isinstance(argument.value, ast.Var) or argument.value.name.text in names:
            typed(frame, names, argument.value)
    return unknown(node.span)


def _step(frame: Frame, names: Names, node: ast.Call, path: str, callee: Callee) -> Invoke:
    bound = _match_arguments(frame, node, tuple(param.name for param in callee.params), callee.name, callee.signature)
    arguments: list[tuple[str, Expr]] = []
    missing: list[str] = []
    for param in callee.params:
        value = bound.get(param.name)
        if value is not None:
            checked = typed(frame, names, value, param.type)
            check_fits(frame, checked.type, param.type, f"`{param.name}` of `{callee.name}`", value.span)
            arguments.append((param.name, checked))
        elif not param.optional:
            missing.append(param.name)
    if missing:
        frame.report(MissingArgument(callee.name, tuple(missing), callee.signature, span=node.span))
    return Invoke(path, callee.kind, callee.key, tuple(arguments), callee.returns, span=node.span)


def _match_arguments(
    frame: Frame, node: ast.Call, parameters: tuple[str, ...], name: str, signature: str
) -> dict[str, ast.Expr]:
    """Return arguments by parameter: first those by position, then those by name."""
    bound: dict[str, ast.Expr] = {}
    for position, argument in enumerate(node.arguments):
        if argument.name is not None:
            target = argument.name.text
            if target not in parameters:
                near = nearest(target, parameters)
                frame.report(UnknownParameter(target, name, signature, near, span=argument.name.span))
                if near is None:
                    continue
                target = near  # meant, so not also missing
        elif position < len(parameters):
            target = parameters[position]
        else:
            frame.report(TooManyArguments(name, signature, None, span=argument.span))
            continue
        if target in bound:
            frame.report(TooManyArguments(name, signature, target, span=argument.span))
            continue
        bound[target] = argument.value
    return bound


# ---------------------------------------------------------------- flows with static parameters


class _Call(NamedTuple):
    """A call of a generic flow, split: values by parameter, agents by parameter, integers passed by name."""

    values: dict[str, ast.Expr]
    agents: dict[str, ast.Expr]
    integers: dict[str, ast.Expr]


def _generic_step(
    frame: Frame, names: Names, node: ast.Call, path: str, declared: Declared, flow: ast.Flow
) -> Invoke | Const:
    shown = f"{flow.name.text}({', '.join(param.name.text for param in flow.params)})"
    static_names = {static.name.text for static in flow.statics}
    order = (*(param.name.text for param in flow.params), *sorted(name for name in static_names if name[:1].islower()))
    positional = len(flow.params)
    if sum(argument.name is None for argument in node.arguments) > positional:
        frame.report(TooManyArguments(flow.name.text, shown, None, span=node.arguments[positional].span))
        return _given_up(frame, names, node)
    bound = _match_arguments(frame, node, order, flow.name.text, shown)
    agent_params = {param.name.text for param in flow.params if isinstance(param.type, ast.AgentType)}
    call = _Call(
        {name: value for name, value in bound.items() if name not in agent_params | static_names},
        {name: value for name, value in bound.items() if name in agent_params},
        {name: value for name, value in bound.items() if name in static_names},
    )
    statics, callees = _infer(frame, names, node, flow, call)
    if statics is None:
        return _given_up(frame, names, node)
    instance = _instance(frame, declared, statics, callees, node)
    if instance is None:
        return _given_up(frame, names, node)
    by_name = tuple(
        ast.Argument(ast.Name(name, span=value.span), value, span=value.span) for name, value in call.values.items()
    )
    plain = node.replace(arguments=by_name)
    return _step(frame, names, plain, path, instance)


def _infer(
    frame: Frame, names: Names, node: ast.Call, flow: ast.Flow, call: _Call
) -> tuple[Statics | None, dict[str, Callee]]:
    """Return what the static parameters and the agent parameters are in this call (None after a fault)."""
    statics: dict[str, Type | int] = {}
    static_names = {static.name.text for static in flow.statics}
    callees: dict[str, Callee] = {}
    ok = True
    for name, value in call.integers.items():
        number = _static_argument(frame, name, value)
        ok = ok and number is not None
        if number is not None:
            statics[name] = number
    for param in flow.params:
        name = param.name.text
        if isinstance(param.type, ast.AgentType):
            callee = _agent_argument(frame, name, call.agents.get(name), param.type, node)
            if callee is None:
                ok = False
                continue
            callees[name] = callee
            _unify(param.type.returns, callee.returns, static_names, statics)
        elif param.type is not None and name in call.values:
            before = frame.context.findings.mark()
            given = typed(frame, names, call.values[name]).type
            if isinstance(given, Unknown):  # its fault is reported already, and there is nothing to learn from it
                ok = False
                continue
            frame.context.findings.rollback(before)
            _unify(param.type, given, static_names, statics)
    for static in flow.statics:
        name = static.name.text
        if name not in statics and static.default is not None:
            statics[name] = static.default
        if ok and name not in statics:
            frame.report(CannotInfer(flow.name.text, name, span=node.span))
            ok = False
    return (statics if ok else None), callees


def _static_argument(frame: Frame, name: str, value: ast.Expr) -> int | None:
    number: object = None
    if isinstance(value, ast.IntLit):
        number = value.value
    elif isinstance(value, ast.Var):
        number = frame.statics.get(value.name.text)
    if not isinstance(number, int):
        frame.report(BadStatic(name, "has to be known at compile time", span=value.span))
        return None
    if not 0 <= number <= STATIC_INTEGER:
        problem = f"is {number}, but must be from 0 to {STATIC_INTEGER}"
        frame.report(BadStatic(name, problem, span=value.span))
        return None
    return number


def _agent_argument(
    frame: Frame, name: str, value: ast.Expr | None, wanted: ast.AgentType, node: ast.Call
) -> Callee | None:
    shown = f"agent({', '.join('..' for _ in wanted.params)}) -> .."
    if value is None:
        frame.report(MissingArgument(node.callee.text, (name,), f"{name}: {shown}", span=node.span))
        return None
    if isinstance(value, ast.Var):
        passed = value.name.text
        if passed in frame.callees:
            return frame.callees[passed]
        declared = frame.scope.names.get(passed)
        if declared is not None and isinstance(declared.node, ast.Agent | ast.Tool | ast.Flow):
            if not visible(frame, declared, value.span):
                return None
            if not isinstance(declared.node, ast.Flow):
                return named_callee(frame, declared)
            if not is_generic(declared.node):
                return _instance(frame, declared, {}, {}, node)
            problem = f"`{passed}` is a flow with parameters that are not known here"
            frame.report(BadAgentArgument(name, shown, problem, span=value.span))
            return None
        if is_function(frame, passed):
            problem = f"`{passed}` is a function; a flow may return what it gives"
            frame.report(BadAgentArgument(name, shown, problem, span=value.span))
            return None
        if passed not in frame.scope.names:
            report_uncallable(frame, Names(), value.name)
            return None
    frame.report(BadAgentArgument(name, shown, "this is a value", span=value.span))
    return None


def _unify(node: ast.TypeExpr, given: Type, static_names: set[str], statics: dict[str, Type | int]) -> None:
    """Learn static parameters from a written type and the type that meets it."""
    match node, given:
        case ast.OptionalType(), Optional():
            _unify(node.inner, given.inner, static_names, statics)
        case ast.OptionalType(), _:
            _unify(node.inner, given, static_names, statics)
        case ast.ListType(), List():
            if isinstance(node.cap, ast.Name) and node.cap.text in static_names:
                _learn_int(node.cap.text, given.high, statics)
            if given.high > 0:
                _unify(node.element, given.element, static_names, statics)
        case ast.NamedType(), Unknown():
            if node.name.text in static_names:
                statics.setdefault(node.name.text, given)
        case ast.NamedType(), _ if node.name.text in static_names:
            known = statics.get(node.name.text)
            if known is None:
                statics[node.name.text] = given
            elif not isinstance(known, int):
                statics[node.name.text] = join(known, given) or known
        case ast.NamedType(size=ast.Name(text=size)), Text() if size in static_names:
            _learn_int(size, given.cap, statics)
        case _:
            pass


def _learn_int(name: str, number: int, statics: dict[str, Type | int]) -> None:
    known = statics.get(name)
    statics[name] = max(known, number) if isinstance(known, int) else number


def _instance(
    frame: Frame, declared: Declared, statics: Statics, callees: dict[str, Callee], node: ast.Call
) -> Callee | None:
    flow = declared.node
    assert isinstance(flow, ast.Flow)
    home = Frame(declared.home, frame.context)
    home.statics = statics
    for param in flow.params:
        if isinstance(param.type, ast.AgentType):
            callee = callees[param.name.text]
            fault = _misfit(home, param.type, callee)
            if fault:
                shown = ", ".join(show(resolve(home, kind)) for kind in param.type.params)
                expected = f"agent({shown}) -> {show(resolve(home, param.type.returns))}"
                frame.report(BadAgentArgument(param.name.text, expected, fault, span=node.span))
                return None
    made = frame.context.instantiate(frame.context, declared, statics, callees, node.span, frame.scope.source)
    return None if made is None else Callee("flow", made.key, flow.name.text, made.params, made.returns)


def _misfit(home: Frame, wanted: ast.AgentType, callee: Callee) -> str:
    """Return why a callee does not fit an agent type, or nothing."""
    kinds = [resolve(home, kind) for kind in wanted.params]
    required = [param for param in callee.params if not param.optional]
    if len(kinds) < len(required) or len(kinds) > len(callee.params):
        return f"`{callee.signature}` takes another number of inputs"
    for kind, param in zip(kinds, callee.params, strict=False):
        if not fits(kind, param.type):
            return f"`{callee.signature}` takes `{show(param.type)}` where `{show(kind)}` comes"
    returns = resolve(home, wanted.returns)
    if not fits(callee.returns, returns):
        return f"`{callee.signature}` gives `{show(callee.returns)}`"
    return ""
