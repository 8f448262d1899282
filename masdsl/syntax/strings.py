"""String literals: what their text means, and how a value is written.

A literal stands between quotes on one line, or between three quotes, where it may span lines. Escapes are the same in
both: `\\n \\t \\r \\" \\\\ \\u{HEX}`. A literal with line breaks is a block: the blanks that all its non-blank lines
share at the left are layout, and so are a first line and a last line without text. Layout is removed before escapes are
read, so an escape always stands for exactly itself.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from masdsl.reading import HIDDEN_RANGES

_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|([\s\S]))")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_WRITTEN = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_THREE = '"""'


@cache
def _special() -> re.Pattern[str]:
    """What cannot stand for itself in a literal."""
    return re.compile(f'["\\\\\t\n{HIDDEN_RANGES}]')


class BadEscape(NamedTuple):
    """An escape that means nothing: where it stands in the literal's text, and its text."""

    offset: int
    text: str


def decode(literal: str) -> tuple[str, tuple[BadEscape, ...]]:
    """Return the value of a literal (with its quotes) and its escapes that mean nothing, which stand for themselves."""
    if literal.startswith(_THREE) and len(literal) >= 6:
        body, start = literal[3:-3], 3
    else:
        body, start = literal[1:-1], 1
    if "\\" not in body:
        return (_dedent(body) if "\n" in body else body), ()
    faults = _faults(body, start)
    if "\n" in body:
        body = _dedent(body)
    return _ESCAPE.sub(_replace, body), faults


def _faults(body: str, start: int) -> tuple[BadEscape, ...]:
    return tuple(
        BadEscape(start + match.start(), match[0]) for match in _ESCAPE.finditer(body) if _meaning(match) is None
    )


def _replace(match: re.Match[str]) -> str:
    meaning = _meaning(match)
    return match[0] if meaning is None else meaning


def _meaning(match: re.Match[str]) -> str | None:
    if match[1] is None:
        return _SIMPLE.get(match[2])
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code <= 0x10FFFF else None


def _dedent(body: str) -> str:
    lines = [line if line.strip(" \t") else "" for line in body.split("\n")]
    margin: str | None = None
    for line in lines:
        if line:
            blanks = line[: len(line) - len(line.lstrip(" \t"))]
            margin = blanks if margin is None else _common(margin, blanks)
    if margin:
        lines = [line[len(margin) :] for line in lines]
    if not lines[0]:
        del lines[0]
    if lines and not lines[-1]:
        del lines[-1]
    return "\n".join(lines)


def _common(left: str, right: str) -> str:
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return left[:length]


def encode(value: str, indent: int = 0) -> str:
    """Return the canonical literal of a value.

    A value with line breaks becomes a block whose lines are indented by `indent` blanks, if a block can say it exactly;
    else all is on one line, with escapes for whatever a reader could not see.
    """
    lines = block_lines(value)
    if lines is None:
        return encode_line(value)
    margin = " " * indent
    return "\n".join([_THREE, *(margin + line if line else "" for line in lines), margin + _THREE])


def encode_line(value: str) -> str:
    """Return the canonical literal of a value on one line."""
    return f'"{_special().sub(_write, value)}"'


def block_lines(value: str) -> tuple[str, ...] | None:
    """Return a value's lines as a block's text, not indented; None if it has one line or no block says it exactly."""
    if "\n" not in value:
        return None
    lines = tuple(_block_line(line) for line in value.split("\n"))
    return lines if decode("\n".join([_THREE, *lines, _THREE])) == (value, ()) else None


def _block_line(line: str) -> str:
    text = _special().sub(_write_in_block, line).replace(_THREE, '""\\"')
    # A blank at the end of a line is invisible, and editors remove it.
    return text[:-1] + "\\u{20}" if text.endswith(" ") else text


def _write(match: re.Match[str]) -> str:
    return _WRITTEN.get(match[0]) or f"\\u{{{ord(match[0]):x}}}"


def _write_in_block(match: re.Match[str]) -> str:
    return '"' if match[0] == '"' else _write(match)
