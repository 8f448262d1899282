"""A reader of llama.cpp's GBNF: a set of stacks, one character after the other, as llama.cpp itself does it.

Left recursion is refused, as there. Written from the description of the notation, for texts of some hundred characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_TOKEN = re.compile(
    r'\s*(?:(?P<name>[a-z][a-z0-9-]*(?:\s*::=)?)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<set>\[(?:[^\]\\]|\\.)*\])'
    r"|(?P<times>[*+?]|\{\d+(?:,\d*)?\})|(?P<mark>[()|]))"
)
_CODE = re.compile(r"\\(?:x(..)|u(....)|U(........)|(.))|(.)", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r"}


class Gbnf:
    """A grammar. Elements are `("set", negated, ranges)` or `("rule", name)`; a rule is a list of alternatives."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, list[tuple[Any, ...]]] = {}
        self._known: dict[str, set[tuple[Any, ...]]] = {}
        self._under_way: set[str] = set()
        for line in text.splitlines():
            name, _, body = line.partition(" ::= ")
            assert name not in self.rules, f"{name} is defined twice"
            tokens = [(found.lastgroup, found[found.lastgroup or 0]) for found in _TOKEN.finditer(body)]
            assert _TOKEN.sub("", body).strip() == "", f"what is this: {_TOKEN.sub('', body)}"
            assert not _TOKEN.sub("", body).strip(), line
            alternatives, rest = self._alternatives(name, tokens)
            assert not rest, rest
            self.rules[name] = alternatives
        for alternatives in self.rules.values():
            for one in alternatives:
                assert all(element[0] != "rule" or element[1] in self.rules for element in one), one

    def matches(self, text: str) -> bool:
        """Whether the grammar has the text."""
        return () in self._after(text)

    def takes(self, text: str) -> bool:
        """Whether some text of the grammar begins so."""
        return bool(self._after(text))

    def _after(self, text: str) -> set[tuple[Any, ...]]:
        stacks = self._expanded({(("rule", "root"),)})
        for character in text:
            stacks = self._expanded({stack[1:] for stack in stacks if stack and _has(stack[0], character)})
        return stacks

    def _expanded(self, stacks: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
        """Replace rules on top until each stack is empty or has a set of characters on top."""
        done: set[tuple[Any, ...]] = set()
        for stack in stacks:
            if not stack or stack[0][0] == "set":
                done.add(stack)
                continue
            for opening in self._openings(stack[0][1]):
                done |= {opening + stack[1:]} if opening else self._expanded([stack[1:]])
        return done

    def _openings(self, rule: str) -> set[tuple[Any, ...]]:
        """Return what a rule can begin with: stacks with a set of characters on top, and the empty one."""
        if rule not in self._known:
            assert rule not in self._under_way, f"left recursion at {rule}"
            self._under_way.add(rule)
            self._known[rule] = self._expanded(self.rules[rule])
            self._under_way.remove(rule)
        return self._known[rule]

    # ------------------------------------------------------------ reading

    def _alternatives(self, name: str, tokens: list[Any]) -> tuple[list[tuple[Any, ...]], list[Any]]:
        found: list[tuple[Any, ...]] = []
        sequence: list[Any] = []
        last: list[Any] = []  # the elements that a repetition behind them repeats
        while tokens and tokens[0] != ("mark", ")"):
            (kind, token), *tokens = tokens
            if kind == "times":
                del sequence[len(sequence) - len(last) :]
                last = [self._repeated(name, tuple(last), token)]
            elif (kind, token) == ("mark", "|"):
                found.append(tuple(sequence))
                sequence, last = [], []
                continue
            elif kind == "mark":
                inner, (_, *tokens) = self._alternatives(name, tokens)
                last = [self._new(name, inner)]
            elif kind == "name":
                last = [("rule", token)]
            elif kind == "set":
                last = [_set(token)]
            else:
                last = [("set", False, ((one, one),)) for one in _characters(token[1:-1])]
            sequence += last
        return [*found, tuple(sequence)], tokens

    def _new(self, name: str, alternatives: list[tuple[Any, ...]]) -> tuple[str, str]:
        fresh = f"{name}#{len(self.rules)}"
        self.rules[fresh] = alternatives
        return "rule", fresh

    def _repeated(self, name: str, elements: tuple[Any, ...], times: str) -> tuple[str, str]:
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(times, (None, None))
        if low is None:
            least, _, most = times[1:-1].partition(",")
            low, high = int(least), int(most) if most else None if "," in times else int(least)
        if high is None:
            tail = self._new(name, [()])
            self.rules[tail[1]].append((*elements, tail))
        else:
            tail = self._new(name, [()])
            for _ in range(high - low):
                tail = self._new(name, [(), (*elements, tail)])
        return self._new(name, [(*elements * low, tail)])


def _characters(text: str) -> list[str]:
    return [
        chr(int(found[1] or found[2] or found[3], 16))
        if found[1] or found[2] or found[3]
        else _NAMED.get(found[4], found[4])
        if found[4]
        else found[5]
        for found in _CODE.finditer(text)
    ]


def _set(token: str) -> tuple[str, bool, tuple[tuple[str, str], ...]]:
    inner = token[1:-1]
    negated = inner.startswith("^")
    ranges = []
    for found in re.finditer(
        r"((?:\\(?:x..|u....|U........|.)|[^\\]))(?:-((?:\\(?:x..|u....|U........|.)|[^\\])))?", inner[negated:]
    ):
        low = _characters(found[1])[0]
        ranges.append((low, _characters(found[2])[0] if found[2] else low))
    return "set", negated, tuple(ranges)


def _has(element: Any, character: str) -> bool:
    _, negated, ranges = element
    return bool(any(low <= character <= high for low, high in ranges) != negated)
