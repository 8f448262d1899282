"""What the analysis found, as diagnostics: at the argument or step, with the way from the source to it."""

from __future__ import annotations

from typing import Final

from masdsl.check.program import Agent, Flow, Program, Tool
from masdsl.check.uses import program_callees
from masdsl.config import Config, NoModel, find_model
from masdsl.config.trust import MOST_WORDS
from masdsl.diagnostics.base import Diagnostic, Findings, Label
from masdsl.diagnostics.trust import SecretShown, SecretTold, UntrustedAgent, UntrustedArgument, UntrustedChoice
from masdsl.node import Span
from masdsl.trust.labels import SECRET, UNTRUSTED, Reason
from masdsl.trust.policy import words_of
from masdsl.trust.results import Breach, Found

SHOWN: Final = 6
"""Steps of a trail that are shown: its beginning, and its end."""


def report(program: Program, config: Config, found: Found, findings: Findings) -> None:
    """Add a diagnostic for every breach, in the text of the program's own module."""
    source = program.modules[0].source
    callees = program_callees(program)
    shown = set()
    for breach in found.breaches:
        at = breach.span if breach.outer is None else breach.outer
        group = (breach.kind, breach.callee, breach.what, at, breach.taint.startswith(SECRET))
        if group in shown and not breach.taint.startswith(SECRET):
            continue  # untrusted as well as written by a model: said once
        shown.add(group)
        findings.add(source, _diagnostic(breach, callees[breach.callee], config, at))


def _diagnostic(breach: Breach, callee: Agent | Tool | Flow, config: Config, at: Span) -> Diagnostic:
    assert not isinstance(callee, Flow)
    granted = callee.granted_as if isinstance(callee, Tool) else _model(callee, config)
    trail = tuple(_labels(breach))
    source = _source(breach.trail[0]) if breach.trail else "what it is given"
    if breach.taint.startswith(SECRET):
        secret = breach.taint.removeprefix(SECRET)
        whom = f"`{callee.name}`" if isinstance(callee, Tool) else f"the model `{granted}` of `{callee.name}`"
        kind = SecretTold if breach.kind == "choice" else SecretShown
        return kind(whom, granted, source, breach.what, trail, secret, span=at)
    if breach.kind == "choice":
        return UntrustedChoice(callee.name, granted, source, "", trail, breach.taint, span=at)
    if breach.kind == "agent":
        return UntrustedAgent(callee.name, granted, source, breach.what, trail, breach.taint, span=at)
    param = next(param for param in callee.params if param.name == breach.what)
    words = words_of(param.type)
    choices = words if words is not None and words <= MOST_WORDS else None
    return UntrustedArgument(callee.name, granted, source, breach.what, trail, breach.taint, choices, span=at)


def _labels(breach: Breach) -> list[Label]:
    """Return the trail as remarks in the program's own text, in order; a long one without its middle."""
    steps = [reason for reason in breach.trail if not reason.module and not _is_said(reason, breach)]
    if len(steps) > SHOWN:
        steps = [steps[0], *steps[1 - SHOWN :]]
    return [Label(reason.span, f"{number}: {_remark(reason, breach.taint)}") for number, reason in enumerate(steps, 1)]


def _is_said(reason: Reason, breach: Breach) -> bool:
    """Whether a step is the one that the diagnostic stands at, and says nothing more."""
    return reason.span == breach.span and reason.kind in ("agent", "tool")


def _source(reason: Reason) -> str:
    if reason.kind == "input":
        return f"the input `{reason.name}`"
    return f"what `{reason.name}` gave" if reason.kind == "kept" else f"`{reason.name.rpartition(' ')[2]}`"


def _remark(reason: Reason, taint: str) -> str:
    name = f"`{reason.name}`"
    brings = "gives untrusted text" if taint == UNTRUSTED else "gives what a model wrote"
    if taint.startswith(SECRET):
        brings = f"gives the secret `{taint.removeprefix(SECRET)}`"
    match reason.kind:
        case "source":
            return f"{name} {brings}"
        case "lends":
            agent, _, tool = reason.name.partition(" ")
            return f"`{agent}` may use `{tool}`, which {brings}"
        case "input":
            secret = taint.startswith(SECRET)
            return f"the input {name} is {'secret' if secret else 'not trusted'}"
        case "model":
            return f"{name} is a model"
        case "kept":
            return "an earlier version of the program had it from elsewhere"
        case "agent":
            return f"{name} reads it"
        case "tool":
            return f"{name} is given it"
        case "flow":
            return f"it goes through {name}"
        case "bind":
            return f"{name} is made of it"
        case "asks":
            return "it decides this"
        case "fails":
            return "it decides whether this fails"
        case "late":
            return "it decides how much has begun if this fails"
        case _:
            return "it decides whether the budget has room for this"


def _model(agent: Agent, config: Config) -> str:
    try:
        return find_model(config, agent.model or "default", tier=not (agent.model and agent.is_model_name)).name
    except NoModel:
        return agent.model or "default"
