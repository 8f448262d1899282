"""The names in prompts: what an editor needs to know of a template, whether or not Jinja2 could read it.

Whether a prompt is right is the checker's business (`masdsl.check.prompts`). Here a template is split into its words by
their looks alone, so that one that is being written has names too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from masdsl.check.prompts import field_type
from masdsl.check.relations import required
from masdsl.types import Bool, Int, List, Record, Type

MARK, KEYWORD, NAME, FIELD, FILTER = "mark", "keyword", "name", "field", "filter"
STRING, NUMBER, OPERATOR, COMMENT = "string", "number", "operator", "comment"
KEYWORDS: Final = frozenset(
    ("if", "elif", "else", "endif", "for", "endfor", "in", "is", "not", "and", "or", "none", "true", "false")
)
LOOP: Final = Record(
    "loop", "", (("index", Int()), ("index0", Int()), ("length", Int()), ("first", Bool()), ("last", Bool()))
)
"""What `loop` is inside `{% for %}`."""
_TAG: Final = re.compile(r"\{#.*?(?:#\}|\Z)|\{[{%][-+]?", re.DOTALL)
_WORD: Final = re.compile(
    r"(?P<close>[-+]?[%}]\})|(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<operator>[=!<>]=|[^\s\w])|(?P<blank>\s+)",
    re.DOTALL,
)


class Word(NamedTuple):
    """A word of a template: where it stands in it, and what it is."""

    kind: str
    start: int
    end: int
    text: str


class Meaning(NamedTuple):
    """What a name of a template means.

    A parameter (`item` is None and `owner` too), the variable of a loop that is named at `item`, or a field of `owner`.
    `type` is None where it is not known.
    """

    word: Word
    item: int | None
    owner: Record | None
    type: Type | None


def words(text: str) -> Iterator[Word]:
    """Yield the words of all insertions and tags of a template; a mark that is not closed reaches to the end."""
    at = 0
    while (tag := _TAG.search(text, at)) is not None:
        if tag[0].startswith("{#"):
            yield Word(COMMENT, tag.start(), tag.end(), tag[0])
            at = tag.end()
            continue
        yield Word(MARK, tag.start(), tag.end(), tag[0])
        at = tag.end()
        before = ""
        while (found := _WORD.match(text, at)) is not None:
            at = found.end()
            group = found.lastgroup
            if group == "blank":
                continue
            if group == "name":
                kind = FIELD if before == "." else FILTER if before == "|" else NAME
                if kind == NAME and found[0] in KEYWORDS:
                    kind = KEYWORD
            else:
                kind = MARK if group == "close" else str(group)
            yield Word(kind, found.start(), found.end(), found[0])
            before = found[0]
            if group == "close":
                break
        else:
            if at < len(text) and _WORD.match(text, at) is None:  # a quote that is not closed
                at += 1


def meanings(text: str, params: Mapping[str, Type | None]) -> Iterator[Meaning]:
    """Yield what the names of a template mean; names that mean nothing are left out.

    The variable of a loop comes twice where it is named: without its type, and with it once the tag is closed.
    """
    walk = _Walk(params)
    for word in words(text):
        yield from walk.word(word)


def visible(text: str, offset: int, params: Mapping[str, Type | None]) -> dict[str, Type | None]:
    """Return the names that can be used at an offset of a template, with their types."""
    walk = _Walk(params)
    for word in words(text):
        if word.end > offset:
            break
        for _ in walk.word(word):
            pass
    names = dict(params) | {name: kind for name, _, kind in walk.loops}
    return names | {"loop": LOOP} if walk.loops else names


def type_before(text: str, offset: int, params: Mapping[str, Type | None]) -> Type | None:
    """Return the type of the value whose field is being named at an offset, behind a dot."""
    walk = _Walk(params)
    for word in words(text):
        if word.start >= offset:
            break
        for _ in walk.word(word):
            pass
    return walk.current


class _Walk:
    """Goes through the words of a template; `loops` are those that are open: name, place and type of the item."""

    def __init__(self, params: Mapping[str, Type | None]) -> None:
        self._params = params
        self._head: list[str] = []
        self._item: Word | None = None
        self.current: Type | None = None
        self.loops: list[tuple[str, int, Type | None]] = []

    def word(self, word: Word) -> Iterator[Meaning]:
        if word.kind == MARK:
            if word.text.endswith("}"):
                yield from self._close()
            self._head, self._item, self.current = [], None, None
            return
        if word.kind == KEYWORD:
            if not self._head and word.text == "endfor" and self.loops:
                self.loops.pop()
        elif word.kind == NAME:
            if self._head == ["for"]:
                self._item = word
                yield Meaning(word, word.start, None, None)
            else:
                yield from self._name(word)
        elif word.kind == FIELD:
            owner = required(self.current) if self.current is not None else None
            self.current = field_type(owner, word.text) if owner is not None else None
            if isinstance(owner, Record) and self.current is not None:
                yield Meaning(word, None, owner, self.current)
        elif word.text != ".":
            self.current = None
        self._head.append(word.text)

    def _name(self, word: Word) -> Iterator[Meaning]:
        for name, at, kind in reversed(self.loops):
            if name == word.text:
                self.current = kind
                yield Meaning(word, at, None, kind)
                return
        self.current = self._params.get(word.text)
        if word.text == "loop" and self.loops:
            self.current = LOOP
        elif word.text in self._params:
            yield Meaning(word, None, None, self.current)

    def _close(self) -> Iterator[Meaning]:
        if self._item is not None:
            items = required(self.current) if self.current is not None else None
            kind = items.element if isinstance(items, List) else None
            self.loops.append((self._item.text, self._item.start, kind))
            yield Meaning(self._item, self._item.start, None, kind)  # again: its type is known only now
