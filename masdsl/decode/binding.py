"""Bindings under a grammar: a line for each open role of a template, with a tier that the pool has.

    phi: R -> L,  phi ~ pi_imp( . | M_temp)          arXiv 2509.24323, equation 3

Each line is checked in the program that the template and the binding make, its other roles on the pool's cheapest tier:
a tier after which nothing fits the budget any more is not offered again for that role. So a binding that is begun can
always be ended, and what it ends with is sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from masdsl.check.modules import ModuleReader
from masdsl.config import Config
from masdsl.decode.bnf import narrowed, read_bnf, text
from masdsl.decode.draft import Refused, is_fault
from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.write import TRIES, Growing, PieceModel, Written, grown
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.patch.binding import bind
from masdsl.patch.properties import get
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program

_HEAD: Final = "bind 1\n"


class NoTier(ValueError):
    """No tier of the pool makes a sound program of a template. `findings` say why, for the one that comes nearest."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.diagnostic.title() for finding in findings) or "the pool has no tier")
        self.findings = findings


class BindingDraft(NamedTuple):
    """A binding that is being written: `lines` stand, `roles` are still to come, in the order of the template.

    `cheapest` is the tier that those would get now; `offered` are the tiers that the next role may have.
    """

    template: Source
    config: Config
    read_module: ModuleReader | None
    tiers: tuple[str, ...]
    cheapest: str
    lines: tuple[str, ...]
    roles: tuple[str, ...]
    offered: tuple[str, ...]


async def write_binding(
    template: Source,
    tiers: Sequence[str],
    model: PieceModel,
    config: Config,
    *,
    read_module: ModuleReader | None = None,
    tokens: int,
    seed: int = 0,
    tries: int = TRIES,
) -> Written:
    """Let a model assign a tier to every open role of a template, in at most `tokens` tokens.

    Roles that it does not come to get the cheapest tier. A template without open roles has the empty text. Raises
    NoTier where no tier fits, ModelError as the model does.
    """
    draft = begin_binding(template, tiers, config, read_module)
    return await grown(BINDING, draft, model, tokens=tokens, seed=seed, tries=tries)


def begin_binding(
    template: Source, tiers: Sequence[str], config: Config, read_module: ModuleReader | None = None
) -> BindingDraft:
    """Return the draft of a binding that assigns nothing yet. Raises NoTier, also where the template has errors."""
    findings = Findings()
    parsed = parse_program(template, findings)
    if not parsed.ok:
        raise NoTier(tuple(findings.sorted()))
    assert isinstance(parsed.document, ast.Program)
    pool = tuple(dict.fromkeys(tiers))
    draft = BindingDraft(template, config, read_module, pool, "", (), open_roles(parsed.document), pool)
    if not draft.roles:
        return draft
    looks = [_look(draft._replace(cheapest=tier)) for tier in pool]
    if not any(look.faults == () for look in looks):
        raise NoTier(min((look.faults for look in looks), key=len, default=()))
    best = min(range(len(pool)), key=lambda at: (bool(looks[at].faults), looks[at].picodollars, at))
    return _offering(draft._replace(cheapest=pool[best]))


def open_roles(template: ast.Program) -> tuple[str, ...]:
    """Return the names of the agents that have no model."""
    agents = (item for item in template.items if isinstance(item, ast.Agent | ast.Variant))
    return tuple([agent.name.text for agent in agents if get(agent, "on") is None])


def _offering(draft: BindingDraft) -> BindingDraft:
    """Return the draft with the tiers that the next role may have."""
    if not draft.roles:
        return draft._replace(offered=())
    fitting = (
        tier for tier in draft.tiers if tier == draft.cheapest or not _look(_with(draft, draft.roles[0], tier)).faults
    )
    return draft._replace(offered=tuple(fitting))


def _with(draft: BindingDraft, role: str, tier: str) -> BindingDraft:
    return draft._replace(lines=(*draft.lines, f"{role} = {tier}\n"), roles=draft.roles[1:])


def _next(draft: BindingDraft) -> PieceGrammar | None:
    bnf = narrowed(
        read_bnf("binding")._replace(start="assignment"),
        {
            "agent_ref": [(text(draft.roles[0]),)],
            "bound_model_ref": [(text(tier),) for tier in draft.offered],
        },
    )
    return PieceGrammar(bnf, {})


def _fed(draft: BindingDraft, piece: str) -> BindingDraft:
    role, _, tier = (part.strip() for part in piece.partition("="))
    if role != draft.roles[0] or tier not in draft.offered:
        raise Refused(_look(_with(draft, role, tier)).faults)
    return _offering(_with(draft, role, tier))


def _closed(draft: BindingDraft) -> str:
    """Return the binding with the roles that are left on the cheapest tier."""
    lines = (*draft.lines, *(f"{role} = {draft.cheapest}\n" for role in draft.roles))
    return _HEAD + "".join(lines) if lines else ""


class _Look(NamedTuple):
    faults: tuple[Finding, ...]
    picodollars: float


def _look(draft: BindingDraft) -> _Look:
    """Check the program that the draft is with the cheapest tier for what is left, and tell what it may cost."""
    from masdsl.bounds.flows import bound
    from masdsl.bounds.rates import prices_in, rates_of
    from masdsl.pipeline import check_source

    findings, costs = Findings(), [float("inf")]

    def check(source: Source, faults: Findings) -> None:
        program = check_source(source, draft.config, faults, draft.read_module)
        for one in faults.sorted():
            if is_fault(one) and one.diagnostic.severity != ERROR:  # an error is told by `bind`
                findings.add(one.source, one.diagnostic)
        if program is not None:
            bounds = bound(program, prices_in(rates_of(program, draft.config, Findings())))
            costs.append(sum(bounds.flows[key].most.usd for key in bounds.entries))

    bind(Source("<binding>", _closed(draft)), draft.template, findings, check)
    return _Look(tuple([one for one in findings.sorted() if is_fault(one)]), min(costs))


BINDING: Final = Growing[BindingDraft](
    shown=lambda draft: _HEAD + "".join(draft.lines),
    next_piece=_next,
    fed=_fed,
    done=lambda draft: not draft.roles,
    closed=_closed,
    retreat=lambda draft: draft,
)
