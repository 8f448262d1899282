"""The text of an HTML page: what a person would read, one paragraph a line."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

MOST_LINKS: Final = 1_000
_SILENT: Final = frozenset(
    ("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "select", "textarea", "button")
)
"""Elements of which nothing is read."""
_INLINE: Final = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark output q s samp small span
    strike strong sub sup time tt u var wbr""".split()  # noqa: SIM905
)
"""Elements that do not end a line; all others do."""
_BLANKS = re.compile(r"[ \t\r\n\f\v\u00a0]+")


class Page(NamedTuple):
    """What a page says: its title, its text, and the addresses that it links to, in order, each once."""

    title: str
    text: str
    links: tuple[str, ...]


def page_text(html: str, address: str = "") -> Page:
    """Return what a page says; `address` is its own, for links that are relative to it. Never fails."""
    reader = _Reader(address)
    reader.feed(html)
    reader.close()
    return Page(" ".join("".join(reader.title).split()), reader.text(), tuple(reader.links))


class _Reader(HTMLParser):
    """Collects lines; what it cannot make sense of is text."""

    def __init__(self, address: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.links: dict[str, None] = {}
        self._address = address
        self._lines: list[str] = []
        self._line: list[str] = []
        self._silent: list[str] = []
        self._in_title = False
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        if tag in _SILENT:
            self._silent.append(tag)
        if self._silent:
            return
        if tag == "title":
            self._in_title = True
        elif tag == "a":
            self._link(dict(attrs).get("href"))
        elif tag == "pre":
            self._preformatted += 1
        if tag in ("td", "th"):
            self._line.append(" \t ")
        elif tag not in _INLINE:
            self._end_line()
        if tag == "li":
            self._line.append("- ")

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self._silent:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
            return
        if tag == "title":
            self._in_title = False
        elif tag == "pre" and self._preformatted:
            self._preformatted -= 1
            self._end_line(as_it_stands=True)
        if tag not in _INLINE and tag not in ("td", "th"):
            self._end_line()

    def handle_data(self, data: str) -> None:
        """Take text."""
        if self._silent:
            return
        if self._in_title:
            self.title.append(data)
        elif self._preformatted:
            *lines, last = data.split("\n")
            for line in lines:
                self._line.append(line)
                self._end_line(as_it_stands=True)
            self._line.append(last)
        else:
            self._line.append(_BLANKS.sub(" ", data))

    def text(self) -> str:
        """Return the lines read so far."""
        self._end_line()
        return "\n".join(self._lines)

    def _end_line(self, *, as_it_stands: bool = False) -> None:
        line = "".join(self._line)
        self._line.clear()
        line = line.rstrip() if as_it_stands else _BLANKS.sub(" ", line).strip()
        if line and line != "-":
            self._lines.append(line)

    def _link(self, target: str | None) -> None:
        if not target or len(self.links) >= MOST_LINKS:
            return
        try:
            address = urljoin(self._address, target.strip())
            parts = urlsplit(address)
        except ValueError:
            return
        if parts.scheme in ("http", "https"):
            self.links.setdefault(parts._replace(fragment="").geturl())
