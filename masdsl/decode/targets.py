"""Grammars in the notations that decoders read: llguidance's Lark, llama.cpp's GBNF, and EBNF for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from masdsl.decode.bnf import read_bnf
from masdsl.decode.layout import Form, Laid, LaidGrammar, laid
from masdsl.decode.regexes import quoted, to_gbnf, to_rust, word_pattern
from masdsl.decode.words import without_words
from masdsl.syntax.grammar import reserved_words

TARGETS: Final = ("llguidance", "gbnf", "ebnf")


def written(grammar: LaidGrammar, target: str, excluded: Mapping[str, frozenset[str]]) -> str:
    """Return a grammar in a notation of `TARGETS`.

    `excluded` are, for each pattern, the words that match it and are none of its tokens, such as keywords for names.
    """
    return {"llguidance": _llguidance, "gbnf": _gbnf, "ebnf": _ebnf}[target](grammar, excluded)


def grammar_text_for(start: str, target: str) -> str:
    """Return the grammar of a start symbol (`program`, `binding`, `patch`, `chunk`) in a notation of `TARGETS`.

    Its texts are those of the decoder's layout (`masdsl.syntax.compact`), each ended by a line feed.
    """
    return written(laid(read_bnf(start)), target, {"NAME": reserved_words()})


class _Notation(NamedTuple):
    """How a notation writes rules."""

    defines: str
    alternative: str
    name: Callable[[Form], str]
    symbol: Callable[[Laid], str]
    repeats: bool
    """Whether a rule that begins with itself is written as a repetition, as llama.cpp needs it."""


def _rules(grammar: LaidGrammar, notation: _Notation, start: str) -> Iterator[str]:
    end = f" {quoted(grammar.end)}" if grammar.end else ""
    yield f"{start} {notation.defines} {notation.name(grammar.start)}{end}"
    for form, productions in grammar.rules.items():
        again = [one for one in productions if one[0] == Laid("rule", *form)]
        if again and notation.repeats:
            first = " | ".join(_spelt(notation, (one for one in productions if one not in again)))
            more = " | ".join(_spelt(notation, (one[1:] for one in again)))
            yield f"{notation.name(form)} {notation.defines} ({first}) ({more})*"
        else:
            alternatives = notation.alternative.join(_spelt(notation, productions))
            yield f"{notation.name(form)} {notation.defines} {alternatives}"


def _spelt(notation: _Notation, productions: Iterable[tuple[Laid, ...]]) -> list[str]:
    """Return productions in a notation, each once."""
    return list(dict.fromkeys(" ".join(notation.symbol(one) for one in production) for production in productions))


def _patterns_in(grammar: LaidGrammar) -> list[tuple[str, str]]:
    """Return each pattern that is used, with the gap in front of it."""
    used = (one for found in grammar.rules.values() for production in found for one in production)
    return sorted({(one.name, one.gap) for one in used if one.kind == "pattern"})


def _suffix(gap: str) -> str:
    return {"": "", " ": "_b", "\n": "_l"}[gap]


# ---------------------------------------------------------------- llguidance


def _llguidance(grammar: LaidGrammar, excluded: Mapping[str, frozenset[str]]) -> str:
    """Terminals are in capitals: each is one lexeme, its gap included, so that one byte tells lexemes apart."""

    def name(form: Form) -> str:
        return f"r_{form[0].strip('_').lower()}{_suffix(form[1])}"

    def symbol(one: Laid) -> str:
        if one.kind == "rule":
            return name((one.name, one.gap))
        return quoted(one.gap + one.name) if one.kind == "text" else one.name + _suffix(one.gap).upper()

    lines = ["%llguidance {}", *_rules(grammar, _Notation(":", "\n  | ", name, symbol, repeats=False), "start")]
    for pattern, gap in _patterns_in(grammar):
        body = f"/{to_rust(grammar.patterns[pattern])}/"
        words = excluded.get(pattern)
        if words:
            body += f" & ~/{word_pattern(words)}/"
        lines.append(f"{pattern}{_suffix(gap).upper()}: {f'{quoted(gap)} ({body})' if gap else body}")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- GBNF


def _gbnf(grammar: LaidGrammar, excluded: Mapping[str, frozenset[str]]) -> str:
    def name(form: Form) -> str:
        return f"{form[0].strip('_').replace('_', '-').lower()}{_suffix(form[1]).replace('_', '-')}"

    def symbol(one: Laid) -> str:
        if one.kind == "rule":
            return name((one.name, one.gap))
        if one.kind == "text":
            return quoted(one.gap + one.name)
        terminal = f"t-{one.name.lower().replace('_', '-')}"
        return f"{quoted(one.gap)} {terminal}" if one.gap else terminal

    lines = list(_rules(grammar, _Notation("::=", " | ", name, symbol, repeats=True), "root"))
    for pattern in dict(_patterns_in(grammar)):
        terminal = f"t-{pattern.lower().replace('_', '-')}"
        words = excluded.get(pattern)
        if words:
            lines += without_words(terminal, grammar.patterns[pattern], words)
        else:
            lines.append(f"{terminal} ::= {to_gbnf(grammar.patterns[pattern])}")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- EBNF


def _ebnf(grammar: LaidGrammar, excluded: Mapping[str, frozenset[str]]) -> str:
    """W3C's notation, gaps left out: for people, and for tools that draw syntax diagrams."""

    def name(form: Form) -> str:
        return form[0].strip("_")

    def symbol(one: Laid) -> str:
        return quoted(one.name) if one.kind == "text" else name((one.name, ""))

    lines = dict.fromkeys(
        _rules(grammar._replace(end=""), _Notation("::=", "\n  | ", name, symbol, repeats=True), "start")
    )
    patterns = [f"{pattern} ::= {to_gbnf(grammar.patterns[pattern])}" for pattern in dict(_patterns_in(grammar))]
    return "\n".join([*lines, *patterns]) + "\n"
