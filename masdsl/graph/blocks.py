"""Blocks and values of checked programs, in as far as a picture asks about them."""

from __future__ import annotations

from typing import Final

from masdsl.check.program import (
    Bind,
    Block,
    For,
    Invoke,
    Limits,
    Loop,
    Program,
    Return,
    Statement,
    Until,
)
from masdsl.check.uses import invokes, statements_of
from masdsl.types import List, Type

WIDEST: Final = 60
"""Characters of an expression that are shown."""


def working(program: Program) -> frozenset[str]:
    """Return the keys of the flows that come to an agent or a tool, by themselves or through others."""
    found: set[str] = set()
    for flow in program.flows:  # callees stand before callers
        steps = (step for node in statements_of(flow.body) for step in steps_of(node))
        if any(step.kind != "flow" or step.callee in found for step in steps):
            found.add(flow.key)
    return frozenset(found)


def steps_of(node: Statement) -> tuple[Invoke, ...]:
    """Return the steps of a statement itself, in order of the text."""
    return invokes(node.value) if isinstance(node, Bind | Return) else ()


def is_plain(block: Block) -> bool:
    """Whether a block only computes: no step in it, and no way out."""
    return not any(isinstance(node, Return | Until) or steps_of(node) for node in statements_of(block)) or (
        all(isinstance(node, Loop | For) for node in block) and not _leaves(block)
    )


def _leaves(block: Block) -> bool:
    """Whether there is a step or a `return` anywhere in a block: an `until` of a loop in it leads nowhere else."""
    return any(isinstance(node, Return) or bool(steps_of(node)) for node in statements_of(block))


def most_items(kind: Type) -> int:
    """Return how many items a list has at most."""
    return kind.high if isinstance(kind, List) else 0


def limits_text(limits: Limits) -> str:
    """Return limits as the language writes them."""
    said = ((name, getattr(limits, name)) for name in limits._fields)
    return " ".join(f"{name} {amount:g}" for name, amount in said if amount is not None)


def short(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 2]}.."
