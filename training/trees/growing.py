"""The tree of one query, grown layer by layer.

    v_Q --K templates--> v_G --N bindings--> v_I --run--> v_F,  or where A_R fires  --repairs--> v_R --fork--> ...

All templates come first, then all bindings, then all runs: so what is sampled never depends on what took how long, and
a tree that is grown again, with what the journal has of it, is the same tree. Names of nodes say where they are:
`g1`, `g1.i0`, `g1.i0.r2`; the run of an instance is called like its tree and node.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from masdsl.batch.base import NOTHING, Amount
from masdsl.decode.binding import open_roles
from masdsl.diagnostics.base import Findings
from masdsl.meta.host import fit_of
from masdsl.meta.library import hash_of
from masdsl.meta.systems import parsed, repairable, template, with_binding
from masdsl.rectify.state import State
from masdsl.runtime.models.base import Message as Said
from training.trees.asking import AskedModel, Replies
from training.trees.instances import Bench, Cannot, Instance, Rested
from training.trees.plan import NOBODY, Plan
from training.trees.players import Asked, Bindings, Desktop, Repairs, Templates, Written
from training.trees.tree import Decision, Followed, Message, Option, Role, Trajectory, Tree, Trigger


class Team(NamedTuple):
    """Who plays the roles, None where nobody does; and the models of those that are models, by role."""

    generator: Templates
    implementer: Bindings | None
    rectifier: Repairs | None
    models: Mapping[Role, Asked]
    designs: bool
    """Whether the generator decides; else every query gets the nearest system that fits."""


class Grown(NamedTuple):
    """A tree with what is counted of its growth; without a tree `why` says what it was lost to."""

    tree: Tree | None
    counts: dict[str, Any]
    why: str = ""


class Counts:
    """What is counted while a tree grows; as JSON data it has an order of its own, so that time does not show."""

    def __init__(self) -> None:
        self.runs = self.forks = 0
        self.paid = self.judged = NOTHING
        self.labels: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self.triggers: Counter[str] = Counter()
        self.templates: list[str] = []

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "runs": self.runs,
            "forks": self.forks,
            "paid": self.paid._asdict(),
            "judged": self.judged._asdict(),
            "templates": len(self.templates),
            "distinct": len(set(self.templates)),
            "labels": dict(sorted(self.labels.items())),
            "refused": dict(sorted(self.refused.items())),
            "lost": dict(sorted(self.lost.items())),
            "triggers": dict(sorted(self.triggers.items())),
        }


class Growth:
    """Grows one tree; `name` is its own, and that of its replies in the journal."""

    def __init__(self, name: str, plan: Plan, team: Team, top: Desktop, bench: Bench, replies: Replies) -> None:
        self._name = name
        self._plan = plan
        self._team = team
        self._top = top
        self._bench = bench
        self._replies = replies
        self._counts = Counts()
        self._inputs = {top.shape.params[0].name: top.task.query}

    async def grow(self) -> Grown:
        """Return the tree. Raises JournalError."""
        if self._team.designs:
            root, lost = await self._designed()
        else:
            root, lost = await self._given()
        if root is None:
            return Grown(None, self._counts.to_json(), lost)
        return Grown(Tree(self._name, self._top.task.query, root), self._counts.to_json())

    # ------------------------------------------------------------ v_G

    async def _designed(self) -> tuple[Decision | None, str]:
        nodes = [f"g{number}" for number in range(self._plan.branches.templates)]
        written = await self._team.generator.sample(self._top, nodes, lambda node: self._ask("generator", node))
        if not written:
            return None, "no system of the pool fits the query and the limits of a run"
        if all(one.is_lost for one in written):
            return None, f"the generator could not be asked: {written[0].why}"
        templates = [template(one.text) or one.text for one in written]
        for text in filter(None, templates):
            tree = parsed(text)
            self._counts.templates.append(text if tree is None else hash_of(tree))
        follows = await self._bound({node: text for node, text in zip(nodes, templates, strict=False) if text})
        options = [
            self._option(node, one, text, "generator", follows.get(node))
            for node, one, text in zip(nodes, written, templates, strict=False)
        ]
        return Decision("generator", _context(self._team.generator.context(self._top)), tuple(options)), ""

    async def _given(self) -> tuple[Decision | None, str]:
        """Without a generator: the root is what decides about the nearest system that fits."""
        fitting = self._team.generator.fitting(self._top)
        if not fitting:
            return None, "no system of the pool fits the query and the limits of a run"
        follows = (await self._bound({"": fitting[0].text}))[""]
        if isinstance(follows, Decision):
            return follows, ""
        return None, "there is nothing to decide: the system has no open role, and nothing went wrong with it"

    # ------------------------------------------------------------ v_I

    async def _bound(self, templates: Mapping[str, str]) -> dict[str, Followed]:
        """Return what follows from each template, by its node."""
        sampled = await asyncio.gather(*(self._bindings(node, text) for node, text in templates.items()))
        by_node = dict(zip(templates, sampled, strict=True))
        systems: dict[str, str] = {}
        for node, text in templates.items():
            found = by_node[node]
            if found is None:
                systems[node] = self._system(text)
                continue
            for at, one in zip(_children(node, "i", len(found)), found, strict=True):
                bound = with_binding(text, one.text) if one.text else None
                if bound is not None:
                    systems[at] = self._system(bound)
        ends = await self._run_all(systems)
        follows: dict[str, Followed] = {}
        for node, text in templates.items():
            found = by_node[node]
            if found is None:
                follows[node] = ends[node]
                continue
            options = [
                self._option(at, one, systems.get(at, ""), "implementer", ends.get(at))
                for at, one in zip(_children(node, "i", len(found)), found, strict=True)
            ]
            implementer = self._team.implementer
            assert implementer is not None
            context = _context(implementer.context(self._top, text, self._pool(text)))
            follows[node] = Decision("implementer", context, tuple(options))
        return follows

    async def _bindings(self, node: str, text: str) -> Sequence[Written] | None:
        """Return the bindings of a template; None where there is nothing to decide, or nobody who does."""
        tree = parsed(text)
        if self._team.implementer is None or tree is None or not open_roles(tree):
            return None
        pool = self._pool(text)
        nodes = _children(node, "i", self._plan.branches.bindings)
        found = await self._team.implementer.sample(
            self._top, text, pool, nodes, lambda at: self._ask("implementer", at)
        )
        return found or None

    def _pool(self, text: str) -> Any:
        program = self._top.host.check(text, Findings())
        return () if program is None else self._top.host.pool(program)

    def _system(self, text: str) -> str:
        """Return M as it runs: with the number of its repairs, and theta_C."""
        if self._team.rectifier is None or not self._plan.branches.rounds:
            return text
        return repairable(text, self._plan.branches.rounds, self._plan.runs.theta)

    # ------------------------------------------------------------ v_F

    async def _run_all(self, systems: Mapping[str, str]) -> dict[str, Followed]:
        """Return what follows from each system. All have the same seed, but for one that is the same as another."""
        seen: Counter[str] = Counter()
        under_way = []
        for node, text in systems.items():
            seed = int.from_bytes(sha256(f"{self._top.seed}/{seen[text]}".encode()).digest()[:6])
            seen[text] += 1
            under_way.append(self._instance(node, text, seed))
        return dict(zip(systems, await asyncio.gather(*under_way), strict=True))

    async def _instance(self, node: str, text: str, seed: int) -> Followed:
        fit = fit_of(text, self._top.shape, self._top.host, self._top.left)
        if fit.program is None:
            return self._refused(node, fit.diagnostics[0] if fit.diagnostics else "it does not fit")
        self._counts.runs += 1
        run = f"{self._name}.{node}" if node else f"{self._name}.m"
        return await self._followed(self._bench.instance(text, self._inputs, seed), run, node, 0)

    async def _followed(self, instance: Instance, run: str, node: str, rounds: int) -> Followed:
        """Return what follows from a run: its end, or the repairs that were sampled where it stands."""
        can_repair = self._team.rectifier is not None and rounds < self._plan.branches.rounds
        try:
            rested = await self._bench.rest(instance, run, watched=can_repair)
        except Cannot as fault:
            if not fault.is_lost:
                return self._refused(node, str(fault))
            self._counts.lost[node] = f"it could not begin: {fault}"
            return None
        self._counts.paid = self._counts.paid.plus(rested.paid)
        if rested.has_value:
            return await self._graded(rested, node, instance.seed)
        state = await self._bench.state(instance, rested, trusted=self._is_trusted)
        if state.trigger.kind == "failure" and state.trigger.cause in self._plan.runs.outages:
            self._counts.lost[node] = f"an outage: {rested.why()}"
            return None
        self._counts.triggers[
            f"{'cost' if state.trigger.kind == 'threshold' else 'failure'}: {state.trigger.cause}"
        ] += 1
        failed = Trajectory(success=False, cost=rested.cost, run=run, note=rested.why())
        return await self._repaired(instance, run, node, rounds, state, failed) if can_repair else failed

    async def _graded(self, rested: Rested, node: str, seed: int) -> Followed:
        score = await self._bench.grade(rested, seed)
        self._counts.judged = self._counts.judged.plus(Amount(score.calls, score.tokens, score.picodollars))
        if score.score is None:
            self._counts.lost[node] = f"it could not be graded: {score.why}"
            return None
        is_right = score.score >= self._plan.success.threshold
        return Trajectory(is_right, rested.cost, run=rested.header.id, note=f"score {score.score:g}")

    # ------------------------------------------------------------ v_R

    @property
    def _is_trusted(self) -> bool:
        return self._team.rectifier is not None and self._team.rectifier.trusted

    async def _repaired(
        self, instance: Instance, run: str, node: str, rounds: int, state: State, failed: Trajectory
    ) -> Followed:
        """Return the decision of the rectifier at s_t, each option of which is tried in a fork of the run."""
        rectifier = self._team.rectifier
        assert rectifier is not None
        nodes = _children(node, "r", self._plan.branches.repairs + self._plan.branches.alone)
        alone = nodes.pop() if self._plan.branches.alone else ""
        written = await rectifier.sample(self._top, state, nodes, lambda at: self._ask("rectifier", at))
        follows = await asyncio.gather(
            *(self._tried(instance, run, at, rounds, state, one) for at, one in zip(nodes, written, strict=False))
        )
        options = [
            self._option(at, one, self._patched(state, one), "rectifier", follow)
            for at, one, follow in zip(nodes, written, follows, strict=False)
        ]
        if alone:
            options.append(await self._left_alone(instance, run, alone, rounds, state, failed))
        if not options:
            return failed
        trigger: Trigger = "cost" if state.trigger.kind == "threshold" else "failure"
        return Decision("rectifier", _context(rectifier.context(state)), tuple(options), trigger)

    async def _tried(
        self, instance: Instance, run: str, node: str, rounds: int, state: State, one: Written
    ) -> Followed:
        if one.proposal is None or not state.judge(one.proposal).accepted:
            return None  # `_option` says why
        rectifier = self._team.rectifier
        assert rectifier is not None
        return await self._forked(instance, run, node, rounds, state, one.proposal, rectifier.name)

    async def _forked(
        self, instance: Instance, run: str, node: str, rounds: int, state: State, said: Any, who: str
    ) -> Followed:
        fork = f"{self._name}.{node}"
        await self._bench.fork(run, fork, state, said, who)
        self._counts.forks += 1
        return await self._followed(instance, fork, node, rounds + 1)

    async def _left_alone(
        self, instance: Instance, run: str, node: str, rounds: int, state: State, failed: Trajectory
    ) -> Option:
        """Return leaving a run alone: a failed one stays so, one that takes much goes on as it is."""
        self._counts.labels[node] = "left alone"
        why = "nothing is to be changed"
        assert self._team.rectifier is not None
        action = self._team.rectifier.action("The run is left alone.", f'patch 1 on "{state.base()}"')
        follow: Followed = failed
        if state.trigger.kind == "threshold":
            follow = await self._forked(instance, run, node, rounds, state, why, "nobody")
        return Option(node, action, state.standing.source.text, NOTHING, follow)

    @staticmethod
    def _patched(state: State, one: Written) -> str:
        verdict = None if one.proposal is None else state.judge(one.proposal)
        return "" if verdict is None or verdict.source is None else verdict.source.text

    # ------------------------------------------------------------ options

    def _ask(self, role: Role, node: str) -> AskedModel:
        return AskedModel(self._team.models[role].model, self._replies, role, node, self._bench.room)

    def _refused(self, node: str, why: str) -> Trajectory:
        self._counts.refused[node] = why
        return Trajectory(success=False, executed=False, note=why)

    def _option(self, node: str, one: Written, program: str, role: Role, then: Followed) -> Option:
        """Return an option: one that was lost leads nowhere, one without a program to a failure that never ran."""
        self._counts.labels[node] = one.label
        if one.is_lost:
            self._counts.lost[node] = f"the {role} could not be asked: {one.why}"
            return Option(node, one.action, "", one.spent, None)
        if then is None and node not in self._counts.lost:
            then = self._refused(node, one.why if not program else "it does not fit the program before it")
        if isinstance(then, Trajectory) and not then.executed:
            program = program if role == "implementer" else ""
        return Option(node, one.action, program, one.spent, then)


def _children(node: str, letter: str, count: int) -> list[str]:
    return [f"{node}.{letter}{number}" if node else f"{letter}{number}" for number in range(count)]


def _context(messages: Sequence[Said]) -> tuple[Message, ...]:
    return tuple(Message(one.role, one.content) for one in messages)


def needs_models(plan: Plan) -> dict[Role, str]:
    """Return the tier or model of each role that a model plays."""
    played: dict[Role, str] = {
        "generator": plan.generator.by,
        "implementer": plan.implementer.by,
        "rectifier": plan.rectifier.by,
    }
    return {role: by for role, by in played.items() if by not in (NOBODY, "rules")}
