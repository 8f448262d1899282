"""From a checked program to its picture: the bare graph, with worst cases, models and labels of trust."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from masdsl.bounds.amounts import Amounts
from masdsl.bounds.flows import entry_flows
from masdsl.bounds.measures import MEASURES, lowest
from masdsl.bounds.rates import Rates
from masdsl.bounds.report import shown as in_units
from masdsl.bounds.requests import AgentCosts, Counts, tool_cost
from masdsl.bounds.result import Bounds, Part
from masdsl.check.program import Agent, Flow, Program, Tool
from masdsl.check.uses import program_callees
from masdsl.config import DEFAULT_TIER, Config
from masdsl.config.trust import UNTRUSTED as UNTRUSTED_LEVEL
from masdsl.graph import model
from masdsl.graph.frames import Step, Walked
from masdsl.graph.model import Cluster, Cost, Edge, Graph, Place, Role, Trust, Vertex
from masdsl.graph.sketch import TooLarge
from masdsl.graph.walk import walk
from masdsl.trust.analysis import analyse
from masdsl.trust.check import unproven
from masdsl.trust.policy import policy_of

ENOUGH: Final = 60
"""Vertices up to which flows are unfolded where nobody says how deep."""
DEEPEST: Final = 8
"""Levels of flows that are tried then."""


class NoFlow(LookupError):
    """There is no such flow to draw; `known` are those that there are."""

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__()
        self.known = tuple(dict.fromkeys(known))


class Known(NamedTuple):
    """What is known about a program beside itself: its bounds, its models' rates and tokenizers, its configuration."""

    bounds: Bounds
    rates: Rates
    counts: Counts
    config: Config


def make(program: Program, known: Known, *, flow: str | None = None, depth: int | None = None) -> Graph:
    """Return the picture of a flow, by default of those that a run may begin with.

    `depth` says how many levels of flows that are called are unfolded; by default as many as leave a picture of a size
    that can be looked at. Raises NoFlow, TooLarge.
    """
    flows = _chosen(program, flow)
    walked = walk(program, flows, depth) if depth is not None else _fitting(program, flows)
    labels = dict(_labels(program, known))
    costs = _Costs(program, known)
    callees = program_callees(program)
    vertices = tuple(
        _vertex(vertex, walked.steps.get(vertex.id), callees, known, costs, labels) for vertex in walked.vertices
    )
    clusters = _capped_clusters(tuple(_cluster(one, walked, costs, known) for one in walked.clusters))
    vertices = _with_waves(_capped(vertices, clusters), clusters, walked.edges)
    inputs = _inputs(program, flows, known)
    edges = _tainted(vertices, walked.edges, inputs)
    named = {step.node.callee for step in walked.steps.values()}
    first = known.bounds.flows[flows[0].key]
    limits = (flows[0].limits, program.budget, known.config.ceiling)
    budget = {
        measure: in_units(measure, allowed)
        for measure in MEASURES
        if (allowed := lowest(measure, *limits)) is not None and len(flows) == 1
    }
    return Graph(
        title=program.modules[0].source.name,
        vertices=vertices,
        clusters=clusters,
        edges=edges,
        roles=tuple(_role(agent, program, known) for agent in program.agents if agent.key in named),
        cost=_cost(first.most, first.seconds) if len(flows) == 1 else None,
        budget=budget,
        folded=walked.folded,
    )


def _chosen(program: Program, name: str | None) -> tuple[Flow, ...]:
    own = [flow for flow in program.flows if not flow.module]
    if name is not None:
        found = [flow for flow in own if name in (flow.key, flow.name)]
        if not found:
            raise NoFlow(flow.name for flow in own)
        return tuple(found)
    entries = entry_flows(program)
    chosen = [flow for flow in own if flow.key in entries] or own
    if not chosen:
        raise NoFlow(())
    return tuple(chosen)


def _fitting(program: Program, flows: tuple[Flow, ...]) -> Walked:
    best = walk(program, flows, 0)
    for depth in range(1, DEEPEST + 1):
        if not best.folded:
            break
        try:
            deeper = walk(program, flows, depth)
        except TooLarge:
            break
        if len(deeper.vertices) > ENOUGH:
            break
        best = deeper
    return best


# ---------------------------------------------------------------- costs


class _Costs:
    """The worst cases of statements, by the key of their flow and their address in it."""

    def __init__(self, program: Program, known: Known) -> None:
        self._known = known
        self._steps = AgentCosts(
            program, {key: rate.price for key, rate in known.rates.items() if rate.price}, known.counts
        )
        self._agents = {agent.key: agent for agent in program.agents}
        self._tools = {tool.key: tool for tool in program.tools}
        self._parts = {
            (key, part.path): part for key, bound in known.bounds.flows.items() for part in _all_parts(bound.parts)
        }

    def construct(self, flow: str, path: str) -> Cost | None:
        """Return the worst case of a loop or a slice; None in a branch that is not the dearest."""
        part = self._parts.get((flow, path))
        return None if part is None else _cost(part.most, part.seconds)

    def step(self, step: Step) -> Cost:
        """Return the worst case of a step in one run of its flow.

        What the analysis of bounds says of its statement counts where that is this step alone; otherwise (one of
        several options, a branch that is not the dearest) a step with inputs of the declared sizes, as often as it may
        happen.
        """
        part = self._parts.get((step.flow.key, step.node.path))
        if part is not None and part.what.rpartition(" ")[2] == self._name(step):
            return _cost(part.most, part.seconds)
        most, seconds = self._single(step)
        return _cost(most.times(step.times), seconds * step.times)

    def _name(self, step: Step) -> str:
        callee = step.node.callee
        named = self._agents.get(callee) or self._tools.get(callee)
        return callee if named is None else named.name

    def _single(self, step: Step) -> tuple[Amounts, int]:
        callee = step.node.callee
        if step.node.kind == "flow":
            bound = self._known.bounds.flows[callee]
            return bound.most, bound.seconds
        if step.node.kind == "agent":
            agent = self._agents[callee]
            found = self._steps.step(agent, tuple(param.type for param in agent.params))
        elif self._tools[callee].designs:
            found = self._steps.design(self._tools[callee], (step.flow.limits,))
        else:
            found = tool_cost(self._tools[callee])
        return found.range.most, found.seconds


def _all_parts(parts: tuple[Part, ...]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _all_parts(part.parts)


def _cost(most: Amounts, microseconds: int) -> Cost:
    return Cost(most.calls, most.tokens, most.usd, microseconds)


# ---------------------------------------------------------------- parts


def _vertex(
    vertex: Vertex,
    step: Step | None,
    callees: Mapping[str, Agent | Tool | Flow],
    known: Known,
    costs: _Costs,
    labels: Mapping[tuple[str, str], Trust],
) -> Vertex:
    if step is None:
        return vertex
    callee = callees[step.node.callee]
    vertex = vertex._replace(cost=costs.step(step), trust=labels.get((step.flow.key, step.node.path)))
    if isinstance(callee, Tool):
        notes = (*vertex.notes, *(("designed when it is due",) if callee.designs else ()))
        return vertex._replace(effect=callee.effect, notes=notes, model=callee.granted_as)
    if isinstance(callee, Flow):
        return vertex
    tier, name = _model(callee, known)
    notes = vertex.notes
    if callee.retries:
        notes = (f"retry {callee.retries}", *notes)
    return vertex._replace(tier=tier, model=name, notes=notes, declared=_declared(callee))


def _declared(agent: Agent) -> str:
    """Return what an agent's declaration says that is no part of a vertex, the prompt last."""
    said = [f"role {agent.role}"] if agent.role else []
    for word, amount in (("temp", agent.temperature), ("max", agent.max_tokens), ("timeout", agent.timeout)):
        if amount is not None:
            said.append(f"{word} {amount:g}")
    if agent.tools:
        said.append(f"steps {agent.steps}")
    return "\n".join((*said, agent.prompt))


def _model(agent: Agent, known: Known) -> tuple[str, str]:
    rate = known.rates.get(agent.key)
    name = "" if rate is None else rate.model
    return ("" if agent.is_model_name else agent.model or DEFAULT_TIER), name


def _role(agent: Agent, program: Program, known: Known) -> Role:
    tier, name = _model(agent, known)
    tools = {tool.key: tool.name for tool in program.tools}
    source = next(module.source for module in program.modules if module.name == agent.module)
    position = source.position(agent.span.start)
    place = Place(source.name, position.line, position.column)
    lent = tuple(tools[key] for key in agent.tools)
    return Role(agent.name, tier, name, agent.role or "", agent.temperature, agent.retries, lent, place)


def _cluster(cluster: Cluster, walked: Walked, costs: _Costs, known: Known) -> Cluster:
    if cluster.id in walked.steps:
        step = walked.steps[cluster.id]
        return cluster._replace(cost=costs.step(step), times=step.times)
    if cluster.id in walked.constructs:
        return cluster._replace(cost=costs.construct(*walked.constructs[cluster.id]))
    if cluster.kind == model.RUN:
        bound = known.bounds.flows[cluster.id]
        return cluster._replace(cost=_cost(bound.most, bound.seconds))
    return cluster


def _capped(vertices: tuple[Vertex, ...], clusters: tuple[Cluster, ...]) -> tuple[Vertex, ...]:
    """Return the vertices with no step dearer than what is around it: a flow that is called with short inputs costs
    less than one with inputs of any size, for which its own steps were worked out.
    """
    around = {cluster.id: cluster for cluster in clusters}
    return tuple(vertex._replace(cost=_cap(vertex.cost, vertex.cluster, around)) for vertex in vertices)


def _capped_clusters(clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """Return the clusters with none dearer than those around it, for the same reason."""
    around = {cluster.id: cluster for cluster in clusters}
    return tuple(cluster._replace(cost=_cap(cluster.cost, cluster.parent, around)) for cluster in clusters)


def _cap(cost: Cost | None, name: str, around: Mapping[str, Cluster]) -> Cost | None:
    while cost is not None and name:
        cluster = around[name]
        if cluster.cost is not None:
            cost = Cost(*(min(pair) for pair in zip(cost, cluster.cost, strict=True)))
        name = cluster.parent
    return cost


def _with_waves(
    vertices: tuple[Vertex, ...], clusters: tuple[Cluster, ...], edges: tuple[Edge, ...]
) -> tuple[Vertex, ...]:
    """Return the vertices, each with the number of steps in a row that it waits for."""
    parents = {cluster.id: cluster.parent for cluster in clusters}
    into: dict[str, list[str]] = {}
    for edge in edges:
        if not edge.back and edge.source != edge.target:
            into.setdefault(edge.target, []).append(edge.source)
    waves: dict[str, int] = {}
    found = []
    for vertex in vertices:
        around, name = [vertex.id], vertex.cluster
        while name:
            around.append(name)
            name = parents[name]
        wave = max((waves.get(source, 0) for part in around for source in into.get(part, ())), default=0)
        found.append(vertex._replace(wave=wave))
        behind = wave + (vertex.kind in model.STEPS)
        waves[vertex.id] = behind
        for name in around[1:]:
            waves[name] = max(waves.get(name, 0), behind)
    return tuple(found)


# ---------------------------------------------------------------- trust


def _labels(program: Program, known: Known) -> Iterator[tuple[tuple[str, str], Trust]]:
    """Yield the labels of steps by the key of their flow and their address in it, where trust is a question at all."""
    config = known.config
    if not program.tools and config.trust is None:
        return
    policy = policy_of(program, config)
    found = analyse(program, policy, unproven(program, known.bounds, config, priced=True))
    refused = {breach.step for breach in found.breaches if breach.outer is None}
    outer = {breach.outer for breach in found.breaches}
    for (key, path), one in found.steps.items():
        limit = policy.limits.get(one.step.callee, UNTRUSTED_LEVEL)
        yield (
            (key, path),
            Trust(
                decided=tuple(sorted(one.control)),
                given=tuple(sorted(one.given)),
                gives=tuple(sorted(one.gives)),
                takes="" if limit == UNTRUSTED_LEVEL else limit,
                refused=path in refused or one.step.span in outer,
            ),
        )


def _inputs(program: Program, flows: tuple[Flow, ...], known: Known) -> Mapping[str, tuple[str, ...]]:
    """Return the taints of the inputs of flows, by their vertices."""
    if known.config.trust is None:
        return {}
    policy = policy_of(program, known.config)
    return {
        f"{flow.key}({param.name})": tuple(sorted(policy.inputs.get((flow.name, param.name), ())))
        for flow in flows
        for param in flow.params
    }


def _tainted(
    vertices: tuple[Vertex, ...], edges: tuple[Edge, ...], inputs: Mapping[str, tuple[str, ...]]
) -> tuple[Edge, ...]:
    """Return the edges with the taints of what goes along them: those of the step that gave it, and through what only
    computes those of all that goes into that.
    """
    gives: dict[str, frozenset[str]] = {name: frozenset(taints) for name, taints in inputs.items()}
    passing = set()
    for vertex in vertices:
        if vertex.trust is not None:
            gives[vertex.id] = frozenset(vertex.trust.gives)
        elif vertex.kind not in model.STEPS:
            passing.add(vertex.id)
    changed = any(gives.values())
    while changed:
        changed = False
        for edge in edges:
            brought, has = gives.get(edge.source, frozenset()), gives.get(edge.target, frozenset())
            if edge.target in passing and edge.kind != model.LENDS and not brought <= has:
                gives[edge.target] = has | brought
                changed = True
    return tuple(
        edge._replace(taints=tuple(sorted(gives.get(edge.source, ())))) if edge.kind != model.LENDS else edge
        for edge in edges
    )
