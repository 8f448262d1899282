"""What the grammar allows at a place: the parser runs up to there, and its tables are asked what could come next."""

from __future__ import annotations

from typing import NamedTuple

from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax.build import Site
from masdsl.syntax.grammar import Language, load
from masdsl.syntax.lex import END, Tokens, tokenize
from masdsl.syntax.machine import Machine
from masdsl.syntax.recover import Recovery

_CURSOR = "$CURSOR"
"""A kind of token that no grammar has: where it comes, the parser stops with everything before it on its stack."""


class Before(NamedTuple):
    """The tokens in front of a place, and the kinds of tokens that may come there."""

    tokens: Tokens
    expected: frozenset[str]


def before(text: str, kind: str = "program") -> Before:
    """Return what stands in front of the end of a text, and what may follow. Faults in it are recovered from."""
    language = load(kind)
    tokens = tokenize(Source("<before>", text), language, lambda fault, span, found: None)
    tokens.kinds[-1] = _CURSOR
    tokens.add(END, "", len(text), len(text))
    stop = _Stop(text, language)
    machine = Machine(language, tokens, Site(lambda fault, span, found: None), lambda _: stop)
    machine.run()
    return Before(tokens, stop.allowed)


class _Stop(Recovery):
    """Recovers from faults as always, but gives up at the place that is asked about."""

    def __init__(self, text: str, language: Language) -> None:
        super().__init__(text, language, lambda diagnostic: True, list[Span]())
        self.allowed: frozenset[str] = frozenset()

    def recover(self, machine: Machine, at: int) -> int | None:
        if machine.tokens.kinds[at] != _CURSOR:
            return super().recover(machine, at)
        row = machine.language.lexicon
        kinds = {*row.keywords.values(), *row.marks.values(), "NAME", "TYPENAME", "STRING", "INT", "FLOAT"}
        machine.language = machine.language._replace(soft=frozenset())  # as keywords, not as the names that they may be
        self.allowed = frozenset(kind for kind in kinds if machine.accepts([kind]))
        return None
