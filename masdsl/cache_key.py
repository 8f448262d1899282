"""What the result of a check depends on, as the key of a document in the cache.

A result may be taken from the cache only where checking again would give the same bytes. So the key says who checks
(masdsl, Python, the template engine), what (the program under the name it is shown by), and under which configuration.
What a program imports is found out by checking it; that part is kept with the result and compared afterwards.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache

try:
    from _blake2 import blake2b  # what hashlib gives; hashlib itself loads OpenSSL, which takes longer than a check
except ImportError:  # another Python than CPython
    from hashlib import blake2b

from masdsl.version import __version__

_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def digest(*parts: str | bytes) -> str:
    """Return the digest of texts in order, in hexadecimal; no two sequences share one."""
    state = blake2b(digest_size=20)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def file_digest(path: str) -> str:
    """Return the digest of a file's bytes; `missing` or `unreadable` where there are none."""
    try:
        with open(path, "rb") as file:
            return digest(file.read())
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):
        return "unreadable"


@cache
def identity() -> str:
    """Return who checks, as a digest: masdsl by version and source, where it lies (the names of modules of the
    standard library are paths), the Python that runs it, and the template engine.
    """
    python = f"{sys.implementation.name} {sys.hexversion:x} {sys.flags.optimize}"
    return digest(__version__, _PACKAGE, *_sources(_PACKAGE), python, _template_engine())


def _sources(package: str) -> Iterator[str]:
    """Yield what tells one state of masdsl's own files from another.

    An installed package has a list of its files with their digests. In a checkout, sizes and times of change stand for
    the contents: reading them all would take longer than a check.
    """
    record = os.path.join(os.path.dirname(package), f"masdsl-{__version__}.dist-info", "RECORD")
    if not os.path.isdir(os.path.join(os.path.dirname(package), "grammar")) and os.path.isfile(record):
        yield file_digest(record)
        return
    for folder in (package, *(os.path.join(os.path.dirname(package), name) for name in ("grammar", "stdlib"))):
        yield from _states(folder)


def _states(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _states(entry.path)
        else:
            status = entry.stat()
            yield f"{entry.path} {status.st_size} {status.st_mtime_ns}"


def _template_engine() -> str:
    """Return the state of jinja2 without importing it: its first file names its version."""
    for folder in sys.path:
        path = os.path.join(folder, "jinja2", "__init__.py")
        if os.path.isfile(path):
            return file_digest(path)
    return "missing"


def package_state(name: str) -> str:
    """Return what tells one version of an installed package from another without importing it: names and sizes of the
    files in its folder, where compiled libraries are; `missing` without one.
    """
    for folder in sys.path:
        try:
            with os.scandir(os.path.join(folder, name)) as entries:
                return digest(*sorted(f"{entry.name} {entry.stat().st_size}" for entry in entries if entry.is_file()))
        except OSError:
            continue
    return "missing"


def key_of(name: str, data: bytes, surroundings: str, options: Iterable[str]) -> str:
    """Return the key of a program's result.

    `name` is the program's path as it is shown, `data` its bytes, `surroundings` a digest of the configuration that
    counts for it, `options` whatever else of the command changes the result.
    """
    return digest(identity(), name, data, surroundings, *options)
