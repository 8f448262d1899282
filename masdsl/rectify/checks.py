"""Whether a proposed patch may be applied to a run: it is judged whole, before anything is changed.

1. It applies to the program, and what comes of it is a program without errors (PATCH and the checker say so).
2. The flow that runs keeps its inputs and its type of value.
3. It may do no more: `capabilities`. No budget is raised.
4. Nothing that an untrusted patch brings, or lets happen again, reaches a tool that not everything may decide about:
   `influence`. (The patched program as a whole is held to the host's policy by 1.)
5. The worst case of the rest fits what is left of the budget: `remaining`. That is `proved` for each measure, or a
   patch is refused; but one of a trusted rectifier may also pass where the program as it was did not fit either and
   the patch does not make it worse. Such a measure is `enforced`: the ledger refuses what goes beyond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from masdsl.check.modules import ModuleReader
from masdsl.check.program import Flow, Limits, Program
from masdsl.config import Config
from masdsl.diagnostics.base import Diagnostic, Finding, Findings
from masdsl.diagnostics.run import (
    PatchAsksForMore,
    PatchChangesEntry,
    PatchDoesNotFit,
    PatchRaisesBudget,
    PatchReachesEffect,
)
from masdsl.node import Span
from masdsl.patch.identity import base_of
from masdsl.patch.patching import apply_patch, read_patch
from masdsl.rectify.base import Proposal
from masdsl.rectify.capabilities import more_than, raised, shown
from masdsl.rectify.influence import Declarations, influence
from masdsl.rectify.kept import with_kept
from masdsl.rectify.moves import aliases_of
from masdsl.rectify.remaining import COUNTED, Pricing, Rest, StepCost, Version, left_of, rest
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.trust.check import check_kept
from masdsl.trust.policy import limited

PATCH_NAME = "<patch>"


class Ground(NamedTuple):
    """What a run stands on, whatever its program: the configuration, where modules and prices come from, limits.

    `priced` says whether models are those of the configuration. `limits` are budgets around the program's own. `begun`
    is the program that the run began with, where its text was checked on this ground already: to check it again for
    each of many runs takes longer than the runs.
    """

    config: Config
    read_module: ModuleReader | None
    priced: bool
    pricing: Pricing
    limits: tuple[Limits | None, ...]
    begun: Version | None = None

    def check(self, source: Source, findings: Findings) -> Program | None:
        """Check a program as it would be checked before a run."""
        from masdsl.pipeline import check_source

        return check_source(source, self.config, findings, self.read_module, priced=self.priced)


class Standing(NamedTuple):
    """Where a run stands: the version of the program that it goes by, the earlier ones, what is finished and spent.

    `finished` are the steps that it has come past since it last began at the top, by `now`.

    `spent` are amounts by measure (picodollars, microseconds).
    """

    source: Source
    now: Version
    earlier: tuple[Version, ...]
    finished: tuple[StepCost, ...]
    spent: Mapping[str, int]
    strict: bool

    def rest(self) -> Rest:
        """Return the worst case of what is left of the program as it is."""
        return rest(self.now, (*self.earlier, self.now), self.finished)


class Verdict(NamedTuple):
    """What is thought of a proposal. `source`, `version` and `document` are of the patched program, if it is accepted.

    `findings` say why it is refused; `fits` says for each limited measure `proved`, `enforced` or `over`.
    """

    accepted: bool
    findings: tuple[Finding, ...]
    before: Rest
    after: Rest | None
    left: Mapping[str, int | None]
    fits: Mapping[str, str]
    source: Source | None = None
    version: Version | None = None
    patch: ast.Patch | None = None
    base: str = ""
    new: str = ""


def flow_named(program: Program, name: str) -> Flow | None:
    """Return the flow of a program's own module that a run may begin with under this name."""
    own = (flow for flow in program.flows if flow.name == name and not flow.module and not flow.statics)
    return next(own, None)


def redone(patch: ast.Patch) -> tuple[str, ...]:
    """Return the addresses that a patch wants to be done again."""
    return tuple(".".join(part.text for part in edit.path) for edit in patch.edits if isinstance(edit, ast.RedoEdit))


def judge(ground: Ground, standing: Standing, proposal: Proposal, *, trusted: bool) -> Verdict:
    """Return whether a patch may be applied, and everything that speaks against it. Nothing is changed."""
    now = standing.now
    findings = Findings()
    origin = Source(PATCH_NAME, proposal.patch)
    before = standing.rest()
    left = left_of((now.program.budget, *ground.limits), standing.spent)
    refused = Verdict(False, (), before, None, left, {})
    parsed = read_patch(origin, findings)
    checked: list[Program] = []

    def check(source: Source, faults: Findings) -> None:
        program = ground.check(source, faults)
        if program is not None:
            checked.append(program)

    patched = apply_patch(origin, standing.source, findings, check) if parsed is not None else None
    if patched is None or not checked or parsed is None:
        return refused._replace(findings=findings.sorted())
    patch = parsed.document
    assert isinstance(patch, ast.Patch)
    whole = Span(patch.edits[0].span.start, patch.edits[-1].span.end) if patch.edits else Span(0, len(origin.text))
    program = checked[0]
    name = now.program.flow(now.entry).name
    entry, old_entry = flow_named(program, name), now.program.flow(now.entry)
    if entry is None or (entry.params, entry.returns) != (old_entry.params, old_entry.returns):
        findings.add(origin, PatchChangesEntry(name, span=whole))
        return refused._replace(findings=findings.sorted())
    version = Version(program, entry.key, ground.pricing(program))
    old_document = parse_program(standing.source, Findings()).document
    assert isinstance(old_document, ast.Program)
    moved = aliases_of(patch, old_document, name)
    again = redone(patch)
    anew = (*again, *(new for new, old in moved.items() if old in again))
    for fault in _faults(ground, standing, version, whole, anew, trusted=trusted and not proposal.invents):
        findings.add(origin, fault)
    if not standing.strict:
        version = with_kept(version, now, moved, ground.config)
        check_kept(version.program, ground.config, findings, version.kept)
    history = (*standing.earlier, now)
    after = rest(version, history, standing.finished, before=now, redo=again, strict=standing.strict)
    left = left_of((program.budget, now.program.budget, *ground.limits), standing.spent)
    fits = _fits(before, after, left, trusted)
    over = [measure for measure, how in fits.items() if how == "over"]
    if over:
        needed = after.to_json()
        told = tuple((measure, shown(measure, needed[measure]), shown(measure, left[measure] or 0)) for measure in over)
        findings.add(origin, PatchDoesNotFit(told, span=whole))
    verdict = refused._replace(findings=findings.sorted(), after=after, left=left, fits=fits)
    if not findings.ok:
        return verdict
    return verdict._replace(
        accepted=True,
        source=patched.source,
        version=version,
        patch=patch,
        base=base_of(old_document),
        new=base_of(patched.program),
    )


def _faults(
    ground: Ground, standing: Standing, version: Version, span: Span, redo: Sequence[str], *, trusted: bool
) -> Sequence[Diagnostic]:
    now = standing.now
    first = (standing.earlier or (now,))[0]
    found: list[Diagnostic] = []
    fixed = {tool.granted_as: tool.effect for tool in first.program.tools}
    more = tuple(dict.fromkeys(more_than(now.program, version.program, ground.config, fixed)))
    if more:
        found.append(PatchAsksForMore(more, span=span))
    higher = tuple(dict.fromkeys(raised(now.program, version.program)))
    if higher:
        found.append(PatchRaisesBudget(higher, span=span))
    if not trusted:
        limits = partial(limited, config=ground.config)
        # finished steps of an agent that was changed in any way are done again where the policy is strict
        counts: Declarations = "anything" if standing.strict else "content"
        reached = influence(now.program, version.program, version.entry, counts, limits, redo).effects
        if reached:
            found.append(PatchReachesEffect(reached, span=span))
    return found


def _fits(before: Rest, after: Rest, left: Mapping[str, int | None], trusted: bool) -> dict[str, str]:
    """Return how each limited measure is kept."""
    fits: dict[str, str] = {}
    was, needed = before.to_json(), after.to_json()
    for measure, room in left.items():
        if room is None:
            continue
        if measure not in COUNTED:
            fits[measure] = "enforced"
        elif needed[measure] <= room:
            fits[measure] = "proved"
        elif trusted and was[measure] > room and needed[measure] <= was[measure]:
            fits[measure] = "enforced"
        else:
            fits[measure] = "over"
    return fits
