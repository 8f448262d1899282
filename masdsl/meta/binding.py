"""A binding for a template by itself, outside a session: phi ~ pi_imp( . | M_temp)."""

from __future__ import annotations

from typing import Any, NamedTuple

from masdsl.diagnostics.base import Findings
from masdsl.meta.host import BadTask, Host, fit_of, main_of
from masdsl.meta.ledger import Ledger
from masdsl.meta.queries import BUDGET
from masdsl.meta.roles import CheapestImplementer, Desk
from masdsl.meta.systems import with_binding
from masdsl.meta.task import Emitted, Task
from masdsl.meta.team import Player, team_for
from masdsl.runtime.granted import ceiling_of
from masdsl.runtime.meter import NO_LIMITS, tightest


class Assigned(NamedTuple):
    """phi for a template, as the text of a binding (nothing where there is none), who wrote it, and why so.

    `program` is M, the template with the binding; `given` is all that the implementer gave.
    """

    binding: str
    program: str
    by: str
    reason: str
    given: Emitted
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "binding": self.binding,
            "program": self.program,
            "by": self.by,
            "reason": self.reason,
            "given": self.given.to_json(),
            "notes": list(self.notes),
        }


async def assign(
    template: str, host: Host, query: str = "", player: Player = "model", tier: str = "smart", seed: int = 0
) -> Assigned:
    """Let a model of a tier assign the roles of a template, or rules where it cannot.

    The worst case of the program stays within the template's own budget and the host's ceiling, as the checker has it.
    Raises BadTask for a template that is none: with errors, without a `main` or without an open role.
    """
    findings = Findings()
    program = host.check(template, findings)
    main = None if program is None else main_of(program)
    if program is None or main is None:
        errors = findings.sorted()
        why = errors[0].diagnostic.title() if errors else "it has no flow `main`"
        raise BadTask(f"the template cannot be bound: {why}; mas check shows all")
    pool = host.pool(program)
    if not pool:
        raise BadTask("the pool has no model to assign; name some under [tiers] in mas.toml")
    left = tightest(ceiling_of(host.config)) or NO_LIMITS
    team = team_for(host, tier=tier, generator="rules", implementer=player, rectifier="nobody")
    notes = [f"the implementer has no model ({team.missing}): rules take its place"] if team.missing else []
    implementer = team.implementer
    if len({one.tier.model for one in pool}) == 1:
        implementer = CheapestImplementer()
    desk = Desk(host, main, left, Ledger(BUDGET).terms("implementer", "medium", seed), lambda model: model)
    task = Task(query or "(not said)", budget=left)
    given = await implementer.implement(task, template, pool, desk)
    found, by = given, implementer.name
    bound = with_binding(template, given.text) if given.text else None
    fits = bound is not None and fit_of(bound, main, host, left).program is not None
    if not fits and not isinstance(implementer, CheapestImplementer):
        notes.append(f"{by} gave no binding that fits ({given.why_none()}): {CheapestImplementer.name} is taken")
        found, by = await CheapestImplementer().implement(task, template, pool, desk), CheapestImplementer.name
        bound = with_binding(template, found.text) if found.text else None
    return Assigned(found.text if bound else "", bound or "", by, found.reasoning, given, tuple(notes))
