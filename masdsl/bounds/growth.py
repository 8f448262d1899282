"""How much a loop adds to a list in each round, where it does nothing else to it."""

from __future__ import annotations

from masdsl.check.program import Append, Bind, Block, Expr, For, If, Loop, Match, Within
from masdsl.check.uses import blocks_of, statements_of
from masdsl.types import List, Type


def items_added(block: Block, name: str) -> int | None:
    """Return how many items a round adds to a list at most, or None where something else happens to the name."""
    added = 0
    for node in block:
        match node:
            case Append() if node.name == name:
                if not isinstance(node.value.type, List):
                    return None
                added += node.value.type.high
            case Bind() if node.name == name:
                return None
            case Loop() | For():
                inner = items_added(node.body, name)
                if inner is None:
                    return None
                times = node.times if isinstance(node, Loop) else _high(node.items)
                added += inner * times
            case If() | Match() | Within():
                steps = [items_added(inner, name) for inner in blocks_of(node)]
                if any(step is None for step in steps):
                    return None
                added += max((step for step in steps if step is not None), default=0)
            case _:
                pass
    return added


def element_of(block: Block, name: str) -> Type:
    """Return the type of the items of a list that a block appends to."""
    return next(node.type.element for node in statements_of(block) if isinstance(node, Append) and node.name == name)


def _high(items: Expr) -> int:
    return items.type.high if isinstance(items.type, List) else 0
