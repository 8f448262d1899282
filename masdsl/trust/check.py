"""The check of trust: a program against the policy of its host."""

from __future__ import annotations

from collections.abc import Mapping

from masdsl.bounds.measures import MEASURES, AnyLimits, limit, value
from masdsl.bounds.result import Bounds, FlowBound
from masdsl.check.program import Program
from masdsl.config import Config
from masdsl.diagnostics.base import Findings
from masdsl.trust.policy import Policy, Unproven, entries, policy_of


def check_trust(program: Program, bounds: Bounds, config: Config, findings: Findings, *, priced: bool) -> None:
    """Report what untrusted text decides that it may not decide, and secrets that reach those who may not read them.

    `bounds` are those of the program; with `priced` false they say nothing of USD.
    """
    policy = policy_of(program, config)
    if not policy.is_void:
        _report(program, config, policy, unproven(program, bounds, config, priced=priced), findings)


def check_kept(
    program: Program, config: Config, findings: Findings, kept: Mapping[tuple[str, str], frozenset[str]]
) -> None:
    """Report the same for a program that goes on with values of earlier versions, which have the taints `kept` too.

    What budgets allow does not depend on that, and is not looked at again.
    """
    own = policy_of(program, config)
    policy = own._replace(kept={place: taints for place, taints in kept.items() if taints})
    if policy.kept and not policy.is_void:
        _report(program, config, policy, Unproven(), findings)


def _report(program: Program, config: Config, policy: Policy, may_run_out: Unproven, findings: Findings) -> None:
    from masdsl.trust.analysis import analyse  # most programs come not so far
    from masdsl.trust.report import report

    report(program, config, analyse(program, policy, may_run_out), findings)


def unproven(program: Program, bounds: Bounds, config: Config, *, priced: bool) -> Unproven:
    """Return which flows have a budget that may run out: there a step may be refused because of what others took."""
    flows, first = set(), set()
    begun = {flow.key for flow in entries(program)}
    for flow in program.flows:
        bound = bounds.flows[flow.key]
        if _may_run_out(flow.limits, bound, priced, own=True):
            flows.add(flow.key)
        around = (program.budget, config.ceiling)
        if flow.key in begun and any(_may_run_out(limits, bound, priced, own=False) for limits in around):
            first.add(flow.key)
    return Unproven(frozenset(flows), frozenset(first))


def _may_run_out(limits: AnyLimits | None, bound: FlowBound, priced: bool, *, own: bool) -> bool:
    amounts, seconds = (bound.needed, bound.needed_seconds) if own else (bound.most, bound.seconds)
    for measure in MEASURES:
        allowed = limit(limits, measure)
        if allowed is not None and (value(amounts, seconds, measure) > allowed or (measure == "usd" and not priced)):
            return True
    return False
