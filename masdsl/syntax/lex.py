"""Text to tokens, all at once and without regard to the parser's state.

Terminals are told apart by their text alone, but for keywords: a word that is one carries its keyword's kind, and the parser
takes it for a name where only a name fits. A run of letters, digits and underscores is always one token, so `2of` cannot be
read as `2 of`. Whatever is no token is reported here and, where it is clear what was meant, replaced by it, so that one slip
gives one diagnostic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from masdsl import limits
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.grammar import Language

END = "$END"
Complain = Callable[[str, Span, str], None]


class Tokens(NamedTuple):
    """Parallel lists, one entry a token; the last is `$END`. `text` is what the parser shall read, which after a slip is not
    what stands in the source between `starts` and `ends`."""

    kinds: list[str]
    texts: list[str]
    starts: list[int]
    ends: list[int]
    comments: list[ast.Comment]


def tokenize(source: Source, language: Language, complain: Complain, start: int = 0, end: int | None = None) -> Tokens:
    """Split the text, or the part of it between two offsets, into tokens."""
    text = source.text
    stop = len(text) if end is None else end
    marks = language.lexicon.marks
    words = dict(language.lexicon.keywords)
    tokens = Tokens([], [], [], [], [])
    kinds, texts, starts, ends, comments = tokens
    scan = language.token.match
    at = start
    while match := scan(text, at, stop):
        group = match.lastgroup
        first, last = match.span(group or 0)
        piece = text[first:last]
        at = last
        if group == "word":
            kind = words.get(piece)
            if kind is None:
                kind = words[piece] = _word(piece, Span(first, last), language.word, complain)
        elif group == "mark":
            kind = marks[piece]
        elif group == "COMMENT":
            comments.append(ast.Comment(piece.rstrip(" \t"), span=Span(first, last)))
            continue
        elif group == "other":
            raise NotImplementedError
        else:
            kind = group or ""
        kinds.append(kind)
        texts.append(piece)
        starts.append(first)
        ends.append(last)
    kinds.append(END)
    texts.append("")
    starts.append(stop)
    ends.append(stop)
    return tokens


def _word(piece: str, span: Span, pattern: re.Pattern[str], complain: Complain) -> str:
    match = pattern.fullmatch(piece)
    if match is None:
        complain("word", span, piece)
        return "NAME"
    if len(piece) > limits.NAME_LENGTH:
        complain("name", span, piece)
    return match.lastgroup or "NAME"
