"""Who samples templates, bindings and patches: a model asked several times, or rules with a seed.

A model is asked once for each option, in the same words and from another seed; what it writes is its action, as it
stands. Rules write what a model would be asked for: a reason, then the text in a block. `label` says which option it
is, so that rates can be told by it.

generator      rules: systems of the pool that fit, drawn from the nearest ones
implementer    rules: the cheapest adequate tiers; then all cheapest, all dearest and random ones, drawn
rectifier      rules: the first patch of the built-in rules; then others that they give, drawn
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Final, Literal, NamedTuple

from masdsl.batch.base import Amount
from masdsl.batch.rows import DataFault
from masdsl.check.program import Flow
from masdsl.decode.binding import open_roles
from masdsl.meta.emission import Terms, completion_of, emit_binding, emit_program
from masdsl.meta.host import Backbone, Host, fit_of
from masdsl.meta.library import hash_of
from masdsl.meta.retrieval import Example, Known, about, nearest, pool_systems, title
from masdsl.meta.roles import (
    CheapestImplementer,
    Desk,
    by_price,
    generator_context,
    implementer_context,
    rectifier_context,
    repair_of,
    write_repair,
)
from masdsl.meta.systems import adapted, compact, parsed, template
from masdsl.meta.task import Emitted, Spent, Task
from masdsl.meta.trained import binding_messages_of, compact_text, messages_of, repair_messages_of, unpinned
from masdsl.rectify.base import Proposal
from masdsl.rectify.rules import proposals
from masdsl.rectify.state import State
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import ChatModel, Message
from training.trees.asking import AskedModel
from training.trees.plan import Generator, Player

Kind = Literal["mas", "bind", "patch"]
Ask = Callable[[str], AskedModel]
"""Gives the model of a role at a node."""
_DRAWN: Final = 8
"""Patches of the rules that are drawn from."""
_RANDOM: Final = 16
"""Random bindings that are drawn from, at most."""


class Written(NamedTuple):
    """An option as it was written: the words, the text in them (nothing where there is none, then `why` says why).

    `proposal` is a patch with what its judge has to know; `is_lost` says that the model could not be asked.
    """

    action: str
    text: str
    label: str
    why: str = ""
    spent: Amount = Amount()
    is_lost: bool = False
    proposal: Proposal | None = None


class Desktop(NamedTuple):
    """What the meta-agents of a tree work on."""

    task: Task
    shape: Flow
    host: Host
    left: Limits
    seed: int

    def desk(self, terms: Terms) -> Desk:
        """Return what a session would give a meta-agent."""
        return Desk(self.host, self.shape, self.left, terms, lambda model: model)

    def random(self, node: str) -> Random:
        """Return chance for a node: the same whenever it is drawn again."""
        return Random(f"{self.seed}/{node}")


class Asked(NamedTuple):
    """A model that plays a role. `context` is how many tokens it reads, None where nobody knows."""

    model: ChatModel
    context: int | None


def terms_of(player: Player | Generator, seed: int) -> Terms:
    """Return how a model is asked for one option: once."""
    return Terms(
        tries=1,
        seed=seed,
        temperature=player.temperature,
        reply_tokens=player.reply_tokens,
        reasoning_tokens=player.reasoning_tokens,
        constrained=player.constrained,
    )


def in_block(reason: str, text: str, kind: Kind) -> str:
    """Return a reply as the prompts of meta-agents ask for it."""
    block = f"```{kind}\n{text if text.endswith(chr(10)) else text + chr(10)}```"
    return f"{reason.strip()}\n\n{block}" if reason.strip() else block


def _of_model(emitted: Emitted, model: AskedModel, kind: Kind, label: str) -> Written:
    text = emitted.text or (emitted.tries[-1].text if emitted.tries else "")
    if emitted.how == "text" or not text:  # under the decoder, too, what came to nothing stands as it was said
        action = model.said[-1] if model.said else ""
    else:
        action = in_block(emitted.reasoning, text, kind)
    is_lost = not emitted.text and model.is_lost
    return Written(action, emitted.text, label, emitted.why_none(), _amount(emitted.spent), is_lost)


def _amount(spent: Spent) -> Amount:
    return Amount(spent.calls, spent.tokens, spent.picodollars)


def seed_at(random: Random) -> int:
    """Return a seed that leaves room for the numbers of tries (`masdsl.meta.emission`)."""
    return random.randrange(1 << 20)


# ---------------------------------------------------------------- pi_gen


class Templates:
    """pi_gen ~ ( . | Q): the contexts and templates of queries. Raises DataFault for systems that cannot be read."""

    def __init__(self, settings: Generator, asked: Asked | None) -> None:
        self._settings = settings
        self._asked = asked
        self._is_trained = settings.asked == "trained"
        self._known = _systems(settings.systems) if settings.systems else pool_systems()

    def context(self, top: Desktop) -> tuple[Message, ...]:
        """Return what every option of a query is an answer to."""
        if self._is_trained:
            return messages_of(top.task.query, top.task.signature, top.task.tools, top.left.calls)
        shown = self._near(top)[: self._settings.examples]
        context = None if self._asked is None else self._asked.context
        return generator_context(top.task, shown, top.desk(Terms()), context)

    def _near(self, top: Desktop) -> tuple[Example, ...]:
        return nearest(top.task.query, self._known, self._settings.candidates)

    def _action(self, reason: str, text: str) -> str:
        """Return what rules say for a system: what a model of the kind that is asked would say."""
        if self._is_trained:
            return completion_of(reason, compact_text(text))
        return in_block(reason, compact(text), "mas")

    async def sample(self, top: Desktop, nodes: Sequence[str], ask: Ask) -> list[Written]:
        """Return an option for each node, or fewer where rules have no more that differ."""
        if self._asked is None:
            return self._drawn(top, len(nodes), nodes[0])

        async def one(node: str) -> Written:
            model = ask(node)
            messages = self.context(top)
            terms = terms_of(self._settings, seed_at(top.random(node)))
            emitted = await emit_program(
                model, messages, top.task, top.host, terms, left=top.left, trained=self._is_trained
            )
            return _of_model(emitted, model, "mas", "model")

        return list(await asyncio.gather(*map(one, nodes)))

    def _drawn(self, top: Desktop, count: int, node: str) -> list[Written]:
        found = self.fitting(top)
        drawn = sorted(top.random(node).sample(range(len(found)), min(count, len(found))))
        return [found[at] for at in drawn]

    def fitting(self, top: Desktop) -> list[Written]:
        """Return the templates of systems that fit a query, the nearest first, no two the same."""
        found: dict[str, Written] = {}
        for one in self._near(top):
            text = adapted(one.system.text, top.task, top.shape, top.host)
            tree = None if text is None else parsed(text)
            if text is None or tree is None or hash_of(tree) in found:
                continue
            if fit_of(text, top.shape, top.host, top.left).program is not None:
                text = template(text) or text
                action = self._action(one.system.title, text)
                found[hash_of(tree)] = Written(action, text, one.system.name)
        return list(found.values())


@lru_cache
def _systems(places: tuple[str, ...]) -> tuple[Known, ...]:
    found = []
    for path in _files(places):
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise DataFault(f"the system {path} cannot be read: {error}") from None
        name = os.path.basename(path).removesuffix(".mas")
        found.append(Known(name, text, title(text), about(text)))
    if not found:
        raise DataFault(f"there are no systems in {', '.join(places)}; name `.mas` files or folders of them")
    return tuple(sorted(found))


def _files(places: Iterable[str]) -> list[str]:
    files: list[str] = []
    for place in places:
        try:
            inside = sorted(os.listdir(place)) if os.path.isdir(place) else None
        except OSError as error:
            raise DataFault(f"the systems {place} cannot be read: {error.strerror or error}") from None
        files += [place] if inside is None else [os.path.join(place, one) for one in inside if one.endswith(".mas")]
    return files


# ---------------------------------------------------------------- pi_imp


class Bindings:
    """pi_imp ~ ( . | M_temp): the contexts and bindings of templates."""

    def __init__(self, settings: Player, asked: Asked | None) -> None:
        self._settings = settings
        self._asked = asked
        self._is_trained = settings.asked == "trained"

    def context(self, top: Desktop, text: str, pool: Sequence[Backbone]) -> tuple[Message, ...]:
        """Return what every option of a template is an answer to."""
        if self._is_trained:
            return binding_messages_of(top.task.query, text, pool, top.left)
        return implementer_context(top.task, text, pool, top.desk(Terms()))

    async def sample(
        self, top: Desktop, text: str, pool: Sequence[Backbone], nodes: Sequence[str], ask: Ask
    ) -> list[Written]:
        """Return an option for each node, or fewer where rules have no more that differ."""
        if self._asked is None:
            return await self._drawn(top, text, pool, nodes)

        async def one(node: str) -> Written:
            model = ask(node)
            messages = self.context(top, text, pool)
            tiers = [each.tier for each in pool]
            terms = terms_of(self._settings, seed_at(top.random(node)))
            emitted = await emit_binding(model, messages, text, tiers, top.host, terms, trained=self._is_trained)
            return _of_model(emitted, model, "bind", "model")

        return list(await asyncio.gather(*map(one, nodes)))

    def _action(self, reason: str, binding: str) -> str:
        return in_block("" if self._is_trained else reason, binding, "bind")

    async def _drawn(self, top: Desktop, text: str, pool: Sequence[Backbone], nodes: Sequence[str]) -> list[Written]:
        random = top.random(nodes[0])
        tree = parsed(text)
        roles = () if tree is None else open_roles(tree)
        ranked = [one.tier.name for one in by_price(pool)]
        first = await CheapestImplementer().implement(top.task, text, pool, top.desk(Terms()))
        found: dict[str, Written] = {}
        if first.text:
            found[first.text] = Written(self._action(first.reasoning, first.text), first.text, "adequate")
        others: dict[str, Written] = {}
        named = {"cheapest": [ranked[0]] * len(roles), "dearest": [ranked[-1]] * len(roles)}
        for label, tiers in (
            *named.items(),
            *(("random", random.choices(ranked, k=len(roles))) for _ in range(_RANDOM)),
        ):
            binding = "bind 1\n" + "".join(f"{role} = {tier}\n" for role, tier in zip(roles, tiers, strict=True))
            reason = {"cheapest": "the cheapest model will do", "dearest": "the most capable model everywhere"}
            action = self._action(reason.get(label, "these models, role by role"), binding)
            if binding not in found:
                others.setdefault(binding, Written(action, binding, label))
        drawn = random.sample(list(others.values()), min(max(len(nodes) - len(found), 0), len(others)))
        return [*found.values(), *drawn][: len(nodes)]


# ---------------------------------------------------------------- pi_rec


class Repairs:
    """pi_rec ~ ( . | M_t, s_t): patches for a run that stands."""

    def __init__(self, settings: Player, asked: Asked | None) -> None:
        self._settings = settings
        self._asked = asked
        self._is_trained = settings.asked == "trained"
        self.name = "rules" if asked is None else f"model {asked.model.name}"
        self.trusted = asked is None

    def context(self, state: State) -> tuple[Message, ...]:
        """Return what every option at a state is an answer to."""
        if self._is_trained:
            return repair_messages_of(state)
        return rectifier_context(state, None if self._asked is None else self._asked.context)

    def action(self, reason: str, patch: str) -> str:
        """Return what rules say for a patch: what a model of the kind that is asked would say."""
        return in_block("", unpinned(patch), "patch") if self._is_trained else in_block(reason, patch, "patch")

    async def sample(self, top: Desktop, state: State, nodes: Sequence[str], ask: Ask) -> list[Written]:
        """Return an option for each node, or fewer where rules have no more that differ."""
        if self._asked is None:
            return self._drawn(state, nodes, top.random(nodes[0]))

        async def one(node: str) -> Written:
            model = ask(node)
            terms = terms_of(self._settings, seed_at(top.random(node)))
            emitted = await write_repair(
                model, state, self.context(state), top.host.config, terms, trained=self._is_trained
            )
            written = _of_model(emitted, model, "patch", "model")
            return written._replace(proposal=repair_of(emitted)) if emitted.text else written

        return list(await asyncio.gather(*map(one, nodes)))

    def _drawn(self, state: State, nodes: Sequence[str], random: Random) -> list[Written]:
        """Return the best patch of the rules, and others of theirs that are drawn."""
        found: dict[str, Proposal] = {}
        for one in islice(proposals(state), _DRAWN):
            found.setdefault(state.judge(one).new, one)
        others = list(found.values())[1:]
        drawn = random.sample(others, min(len(nodes) - 1, len(others)))
        return [
            Written(self.action(one.reason, one.patch), one.patch, _edit_of(one.patch), proposal=one)
            for one in (*islice(found.values(), 1), *drawn)
        ]


def _edit_of(patch: str) -> str:
    """Return the word that the first edit of a patch begins with."""
    return next((line.split()[0] for line in patch.splitlines()[1:] if line.strip()), "")
