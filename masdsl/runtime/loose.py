"""JSON as models write it: read what is meant, remember what was mended.

Read besides JSON: other quotes (single, curly, back quotes, triple), unquoted keys and values, Python's `True` and
`None`, comments, missing and trailing commas, unescaped quotes and line breaks inside strings, brackets that are closed
wrongly or not at all, and text around all that.

The work is linear in the length of the text: every scan moves forward, and how often reading starts anew, and how much
of the text that may cover, is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

DEEPEST = 32
"""Brackets inside brackets; deeper ones are not read."""
MOST_STARTS = 64
"""Places of a text at which reading is tried."""
MOST_READ = 2
"""How often all of a text may be read in vain before no further place is tried."""


class Bare(str):
    """An unquoted value: a number, or a word."""

    __slots__ = ()


class Partial(str):
    """A string that the end of the text cut off."""

    __slots__ = ()


Node: TypeAlias = "str | bool | None | list[Node] | dict[str, Node]"


class Found(NamedTuple):
    """Something JSON-like in a text: its value, where it stands, and what had to be mended.

    `truncated` is whether the text ended before the value did; `twice` are keys given more than once, with different
    values.
    """

    value: Node
    start: int
    end: int
    repairs: tuple[str, ...] = ()
    truncated: bool = False
    twice: tuple[str, ...] = ()


class Unreadable(Exception):
    """There is nothing like JSON here."""


def find_json(text: str, start: int = 0) -> Iterator[Found]:
    """Yield the objects and lists in a text, outermost ones only, in order.

    Values that the end of the text cuts off come last; they may hold some of the others.
    """
    truncated: list[Found] = []
    at, starts, left = start, 0, MOST_READ * len(text) + 10_000
    while starts < MOST_STARTS and left > 0 and (opening := _OPENING.search(text, at)) is not None:
        starts += 1
        found, reached = read_json(text, opening.start())
        if found is not None and not found.truncated:
            yield found
            at = found.end
            continue
        if found is not None:
            truncated.append(found)
        left -= reached - opening.start()
        at = opening.end()
    yield from truncated


def read_json(text: str, at: int) -> tuple[Found | None, int]:
    """Return the value that starts at an offset, or None; and how far the text was read."""
    exact = read_exact(text, at)
    if exact is not None:
        return exact, exact.end
    reader = _Reader(text)
    try:
        value, end = reader.value(at, 0, False)
    except (Unreadable, RecursionError):
        return None, reader.reached
    if reader.truncated and not value:
        return None, reader.reached
    return Found(value, at, end, reader.repairs, reader.truncated, tuple(reader.twice)), end


def read_exact(text: str, at: int) -> Found | None:
    """Return the value that starts at an offset if it is JSON by the book, else None."""
    twice: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) < len(items):
            twice.extend(key for key, value in items if made[key] != value)
        return made

    decoder = json.JSONDecoder(
        object_pairs_hook=pairs, parse_int=Bare, parse_float=Bare, parse_constant=Bare, strict=False
    )
    try:
        value, end = decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return Found(value, at, end, twice=tuple(dict.fromkeys(twice)))


_OPENING = re.compile(r"[{\[]")
_SPACE = re.compile(r"\s*")
_BARE = re.compile(r"[^,{}\[\]\n]*")
_BEFORE_QUOTE = re.compile(r"""(true|false|null|True|False|None|-?\d[\d.]{0,40})\s+["'\u201c]""")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?=\s*[,}\n])")
_BARE_KEY = re.compile(r"""[^\s:=,{}\[\]"'`][^:=,{}\[\]\n"]*""")
_ASSIGN = re.compile(r"\s*(?::|=>|=)")
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019"}
_CHUNKS = {close: re.compile(rf"[^{close}\\]*(?:\\.[^{close}\\]*)*", re.S) for close in _QUOTES.values()}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", "\n": "\n"}
_CONSTANTS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "None": None, "NULL": None, "undefined": None,
}  # fmt: skip


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text)
        self._plain_quotes = False
        self._open_comment = False
        self._kept: dict[str, None] = {}
        self.reached = 0
        self.truncated = False
        self.twice: list[str] = []

    @property
    def repairs(self) -> tuple[str, ...]:
        return tuple(self._kept)

    def _mend(self, what: str) -> None:
        self._kept[what] = None

    # ------------------------------------------------------------ between values

    def _skip(self, at: int) -> int:
        """Return where the next token starts, after blanks and comments."""
        while True:
            match = _SPACE.match(self._text, at)
            at = self.reached = match.end() if match else at
            two = self._text[at : at + 2]
            if two == "//" or two[:1] == "#":
                self._mend("comments")
                line_end = self._text.find("\n", at)
                at = self._end if line_end < 0 else line_end
            elif two == "/*" and not self._open_comment:
                self._mend("comments")
                close = self._text.find("*/", at + 2)
                self._open_comment = close < 0
                at = self._end if close < 0 else close + 2
            else:
                return at

    def _at_end(self, at: int) -> bool:
        if at >= self._end:
            self.truncated = True
            self._mend("the end was missing")
            return True
        return False

    # ------------------------------------------------------------ values

    def value(self, at: int, depth: int, in_object: bool) -> tuple[Any, int]:
        """Read a value; `at` is its first character. Raises Unreadable."""
        if depth > DEEPEST:
            raise Unreadable
        letter = self._text[at]
        if letter == "{":
            return self._object(at + 1, depth + 1)
        if letter == "[":
            return self._list(at + 1, depth + 1)
        if letter in _QUOTES:
            return self._string(at)
        return self._bare(at, in_object)

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        while True:
            at = self._skip(at)
            if self._at_end(at):
                return made, at
            letter = self._text[at]
            if letter == "}":
                return made, at + 1
            if letter == "]":
                self._mend("a bracket was closed wrongly")
                return made, at
            if letter == ",":
                at += 1
                continue
            key, at = self._key(at)
            if key is None:
                return made, at
            at = self._skip(at)
            if self._at_end(at):
                return made, at
            if self._text[at] in ",}":
                continue
            value, at = self.value(at, depth, True)
            if isinstance(value, _Cut):
                return made, at
            if key in made and made[key] != value:
                self.twice.append(key)
            made[key] = value
            at = self._skip(at)
            if at < self._end and self._text[at] not in ",}]":
                self._mend("missing commas")

    def _key(self, at: int) -> tuple[str | None, int]:
        """Read a key and its colon; None when the text ends within."""
        if self._text[at] in _QUOTES:
            key, at = self._string(at)
            at = self._skip(at)
            if at >= self._end or isinstance(key, Partial):
                self._at_end(self._end)
                return None, self._end
        else:
            match = _BARE_KEY.match(self._text, at)
            if match is None:
                raise Unreadable
            if match.end() >= self._end:
                self._at_end(self._end)
                return None, self._end
            self._mend("unquoted names")
            key, at = match.group().strip(), match.end()
        match = _ASSIGN.match(self._text, at)
        if match is None:
            raise Unreadable
        if match.group().strip() != ":":
            self._mend("`=` for `:`")
        return str(key), match.end()

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while True:
            at = self._skip(at)
            if self._at_end(at):
                return items, at
            letter = self._text[at]
            if letter == "]":
                return items, at + 1
            if letter == "}":
                self._mend("a bracket was closed wrongly")
                return items, at
            if letter == ",":
                at += 1
                continue
            value, at = self.value(at, depth, False)
            if isinstance(value, _Cut):
                return items, at
            items.append(value)
            at = self._skip(at)
            if at < self._end and self._text[at] not in ",}]":
                self._mend("missing commas")

    def _bare(self, at: int, in_object: bool) -> tuple[Any, int]:
        """Read an unquoted value up to a comma, bracket or line end."""
        match = _THOUSANDS.match(self._text, at) if in_object else None
        if match is None:
            match = _BARE.match(self._text, at)
        assert match is not None
        raw, end = match.group(), match.end()
        short = _BEFORE_QUOTE.match(raw)
        if short:  # a comma is missing
            raw, end = short.group(1), at + short.end(1)
        for comment in (" //", " #", " /*"):
            cut = raw.find(comment)
            if cut >= 0:
                raw, end = raw[:cut], at + cut
        word = raw.strip().rstrip(";")
        if not word:
            raise Unreadable
        if word in _CONSTANTS:
            if word not in ("true", "false", "null"):
                self._mend(f"`{word}`")
            return _CONSTANTS[word], end
        if end >= self._end:
            self._at_end(end)
            return _Cut(), end
        if not _NUMBER.fullmatch(word):
            self._mend("unquoted text" if not _LOOSE_NUMBER.fullmatch(word) else "a number that is not JSON")
        return Bare(word), end

    # ------------------------------------------------------------ strings

    def _string(self, at: int) -> tuple[str, int]:
        """Read a quoted string; `at` is its opening quote."""
        opening = self._text[at]
        close = _QUOTES[opening]
        if self._text.startswith(opening * 3, at) and opening in "\"'`":
            end = self._text.find(opening * 3, at + 3)
            if end >= 0:
                self._mend("triple quotes")
                return self._text[at + 3 : end].removeprefix("\n"), end + 3
        if opening != '"':
            self._mend("other quotes")
        closing = self._closing(at + 1, close)
        if closing is None:
            self._at_end(self._end)
            return Partial(self._decode(self._text[at + 1 :].removesuffix("\\"))), self._end
        return self._decode(self._text[at + 1 : closing]), closing + 1

    def _closing(self, at: int, close: str) -> int | None:
        """Return where the string's closing quote is: one that is followed by what may follow a value."""
        chunk = _CHUNKS[close]
        first: int | None = None
        while True:
            match = chunk.match(self._text, at)
            end = match.end() if match else at
            if end >= self._end:
                break
            if self._text[end] != close:  # a backslash at the very end
                break
            if self._plain_quotes or self._may_follow(end + 1):
                if first is not None:
                    self._mend("unescaped quotes")
                return end
            first = end if first is None else first
            at = end + 1
        if first is not None:
            self._plain_quotes = True
        return first

    def _may_follow(self, at: int) -> bool:
        """Whether what stands here may stand behind a string: then the quote before it is a closing one."""
        match = _SPACE.match(self._text, at)
        after = match.end() if match else at
        letter = self._text[after : after + 1]
        if letter in ",:}]#" or self._text[after : after + 2] in ("=>", "//", "/*"):
            return True
        if letter not in _QUOTES or at == after:
            return False
        return "\n" in self._text[at:after] or self._text[after + 1 : after + 2] not in ",:}]"

    def _decode(self, raw: str) -> str:
        if "\\" not in raw:
            return raw
        return _ESCAPE.sub(self._escape, raw)

    def _escape(self, match: re.Match[str]) -> str:
        code = match.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code in _ESCAPES:
            return _ESCAPES[code]
        self._mend("unknown escapes")
        return code if code in _QUOTES or code in _QUOTES.values() else f"\\{code}"


class _Cut:
    """A bare value that the end of the text may have cut: nobody knows what it would have been."""


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LOOSE_NUMBER = re.compile(r"[$€£+-]?[\d.,_]+(?:[eE][+-]?\d+)?%?")
