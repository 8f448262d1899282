"""Statements that change nothing: a step whose value nobody reads still runs, but binds nothing; anything else goes."""

from __future__ import annotations

from masdsl.lower import ir
from masdsl.node import Node


def without_unused(body: ir.Block) -> ir.Block:
    """Return the body of a function without assignments to variables that the function never reads."""
    while True:
        read = _read(body)
        cleaned = _block(body, read)
        if cleaned == body:
            return cleaned
        body = cleaned


def _read(body: ir.Block) -> set[str]:
    """Return the variables and tasks that a function reads; those of local functions are their own."""
    found: set[str] = set()
    pending: list[object] = [body]
    while pending:
        part = pending.pop()
        match part:
            case ir.Var():
                found.add(part.name)
            case ir.Join():
                found.add(part.task)
            case ir.Define() | ir.Const():
                pass
            case tuple():
                pending.extend(part)
            case Node():
                pending.extend(getattr(part, field) for field in part._fields if field not in ("type", "declared"))
            case _:
                pass
    return found


def _block(body: ir.Block, read: set[str]) -> ir.Block:
    made: list[ir.Statement] = []
    for node in body:
        match node:
            case ir.Assign(name=name, value=ir.Var(name=other)) if name == other:
                pass  # `x = f() else x`
            case ir.Assign() | ir.Declare():
                if node.name in read:
                    made.append(node)
            case ir.Join(names=(name,), is_covered=True) if name not in read:
                pass
            case ir.Await(names=(name,)) | ir.Join(names=(name,)):
                made.append(node if name in read else node.replace(names=(), declared=None))
            case ir.Loop() | ir.For():
                inner = _block(node.body, read)
                if inner:
                    made.append(node.replace(body=inner))
            case ir.Within():
                inner = _block(node.body, read)
                made += [node.replace(body=inner)] if _mentions(inner, node.frame) else inner
            case ir.If():
                branches = tuple(branch.replace(body=_block(branch.body, read)) for branch in node.branches)
                orelse = _block(node.orelse, read)
                if orelse or any(branch.body for branch in branches):
                    made.append(node.replace(branches=branches, orelse=orelse))
            case ir.Match():
                arms = tuple(arm.replace(body=_block(arm.body, read)) for arm in node.arms)
                otherwise = None if node.orelse is None else _block(node.orelse, read)
                if otherwise or any(arm.body for arm in arms):
                    made.append(node.replace(arms=arms, orelse=otherwise))
            case ir.Try():
                made.append(node.replace(body=_block(node.body, read), handler=_block(node.handler, read)))
            case ir.Define():
                function = node.function
                made.append(node.replace(function=function.replace(body=without_unused(function.body))))
            case _:
                made.append(node)
    return tuple(made)


def _mentions(body: ir.Block, frame: str) -> bool:
    """Say whether statements have a step in the frame: without one, a slice of the budget is for nothing."""
    pending: list[object] = [body]
    while pending:
        part = pending.pop()
        if isinstance(part, tuple):
            pending.extend(part)
        elif isinstance(part, Node) and not isinstance(part, ir.Const | ir.Var):
            if frame in (getattr(part, "frame", None), getattr(part, "outer", None)):
                return True
            pending.extend(getattr(part, field) for field in part._fields if field not in ("type", "declared"))
    return False
