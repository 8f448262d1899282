"""From a syntax tree to a `Program`: load what is imported, check every declaration, keep what can be reached."""

from __future__ import annotations

from masdsl.check.context import Context, Frame
from masdsl.check.cursor import Watch
from masdsl.check.declarations import agent, agent_alone, head_of, tool
from masdsl.check.designs import check_designs
from masdsl.check.flows import check_alone, instance
from masdsl.check.generics import is_generic, opaque_statics
from masdsl.check.limits_of import limits_of
from masdsl.check.lints import run_lints
from masdsl.check.modules import ModuleLoader, ModuleReader
from masdsl.check.program import Flow, ModuleSource, Program, Rectify, Test
from masdsl.check.resolve import named_type
from masdsl.check.scope import Declared, ModuleScope
from masdsl.check.tests_of import check_test, invokes
from masdsl.config import Config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.types import BadAttribute
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.syntax.parse import Parsed


def check_parsed(
    parsed: Parsed, *, config: Config, read_module: ModuleReader, findings: Findings, watch: Watch | None = None
) -> Program | None:
    """Check a parsed program and return it, or None when there are errors (all of them are in `findings`).

    Declarations that did not parse are left out of `parsed.document`, so that the rest is checked all the same. A
    `watch` is told what is found out on the way.
    """
    loader = ModuleLoader(read_module, findings)
    scope = loader.scope(parsed)
    context = Context(config, findings, (scope, *loader.modules), instance, watch)
    if watch is not None:
        watch.scopes(scope, loader.modules)
    frame = Frame(scope, context)
    for declared in scope.own():
        _declare(frame, declared)
    for declared in scope.own():
        _check_generic(frame, declared)
    tests = tuple(check_test(context, scope, item) for item in scope.items if isinstance(item, ast.Test))
    budget = _single(frame, ast.Budget)
    rectify = _single(frame, ast.Rectify)
    limits = limits_of(frame, budget.limits) if isinstance(budget, ast.Budget) else None
    sound = findings.ok
    if not sound:
        return None
    flows = _reachable(scope, context, tests)
    bodies = [*(flow.body for flow in flows), *(test.body for test in tests)]
    called = {step.callee for body in bodies for step in invokes(body)}
    program = Program(
        modules=tuple(ModuleSource(module.name, module.source) for module in (scope, *loader.modules)),
        types=tuple(context.types.values()),
        tools=tuple(context.tools.values()),
        agents=tuple(agent for (_, statics), agent in context.agents.items() if not statics or agent.key in called),
        flows=flows,
        tests=tests,
        budget=None if limits is None or budget is None else limits.replace(span=budget.span),
        rectify=Rectify(rectify.tries, rectify.at, span=rectify.span) if isinstance(rectify, ast.Rectify) else None,
    )
    assert isinstance(parsed.document, ast.Program)
    check_designs(program, findings)
    run_lints(program, parsed.document, findings, config)
    return program if findings.ok else None


def _declare(frame: Frame, declared: Declared) -> None:
    context = frame.context
    end_of_file = Span(len(frame.scope.source.text), len(frame.scope.source.text))
    match declared.node:
        case ast.RecordDecl() | ast.EnumDecl():
            named_type(frame, declared, end_of_file)
        case ast.Tool():
            tool(frame, declared)
        case ast.Agent() | ast.Variant():
            head = head_of(frame, declared)
            if head is not None and not is_generic(head):
                agent(frame, declared)
        case ast.Flow():
            if not is_generic(declared.node):
                instance(context, declared, {}, {}, declared.at, frame.scope.source)


def _check_generic(frame: Frame, declared: Declared) -> None:
    """Check a generic flow or agent that nothing calls on its own."""
    context, node = frame.context, declared.node
    head = head_of(frame, declared)
    made = (*context.flows, *context.agents)
    if head is None or not is_generic(head) or any(isinstance(key, tuple) and key[0] == id(node) for key in made):
        return
    if isinstance(node, ast.Flow):
        check_alone(context, declared)
    else:
        agent_alone(frame, declared, opaque_statics(head))


def _single(frame: Frame, kind: type[ast.Budget | ast.Rectify]) -> ast.Budget | ast.Rectify | None:
    """Return the only item of a kind; further ones are reported."""
    found = [item for item in frame.scope.items if isinstance(item, kind)]
    for item in found[1:]:
        word = "budget" if kind is ast.Budget else "rectify"
        frame.report(BadAttribute(word, "stands twice in the program", "keep one of them", span=item.span))
    first = found[0] if found else None
    return first if isinstance(first, ast.Budget | ast.Rectify) else None


def _reachable(scope: ModuleScope, context: Context, tests: tuple[Test, ...]) -> tuple[Flow, ...]:
    """Return the flows of the program itself and those that they or the tests call, callees first.

    Instances that were made while a loop's types were still being tried are dropped here.
    """
    by_key = {flow.key: flow for flow in context.flows.values()}
    own = {id(declared.node) for declared in scope.own()}
    roots = [
        flow.key for key, flow in context.flows.items() if isinstance(key, tuple) and key[0] in own and not flow.statics
    ]
    for test in tests:
        roots += [step.callee for step in invokes(test.body) if step.kind == "flow"]
    reached: set[str] = set()
    while roots:
        key = roots.pop()
        if key not in reached:
            reached.add(key)
            roots += [step.callee for step in invokes(by_key[key].body) if step.kind == "flow"]
    return tuple(flow for flow in context.flows.values() if flow.key in reached)
