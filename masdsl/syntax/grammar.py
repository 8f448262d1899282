"""The grammar's tables, loaded from a file where one fits, and what follows from them: keywords and reserved words.

A table file holds one `marshal` record for each start symbol behind a checksum. It counts only if it was made from
exactly this grammar text by this version of the format and of Python, and if nobody else can write it; anything else is
ignored and built afresh. Places, in this order: beside the grammar (a wheel may ship it), then the user's cache
directory.
"""

from __future__ import annotations

import marshal
import os
import re
import sys
from binascii import crc32
from functools import cache
from typing import Any, Final, NamedTuple

from masdsl import resources
from masdsl.syntax.tables import STARTS, Lexicon, Tables

FORMAT: Final = 2
_GRAMMAR: Final = ("grammar", "mas.lark")
_SHIPPED: Final = ("grammar", "mas.tables")
_MAGIC: Final = b"masdsl tables\n"


class Language(NamedTuple):
    """All that a parse from one start symbol needs."""

    tables: Tables
    lexicon: Lexicon
    token: re.Pattern[str]
    word: re.Pattern[str]
    soft: frozenset[str]
    """Kinds of the keywords that may be names."""


@cache
def load(start: str) -> Language:
    """Return the tables of a start symbol: `program`, `binding`, `patch` or `chunk`.

    Reads the cache; builds all four (about a second) and tries to write the cache if there is none that fits.
    """
    tables, lexicon = _stored(start) or _build(start)
    soft = frozenset(kind for word, kind in lexicon.keywords.items() if word not in lexicon.reserved)
    return Language(tables, lexicon, re.compile(lexicon.pattern), re.compile(lexicon.word_pattern), soft)


def keywords() -> frozenset[str]:
    """All words that the grammar spells out, in whatever place."""
    return frozenset(load("program").lexicon.keywords)


def reserved_words() -> frozenset[str]:
    """The keywords that can never be a name, for somewhere either could stand. The others, such as `max`, can."""
    return frozenset(load("program").lexicon.reserved)


def grammar_text() -> str:
    """The text of `grammar/mas.lark`."""
    return resources.read_text(*_GRAMMAR)


def _identity(text: str) -> bytes:
    """What a table file must have been made from, byte for byte."""
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{FORMAT} {sys.implementation.name} {python} {marshal.version}\n{text}".encode()


def cache_file() -> str | None:
    """Where the tables of this grammar are kept, or None without a cache directory."""
    directory = resources.cache_directory()
    return os.path.join(directory, f"tables-{crc32(_identity(grammar_text())):08x}.bin") if directory else None


def _stored(start: str) -> tuple[Tables, Lexicon] | None:
    identity = _identity(grammar_text())
    try:
        shipped: str | None = resources.find(*_SHIPPED)
    except FileNotFoundError:
        shipped = None
    for path, is_shipped in ((shipped, True), (cache_file(), False)):
        if path:
            found = _read(path, identity, start, shipped=is_shipped)
            if found:
                return found
    return None


def _read(path: str, identity: bytes, start: str, *, shipped: bool) -> tuple[Tables, Lexicon] | None:
    body = resources.read_sealed(path, _MAGIC, shipped=shipped)
    if body is None:
        return None
    try:
        made_from, lexicon, parts = marshal.loads(body)
        if made_from != identity:
            return None
        return Tables(*marshal.loads(parts[start])), Lexicon(*lexicon)
    except (ValueError, TypeError, KeyError, EOFError, IndexError):
        return None


def _build(start: str) -> tuple[Tables, Lexicon]:
    from masdsl.syntax.tables import compile_start, extract, lexicon

    text = grammar_text()
    parsers = {name: compile_start(text, name) for name in STARTS}
    tables = {name: extract(parser, name) for name, parser in parsers.items()}
    words = lexicon(parsers.values(), tables.values())
    path = cache_file()
    if path:
        write_tables(path, tables, words)
    return tables[start], words


def write_tables(path: str, tables: dict[str, Tables], words: Lexicon) -> bool:
    """Write a table file; say whether that worked."""
    parts: dict[str, Any] = {name: marshal.dumps(tuple(table)) for name, table in tables.items()}
    return resources.write_sealed(path, _MAGIC, marshal.dumps((_identity(grammar_text()), tuple(words), parts)))
