"""Puts the blanks of canonical text into a grammar, so that a decoder spends nothing on them and cannot loop in them.

A decoder's text has one layout: a statement or declaration a line, one blank or none between tokens, no indentation
(the formatter adds that). What stands in front of a symbol is decided by its place in its production, here; so every
rule has up to three forms, by the gap in front of its first token. The gap is a part of that token, because a decoder's
lexer must see with one byte whether ` of` or ` only` begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from masdsl.decode.bnf import Bnf, Production, Symbol

NONE: Final = ""
BLANK: Final = " "
LINE: Final = "\n"


class Laid(NamedTuple):
    """A symbol with the gap in front of its first token."""

    kind: str
    name: str
    gap: str


Form: TypeAlias = tuple[str, str]
"""A rule's name and the gap in front of its first token."""


class LaidGrammar(NamedTuple):
    """A grammar with its blanks: `rules` by form; `end` is what follows the last token."""

    start: Form
    rules: Mapping[Form, tuple[tuple[Laid, ...], ...]]
    patterns: Mapping[str, str]
    end: str


_TIGHT_TEXTS: Final = frozenset((",", ")", "]", ".", ":", "?"))
"""What stands directly behind the token in front of it, wherever it is."""
_OPENING: Final = frozenset(("(", "[", "."))
"""What has the next token directly behind it."""
_TIGHT_RULES: Final = frozenset(("params", "statics", "list_cap", "rest_of_head"))
"""Rules that begin with a bracket directly behind the name that they belong to."""
_LINE_RULES: Final = frozenset(("item", "statement", "arm", "given", "expect", "edit", "assignment"))
"""Rules that begin a line."""
_SIGNED: Final = frozenset(("factor", "literal"))
"""Rules in which a minus is a sign, directly in front of its number."""
_TYPE: Final = Symbol("text", "type")
"""What begins a declaration whose braces stand on one line."""


def laid(bnf: Bnf) -> LaidGrammar:
    """Return a grammar with the blanks of the decoder's layout. A text ends with the end of its line."""
    gaps = _Gaps(bnf)
    start = (bnf.start, NONE)
    rules: dict[Form, tuple[tuple[Laid, ...], ...]] = {}
    waiting = [start]
    while waiting:
        form = waiting.pop()
        if form in rules:
            continue
        name, gap = form
        rules[form] = tuple(gaps.production(name, production, gap) for production in bnf.rules[name])
        waiting += [(one.name, one.gap) for production in rules[form] for one in production if one.kind == "rule"]
    return LaidGrammar(start, rules, bnf.patterns, LINE)


class _Gaps:
    def __init__(self, bnf: Bnf) -> None:
        self._rules = bnf.rules
        self._before: dict[str, str] = {}

    def production(self, name: str, production: Production, gap: str) -> tuple[Laid, ...]:
        found = []
        for at, symbol in enumerate(production):
            if at:
                gap = self._between(name, production[at - 1], symbol, first=at == 1, declares=production[0] == _TYPE)
            found.append(Laid(symbol.kind, symbol.name, gap))
        return tuple(found)

    def _between(self, name: str, before: Symbol, symbol: Symbol, *, first: bool, declares: bool) -> str:
        """Return what stands between two symbols of a production."""
        signs = before.name == "-" and first and name in _SIGNED
        if before.kind == "text" and (before.name in _OPENING or signs):
            return NONE
        if symbol.kind == "rule":
            if symbol.name == "else_":
                return BLANK if self._ends_a_branch(before) else LINE
            gap = self._in_front_of(symbol.name, ())
            # a declaration that an edit adds stands on the edit's line
            return BLANK if gap == LINE and before.kind == "text" and before.name.isidentifier() else gap
        if symbol.kind == "text":
            if symbol.name in _TIGHT_TEXTS or symbol.name == "(":
                return NONE
            if symbol.name == "[":
                return BLANK if before.kind == "text" else NONE
            if symbol.name == "+" and name == "list_cap":
                return NONE
            if symbol.name == "}":
                return BLANK if declares else LINE
        return BLANK

    def _ends_a_branch(self, before: Symbol) -> bool:
        """Whether an `else` belongs to an `if`: behind `}` or an `else if`, not behind the arms of a `match`."""
        found = self._rules.get(before.name, ()) if before.kind == "rule" else ()
        return before == Symbol("text", "}") or any(one.name == "elif" for production in found for one in production)

    def _in_front_of(self, name: str, above: tuple[str, ...]) -> str:
        """Return the gap that a rule has in front of it, by what it begins with."""
        if name in _LINE_RULES:
            return LINE
        if name in _TIGHT_RULES:
            return NONE
        if name not in self._before:
            firsts = [production[0] for production in self._rules[name]]
            found = {
                self._in_front_of(one.name, (*above, name))
                if one.kind == "rule"
                else NONE
                if one.kind == "text" and one.name in _TIGHT_TEXTS
                else BLANK
                for one in firsts
                if one.kind != "rule" or one.name not in (*above, name)
            }
            if len(found) != 1:
                raise ValueError(f"the rule {name} begins with tokens of different gaps: {sorted(found)}")
            self._before[name] = found.pop()
        return self._before[name]
