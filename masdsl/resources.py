"""Finds the files that are not Python: the grammar and the standard library; and the place for caches.

In a wheel they lie inside the package (`masdsl/grammar`), in a checkout beside it (`grammar`). `importlib.resources`
finds only the first, so all access goes through here.
"""

from __future__ import annotations

import os
import sys
from binascii import crc32
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_ROOTS = (_PACKAGE, os.path.dirname(_PACKAGE))


def find(folder: str, name: str) -> str:
    """Return the path of a data file, such as `find("grammar", "mas.lark")`.

    Raises FileNotFoundError, naming the places that were tried: the installation is broken.
    """
    places = [os.path.join(root, folder, name) for root in _ROOTS]
    for place in places:
        if os.path.isfile(place):
            return place
    raise FileNotFoundError(
        f"this installation of masdsl lacks {folder}/{name}; tried {' and '.join(places)}. Install it again"
    )


def read_text(folder: str, name: str) -> str:
    """Return the text of a data file. Raises FileNotFoundError like `find`."""
    with open(find(folder, name), encoding="utf-8") as file:
        return file.read()


def names(folder: str, suffix: str) -> tuple[str, ...]:
    """Return the sorted file names in a data folder that end with `suffix`, such as `names("stdlib", ".mas")`."""
    for root in _ROOTS:
        place = os.path.join(root, folder)
        if os.path.isdir(place):
            found = sorted(name for name in os.listdir(place) if name.endswith(suffix))
            if found:
                return tuple(found)
    return ()


def is_standard(path: str) -> bool:
    """Say whether a path is that of a module of the standard library."""
    folder = os.path.dirname(os.path.abspath(path))
    return path.endswith(".mas") and any(folder == os.path.join(root, "stdlib") for root in _ROOTS)


def cache_directory() -> str | None:
    """Return the folder for what can be made or fetched again: grammar tables, weights of models.

    That is `$MASDSL_CACHE`, else `masdsl` in `$XDG_CACHE_HOME` or in the system's place for caches. None where it is
    switched off (`MASDSL_CACHE` is empty) or there is no home folder. It need not exist yet.
    """
    chosen = os.environ.get("MASDSL_CACHE")
    if chosen is not None:
        return chosen or None
    return _own_folder("XDG_CACHE_HOME", ("Library", "Caches"), (".cache",))


def library_directory() -> str | None:
    """Return the folder of the user's own library, where the configuration says no other.

    That is `library` in `$MASDSL_DATA`, else in `masdsl` in `$XDG_DATA_HOME` or in the system's place for data. None
    where there is no home folder. It need not exist yet.
    """
    folder = os.environ.get("MASDSL_DATA")
    if not folder:
        folder = _own_folder("XDG_DATA_HOME", ("Library", "Application Support"), (".local", "share"))
    return None if folder is None else os.path.join(folder, "library")


def _own_folder(variable: str, on_mac: tuple[str, ...], elsewhere: tuple[str, ...]) -> str | None:
    base = os.environ.get(variable) or os.environ.get("LOCALAPPDATA")
    if not base:
        home = os.path.expanduser("~")
        if home == "~":
            return None
        base = os.path.join(home, *(on_mac if sys.platform == "darwin" else elsewhere))
    return os.path.join(base, "masdsl")


# ---------------------------------------------------------------- files of the cache


def read_sealed(path: str, magic: bytes, *, shipped: bool = False) -> memoryview | None:
    """Return what `write_sealed` put into a file behind `magic`; None for a file that is missing or damaged.

    None as well for a file that somebody else could have written, unless it was `shipped` with the package: so what
    is returned may be unmarshalled.
    """
    try:
        with open(path, "rb") as file:
            if not shipped and _writable_by_others(os.fstat(file.fileno())):
                return None
            data = file.read()
    except OSError:
        return None
    body = memoryview(data)[len(magic) + 4 :]
    if not data.startswith(magic) or crc32(body).to_bytes(4, "big") != data[len(magic) : len(magic) + 4]:
        return None
    return body


def write_sealed(path: str, magic: bytes, body: bytes) -> bool:
    """Write a file of the cache in one step, so that a reader never sees half of it; say whether that worked."""
    passing = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with open(handle, "wb") as file:
            file.write(magic + crc32(body).to_bytes(4, "big") + body)
        os.replace(passing, path)
    except OSError:
        try:
            os.unlink(passing)
        except OSError:
            pass
        return False
    return True


def _writable_by_others(status: os.stat_result) -> bool:
    getuid: Callable[[], int] | None = getattr(os, "geteuid", None)
    return getuid is not None and (status.st_uid not in (0, getuid()) or bool(status.st_mode & 0o022))
