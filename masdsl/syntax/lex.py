"""Text to tokens, all at once and without regard to the parser's state.

Terminals are told apart by their text alone, but for keywords: a word that is one carries its keyword's kind, and the
parser takes it for a name where only a name fits; directly behind a dot every word is a name. A run of letters,
digits and underscores is always one token, so `2of` cannot be read as `2 of`. What is no token goes to `slips.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from masdsl import limits
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.grammar import Language

if TYPE_CHECKING:
    from masdsl.syntax.slips import Slips

END = "$END"
STRAY = "?"
"""The kind of a character that is no token."""
MISSPELT = "?WORD"
"""The kind of a word that is neither a name nor a type's name, such as `myVar`."""

Complain = Callable[[str, Span, str], None]
"""Reports a fault: its kind (a key of `faults.FAULTS`), its place, and the text at fault."""


class Tokens(NamedTuple):
    """Parallel lists, one entry a token; the last is `$END`. `texts` is what the parser shall read: after a slip that
    is not what stands in the source between `starts` and `ends`."""

    kinds: list[str]
    texts: list[str]
    starts: list[int]
    ends: list[int]
    comments: list[ast.Comment]

    def add(self, kind: str, text: str, start: int, end: int) -> None:
        """Append a token."""
        self.kinds.append(kind)
        self.texts.append(text)
        self.starts.append(start)
        self.ends.append(end)

    def cut(self, length: int) -> None:
        """Drop all tokens from number `length` on."""
        for column in self[:4]:
            del column[length:]

    def replace(self, at: int, end: int, insert: Sequence[tuple[str, str]], span: Span) -> None:
        """Replace the tokens from `at` to before `end` by pairs of kind and text; at `span` if their number changes."""
        self.kinds[at:end] = [kind for kind, _ in insert]
        self.texts[at:end] = [text for _, text in insert]
        if len(insert) == end - at:
            return  # each stays where the one before it was
        self.starts[at:end] = [span.start] * len(insert)
        self.ends[at:end] = [span.end] * len(insert)

    def split(self, at: int, kind: str, text: str, next_kind: str, next_text: str) -> None:
        """Make two tokens of one."""
        start, end = self.span(at)
        middle = start + len(text)
        self.replace(at, at + 1, ((kind, text), (next_kind, next_text)), Span(start, end))
        self.ends[at] = self.starts[at + 1] = middle

    def span(self, at: int) -> Span:
        """The place of token number `at`."""
        return Span(self.starts[at], self.ends[at])


def tokenize(source: Source, language: Language, complain: Complain) -> Tokens:
    """Split a text into tokens."""
    text = source.text
    marks = language.lexicon.marks
    words = dict(language.lexicon.keywords)
    after_dot = frozenset(words.values())
    tokens = Tokens([], [], [], [], [])
    kinds, texts, starts, ends, comments = tokens
    scan = language.token.match
    foreign_comments = "//" in text or "/*" in text
    slips: Slips | None = None
    at, stop = 0, len(text)
    if "```" in text:
        from masdsl.syntax.slips import fenced

        at, stop = fenced(text, complain)
    while match := scan(text, at, stop):
        group = match.lastgroup or ""
        first, last = match.span(group)
        piece = text[first:last]
        at = last
        if group == "word":
            kind = words.get(piece)
            if kind is None:
                found = language.word.fullmatch(piece)
                kind = words[piece] = (found and found.lastgroup) or MISSPELT
                if last - first > limits.NAME_LENGTH and kind not in ("INT", "SCALED"):
                    complain("name", Span(first, last), piece)
            if kind in after_dot and kinds and kinds[-1] == "DOT" and ends[-1] == first:
                kind = "NAME"  # `main.loop.draft`: behind a dot there is nothing but names
        elif group == "mark" and not (foreign_comments and piece == "/" and text[last : last + 1] in ("/", "*")):
            kind = marks[piece]
        elif group == "COMMENT":
            comments.append(ast.Comment(piece.rstrip(" \t"), span=Span(first, last)))
            continue
        elif group in ("mark", "other") or (piece == '""' and text[last : last + 1] == '"'):
            if slips is None:
                from masdsl.syntax.slips import Slips

                slips = Slips(text, language, tokens, complain)
            at, stop = slips.handle(first, stop)
            continue
        else:
            kind = group
        kinds.append(kind)
        texts.append(piece)
        starts.append(first)
        ends.append(last)
    tokens.add(END, "", stop, stop)
    if len(kinds) > limits.TOKENS + 1:
        complain("tokens", tokens.span(limits.TOKENS), "")
        _end_at(tokens, limits.TOKENS)
    if "await" in texts:
        from masdsl.syntax.slips import without_await

        without_await(tokens, complain)
    if kinds.count("LBRACE") > limits.BLOCK_DEPTH or kinds.count("LPAR") + kinds.count("LSQB") > limits.BRACKET_DEPTH:
        _limit_depth(tokens, complain)
    return tokens


def _end_at(tokens: Tokens, length: int) -> None:
    at = tokens.starts[length]
    tokens.cut(length)
    tokens.add(END, "", at, at)


def _limit_depth(tokens: Tokens, complain: Complain) -> None:
    """End the text where blocks or brackets are nested too deep."""
    braces = brackets = 0
    for at, kind in enumerate(tokens.kinds):
        if kind == "LBRACE":
            braces += 1
        elif kind == "RBRACE":
            braces = max(braces - 1, 0)
        elif kind in ("LPAR", "LSQB"):
            brackets += 1
        elif kind in ("RPAR", "RSQB"):
            brackets = max(brackets - 1, 0)
        if braces > limits.BLOCK_DEPTH or brackets > limits.BRACKET_DEPTH:
            complain("blocks" if braces > limits.BLOCK_DEPTH else "brackets", tokens.span(at), "")
            _end_at(tokens, at)
            return
