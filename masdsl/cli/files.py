"""Which programs a command is about: files as named, and the `.mas` files below folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from masdsl.cli.boundary import UsageError
from masdsl.diagnostics.base import Findings
from masdsl.source import Source

SUFFIX = ".mas"
STDIN = "-"


def find_programs(paths: Sequence[str]) -> list[str]:
    """Return the programs at `paths` (by default the working folder), each once, those below a folder in sorted order.

    Hidden files and folders are skipped below a folder, and links to folders are not followed. Raises UsageError for a
    path that does not exist.
    """
    found: dict[str, None] = {}
    for path in paths or (os.curdir,):
        if not os.path.isdir(path):
            found[path] = None
            continue
        below = dict.fromkeys(_below(path))
        if not below:
            raise UsageError(f"there is no program below `{path}`", f"programs are files whose name ends with {SUFFIX}")
        found.update(below)
    return list(found)


def _below(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIX) and not name.startswith("."):
                path = os.path.join(where, name)
                yield path.removeprefix(os.curdir + os.sep) if folder == os.curdir else path


def read_stdin(findings: Findings) -> Source:
    """Return the program on standard input; faults of its bytes are findings."""
    from masdsl.limits import SOURCE_BYTES
    from masdsl.reading import decode

    return decode("<stdin>", sys.stdin.buffer.read(SOURCE_BYTES + 1), findings)
