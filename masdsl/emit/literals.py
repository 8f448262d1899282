"""Constants of a program as Python literals: the only way in which its texts get into generated code.

Whatever the text, `ast.literal_eval(literal(text)) == text`, the result is one token and holds no character that an
editor or a terminal would not show: control characters, direction marks and lone surrogates are escaped. The quotes are
those that need fewer escapes, double ones where it makes no difference, because the formatters say so.
"""

from __future__ import annotations

import re

_CLOSING_QUOTES = re.compile(r'"{3,}|"+\Z')
_NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(text: str, *, block: bool = False) -> str:
    """Return a Python literal for a text.

    With `block`, a text of several lines is written as such, in three quotes and starting on a line of its own: easier
    to read where it may stand at the left margin, such as a prompt.
    """
    if block and "\n" in text:
        body = _CLOSING_QUOTES.sub(_escape_quotes, _escaped(text, keep="\n"))
        return f'"""\\\n{body}"""'
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = _escaped(text).replace(quote, f"\\{quote}")
    return f"{quote}{body}{quote}"


def docstring(text: str, indent: str) -> str:
    """Return the docstring for a text, as the formatters lay it out for code that is indented by `indent`.

    Lines are trimmed, and runs of double quotes become single ones: what a comment says counts, not its layout.
    """
    lines = [_escaped(" ".join(line.split())).replace('""', "''") for line in text.strip().split("\n")]
    first, rest = lines[0], lines[1:]
    if first.startswith('"'):
        first = f" {first}"
    if not rest:
        return f'"""{first} """' if first.endswith('"') else f'"""{first}"""'
    body = "".join(f"\n{indent}{line}" if line else "\n" for line in rest)
    return f'"""{first}{body}\n{indent}"""'


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
