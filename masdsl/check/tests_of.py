"""Tests written in the language: what is given, what is run, what is expected."""

from __future__ import annotations

from masdsl.check.context import Context, Frame
from masdsl.check.declarations import agent, agent_alone, head_of, tool
from masdsl.check.expressions import condition, expect
from masdsl.check.generics import is_generic, opaque_statics
from masdsl.check.literals import NotConstantError, as_value
from masdsl.check.program import (
    Agent,
    Binary,
    Block,
    Builtin,
    Const,
    Expr,
    Flow,
    Given,
    Invoke,
    Logical,
    Test,
    Tool,
    Unary,
    Value,
)
from masdsl.check.relations import text
from masdsl.check.scope import Declared, ModuleScope, Names
from masdsl.check.statements import BlockChecker
from masdsl.diagnostics.flow import NotInTest, UnknownStep
from masdsl.diagnostics.names import NotAValue, UndefinedCallee
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.types import NotConstant
from masdsl.node import Node
from masdsl.sizes import text_tokens
from masdsl.syntax import ast
from masdsl.types import Float, Int, List, Opaque, Optional, Record, Type, Unknown

MEASURES: dict[str, Type] = {"calls": Int(), "tokens": Int(), "usd": Float(), "seconds": Float()}
RAN = "ran"
GIVEN = (ast.Agent, ast.Variant, ast.Tool)


def check_test(context: Context, scope: ModuleScope, node: ast.Test) -> Test:
    """Return the checked test."""
    frame = Frame(scope, context)
    frame.in_test = True
    givens = tuple(made for made in (_given(frame, given) for given in node.givens) if made is not None)
    block = BlockChecker(frame, Names(), "test")
    body = block.check(node.body.statements)
    names = block.names.layer()
    for measure, kind in MEASURES.items():
        at = names.bound_at(measure)
        if at is not None:
            problem = f"`{measure}` is what the run used, in a test"
            frame.report(NotInTest(problem, "choose another name", span=at))
        names.refine({measure: kind})
    expects = tuple(_expect(frame, names, expected.condition) for expected in node.expects)
    return Test(node.title.value, givens, body, expects, span=node.span)


def _given(frame: Frame, node: ast.Given) -> Given | None:
    dotted = ".".join(part.text for part in node.target)
    span = node.target[0].span.to(node.target[-1].span)
    declared = _target(frame, tuple(part.text for part in node.target))
    if declared is None:
        known = [name for name, found in frame.scope.names.items() if isinstance(found.node, GIVEN)]
        frame.report(UndefinedCallee(dotted, nearest(dotted, known), span=span))
        return None
    head = head_of(frame, declared) if isinstance(declared.node, GIVEN) else None
    if not isinstance(declared.node, GIVEN):
        frame.report(NotAValue(dotted, f"{declared.what}; given stands for an agent or a tool", span=span))
        return None
    if head is None:
        return None
    item: Agent | Tool
    if isinstance(declared.node, ast.Tool):
        item = tool(frame, declared)
    elif is_generic(head):
        item = agent_alone(frame, declared, opaque_statics(head))
    else:
        item = agent(frame, declared)
    value: Value = None
    if node.value is not None and node.mode == "replies":
        assert isinstance(node.value, ast.StrLit)
        value = node.value.value
    elif node.value is not None:
        checked = expect(frame, Names(), node.value, _known(item.returns), f"what `{dotted}` gives")
        try:
            value = as_value(checked)
        except NotConstantError:
            if not isinstance(checked.type, Unknown):
                frame.report(NotConstant("what is given", span=node.value.span))
            return None
    return Given(item.declaration if isinstance(item, Agent) else item.key, node.mode, value, span=node.span)


def _known(kind: Type) -> Type:
    """Return a type whose static parameters are anything: an agent that is generic may be given any value there."""
    match kind:
        case Opaque():
            return Unknown()
        case List():
            return kind.replace(element=_known(kind.element))
        case Optional():
            return kind.replace(inner=_known(kind.inner))
        case Record(name=None):
            return kind.replace(fields=tuple((name, _known(inner)) for name, inner in kind.fields))
        case _:
            return kind


def _target(frame: Frame, parts: tuple[str, ...]) -> Declared | None:
    if len(parts) == 1:
        return frame.scope.names.get(parts[0])
    module = next((module for module in frame.context.loaded if module.name == ".".join(parts[:-1])), None)
    return module.names.get(parts[-1]) if module is not None else None


# ---------------------------------------------------------------- expectations


def _expect(frame: Frame, names: Names, node: ast.Expr) -> Expr:
    """Check a condition in which `ran(address)` counts the runs of a step."""
    counted = _CountedSteps(frame)
    checked = condition(frame, names, counted.replaced(node))
    return counted.restored(checked)


class _CountedSteps:
    """Stands a number in for each `ran(address)` while the condition is checked, and puts the call back after."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._calls: dict[tuple[int, int], str] = {}

    def replaced(self, node: ast.Expr) -> ast.Expr:
        match node:
            case ast.Call(callee=ast.Name(text="ran")):
                address = _address(node.arguments[0].value) if len(node.arguments) == 1 else None
                if address is None:
                    problem = "`ran` takes the address of a step"
                    self._frame.report(NotInTest(problem, "write it as in `ran(main.refine.code)`", span=node.span))
                else:
                    self._calls[node.span] = address
                    self._check(node, address)
                return ast.IntLit(0, span=node.span)
            case ast.And() | ast.Or():
                return node.replace(operands=tuple(self.replaced(operand) for operand in node.operands))
            case ast.Not():
                return node.replace(operand=self.replaced(node.operand))
            case ast.Binary():
                return node.replace(left=self.replaced(node.left), right=self.replaced(node.right))
            case _:
                return node

    def restored(self, checked: Expr) -> Expr:
        if isinstance(checked, Const):
            address = self._calls.get(checked.span)
            if address is None:
                return checked
            name = Const(address, text(text_tokens(address)), span=checked.span)
            return Builtin(RAN, (name,), Int(), span=checked.span)
        match checked:
            case Binary():
                return checked.replace(left=self.restored(checked.left), right=self.restored(checked.right))
            case Unary():
                return checked.replace(operand=self.restored(checked.operand))
            case Logical():
                return checked.replace(operands=tuple(self.restored(operand) for operand in checked.operands))
            case _:
                return checked

    def _check(self, node: ast.Call, address: str) -> None:
        flows = tuple(self._frame.context.flows.values())
        if step_exists(flows, address):
            return
        known = [f"{invoke.path}" for flow in flows for invoke in invokes(flow.body)]
        flow = address.partition(".")[0]
        near = nearest(address, (one for one in known if one.partition(".")[0] == flow)) or nearest(address, known)
        self._frame.report(UnknownStep(address, near, span=node.arguments[0].span))


def _address(node: ast.Expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.field.text)
        node = node.value
    if not isinstance(node, ast.Var):
        return None
    parts.append(node.name.text)
    return ".".join(reversed(parts))


def step_exists(flows: tuple[Flow, ...], address: str) -> bool:
    """Say whether an address names a step: a path in a flow, or, behind a step that calls one, a path in that one."""
    by_key = {flow.key: flow for flow in flows}
    pending = [(flow, address) for flow in flows]
    while pending:
        flow, rest = pending.pop()
        for step in invokes(flow.body):
            if step.path == rest:
                return True
            called = by_key.get(step.callee) if step.kind == "flow" else None
            if called is not None and rest.startswith(step.path + "."):
                pending.append((called, called.name + rest[len(step.path) :]))
    return False


def invokes(block: Block) -> tuple[Invoke, ...]:
    """Return every step of a block, in order of the text."""
    found: list[Invoke] = []
    pending: list[Node] = list(reversed(block))
    while pending:
        node = pending.pop()
        if isinstance(node, Invoke):
            found.append(node)
            continue
        inner: list[Node] = []
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, tuple):
                inner.extend(item for item in value if isinstance(item, Node))
            elif isinstance(value, Node) and not isinstance(value, Type):
                inner.append(value)
        pending.extend(reversed(inner))
    return tuple(found)
