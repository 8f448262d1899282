"""Flows: one checked body for each set of static arguments that a flow is called with."""

from __future__ import annotations

from masdsl.check.context import Callee, Context, Frame, Statics
from masdsl.check.declarations import output, params
from masdsl.check.generics import default_agent, opaque_statics
from masdsl.check.limits_of import limits_of
from masdsl.check.program import Flow, Param
from masdsl.check.relations import show
from masdsl.check.resolve import resolve
from masdsl.check.scope import Declared, Names
from masdsl.check.statements import BlockChecker
from masdsl.diagnostics.flow import MissingReturn, TooManyInstances
from masdsl.diagnostics.names import DuplicateName
from masdsl.limits import FLOW_INSTANCES
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast


def instance(
    context: Context, declared: Declared, statics: Statics, callees: dict[str, Callee], at: Span, source: Source
) -> Flow | None:
    """Return the checked flow for these static arguments, made at the first call that needs it (`at`, in `source`)."""
    node = declared.node
    key = (id(node), tuple(sorted(statics.items(), key=lambda item: item[0])), tuple(sorted(callees.items())))
    if key not in context.flows and len(context.flows) >= FLOW_INSTANCES:
        context.report_once(source, TooManyInstances("flows", FLOW_INSTANCES, span=at))
        return None

    def made() -> Flow:
        return _check(context, declared, statics, callees, context.key(declared.node.name.text))

    return context.once(context.flows, key, made)


def check_alone(context: Context, declared: Declared) -> None:
    """Check a flow with static parameters that nothing calls: opaque types, default counts, agents as declared."""
    node = declared.node
    assert isinstance(node, ast.Flow)
    statics = opaque_statics(node)
    frame = Frame(declared.home, context)
    for param in node.params:
        if isinstance(param.type, ast.AgentType) and param.default is not None:
            default_agent(frame, param)
    frame.statics = statics
    callees = {
        param.name.text: _stand_in(frame, param.name.text, param.type)
        for param in node.params
        if isinstance(param.type, ast.AgentType)
    }
    _check(context, declared, statics, callees, node.name.text)


def _stand_in(frame: Frame, name: str, kind: ast.AgentType) -> Callee:
    inputs = tuple(
        Param(f"input_{number}", resolve(frame, item), False, None) for number, item in enumerate(kind.params, 1)
    )
    return Callee("agent", name, name, inputs, resolve(frame, kind.returns))


def _check(context: Context, declared: Declared, statics: Statics, callees: dict[str, Callee], key: str) -> Flow:
    node = declared.node
    assert isinstance(node, ast.Flow)
    frame = Frame(declared.home, context)
    frame.current = declared
    frame.statics = statics
    frame.callees = callees
    name = node.name.text
    checked_params = params(frame, node.params)
    returns, has_default, default = output(frame, node.output, f"flow `{name}`")
    frame.returns = returns
    names = Names()
    for binder in (*(param.name for param in node.params), *(static.name for static in node.statics)):
        taken = declared.home.names.get(binder.text)
        if taken is not None and taken.node is not node:
            frame.report(DuplicateName(binder.text, taken.what, taken.at, span=binder.span))
    for checked_param in checked_params:
        names.bind(checked_param.name, checked_param.type, checked_param.span)
    block = BlockChecker(frame, names, name)
    body = block.check(node.body.statements)
    if not block.exits and not any(node.body.span.start < gap.end <= node.body.span.end for gap in declared.home.gaps):
        frame.report(MissingReturn(name, show(returns), span=node.name.span))
    values = [(static.name.text, statics[static.name.text]) for static in node.statics]
    shown = [(static, str(value) if isinstance(value, int) else show(value)) for static, value in values]
    shown += [(parameter, callee.name) for parameter, callee in callees.items()]
    return Flow(
        key=key,
        name=name,
        module=declared.home.name,
        params=checked_params,
        returns=returns,
        has_default=has_default,
        default=default,
        statics=tuple(shown),
        limits=limits_of(frame, node.budget.limits) if node.budget else None,
        body=body,
        doc=declared.home.doc(node),
        span=node.span,
    )
