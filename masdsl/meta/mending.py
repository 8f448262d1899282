"""A designed system that failed in its run, mended by the rules of `masdsl.rectify`, without asking any model.

The rules are shown the system as a run that failed at its first attempt, and their patch is judged as every patch is.
Only what computes the value in another way counts: another model, another tool, fewer rounds, shorter replies. Rules
that invent a value, or leave a step out, are for runs that somebody pays for to the end; here the model that designs is
asked instead.
"""

from __future__ import annotations

from typing import NamedTuple

from masdsl.check.program import Limits as CheckedLimits
from masdsl.check.program import Program
from masdsl.meta.host import NAME, Host
from masdsl.rectify.base import Proposal
from masdsl.rectify.checks import Ground, Standing, Verdict, judge
from masdsl.rectify.durable import trigger_of
from masdsl.rectify.host import given_pricing, given_tiers
from masdsl.rectify.remaining import Version, left_of
from masdsl.rectify.rules import choose
from masdsl.rectify.state import State
from masdsl.runtime.failures import BudgetRefused, StepFailed
from masdsl.runtime.meter import Measures
from masdsl.source import Source


class Mended(NamedTuple):
    """The text of a mended program, empty where no rule helps, and what was done or why nothing was."""

    text: str
    reason: str


def mend_by_rules(
    text: str, program: Program, entry: str, host: Host, failure: StepFailed, at: str, left: Measures
) -> Mended:
    """Return a checked program as the rules change it after a failure, for a run from its beginning.

    `entry` is the key of its flow, `at` the address of the step that failed, as the program itself would call it,
    `left` what a run may still take.
    """
    models = host.models
    assert models is not None
    limits = CheckedLimits(left.calls, left.tokens, left.usd, left.seconds)
    ground = Ground(host.config, None, False, given_pricing(models, host.config), (limits,))
    standing = Standing(Source(NAME, text), Version(program, entry, ground.pricing(program)), (), (), {}, False)

    def dry(proposal: Proposal) -> Verdict:
        verdict = judge(ground, standing, proposal, trusted=True)
        return verdict._replace(accepted=verdict.accepted and not proposal.invents)

    limit = failure.limit if isinstance(failure, BudgetRefused) else ""
    state = State(
        trigger=trigger_of(program, entry, at, failure.reason, limit),
        standing=standing,
        inputs={},
        rest=standing.rest(),
        left=left_of((program.budget, limits), {}),
        tiers=given_tiers(models, host.config),
        granted=frozenset(host.tools or ()),
        tries_left=1,
        earlier=(),
        judge=dry,
    )
    chosen = choose(state)
    if isinstance(chosen, str):
        return Mended("", chosen)
    source = dry(chosen).source
    return Mended("" if source is None else source.text, chosen.reason)
