"""What a step of a program looks like from outside: its traits, by which rules know it again in another program.

A place is a step of the program's own flows that calls an agent or a tool. Its traits are short texts:

    calls    agent, tool                    gives     the type of its value
    tier     the agent's tier or model      model     the model behind that here
    tool     what the tool is granted as    prompt    a digest of the callee's declaration
    else     yes, if its statement has a fallback, or its callee a default
    around   what it stands in: sample, each; loop, for, if, match, within; nothing at the top
    max, timeout, retries                   numbers of the agent or tool, none where nothing says it
    count, times                            draws of its statement, rounds of the loop around it
    name, ends                              the callee's name; yes, if its value is the flow's own
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from masdsl.check.program import (
    Agent,
    Each,
    Fallback,
    Flow,
    For,
    If,
    Loop,
    Match,
    Program,
    Return,
    Rhs,
    Sample,
    Tool,
    Within,
)
from masdsl.check.relations import show
from masdsl.check.uses import statements_of
from masdsl.rectify.capabilities import reached
from masdsl.rectify.locate import Place, step_statements, steps
from masdsl.rectify.state import Tier

DIGEST: Final = 12
"""Digits of a declaration's digest."""
NONE: Final = "none"
_WORDS: Final = {Loop: "loop", For: "for", If: "if", Match: "match", Within: "within"}


class Site(NamedTuple):
    """A place of a program: the address of its statement, the callee, its traits, the loop around it ('' if none)."""

    address: str
    place: Place
    callee: Agent | Tool
    traits: Mapping[str, str]
    loop: str


def sites_of(program: Program, entry: str, tiers: Sequence[Tier]) -> tuple[Site, ...]:
    """Return the places that a run of the flow with this key can come to, in order of the text."""
    live = reached(program, entry)
    own = [flow for flow in program.flows if flow.key in live and not flow.module and not flow.statics]
    found = [site_of(program, place, tiers) for flow in own for place in steps(flow)]
    return tuple(site for site in found if site is not None)


def site_of(program: Program, place: Place, tiers: Sequence[Tier]) -> Site | None:
    """Return a step as a place; None for one of another module, or that calls a flow."""
    callees: dict[str, Agent | Tool] = {one.key: one for one in program.agents}
    callees.update((one.key, one) for one in program.tools)
    callee = callees.get(place.step.callee)
    if place.flow.module or callee is None or callee.module:
        return None
    address = place.statement.path
    loop = _loop_around(place.flow, address)
    value = place.statement.value
    fallback = callee.has_default or isinstance(_body(value), Fallback)
    traits = {
        "calls": place.step.kind,
        "gives": show(place.step.type),
        "else": "yes" if fallback else "no",
        "around": _around(place.flow, value, address),
        "ends": "yes" if isinstance(place.statement, Return) else "no",
        "timeout": _shown(callee.timeout),
        "prompt": _digest(callee),
        "name": callee.name,
        "count": str(value.count) if isinstance(value, Sample) else NONE,
        "times": NONE if loop is None else str(loop.times),
    }
    if isinstance(callee, Agent):
        tier = callee.model or "default"
        model = next((one.model for one in tiers if one.name == tier and not callee.is_model_name), tier)
        traits |= {"tier": tier, "model": model, "max": _shown(callee.max_tokens), "retries": str(callee.retries)}
    else:
        traits |= {"tool": callee.granted_as}
    return Site(address, place, callee, traits, "" if loop is None else loop.path)


def _body(value: Rhs) -> object:
    return value.body if isinstance(value, Sample | Each) else value


def _around(flow: Flow, value: Rhs, address: str) -> str:
    if isinstance(value, Sample | Each):
        return "sample" if isinstance(value, Sample) else "each"
    around = [node for path, node in step_statements(flow) if address.startswith(f"{path}.")]
    words = [_WORDS[type(node)] for node in around if type(node) in _WORDS]
    return words[-1] if words else ""


def _loop_around(flow: Flow, address: str) -> Loop | None:
    loops = [
        node for node in statements_of(flow.body) if isinstance(node, Loop) and address.startswith(f"{node.path}.")
    ]
    return max(loops, key=lambda node: len(node.path), default=None)


def _shown(value: float | None) -> str:
    return NONE if value is None else f"{value:g}"


def _digest(callee: Agent | Tool) -> str:
    params = ", ".join(f"{one.name}: {show(one.type)}" for one in callee.params)
    said = callee.prompt if isinstance(callee, Agent) else callee.granted_as
    return sha256(f"{params} -> {show(callee.returns)}\n{said}".encode()).hexdigest()[:DIGEST]


def matches(guard: Mapping[str, str], traits: Mapping[str, str]) -> bool:
    """Whether a place has all that a guard asks for: the same text, or a number above or below one (`> 40`, `< 5`)."""
    return all(_holds(wanted, traits.get(name, "")) for name, wanted in guard.items())


def _holds(wanted: str, found: str) -> bool:
    sign, _, number = wanted.partition(" ")
    if sign not in ("<", ">"):
        return wanted == found
    try:
        limit, value = float(number), float(found)
    except ValueError:
        return False
    return value > limit if sign == ">" else value < limit
