"""When things happen: an interpreter of checked programs that knows what data flow alone allows, and how it went.

The oracle of the schedule. A unit (a statement with everything in it) starts when all that it reads has its value, when
the effects before it have ended if it has one itself, and when no earlier unit may still lead out of the block. A
block ends when everything in it has. That is all there is to wait for; whatever the compiler emits must take exactly
as long.

Agents answer by their address, after a time that follows from it as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from masdsl.check import program as p
from masdsl.node import Node
from masdsl.runtime.events import address as runtime_address
from masdsl.runtime.models.base import Reply, Request
from masdsl.runtime.stand_in import GivenReply
from tests.harness import virtual_time
from tests.harness.reference import Interpreter, World, fitted, plain

TOOL_SECONDS = 3


def seconds_at(address: str) -> int:
    """Return how long the agent called at an address takes."""
    return 1 + sha256(address.encode()).digest()[0] % 9


class Timed(NamedTuple):
    """A value, and when it is there."""

    value: Any
    at: int


class _Return(Exception):
    def __init__(self, value: Any, at: int) -> None:
        self.value = value
        self.at = at


class _Until(Exception):
    def __init__(self, at: int) -> None:
        self.at = at


class Frame(NamedTuple):
    """Where the interpreter is: the address, as in the runtime, and what of paths it stands for."""

    path: str
    indices: tuple[int, ...]
    prefix: str

    def step(self, path: str) -> str:
        """Return the address of a step or construct without its numbers."""
        return f"{self.path}.{path.removeprefix(f'{self.prefix}.')}"

    def inside(self, path: str, *index: int) -> Frame:
        """Return the frame of a construct's body."""
        return Frame(self.step(path), (*self.indices, *index), path)


class TimedInterpreter:
    """Runs flows and says when their values are there. Nothing fails in its world."""

    def __init__(self, program: p.Program, world: World) -> None:
        self._program = program
        self._world = world
        self._expressions = Interpreter(program, world)
        self._flows = {flow.key: flow for flow in program.flows}
        self._leaves: dict[str, p.Agent | p.Tool] = {one.key: one for one in program.agents}
        self._leaves |= {one.key: one for one in program.tools}
        self._effects = _effects(program)

    def run(self, key: str, inputs: dict[str, Any], frame: Frame | None = None, start: int = 0) -> Timed:
        """Return a flow's value and the time when everything in it has ended."""
        flow = self._flows[key]
        names = {param.name: Timed(plain(param.default), start) for param in flow.params if param.optional}
        names |= {
            param.name: Timed(fitted(inputs[param.name], param.type), start)
            for param in flow.params
            if param.name in inputs
        }
        inner = Frame(flow.name, (), flow.name) if frame is None else frame._replace(prefix=flow.name)
        try:
            self.block(flow.body, names, inner, start)
        except _Return as result:
            return Timed(fitted(result.value, flow.returns), result.at)
        raise AssertionError(f"{key} ended without return")

    def block(self, block: p.Block, names: dict[str, Timed], frame: Frame, start: int) -> int:
        """Run a block that is reached at `start`; return when all of it has ended."""
        control = effect = end = start
        for node in block:
            read = [names[name].at for name in _mentioned(node) if name in names]
            begins = max([control, *read, effect] if self._has_effect(node) else [control, *read])
            try:
                ends = self.statement(node, names, frame, begins)
            except (_Return, _Until) as way_out:
                way_out.at = max(way_out.at, end)
                raise
            end = max(end, ends)
            effect = ends if self._has_effect(node) else effect
            control = ends if _leaves(node) else control
        return end

    def statement(self, node: p.Statement, names: dict[str, Timed], frame: Frame, start: int) -> int:
        """Run a statement from `start`; return when it has ended."""
        values = {name: timed.value for name, timed in names.items()}
        evaluate = self._expressions.expr
        end = start
        match node:
            case p.Bind():
                names[node.name] = result = self.rhs(node.value, values, frame, start)
                return result.at
            case p.Append():
                names[node.name] = Timed(values[node.name] + evaluate(node.value, values), start)
                return start
            case p.Until():
                if evaluate(node.condition, values):
                    raise _Until(start)
                return start
            case p.Return():
                result = self.rhs(node.value, values, frame, start)
                raise _Return(result.value, result.at)
            case p.Within():
                end = self.block(node.body, names, frame.inside(node.path), start)
            case p.Loop() | p.For():
                items = [None] * node.times if isinstance(node, p.Loop) else evaluate(node.items, values)
                try:
                    for index, item in enumerate(items):
                        if isinstance(node, p.For):
                            names[node.var] = Timed(item, end)
                        end = self.block(node.body, names, frame.inside(node.path, index), end)
                except _Until as way_out:
                    end = way_out.at
            case p.If() | p.Match():
                end = self.block(self.chosen(node, values), names, frame, start)
        for name, timed in names.items():
            if name not in values or timed.value != values[name] or name in set(_bound(node)):
                names[name] = Timed(timed.value, end)
        return end

    def chosen(self, node: p.If | p.Match, values: dict[str, Any]) -> p.Block:
        """Return the block that runs."""
        evaluate = self._expressions.expr
        if isinstance(node, p.If):
            return next((way.body for way in node.branches if evaluate(way.condition, values)), node.orelse)
        word = evaluate(node.subject, values)
        return next((arm.body for arm in node.arms if word in arm.words), node.orelse or ())

    # ------------------------------------------------------------ right-hand sides

    def rhs(self, node: p.Rhs, values: dict[str, Any], frame: Frame, start: int) -> Timed:
        """Return the value of a right side that is begun at `start`."""
        if isinstance(node, p.Sample):
            scopes = [values] * node.count
        elif isinstance(node, p.Each):
            evaluate = self._expressions.expr
            scopes = [values | {node.var: item} for item in evaluate(node.items, values)]
            scopes = [scope for scope in scopes if node.condition is None or evaluate(node.condition, scope)]
        else:
            return self.attempt(node, values, frame, start)
        results: list[Timed] = []
        for index, scope in enumerate(scopes):
            begins = results[-1].at if results and self._has_effect(node) else start
            results.append(self.attempt(node.body, scope, frame._replace(indices=(*frame.indices, index)), begins))
        return Timed([result.value for result in results], max([start, *(result.at for result in results)]))

    def attempt(self, node: p.Attempt, values: dict[str, Any], frame: Frame, start: int) -> Timed:
        """Return the value of a step or a fallback."""
        if not isinstance(node, p.Fallback):
            return self.operand(node, values, frame, start)
        result = Timed(None, start)
        for option in node.options:
            result = self.operand(option, values, frame, result.at)
            if result.value is not None:
                break
        return result

    def operand(self, node: p.Expr | p.Invoke, values: dict[str, Any], frame: Frame, start: int) -> Timed:
        """Return the value of an expression, or of a call."""
        if not isinstance(node, p.Invoke):
            return Timed(self._expressions.expr(node, values), start)
        passed = {name: self._expressions.expr(value, values) for name, value in node.arguments}
        path = frame.step(node.path)
        if node.kind == "flow":
            return self.run(node.callee, passed, Frame(path, frame.indices, ""), start)
        leaf = self._leaves[node.callee]
        if node.kind == "tool":
            inputs = {param.name: fitted(passed[param.name], param.type) for param in leaf.params}
            return Timed(fitted(self._world("tool", leaf.name, inputs), leaf.returns), start + TOOL_SECONDS)
        address = runtime_address(path, frame.indices)
        value = fitted(self._world("agent", leaf.name, {"at": address}), leaf.returns)
        return Timed(value, start + seconds_at(address))

    def _has_effect(self, node: Node) -> bool:
        return any((part.kind, part.callee) in self._effects for part in _parts(node) if isinstance(part, p.Invoke))


# ---------------------------------------------------------------- what a statement mentions


def _parts(tree: object) -> Iterator[Node]:
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, Node):
            yield part
            pending.extend(getattr(part, field) for field in part._fields)
        elif isinstance(part, tuple):
            pending.extend(part)


def _bound(node: Node) -> Iterator[str]:
    return (part.name for part in _parts(node) if isinstance(part, p.Bind | p.Append))


def _mentioned(node: p.Statement) -> set[str]:
    """Return what a statement reads, and what a construct may leave as it was."""
    read = {part.name for part in _parts(node) if isinstance(part, p.Local)}
    if isinstance(node, p.Append):
        read.add(node.name)
    return read if isinstance(node, p.Bind) else read | set(_bound(node))


def _leaves(node: p.Statement) -> bool:
    match node:
        case p.Until() | p.Return():
            return True
        case p.Loop() | p.For():
            return any(isinstance(part, p.Return) for part in _parts(node))
        case p.Within():
            return any(map(_leaves, node.body))
        case p.If():
            ways = [*(branch.body for branch in node.branches), node.orelse]
            return any(_leaves(inner) for way in ways for inner in way)
        case p.Match():
            ways = [*(arm.body for arm in node.arms), node.orelse or ()]
            return any(_leaves(inner) for way in ways for inner in way)
        case _:
            return False


def _effects(program: p.Program) -> set[tuple[str, str]]:
    found = {("tool", tool.key) for tool in program.tools if tool.effect}
    for flow in program.flows:
        if any((part.kind, part.callee) in found for part in _parts(flow.body) if isinstance(part, p.Invoke)):
            found.add(("flow", flow.key))
    return found


# ---------------------------------------------------------------- how it went in fact


class AddressedModel:
    """A model whose answers and times follow from the address of the step that asks."""

    name = "addressed"
    price = None

    def __init__(self, world: World) -> None:
        self._world = world

    async def complete(self, request: Request) -> Reply:
        """Answer after the time that is due."""
        await asyncio.sleep(seconds_at(request.step))
        value = self._world("agent", request.agent, {"at": request.step})
        return GivenReply(str(value), model=self.name, value=value)

    async def close(self) -> None:
        """Nothing is held."""


def tool_function(world: World, name: str) -> Callable[..., Any]:
    """Return a tool that takes its time."""

    async def function(**inputs: Any) -> Any:
        await asyncio.sleep(TOOL_SECONDS)
        return world("tool", name, inputs)

    return function


def run_timed(program: Any, world: World, tools: dict[str, str], inputs: dict[str, Any]) -> tuple[Any, float]:
    """Run a compiled program; return its result's value and how long it took in virtual time.

    `tools` maps what tools are granted as to their names.
    """

    async def timed() -> tuple[Any, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        functions = {granted: tool_function(world, name) for granted, name in tools.items()}
        result = await program.run("main", inputs, models=AddressedModel(world), tools=functions)
        return result.value, loop.time() - began

    return virtual_time.run(timed())
