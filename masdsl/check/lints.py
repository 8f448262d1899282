"""Lints: what a sound program probably does not mean. They run on a program without errors, on its own module only."""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.check.lint_flows import dead_values, effectful
from masdsl.check.lint_names import insertions_in_texts, single_braces, unreachable_statements, unused_names
from masdsl.check.lint_values import branches_on_text, clipped_values, pointless_untils, same_samples
from masdsl.check.program import Program
from masdsl.check.uses import scan
from masdsl.config import Config
from masdsl.diagnostics.base import ERROR, WARNING, Diagnostic, Findings
from masdsl.diagnostics.lints import Lint, at_severity
from masdsl.source import Source
from masdsl.syntax import ast

OFF = "off"


def run_lints(program: Program, document: ast.Program, findings: Findings, config: Config) -> None:
    """Add what the lints find in a checked program and in the tree of its own module.

    The configuration gives a lint's name (`Lint.lint`) the level `off`, `warning` or `error`; others are warnings, and
    so are those that it allows in this program.
    """
    source = program.modules[0].source
    levels, allowed = config.lints, config.allowed(source.name)
    for found in _all(program, document, source):
        level = levels.get(found.lint, found.severity) if isinstance(found, Lint) else found.severity
        if found.code in allowed and level == ERROR:
            level = WARNING
        if level != OFF:
            findings.add(source, at_severity(found, level))


def _all(program: Program, document: ast.Program, source: Source) -> Iterator[Diagnostic]:
    yield from unused_names(document, source)
    yield from unreachable_statements(document)
    yield from single_braces(document, source)
    yield from insertions_in_texts(document, source)
    effects = effectful(program)
    for flow in program.flows:
        if not flow.module:
            scanned = scan(flow)
            yield from dead_values(program, scanned, effects)
            yield from pointless_untils(scanned)
            yield from branches_on_text(scanned)
            yield from clipped_values(program, scanned)
            yield from same_samples(program, scanned)
