"""What a program has to show before it becomes a module of the user's library.

It is checked like any program; the declaration that it is about says what it is for, and its tests use it and pass; it
imports only what is there wherever it is imported from; and where queries with answers are given, at least the stated
share of its answers is right. What the simplest system gives on the same queries is kept beside it (`fallback`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from masdsl.batch.base import Sample
from masdsl.check.program import Agent, Block, Flow, Program
from masdsl.check.uses import invokes, program_callees, right_sides, statements_of
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.library import AlreadyThere, ImportsBeside, NameTaken, NotDocumented, NotProved, NotTested
from masdsl.meta.evaluation import Answered, Evaluation, evaluate
from masdsl.meta.fallback import simplest
from masdsl.meta.host import Host
from masdsl.meta.library import Record, Taken, hash_of
from masdsl.meta.task import Task
from masdsl.node import Span
from masdsl.patch.order import declared, mentioned
from masdsl.runtime.meter import Limits
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.comments import attach
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_item, print_with_notes

SHARE: Final = 0.5
"""The share of right answers that a program needs where nobody states one."""
MOST_SAMPLES: Final = 10_000
"""Samples that a program may be run on, one after another."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Candidate(NamedTuple):
    """What is to become a module: its text, checked; the declaration `entry` that it is about; its name there."""

    source: Source
    tree: ast.Program
    program: Program
    entry: Flow | Agent
    name: str

    @property
    def span(self) -> Span:
        """Where the entry's name stands."""
        name = self.entry.name
        found = (item for item in self.tree.items if isinstance(item, ast.Flow | ast.Agent | ast.Variant))
        return next(item.name.span for item in found if item.name.text == name)

    @property
    def kind(self) -> str:
        """What the entry is, in a word."""
        return "flow" if isinstance(self.entry, Flow) else "agent"


class Proof(NamedTuple):
    """What a candidate showed on queries, what became of each, and what the simplest system showed."""

    evaluation: Evaluation
    answered: tuple[Answered, ...]
    simple: Evaluation | None = None
    simple_name: str = ""


def is_name(name: str) -> bool:
    """Whether a module can be called that, and imported by it."""
    findings = Findings()
    parse_program(Source("<use>", f"mas 1\nuse library.{name}: main as {name}\n"), findings)
    return _NAME.fullmatch(name) is not None and findings.ok


def only(source: Source, name: str) -> Source | None:
    """Return a program with one of its flows or agents, all that this uses, and the tests of these; None without it.

    Comments stay with what they belong to; budgets and `rectify` are those of whole programs and are left out.
    """
    parsed = parse_program(source, Findings())
    assert isinstance(parsed.document, ast.Program)
    items = parsed.document.items
    owner = {one: item for item in items for one in declared(item)}
    kept: set[int] = set()
    waiting = [owner[name]] if isinstance(owner.get(name), ast.Flow | ast.Agent | ast.Variant) else []
    if not waiting:
        return None
    while waiting:
        item = waiting.pop()
        if id(item) not in kept:
            kept.add(id(item))
            waiting += [owner[one] for one in mentioned(item) if one in owner]
    tests = [item for item in items if isinstance(item, ast.Test)]
    for test in tests:
        used = {id(owner[one]) for one in mentioned(test) if one in owner}
        if used and used <= kept:
            kept.add(id(test))
    notes = attach(parsed.document, source.text, parsed.comments)
    smaller = parsed.document.replace(items=tuple(item for item in items if id(item) in kept))
    return Source(source.name, print_with_notes(smaller, notes))


def candidate(source: Source, host: Host, findings: Findings, entry: str, name: str) -> Candidate | None:
    """Check a program and return it as a candidate; None, with findings, where it has errors or lacks the entry."""
    from masdsl.pipeline import check_source

    program = check_source(source, host.config, findings, priced=host.models is None)
    if program is None:
        return None
    own: list[Flow | Agent] = [*program.flows, *program.agents]
    found = next((one for one in own if one.name == entry and not one.module), None)
    tree = parse_program(source, Findings()).document
    if found is None or not isinstance(tree, ast.Program):
        return None
    return Candidate(source, tree, program, found, name)


# ---------------------------------------------------------------- what it has to show


def examine(one: Candidate, findings: Findings) -> int:
    """Report what a candidate lacks before anything is paid for, and return how many tests it passed."""
    from masdsl.testing import run_tests

    for item in one.tree.items:
        if isinstance(item, ast.Use) and item.path[0].text not in ("std", "library"):
            module = ".".join(part.text for part in item.path)
            findings.add(one.source, ImportsBeside(module, span=item.path[0].span.to(item.path[-1].span)))
    if not one.entry.doc.strip():
        findings.add(one.source, NotDocumented(one.kind, one.entry.name, span=one.span))
    if one.entry.name not in _tested(one.program):
        findings.add(one.source, NotTested(one.kind, one.entry.name, span=one.span))
    passed = 0
    for outcome in run_tests(one.program):
        passed += outcome.passed
        for failure in outcome.failures:
            findings.add(one.source, failure)
    return passed


def _tested(program: Program) -> set[str]:
    """Return the names of all flows and agents of a program's own module that its tests come to."""
    callees = program_callees(program)
    found: set[str] = set()
    waiting = [key for test in program.tests for key in _called(test.body)]
    seen: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        callee = callees[key]
        if not callee.module:
            found.add(callee.name)
        if isinstance(callee, Flow):
            waiting += _called(callee.body)
    return found


def _called(body: Block) -> list[str]:
    return [step.callee for side in right_sides(statements_of(body)) for step in invokes(side)]


def report_taken(one: Candidate, taken: Taken, findings: Findings) -> None:
    """Report that the library has the candidate's program, or its name, already."""
    fault = AlreadyThere(taken.name, span=one.span) if taken.same else NameTaken(taken.name, span=one.span)
    findings.add(one.source, fault)


async def prove(
    one: Candidate, samples: Sequence[Sample], share: float, host: Host, findings: Findings, *, compare: bool, seed: int
) -> Proof:
    """Run a candidate's entry, a flow, on samples; report where too few answers are right.

    With `compare`, the best of the simplest systems whose worst case takes no more calls is run on the same samples.
    """
    evaluation, answered = await evaluate(one.program, one.entry.key, samples, host, seed=seed)
    if evaluation.share < share:
        fault = NotProved(one.name, evaluation.right, evaluation.runs, share, span=one.span)
        findings.add(one.source, fault)
        return Proof(evaluation, answered)
    if not compare:
        return Proof(evaluation, answered)
    for name, text in simple_systems(one, host):
        program = host.check(text, Findings())
        if program is not None:
            key = next(flow.key for flow in program.flows if flow.name == "main" and not flow.module)
            simple, _ = await evaluate(program, key, samples, host, seed=seed)
            return Proof(evaluation, answered, simple, name)
    return Proof(evaluation, answered)


def simple_systems(one: Candidate, host: Host) -> Iterable[tuple[str, str]]:
    """Return the simplest systems under a candidate's signature that make no more calls than it does at worst."""
    from masdsl.bounds.flows import bound

    flow = next(item for item in one.tree.items if isinstance(item, ast.Flow) and item.name.text == one.entry.name)
    head = print_item(
        flow.replace(name=ast.Name("main"), budget=None, body=ast.Block(()), output=ast.Output(flow.output.type, None))
    )
    signature = " ".join(head.partition("{")[0].split())
    assert isinstance(one.entry, Flow)
    most = bound(one.program, {}, {}).flows[one.entry.key].needed.calls
    for name, text in simplest(Task("-", signature), one.entry):
        program = host.check(text, Findings(), Limits(calls=max(most, 1)))
        if program is None:
            continue
        main = next(flow for flow in program.flows if flow.name == "main" and not flow.module)
        if bound(program, {}, {}).flows[main.key].needed.calls <= max(most, 1):
            yield name, text


def record_of(one: Candidate, origin: str, tests: int, data: str, proof: Proof | None) -> Record:
    """Return the record of a candidate that has shown all that it has to."""
    return Record(
        hash=hash_of(one.tree),
        entry=one.entry.name,
        origin=origin,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        tests=tests,
        data=data,
        evaluation=None if proof is None else proof.evaluation,
        simple=None if proof is None else proof.simple,
        simple_name="" if proof is None else proof.simple_name,
    )
