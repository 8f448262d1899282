"""An analysis with one change in its source: a private copy of `masdsl.bounds`, or `masdsl.trust`, beside the true one.

`analysis_with(mutant)` runs all modules of the room anew, the changed one among them, and gives back what they were in
the end; whoever holds the true modules notices nothing. `masdsl/sizes.py` is changed for the copy alone: the runtime
keeps the true formulas. `trust_with(mutant)` does the same for the other room.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import masdsl
from tests.harness.battery import Analysis

PACKAGE = Path(masdsl.__file__).parent
BOUNDS = (
    "sizes",
    "bounds.amounts",
    "bounds.result",
    "bounds.ways",
    "bounds.growth",
    "bounds.kinds",
    "bounds.clock",
    "bounds.parts",
    "bounds.runs",
    "bounds.shown",
    "bounds.prompts",
    "bounds.requests",
    "bounds.flows",
)
"""The modules that a bound is made of; each stands behind those that it uses."""
TRUST = tuple(
    f"trust.{name}" for name in ("labels", "policy", "results", "contexts", "expressions", "walk", "analysis", "check")
)
"""The modules that a judgement of trust is made of."""
ONLY_CHANGED = ("sizes",)
"""Modules that the copy has only where they are what is changed."""


class Judge(NamedTuple):
    """What it takes to say whether a program keeps a policy: see `tests.harness.interference`."""

    policy_of: Callable[..., Any]
    unproven: Callable[..., Any]
    analyse: Callable[..., Any]


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
            "Write the mutant anew (tests/test_bounds_mutants.py, test_trust.py) for what stands there now."
        )
    return source.replace(mutant.old, mutant.new)


@cache
def _true_code(name: str) -> CodeType:
    path = PACKAGE / f"{name.replace('.', '/')}.py"
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


def analysis_with(mutant: Mutant) -> Analysis:
    """Return `bounds.flows.bound` with a change. Raises Vanished."""
    with _changed(mutant, BOUNDS) as module:
        analysis: Analysis = module("bounds.flows").bound
    return analysis


def trust_with(mutant: Mutant) -> Judge:
    """Return `trust.analysis.analyse`, and what it is given, with a change. Raises Vanished."""
    with _changed(mutant, TRUST) as module:
        return Judge(module("trust.policy").policy_of, module("trust.check").unproven, module("trust.analysis").analyse)


@contextmanager
def _changed(mutant: Mutant, names: Sequence[str]) -> Iterator[Callable[[str], ModuleType]]:
    """Run the modules anew, one of them changed, and put everything back in the end."""
    changed = compile(source_of(mutant), mutant.file, "exec")
    own = mutant.file.removesuffix(".py").replace("/", ".")
    assert own in names, own
    for name in names:
        importlib.import_module(f"masdsl.{name}")
    kept: dict[str, ModuleType] = {}
    try:
        for name in names:
            if name != own and name in ONLY_CHANGED:
                continue
            full = f"masdsl.{name}"
            true = kept.setdefault(full, sys.modules[full])
            copy = ModuleType(full)
            copy.__file__, copy.__package__ = true.__file__, full.rpartition(".")[0]
            _place(full, copy)
            exec(changed if name == own else _true_code(name), copy.__dict__)
        yield lambda name: sys.modules[f"masdsl.{name}"]
    finally:
        for name, true in kept.items():
            _place(name, true)


def _place(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    setattr(sys.modules[package], last, module)
