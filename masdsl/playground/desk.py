"""The programs that were given at the start, those to choose from, and the one way back to a file.

What comes from the page is never a path: a URI has to be one that was handed out here. So nothing that the page says
reads or writes another file, and what a program imports (`use`) stays below the folder, links included
(`masdsl.reading.read_module`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from masdsl import limits, resources
from masdsl.diagnostics.base import Findings
from masdsl.playground.refusals import Refusal, not_found
from masdsl.reading import read_bytes

SUFFIX: Final = ".mas"
MOST_PROGRAMS: Final = 500
"""Programs of a folder that can be chosen; further ones are left out."""
EXAMPLES: Final = (
    "adas_cot",
    "adas_cot_sc",
    "adas_debate",
    "adas_reflexion",
    "adas_peer_review",
    "adas_step_back",
    "chain_of_verification",
    "cumulative_reasoning",
    "graph_of_thoughts",
    "masgpt_self_consistency",
)
"""Programs of the pool that need no tools."""
Write = Callable[[str, str], None]
"""Puts a text in the place of a file's, whole or not at all."""


class CannotOpen(Exception):
    """What was given cannot be opened in the playground; the text says why, `advice` what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


class Program(NamedTuple):
    """A program that the page may open. `path` is where it is kept, `text` what it says where it is no file.

    `file` is the file itself, behind every link, as it was when the playground began.
    """

    name: str
    path: str
    text: str | None = None
    file: str = ""

    @property
    def uri(self) -> str:
        """What the page and the language server call it."""
        return Path(self.path).as_uri()


class Desk:
    """What is open: a program, or those of a folder, beside examples. `write` is how the house writes files."""

    def __init__(self, given: str | None, starter: str, write: Write) -> None:
        """Take what was given on the command line. Raises CannotOpen."""
        self._write = write
        where = os.path.abspath(os.curdir if given is None else given)
        self.folder = where if given is None or os.path.isdir(where) else os.path.dirname(where)
        own: list[Program] = []
        if given is not None:
            own = _in_folder(where) if os.path.isdir(where) else [_file(given, where)]
        examples = [] if given is not None and os.path.isdir(where) else _examples(self.folder, starter)
        taken = {name for one in own for name in (one.name, one.uri)}
        examples = [one for one in examples if one.name not in taken and one.uri not in taken]
        self._programs = {one.name: one for one in (*own, *examples)}
        self._by_uri = {one.uri: one for one in self._programs.values()}
        main = next((one for one in own if one.name == "main"), None)
        self.first = main or (own or examples)[0]

    @property
    def root(self) -> str:
        """The folder's URI: nothing outside of it is anybody's business here."""
        return Path(self.folder).as_uri()

    def listed(self) -> Sequence[Mapping[str, str]]:
        """Return the programs to choose from, with what each says of itself."""
        return [{"name": name, "doc": self._doc_of(name)} for name in self._programs]

    def named(self, name: str) -> Program:
        """Return a program. Raises Refusal."""
        found = self._programs.get(name)
        if found is None:
            raise not_found("there is no program of that name to choose from")
        return found

    def _doc_of(self, name: str) -> str:
        """Return what a program says of itself: the first comments in it."""
        try:
            text, _ = self._read(self.named(name))
        except Refusal:
            return ""
        return _doc(text)

    def path_of(self, uri: str) -> str:
        """Return the path that a URI of ours means. Raises Refusal for any other."""
        found = self._by_uri.get(uri)
        if found is None:
            raise Refusal(403, "This is not open here", "the URI is none of this playground's", "reload the page")
        return found.path

    def name_of(self, path: str) -> str:
        """Return the name under which the program at a path can be chosen, or that of its file."""
        found = self._by_uri.get(Path(path).as_uri())
        return os.path.basename(path).removesuffix(SUFFIX) if found is None else found.name

    def opened(self, program: Program) -> Mapping[str, Any]:
        """Return a program as the page gets it. Raises Refusal where it cannot be read any more."""
        text, digest = self._read(program)
        can_save = bool(program.file)
        return {"name": program.name, "uri": program.uri, "text": text, "hash": digest, "can_save": can_save}

    def save(self, uri: str, text: str, digest: str) -> str:
        """Write a text to the file that was opened, if that still says what the page has seen; return the new hash.

        Raises Refusal: 403 for anything else than a file that was given, 409 where the file has changed or is no
        longer the one that it was, 413 for a text that is too long.
        """
        program = self._by_uri.get(uri)
        if program is None or not program.file:
            then = "give it on the command line to save it here: mas serve PROGRAM.mas"
            raise Refusal(403, "This cannot be saved here", "it is no file that the playground was given", then)
        data = _bytes(text)
        is_there = os.path.lexists(program.path)
        if not is_there or self._read(program)[1] != digest:
            what = "the file has changed since it was read" if is_there else "the file is gone"
            then = "copy your text, reload the page, and put your changes in again"
            raise Refusal(409, "The file is not what it was", what, then)
        try:
            self._write(program.file, text)
        except OSError as error:
            raise Refusal(
                403, "The file cannot be written", error.strerror or type(error).__name__, "see to it and save again"
            ) from None
        return _digest(data)

    def _read(self, program: Program) -> tuple[str, str]:
        """Return a program's text and hash. Raises Refusal."""
        if program.text is not None:
            return program.text, _digest(program.text.encode())
        if os.path.realpath(program.path) != program.file:
            what = "a link stands in its place, or it leads elsewhere now"
            raise Refusal(409, "The file is not what it was", what, "start the playground again")
        findings = Findings()
        data = read_bytes(program.file, findings)
        if data is None:
            why = "; ".join(one.diagnostic.title() for one in findings.sorted())
            raise Refusal(409, "The file cannot be read", why, "see to it and reload the page")
        try:
            return _text(data), _digest(data)
        except CannotOpen as error:
            raise Refusal(409, "The file cannot be opened", str(error), error.advice) from None


def _file(given: str, path: str) -> Program:
    findings = Findings()
    data = read_bytes(given, findings)
    if data is None:
        (finding,) = findings.sorted()
        raise CannotOpen(finding.diagnostic.title(), finding.diagnostic.help())
    try:
        _text(data)
    except CannotOpen as error:
        raise CannotOpen(f"`{given}`: {error}", error.advice) from None
    return Program(os.path.basename(path).removesuffix(SUFFIX), path, None, os.path.realpath(path))


def _in_folder(folder: str) -> list[Program]:
    """Return the programs of a folder that can be opened, links out of it left aside. Raises CannotOpen for none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX) and not name.startswith("."))
    except OSError as error:
        raise CannotOpen(f"{folder}: {error.strerror}", "name a folder that you may read") from None
    real = os.path.realpath(folder)
    found = []
    for name in names[:MOST_PROGRAMS]:
        path = os.path.join(folder, name)
        file = os.path.realpath(path)
        data = read_bytes(path, Findings()) if os.path.dirname(file) == real else None
        if data is not None and _is_text(data):
            found.append(Program(name.removesuffix(SUFFIX), path, None, file))
    if not found:
        raise CannotOpen(f"there is no program in `{folder}`", "name a file, or begin with: mas init")
    return found


def _examples(folder: str, starter: str) -> list[Program]:
    """Return the programs to begin with. None of them is a file here, whatever stands in the folder."""
    texts = {"starter": starter}
    texts |= {name: resources.read_text("examples/pool", f"{name}{SUFFIX}") for name in EXAMPLES}
    return [Program(name, os.path.join(folder, f"example-{name}{SUFFIX}"), text) for name, text in texts.items()]


def _is_text(data: bytes) -> bool:
    try:
        _text(data)
    except CannotOpen:
        return False
    return True


def _text(data: bytes) -> str:
    """Return the text of a file as an editor shows it. Raises CannotOpen for what is none, or too long."""
    if len(data) > limits.SOURCE_BYTES:
        raise CannotOpen(f"it has more than {limits.SOURCE_BYTES:,} bytes", "name a file that holds a program")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise CannotOpen("it is no text", "name a file that holds a program, in UTF-8")
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _doc(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    start = next((at for at, line in enumerate(lines) if line.startswith("#")), len(lines))
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith("#")), len(lines))
    return " ".join(line.lstrip("#").strip() for line in lines[start:end])[:300]


def _bytes(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal(400, "The text cannot be saved", "it has half a character", "remove it and save again") from None
    if len(data) > limits.SOURCE_BYTES:
        what = f"a program may have {limits.SOURCE_BYTES:,} bytes"
        raise Refusal(413, "The text is too long", what, "split it into modules and `use` them")
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
