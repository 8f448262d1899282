"""Calls of agents, tools and flows: what is called, and with which arguments."""

from __future__ import annotations

from masdsl.check.advice import Passed, passing, swapped
from masdsl.check.callables import report_uncallable
from masdsl.check.context import Callee, Frame
from masdsl.check.declarations import head_of
from masdsl.check.expressions import check_fits, typed, unknown
from masdsl.check.generics import Given, Head, infer, instance, is_generic, statics_of
from masdsl.check.program import Const, Invoke
from masdsl.check.relations import fits
from masdsl.check.scope import Declared, Names
from masdsl.diagnostics.names import DeclaredBelow, Recursion, UnknownParameter
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.types import MissingArgument, TooManyArguments
from masdsl.syntax import ast

CALLABLE = (ast.Agent, ast.Variant, ast.Tool, ast.Flow)


def invoke(frame: Frame, names: Names, node: ast.Call, path: str) -> Invoke | Const:
    """Return the checked step that calls an agent, a tool or a flow; a faulty callee gives an unknown constant."""
    name = node.callee.text
    callee = frame.callees.get(name)
    if callee is not None:
        return _step(frame, names, node, path, callee)
    declared = frame.scope.names.get(name)
    if declared is None or not isinstance(declared.node, CALLABLE):
        report_uncallable(frame, names, node.callee)
        return _given_up(frame, names, node)
    if declared.visible_from > node.callee.span.start:
        if frame.current is not None and declared.node is frame.current.node:
            frame.report(Recursion(name, span=node.callee.span))
        else:
            line = frame.scope.source.position(declared.at.start).line
            frame.report(DeclaredBelow(name, line, declared.at, span=node.callee.span))
        return _given_up(frame, names, node)
    head = head_of(frame, declared)
    if head is None:
        return _given_up(frame, names, node)
    if is_generic(head):
        return _generic_step(frame, names, node, path, declared, head)
    made = instance(frame, declared, head, {}, {}, node.span)
    return _step(frame, names, node, path, made) if made else _given_up(frame, names, node)


def _given_up(frame: Frame, names: Names, node: ast.Call) -> Const:
    for argument in node.arguments:
        if not isinstance(argument.value, ast.Var) or argument.value.name.text in names:
            typed(frame, names, argument.value)
    return unknown(node.span)


def _step(frame: Frame, names: Names, node: ast.Call, path: str, callee: Callee) -> Invoke:
    bound = _match_arguments(frame, node, tuple(param.name for param in callee.params), callee.name, callee.signature)
    arguments = [
        (param.name, typed(frame, names, bound[param.name], param.type))
        for param in callee.params
        if param.name in bound
    ]
    wanted = {param.name: param.type for param in callee.params}
    wrong = [name for name, checked in arguments if not fits(checked.type, wanted[name])]
    passed = [
        Passed(frame.scope.source.slice(bound[name].span), bound[name].span, checked.type, wanted[name])
        for name, checked in arguments
        if name in wrong
    ]
    change = swapped(sorted(passed, key=lambda one: one.span.start))
    for name, checked in arguments:
        check_fits(frame, checked.type, wanted[name], f"`{name}` of `{callee.name}`", bound[name].span, change)
    missing = {param.name: param.type for param in callee.params if param.name not in bound and not param.optional}
    if missing:
        used = frozenset(value.name.text for value in bound.values() if isinstance(value, ast.Var))
        known = {name: names[name] for name in names}
        change = passing(missing, known, used, node.span, is_first=not node.arguments)
        frame.report(MissingArgument(callee.name, tuple(missing), callee.signature, change, span=node.span))
    watch = frame.context.watch
    if watch is not None:
        watch.call(frame, node, callee)
        watch.expression(frame, node, callee.returns)
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


def _generic_step(
    frame: Frame, names: Names, node: ast.Call, path: str, declared: Declared, head: Head
) -> Invoke | Const:
    name = declared.node.name.text
    shown = f"{name}({', '.join(param.name.text for param in head.params)})"
    static_names = {static.name.text for static in statics_of(head)}
    order = (*(param.name.text for param in head.params), *sorted(name for name in static_names if name[:1].islower()))
    positional = len(head.params)
    if sum(argument.name is None for argument in node.arguments) > positional:
        frame.report(TooManyArguments(name, shown, None, span=node.arguments[positional].span))
        return _given_up(frame, names, node)
    bound = _match_arguments(frame, node, order, name, shown)
    agent_params = {param.name.text for param in head.params if isinstance(param.type, ast.AgentType)}
    given = Given(
        {name: value for name, value in bound.items() if name not in agent_params | static_names},
        {name: value for name, value in bound.items() if name in agent_params},
        {name: value for name, value in bound.items() if name in static_names},
    )
    inferred = infer(frame, names, node, declared, head, given)
    made = None if inferred is None else instance(frame, declared, head, *inferred, node.span)
    if made is None:
        return _given_up(frame, names, node)
    by_name = tuple(
        ast.Argument(ast.Name(name, span=value.span), value, span=value.span) for name, value in given.values.items()
    )
    return _step(frame, names, node.replace(arguments=by_name), path, made)
