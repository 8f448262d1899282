"""Designing: examples, a template, its models, and what is taken where the meta-agents give nothing that fits."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Final

from masdsl import tracing
from masdsl.decode.binding import open_roles
from masdsl.diagnostics.base import Findings
from masdsl.meta.fallback import simplest
from masdsl.meta.host import Fit, Host, fit_of, within
from masdsl.meta.ledger import Ledger, Part
from masdsl.meta.outcome import Designed, Seams, System
from masdsl.meta.recording import Recorder
from masdsl.meta.records import past_successes
from masdsl.meta.retrieval import Embed, Example, nearest, pool_systems
from masdsl.meta.roles import CheapestImplementer, Desk, PoolGenerator
from masdsl.meta.systems import parsed, repairable, with_binding
from masdsl.meta.systems import template as as_template
from masdsl.meta.task import Emitted, Task
from masdsl.meta.team import Team

if TYPE_CHECKING:
    from masdsl.check.program import Flow

EXAMPLES: Final = 3
"""Systems that a generator is shown."""
REPAIRS: Final = 2
"""Patches that a run of a designed system may get."""
CANDIDATES: Final = 24
"""Systems that are looked through for one that fits, where a system is taken as it is."""


class Designer:
    """Makes M for a task: see `design`. `notes` say what did not go as planned."""

    def __init__(
        self, task: Task, shape: Flow, host: Host, team: Team, ledger: Ledger, recorder: Recorder, seams: Seams
    ) -> None:
        self._task = task
        self._shape = shape
        self._host = host
        self._team = team
        self._ledger = ledger
        self._recorder = recorder
        self._seams = seams
        self._notes: list[str] = []
        if team.missing:
            self.note(f"the meta-agents have no model ({team.missing}): rules take their place")

    @property
    def notes(self) -> tuple[str, ...]:
        """What did not go as planned so far, and what was done instead."""
        return tuple(self._notes)

    def note(self, text: str) -> None:
        """Add a note."""
        self._notes.append(text)

    async def design(self) -> Designed:
        """M_temp ~ pi_gen( . | Q); phi ~ pi_imp( . | M_temp); M = M_temp (+) phi."""
        examples = self.examples()
        template, name, generated = await self._template(examples)
        shown = tuple((one["name"], one["score"]) for one in self._recorder.context["examples"])
        binding, implemented = await self._binding(template)
        system = self._with_rules(self._system(template, binding, name))
        if self._seams.choose is not None:
            system = self._chosen(system)
        return Designed(template, binding, system, generated, implemented, shown, self.notes)

    def examples(self) -> tuple[Example, ...]:
        """Return the systems that are near to the query: of the library, of past successes, of the pool."""
        known = (*self._seams.known, *past_successes(self._recorder.journal), *pool_systems())
        return nearest(self._task.query, known, CANDIDATES, self._embed())

    def _embed(self) -> Embed | None:
        from masdsl.meta.embedding import Unavailable, embed, is_installed

        if not is_installed():
            return None
        try:
            embed([""])
        except Unavailable as fault:
            self.note(f"examples are found by words alone: {fault}")
            return None
        return embed

    # ------------------------------------------------------------ pi_gen

    async def _template(self, examples: Sequence[Example]) -> tuple[str, str, Emitted]:
        """Return M_temp, who it is from, and what the generator gave."""
        generator = self._team.generator
        given = await self._decide("generator", generator.name, self._context(examples), generator, examples)
        fit, why = self._fit(given), "it wrote nothing that fits"
        if given.text and fit.program is None:
            why = fit.diagnostics[0] if fit.diagnostics else why
        elif not given.text:
            why = given.why_none()
        await self._recorder.judged(given, "" if fit.program is not None else why, self._ledger.seconds)
        if fit.program is not None:
            return as_template(given.text) or given.text, f"the system of {generator.name}", given
        desk = self._desk("generator")
        if not isinstance(generator, PoolGenerator):
            near = await PoolGenerator().generate(self._task, examples, desk)
            if self._fit(near).program is not None:
                self.note(f"{generator.name} gave no system that fits ({why}): {near.reasoning}")
                return near.text, "the nearest known system", given
        plain = self.simplest()
        if plain is not None:
            self.note(f"{generator.name} gave no system that fits ({why}), nor does a known one: {plain.name} is taken")
            return plain.text, plain.name, given
        name, text = list(simplest(self._task, self._shape))[-1]
        self.note(f"nothing fits what is left of the budget; {name} is tried as far as that goes")
        return text, name, given

    def _fit(self, emitted: Emitted) -> Fit:
        return fit_of(emitted.text, self._shape, self._host, self._ledger.left()) if emitted.text else Fit(None)

    # ------------------------------------------------------------ pi_imp

    async def _binding(self, template: str) -> tuple[str, Emitted]:
        """Return phi as text (nothing where all roles stay on the tier `default`), and what the implementer gave."""
        program = self._host.check(template, Findings())
        pool = () if program is None else self._host.pool(program)
        if not pool:
            self.note("the pool has no model: no role can be assigned")
            return "", Emitted("")
        tree = parsed(template)
        if tree is None or not open_roles(tree):
            return "", Emitted("")
        implementer = self._team.implementer
        if len({one.tier.model for one in pool}) == 1:
            implementer = CheapestImplementer()  # there is nothing to choose, so nobody is paid for choosing
        context = {
            "query": self._task.query,
            "template": template,
            "pool": [{"tier": one.tier.name, "model": one.tier.model, "about": one.about} for one in pool],
        }
        given = await self._recorder.decision(
            "implementer",
            implementer.name,
            context,
            lambda: self._asked(
                "implementer",
                implementer.name,
                implementer.implement(self._task, template, pool, self._desk("implementer")),
            ),
        )
        self._ledger.add("implementer", given.spent)
        why = self._unbound(template, given.text) if given.text else given.why_none()
        await self._recorder.judged(given, why, self._ledger.seconds)
        if not why:
            return given.text, given
        if not isinstance(implementer, CheapestImplementer):
            cheap = await CheapestImplementer().implement(self._task, template, pool, self._desk("implementer"))
            self.note(f"{implementer.name} gave no binding that fits ({why}): {CheapestImplementer.name} is taken")
            if not self._unbound(template, cheap.text):
                return cheap.text, given
        self.note("the roles stay on the tier `default`")
        return "", given

    def _unbound(self, template: str, binding: str) -> str:
        """Return why a binding cannot be taken; nothing where it can."""
        if not binding:
            return "there is none"
        bound = with_binding(template, binding)
        if bound is None:
            return "it does not fit the template"
        fit = fit_of(bound, self._shape, self._host, self._ledger.left())
        return "" if fit.program is not None else fit.diagnostics[0]

    # ------------------------------------------------------------ M

    def _system(self, template: str, binding: str, name: str) -> System:
        text = (with_binding(template, binding) if binding else None) or template
        if self._team.mender is not None or self._team.rectifier is not None:
            text = repairable(text, REPAIRS)
        return self._bounded(System(text, name))

    def _bounded(self, system: System) -> System:
        """Return a system with what it costs at worst, as far as that is known."""
        fit = fit_of(system.text, self._shape, self._host, self._ledger.left())
        most = fit.most
        if most is None:
            return system
        return system._replace(calls=most.calls, tokens=most.tokens, picodollars=most.usd, over=fit.over)

    def _with_rules(self, system: System) -> System:
        """Return M after the rules that concern it, each of which has to leave a program that fits."""
        left = self._ledger.left()
        host = self._host._replace(config=within(self._host.config, left))
        for rule in self._seams.rules:
            better = rule.apply(system.text, self._task, host)
            if better is None or better == system.text:
                continue
            if fit_of(better, self._shape, self._host, left).program is None:
                self.note(f"the rule {rule.name} was left out: what it makes of the system does not fit")
                continue
            system = system._replace(text=better, rules=(*system.rules, rule.name))
            self.note(f"the rule {rule.name} changed the system before its run")
        return self._bounded(system) if system.rules else system

    def _chosen(self, designed: System) -> System:
        plain = self.simplest()
        if plain is None or self._seams.choose is None or plain.text == designed.text:
            return designed
        why = self._seams.choose(self._task, designed, plain, self._ledger.left())
        if not why:
            return designed
        self.note(f"{plain.name} is run in place of {designed.name}: {why}")
        return plain

    def simplest(self) -> System | None:
        """Return the best of the simplest systems whose worst case fits what is left; None where not one call does."""
        left = self._ledger.left()
        if left.calls == 0 or left.seconds == 0:
            return None
        for name, text in simplest(self._task, self._shape):
            fit = fit_of(text, self._shape, self._host, left)
            if fit.program is not None and not fit.over and fit.most is not None:
                return System(text, name, fit.most.calls, fit.most.tokens, fit.most.usd)
        return None

    # ------------------------------------------------------------ deciding

    async def _decide(
        self, part: Part, by: str, context: dict[str, Any], generator: Any, examples: Sequence[Example]
    ) -> Emitted:
        desk = self._desk(part)
        given = await self._recorder.decision(
            part,
            by,
            context,
            lambda: self._asked(part, by, generator.generate(self._task, examples[: self._shown(generator)], desk)),
        )
        self._ledger.add(part, given.spent)
        return given

    async def _asked(self, part: Part, by: str, answer: Awaitable[Emitted]) -> Emitted:
        """Return what a meta-agent gives, which is a span where somebody traces."""
        with tracing.role(part, by, self._host.config):
            return await answer

    @staticmethod
    def _shown(generator: Any) -> int:
        return CANDIDATES if isinstance(generator, PoolGenerator) else EXAMPLES

    def _context(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return what the generator is shown, for whoever learns from it."""
        return {
            "query": self._task.query,
            "signature": self._task.signature,
            "tools": list(self._task.tools),
            "examples": [{"name": one.system.name, "score": round(one.score, 4)} for one in examples[:EXAMPLES]],
        }

    def _desk(self, part: Part) -> Desk:
        left = self._ledger.left(0.7 if part == "generator" else 1.0)
        terms = self._ledger.terms(part, self._task.effort, self._recorder.seed)
        return Desk(
            self._host,
            self._shape,
            left,
            terms,
            lambda model: self._recorder.taped(model, part, self._ledger.seconds_left),
        )
