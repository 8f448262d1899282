"""Full-text search over a corpus, and reading its documents.

Documents are cut into passages, which an FTS5 table of SQLite indexes by stems of words; passages rank by BM25, with
the title counting more, and of each document the best one is a hit. The index is kept in the user's cache under the
digest of the corpus, so it is made once for each content.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import lru_cache
from typing import Any, Final

from masdsl import sizes
from masdsl.resources import cache_directory
from masdsl.tools.base import Declared, ToolFault, ToolUnusable, required_type
from masdsl.tools.builtin import BuiltIn, page_of, shaped, shaped_list, text_size
from masdsl.tools.corpus import Document, digest, documents
from masdsl.types import List, Optional

PASSAGE_WORDS: Final = 120
"""About so many words are a passage: BM25 over whole books finds books, not places."""
MOST_TERMS: Final = 64
MOST_HITS: Final = 100
DEFAULT_PAGE: Final = 800
"""Size of a page where the declaration gives no size of its own."""
FORMAT: Final = 3
"""Part of the index's name: raise it when what is written changes."""
_STOP_WORDS: Final = frozenset(
    """a an and are as at be by do does did for from had has have how i if in is it its me my of on or our so that the
    their them there these they this to was we were what when where which who whom whose why will with you your
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_making = threading.Lock()


def searcher(path: str) -> BuiltIn:
    """Return the tool that searches a folder or a `.jsonl` file. Nothing is read yet."""

    def make(declared: Declared) -> Callable[..., Any]:
        inner = required_type(declared.returns)
        most = min(inner.high if isinstance(inner, List) else 1, MOST_HITS)
        room = text_size(declared.returns, "snippet")

        def search(query: str | None, limit: int | None = None) -> object:
            count = most if limit is None else max(0, min(limit, most))
            return shaped_list("search", declared, index_of(path).search(query or "", count, room))

        return search

    return BuiltIn("search", make, lambda: index_of(path))


def reader(path: str) -> BuiltIn:
    """Return the tool that reads a document of a folder or a `.jsonl` file, page by page. Nothing is read yet."""

    def make(declared: Declared) -> Callable[..., Any]:
        size = text_size(declared.returns, "text") or DEFAULT_PAGE

        def read(id: str | None, page: int | None = None) -> object:
            document = index_of(path).document(id or "")
            if document is None:
                if isinstance(declared.returns, Optional):
                    return None
                raise ToolFault(f"there is no document `{(id or '')[:80]}`: ids are those that a search gives")
            parts = pages(document.text, size)
            number = page_of(page, len(parts))
            fields = {"text": parts[number - 1], "title": document.title, "page": number, "pages": len(parts)}
            return shaped("read", declared, fields)

        return read

    return BuiltIn("read", make, lambda: index_of(path))


def pages(text: str, size: int) -> list[str]:
    """Return a text cut into pages of at most a size, between lines or words where that is possible."""
    parts: list[str] = []
    while True:
        part = sizes.clip_text(text, size)
        if len(part) == len(text) or not part:
            return [*parts, part]
        cut = max(part.rfind("\n"), part.rfind(" ") if "\n" not in part[len(part) // 2 :] else -1)
        part = part[: cut + 1] if cut > len(part) // 2 else part
        parts.append(part.rstrip())
        text = text[len(part) :].lstrip()


# ---------------------------------------------------------------- the index


class Index:
    """The index of one content of a corpus. Each question opens the file anew, so any thread may ask."""

    def __init__(self, open_database: Callable[[], sqlite3.Connection], kept: sqlite3.Connection | None = None) -> None:
        self._open = open_database
        self._kept = kept  # a database in memory is gone with its last connection

    def search(self, query: str, count: int, room: int | None = None) -> Iterator[dict[str, object]]:
        """Yield the best passage of each of the best documents; `room` is the size that a snippet may have."""
        terms = _terms(query)
        if not terms or count <= 0:
            return
        words = max(1, min(64, (room or DEFAULT_PAGE) // 2))
        question = (
            "SELECT documents.id, documents.title, passages.body, snippet(passages, 1, '', '', '...', ?),"
            " bm25(passages, 3.0, 1.0) AS rank FROM passages JOIN places ON places.passage = passages.rowid"
            " JOIN documents ON documents.number = places.document WHERE passages MATCH ?"
            " ORDER BY rank, documents.number, passages.rowid LIMIT ?"
        )
        seen: set[str] = set()
        with closing(self._open()) as database:
            for id, title, body, short, rank in database.execute(question, (words, terms, 20 * count + 100)):
                if id in seen:
                    continue
                seen.add(id)
                fits = room is None or sizes.text_tokens(body) <= room
                snippet = body if fits else short.replace("\n", " ")
                yield {"id": id, "title": title, "snippet": snippet, "score": round(-rank, 6)}
                if len(seen) == count:
                    return

    def document(self, id: str) -> Document | None:
        """Return a document by its id, or by the beginning of one id alone (ids may be cut to a declared size)."""
        id = id.strip()
        with closing(self._open()) as database:
            found = database.execute("SELECT id, title, body FROM documents WHERE id = ?", (id,)).fetchone()
            if found is None and id:
                by_start = "SELECT id, title, body FROM documents WHERE substr(id, 1, ?) = ? LIMIT 2"
                several = database.execute(by_start, (len(id), id)).fetchall()
                found = several[0] if len(several) == 1 else None
        return None if found is None else Document(*found)


@lru_cache(maxsize=16)
def index_of(path: str) -> Index:
    """Return the index of a corpus; it is made where there is none of its content yet. Raises ToolUnusable.

    A process reads a corpus once: what changes afterwards counts for the next one.
    """
    with _making:
        name = f"{digest(path)}-{FORMAT}.sqlite"
        folder = cache_directory()
        if folder is not None:
            file = os.path.join(folder, "search", name)
            if _is_whole(file) or _write(path, file):
                return Index(lambda: _read_only(file))
        address = f"file:{name}-{os.getpid()}?mode=memory&cache=shared"
        database = sqlite3.connect(address, uri=True, check_same_thread=False)
        _fill(database, path)
        return Index(lambda: sqlite3.connect(address, uri=True), database)


def _read_only(file: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"file:{_quoted(file)}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error as error:
        raise ToolFault(f"the index of the corpus cannot be opened: {error}") from None


def _quoted(file: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(file))


def _is_whole(file: str) -> bool:
    """Whether a file is an index that was written to its end."""
    if not os.path.isfile(file):
        return False
    try:
        with closing(_read_only(file)) as database:
            return bool(database.execute("SELECT value FROM meta WHERE name = 'whole'").fetchone())
    except (sqlite3.Error, ToolFault):
        return False


def _write(path: str, file: str) -> bool:
    """Make an index beside its place and put it there in one step; say whether the cache could be written."""
    passing = f"{file}.{os.getpid()}.{threading.get_ident()}"
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(passing)) as database:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            _fill(database, path)
        os.replace(passing, file)
        return True
    except (OSError, sqlite3.Error):
        return False
    finally:
        try:
            os.unlink(passing)
        except OSError:
            pass


def _fill(database: sqlite3.Connection, path: str) -> None:
    """Write all documents and their passages. Raises ToolUnusable, also for a SQLite without full-text search."""
    try:
        database.executescript(
            "CREATE TABLE documents (number INTEGER PRIMARY KEY, id TEXT UNIQUE, title TEXT, body TEXT);"
            "CREATE TABLE places (passage INTEGER PRIMARY KEY, document INTEGER NOT NULL);"
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);"
            "CREATE VIRTUAL TABLE passages USING fts5(title, body, tokenize = 'porter unicode61 remove_diacritics 2');"
        )
    except sqlite3.OperationalError as error:
        if "fts5" in str(error):
            raise ToolUnusable("the SQLite of this Python has no full-text search (FTS5)") from None
        raise
    passage = 0
    for number, document in enumerate(documents(path), 1):
        row = tuple(part.replace("\0", " ").encode("utf-8", "replace").decode() for part in document[:3])
        if database.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?)", (number, *row)).rowcount == 0:
            raise ToolUnusable(f"two documents have the id `{document.id[:80]}`")
        for body in passages(row[2][document.body :]):
            passage += 1
            database.execute("INSERT INTO passages (rowid, title, body) VALUES (?, ?, ?)", (passage, row[1], body))
            database.execute("INSERT INTO places VALUES (?, ?)", (passage, number))
    database.execute("INSERT INTO meta VALUES ('whole', '1')")
    database.commit()


def passages(text: str) -> Iterator[str]:
    """Yield a text in passages of about `PASSAGE_WORDS` words, cut between sentences or lines where these are short."""
    words: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        more = sentence.split()
        if words and len(words) + len(more) > PASSAGE_WORDS:
            yield " ".join(words)
            words = []
        while len(more) > PASSAGE_WORDS:
            yield " ".join(more[:PASSAGE_WORDS])
            more = more[PASSAGE_WORDS:]
        words += more
    yield " ".join(words)


def _terms(query: str) -> str:
    """Return a question as FTS5 wants it: any of its words, those that say nothing left out; "" for none."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(query)))
    telling = [word for word in words if word not in _STOP_WORDS] or words
    return " OR ".join(f'"{word}"' for word in telling[:MOST_TERMS])
