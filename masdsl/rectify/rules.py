"""The rectifier that is built in: rules, tried in the order of a table that the cause of the trouble chooses.

cause         what is tried, in this order
timeout       another tier; a shorter reply; a default; without the step
overloaded    another tier; a default; without the step
refused       another tier; a default; without the step
malformed     another tier (dearer ones first); a default; without the step
too_long      another tier; fewer samples or rounds; a default; without the step
unavailable   another tier; a default; without the step
tool          another tool of the same type; a default; without the step
budget        usd: a cheaper tier; a shorter reply; fewer rounds or samples; without the step; a default
              calls, tokens, seconds: fewer rounds or samples; a shorter reply; without the step; a default
other         a default; without the step

another tier      `bind`: the tiers of the configuration in order of price, from the next dearer one upwards, then the
                  cheaper ones downwards; never one that was tried for this agent in this run
a cheaper tier    `bind`: the dearest of the cheaper tiers first; for the step's agent, then for the others
fewer rounds      `set .. times`, `set .. count`: as many as fit; around the step first, then elsewhere; all together
a shorter reply   `set .. max`: a half, a quarter, an eighth of what the agent may say
another tool      `replace`: a declared and granted tool with the same parameters and type of value, no new effect
a default         `otherwise`: the plainest literal of the step's type
without the step  `drop` where the program is still one without it, or the step's own input in its place

Each proposal is judged as any patch is (`checks.py`) before it is made; where it is refused, the next one is tried. The
last two bring a value that nobody computed, so they are judged as untrusted: they never reach a tool with an effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from masdsl import formats
from masdsl.check.program import Agent, Bind, Tool
from masdsl.diagnostics.base import Findings
from masdsl.patch.patching import read_patch
from masdsl.patch.places import find, options_of, statements_of
from masdsl.rectify.base import Cause, Proposal
from masdsl.rectify.capabilities import reached
from masdsl.rectify.checks import PATCH_NAME, Verdict
from masdsl.rectify.defaults import default_of
from masdsl.rectify.locate import Place, trail
from masdsl.rectify.remaining import COUNTED
from masdsl.rectify.state import State, Tier
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.print import print_expr, print_rhs

Rule: TypeAlias = Callable[["Case"], Iterator[Proposal]]

LEAST_MAX: Final = 16
"""Tokens below which no reply is cut by a rule."""


class RuleRectifier:
    """Repairs by the rules of this module. It asks no model, costs nothing, and gives the same for the same state."""

    name = "rules"
    trusted = True

    async def propose(self, state: State) -> Proposal | str:
        """Return the first patch of the table that would be accepted, or why there is none."""
        return choose(state)


def choose(state: State) -> Proposal | str:
    """Do what `RuleRectifier.propose` does."""
    if state.trigger.kind == "threshold" and _rest_fits(state):
        return "what is left of the program fits what is left of the budget at its worst"
    return next(proposals(state), f"no rule for the cause `{state.trigger.cause}` gives a patch that may be applied")


def proposals(state: State) -> Iterator[Proposal]:
    """Yield the patches of the table that would be accepted, the best first; those that only save some at last."""
    case, cause = Case(state), state.trigger.cause
    rules = TABLE[cause] if cause != "budget" else _USD if state.trigger.measure == "usd" else _OTHER_MEASURES
    is_last = state.tries_left == 1 and cause != "budget"
    if is_last and case.agent is not None and len(case.tried(case.agent)) > 1:
        rules = tuple(sorted(rules, key=lambda rule: rule in (other_tier, shorter)))  # no model seems to help
    later: list[Proposal] = []
    for proposal in (one for rule in rules for one in rule(case)):
        verdict = state.judge(proposal)
        if verdict.accepted and (cause != "budget" or _is_enough(verdict, state.trigger.measure)):
            yield proposal
        elif verdict.accepted and _is_less(verdict, state.trigger.measure):
            later.append(proposal)
    yield from later


def _rest_fits(state: State) -> bool:
    rest = state.rest.to_json()
    return all(room is None or (measure in COUNTED and rest[measure] <= room) for measure, room in state.left.items())


def _is_enough(verdict: Verdict, measure: str) -> bool:
    """Whether the measure in want is kept for sure; of seconds nothing is known, so less of everything has to do."""
    if measure in COUNTED:
        return verdict.fits.get(measure) == "proved"
    return _is_less(verdict, measure)


def _is_less(verdict: Verdict, measure: str) -> bool:
    if verdict.after is None:
        return False
    after, before = verdict.after, verdict.before
    if measure in COUNTED:
        return after.to_json()[measure] < before.to_json()[measure]
    return after.tokens < before.tokens or after.calls < before.calls


class Case:
    """A state, with what the rules look up in it."""

    def __init__(self, state: State) -> None:
        self.state = state
        program = state.program
        flow = program.flow(state.standing.now.entry)
        places = trail(program, flow, state.trigger.step)
        self.places = tuple(place for place in places if not place.flow.module)
        """The step that failed and the calls that lead to it, of the program's own module, the innermost first."""
        self.places = self.places[::-1]
        self.failing: Place | None = places[-1] if places else None
        self.document = state.document()
        self.head = f'patch 1 on "{state.base()}"\n'
        live = reached(program, flow.key)
        own = [agent for agent in program.agents if agent.key in live and not agent.module]
        callee = self.failing.step.callee if self.failing is not None else ""
        self.agents: tuple[Agent, ...] = tuple(sorted(own, key=lambda agent: agent.key != callee))
        """The agents that can be patched, the one of the step first."""
        self.flows = {one.name for one in program.flows if one.key in live and not one.module}

    def patch(self, edits: str, reason: str, *, invents: bool = False) -> Proposal:
        """Return a proposal with these edits, one a line."""
        return Proposal(f"{self.head}{edits}\n", reason, invents)

    @property
    def agent(self) -> Agent | None:
        """The agent of the step that failed, if it has one that can be patched."""
        step = None if self.failing is None else self.failing.step
        return next((agent for agent in self.agents if step is not None and agent.key == step.callee), None)

    def tier_of(self, agent: Agent) -> Tier | None:
        """Return the tier that an agent is on; None for a model of its own."""
        name = agent.model or "default"
        return None if agent.is_model_name else next((one for one in self.state.tiers if one.name == name), None)

    def tried(self, agent: Agent) -> set[str]:
        """Return the tiers that were tried for an agent in this run."""
        names = {agent.model or "default"}
        for version in self.state.standing.earlier:
            names |= {one.model or "default" for one in version.program.agents if one.key == agent.key}
        for earlier in self.state.earlier:
            parsed = read_patch(Source(PATCH_NAME, earlier.patch), Findings()) if earlier.patch else None
            for edit in parsed.document.edits if parsed and isinstance(parsed.document, ast.Patch) else ():
                if isinstance(edit, ast.BindEdit) and edit.assignment.role.text == agent.name:
                    model = edit.assignment.model
                    names.add(model.text if isinstance(model, ast.Name) else model.value)
        return names


# ---------------------------------------------------------------- rules


def _weight(tier: Tier) -> int:
    return 0 if tier.price is None else tier.price.input + tier.price.output


def other_tier(case: Case) -> Iterator[Proposal]:
    """Put the step's agent on another tier."""
    agent = case.agent
    if agent is None:
        return
    now = case.tier_of(agent)
    tried = case.tried(agent)
    used = {one.model for one in case.state.tiers if one.name in tried}
    ladder = sorted(case.state.tiers, key=_weight)
    at = ladder.index(now) if now is not None else 0
    start = 0 if now is None else at + 1
    for tier in (*ladder[start:], *(reversed(ladder[:at]) if now is not None else ())):
        if tier.name not in tried and tier.model not in used:
            used.add(tier.model)
            yield case.patch(f"bind {agent.name} = {tier.name}", f"`{agent.name}` goes to another model: {tier.model}")


def cheaper_tier(case: Case) -> Iterator[Proposal]:
    """Put an agent on a cheaper tier, the one of the step first; at last all of them on the cheapest."""
    ladder = sorted((one for one in case.state.tiers if one.price is not None), key=_weight)
    together = []
    prices = case.state.standing.now.rates.prices
    for agent in case.agents:
        price = prices.get(agent.key)
        cheaper = [] if price is None else [one for one in ladder if _weight(one) < price.input + price.output]
        for tier in reversed(cheaper):
            reason = f"`{agent.name}` goes to a cheaper model: {tier.model}"
            yield case.patch(f"bind {agent.name} = {tier.name}", reason)
        if cheaper:
            together.append(f"bind {agent.name} = {cheaper[0].name}")
    if len(together) > 1:
        yield case.patch("\n".join(together), "all agents go to the cheapest model")


def fewer(case: Case) -> Iterator[Proposal]:
    """Lower the count of a loop or of samples as little as will do, or all of them as far as it saves something."""
    counts = _counts(case)
    for address, name, count in counts:
        reason = f"`{address}` runs fewer times"

        def made(times: int, address: str = address, name: str = name, reason: str = reason) -> Proposal:
            return case.patch(f"set {address}.{name} = {times}", reason)

        yield from _most_that_fits(case, made, _done(case, address), count)
    lowest = [(f"{address}.{name}", min(_done(case, address), count), count) for address, name, count in counts]
    edits = [f"set {path} = {least}" for path, least, count in lowest if least < count]
    if len(edits) > 1:
        yield case.patch("\n".join(edits), "all loops and samples run no more often than they have, or once")


def _done(case: Case, address: str) -> int:
    """Return how many rounds of a loop, or samples, are behind the run: with fewer nothing is saved.

    It is known for those of the entry flow that are in no other loop, otherwise it is 1.
    """
    state = case.state
    entry = state.program.flow(state.standing.now.entry).name
    parts = address.split(".")
    if parts[0] != entry or any(
        isinstance(node, ast.Loop | ast.For) and address.startswith(f"{entry}.{inner}.")
        for item in case.document.items
        if isinstance(item, ast.Flow) and item.name.text == entry
        for inner, node in statements_of(item)
    ):
        return 1
    path, _, numbers = state.trigger.step.partition("[")
    inside = {
        one.indices[0] for one in state.standing.finished if one.indices and f"{one.path}.".startswith(f"{address}.")
    }
    done = max(inside, default=-1) + 1
    if path.startswith(f"{address}.") and numbers:
        done = int(numbers.rstrip("]").split(",")[0])  # the round of the trouble is not behind it
    return max(done, 1)


def _most_that_fits(case: Case, made: Callable[[int], Proposal], low: int, count: int) -> Iterator[Proposal]:
    """Yield the proposal with the greatest number below `count` that is enough, else the one with `low`."""

    def enough(times: int) -> bool:
        verdict = case.state.judge(made(times))
        return verdict.accepted and _is_enough(verdict, case.state.trigger.measure)

    high = count - 1
    if high < low:
        return
    if enough(low):
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if enough(middle) else (low, middle - 1)
    yield made(low)


def _counts(case: Case) -> list[tuple[str, str, int]]:
    """Return loops and samples with a number of more than 1: address, property, number; those around the step first."""
    found = []
    for item in case.document.items:
        if not isinstance(item, ast.Flow) or item.name.text not in case.flows:
            continue
        for inner, node in statements_of(item):
            address = f"{item.name.text}.{inner}"
            if isinstance(node, ast.Loop):
                name, count = "times", node.times
            elif isinstance(node, ast.Bind | ast.Return) and isinstance(node.value, ast.Sample):
                name, count = "count", node.value.count
            else:
                continue
            if isinstance(count, ast.IntLit) and count.value > 1:
                found.append((address, name, count.value))
    around = [place.statement.path for place in case.places]

    def is_elsewhere(one: tuple[str, str, int]) -> bool:
        return not any(path == one[0] or path.startswith(f"{one[0]}.") for path in around)

    return sorted(found, key=is_elsewhere)


def shorter(case: Case) -> Iterator[Proposal]:
    """Let agents say less, the one of the step first."""
    is_budget = case.state.trigger.cause == "budget"
    agents = case.agents if is_budget else case.agents[: case.agent is not None]
    tools = {tool.key: tool for tool in case.state.program.tools}
    for agent in agents:
        now = agent.max_tokens
        if now is None and agent.tools and agent.steps:
            forms = [_form(tools[key]) for key in agent.tools]
            now = formats.turn_tokens(forms, agent.returns)
        elif now is None:
            now = formats.reply_tokens(agent.returns)
        for part in (2, 4, 8):
            if now // part >= LEAST_MAX:
                yield case.patch(f"set {agent.name}.max = {now // part}", f"`{agent.name}` may say less")


def _form(tool: Tool) -> formats.ToolForm:
    return formats.ToolForm(tool.name, {param.name: param.type for param in tool.params}, tool.doc)


def other_tool(case: Case) -> Iterator[Proposal]:
    """Use another tool of the same type."""
    program = case.state.program
    tools = {tool.key: tool for tool in program.tools}
    place = case.failing
    if place is None or place.flow.module or place.step.kind != "tool":
        return
    failing = tools[place.step.callee]
    for tool in program.tools:
        if tool.key == failing.key or tool.module or tool.granted_as not in case.state.granted:
            continue
        if (tool.params, tool.returns) != (failing.params, failing.returns) or (tool.effect and not failing.effect):
            continue
        if tool.granted_as == failing.granted_as:
            continue
        path = place.statement.path
        value = with_callee(_right_side(case, path), failing.name, tool.name)
        yield case.patch(f"replace {path} = {print_rhs(value)}", f"`{tool.name}` in place of `{failing.name}`")


def _right_side(case: Case, path: str) -> ast.Rhs:
    node = find(case.document, tuple(ast.Name(part) for part in path.split("."))).node
    assert isinstance(node, ast.Bind | ast.Return)
    return node.value


def with_callee(value: ast.Rhs, old: str, new: str) -> ast.Rhs:
    """Return a right side in which `new` is called wherever `old` was."""
    match value:
        case ast.Call() if value.callee.text == old:
            return value.replace(callee=value.callee.replace(text=new))
        case ast.Fallback():
            return value.replace(options=tuple([with_callee(option, old, new) for option in value.options]))
        case ast.Sample() | ast.Each():
            return value.replace(body=with_callee(value.body, old, new))
        case _:
            return value


def default(case: Case) -> Iterator[Proposal]:
    """Give the step, or a call that leads to it, a default."""
    for place in case.places:
        literal = default_of(place.step.type)
        value = _right_side(case, place.statement.path)
        if literal is None or options_of(value)[-1] == literal:
            continue
        shown = print_expr(literal)
        reason = f"`{place.statement.path}` is {shown} where its step gives no value"
        yield case.patch(f"otherwise {place.statement.path} = {shown}", reason, invents=True)


def without(case: Case) -> Iterator[Proposal]:
    """Leave the step out, or pass its input on instead of its value."""
    for place in case.places:
        path = place.statement.path
        if isinstance(place.statement, Bind):
            yield case.patch(f"drop {path}", f"the program goes on without `{path}`", invents=True)
        value = _right_side(case, path)
        call = options_of(value)[0]
        if isinstance(value, ast.Sample | ast.Each) or not isinstance(call, ast.Call):
            continue
        kinds = dict(place.step.arguments)
        params = _params(case, place)
        for number, argument in enumerate(call.arguments):
            name = argument.name.text if argument.name is not None else params[number] if number < len(params) else ""
            if name in kinds and kinds[name].type == place.step.type:
                shown = print_expr(argument.value)
                yield case.patch(f"replace {path} = {shown}", f"`{path}` is what it works on: {shown}", invents=True)


def _params(case: Case, place: Place) -> list[str]:
    """Return the names of what a step calls with, in order; none for a flow with arguments that are no values."""
    program = case.state.program
    flows = {flow.key: flow for flow in program.flows}
    if place.step.kind == "flow":
        flow = flows[place.step.callee]
        return [] if flow.statics else [param.name for param in flow.params]
    params = {agent.key: agent.params for agent in program.agents} | {tool.key: tool.params for tool in program.tools}
    return [param.name for param in params[place.step.callee]]


_FAILED: Final[tuple[Rule, ...]] = (other_tier, default, without)
_USD: Final[tuple[Rule, ...]] = (cheaper_tier, shorter, fewer, without, default)
_OTHER_MEASURES: Final[tuple[Rule, ...]] = (fewer, shorter, without, default)

TABLE: Final[Mapping[Cause, tuple[Rule, ...]]] = {
    "timeout": (other_tier, shorter, default, without),
    "overloaded": _FAILED,
    "refused": _FAILED,
    "malformed": _FAILED,
    "too_long": (other_tier, fewer, default, without),
    "unavailable": _FAILED,
    "tool": (other_tool, default, without),
    "other": (default, without),
}
