"""The one function through which foreign text reaches a terminal, and how wide text stands there.

Source text, replies of models and names of files may hold escape sequences, bidirectional controls and other characters
that change what a reader sees. Everything that masdsl prints goes through `escape`.
"""

from __future__ import annotations

TAB_STOP = 4


def escape(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every character that does not show itself written as `\u{HEX}`.

    That is: controls (C0, C1, DEL), bidirectional and other format characters, line and paragraph separators, lone
    surrogates and private-use characters. Characters in `keep` (such as a line feed) stay.
    """
    if text.isascii():
        if text.isprintable():
            return text
        return "".join(_escape_ascii(letter, keep) for letter in text)
    from unicodedata import category

    return "".join(_spell(letter) if category(letter) in _HIDDEN and letter not in keep else letter for letter in text)


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def _escape_ascii(letter: str, keep: str) -> str:
    return letter if letter.isprintable() or letter in keep else _spell(letter)


def _spell(letter: str) -> str:
    return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}.get(letter) or f"\\u{{{ord(letter):x}}}"


def width(text: str) -> int:
    """Return how many terminal columns escaped text takes.

    Wide East Asian characters take two, combining ones none.
    """
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(letter) in ("Mn", "Me") else 2 if east_asian_width(letter) in ("W", "F") else 1 for letter in text
    )


def expand_line(line: str) -> tuple[str, list[int]]:
    """Return a source line as it is shown, and the column (from 0) at which each of its characters starts.

    Tabs become blanks up to the next multiple of `TAB_STOP`, hidden characters are spelled out. The list has one more
    entry: where the line ends.
    """
    if line.isascii() and line.isprintable():
        return line, list(range(len(line) + 1))
    shown: list[str] = []
    columns: list[int] = []
    at = 0
    for letter in line:
        columns.append(at)
        piece = " " * (TAB_STOP - at % TAB_STOP) if letter == "\t" else escape(letter)
        shown.append(piece)
        at += width(piece)
    columns.append(at)
    return "".join(shown), columns
