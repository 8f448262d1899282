"""The programs of a batch: what each is, what it takes at most, and how a worker loads it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from masdsl.batch.base import Lineup, System
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.loaded import LoadedProgram, ProgramError
from masdsl.pipeline import Checked, check_file, cost_report
from masdsl.syntax import ast
from masdsl.syntax.canonical import program_hash
from masdsl.syntax.parse import parse_program

if TYPE_CHECKING:
    from masdsl.check.program import Flow, Program

STD: Final = "std."


class BadSystem(Exception):
    """A program that is to be run has no flow of that name; the text says which it has."""


def identity(program: Program) -> str:
    """Return what makes a program the same: its canonical hash, and those of the modules that it imports, if any.

    Modules of the standard library belong to masdsl's version and do not count.
    """
    hashes = {}
    for module in program.modules:
        if not module.name.startswith(STD):
            document = parse_program(module.source, Findings()).document
            assert isinstance(document, ast.Program), "a checked program has no syntax errors"
            hashes[module.name] = program_hash(document)
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return sha256("\n".join(f"{name} {one}" for name, one in sorted(hashes.items())).encode()).hexdigest()


def configured(path: str, tiers: Mapping[str, str], findings: Findings) -> Config:
    """Return the configuration of a program's folder with these models behind its tiers."""
    config = load_config(os.path.dirname(path), findings)
    return config._replace(tiers={**config.tiers, **tiers})


def config_of(path: str) -> Config:
    """Return the configuration of a program's folder. Raises ProgramError for one with mistakes."""
    findings = Findings()
    config = configured(path, {}, findings)
    if not findings.ok:
        raise ProgramError(findings.sorted())
    return config


def load(path: str, tiers: Mapping[str, str]) -> LoadedProgram:
    """Return a program under a lineup. Raises ProgramError."""
    checked = _checked(path, tiers)
    assert checked.program is not None
    return LoadedProgram(checked.program, checked.config, None, None)


def _checked(path: str, tiers: Mapping[str, str]) -> Checked:
    findings = Findings()
    config = configured(path, tiers, findings)
    checked = check_file(path, findings, config)
    if checked.program is not None and checked.program.tools:
        from masdsl.check.grants import compare_with_host

        compare_with_host(checked.program, config, None, findings)
    if checked.program is None or not findings.ok:
        raise ProgramError(findings.sorted())
    return checked


def key_of(loaded: LoadedProgram, flow: str) -> str:
    """Return the name under which the compiled program has a flow. Raises BadSystem."""
    if flow not in loaded.flows:
        raise BadSystem(f"it has no flow `{flow}`; it has {', '.join(loaded.flows) or 'none'}")
    keys = zip(loaded.checked.flows, loaded.compiled.flows, strict=True)
    return next(key for own, key in keys if own.name == flow and not own.module and not own.statics)


def entry_of(program: Program, flow: str | None) -> str:
    """Return the flow that is run: the one that is asked for, `main`, or the only one. Raises BadSystem."""
    from masdsl.bounds.flows import entry_flows

    own = [one.name for one in program.flows if not one.module and not one.statics]
    if flow is not None:
        if flow not in own:
            raise BadSystem(f"it has no flow `{flow}`; it has {', '.join(own) or 'none'}")
        return flow
    entries = [program.flow(key).name for key in entry_flows(program)]
    if len(entries) == 1:
        return entries[0]
    if entries:
        raise BadSystem(f"it has several flows and none is called `main`; choose one with --flow: {', '.join(entries)}")
    raise BadSystem("it has no flow that can be run")


def describe(name: str, path: str, flow: str | None, lineups: Iterable[Lineup]) -> tuple[System, Flow]:
    """Return a program as a system of a batch, with what a run of it takes at most under any of the lineups; its flow.

    A measure that nothing bounds is None: money where an agent's model has no price; every measure where the run may
    be repaired by patches, whose worst case is no part of the program's.

    Raises ProgramError for one with errors, BadSystem for a flow that it does not have.
    """
    path = os.path.abspath(path)
    most: list[Mapping[str, Any]] = []
    program = None
    entry = ""
    for lineup in lineups:
        checked = _checked(path, lineup.tiers)
        program = checked.program
        assert program is not None
        entry = entry_of(program, flow)
        report = cost_report(checked)
        assert report is not None
        [found] = [one for one in report["flows"] if one["flow"] == entry]
        unpriced = any(agent["input_price"] is None for agent in report["agents"])
        rectified = program.rectify is not None
        most.append(
            {
                "calls": None if rectified else found["most"]["calls"],
                "tokens": None if rectified else found["most"]["tokens"],
                "picodollars": None if rectified or unpriced else found["most"]["picodollars"],
            }
        )
    assert program is not None, "a batch has at least one lineup"
    worst = {key: None if any(one[key] is None for one in most) else max(one[key] for one in most) for key in most[0]}
    own = next(one for one in program.flows if one.name == entry and not one.module and not one.statics)
    return System(name, path, entry, identity(program), **worst), own
