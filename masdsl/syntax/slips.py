"""Text that is no token: reported, and, where it is clear what was meant, read as that.

Only loaded for texts that have such a place.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

from masdsl.node import Span
from masdsl.syntax.grammar import Language
from masdsl.syntax.lex import STRAY, Complain, Tokens

_QUOTED = re.compile(
    r"""'''(?:[^'\\]|\\[\s\S]|'(?!''))*'''|'(?:[^'\\\n]|\\[^\n])*'|“[^“”\n]*”|‘[^‘’\n]*’|«[^«»\n]*»|`(?!``)[^`]*`"""
)
_FENCE = re.compile(r"^[ \t]*```[^\n]*$", re.MULTILINE)
_DECLARATION = re.compile(r"^(?:agent|flow|tool|type|test|use)\s+[\w\"]", re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*(?:mas|bind|patch)(?:[ \t\n]|#[^\n]*\n)+[0-9]", re.MULTILINE)
_RUN = re.compile(r"\w+")
_OPERATORS = {"&": ("AND", "and"), "!": ("NOT", "not"), "%": ("SLASH", "/")}
_FOREIGN = "аеорсухіјѕԁһԛԝαορνυικτηАВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_ASCII = "aeopcyxijsdhqwaopvuiktnABEKMHOPCTXIJSABEZHIKMNOPTYX"
_LOOK_ALIKES = str.maketrans(
    dict(zip(_FOREIGN, _ASCII, strict=True))
    | {
        "→": "->",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "–": "-",
        "—": "-",
        "−": "-",
        "ß": "ss",
        "ı": "i",
        "ø": "o",
        "æ": "ae",
    }
)


class Slips:
    """Handles the slips of one text; `tokens` is what has been read so far."""

    def __init__(self, text: str, language: Language, tokens: Tokens, complain: Complain) -> None:
        self.text = text
        self.tokens = tokens
        self.complain = complain
        self.marks = language.lexicon.marks
        self.first_blank = True
        self.may_resume = True

    def handle(self, at: int, stop: int) -> tuple[int, int]:
        """Deal with the slip at an offset. Returns where to go on and where the text ends."""
        text, letter = self.text, self.text[at]
        if letter == '"':
            return self._unclosed(at, stop), stop
        if letter == "/":
            return self._comment(at), stop
        if letter == "`" and text.startswith("```", at):
            return self._fence(at, stop)
        quoted = _QUOTED.match(text, at, stop)
        if quoted:
            return self._quotes(at, quoted.end()), stop
        if letter in _OPERATORS:
            return self._operator(at, letter), stop
        if category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            return at + 1, stop  # reported by the reader of the text
        if _RUN.match(letter) or category(letter).startswith("M"):
            return self._foreign_word(at), stop
        return self._stray(at, letter), stop

    # -- strings

    def _unclosed(self, at: int, stop: int) -> int:
        text = self.text
        if text.startswith('"""', at):
            return self._unclosed_block(at, stop)
        end = text.find("\n", at, stop)
        end = stop if end < 0 else end
        piece = text[at:end].rstrip(" \t")
        while piece[-1] in ")]," and (
            piece[-1] == "," or piece.count(piece[-1]) > piece.count("(" if piece[-1] == ")" else "[")
        ):
            piece = piece[:-1]  # `f("text)`: the bracket closes something else
        self.complain("unclosed", Span(at, at + len(piece)), '"')
        self.tokens.add("STRING", piece.rstrip("\\") + '"', at, at + len(piece))
        return at + len(piece)

    def _unclosed_block(self, at: int, stop: int) -> int:
        """Three quotes without an end. If an earlier block holds what looks like declarations, that is the one to
        blame: it took the opening of the next for its end, and so on to here."""
        kinds, texts, starts, _, _ = self.tokens
        if self.may_resume:
            self.may_resume = False
            for number, kind in enumerate(kinds):
                if kind == "STRING" and texts[number].startswith('"""'):
                    found = _DECLARATION.search(texts[number], 4)
                    if found:
                        at, cut = starts[number], starts[number] + found.start()
                        self.tokens.cut(number)
                        return self._block_ends(at, cut)
            found = _DECLARATION.search(self.text, at + 4, stop)
            if found:
                return self._block_ends(at, found.start())
        return self._block_ends(at, stop)

    def _block_ends(self, at: int, end: int) -> int:
        self.complain("unclosed", Span(at, at + 3), '"""')
        self.tokens.add("STRING", '""', at, end)
        return end

    def _quotes(self, at: int, end: int) -> int:
        piece = self.text[at:end]
        width = 3 if piece.startswith("'''") else 1
        inner = piece[width:-width]
        simple = '"' not in inner and "\n" not in inner
        quotes = '"' if "\n" not in inner else '"""'
        self.complain("quotes", Span(at, end), f"{quotes}{inner}{quotes}" if simple else "")
        self.tokens.add("STRING", quotes + inner.replace('"', "'").replace("\\'", "'") + quotes, at, end)
        return end

    # -- comments and fences

    def _comment(self, at: int) -> int:
        if self.text[at + 1] == "*":
            end = self.text.find("*/", at + 2)
            end = len(self.text) if end < 0 else end + 2
            self.complain("comment", Span(at, at + 2), "/*")
            return end
        end = self.text.find("\n", at)
        self.complain("comment", Span(at, at + 2), "//")
        return len(self.text) if end < 0 else end

    def _fence(self, at: int, stop: int) -> tuple[int, int]:
        """A line with three backquotes after the program: it ends there."""
        line = _FENCE.match(self.text, self.text.rfind("\n", 0, at) + 1)
        end = line.end() if line else at + 3
        self.complain("fence", Span(at, end), f"0:{at}")
        return at, at

    # -- words and operators

    def _operator(self, at: int, letter: str) -> int:
        kind, word = _OPERATORS[letter]
        end = at + 2 if letter == "&" and self.text.startswith("&&", at) else at + 1
        self.complain("operator", Span(at, end), self.text[at:end])
        self.tokens.add(kind, word, at, end)
        return end

    def _foreign_word(self, at: int) -> int:
        """A name with letters that are not ASCII, which may have begun in the token before."""
        ends = self.tokens.ends
        if ends and ends[-1] == at and _RUN.fullmatch(self.text, self.tokens.starts[-1], at):
            at = self.tokens.starts[-1]
            self.tokens.cut(len(self.tokens.kinds) - 1)
        run = _RUN.match(self.text, at)
        end = run.end() if run else at
        while end < len(self.text) and (category(self.text[end]).startswith("M") or _RUN.match(self.text[end])):
            end += 1
        end = max(end, at + 1)
        piece = self.text[at:end]
        folded = fold(piece)
        self.complain("letter", Span(at, end), piece)
        if folded and folded.isdigit():
            self.tokens.add("INT", folded, at, end)
        else:
            kind = "TYPENAME" if folded and folded[0].isupper() else "NAME"
            self.tokens.add(kind, folded or "_" + "".join(f"{ord(letter):x}" for letter in piece[:8]), at, end)
        return end

    def _stray(self, at: int, letter: str) -> int:
        meant = normalize("NFKC", letter.translate(_LOOK_ALIKES))
        if meant != letter and (meant in self.marks or meant in ("<=", ">=", "!=", "<", ">")):
            self.complain("mark", Span(at, at + 1), meant)
            self.tokens.add(self.marks.get(meant, "CMP"), meant, at, at + 1)
        elif meant == " ":
            if self.first_blank:
                self.complain("blank", Span(at, at + 1), letter)
            self.first_blank = False
        elif self.tokens.kinds[-1:] == [STRAY] and self.tokens.ends[-1] == at:
            self.tokens.ends[-1] = at + 1  # one diagnostic for all in a row
        else:
            self.tokens.add(STRAY, letter, at, at + 1)
        return at + 1


def fenced(text: str, complain: Complain) -> tuple[int, int]:
    """Where the program is in a text with three backquotes: between the fences, if it begins behind the first."""
    opening = _FENCE.search(text)
    if opening is None or _HEADER.search(text, 0, opening.start()):
        return 0, len(text)
    stop = len(text)
    for closing in _FENCE.finditer(text, opening.end()):
        if text.count('"""', opening.end(), closing.start()) % 2 == 0:  # not in a prompt
            stop = closing.start()
            break
    complain("fence", Span(*opening.span()), f"{opening.end()}:{stop}")
    return opening.end(), stop


def without_await(tokens: Tokens, complain: Complain) -> None:
    """Drop the word `await` where it stands before a call."""
    for at in range(len(tokens.kinds) - 3, -1, -1):
        if tokens.texts[at] == "await" and tokens.kinds[at + 1 : at + 3] == ["NAME", "LPAR"]:
            complain("await", tokens.span(at), "await")
            tokens.replace(at, at + 1, (), Span(0, 0))


def fold(word: str) -> str | None:
    """The ASCII name that a word with foreign letters looks like; None if there is none."""
    plain = normalize("NFKD", word.translate(_LOOK_ALIKES))
    plain = "".join(letter for letter in plain if not category(letter).startswith("M"))
    plain = "".join(letter if letter.isascii() or not letter.isdigit() else str(_digit(letter)) for letter in plain)
    return plain if plain.isascii() and (plain.isidentifier() or plain.isdigit()) else None


def _digit(letter: str) -> int:
    from unicodedata import digit

    return int(digit(letter, 0))
