"""Loads generated Python so that tracebacks and debuggers speak of the program that it was made of.

The marks of a generated file (`# mas:12`) say which line of which source every statement comes from. The loader puts
these lines on the syntax tree before it compiles it, under the source's name: what Python shows afterwards, breakpoints
included, are lines of the `.mas` file, at no cost while it runs. A file that is imported by Python itself works all the
same; its tracebacks show Python, with the marks.

A text is verified before anything of it is run, and sees none of Python's built-ins but the few that it needs.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

from masdsl import resources
from masdsl.source import Source
from masdsl.verify import VerificationError, verify
from masdsl.verify.forms import MAX_TEXT

OWN: Final = "mas"
"""How marks call the program's own source."""

_MARK = re.compile(r"  # ([a-z_][a-z0-9_.]*):([0-9]+)(?:  # fmt: skip)?$")
_BUILTINS = ("AssertionError", "__build_class__", "bool", "float", "int", "list", "str", "tuple")


class Place(NamedTuple):
    """A line of a source: the module's name as marks write it, and the line from 1."""

    module: str
    line: int


def load_module(
    text: str,
    sources: Mapping[str, Source] | None = None,
    name: str = "program",
    change: Callable[[ast.Module], Mapping[str, Any]] | None = None,
) -> ModuleType:
    """Return the module that a generated text defines; its `PROGRAM` is the program.

    `sources` are the texts of the program's modules by their names, its own under "", for tracebacks; a module that is
    not among them is looked for on disk by whoever prints a traceback. `name` becomes the module's `__name__`.
    `change` may change the tree once it is verified, and returns the names that it needs then.

    Raises:
        VerificationError: the text is no generated code.
    """
    tree = verify(text)
    added = {} if change is None else change(tree)
    known = {module or OWN: source for module, source in (sources or {}).items()}
    for source in known.values():
        _show(source)
    names = {module: source.name for module, source in known.items()}
    module = ModuleType(name)
    namespace = module.__dict__
    namespace["__builtins__"] = _limited_builtins()
    namespace.update(added)
    try:
        for code in compiled(text, tree, names, known):
            exec(code, namespace)  # verified above: nothing in it can do more than the runtime lets it
    except Exception as error:
        raise VerificationError("module", 1, f"what it declares makes no sense: {error}") from error
    return module


def load_file(path: str | os.PathLike[str]) -> ModuleType:
    """Return the module that a generated file (`x_mas.py`) defines; its `PROGRAM` is the program.

    Raises:
        OSError: the file cannot be read.
        VerificationError: it is no generated code.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        data = file.read(MAX_TEXT + 1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VerificationError("text", data[: error.start].count(b"\n") + 1, "not UTF-8") from None
    text = text.replace("\r\n", "\n")
    return load_module(text, _sources_beside(path, text), os.path.basename(path).removesuffix(".py"))


def places_of(text: str, tree: ast.Module) -> dict[int, Place]:
    """Return the places that the marks of a text name, by line of the text."""
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno is not None:
            hidden.update(range(node.lineno, node.end_lineno))
    found: dict[int, Place] = {}
    for number, line in enumerate(text.split("\n"), 1):
        mark = None if number in hidden or "#" not in line else _MARK.search(line)
        if mark is not None:
            found[number] = Place(mark[1], int(mark[2]))
    return found


def compiled(text: str, tree: ast.Module, names: Mapping[str, str], sources: Mapping[str, Source]) -> Iterator[Any]:
    """Yield code objects, to be run one after the other, whose positions are lines of the sources.

    One code object has one file name, so that each run of declarations from one source becomes one. `names` gives file
    names by module.
    """
    places = places_of(text, tree)
    group: list[ast.stmt] = []
    home = OWN
    for node in tree.body:
        module = next((place.module for place in _marks_within(node, places)), OWN)
        if group and module != home:
            yield _code(group, home, names)
            group = []
        home = module
        group.append(node)
        _relocate(node, places, sources.get(module))
    yield _code(group, home, names)


def _code(group: list[ast.stmt], home: str, names: Mapping[str, str]) -> Any:
    return compile(ast.Module(body=group, type_ignores=[]), names.get(home, f"<{home}>"), "exec", dont_inherit=True)


def _marks_within(node: ast.stmt, places: Mapping[int, Place]) -> Iterator[Place]:
    assert node.end_lineno is not None
    return (places[line] for line in range(node.lineno, node.end_lineno + 1) if line in places)


def _relocate(top: ast.stmt, places: Mapping[int, Place], source: Source | None) -> None:
    """Give every node below a statement of the module the line of its statement's mark.

    A statement without a mark has the line of the one before it. Columns span the whole line, since no part of it is
    more to blame than another.
    """
    line = 1
    pending: list[ast.stmt] = [top]
    while pending:
        node = pending.pop()
        blocks = [inner for block in _blocks_of(node) for inner in block]
        assert node.end_lineno is not None
        last = max(node.lineno, blocks[0].lineno - 1) if blocks else node.end_lineno
        line = next((places[number].line for number in range(node.lineno, last + 1) if number in places), line)
        start, end = _columns(source, line)
        inside = set(map(id, blocks))
        parts: list[Any] = [node]
        while parts:
            part = parts.pop()
            if hasattr(part, "lineno"):
                part.lineno = part.end_lineno = line
                part.col_offset, part.end_col_offset = start, end
            parts.extend(child for child in ast.iter_child_nodes(part) if id(child) not in inside)
        pending.extend(reversed(blocks))


def _blocks_of(node: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    for field in ("body", "orelse"):
        block = getattr(node, field, None)
        if block:
            yield block
    for inner in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield inner.body


def _columns(source: Source | None, line: int) -> tuple[int, int]:
    if source is None or line > source.line_count:
        return 0, 0
    text = source.line(line)
    return len(text) - len(text.lstrip()), len(text.encode("utf-8", "surrogatepass"))


# ---------------------------------------------------------------- what tracebacks show


def _show(source: Source) -> None:
    """Let tracebacks find the lines of a source, even one that is no file."""
    lines = [f"{line}\n" for line in source.text.split("\n")]
    linecache.cache[source.name] = (len(source.text), None, lines, source.name)


def _sources_beside(path: str, text: str) -> dict[str, Source]:
    """Return the sources of a generated file that can be found: beside it, or in the standard library."""
    folder = os.path.dirname(path)
    stem = os.path.basename(path).removesuffix(".py").removesuffix("_mas")
    names = {match[1] for line in text.split("\n") if (match := _MARK.search(line))}
    found: dict[str, Source] = {}
    for module in sorted(names):
        for candidate in _candidates(folder, stem, module):
            content = _read(candidate)
            if content is not None:
                found["" if module == OWN else module] = Source(candidate, content)
                break
    return found


def _candidates(folder: str, stem: str, module: str) -> Iterable[str]:
    if module == OWN:
        return (os.path.join(folder, f"{stem}.mas"),)
    first, *rest = module.split(".")
    if first == "std":
        file = f"{'.'.join(rest)}.mas"
        return (resources.find("stdlib", file),) if file in resources.names("stdlib", ".mas") else ()
    return (os.path.join(folder, *module.split(".")) + ".mas",)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8-sig", newline=None) as file:
            return file.read(MAX_TEXT)
    except (OSError, ValueError):
        return None


# ---------------------------------------------------------------- what generated code can reach


def _limited_builtins() -> dict[str, Any]:
    limited = {name: getattr(builtins, name) for name in _BUILTINS}
    limited["__import__"] = _import
    return limited


def _import(name: str, *rest: Any) -> ModuleType:
    if name not in ("typing", "masdsl.runtime", "masdsl.runtime.externs"):
        raise ImportError(f"generated code does not import {name}")
    return builtins.__import__(name, *rest)
