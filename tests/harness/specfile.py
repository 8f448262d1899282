"""`grammar/spec.md` as tests: what its blocks promise, compared with what the compiler says.

The reader's guide at the top of that page says which comments mean what. A block without `mas 1` gets that line in
front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.harness.markdown import Block, blocks

_PROMISE = re.compile(r"# (error|warning|type|bound): (.+?)\s*$")
_FIRST_LINE = "mas 1\n\n"


class Promise(NamedTuple):
    """What a comment says about its line (from 1, in the program's text): kind is error, warning, type or bound."""

    line: int
    kind: str
    what: str


class Example(NamedTuple):
    """A program, binding or patch of the page, with the files and the configuration that stand before it in its
    section.

    `language` is mas, bind, patch, or part for a program of which the page shows only some lines.
    """

    name: str
    language: str
    text: str
    files: dict[str, str]
    config: str | None
    promises: tuple[Promise, ...]
    line: int


def examples(page: Path) -> list[Example]:
    """Return all examples of a page. A file is an example as well as something that later ones may import."""
    found: list[Example] = []
    section: tuple[str, ...] = ()
    files: dict[str, str] = {}
    homes: dict[str, tuple[str, ...]] = {}  # the section that a file stands in: it counts there and in those below it
    config: str | None = None
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.headings != section:
            section, config = block.headings, None
            files = {name: text for name, text in files.items() if section[: len(homes[name])] == homes[name]}
        if block.language == "toml":
            config = block.text
        elif block.language in ("mas", "bind", "patch"):
            found.append(_example(block, dict(files), config, sum(e.name.startswith(_title(block)) for e in found)))
            if block.label:
                files[block.label] = found[-1].text
                homes[block.label] = section
    return found


def _title(block: Block) -> str:
    return " / ".join(block.headings[1:])


def _example(block: Block, files: dict[str, str], config: str | None, number: int) -> Example:
    whole = block.language != "mas" or re.search(r"^mas \d", block.text, re.MULTILINE) is not None
    text = block.text if whole else _FIRST_LINE + block.text
    name = f"{_title(block)}, {block.label or number + 1}"
    promises = tuple(_promises(text))
    return Example(name, block.language if whole else "part", text, files, config, promises, block.line)


def _promises(text: str) -> Iterator[Promise]:
    for number, line in enumerate(text.split("\n"), 1):
        if found := _PROMISE.search(line):
            for what in found[2].strip("[]").split(", ") if found[1] in ("error", "warning") else [found[2]]:
                yield Promise(number, found[1], what)
