"""The texts that a run began with: kept in its journal, so that it goes on with them whatever becomes of the files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from masdsl.check.modules import ModuleReader
from masdsl.check.program import Program
from masdsl.config import shown_path
from masdsl.diagnostics.base import Findings
from masdsl.reading import read_module
from masdsl.source import Source

STD = "std."


def key_of(name: str) -> str:
    """Return under which name the text of a file is kept: its absolute path; `<input>` is one already."""
    return name if name.startswith("<") else os.path.abspath(name)


def sources_of(program: Program) -> dict[str, str]:
    """Return the texts of a program's modules as a journal keeps them; those of the standard library by their names."""
    kept = {}
    for module in program.modules:
        std = module.name.startswith(STD)
        kept[module.name if std else key_of(module.source.name)] = module.source.text
    return kept


def source_of(program: str, sources: Mapping[str, str]) -> Source:
    """Return the text of a kept program, named as messages name it."""
    return Source(program if program.startswith("<") else shown_path(program), sources[program])


def reader_of(sources: Mapping[str, str]) -> ModuleReader:
    """Return what finds modules among kept texts; of those that are not kept only the standard library's are there."""

    def read(importer: Source, path: tuple[str, ...], findings: Findings) -> Source | str:
        dotted = ".".join(path)
        if path[0] == "std":
            if dotted in sources:
                return Source(f"<{dotted}>", sources[dotted])
            return read_module(importer, path, findings)
        own = f"<{dotted}>"
        if own in sources:  # of the user's library
            return Source(own, sources[own])
        if importer.name.startswith("<"):
            return "a program that is not a file can import only from std and library"
        file = os.path.join(os.path.dirname(importer.name), *path) + ".mas"
        text = sources.get(key_of(file))
        return "the run began without it" if text is None else Source(file, text)

    return read


def changed_files(sources: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield the files that no longer say what is kept of them, with their present text; None where there is none."""
    for name, text in sources.items():
        if name.startswith(("<", STD)):
            continue
        try:
            with open(name, "rb") as file:
                data = file.read()
        except OSError:
            yield name, None
            continue
        now = data.decode("utf-8", "replace").removeprefix("\ufeff")
        if now.replace("\r\n", "\n") != text.replace("\r\n", "\n"):
            yield name, now
