"""The grammar as plain productions, taken from what Lark compiled: the only source of every grammar for a decoder.

Lark has resolved everything by then (repetitions, options, inlined rules, imports), so what is left is BNF over
literals and patterns. Left out is what canonical text never has: a comma in front of a closing bracket, a block without
a statement, and texts in another spelling than the printer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from masdsl.reading import HIDDEN_RANGES, SURROGATES
from masdsl.syntax.grammar import grammar_text
from masdsl.syntax.tables import compile_start


class Symbol(NamedTuple):
    """One symbol of a production: `kind` is `text` (a literal), `pattern` (a terminal by its name) or `rule`."""

    kind: str
    name: str


Production: TypeAlias = tuple[Symbol, ...]


class Bnf(NamedTuple):
    """A grammar: productions by rule, and the regular expressions (Python's dialect) of its patterns."""

    start: str
    rules: Mapping[str, tuple[Production, ...]]
    patterns: Mapping[str, str]


_EDITION: Final = "1"
"""What stands behind `mas`, `bind` and `patch`: the parser takes no other number."""
_CHARACTER: Final = rf'(?:[^"\\\t\n{HIDDEN_RANGES.replace(SURROGATES, "")}]|\\["\\nt])'
_SPELLINGS: Final = {"STRING": rf'"{_CHARACTER}*"|"""\n(?:"{{0,2}}(?:{_CHARACTER}|\n))*"{{0,2}}\n"""'}
"""Texts as the printer writes them, on one line or as a block; the parser also takes other escapes and refuses some."""
ANY_WORD: Final = "WORD"
"""The pattern of a name that may be a reserved word."""
_CLOSING: Final = frozenset((")", "]", "}"))


def text(name: str) -> Symbol:
    """Return the symbol of a literal."""
    return Symbol("text", name)


def rule(name: str) -> Symbol:
    """Return the symbol of a rule."""
    return Symbol("rule", name)


@cache
def read_bnf(start: str) -> Bnf:
    """Return the grammar from one start symbol: `program`, `binding`, `patch` or `chunk` (about a quarter second)."""
    from lark.lexer import PatternStr

    parser = compile_start(grammar_text(), start)
    literals: dict[str, str] = {}
    patterns: dict[str, str] = {}
    for terminal in parser.terminals:
        kind = literals if isinstance(terminal.pattern, PatternStr) else patterns
        kind[terminal.name] = terminal.pattern.value
    for ignored in parser.ignore_tokens:
        patterns.pop(ignored)
    patterns |= {name: spelling for name, spelling in _SPELLINGS.items() if name in patterns}
    rules: dict[str, list[Production]] = {}
    for one in parser.rules:
        production = tuple(
            Symbol("rule", symbol.name)
            if not symbol.is_term
            else Symbol("text", literals[symbol.name])
            if symbol.name in literals
            else Symbol("pattern", symbol.name)
            for symbol in one.expansion
        )
        if one.origin.name == start and start != "chunk":
            production = (production[0], text(_EDITION), *production[2:])
        if not _has_spare_comma(production):
            rules.setdefault(str(one.origin.name), []).append(production)
    if "NAME" in patterns:
        patterns[ANY_WORD] = patterns["NAME"]
    return pruned(Bnf(start, _with_words_behind_dots(_without_empty_blocks(rules)), patterns))


def _has_spare_comma(production: Production) -> bool:
    """Whether a comma stands in front of a closing bracket, or of the end, where one follows."""
    texts = [symbol.name if symbol.kind == "text" else None for symbol in production]
    following = [*texts[1:], ")"]
    return any(one == "," and next_one in _CLOSING for one, next_one in zip(texts, following, strict=True))


def _with_words_behind_dots(rules: Mapping[str, tuple[Production, ...]]) -> dict[str, tuple[Production, ...]]:
    """Let every word be a name directly behind a dot, reserved ones too, as the lexer has it."""
    name = ((Symbol("pattern", "NAME"),),)
    found = dict(rules)
    for rule_name, productions in rules.items():
        behind = {one for production in productions for dot, one in pairwise(production) if dot == text(".")}
        roles = {one for one in behind if one.kind == "rule" and rules[one.name] == name}
        found |= {f"dotted_{one.name}": ((Symbol("pattern", ANY_WORD),),) for one in roles}
        found[rule_name] = tuple(
            tuple(
                rule(f"dotted_{one.name}") if one in roles and before == text(".") else one
                for before, one in pairwise((text(""), *production))
            )
            for production in productions
        )
    return found


def _without_empty_blocks(rules: Mapping[str, Sequence[Production]]) -> dict[str, tuple[Production, ...]]:
    """Drop productions in which `}` directly follows what ends with `{`."""

    def opens(symbol: Symbol) -> bool:
        if symbol.kind != "rule":
            return symbol == text("{")
        return all(opens(production[-1]) for production in rules[symbol.name] if production[-1] != symbol)

    return {
        name: tuple(
            dict.fromkeys(
                production
                for production in productions
                if not any(one == text("}") and opens(before) for before, one in pairwise(production))
            )
        )
        for name, productions in rules.items()
    }


def narrowed(bnf: Bnf, roles: Mapping[str, Iterable[Production] | None]) -> Bnf:
    """Return the grammar with other productions for some rules, as for roles of names: the names that are visible.

    None, or no production, means that nothing can stand there: whatever needs it goes too. Raises KeyError for a rule
    that is not there, ValueError where nothing at all is left.
    """
    rules = dict(bnf.rules)
    for name, productions in roles.items():
        if name not in rules:
            raise KeyError(name)
        rules[name] = tuple(productions or ())
    return pruned(bnf._replace(rules=rules))


def pruned(bnf: Bnf) -> Bnf:
    """Return the grammar without rules that derive nothing or that nothing reaches.

    Raises ValueError where nothing is left.
    """
    live: set[str] = set()
    while True:
        found = {
            name
            for name, productions in bnf.rules.items()
            if any(all(one.kind != "rule" or one.name in live for one in production) for production in productions)
        }
        if found == live:
            break
        live = found
    if bnf.start not in live:
        raise ValueError(f"nothing can be derived from `{bnf.start}`")
    rules: dict[str, tuple[Production, ...]] = {}
    waiting = [bnf.start]
    while waiting:
        name = waiting.pop()
        if name not in rules:
            rules[name] = tuple(
                production
                for production in bnf.rules[name]
                if all(one.kind != "rule" or one.name in live for one in production)
            )
            waiting += [one.name for production in rules[name] for one in production if one.kind == "rule"]
    return bnf._replace(rules={name: rules[name] for name in bnf.rules if name in rules})
