"""Names that are none of some words, in a notation that can neither subtract nor intersect (GBNF): by a trie."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

_SHAPE: Final = re.compile(r"\[(?P<first>[^\]]+)\]\[(?P<rest>[^\]]+)\](?P<times>\*|\{0,(?P<most>\d+)\})")


def without_words(rule: str, pattern: str, words: Collection[str]) -> Iterator[str]:
    """Yield GBNF rules for what matches a pattern of the form `[first][rest]*` or `[first][rest]{0,n}` but is no word.

    Each prefix of a word has a rule: what may follow it so that the whole is no word. Raises ValueError for a
    pattern of another form.
    """
    shape = _SHAPE.fullmatch(pattern)
    if shape is None:
        raise ValueError(f"words can only be left out of patterns such as [a-z][a-z0-9]*, not of {pattern}")
    most = int(shape["most"]) if shape["most"] else None
    matching = [word for word in words if re.fullmatch(pattern, word)]
    trie: dict[str, Any] = {}
    for word in matching:
        node = trie
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    yield from _node(rule, rule, trie, shape["first"], shape["rest"], most, depth=0)


def _node(
    name: str, root: str, node: dict[str, Any], allowed: str, rest: str, most: int | None, *, depth: int
) -> Iterator[str]:
    """Yield the rule of a prefix and those of the longer ones; `depth` is its length."""
    following = sorted(character for character in node if character)
    left = None if most is None else most - depth  # characters that may follow the next one
    open_ones = following if left != 0 else []  # what follows now would end a word of the greatest length
    alternatives = [f'"{one}" {root}-{number_of(name, root, one)}' for one in open_ones]
    others = _class_without(allowed, following)
    if others:
        tail = f" [{rest}]*" if left is None else f" [{rest}]{{0,{left}}}" if left else ""
        alternatives.append(f"[{others}]{tail}")
    if depth and "" not in node:
        alternatives.append('""')
    yield f"{name} ::= {' | '.join(alternatives)}"
    for one in open_ones:
        child = f"{root}-{number_of(name, root, one)}"
        yield from _node(child, root, node[one], rest, rest, most, depth=depth + 1)


def number_of(name: str, root: str, character: str) -> str:
    """Return the part of a child's name behind the root's: the prefix in hexadecimal, as names have no `_`."""
    return name[len(root) + 1 :] + f"{ord(character):02x}"


def _class_without(allowed: str, gone: Collection[str]) -> str:
    """Return a character class without some characters, as ranges."""
    characters = sorted(set(_expanded(allowed)) - set(gone))
    ranges: list[list[str]] = []
    for one in characters:
        if ranges and ord(one) == ord(ranges[-1][1]) + 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    return "".join(low if low == high else f"{low}-{high}" for low, high in ranges)


def _expanded(allowed: str) -> Iterator[str]:
    for found in re.finditer(r"(.)-(.)|(.)", allowed):
        if found[3]:
            yield found[3]
        else:
            yield from map(chr, range(ord(found[1]), ord(found[2]) + 1))
