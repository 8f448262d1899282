"""Generic passes over trees of nodes, of whatever classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from masdsl.node import Node

N = TypeVar("N", bound=Node)


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below a node, in the order of its fields; a tuple yields its members."""
    for field in node._fields:
        value = getattr(node, field)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from _members(value)


def _members(values: tuple[object, ...]) -> Iterator[Node]:
    for value in values:
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from _members(value)


def iterate(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it, parents first, left to right. Depth costs no stack."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(children(node))))


def find_all(node: Node, kind: type[N]) -> Iterator[N]:
    """Yield the nodes of one class among a node and all below it, in the order of `iterate`."""
    return (found for found in iterate(node) if isinstance(found, kind))
