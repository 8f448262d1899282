"""Definitions of Python modules of this package as text, with all that they need: an exported file stands alone.

What a definition needs is read from its syntax tree: definitions of its own module, those that it imports from others,
and modules of Python or of the frameworks, which become imports of the exported file. Nothing is run or imported.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

SUPPORT = "masdsl.interop.langgraph_support"
INSTEAD = frozenset({"Record", "clipped_to", "plain"})
"""Definitions of the support module that stand in for those of the runtime."""
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_NOTE = re.compile(r"  # type: ignore\S*.*$", re.MULTILINE)

Key = tuple[str, str]


class Imported(NamedTuple):
    """An import of an exported file: `import module`, or `from module import name`."""

    module: str
    name: str = ""


class Copied(NamedTuple):
    """Definitions as text, each after what it needs; the imports that they need; the names that they define."""

    definitions: tuple[str, ...]
    imports: frozenset[Imported]
    names: frozenset[str]


class _Module(NamedTuple):
    text: str
    definitions: dict[str, ast.stmt]
    imports: dict[str, Imported]


def copied(wanted: Iterable[Key]) -> Copied:
    """Return the definitions (module, name) with all that they need, in an order that depends on nothing else."""
    copier = _Copier()
    for module, name in wanted:
        copier.add(module, name)
    return Copied(tuple(copier.texts), frozenset(copier.imports), frozenset(copier.given.values()))


class _Copier:
    """Follows definitions to what they need; two that are called the same in different modules get different names."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.imports: set[Imported] = set()
        self.given: dict[Key, str] = {}

    def add(self, module: str, name: str) -> str:
        """Add a definition, unless it is there already; return its name in the exported file."""
        if name in INSTEAD:
            module = SUPPORT
        key = (module, name)
        if key in self.given:
            return self.given[key]
        own = _module(module)
        imported = own.imports.get(name)
        if name not in own.definitions and imported is not None and imported.module.startswith("masdsl."):
            self.given[key] = self.add(imported.module, imported.name)
            return self.given[key]
        made = name
        while made in self.given.values():
            made += "_"
        self.given[key] = made
        self.texts.append(self._text(module, own, name, made))
        return made

    def _text(self, module: str, own: _Module, name: str, made: str) -> str:
        node = own.definitions[name]
        changes = [] if made == name else list(_named(node, name, made, own.text))
        inner = set(_local(node)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else set()
        for part in ast.walk(node):
            match part:
                case ast.Attribute(value=ast.Name(id=owner), attr=attribute) if owner in own.imports:
                    whole = own.imports[owner]
                    place = f"{whole.module}.{whole.name}"
                    if whole.module == "masdsl.runtime" and _exists(place):
                        changes.append((*_range(part, own.text), self.add(place, attribute)))
                    else:
                        self.imports.add(whole)
                case ast.Name(id=used) if used in own.definitions and used != name and used not in inner:
                    given = self.add(module, used)
                    if given != used:
                        changes.append((*_range(part, own.text), given))
                case ast.Name(id=used) if used in own.imports and used not in inner:
                    imported = own.imports[used]
                    if not imported.module.startswith("masdsl."):
                        self.imports.add(imported)
                    elif imported.module != "masdsl.runtime":
                        given = self.add(imported.module, imported.name)
                        if given != used:
                            changes.append((*_range(part, own.text), given))
        start, end = _lines(node, own.text)
        text = own.text
        for first, last, new in sorted(set(changes), reverse=True):
            text = text[:first] + new + text[last:]
            end += len(new) - (last - first)
        return _NOTE.sub("", text[start:end].rstrip("\n"))


def _named(node: ast.stmt, name: str, made: str, text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the places in a definition that say its own name."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id == name:
            yield (*_range(part, text), made)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        begin = text.index(name, _offset(text, node.lineno, node.col_offset))
        yield begin, begin + len(name), made


def _local(function: ast.AST) -> Iterator[str]:
    """Yield the names that a function binds itself."""
    for part in ast.walk(function):
        match part:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case _:
                pass


def _range(node: ast.expr, text: str) -> tuple[int, int]:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return _offset(text, node.lineno, node.col_offset), _offset(text, node.end_lineno, node.end_col_offset)


def _offset(text: str, line: int, column: int) -> int:
    """Return the index of a place that the syntax tree gives in lines and bytes."""
    lines = text.split("\n")
    before = sum(len(one) + 1 for one in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())


def _lines(node: ast.stmt, text: str) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", [])
    first = decorators[0].lineno if decorators else node.lineno
    assert node.end_lineno is not None
    last = _offset(text, node.end_lineno, 0)
    return _offset(text, first, 0), text.find("\n", last) if "\n" in text[last:] else len(text)


def _exists(module: str) -> bool:
    return os.path.isfile(_path(module))


def _path(module: str) -> str:
    return os.path.join(_ROOT, *module.split(".")) + ".py"


@lru_cache(maxsize=16)
def _module(name: str) -> _Module:
    with open(_path(name), encoding="utf-8") as file:
        text = file.read()
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, Imported] = {}
    for node in ast.parse(text).body:
        match node:
            case ast.Import(names=names):
                imports |= {one.asname or one.name: Imported(one.name) for one in names}
            case ast.ImportFrom(names=names, module=str(module)):
                imports |= {one.asname or one.name: Imported(module, one.name) for one in names}
            case ast.FunctionDef(name=made) | ast.AsyncFunctionDef(name=made) | ast.ClassDef(name=made):
                if not any(isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list):
                    definitions[made] = node
            case ast.Assign(targets=[ast.Name(id=made)]) | ast.AnnAssign(target=ast.Name(id=made)):
                definitions[made] = node
            case _:
                pass
    return _Module(text, definitions, imports)


def defined(module: str) -> frozenset[str]:
    """Return the names that a module defines."""
    return frozenset(_module(module).definitions)
