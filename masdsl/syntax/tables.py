"""Compiles `grammar/mas.lark` with Lark into plain tables; the only module that imports Lark.

Lark computes the LALR(1) tables, which takes a second and needs its import. What a parse needs of them is data of
numbers and strings, so that `grammar.py` can keep it in a file and a cold start never imports Lark.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from lark import Lark

STARTS: Final = ("program", "binding", "patch", "chunk")
ACCEPT: Final = 1 << 30
"""The action that ends a parse."""
WORD_TERMINALS: Final = ("NAME", "TYPENAME", "SCALED", "INT")
"""Terminals whose text is all letters, digits and underscores: two of them need a gap."""


class Lexicon(NamedTuple):
    """The terminals of all start symbols. `pattern` finds one token with the blanks before it; its groups are `word`
    (all of letters, digits and underscores), `mark` (punctuation, see `marks`), terminals' names, and `other` for a
    stray character."""

    pattern: str
    word_pattern: str
    keywords: dict[str, str]
    marks: dict[str, str]
    reserved: tuple[str, ...]


class Tables(NamedTuple):
    """LALR(1) tables of one start symbol.

    An action at or above 0 shifts and names the next state, one below 0 reduces by rule `~action`. A rule is (size,
    origin, builder): an empty builder passes the only child through, the builder `*` collects a repetition.
    """

    start: int
    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]
    rules: tuple[tuple[int, str, str], ...]


def compile_start(grammar: str, start: str, *, strict: bool = False) -> Lark:
    """Compile the grammar for one start symbol. With `strict`, raises lark.exceptions.GrammarError for any conflict of
    rules and lark.exceptions.LexError for any collision of terminals (needs interegular)."""
    from lark import Lark

    return Lark(grammar, parser="lalr", lexer="contextual", start=start, strict=strict)


def extract(parser: Lark, start: str) -> Tables:
    """Take the tables out of a compiled parser. Its numbers follow from the grammar alone, unlike Lark's."""
    from lark.parsers.lalr_analysis import Shift

    table = parser.parser.parser._parse_table
    order = _reachable(table.states, table.start_states[start], Shift)
    numbers = {state: number for number, state in enumerate(order)}
    rules: dict[Any, int] = {}
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for state in order:
        row: dict[str, int] = {}
        next_states: dict[str, int] = {}
        for symbol, (action, target) in sorted(table.states[state].items(), key=_symbol):
            if action is not Shift:
                row[symbol] = ~rules.setdefault(target, len(rules))
            elif symbol.isupper() or symbol == "$END":
                row[symbol] = numbers[target]
            else:
                next_states[symbol] = numbers[target]
        if state == table.end_states[start]:
            row["$END"] = ACCEPT
        actions.append(row)
        gotos.append(next_states)
    return Tables(0, tuple(actions), tuple(gotos), tuple(_rule(rule) for rule in rules))


def _symbol(entry: tuple[str, Any]) -> str:
    return entry[0]


def _reachable(states: Any, start: int, shift: Any) -> list[int]:
    """The states in the order in which a walk over the symbols in alphabetical order meets them."""
    order, seen = [start], {start}
    for state in order:
        for _, (action, target) in sorted(states[state].items(), key=_symbol):
            if action is shift and target not in seen:
                seen.add(target)
                order.append(target)
    return order


def _rule(rule: Any) -> tuple[int, str, str]:
    origin, size = str(rule.origin.name), len(rule.expansion)
    if size == 0:
        raise ValueError(f"the rule {origin} may be empty; the parser's spans rely on rules that are not")
    if origin.startswith("_"):
        builder = "*"
    elif size == 1 and rule.options.expand1 and not rule.alias:
        builder = ""
    else:
        builder = str(rule.alias or origin)
    return size, origin, builder


def lexicon(parsers: Iterable[Lark], tables: Iterable[Tables]) -> Lexicon:
    """Join the terminals of all starts. A word is reserved if some state of some table takes both it and a name."""
    from lark.lexer import PatternStr

    terminals = {terminal.name: terminal for parser in parsers for terminal in parser.terminals}
    ignored = {name for parser in parsers for name in parser.ignore_tokens}
    keywords: dict[str, str] = {}
    marks: dict[str, str] = {}
    patterns: list[Any] = []
    for name, terminal in sorted(terminals.items()):
        text = terminal.pattern.value
        if not isinstance(terminal.pattern, PatternStr):
            if name not in ignored and name not in WORD_TERMINALS:
                patterns.append(terminal)
        elif text.isidentifier():
            keywords[text] = name
        else:
            marks[text] = name
    patterns.sort(key=lambda terminal: (-terminal.pattern.max_width, -len(terminal.pattern.value), terminal.name))
    import re

    groups = [f"(?P<{terminal.name}>{terminal.pattern.to_regexp()})" for terminal in patterns]
    groups.append("(?P<word>[A-Za-z0-9_]+)")
    groups.append(
        "(?P<mark>" + "|".join(re.escape(mark) for mark in sorted(marks, key=lambda mark: (-len(mark), mark))) + ")"
    )
    groups.append(f"(?P<COMMENT>{terminals['COMMENT'].pattern.to_regexp()})")
    groups.append(r"(?P<other>[^ \t\n])")
    pattern = f"(?:{terminals['SPACE'].pattern.to_regexp()})?(?:{'|'.join(groups)})"
    word_pattern = "|".join(f"(?P<{name}>{terminals[name].pattern.to_regexp()})" for name in WORD_TERMINALS)
    names = {name: word for word, name in keywords.items()}
    reserved = {
        names[kind] for table in tables for row in table.actions if "NAME" in row for kind in row if kind in names
    }
    return Lexicon(pattern, word_pattern, keywords, marks, tuple(sorted(reserved)))
