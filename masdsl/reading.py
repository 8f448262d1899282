"""Bytes to `Source`: the one way by which text comes in.

UTF-8 without exceptions; a byte-order mark is dropped and CR LF becomes a line feed. Whatever does not show, or changes
how other text shows, is refused: what a reader sees is what is compiled.
"""

from __future__ import annotations

import os
import re
import stat
from functools import cache

from masdsl import limits
from masdsl.diagnostics.base import Findings
from masdsl.node import NOWHERE, Span
from masdsl.source import Source

SURROGATES = "\ud800-\udfff"
HIDDEN_RANGES = (
    f"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f{SURROGATES}\ufe00-\ufe0d\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that no source text may hold, as a part of a character class: controls but for tab and line feed, format
characters (bidirectional controls, zero-width ones, tags), variation selectors but those of text and emoji, line and
paragraph separators, lone surrogates."""


@cache
def hidden_pattern(ascii_only: bool) -> re.Pattern[str]:
    """The pattern of one hidden character; the one for ASCII text compiles in a tenth of the time."""
    return re.compile("[\x00-\x08\x0b-\x1f\x7f]" if ascii_only else f"[{HIDDEN_RANGES}]")


def decode(name: str, data: bytes, findings: Findings) -> Source:
    """Make a `Source` of a file's bytes; faults are findings. The source always serves to show them.

    A byte that is not UTF-8 stands in the text as U+FFFD. Data beyond the size limit is cut off.
    """
    excess = len(data) > limits.SOURCE_BYTES
    if excess:
        data = data[: limits.SOURCE_BYTES]
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    try:
        text, fault = data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        text, fault = data.decode("utf-8", "replace"), error.start
        if excess and fault >= len(data) - 3:
            fault = None  # the cut went through a character
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    source = Source(name, text)
    if excess:
        _too_large(source, findings)
    if fault is not None:
        from masdsl.diagnostics.syntax import NotUtf8

        at = len(data[:fault].decode("utf-8").replace("\r\n", "\n"))
        findings.add(source, NotUtf8(data[fault], fault, span=Span(at, at + 1)))
    refuse_hidden(source, findings)
    return source


def refuse_hidden(source: Source, findings: Findings) -> bool:
    """Report the hidden characters of a text and say whether there are none.

    Of equal ones in a row, of carriage returns, and of those beyond the limit of diagnostics only the first is
    reported.
    """
    pattern = hidden_pattern(source.text.isascii())
    found = pattern.search(source.text)
    if found is None:
        return True
    from masdsl.diagnostics.syntax import HiddenCharacter

    reported, last, returns = 0, ("", -1), False
    while found is not None and reported < limits.DIAGNOSTICS:
        character, at = found[0], found.start()
        if last != (character, at - 1) and not (character == "\r" and returns):
            findings.add(source, HiddenCharacter(character, span=Span(at, at + 1)))
            reported += 1
            returns = returns or character == "\r"
        last = (character, at)
        found = pattern.search(source.text, at + 1)
    return False


def _too_large(source: Source, findings: Findings) -> None:
    from masdsl.diagnostics.syntax import LimitExceeded

    end = len(source.text)
    what, action = "the file has too many bytes", "split the program into modules and `use` them"
    findings.add(source, LimitExceeded(what, limits.SOURCE_BYTES, action, span=Span(max(end - 1, 0), end)))


def read_source(path: str, findings: Findings) -> Source | None:
    """Read a program from a regular file, whose path becomes its name. None, with a finding, if that cannot be done."""
    data = read_bytes(path, findings)
    return None if data is None else decode(path, data, findings)


def read_bytes(path: str, findings: Findings) -> bytes | None:
    """Return what `decode` needs of a regular file: its bytes, at most one more than allowed. None, with a finding, if
    that cannot be done.
    """
    try:
        data = _read(path)
    except OSError as error:
        _unreadable(path, *_reason(path, error), findings)
        return None
    except ValueError:  # a NUL in the path
        _unreadable(path, "this is no path", "check the spelling", findings)
        return None
    if data is None:
        _unreadable(path, "it is not a regular file", "name a file that holds the program", findings)
    return data


LIBRARY = "library"
"""What the names of the user's own modules begin with: `use library.debate`."""


def read_module(
    importer: Source, path: tuple[str, ...], findings: Findings, library: str | None = None
) -> Source | str:
    """Return the module that `use a.b` in `importer` means, or the reason why there is none.

    `std` is the standard library, everything else lies below the importer's folder. What begins with `library` and does
    not lie there is a module of the user's own library, in the folder `library`, or where that is usually. The parts of
    `path` are names of the grammar, and links are followed only within the folder: no path leads out of there.
    """
    from masdsl import resources

    if path[0] == "std":
        files = resources.names("stdlib", ".mas")
        name = f"{'/'.join(path[1:])}.mas"
        if name not in files:
            return f"the standard library has {', '.join(f'std.{file[:-4]}' for file in files) or 'no modules'}"
        return read_source(resources.find("stdlib", name), findings) or "it cannot be read"
    is_file = not importer.name.startswith("<")
    file = os.path.join(os.path.dirname(importer.name), *path) + ".mas"
    if path[0] == LIBRARY and len(path) == 2 and not (is_file and os.path.isfile(file)):
        return _library_module(path[1], library or resources.library_directory(), findings)
    if not is_file:
        return "a program that is not a file can import only from std and library"
    if not os.path.isfile(file):
        return f"there is no file {file}"
    folder = os.path.realpath(os.path.dirname(importer.name))
    if os.path.commonpath((folder, os.path.realpath(file))) != folder:
        return f"{file} is a link out of the folder of the program"
    return read_source(file, findings) or "it cannot be read"


def library_name(name: str) -> str:
    """Return what messages and journals call a module of the user's library: `<library.debate>`."""
    return f"<{LIBRARY}.{name}>"


def _library_module(name: str, folder: str | None, findings: Findings) -> Source | str:
    """Return a module of the library. It is not in the program's folder: there is nothing beside it to import."""
    if folder is None:
        return "there is no home folder for a library; say where it is: [library] path in mas.toml"
    file = os.path.join(folder, f"{name}.mas")
    if not os.path.isfile(file):
        near = _near(file)
        there = f"did you mean `{LIBRARY}.{os.path.basename(near)[:-4]}`?" if near else "`mas library list` shows it"
        return f"the library in {folder} has no module `{name}`; {there}"
    source = read_source(file, findings)
    return "it cannot be read" if source is None else Source(library_name(name), source.text)


def _read(path: str) -> bytes | None:
    """The bytes of a regular file, up to one more than allowed. Opening waits for no pipe."""
    handle = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return file.read(limits.SOURCE_BYTES + 1)


def _reason(path: str, error: OSError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        near = _near(path)
        return "there is no such file", f"did you mean `{near}`?" if near else "check the path"
    if isinstance(error, IsADirectoryError):
        return "it is a folder", "name a file in it"
    if isinstance(error, PermissionError):
        if os.path.isdir(path):
            return "it is a folder", "name a file in it"
        return "permission denied", "ask its owner for the right to read it"
    return (error.strerror or type(error).__name__).lower(), "check the path and the file system"


def _near(path: str) -> str | None:
    from masdsl.diagnostics.suggest import nearest

    folder, name = os.path.split(path)
    try:
        names = sorted(entry for entry in os.listdir(folder or ".") if entry.endswith(".mas"))
    except OSError:
        return None
    found = f"{name}.mas" if f"{name}.mas" in names else nearest(name, names)
    return os.path.join(folder, found) if found else None


def _unreadable(path: str, reason: str, action: str, findings: Findings) -> None:
    from masdsl.diagnostics.syntax import UnreadableFile

    findings.add(Source(path, ""), UnreadableFile(path, reason, action, span=NOWHERE))
