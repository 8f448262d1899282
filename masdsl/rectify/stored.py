"""What the journal of a run says about its program: the texts it began with, and what patches have made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from masdsl.diagnostics.base import Finding, Findings
from masdsl.journal.base import Row, RunHeader
from masdsl.journal.errors import JournalDamaged
from masdsl.patch.identity import base_of
from masdsl.patch.patching import apply_patch
from masdsl.rectify.base import Intervention, Trigger
from masdsl.rectify.checks import PATCH_NAME, Ground, flow_named
from masdsl.rectify.kept import with_kept
from masdsl.rectify.remaining import Version
from masdsl.rectify.sources import source_of
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.trust.check import check_kept

PATCH, ASKED = "patch", "asked"
"""Kinds of rows: a patch that was applied; a rectifier that was asked, of whom no patch was applied."""


class StoredFaulty(Exception):
    """A stored program is no longer one under the present configuration; `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(one.diagnostic.title() for one in findings))
        self.findings = findings


class Stored(NamedTuple):
    """The versions of a run's program, the last one being in force, and its text; what rectifiers did so far."""

    source: Source
    versions: tuple[Version, ...]
    interventions: tuple[Intervention, ...]


def stored(header: RunHeader, rows: Sequence[Row], ground: Ground) -> Stored:
    """Return the program of a run as it was when the last row was written.

    Raises JournalDamaged where a patch does not fit the program before it, StoredFaulty where a version has errors
    under the present configuration.
    """
    source = source_of(header.program, header.sources)
    versions = [ground.begun or _version(source, header.flow, ground)]
    is_frozen = header.policy == "frozen"
    interventions = []
    for row in rows:
        asked = intervention_of(row)
        if asked is not None:
            interventions.append(asked)
        if row.kind == PATCH and "patch" in row.body:
            source = _patched(header.id, row, source)
            version = _version(source, header.flow, ground)
            if is_frozen:
                version = with_kept(version, versions[-1], row.body.get("aliases", {}), ground.config)
                findings = Findings()
                check_kept(version.program, ground.config, findings, version.kept)
                if not findings.ok:
                    raise StoredFaulty(findings.sorted())
            versions.append(version)
    return Stored(source, tuple(versions), tuple(interventions))


def _version(source: Source, flow: str, ground: Ground) -> Version:
    findings = Findings()
    program = ground.check(source, findings)
    if program is None or not findings.ok:
        raise StoredFaulty(findings.sorted())
    entry = flow_named(program, flow)
    assert entry is not None, "a run began with a flow that its program does not have"
    return Version(program, entry.key, ground.pricing(program))


def _patched(run: str, row: Row, source: Source) -> Source:
    findings = Findings()
    before = parse_program(source, findings).document
    assert isinstance(before, ast.Program)
    done = None
    if base_of(before) == row.body.get("base"):
        done = apply_patch(Source(PATCH_NAME, str(row.body.get("patch", ""))), source, findings)
    if done is None or base_of(done.program) != row.body.get("new"):
        raise JournalDamaged(run, row.seq, "its patch does not fit the program before it")
    return done.source


def intervention_of(row: Row) -> Intervention | None:
    """Return what a row says about a rectifier; None where it says nothing."""
    if row.kind not in (PATCH, ASKED) or "intervention" not in row.body:
        return None
    data = row.body["intervention"]
    known = {name: value for name, value in data.items() if name in Intervention._fields}
    known["trigger"] = Trigger(**data["trigger"])
    known["diagnostics"] = tuple(data.get("diagnostics", ()))
    return Intervention(**known)
