"""Where the keys of a TOML text stand: `tomllib` gives values without positions, and messages need lines.

Reads only what it needs for that, line by line, from a text that `tomllib` has accepted: headers, keys, the keys of
inline tables. Whatever it does not see is placed at the nearest table above.
"""

from __future__ import annotations

import re

from masdsl.node import NOWHERE, Span

_PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"\s*(?P<key>{_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=[ \t]*")
_HEADER = re.compile(rf"\s*\[\[?[ \t]*(?P<key>{_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*\]")
_INNER = re.compile(rf"[{{,][ \t]*(?P<key>{_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=[ \t]*")
_VALUE = re.compile(r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^#"'\n])*""")
_INNER_VALUE = re.compile(r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^#"'\n,}])*""")

_Path = tuple[str, ...]


class Places:
    """The spans of keys and of their values, by path: `("models", "mine", "url")`."""

    def __init__(self, text: str) -> None:
        self._keys: dict[_Path, Span] = {}
        self._values: dict[_Path, Span] = {}
        table: _Path = ()
        at, quotes = 0, ""
        for line in text.split("\n"):
            if not quotes:
                header = _HEADER.match(line)
                if header:
                    table = _path(header["key"])
                    for size in range(1, len(table) + 1):
                        self._keys.setdefault(table[:size], _span(at, header, "key"))
                else:
                    self._line(table, line, at)
            quotes = _open_quotes(line, quotes)
            at += len(line) + 1

    def _line(self, table: _Path, line: str, at: int) -> None:
        match = _KEY.match(line)
        if match is None:
            return
        path = self._add(table, match, _VALUE, line, at)
        if line.startswith("{", match.end()):
            for inner in _INNER.finditer(line, match.end()):
                self._add(path, inner, _INNER_VALUE, line, at)

    def _add(self, table: _Path, match: re.Match[str], value: re.Pattern[str], line: str, at: int) -> _Path:
        path = (*table, *_path(match["key"]))
        found = value.match(line, match.end())
        text = found[0].rstrip() if found else ""
        for size in range(len(table) + 1, len(path) + 1):
            self._keys.setdefault(path[:size], _span(at, match, "key"))
        start = at + match.end()
        self._values[path] = Span(start, start + len(text)) if text else self._keys[path]
        return path

    def key(self, path: _Path) -> Span:
        """Return where a key stands, or the nearest table around it."""
        while path:
            if path in self._keys:
                return self._keys[path]
            path = path[:-1]
        return NOWHERE

    def value(self, path: _Path) -> Span:
        """Return where a key's value stands, or the key."""
        return self._values.get(path) or self.key(path)


def _span(at: int, match: re.Match[str], group: str) -> Span:
    return Span(at + match.start(group), at + match.end(group))


def _path(key: str) -> _Path:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_PART, key))


def _open_quotes(line: str, quotes: str) -> str:
    """Return which three quotes are open after a line, given those open before it."""
    at = 0
    while True:
        if quotes:
            at = line.find(quotes, at)
            if at < 0:
                return quotes
            at, quotes = at + 3, ""
        opening = re.compile(r"\"\"\"|'''").search(line, at)
        if opening is None:
            return ""
        quotes, at = opening[0], opening.end()
