"""What steps, agents and flows cost at worst, in a few words for an editor."""

from __future__ import annotations

from collections.abc import Iterator

from masdsl.bounds.amounts import Amounts
from masdsl.bounds.parts import added
from masdsl.bounds.requests import AgentCosts
from masdsl.bounds.result import FlowBound, Part
from masdsl.bounds.table import cell
from masdsl.check.program import Agent, Flow
from masdsl.check.uses import statements_of
from masdsl.diagnostics.bounds import amount
from masdsl.editor.facts import Facts
from masdsl.money import show_usd
from masdsl.node import Span
from masdsl.sizes import MICROSECONDS


def in_words(most: Amounts, seconds: int) -> str:
    """Return amounts in words: `18 calls, 41,400 tokens, 0.0312 USD, 930 s`. `seconds` are microseconds."""
    words = [amount("calls", most.calls), amount("tokens", most.tokens)]
    if most.usd:
        words.append(show_usd(most.usd))
    whole = seconds // MICROSECONDS if seconds % MICROSECONDS == 0 else seconds / MICROSECONDS
    return ", ".join((*words, f"{cell('seconds', whole)} s"))


def short(most: Amounts) -> str:
    """Return the calls and tokens of a step: `≤ 4 calls, 5,412 tokens`."""
    return f"≤ {amount('calls', most.calls)}, {amount('tokens', most.tokens)}"


def of_flow(flow: Flow, bound: FlowBound) -> str:
    """Return the least and the worst case of a flow in words."""
    made_for = f" (with {', '.join(f'{name} = {value}' for name, value in flow.statics)})" if flow.statics else ""
    return f"at most {in_words(bound.most, bound.seconds)}; at least {amount('calls', bound.least.calls)}{made_for}"


def step_parts(flow: Flow, bound: FlowBound) -> Iterator[tuple[Span, Part]]:
    """Yield the statements of a flow that cost something, with their share; not those of the flows that it calls.

    Statements of branches that are less dear than another one are among them, with what they cost where they run.
    """
    places = {(node.path, node.span) for node in statements_of(flow.body) if hasattr(node, "path")}
    found: dict[tuple[str, Span], Part] = {}
    waiting = list(bound.parts)
    while waiting:
        part = waiting.pop(0)
        key = part.path, part.span
        if key not in places:
            continue
        known = found.get(key)  # in some rounds of a loop its branch is the dearest, in others it is not
        found[key] = part if known is None else next(iter(added([((known, part), 1)])))
        waiting += (*part.parts, *part.others)
    for part in found.values():
        if part.most.tokens or part.most.calls:
            yield part.span, part


def of_agent(facts: Facts, agent: Agent) -> str:
    """Return what one step of an agent costs at most, for inputs as large as its parameters allow."""
    if facts.program is None:
        return ""
    costs = AgentCosts(facts.program, facts.prices, facts.counts)
    cost = costs.step(agent, tuple(param.type for param in agent.params))
    return f"a step: at most {in_words(cost.range.most, cost.seconds)}"


def of_step(facts: Facts, offset: int) -> str:
    """Return what the innermost statement around an offset costs at most, in all rounds of the loops around it."""
    best: Part | None = None
    for span, (flow, bound) in facts.flow_bounds().items():
        if span.start <= offset <= span.end:
            for place, part in step_parts(flow, bound):
                if place.start <= offset <= place.end and (best is None or place.start >= best.span.start):
                    best = part
    return "" if best is None else f"this step: at most {in_words(best.most, best.seconds)}"
