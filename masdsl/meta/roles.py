"""The three roles of a session, and who plays them: a model, or plain rules that ask none.

    pi_gen    Generator     M_temp ~ pi_gen( . | Q)                a template for a query, and why it suits
    pi_imp    Implementer   phi ~ pi_imp( . | M_temp), phi: R -> L  a tier of the pool for each role
    pi_rec    Rectifier     M_(t+1) ~ pi_rec( . | M_t, s_t)         a patch for a run that goes wrong (`masdsl.rectify`)

Source: MAS² (arXiv:2509.24323), equations (2), (3) and (6); the statement of reasons is MAS-GPT's R_i
(arXiv:2503.03686).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from masdsl.check.program import Program
from masdsl.check.uses import invokes, right_sides, statements_of
from masdsl.config import DEFAULT_TIER, Config
from masdsl.decode.binding import open_roles
from masdsl.diagnostics.base import Findings
from masdsl.meta.emission import Terms, emit_binding, emit_patch, emit_program, patching
from masdsl.meta.guide import guide_for
from masdsl.meta.host import Backbone, Fit, Host, fit_of, main_of, short
from masdsl.meta.prompting import (
    QUERY_CHARACTERS,
    STATE_CHARACTERS,
    Shown,
    clipped,
    messages_for,
    room_text,
    within_characters,
)
from masdsl.meta.retrieval import Example
from masdsl.meta.systems import adapted, compact, parsed, with_binding
from masdsl.meta.task import Effort, Emitted, Task
from masdsl.money import usd_per_million
from masdsl.rectify.base import Proposal, Rectifier
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import ChatModel, Message
from masdsl.types import Bool, Enum, Float, Int, Optional, Type

if TYPE_CHECKING:
    from masdsl.check.program import Flow
    from masdsl.rectify.state import State, Tier

CHARACTERS_PER_TOKEN: Final = 3
"""Fewer than models make of English, so that what is planned by it fits."""
REASON: Final = 300
"""Characters of a model's reason for a patch that are kept."""
MOST_EXAMPLES: Final = 12_000
"""Characters of examples that are shown at most."""


class Desk(NamedTuple):
    """What a session gives a meta-agent for one decision.

    `left` is what a run of the system may take; `terms` bounds the meta-agent itself; `taped` returns a model whose
    replies are kept, so that the decision can be taken again without it.
    """

    host: Host
    shape: Flow
    left: Limits
    terms: Terms
    taped: Callable[[ChatModel], ChatModel]


class Generator(Protocol):
    """pi_gen: designs a template for a task, after examples; one without text where it has none."""

    @property
    def name(self) -> str:
        """Who this is, for the journal and the report."""

    async def generate(self, task: Task, examples: Sequence[Example], desk: Desk) -> Emitted:
        """Return M_temp as text, with the reasons for it. Never raises for what a model does."""


class Implementer(Protocol):
    """pi_imp: assigns the roles of a template to tiers of the pool; a binding without text where it has none."""

    @property
    def name(self) -> str:
        """Who this is, for the journal and the report."""

    async def implement(self, task: Task, template: str, pool: Sequence[Backbone], desk: Desk) -> Emitted:
        """Return phi as the text of a binding. Never raises for what a model does."""


# ---------------------------------------------------------------- by a model


class ModelGenerator:
    """A model that writes templates. `context` is how many tokens it reads, None where that is not known."""

    def __init__(self, model: ChatModel, context: int | None = None) -> None:
        self._model = model
        self._context = context
        self.name = f"model {model.name}"

    async def generate(self, task: Task, examples: Sequence[Example], desk: Desk) -> Emitted:
        """Return what the model writes under the decoder, or in plain text with a loop of repairs."""
        messages = generator_context(task, examples, desk, self._context)
        return await emit_program(desk.taped(self._model), messages, task, desk.host, desk.terms, left=desk.left)


def generator_context(task: Task, examples: Sequence[Example], desk: Desk, context: int | None) -> tuple[Message, ...]:
    """Return what a generator is shown that reads `context` tokens (None: nobody knows)."""
    room = room_for(context, MOST_EXAMPLES)
    values = {
        "guide": guide_for(context),
        "query": clipped(task.query, min(QUERY_CHARACTERS, room)),
        "signature": task.signature,
        "tools": task.tools,
        "room": room_text(desk.left),
        "examples": within_characters(shown(examples, task, desk), room),
    }
    return messages_for("generator", values)


def room_for(context: int | None, most: int) -> int:
    """Return how many characters of a prompt's material a model is shown: about a third of what it reads."""
    return most if context is None else min(most, context * CHARACTERS_PER_TOKEN // 3)


def shown(examples: Sequence[Example], task: Task, desk: Desk) -> list[Shown]:
    """Return examples as a prompt shows them: under the task's signature where that can be, in compact text."""
    found = []
    for one in examples:
        text = adapted(one.system.text, task, desk.shape, desk.host)
        if text is not None:
            found.append(Shown(one.system.name, clipped(one.system.title, 300), compact(text)))
    return found


class ModelImplementer:
    """A model that writes bindings."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.name = f"model {model.name}"

    async def implement(self, task: Task, template: str, pool: Sequence[Backbone], desk: Desk) -> Emitted:
        """Return the binding that the model writes."""
        messages = implementer_context(task, template, pool, desk)
        tiers = [one.tier for one in pool]
        return await emit_binding(desk.taped(self._model), messages, template, tiers, desk.host, desk.terms)


def implementer_context(task: Task, template: str, pool: Sequence[Backbone], desk: Desk) -> tuple[Message, ...]:
    """Return what an implementer is shown."""
    values = {
        "pool": [_priced(one) for one in pool],
        "query": clipped(task.query, QUERY_CHARACTERS // 4),
        "template": compact(template),
        "roles": () if (tree := parsed(template)) is None else open_roles(tree),
        "room": room_text(desk.left),
    }
    return messages_for("implementer", values)


class _Priced(NamedTuple):
    name: str
    model: str
    price: str
    about: str


def _priced(one: Backbone) -> _Priced:
    return _Priced(one.tier.name, one.tier.model, price_text(one.tier), one.about)


def price_text(tier: Tier) -> str:
    """Return what a tier costs, in words: `0.5 in, 2 out`, in USD per million tokens."""
    price = tier.price
    return (
        "price unknown" if price is None else f"{usd_per_million(price.input)} in, {usd_per_million(price.output)} out"
    )


class ModelRectifier:
    """A model that writes patches, and somebody who is asked where it has none.

    It is not trusted: what it writes is judged as coming from whoever wrote what the run has read. `asks` says what it
    is asked about a state (`rectifier_context`, or for one that was trained `masdsl.meta.trained.repair_messages_of`);
    `terms` says what it may still take, each time; `decided` is told what was shown, and what came of it.
    """

    trusted = False

    def __init__(
        self,
        model: ChatModel,
        config: Config,
        asks: Callable[[State], tuple[Message, ...]],
        terms: Callable[[], Terms],
        decided: Callable[[State, Emitted], None],
        otherwise: Rectifier | None = None,
        *,
        trained: bool = False,
    ) -> None:
        self._model = model
        self._config = config
        self._asks = asks
        self._trained = trained
        self._terms = terms
        self._decided = decided
        self._otherwise = otherwise
        self.name = f"model {model.name}"

    async def propose(self, state: State) -> Proposal | str:
        """Return the first patch of the model that would be accepted, or what the other one says."""
        emitted = await write_repair(
            self._model, state, self._asks(state), self._config, self._terms(), trained=self._trained
        )
        self._decided(state, emitted)
        if emitted.text:
            return repair_of(emitted)
        why = emitted.why_none()
        if self._otherwise is None:
            return f"{self.name} gave no patch that may be applied: {why}"
        said = await self._otherwise.propose(state)
        who = f"{self._otherwise.name}, because {self.name} gave no patch that may be applied"
        if isinstance(said, str):
            return f"{who}: {said}"
        return said._replace(reason=f"{said.reason} ({who})")


def rectifier_context(state: State, context: int | None) -> tuple[Message, ...]:
    """Return what a rectifier is shown that reads `context` tokens (None: nobody knows)."""
    trigger = state.trigger
    what = f"the step {trigger.step} failed" if trigger.kind == "failure" else "the budget is nearly used up"
    values = {
        "guide": guide_for(context),
        "trigger": f"What happened: {what} ({trigger.cause}): {clipped(trigger.reason, 600)}",
        "state": clipped(state.text(), room_for(context, STATE_CHARACTERS)),
    }
    return messages_for("rectifier", values)


async def write_repair(
    model: ChatModel,
    state: State,
    messages: Sequence[Message],
    config: Config,
    terms: Terms,
    *,
    trained: bool = False,
) -> Emitted:
    """Let a model that is asked `messages` write a patch for a state that would be accepted; or none.

    It writes under the decoder or plain text, as `emit_patch` does.
    """

    def judge(patch: str) -> tuple[str, ...]:
        verdict = state.judge(Proposal(patch, ""))
        return () if verdict.accepted else short(verdict.findings)

    write_one = patching(
        state.standing.source,
        config,
        judge,
        tiers=[tier.name for tier in state.tiers],
        finished=[step.path for step in state.standing.finished],
    )
    return await emit_patch(model, messages, judge, terms, write_one=write_one, trained=trained)


def repair_of(emitted: Emitted) -> Proposal:
    """Return the patch that a model wrote, with its reason."""
    return Proposal(emitted.text, " ".join(emitted.reasoning.split())[:REASON] or "the model gave no reason")


# ---------------------------------------------------------------- without a model


MOST_CALLS: Final[dict[Effort, int]] = {"low": 4, "medium": 12, "high": 100_000}
"""Calls at worst of a system that is taken as it is, if there is one with so few."""


class PoolGenerator:
    """Takes the nearest example that fits the task and what is left, with not too many calls where there is one."""

    name = "nearest system"

    async def generate(self, task: Task, examples: Sequence[Example], desk: Desk) -> Emitted:
        """Return the template of the nearest example that can be had under the task's signature."""
        second: Emitted | None = None
        for one in examples:
            text = adapted(one.system.text, task, desk.shape, desk.host)
            fit = Fit(None) if text is None else fit_of(text, desk.shape, desk.host, desk.left)
            if text is None or fit.program is None or fit.over or fit.most is None:
                continue
            why = f"{one.system.name} is the nearest system that fits: {one.system.title}"
            if fit.most.calls <= MOST_CALLS[task.effort]:
                return Emitted(text, why, "retrieved")
            second = second or Emitted(text, why, "retrieved")
        return second or Emitted("", "no system that is known fits the task and what is left", "retrieved")


class CheapestImplementer:
    """Puts every role on the cheapest tier that is adequate.

    A role is easy whose reply is a word of an enum, a number or a truth: the cheapest tier will do. A role is
    decisive whose step the result is made of: the dearest tier with which the worst case fits what is left. The others
    are on the tier `default`. Where all tiers stand for one model there is nothing to choose.
    """

    name = "cheapest adequate tier"

    async def implement(self, task: Task, template: str, pool: Sequence[Backbone], desk: Desk) -> Emitted:
        """Return the binding; one without text for a template without open roles, or where no tier fits."""
        tree, program = parsed(template), desk.host.check(template, Findings())
        roles = () if tree is None else open_roles(tree)
        if program is None or not roles or not pool:
            return Emitted("", "there is no role to assign" if program is not None else "", "retrieved")
        ranked = by_price(pool)
        usual = next((one for one in ranked if one.tier.name == DEFAULT_TIER), ranked[len(ranked) // 2])
        if len({one.tier.model for one in pool}) == 1:
            ranked, reason = [usual], "all tiers stand for the same model"
        else:
            reason = (
                f"cheap where a word or a number is asked for, dear where the result is made, else {usual.tier.name}"
            )
        agents = {agent.name: agent for agent in program.agents if not agent.module}
        decisive = decisive_agents(program)
        chosen = dict.fromkeys(roles, usual.tier.name)
        for role in roles:
            if role in decisive:
                chosen[role] = ranked[-1].tier.name
            elif role in agents and is_easy(agents[role].returns):
                chosen[role] = ranked[0].tier.name
        for assigned, why in (
            (chosen, reason),
            (dict.fromkeys(roles, ranked[0].tier.name), "only the cheapest tier fits what is left"),
        ):
            text = "bind 1\n" + "".join(f"{role} = {tier}\n" for role, tier in assigned.items())
            bound = with_binding(template, text)
            fit = None if bound is None else fit_of(bound, desk.shape, desk.host, desk.left)
            if fit is not None and fit.program is not None and "usd" not in fit.over:
                return Emitted(text, why, "retrieved")
        return Emitted("", "no tier of the pool fits what is left of the budget", "retrieved")


def by_price(pool: Sequence[Backbone]) -> list[Backbone]:
    """Return the pool from the cheapest tier to the dearest, those without a price last; of equals, in its order."""
    unknown = 1 << 62
    return sorted(pool, key=lambda one: unknown if one.tier.price is None else sum(one.tier.price))


def is_easy(kind: Type) -> bool:
    """Whether a reply of a type is so small that any model will do."""
    return isinstance(kind.inner if isinstance(kind, Optional) else kind, Enum | Bool | Int | Float)


def decisive_agents(program: Program) -> frozenset[str]:
    """Return the agents whose step a run ends with: what they say is the result, or makes it."""
    flow = main_of(program)
    for _ in range(len(program.flows)):
        if flow is None:
            break
        steps = [
            step for side in right_sides(statements_of(flow.body)) for step in invokes(side) if step.kind != "tool"
        ]
        if not steps:
            break
        if steps[-1].kind == "agent":
            return frozenset({steps[-1].callee})
        flow = program.flow(steps[-1].callee)
    return frozenset()
