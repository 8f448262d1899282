"""Where the lines of canonical text break.

A printed phrase is a `Doc`: pieces that follow each other, each of them plain text, a `Listing` (a bracketed list) or a
`TextBlock` (a text of several lines). Only these two may break a line, so one rule lays out everything: from left to
right, a listing stays on its line if it fits there together with what must follow it on the same line, else it is
exploded, one entry a line. Comments and text blocks inside a listing explode it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

WIDTH = 100
"""How many code points a line may have before its listings are exploded."""
STEP = 2
"""Blanks of one level of indentation."""
COMMENT_GAP = "  "
"""What stands between a line and the comment behind it."""


class Style(NamedTuple):
    """The punctuation of one kind of listing, on one line (`flat_*`) and exploded."""

    flat_open: str
    flat_separator: str
    flat_close: str
    open: str
    before_next: str  # in front of each entry but the first
    after_each: str  # behind each entry but the last
    after_last: str
    close: str | None  # None: the last entry ends the listing


PARENTHESES = Style("(", ", ", ")", "(", "", ",", ",", ")")
BRACKETS = Style("[", ", ", "]", "[", "", ",", ",", "]")
BRACES = Style("{ ", ", ", " }", "{", "", ",", ",", "}")
IMPORTS = Style(": ", ", ", "", ":", "", ",", "", None)
WORDS = Style("= ", " | ", "", "=", "| ", "", "", None)


class TextBlock:
    """A text of several lines: `lines` are its content as source text, without indentation; `inline` says it on one."""

    __slots__ = ("inline", "lines")

    def __init__(self, inline: str, lines: Sequence[str]) -> None:
        self.inline = inline
        self.lines = lines


class Entry(NamedTuple):
    """One entry of a listing, with the comments above it and the one behind it."""

    doc: Doc
    before: Sequence[str] = ()
    after: str = ""


class Listing:
    """A bracketed list. `opening` is a comment behind its opening bracket, `closing` are those above its closing one.

    `flat` is the listing on one line, None where comments or text blocks forbid that.
    """

    __slots__ = ("closing", "entries", "flat", "opening", "style")

    def __init__(self, style: Style, entries: Sequence[Entry], opening: str = "", closing: Sequence[str] = ()) -> None:
        self.style = style
        self.entries = entries
        self.opening = opening
        self.closing = closing
        self.flat: str | None = None
        if not opening and not closing and not any(entry.before or entry.after for entry in entries):
            texts = [flat(entry.doc) for entry in entries]
            if None not in texts:
                self.flat = style.flat_open + style.flat_separator.join(texts) + style.flat_close  # type: ignore[arg-type]


Piece: TypeAlias = str | Listing | TextBlock
Doc: TypeAlias = list[Piece]


def flat(doc: Doc) -> str | None:
    """Return a phrase on one line, or None if something in it needs several."""
    texts = []
    for piece in doc:
        if isinstance(piece, str):
            texts.append(piece)
        elif isinstance(piece, Listing) and piece.flat is not None:
            texts.append(piece.flat)
        else:
            return None
    return "".join(texts)


def one_line(doc: Doc) -> str:
    """Return a phrase on one line whatever its width, text blocks written with escapes, without comments."""
    texts = []
    for piece in doc:
        if isinstance(piece, str):
            texts.append(piece)
        elif isinstance(piece, TextBlock):
            texts.append(piece.inline)
        elif piece.flat is not None:
            texts.append(piece.flat)
        else:
            style = piece.style
            entries = style.flat_separator.join(one_line(entry.doc) for entry in piece.entries)
            texts.append(style.flat_open + entries + style.flat_close)
    return "".join(texts)


def unbroken(doc: Doc) -> str:
    """Return a phrase on one line whatever its width, but for text blocks, whose lines start at the margin."""
    return "".join([_block(piece, 0) if isinstance(piece, TextBlock) else one_line([piece]) for piece in doc])


def fits(text: str | None, indent: int) -> bool:
    """Whether a one-line layout exists and stays within the width at this indentation."""
    return text is not None and indent + len(text) <= WIDTH


def render(doc: Doc, indent: int) -> str:
    """Lay out a phrase that starts a line at column `indent` (blanks); the first line comes without these blanks."""
    whole = flat(doc)
    if whole is not None and fits(whole, indent):
        return whole
    texts: list[str] = []
    column = indent
    for number, piece in enumerate(doc):
        if isinstance(piece, str):
            texts.append(piece)
            column += len(piece)
        elif isinstance(piece, TextBlock):
            content = indent if column == indent else indent + STEP
            texts.append(_block(piece, content))
            column = content + len('"""')
        elif piece.flat is not None and column + len(piece.flat) + _tail(doc, number + 1) <= WIDTH:
            texts.append(piece.flat)
            column += len(piece.flat)
        else:
            text = _exploded(piece, indent)
            texts.append(text)
            column = len(text) - text.rfind("\n") - 1
    return "".join(texts)


def _tail(doc: Doc, start: int) -> int:
    """How much text must follow on the same line: up to the next place where the line may break."""
    width = 0
    for piece in doc[start:]:
        if isinstance(piece, str):
            width += len(piece)
        elif isinstance(piece, TextBlock):
            return width + len('"""')
        else:
            return width + len(piece.style.open)
    return width


def _block(block: TextBlock, indent: int) -> str:
    blanks = " " * indent
    content = "\n".join(blanks + line if line else "" for line in block.lines)
    return f'"""\n{content}\n{blanks}"""'


def _exploded(listing: Listing, indent: int) -> str:
    style = listing.style
    inner = indent + STEP
    blanks = " " * inner
    lines = [style.open + behind(listing.opening)]
    last = len(listing.entries) - 1
    for number, entry in enumerate(listing.entries):
        lines.extend(blanks + comment for comment in entry.before)
        mark = style.before_next if number else ""
        end = style.after_last if number == last else style.after_each
        doc: Doc = [mark, *entry.doc, end] if mark else [*entry.doc, end]
        lines.append(blanks + render(doc, inner) + behind(entry.after))
    lines.extend(blanks + comment for comment in listing.closing)
    if style.close is not None:
        lines.append(" " * indent + style.close)
    return "\n".join(lines)


def behind(comment: str) -> str:
    """Return a comment as it stands behind the text of its line; nothing for no comment."""
    return COMMENT_GAP + comment if comment else ""
