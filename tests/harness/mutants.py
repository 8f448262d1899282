"""The analysis with one change in its source: a private copy of `masdsl.bounds` beside the true one.

`analysis_with(mutant)` runs all modules of the room anew, the changed one among them, and gives back what they were in
the end; whoever holds the true modules notices nothing. `masdsl/sizes.py` is changed for the copy alone: the runtime
keeps the true formulas.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import masdsl
from tests.harness.battery import Analysis

PACKAGE = Path(masdsl.__file__).parent
ROOM = "masdsl.bounds"
COPIED = (
    "amounts",
    "result",
    "ways",
    "growth",
    "kinds",
    "clock",
    "parts",
    "runs",
    "shown",
    "prompts",
    "requests",
    "flows",
)
"""The modules that a bound is made of; each stands behind those that it uses."""


class Mutant(NamedTuple):
    """A replacement in a file of `masdsl/` of a text that occurs there exactly once."""

    file: str
    old: str
    new: str


class Vanished(AssertionError):
    """The text that a mutant replaces is not there (any more), or is there more than once."""


def source_of(mutant: Mutant) -> str:
    """Return the changed source. Raises Vanished."""
    source = (PACKAGE / mutant.file).read_text(encoding="utf-8")
    found = source.count(mutant.old)
    if found != 1:
        raise Vanished(
            f"masdsl/{mutant.file} has this text {found} times, a mutant needs it once: {mutant.old!r}\n"
            "Write the mutant anew (tests/test_bounds_mutants.py) for what stands there now."
        )
    return source.replace(mutant.old, mutant.new)


@cache
def _true_code(name: str) -> CodeType:
    path = PACKAGE / "bounds" / f"{name}.py"
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


def analysis_with(mutant: Mutant) -> Analysis:
    """Return `bounds.flows.bound` with a change. Raises Vanished."""
    changed = compile(source_of(mutant), mutant.file, "exec")
    with _private_copies() as run:
        if mutant.file == "sizes.py":
            run("masdsl.sizes", changed)
        for name in COPIED:
            run(f"{ROOM}.{name}", changed if mutant.file == f"bounds/{name}.py" else _true_code(name))
        analysis: Analysis = sys.modules[f"{ROOM}.flows"].bound
    return analysis


@contextmanager
def _private_copies() -> Iterator[Any]:
    """Give a function that runs a module's code under its name; put everything back in the end."""
    for name in COPIED:
        importlib.import_module(f"{ROOM}.{name}")
    kept: dict[str, ModuleType] = {}

    def run(name: str, code: CodeType) -> None:
        true = kept.setdefault(name, sys.modules[name])
        copy = ModuleType(name)
        copy.__file__, copy.__package__ = true.__file__, name.rpartition(".")[0]
        _place(name, copy)
        exec(code, copy.__dict__)

    try:
        yield run
    finally:
        for name, true in kept.items():
            _place(name, true)


def _place(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    setattr(sys.modules[package], last, module)
