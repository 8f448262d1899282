"""What a host's policy says about one program: which taints tools and inputs bring, and which ones a step may have.

Without `[trust]` in the configuration, what built-in tools and servers bring from outside is untrusted, what the host's
own functions give is as trusted as what they are given, and nothing untrusted may decide what a tool declared with
`effect` does. With it, whatever `[trust.sources]` does not name is untrusted (`grammar/spec.md`, section Trust).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from masdsl.check.program import Agent, Flow, Param, Program, Tool
from masdsl.config import Config, NoModel, find_model
from masdsl.config.trust import MODEL as MODEL_LEVEL
from masdsl.config.trust import TRUSTED, Trust
from masdsl.config.trust import UNTRUSTED as UNTRUSTED_LEVEL
from masdsl.trust.labels import MODEL, SECRET, UNTRUSTED
from masdsl.types import Bool, Enum, Optional, Type

OUTSIDE: Final = ("http", "mcp", "search", "read")
"""Kinds of grants that bring text which others have written."""
OWN: Final = ("sandbox", "calculator", "design")
"""Kinds of grants that only work out what follows from what they are given."""

_BRINGS: Final[Mapping[str, frozenset[str]]] = {
    TRUSTED: frozenset(),
    MODEL_LEVEL: frozenset((MODEL,)),
    UNTRUSTED_LEVEL: frozenset((UNTRUSTED,)),
}
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    TRUSTED: frozenset(),
    MODEL_LEVEL: frozenset((MODEL,)),
    UNTRUSTED_LEVEL: frozenset((MODEL, UNTRUSTED)),
}
NOTHING: Final[frozenset[str]] = frozenset()


class Policy(NamedTuple):
    """The policy for a program. Tools and agents go by their keys.

    `brings` are the taints of what a tool gives, `takes` those that may decide what a step does. `limits` are the
    levels behind `takes` of tools. `endorsed` are the parameters of tools that taints of integrity may choose.
    `inputs` are the taints of parameters of flows that a run begins with, by (name of the flow, parameter).
    `kept` are further taints of what steps give, by (key of the flow, address): a run that was patched goes on with it.
    """

    brings: Mapping[str, frozenset[str]]
    takes: Mapping[str, frozenset[str]]
    limits: Mapping[str, str]
    endorsed: Mapping[tuple[str, str], int]
    inputs: Mapping[tuple[str, str], frozenset[str]]
    endings: bool
    kept: Mapping[tuple[str, str], frozenset[str]] = {}

    @property
    def is_void(self) -> bool:
        """Whether no program of these tools and inputs can break it: nothing is brought that somebody may not take."""
        brought = self._brought()
        return all(brought <= takes for takes in self.takes.values())

    def _brought(self) -> frozenset[str]:
        found = frozenset((MODEL,)) if any(limit == TRUSTED for limit in self.limits.values()) else NOTHING
        return found.union(*self.brings.values(), *self.inputs.values(), *self.kept.values())


class Unproven(NamedTuple):
    """Keys of flows whose budget may run out: their own, and, where a run begins with them, that of the run."""

    flows: frozenset[str] = NOTHING
    entries: frozenset[str] = NOTHING


def policy_of(program: Program, config: Config) -> Policy:
    """Return what the policy of a configuration says about a program."""
    trust = config.trust
    secrets = frozenset(SECRET + secret.name for secret in trust.secrets) if trust else NOTHING
    limits = {tool.key: _limit(tool.granted_as, tool.effect, trust) for tool in program.tools}
    takes = {tool.key: _TAKES[limits[tool.key]] | _readable(trust, tool.granted_as) for tool in program.tools}
    for agent in program.agents:
        takes[agent.key] = _TAKES[UNTRUSTED_LEVEL] | (_readable(trust, *_models(agent, config)) if secrets else NOTHING)
    brings = {tool.key: _brings(tool, config, trust) for tool in program.tools}
    lent = NOTHING.union(*(brings[tool.key] for tool in for_designs(program, config)))
    brings |= {tool.key: brings[tool.key] | lent | {MODEL} for tool in program.tools if tool.designs}
    return Policy(
        brings=brings,
        takes=takes,
        limits=limits,
        endorsed=dict(_endorsed(program, trust)) if trust else {},
        inputs={
            (flow.name, param.name): _of_input(flow, param, trust) for flow in entries(program) for param in flow.params
        }
        if trust
        else {},
        endings=trust is not None and trust.endings,
    )


def entries(program: Program) -> tuple[Flow, ...]:
    """Return the flows that a run may begin with."""
    return tuple(flow for flow in program.flows if not flow.module and not flow.statics)


def limited(program: Program, config: Config) -> frozenset[str]:
    """Return the keys of the tools that not everything may decide about: what a model's patch brings may not."""
    limits = {tool.key: _limit(tool.granted_as, tool.effect, config.trust) for tool in program.tools}
    return frozenset(key for key, limit in limits.items() if limit != UNTRUSTED_LEVEL)


def for_designs(program: Program, config: Config) -> tuple[Tool, ...]:
    """Return the tools that a system may use which a model designs while the program runs.

    They have no effect, and anything may decide what they do: all that such a system does is a model's output.
    """
    return tuple(tool for tool in program.tools if is_for_designs(tool.granted_as, tool.effect, config))


def is_for_designs(granted_as: str, effect: bool, config: Config) -> bool:
    """Whether a system may use a tool which a model designs: see `for_designs`."""
    return not effect and _limit(granted_as, effect, config.trust) == UNTRUSTED_LEVEL


def without_limits(config: Config) -> Config:
    """Return a configuration under which nothing that a program does breaks its policy."""
    effects = dict.fromkeys(config.tools, UNTRUSTED_LEVEL)
    return config._replace(trust=Trust({}, effects, {}, {}, ()))


def words_of(kind: Type) -> int | None:
    """Return how many values a type has; None where they are many."""
    match kind:
        case Bool():
            return 2
        case Enum():
            return len(kind.words)
        case Optional():
            inner = words_of(kind.inner)
            return None if inner is None else inner + 1
        case _:
            return None


def _limit(granted_as: str, effect: bool, trust: Trust | None) -> str:
    usual = MODEL_LEVEL if effect else UNTRUSTED_LEVEL
    return trust.effects.get(granted_as, usual) if trust else usual


def _brings(tool: Tool, config: Config, trust: Trust | None) -> frozenset[str]:
    grant = config.tools.get(tool.granted_as)
    kind = "" if grant is None else grant.kind
    usual = UNTRUSTED_LEVEL if kind in OUTSIDE else TRUSTED if kind in OWN or trust is None else trust.unnamed
    if trust is None:
        return _BRINGS[usual]
    own = (SECRET + secret.name for secret in trust.secrets if tool.granted_as in secret.sources)
    return _BRINGS[trust.sources.get(tool.granted_as, usual)].union(own)


def _readable(trust: Trust | None, *names: str) -> frozenset[str]:
    """Return the secrets that somebody of these names may read."""
    if trust is None:
        return NOTHING
    return frozenset(
        SECRET + secret.name
        for secret in trust.secrets
        if any(name in secret.readers or name in secret.sources for name in names)
    )


def _models(agent: Agent, config: Config) -> tuple[str, ...]:
    """Return the names under which readers may name the model of an agent."""
    try:
        model = find_model(config, agent.model or "default", tier=not (agent.model and agent.is_model_name))
    except NoModel:
        return ()
    return (model.name,)


def _endorsed(program: Program, trust: Trust) -> list[tuple[tuple[str, str], int]]:
    found = []
    for tool in program.tools:
        for param in tool.params:
            most = trust.endorse.get((tool.granted_as, param.name))
            words = words_of(param.type)
            if most is not None and words is not None and words <= most:
                found.append(((tool.key, param.name), words))
    return found


def _of_input(flow: Flow, param: Param, trust: Trust) -> frozenset[str]:
    names = (f"{flow.name}.{param.name}", param.name)
    level = next((trust.inputs[name] for name in names if name in trust.inputs), TRUSTED)
    own = (SECRET + secret.name for secret in trust.secrets if any(name in secret.inputs for name in names))
    return _BRINGS[level].union(own)
