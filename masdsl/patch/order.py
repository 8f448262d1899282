"""Where a declaration goes that a patch adds without saying where.

It stands behind all that it uses and, where that is possible, before all that use it. Between these: behind the last
declaration before the first one of a later kind, the kinds being imports, types, `budget` and `rectify`, tools, agents,
flows, tests. A flow goes in front of the first flow that stands behind all that it uses, so that others may call it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from masdsl.patch.places import NAMED_ITEMS
from masdsl.syntax import ast
from masdsl.syntax.walk import find_all

_RANKS = {
    ast.Use: 0,
    ast.RecordDecl: 1,
    ast.EnumDecl: 1,
    ast.Budget: 2,
    ast.Rectify: 2,
    ast.Tool: 3,
    ast.Agent: 4,
    ast.Variant: 4,
    ast.Extern: 4,
    ast.Flow: 5,
    ast.Test: 6,
}


def place_for(item: ast.Item, items: Sequence[ast.Item]) -> int:
    """Return the place among `items` (from 0 to their number) where an item goes."""
    used = set(mentioned(item))
    behind = max((at + 1 for at, other in enumerate(items) if used.intersection(declared(other))), default=0)
    own = set(declared(item))
    before = len(items)
    if own:
        before = next((at for at, other in enumerate(items) if own.intersection(mentioned(other))), before)
    rank = _RANKS[type(item)]
    wanted = next((at for at, other in enumerate(items) if _RANKS[type(other)] > rank), len(items))
    if isinstance(item, ast.Flow):
        wanted = next((at for at, other in enumerate(items) if at >= behind and _RANKS[type(other)] >= rank), wanted)
    wanted = max(behind, wanted)
    return min(wanted, before) if before >= behind else wanted


def declared(item: ast.Item) -> Iterator[str]:
    """Yield the names that an item brings into the program."""
    if isinstance(item, ast.Use):
        if not item.names:
            yield item.path[-1].text
        for name in item.names:
            yield (name.alias or name.name).text
    elif isinstance(item, NAMED_ITEMS):
        yield item.name.text


def mentioned(item: ast.Item) -> Iterator[str]:
    """Yield the names that an item writes, but for its own: those of declarations that it uses are among them."""
    own = item.name if isinstance(item, NAMED_ITEMS) else None
    if isinstance(item, ast.Use):
        return
    for name in find_all(item, ast.Name):
        if name is not own:
            yield name.text
