"""Regular expressions of terminals, from Python's dialect into that of a target.

Only what a decoder's lexer can follow byte by byte is translated: literals, classes, repetition, alternatives. Anything
else (look-around, lazy repetition, back references, anchors) is refused.
"""

from __future__ import annotations

import re
from re import _constants as op  # Python's own parser of patterns has no public name
from re import _parser as sre
from typing import Any, Final


class NotTranslatable(ValueError):
    """A pattern that a decoder's lexer cannot follow."""


_CLASSES: Final = {op.CATEGORY_DIGIT: "0-9", op.CATEGORY_WORD: "A-Za-z0-9_", op.CATEGORY_SPACE: " \\t\\n\\r"}
_ANYTHING: Final = ({op.CATEGORY_SPACE, op.CATEGORY_NOT_SPACE}, {op.CATEGORY_DIGIT, op.CATEGORY_NOT_DIGIT})


def to_rust(pattern: str) -> str:
    """Return a pattern in the dialect of Rust's `regex`, as llguidance reads it between slashes."""
    return _Rust().text(sre.parse(pattern))


def to_gbnf(pattern: str) -> str:
    """Return a pattern as an expression of llama.cpp's GBNF."""
    return _Gbnf().text(sre.parse(pattern))


class _Target:
    """The walk over a parsed pattern; subclasses spell literals and groups."""

    separator = ""

    def text(self, parsed: Any) -> str:
        return self.separator.join(self._piece(kind, value) for kind, value in parsed)

    def literal(self, code: int) -> str:
        raise NotImplementedError

    def group(self, inner: str) -> str:
        raise NotImplementedError

    def escaped(self, code: int) -> str:
        """Return a character as it stands in a class."""
        raise NotImplementedError

    def anything(self) -> str:
        raise NotImplementedError

    def _piece(self, kind: Any, value: Any) -> str:
        if kind is op.LITERAL:
            return self.literal(value)
        if kind is op.NOT_LITERAL:
            return f"[^{self.escaped(value)}]"
        if kind is op.ANY:
            return "[^\\n]"
        if kind is op.IN:
            return self._class(value)
        if kind is op.BRANCH:
            return self.group("|".join(self.text(branch) for branch in value[1]))
        if kind is op.SUBPATTERN and not value[1] and not value[2]:
            return self.group(self.text(value[3]))
        if kind is op.MAX_REPEAT:
            low, high, inner = value
            marks = {(0, op.MAXREPEAT): "*", (1, op.MAXREPEAT): "+", (0, 1): "?"}
            most = "" if high is op.MAXREPEAT else str(high)
            times = f"{{{low}}}" if low == high else f"{{{low},{most}}}"
            return self.group(self.text(inner)) + marks.get((low, high), times)
        raise NotTranslatable(f"a terminal uses {kind}, which a decoder cannot follow byte by byte")

    def _class(self, items: Any) -> str:
        categories = {value for kind, value in items if kind is op.CATEGORY}
        if any(pair <= categories for pair in _ANYTHING):
            return self.anything()
        found = []
        for kind, value in items:
            if kind is op.NEGATE:
                found.append("^")
            elif kind is op.LITERAL:
                found.append(self.escaped(value))
            elif kind is op.RANGE:
                found.append(f"{self.escaped(value[0])}-{self.escaped(value[1])}")
            elif kind is op.CATEGORY and value in _CLASSES:
                found.append(_CLASSES[value])
            else:
                raise NotTranslatable(f"a class of a terminal uses {kind} {value}")
        return f"[{''.join(found)}]"


_NAMED: Final = {9: "\\t", 10: "\\n", 13: "\\r"}


class _Rust(_Target):
    def literal(self, code: int) -> str:
        return self.escaped(code)

    def escaped(self, code: int) -> str:
        if code in _NAMED:
            return _NAMED[code]
        if not 32 <= code < 127:
            return f"\\u{{{code:x}}}"
        character = chr(code)
        return f"\\{character}" if character in "/\\.^$*+?{}[]|()-&~#" else character

    def group(self, inner: str) -> str:
        return f"(?:{inner})"

    def anything(self) -> str:
        return "(?s:.)"


class _Gbnf(_Target):
    separator = " "

    def literal(self, code: int) -> str:
        return quoted(chr(code))

    def escaped(self, code: int) -> str:
        if code in _NAMED:
            return _NAMED[code]
        if 32 <= code < 127 and chr(code) not in "\\]^-[":
            return chr(code)
        return f"\\x{code:02X}" if code < 256 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"

    def group(self, inner: str) -> str:
        return f"({inner})"

    def anything(self) -> str:
        return "[^\\x00]"


def quoted(text: str) -> str:
    """Return a literal as GBNF, EBNF and llguidance's Lark write it."""
    named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(named.get(one, one) for one in text) + '"'


def word_pattern(words: frozenset[str]) -> str:
    """Return a pattern for exactly these words."""
    return "|".join(re.escape(word) for word in sorted(words))
