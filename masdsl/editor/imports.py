"""What can be imported: the modules of the standard library and those beside a program, and what they declare."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

from masdsl import resources
from masdsl.check.modules import ModuleLoader
from masdsl.check.scope import ModuleScope
from masdsl.diagnostics.base import Findings
from masdsl.editor.document import Document
from masdsl.editor.hover import head_text
from masdsl.editor.symbols import KINDS
from masdsl.editor.workspace import Workspace, is_file
from masdsl.reading import read_module, read_source
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program


def module_names(workspace: Workspace, program: str, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield what a module's path can go on with behind its first parts: names, and what they are."""
    if path == ("std",):
        for name in resources.names("stdlib", ".mas"):
            yield name[:-4], f"std.{name[:-4]}"
        return
    if not path:
        yield "std", "the standard library"
    if not is_file(program):
        return
    folder = os.path.join(os.path.dirname(program), *path)
    try:
        entries = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return
    for entry in entries:
        name, extension = os.path.splitext(entry.name)
        if not name.isidentifier() or name != name.lower() or entry.path == program:
            continue
        if extension == ".mas" and entry.is_file():
            yield name, entry.name
        elif not extension and entry.is_dir() and any(one.endswith(".mas") for one in _files(entry.path)):
            yield name, f"{entry.name}/"


def _files(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def names_of(workspace: Workspace, document: Document, path: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a module offers: name, kind, head and documentation of each declaration."""
    findings = Findings()
    source = read_module(document.source, path, findings, library=document.config.library)
    if isinstance(source, Source):
        text = workspace.text(source.name)
        yield from _offered(_scope(source if text is None else text.source, ".".join(path)))


def _offered(scope: ModuleScope) -> Iterator[tuple[str, str, str, str]]:
    for declared in scope.own():
        if not declared.name.startswith("_"):
            head = " ".join(head_text(scope, declared.node).split())
            yield declared.name, KINDS[type(declared.node)], head, scope.doc(declared.node)


def _scope(source: Source, name: str) -> ModuleScope:
    loader = ModuleLoader(lambda importer, path, findings: "not looked at", Findings())
    return loader.scope(parse_program(source, Findings()), name)


@lru_cache(maxsize=1)
def importable() -> tuple[tuple[str, str, str, str, str], ...]:
    """Return the flows and functions of the standard library: module, name, kind, head, documentation."""
    found = []
    for file in resources.names("stdlib", ".mas"):
        source = read_source(resources.find("stdlib", file), Findings())
        if source is not None:
            scope = _scope(source, f"std.{file[:-4]}")
            wanted = {one.name for one in scope.own() if isinstance(one.node, ast.Flow | ast.Extern)}
            found += [(scope.name, *one) for one in _offered(scope) if one[0] in wanted]
    return tuple(found)
