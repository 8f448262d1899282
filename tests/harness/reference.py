"""A small reference interpreter of checked programs: one step after the other, nothing concurrent, nothing compiled.

It is the oracle of the differential tests: whatever the compiler emits has to give the same value and make the same
calls. What agents and tools answer is decided by a `World`, a pure function of who is asked and what.

Values are plain: text, int, float, bool and None as in Python, an enum's word as a str, a record as a dict, a list as a
list.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from masdsl.check import program as p
from masdsl.runtime.builtins import BUILTINS
from masdsl.runtime.externs import EXTERNS
from masdsl.sizes import LARGEST_LIST, LARGEST_TEXT_TOKENS, clip_text
from masdsl.types import Enum, List, Optional, Record, Text, Type

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

World = Callable[[str, str, dict[str, Any]], Any]
"""(kind of callee, its name, inputs) -> its value; raises StepFailure."""


class StepFailure(Exception):
    """A step gives no value."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Until(Exception):
    pass


class Interpreter:
    """Runs flows of a program.

    `calls` records (callee, inputs) of every agent and tool, in order; `failed_flows` counts flows that failed, caught
    or not: beside such a failure the compiled program may begin steps that one after the other would not be reached.
    """

    def __init__(self, program: p.Program, world: World) -> None:
        self.world = world
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failed_flows = 0
        self.flows = {flow.key: flow for flow in program.flows}
        self.leaves: dict[str, p.Agent | p.Tool] = {one.key: one for one in program.agents}
        self.leaves |= {one.key: one for one in program.tools}

    def run(self, key: str, inputs: dict[str, Any]) -> Any:
        """Return the value of a flow; raises StepFailure."""
        flow = self.flows[key]
        names = {param.name: plain(param.default) for param in flow.params if param.optional}
        names |= {param.name: fitted(inputs[param.name], param.type) for param in flow.params if param.name in inputs}
        try:
            self.block(flow.body, names)
        except _Return as result:
            return fitted(result.value, flow.returns)
        except StepFailure:
            self.failed_flows += 1
            if flow.has_default:
                return plain(flow.default)
            raise
        raise AssertionError(f"{key} ended without return")

    def block(self, block: p.Block, names: dict[str, Any]) -> None:
        for node in block:
            self.statement(node, names)

    def statement(self, node: p.Statement, names: dict[str, Any]) -> None:
        match node:
            case p.Bind():
                names[node.name] = self.rhs(node.value, names)
            case p.Append():
                names[node.name] = (names[node.name] + self.expr(node.value, names))[:LARGEST_LIST]
            case p.Until():
                if self.expr(node.condition, names):
                    raise _Until
            case p.Return():
                raise _Return(self.rhs(node.value, names))
            case p.Loop():
                self.rounds(node.body, names, [{}] * node.times)
            case p.For():
                self.rounds(node.body, names, [{node.var: item} for item in self.expr(node.items, names)])
            case p.Within():
                self.block(node.body, names)
            case p.If():
                for branch in node.branches:
                    if self.expr(branch.condition, names):
                        return self.block(branch.body, names)
                self.block(node.orelse, names)
            case p.Match():
                word = self.expr(node.subject, names)
                for arm in node.arms:
                    if word in arm.words:
                        return self.block(arm.body, names)
                self.block(node.orelse or (), names)

    def rounds(self, body: p.Block, names: dict[str, Any], rounds: list[dict[str, Any]]) -> None:
        try:
            for binders in rounds:
                names.update(binders)
                self.block(body, names)
        except _Until:
            pass

    def rhs(self, node: p.Rhs, names: dict[str, Any]) -> Any:
        match node:
            case p.Sample():
                return self.all([lambda: self.attempt(node.body, names)] * node.count)
            case p.Each():
                scopes = [names | {node.var: item} for item in self.expr(node.items, names)]
                kept = [scope for scope in scopes if node.condition is None or self.expr(node.condition, scope)]
                return self.all([partial(self.attempt, node.body, scope) for scope in kept])
            case _:
                return self.attempt(node, names)

    def all(self, branches: list[Callable[[], Any]]) -> list[Any]:
        """Run every branch, then fail if one failed: what runs beside a failure is paid for and kept."""
        values, failure = [], None
        for branch in branches:
            try:
                values.append(branch())
            except StepFailure as fault:
                failure = fault
        if failure is not None:
            raise failure
        return values

    def attempt(self, node: p.Attempt, names: dict[str, Any]) -> Any:
        if not isinstance(node, p.Fallback):
            return self.operand(node, names)
        for option in node.options[:-1]:
            try:
                value = self.operand(option, names)
            except StepFailure:
                continue
            if value is not None:
                return value
        return self.operand(node.options[-1], names)

    def operand(self, node: p.Expr | p.Invoke, names: dict[str, Any]) -> Any:
        if not isinstance(node, p.Invoke):
            return self.expr(node, names)
        passed = {name: self.expr(value, names) for name, value in node.arguments}
        if node.kind == "flow":
            return self.run(node.callee, passed)
        leaf = self.leaves[node.callee]
        inputs = {param.name: plain(param.default) for param in leaf.params if param.optional}
        inputs |= {param.name: fitted(passed[param.name], param.type) for param in leaf.params if param.name in passed}
        inputs = {param.name: inputs[param.name] for param in leaf.params}
        self.calls.append((leaf.name, inputs))
        try:
            return fitted(self.world(node.kind, leaf.name, inputs), leaf.returns)
        except StepFailure:
            if leaf.has_default:
                return plain(leaf.default)
            raise

    def expr(self, node: p.Expr, names: dict[str, Any]) -> Any:
        match node:
            case p.Const():
                return plain(node.value)
            case p.Local():
                return names[node.name]
            case p.GetField():
                return self.expr(node.value, names)[node.field]
            case p.GetItem():
                items, at = self.expr(node.value, names), self.expr(node.index, names)
                return items[at] if -len(items) <= at < len(items) else None
            case p.Unary():
                operand = self.expr(node.operand, names)
                return not operand if node.op == "not" else number(-operand)
            case p.Binary():
                return binary(node.op, self.expr(node.left, names), self.expr(node.right, names))
            case p.Logical(op="and"):
                return all(self.expr(operand, names) for operand in node.operands)
            case p.Logical():
                return any(self.expr(operand, names) for operand in node.operands)
            case p.Builtin():
                functions = BUILTINS if node.extern is None else EXTERNS
                return functions[node.name](*(self.expr(argument, names) for argument in node.arguments))
            case p.MakeList():
                return [self.expr(item, names) for item in node.items]
            case p.MakeRecord():
                fields = [field for field, _ in node.type.fields]
                return {field: self.expr(value, names) for field, value in zip(fields, node.values, strict=True)}


def binary(op: str, a: Any, b: Any) -> Any:
    match op:
        case "==":
            return a == b
        case "!=":
            return a != b
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case ">=":
            return a >= b
        case "/":
            return 0.0 if b == 0 else a / b
        case "+" if isinstance(a, str):
            return clip_text(a + b, LARGEST_TEXT_TOKENS)
        case "+" if isinstance(a, list):
            return (a + b)[:LARGEST_LIST]
        case "+":
            return number(a + b)
        case "-":
            return number(a - b)
        case "*":
            return number(a * b)
    raise AssertionError(op)


def number(value: Any) -> Any:
    """Saturate a whole number at 64 bits."""
    return max(INT_MIN, min(INT_MAX, value)) if isinstance(value, int) else value


def plain(value: p.Value) -> Any:
    """Return a constant as a plain value."""
    match value:
        case p.TagValue():
            return value.word
        case p.RecordValue():
            return {field: plain(inner) for (field, _), inner in zip(value.type.fields, value.values, strict=True)}
        case tuple():
            return [plain(inner) for inner in value]
        case _:
            return value


def fitted(value: Any, kind: Type) -> Any:
    """Return a value cut to the sizes of a type."""
    match kind:
        case Optional():
            return None if value is None else fitted(value, kind.inner)
        case Text():
            return clip_text(value, kind.cap)
        case List():
            return [fitted(item, kind.element) for item in value[: kind.high]]
        case Record():
            return {field: fitted(value[field], inner) for field, inner in kind.fields}
        case Enum():
            return value
        case _:
            return value
