"""Rounds of a loop: what names that it carries may be at the start of a round, at its end, and after the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from masdsl.check.program import Block
from masdsl.check.relations import grown, unlimited
from masdsl.check.scope import Names
from masdsl.syntax import ast
from masdsl.types import List, Type

EXACT_TRIES = 2
MAX_TYPE_ROUNDS = 4


class Round(NamedTuple):
    """One try at a loop's body: types at its start, at start and ends together, the body, what holds at its ends."""

    start: dict[str, Type]
    behind: dict[str, Type]
    body: Block
    ends: list[Names]
    mark: int
    clash: bool

    @property
    def settled(self) -> bool:
        """Whether another round would find the same types, or would hide that types clashed in this one."""
        return self.clash or self.behind == self.start


def filled(kind: Type, end: Type) -> Type:
    """Return the type of a list with as many items at least as it has at the ends of a round."""
    return kind.replace(low=end.low) if isinstance(kind, List) and isinstance(end, List) else kind


def grown_rounds(
    first: dict[str, Type], tried: Round, times: int, again: Callable[[dict[str, Type], Round], Round]
) -> tuple[Round, bool]:
    """Try a loop's last round, and say whether what it finds holds for all rounds.

    `first` are the types behind the first round, `tried` is the second one. Sizes are taken to grow by the same step in
    every round. Where one does not, it is taken as it is behind the round, then as large as can be.
    """
    second = tried.behind
    last = {name: grown(first[name], second[name], times - 2) for name in second}
    tried = again({name: grown(first[name], second[name], times - 3) for name in second}, tried)
    for tries in range(MAX_TYPE_ROUNDS):
        if tried.clash or all(kind in (tried.start[name], last[name]) for name, kind in tried.behind.items()):
            return tried, True
        wider = {
            name: tried.start[name]
            if kind in (tried.start[name], last[name])
            else kind
            if tries < EXACT_TRIES
            else unlimited(kind)
            for name, kind in tried.behind.items()
        }
        tried = again(wider, tried)
    return tried, tried.settled


def assigned(block: ast.Block) -> Iterator[str]:
    """Yield the names that a block binds or adds to, in nested blocks too."""
    pending: list[ast.Statement] = list(block.statements)
    while pending:
        node = pending.pop()
        match node:
            case ast.Bind() | ast.Append():
                yield node.name.text
            case ast.Loop() | ast.For() | ast.Within():
                pending.extend(node.body.statements)
            case ast.If():
                for branch in node.branches:
                    pending.extend(branch.body.statements)
                pending.extend(node.orelse.statements if node.orelse else ())
            case ast.Match():
                for arm in node.arms:
                    pending.extend(arm.body.statements)
                pending.extend(node.orelse.statements if node.orelse else ())
            case ast.Until() | ast.Return():
                pass
