"""Which taints reach what, through a whole program: every flow, for every set of labels that it is called with.

The rules are those of type systems for secure information flow (Volpano, Irvine and Smith, 1996), for this language's
constructs: a value has the taints of all that it was made of; what a branch binds has those of its condition as well;
behind a way out of a flow or a loop everything has those of what decides about it; loops go to a fixpoint. What is
caught when it fails tells whoever follows that it failed, so there failures count too, and they count for every step
beside them, since steps run at the same time.

Not followed: how long something takes, and a failure that nothing catches, which ends the run (unless the policy says
that `endings` count).
"""

from __future__ import annotations

from masdsl.check.program import Flow, Program
from masdsl.check.uses import program_callees
from masdsl.trust.contexts import Context, Contexts, Given
from masdsl.trust.labels import MODEL, Label, Reason, Value
from masdsl.trust.policy import NOTHING, Policy, Unproven, entries
from masdsl.trust.results import Breach, Found, StepLabels
from masdsl.trust.walk import Surroundings, Walk


def analyse(program: Program, policy: Policy, unproven: Unproven) -> Found:
    """Return what reaches what when a run begins with any of the program's own flows."""
    brought = (*policy.brings.values(), *policy.inputs.values(), *policy.kept.values())
    every = frozenset((MODEL,)).union(*brought)
    tools = {tool.key: tool for tool in program.tools}
    around = Surroundings(policy, program_callees(program), tools, Contexts(every), unproven.flows)
    breaches: dict[tuple[object, ...], Breach] = {}
    steps: dict[tuple[str, str], StepLabels] = {}
    for flow in entries(program):
        waiting = around.contexts.waiting
        waiting.append(_first(flow, policy))
        while waiting:
            context = waiting[-1]
            if context.is_done:
                waiting.pop()
                continue
            is_tight = flow.key in unproven.entries and context.call is None
            walk = Walk(around, context, is_tight=is_tight)
            walk.run()
            if waiting[-1] is not context:
                continue  # what it calls comes first; then it is looked at again
            waiting.pop()
            context.is_done = True
            for step in walk.steps:
                key = (step.flow, step.step.path)
                steps[key] = step.with_those(steps[key]) if key in steps else step
            for breach, reason in walk.breaches:
                place = (breach.kind, breach.callee, breach.what, breach.module, breach.span, breach.taint)
                if place not in breaches:
                    breaches[place] = breach._replace(outer=context.outer(), trail=context.trail(breach.taint, reason))
    return Found(tuple(breaches.values()), steps)


def _first(flow: Flow, policy: Policy) -> Context:
    """Return the context of a flow that a run begins with."""
    values = {param.name: Value(_of_input(flow, param.name, policy)) for param in flow.params}
    return Context(flow, Given(values, guarded=policy.endings), None)


def _of_input(flow: Flow, param: str, policy: Policy) -> Label:
    taints = policy.inputs.get((flow.name, param), NOTHING)
    return {taint: Reason("input", param, flow.span, flow.module) for taint in sorted(taints)}
