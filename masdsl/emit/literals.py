"""Constants of a program as Python literals: the only way in which its texts get into generated code.

Whatever the text, `ast.literal_eval(literal(text)) == text`, the result is one token and holds no character that an
editor or a terminal would not show: control characters, direction marks and lone surrogates are escaped. The quotes are
those that need fewer escapes, double ones where it makes no difference, because the formatters say so.
"""

from __future__ import annotations

import re

_CLOSING_QUOTES = re.compile(r'"{3,}|"+\Z')
LINE = 120
LONGEST_FLAT = 88
_NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(text: str, *, block: bool = False) -> str:
    """Return a Python literal for a text.

    With `block`, a text of several lines, or one that is long, is written over several: in three quotes, beginning on a
    line of its own at the left margin, long lines continued behind a backslash.
    """
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = _escaped(text).replace(quote, f"\\{quote}")
    if not block or ("\n" not in text and len(body) <= LONGEST_FLAT):
        return f"{quote}{body}{quote}"
    lines = _CLOSING_QUOTES.sub(_escape_quotes, _escaped(text, keep="\n")).split("\n")
    return '"""\\\n' + "\n".join(" \\\n".join(_wrapped(line, LINE - 2)) for line in lines) + '"""'


def docstring(text: str, indent: str) -> str:
    """Return the docstring for a text, as the formatters lay it out for code that is indented by `indent`.

    Lines are trimmed and wrapped, and runs of double quotes become single ones: what a comment says counts, not its
    layout.
    """
    lines: list[str] = []
    for line in text.strip().split("\n"):
        room = LINE - len(indent) - (0 if lines else 8)
        lines += _wrapped(_escaped(" ".join(line.split())).replace('""', "''"), room)
    first, rest = lines[0], lines[1:]
    if first.startswith('"'):
        first = f" {first}"
    if not rest:
        return f'"""{first} """' if first.endswith('"') else f'"""{first}"""'
    body = "".join(f"\n{indent}{line}" if line else "\n" for line in rest)
    return f'"""{first}{body}\n{indent}"""'


def _wrapped(line: str, room: int) -> list[str]:
    """Return a line as parts that were separated by one blank each, none longer than `room` where blanks allow it."""
    parts: list[str] = []
    while len(line) > room:
        at = line.rfind(" ", 1, room + 1)
        if at < 0:
            at = line.find(" ", 1)
        if at < 0:
            break
        parts.append(line[:at])
        line = line[at + 1 :]
    return [*parts, line]


def number(value: float) -> str:
    """Return a Python literal for a whole number, a bool or a finite float."""
    if isinstance(value, bool) or not isinstance(value, int):
        return repr(value)
    digits = str(abs(value))
    grouped = f"{abs(value):_}" if len(digits) > 4 else digits
    return f"-{grouped}" if value < 0 else grouped


def _escape_quotes(found: re.Match[str]) -> str:
    return '\\"' * len(found[0])


def _escaped(text: str, keep: str = "") -> str:
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character if character in keep or (character.isprintable() and character != "\\") else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
