"""Which programs a command is about: files as named, and the `.mas` files below folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from masdsl.cli.boundary import UsageError

SUFFIX = ".mas"


def find_programs(paths: Sequence[str]) -> list[str]:
    """Return the programs at `paths` (by default the working folder), each once, those below a folder in sorted order.

    Hidden files and folders are skipped below a folder, and links to folders are not followed. Raises UsageError for a
    path that does not exist.
    """
    found: dict[str, None] = {}
    for path in paths or (os.curdir,):
        if os.path.isdir(path):
            found.update(dict.fromkeys(_below(path)))
        else:
            require(path)
            found[path] = None
    return list(found)


def require(path: str) -> None:
    """Raise UsageError, with a near name where there is one, unless `path` exists."""
    if os.path.exists(path):
        return
    from masdsl.diagnostics.suggest import nearest

    folder, name = os.path.split(path)
    try:
        near = nearest(name, sorted(os.listdir(folder or os.curdir)))
    except OSError:
        near = None
    raise UsageError(f"there is no file `{path}`", f"did you mean `{os.path.join(folder, near)}`?" if near else "")


def _below(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIX) and not name.startswith("."):
                path = os.path.join(where, name)
                yield path.removeprefix(os.curdir + os.sep) if folder == os.curdir else path
