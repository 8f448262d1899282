"""Answers about programs for coding agents. Nothing here runs a program, calls a model, or writes a file.

A program is a text, a file below one folder, or a text that is not saved yet, under the path of its file: then what it
imports is found beside it, and the configuration is that of the file's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.diagnostics.render import json_document, render_text, summary
from masdsl.fixes import State, mend
from masdsl.pipeline import Checked, check_source, cost_report
from masdsl.source import Source

UNSAVED: Final = "program.mas"
"""The name of a text that has no path."""
MOST_FINDINGS: Final = 20_000
"""Characters of rendered findings that are told."""


class BadQuestion(ValueError):
    """A question that cannot be answered; the text says what is wrong with it, and what to ask instead."""


class Asked(NamedTuple):
    """A program that is asked about, and the configuration that holds for it."""

    source: Source
    config: Config
    findings: Findings


class Root(NamedTuple):
    """The folder whose files may be asked about."""

    folder: str

    def read(self, program: str | None, path: str | None) -> Asked:
        """Return a program: its text, or that of its file. Raises BadQuestion."""
        if program is None and path is None:
            raise BadQuestion("no program is given; pass its text as `program`, or its `path` below the folder")
        findings = Findings()
        place = self._place(path if path is not None else UNSAVED)
        if program is None:
            from masdsl.reading import read_source

            source = read_source(place, findings)
            if source is None:
                raise BadQuestion(render_text(findings.sorted()).strip())
        else:
            source = Source(place, program)
        named = Source(os.path.relpath(place, self.folder), source.text) if path is None else source
        config = load_config(os.path.dirname(place), findings)
        return Asked(named if path is None else source, config, findings)

    def _place(self, path: str) -> str:
        if "\0" in path:
            raise BadQuestion("the path has a zero byte in it; pass a path below the folder")
        whole = os.path.realpath(os.path.join(self.folder, path))
        base = os.path.realpath(self.folder)
        if os.path.commonpath([whole, base]) != base:
            raise BadQuestion(f"`{path}` is outside of the folder; only files below it can be read: pass the text")
        return os.path.join(self.folder, os.path.relpath(whole, base))


def check(asked: Asked) -> dict[str, Any]:
    """Return all findings about a program, as text and as data, and whether it may be run."""
    check_source(asked.source, asked.config, asked.findings)
    return _told(asked.findings.sorted())


def _told(findings: tuple[Finding, ...]) -> dict[str, Any]:
    text = render_text(findings)
    if len(text) > MOST_FINDINGS:
        text = f"{text[:MOST_FINDINGS]}\n... cut; mend these first\n"
    document = json_document(findings)
    return {"ok": not document["errors"], "summary": summary(findings), "text": text, **document}


def cost(asked: Asked) -> dict[str, Any]:
    """Return what the flows of a program cost at least and at worst, statement by statement.

    Raises BadQuestion for a program with errors.
    """
    program = check_source(asked.source, asked.config, asked.findings)
    report = cost_report(Checked(asked.source, program, asked.config))
    if report is None:
        raise _refused(asked.findings)
    return report


def formatted(program: str) -> str:
    """Return a program in its canonical layout. Raises BadQuestion for one with syntax errors."""
    import masdsl

    try:
        return masdsl.format(program)
    except masdsl.ProgramError as fault:
        raise BadQuestion(render_text(fault.findings).strip()) from None


def fixed(asked: Asked, suggested: bool) -> dict[str, Any]:
    """Return a program after the changes that its diagnostics offer, and what is left to be mended by hand."""
    mended = mend(asked.source, _state(asked.config), suggested=suggested)
    applied = [one.diagnostic.title() for one in mended.applied]
    return {"program": mended.source.text, "applied": applied, **_told(mended.left)}


def _state(config: Config) -> Callable[[Source], State]:
    def check_text(source: Source) -> State:
        findings = Findings()
        program = check_source(source, config, findings)
        report = cost_report(Checked(source, program, config))
        most = None
        if report is not None:
            keys = ("calls", "tokens", "picodollars")
            most = {flow["flow"]: [flow["most"][key] for key in keys] for flow in report["flows"]}
        return State(findings.sorted(), most)

    return check_text


def patched(asked: Asked, patch: str) -> dict[str, Any]:
    """Return a program after a patch, and what it costs at worst before and after; nothing is written.

    Raises BadQuestion where the patch is refused, with the reasons.
    """
    from masdsl.patch.patching import apply_patch

    def check_text(source: Source, found: Findings) -> object:
        return check_source(source, asked.config, found)

    done = apply_patch(Source("patch", patch), asked.source, asked.findings, check_text)
    if done is None or not asked.findings.ok:
        raise _refused(asked.findings)
    worst = {name: _worst(source, asked.config) for name, source in (("before", asked.source), ("after", done.source))}
    return {"program": done.source.text, "worst_case": worst}


def _worst(source: Source, config: Config) -> dict[str, Any] | None:
    """Return the worst case of each flow that a run begins with; None for a program with errors."""
    report = cost_report(Checked(source, check_source(source, config, Findings()), config))
    return None if report is None else {flow["flow"]: flow["most"] for flow in report["flows"] if flow["entry"]}


def difference(before: str, after: str) -> str:
    """Return the smallest patch that makes one program of another. Raises BadQuestion."""
    import masdsl

    try:
        return masdsl.diff(Source("before", before), Source("after", after)).text
    except masdsl.ProgramError as fault:
        raise BadQuestion(render_text(fault.findings).strip()) from None
    except ValueError as fault:
        raise BadQuestion(str(fault)) from None


def pictured(asked: Asked, flow: str | None, depth: int | None) -> str:
    """Return the picture of a program as Mermaid: steps, data flow, loops, models, worst cases.

    Raises BadQuestion for a program with errors, a flow that is not there, and a picture that would be too large.
    """
    from masdsl.graph import mermaid
    from masdsl.graph.links import DEFAULT
    from masdsl.graph.make import NoFlow
    from masdsl.graph.sketch import LARGEST, TooLarge
    from masdsl.pipeline import graph

    program = check_source(asked.source, asked.config, asked.findings)
    try:
        drawn = graph(Checked(asked.source, program, asked.config), flow, depth)
    except NoFlow as missing:
        known = ", ".join(missing.known) or "none"
        raise BadQuestion(f"there is no flow `{flow or 'main'}` to be drawn; there are: {known}") from None
    except TooLarge:
        raise BadQuestion(f"the picture would have more than {LARGEST:,} parts; fold flows with depth 0") from None
    if drawn is None:
        raise _refused(asked.findings)
    return mermaid.render(drawn, DEFAULT)


def explained(code: str) -> str:
    """Return the page of a diagnostic; without a code, the list of all. Raises BadQuestion for one that is none."""
    from masdsl.diagnostics.catalogue import UnknownCode, explain, overview

    try:
        return explain(code) if code.strip() else overview()
    except UnknownCode as fault:
        raise BadQuestion(str(fault)) from None


def _refused(findings: Findings) -> BadQuestion:
    return BadQuestion(render_text(findings.sorted()).strip()[:MOST_FINDINGS])
