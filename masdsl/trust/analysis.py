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

from collections.abc import Iterator, Sequence

from masdsl.check.program import Flow, Param, Program
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
    steps: dict[tuple[str, str], StepLabels] = {}
    done: list[tuple[Context, Walk]] = []
    for flow in entries(program):
        waiting = around.contexts.waiting
        waiting.append(_first(flow, policy))
        while waiting:
            context = waiting[-1]
            if context.is_done:
                waiting.pop()
                continue
            walk = Walk(around, context, is_tight=context.is_first and flow.key in unproven.entries)
            walk.run()
            if waiting[-1] is not context:
                continue  # what it calls comes first; then it is looked at again
            waiting.pop()
            context.is_done = True
            done.append((context, walk))
            for step in walk.steps:
                key = (step.flow, step.step.path)
                steps[key] = step.with_those(steps[key]) if key in steps else step
    return Found(tuple(_breaches(done)), steps)


def _breaches(done: Sequence[tuple[Context, Walk]]) -> Iterator[Breach]:
    """Yield the breaches of all contexts, each once at one place of the program's own text."""
    seen = set()
    for context, walk in done:
        for breach, reason in walk.breaches:
            for way in context.ways():
                outer = way[-1].step.span if way else None
                place = (breach.kind, breach.callee, breach.what, breach.module, breach.span, breach.taint, outer)
                if place not in seen:
                    seen.add(place)
                    yield breach._replace(outer=outer, trail=context.trail(breach.taint, reason, way))


def _first(flow: Flow, policy: Policy) -> Context:
    """Return the context of a flow that a run begins with."""
    values = {param.name: Value(_of_input(flow, param, policy)) for param in flow.params}
    return Context(flow, Given(values, guarded=policy.endings), is_first=True)


def _of_input(flow: Flow, param: Param, policy: Policy) -> Label:
    taints = policy.inputs.get((flow.name, param.name), NOTHING)
    return {taint: Reason("input", param.name, param.span, flow.module) for taint in sorted(taints)}
