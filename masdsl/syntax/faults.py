"""Faults that the lexer and the tree builder complain of, by kind, as diagnostics. Loaded with the first of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from masdsl import limits
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.syntax import (
    CodeFence,
    ForeignLetter,
    LimitExceeded,
    OtherLanguage,
    UnclosedString,
    UnknownEscape,
)
from masdsl.node import Span
from masdsl.syntax.foreign import STATEMENTS

_SHORTER = "split it into several steps or declarations"


def _limit(what: str, limit: int, action: str) -> Callable[[Span, str], Diagnostic]:
    def make(span: Span, text: str) -> Diagnostic:
        return LimitExceeded(what.format(text), limit, action, span=span)

    return make


def _letter(span: Span, text: str) -> Diagnostic:
    from masdsl.syntax.slips import fold

    letter = next(letter for letter in text if not letter.isascii())
    return ForeignLetter(text, letter, fold(text), span=span)


def _fence(span: Span, text: str) -> Diagnostic:
    start, end = map(int, text.split(":"))
    outside = (Span(0, start), Span(end, max(end, span.end)))
    return CodeFence(tuple(part for part in outside if part.end > part.start), span=span)


def _operator(span: Span, text: str) -> Diagnostic:
    if text == "%":
        return OtherLanguage(
            "%", "write `mod(a, b)` for a remainder; a percentage has no blank before its `%`", None, span=span
        )
    word = "not" if text == "!" else "and"
    return OtherLanguage(text, f"write `{word}`", f"{word} " if text == "!" else word, span=span)


def _blank(span: Span, text: str) -> Diagnostic:
    return OtherLanguage(f"U+{ord(text):04X}", "use ordinary blanks", " ", span=span)


FAULTS: Final[dict[str, Callable[[Span, str], Diagnostic]]] = {
    # lexer
    "source": _limit(
        "the text has too many bytes", limits.SOURCE_BYTES, "split the program into modules and `use` them"
    ),
    "tokens": _limit("the text has too many words", limits.TOKENS, "split the program into modules and `use` them"),
    "blocks": _limit(
        "blocks are nested too deep", limits.BLOCK_DEPTH, "move the inner blocks into a flow of their own"
    ),
    "brackets": _limit("brackets are nested too deep", limits.BRACKET_DEPTH, "bind a part of it to a name first"),
    "name": _limit("the name is too long", limits.NAME_LENGTH, "choose a shorter name"),
    "unclosed": lambda span, text: UnclosedString(text, span=span),
    "quotes": lambda span, text: OtherLanguage(
        "string in such quotes", 'put strings between `"`', text or None, span=span
    ),
    "comment": lambda span, text: OtherLanguage(
        text, "begin comments with `#`", "#" if text == "//" else None, span=span
    ),
    "operator": _operator,
    "mark": lambda span, text: OtherLanguage("such sign", f"write `{text}`", text, span=span),
    "blank": _blank,
    "letter": _letter,
    "await": lambda span, text: OtherLanguage(text, STATEMENTS[text], "", span=span),
    "fence": _fence,
    # builder
    "depth": _limit("the expression has too many levels", limits.EXPRESSION_DEPTH, "bind a part of it to a name first"),
    "digits": _limit("the number has too many digits", limits.INTEGER_DIGITS, "write a smaller number"),
    "fraction": _limit("the number has too many digits after the point", limits.FRACTION_DIGITS, "round the number"),
    "string": _limit("the string has {} bytes", limits.STRING_BYTES, "shorten it, or pass the text in as an input"),
    "escape": lambda span, text: UnknownEscape(text, span=span),
}
