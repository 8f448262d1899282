"""What comes of asking a rectifier: the intervention as it is told, and the row that puts its patch in force."""

from __future__ import annotations

from typing import Any

from masdsl.diagnostics.base import ERROR
from masdsl.rectify.base import Intervention, Proposal
from masdsl.rectify.checks import PATCH_NAME, Verdict, redone
from masdsl.rectify.moves import aliases_of
from masdsl.rectify.state import State


def intervention_on(state: State, who: str, said: Proposal | str, verdict: Verdict | None) -> Intervention:
    """Return what came of asking `who` in a state: a proposal with what was thought of it, or why there is none."""
    asked = Intervention(
        trigger=state.trigger,
        who=who,
        patch="",
        reason=said if isinstance(said, str) else said.reason,
        accepted=False,
        before=state.rest.to_json(),
        left=dict(state.left),
    )
    if isinstance(said, str) or verdict is None:
        return asked
    return asked._replace(
        patch=said.patch,
        accepted=verdict.accepted,
        diagnostics=faults_in(verdict),
        after={} if verdict.after is None else verdict.after.to_json(),
        left=dict(verdict.left),
        fits=dict(verdict.fits),
        base=verdict.base,
        new=verdict.new,
    )


def patch_row(state: State, verdict: Verdict, asked: Intervention) -> dict[str, Any]:
    """Return the body of the row by which an accepted patch is in force."""
    assert verdict.patch is not None, "an accepted patch has been read"
    standing = state.standing
    return {
        "patch": asked.patch,
        "base": verdict.base,
        "new": verdict.new,
        "policy": "strict" if standing.strict else "frozen",
        "redo": list(redone(verdict.patch)),
        "aliases": aliases_of(verdict.patch, state.document(), state.program.flow(standing.now.entry).name),
        **asked_row(asked),
    }


def asked_row(asked: Intervention) -> dict[str, Any]:
    """Return the body of the row that a rectifier was asked of whom no patch is applied."""
    return {"intervention": asked.to_json()}


def faults_in(verdict: Verdict) -> tuple[str, ...]:
    """Return the errors that a patch was refused for, each on a line: `MAS921: ... (..)`."""
    told = []
    for source, diagnostic in verdict.findings:
        if diagnostic.severity == ERROR and not verdict.accepted:
            where = "" if source.name == PATCH_NAME else f" in {source.name}"
            label = diagnostic.label()
            told.append(f"{diagnostic.code}: {diagnostic.title()}{where}" + (f" ({label})" if label else ""))
    return tuple(told)
