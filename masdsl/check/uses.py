"""Which names an expression, a right-hand side or a block reads and binds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, assert_never

from masdsl.check.program import (
    Agent,
    Append,
    Attempt,
    Bind,
    Block,
    Const,
    Each,
    Expr,
    Fallback,
    Flow,
    For,
    If,
    Invoke,
    Local,
    Loop,
    Match,
    Program,
    Return,
    Rhs,
    Sample,
    Statement,
    Tool,
    Until,
    Within,
)
from masdsl.node import Node

_TYPES = frozenset(("type", "var_type", "extern"))
_SIMPLE = (Bind, Append, Until, Return)


def program_callees(program: Program) -> dict[str, Agent | Tool | Flow]:
    """Return what the steps of a program call, by key."""
    callees: dict[str, Agent | Tool | Flow] = {agent.key: agent for agent in program.agents}
    callees.update((tool.key, tool) for tool in program.tools)
    callees.update((flow.key, flow) for flow in program.flows)
    return callees


def nodes_of(root: Node) -> Iterator[Node]:
    """Yield a node and everything inside it, types left out."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        for field in node._fields:
            if field not in _TYPES:
                _collect(getattr(node, field), pending)


def _collect(value: object, into: list[Node]) -> None:
    if isinstance(value, Node):
        into.append(value)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, into)


class Scan(NamedTuple):
    """A flow with all its statements, in order of the text, and all nodes of their expressions, in no order."""

    flow: Flow
    statements: tuple[Statement, ...]
    nodes: tuple[Node, ...]


def scan(flow: Flow) -> Scan:
    """Return a flow with what the lints go through again and again."""
    statements = tuple(statements_of(flow.body))
    nodes = [inner for node in statements for expression in expressions_of(node) for inner in nodes_of(expression)]
    return Scan(flow, statements, tuple(nodes))


def expressions_of(node: Statement) -> tuple[Expr | Rhs, ...]:
    """Return the right-hand side, or the expressions, of a statement; those of the blocks in it are not its own."""
    match node:
        case Bind() | Return() | Append():
            return (node.value,)
        case Until():
            return (node.condition,)
        case If():
            return tuple(branch.condition for branch in node.branches)
        case Match():
            return (node.subject,)
        case For():
            return (node.items,)
        case Loop() | Within():
            return ()
        case _:
            assert_never(node)


def reads(node: Expr | Rhs) -> frozenset[str]:
    """Return the names that an expression or right-hand side reads; the variable of an `each` is its own."""
    if isinstance(node, Local):
        return frozenset((node.name,))
    if isinstance(node, Const):
        return frozenset()
    if isinstance(node, Each):
        inner = reads(node.body) | (reads(node.condition) if node.condition is not None else frozenset())
        return (inner - {node.var}) | reads(node.items)
    return frozenset(inner.name for inner in nodes_of(node) if isinstance(inner, Local))


def invokes(node: Rhs) -> tuple[Invoke, ...]:
    """Return the calls of a right-hand side, in order of the text."""
    match node:
        case Invoke():
            return (node,)
        case Sample() | Each():
            return invokes(node.body)
        case Fallback():
            return tuple(step for option in node.options for step in invokes(option))
        case _:
            return ()


def blocks_of(node: Statement) -> tuple[Block, ...]:
    """Return the blocks of a statement, in order of the text."""
    match node:
        case Loop() | For() | Within():
            return (node.body,)
        case If():
            return (*(branch.body for branch in node.branches), node.orelse)
        case Match():
            return (*(arm.body for arm in node.arms), *(() if node.orelse is None else (node.orelse,)))
        case Bind() | Append() | Until() | Return():
            return ()
        case _:
            assert_never(node)


def statements_of(block: Block) -> Iterator[Statement]:
    """Yield every statement of a block and of the blocks in it, in order of the text."""
    pending = list(reversed(block))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _SIMPLE):
            for inner in reversed(blocks_of(node)):
                pending.extend(reversed(inner))


def right_sides(statements: Iterable[Statement]) -> Iterator[Rhs]:
    """Yield what statements bind or return."""
    for node in statements:
        if isinstance(node, Bind | Return):
            yield node.value


def attempts(node: Rhs) -> tuple[Attempt, ...]:
    """Return what a right-hand side does, without the count or list that repeats it."""
    return (node.body,) if isinstance(node, Sample | Each) else (node,)
