"""The user's own library: modules that have proved themselves, each with a record of how.

A module is a file `name.mas` in the library's folder, its record is `name.json` beside it. Programs import it
(`use library.name`), and the generator is shown it among its examples. Modules are never overwritten: programs keep
what they were checked with. What makes two of them the same is the canonical hash of the program without its tests.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from masdsl.config import Config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.library import DamagedEntry
from masdsl.meta.evaluation import Evaluation
from masdsl.meta.retrieval import PROVED, Known, about
from masdsl.meta.storage import LibraryError, locked, remove_file, write_file
from masdsl.meta.systems import parsed
from masdsl.meta.task import Spent
from masdsl.node import Span
from masdsl.patch.order import declared
from masdsl.reading import LIBRARY
from masdsl.resources import library_directory
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.canonical import program_hash
from masdsl.syntax.print import print_document, print_item
from masdsl.syntax.walk import find_all

FORM: Final = 1
"""What a record says in `masdsl_record`; another number is of a later masdsl."""
RECORD_BYTES: Final = 64 * 1024
MODULE_BYTES: Final = 1024 * 1024


class Record(NamedTuple):
    """How a module came into the library.

    `hash` is the program's (`hash_of`), `entry` the declaration that it is about; `origin` says where it is from,
    `added` when (ISO 8601, UTC), `tests` how many tests it passed. `evaluation` is what it gave on the queries of the
    file `data`, `simple` what the simplest system did on the same ones (`simple_name`); None where that was not asked.
    """

    hash: str
    entry: str
    origin: str
    added: str
    tests: int
    data: str = ""
    evaluation: Evaluation | None = None
    simple: Evaluation | None = None
    simple_name: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        told = {name: None if one is None else one.to_json() for name, one in self._evaluations()}
        return {"masdsl_record": FORM, **self._asdict(), **told}

    def _evaluations(self) -> tuple[tuple[str, Evaluation | None], ...]:
        return ("evaluation", self.evaluation), ("simple", self.simple)


class Entry(NamedTuple):
    """A module of the library; `record` is None where it has none that can be read."""

    name: str
    text: str
    record: Record | None

    @property
    def entry(self) -> str:
        """The declaration that the module is about; `main` where nothing says it."""
        return self.record.entry if self.record is not None else "main"

    def is_changed(self) -> bool:
        """Whether the file is another program than the one that proved itself."""
        program = parsed(self.text)
        return self.record is not None and (program is None or hash_of(program) != self.record.hash)


def folder_of(config: Config) -> str:
    """Return the library's folder, which need not exist yet. Raises LibraryError where there is no home folder."""
    folder = config.library or library_directory()
    if folder is None:
        raise LibraryError("there is no home folder for a library; say where it is: [library] path in mas.toml")
    return folder


def hash_of(program: ast.Program) -> str:
    """Return what tells programs of a library apart: the canonical hash without tests."""
    return program_hash(program.replace(items=tuple(item for item in program.items if not isinstance(item, ast.Test))))


# ---------------------------------------------------------------- reading


def entries(folder: str, findings: Findings) -> tuple[Entry, ...]:
    """Return the modules of a library, by name; what cannot be read is a finding, and left out."""
    try:
        names = sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".mas") and not name.startswith("."))
    except FileNotFoundError:
        return ()
    except OSError as error:
        _damaged(folder, f"the library {folder}", (error.strerror or "it cannot be read").lower(), "", findings)
        return ()
    return tuple(entry for name in names if (entry := read_entry(folder, name, findings)) is not None)


def read_entry(folder: str, name: str, findings: Findings) -> Entry | None:
    """Return a module of a library; None where there is none that can be read."""
    path = os.path.join(folder, f"{name}.mas")
    text = _read(path, MODULE_BYTES, findings)
    if text is None:
        return None
    if parsed(text) is None:
        _damaged(path, f"the module {path}", "it is no program", f"`mas check {path}` says why; mend it", findings)
        return None
    return Entry(name, text, _read_record(os.path.join(folder, f"{name}.json"), name, findings))


def _read_record(path: str, name: str, findings: Findings) -> Record | None:
    again = f"remove the module and add it again: mas library remove {name}"
    if not os.path.exists(path):
        _damaged(path, f"the record of `{name}`", "there is none", again, findings)
        return None
    text = _read(path, RECORD_BYTES, findings)
    if text is None:
        return None
    try:
        return _record_of(json.loads(text))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, ValueError) else "it is not what `mas library` writes"
        _damaged(path, f"the record of `{name}`", reason, again, findings)
        return None


def _record_of(data: Mapping[str, Any]) -> Record:
    if data["masdsl_record"] != FORM:
        raise ValueError("it was written by a later masdsl")
    texts = {name: data[name] for name in ("hash", "entry", "origin", "added", "data", "simple_name")}
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(data["tests"], int):
        raise TypeError
    return Record(
        **texts,
        tests=data["tests"],
        evaluation=_evaluation_of(data["evaluation"]),
        simple=_evaluation_of(data["simple"]),
    )


def _evaluation_of(data: Mapping[str, Any] | None) -> Evaluation | None:
    if data is None:
        return None
    counts = {name: data[name] for name in ("runs", "right", "failed")}
    spent = {name: data["spent"][name] for name in Spent._fields}
    if not all(isinstance(value, int) and value >= 0 for value in (*counts.values(), *spent.values())):
        raise TypeError
    return Evaluation(**counts, spent=Spent(**spent))


def _read(path: str, most: int, findings: Findings) -> str | None:
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        _damaged(path, path, (error.strerror or "it cannot be read").lower(), "check the file", findings)
        return None
    if len(data) > most:
        _damaged(path, path, f"it has more than {most:,} bytes", "make it smaller, or remove it", findings)
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        _damaged(path, path, "it is not UTF-8", "save it as UTF-8, or remove it", findings)
        return None


def _damaged(path: str, what: str, reason: str, action: str, findings: Findings) -> None:
    told = DamagedEntry(what, reason, action or "check its permissions, or name another one", span=Span(0, 0))
    findings.add(Source(path, ""), told)


# ---------------------------------------------------------------- changing


class Taken(Exception):
    """A module cannot be added: another one of the name is there (`same` false), or the same program as `name`."""

    def __init__(self, name: str, *, same: bool) -> None:
        super().__init__(name)
        self.name = name
        self.same = same


def taken_by(folder: str, name: str, hash_: str) -> Taken | None:
    """Return what stands against adding a program under a name; None where nothing does."""
    for entry in entries(folder, Findings()):
        program = parsed(entry.text)
        if program is not None and hash_of(program) == hash_:
            return Taken(entry.name, same=True)
    if os.path.lexists(os.path.join(folder, f"{name}.mas")):
        return Taken(name, same=False)
    return None


def add(folder: str, name: str, text: str, record: Record) -> str:
    """Put a module into a library and return its path. Raises Taken and LibraryError; then nothing is changed."""
    path = os.path.join(folder, f"{name}.mas")
    with locked(folder):
        taken = taken_by(folder, name, record.hash)
        if taken is not None:
            raise taken
        write_file(os.path.join(folder, f"{name}.json"), json.dumps(record.to_json(), indent=2) + "\n")
        write_file(path, text)  # last: a module that is there has its record
    return path


def remove(folder: str, name: str) -> bool:
    """Take a module out of a library; return whether it was there. Raises LibraryError."""
    path = os.path.join(folder, f"{name}.mas")
    if not os.path.lexists(path):
        return False
    with locked(folder):
        remove_file(path)
        remove_file(os.path.join(folder, f"{name}.json"))
    return True


# ---------------------------------------------------------------- for the generator


def known_systems(found: Iterable[Entry]) -> tuple[Known, ...]:
    """Return the modules of a library as examples.

    One with a `main` is shown whole; another one by a program that imports it, where its entry is a flow or agent whose
    signature needs no more than built-in types and those that the module declares.
    """
    return tuple(_known(found))


def _known(found: Iterable[Entry]) -> Iterator[Known]:
    for entry in found:
        program = parsed(entry.text)
        assert program is not None
        named = {item.name.text: item for item in program.items if isinstance(item, ast.Flow | ast.Agent)}
        item = named.get(entry.entry) or named.get("main")
        if item is None:
            continue
        said = first_sentence(entry.text, item)
        text = entry.text if item.name.text == "main" else use_of(entry.name, item, program, said)
        if text is not None:
            proved = entry.record is not None and entry.record.evaluation is not None and not entry.is_changed()
            worth = PROVED if proved else 1.0
            yield Known(f"library.{entry.name}", text, said, about(entry.text), "library", worth)


def first_sentence(text: str, item: ast.Item) -> str:
    """Return the first sentence of the `##` comment above a declaration of a text."""
    said: list[str] = []
    for line in reversed(text[: item.span.start].splitlines()):
        if not line.startswith("##"):
            break
        said.insert(0, line.strip("# "))
    return re.split(r"(?<=[.!?])\s", " ".join(said), maxsplit=1)[0]


def use_of(module: str, item: ast.Flow | ast.Agent, program: ast.Program, said: str = "") -> str | None:
    """Return a program whose `main` calls a declaration of a library's module; None for one with static parameters."""
    if item.statics or any(isinstance(one.type, ast.AgentType) for one in item.params):
        return None
    written = {name.text for part in (*item.params, item.output) for name in find_all(part, ast.Name)}
    types = [
        name
        for other in program.items
        if isinstance(other, ast.RecordDecl | ast.EnumDecl)
        for name in declared(other)
        if name in written
    ]
    names = tuple(ast.ImportName(ast.Name(name), None) for name in (item.name.text, *types))
    given = tuple(ast.Argument(None, ast.Var(one.name)) for one in item.params)
    call = ast.Return(ast.Call(item.name, given))
    flow = ast.Flow(ast.Name("main"), (), item.params, ast.Output(item.output.type, None), None, ast.Block((call,)))
    use = ast.Use((ast.Name(LIBRARY), ast.Name(module)), names)
    head, body = print_document(ast.Program(1, (use,))), print_item(flow)
    return f"{head}\n## {said}\n{body}\n" if said else f"{head}\n{body}\n"
