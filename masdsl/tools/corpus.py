"""A corpus: the documents of a folder, or of a file of JSON lines.

Of a folder, files with the endings of text count, by their paths below it; hidden ones and links that lead elsewhere do
not. Each line of a `.jsonl` file is an object with `text` (or `contents`), and perhaps `id` (else the number of the
line) and `title`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from masdsl.tools.base import ToolUnusable
from masdsl.tools.page_text import page_text

ENDINGS: Final = (".txt", ".md", ".markdown", ".rst", ".html", ".htm", ".text")
LARGEST_FILE: Final = 256 * 1024 * 1024
MOST_BYTES: Final = 1024 * 1024 * 1024
MOST_DOCUMENTS: Final = 1_000_000
_HEADING = re.compile(r"\A\s*(?:#+\s*(\S.*?)\s*#*|(\S.*?)\s*\n\s*[=~-]{3,})\s*(?:\n|\Z)")


class Document(NamedTuple):
    """A text with the name by which it is read, and where in it the text begins behind a heading that is its title."""

    id: str
    title: str
    text: str
    body: int = 0


def digest(path: str) -> str:
    """Return what tells one content of a corpus from another. Raises ToolUnusable."""
    state = blake2b(digest_size=16)
    for name, data in _files(path):
        for part in (name.encode("utf-8", "surrogatepass"), data):
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
    return state.hexdigest()


def documents(path: str) -> Iterator[Document]:
    """Yield the documents of a corpus, in order of their names. Raises ToolUnusable."""
    count = 0
    for name, data in _files(path):
        found = _lines(name, data) if name.endswith(".jsonl") else (_of_file(name, data),)
        for document in found:
            count += 1
            if count > MOST_DOCUMENTS:
                raise ToolUnusable(f"{path} has more than {MOST_DOCUMENTS} documents")
            yield document


def _files(path: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files of a corpus, in order."""
    if os.path.isdir(path):
        names = sorted(_names(path))
        if not names:
            raise ToolUnusable(f"{path} has no documents: files that end with {', '.join(ENDINGS)} or .jsonl")
    elif os.path.isfile(path):
        path, name = os.path.split(path)
        names = [name]
    else:
        raise ToolUnusable(f"there is no folder or file {path}")
    total = 0
    for name in names:
        full = os.path.join(path, name)
        try:
            with open(full, "rb") as file:
                data = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise ToolUnusable(f"{full} cannot be read: {(error.strerror or str(error)).lower()}") from None
        total += len(data)
        if len(data) > LARGEST_FILE or total > MOST_BYTES:
            raise ToolUnusable(f"{path} is too large: a file may have {LARGEST_FILE} bytes, all of them {MOST_BYTES}")
        yield name.replace(os.sep, "/"), data


def _names(folder: str) -> Iterator[str]:
    """Yield the paths below a folder of the files that are documents; what cannot be listed is left out."""
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            full = os.path.join(above, name)
            is_text = name.lower().endswith((*ENDINGS, ".jsonl"))
            if is_text and not name.startswith(".") and os.path.isfile(full) and not os.path.islink(full):
                yield os.path.relpath(full, folder)


def _of_file(name: str, data: bytes) -> Document:
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    if name.lower().endswith((".html", ".htm")):
        page = page_text(text)
        return Document(name, page.title or name, page.text)
    text = text.strip()
    heading = _HEADING.match(text)
    if heading is None:
        return Document(name, name, text)
    return Document(name, (heading[1] or heading[2])[:200], text, heading.end())


def _lines(name: str, data: bytes) -> Iterator[Document]:
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise ToolUnusable(f"{name}, line {number}, is not JSON") from None
        text = entry.get("text", entry.get("contents")) if isinstance(entry, dict) else None
        if not isinstance(text, str):
            raise ToolUnusable(f"{name}, line {number}, is no object with a text `text`")
        own = entry.get("id", number)
        title = entry.get("title")
        yield Document(str(own), title if isinstance(title, str) else "", text.strip())
