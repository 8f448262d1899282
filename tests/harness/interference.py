"""An oracle for trust labels: a program in worlds that differ in what is not trusted, or secret, alone.

Goguen and Meseguer's definition (1982), tested: who must not be influenced sees the same in every such world. Observed
is every use of a tool, in order, with its arguments, as far as the policy protects them. A run that ends early without
a value has done the beginning of what another one does (unless `endings` count: then the same).

The runs are those of the reference interpreter, with budgets: a call counts one, or two where its first reply does not
fit, which depends on its inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from random import Random
from typing import Any, NamedTuple

from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.bounds.result import Bounds
from masdsl.check import program as p
from masdsl.config import DEFAULT, Config
from masdsl.config.trust import LEVELS, MODEL, TRUSTED, UNTRUSTED, Secret, Trust
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.source import Source
from masdsl.trust.analysis import analyse
from masdsl.trust.check import unproven
from masdsl.trust.policy import entries, policy_of
from masdsl.types import Bool, Enum, Int, List, Record, Text, Type
from tests.harness import generate_trust
from tests.harness.mutants import Judge
from tests.harness.programs import granted
from tests.harness.reference import Interpreter, StepFailure, plain
from tests.harness.world import value_of

WORLDS = 8
TOOLS = ("web", "page", "hits", "look", "hr", "pick", "send", "post", "log")
CONFIG = DEFAULT._replace(
    tools=granted(*TOOLS),
    tiers={"fast": "smollm2", "smart": "openai/gpt-4o-mini", "default": "smollm2"},
)
SHAPES = {"web": "text", "page": "review", "hits": "texts", "hr": "int", "pick": "maybe", "post": "bool", "log": "bool"}


def policy(random: Random) -> Trust:
    """Return a policy for programs of `generate_trust`."""
    sources = {"web": UNTRUSTED, "page": UNTRUSTED, "hits": UNTRUSTED, "pick": UNTRUSTED, "hr": TRUSTED}
    for own in ("look", "send", "post", "log"):
        sources[own] = TRUSTED
    if random.random() < 0.3:
        sources["look"] = random.choice(LEVELS)
    effects = {"log": UNTRUSTED}
    if random.random() < 0.2:
        effects["send"] = TRUSTED
    if random.random() < 0.2:
        effects["look"] = random.choice(LEVELS)
    endorse = {("post", "kind"): 3} if random.random() < 0.6 else {}
    inputs = {"q": random.choice((UNTRUSTED, MODEL))} if random.random() < 0.15 else {}
    secrets: tuple[Secret, ...] = ()
    if random.random() < 0.35:
        readers = tuple(name for name in ("smollm2", "openai/gpt-4o-mini", *TOOLS) if random.random() < 0.6)
        secret_inputs = ("main.q",) if random.random() < 0.2 else ()
        secrets = (Secret("s", ("hr",), secret_inputs, readers),)
    return Trust(sources, effects, inputs, endorse, secrets, endings=random.random() < 0.25)


class Subject(NamedTuple):
    """A checked program (nothing said about its trust), its bounds, and the configuration with the policy."""

    text: str
    program: p.Program
    bounds: Bounds
    config: Config

    @property
    def trust(self) -> Trust:
        """The policy."""
        assert self.config.trust is not None
        return self.config.trust


class Use(NamedTuple):
    """A use of a tool or an agent that is seen."""

    name: str
    inputs: str


class Run(NamedTuple):
    """What was seen of a run, and whether it ended early."""

    uses: tuple[Use, ...]
    is_early: bool


class _World:
    """What agents and tools answer: a function of who is asked and what, and for some of the number of the world.

    `watched` are the names of those whose uses are seen; `blind` says which of a tool's arguments are not.
    """

    def __init__(
        self, program: p.Program, seed: int, salts: Mapping[str, int], watched: frozenset[str], blind: frozenset[Any]
    ) -> None:
        self._agents = {agent.name: agent for agent in program.agents}
        self._tools = {tool.key: tool for tool in program.tools}
        self._seed = seed
        self._salts = salts
        self._watched = watched
        self._blind = blind
        self.uses: list[Use] = []

    def __call__(self, kind: str, name: str, inputs: Mapping[str, Any]) -> Any:
        if kind == "tool":
            return self._used(name, inputs)
        agent = self._agents[name]
        self._see(name, inputs)
        salt = self._salts.get(name, 0)
        read: list[Any] = [dict(inputs)]
        for turn in range(agent.steps if agent.tools else 0):
            digest = self._digest(name, [turn, read], salt)
            if digest[0] % 4 == 0:
                break
            tool = self._tools[agent.tools[digest[1] % len(agent.tools)]]
            try:
                read.append(self._used(tool.name, _arguments(tool, digest)))
            except StepFailure:
                read.append("failed")
            self._see(name, read[-1])
        digest = self._digest(name, read, salt)
        if digest[0] % 9 == 0:
            raise StepFailure(name)
        return value_of(name.removeprefix("ask_") if name.startswith("ask_") else "text", digest)

    def _used(self, name: str, inputs: Mapping[str, Any]) -> Any:
        self._see(name, {key: value for key, value in inputs.items() if (name, key) not in self._blind})
        digest = self._digest(name, dict(inputs), self._salts.get(name, 0))
        if digest[0] % 7 == 0:
            raise StepFailure(name)
        return value_of(SHAPES.get(name, name), digest)

    def cost(self, agent: p.Agent, inputs: Mapping[str, Any]) -> int:
        """Return how many calls a step of an agent takes."""
        return 1 + (agent.retries and self._digest("cost", [agent.name, dict(inputs)])[0] % 2)

    def _see(self, name: str, what: Any) -> None:
        if name in self._watched:
            self.uses.append(Use(name, json.dumps(what, sort_keys=True)))

    def _digest(self, *what: Any) -> bytes:
        return sha256(json.dumps([self._seed, what], sort_keys=True).encode("utf-8", "surrogatepass")).digest()


def _arguments(tool: p.Tool, digest: bytes) -> dict[str, Any]:
    kinds = {param.name: param.name if param.name == "kind" else "text" for param in tool.params}
    return {name: value_of(kind, digest) for name, kind in kinds.items()}


class _Budgeted(Interpreter):
    """The reference interpreter with budgets of calls."""

    def __init__(self, program: p.Program, world: _World) -> None:
        super().__init__(program, world)
        self._world = world
        budget = program.budget
        self._left: list[int] = [10**6 if budget is None or budget.calls is None else budget.calls]

    def statement(self, node: p.Statement, names: dict[str, Any]) -> None:
        if not isinstance(node, p.Within) or node.limits.calls is None:
            return super().statement(node, names)
        self._left.append(node.limits.calls)
        try:
            self.block(node.body, names)
        finally:
            self._left.pop()

    def run(self, key: str, inputs: dict[str, Any]) -> Any:
        limits = self.flows[key].limits
        if limits is None or limits.calls is None:
            return super().run(key, inputs)
        self._left.append(limits.calls)
        try:
            return super().run(key, inputs)
        finally:
            self._left.pop()

    def operand(self, node: p.Expr | p.Invoke, names: dict[str, Any]) -> Any:
        if isinstance(node, p.Invoke) and node.kind == "agent":
            agent = self.leaves[node.callee]
            assert isinstance(agent, p.Agent)
            inputs = {name: self.expr(value, names) for name, value in node.arguments}
            if min(self._left) < 1 + agent.retries:
                if agent.has_default:
                    return plain(agent.default)
                raise StepFailure(agent.name)
            taken = self._world.cost(agent, inputs)
            self._left = [left - taken for left in self._left]
        return super().operand(node, names)


def run(
    subject: Subject, seed: int, salts: Mapping[str, int], watched: frozenset[str], flow: str = "main", asked: str = "q"
) -> Run:
    """Run a flow of a program in one world; `asked` is the input `q` where it has one."""
    blind = frozenset(subject.trust.endorse)
    world = _World(subject.program, seed, salts, watched, blind)
    interpreter = _Budgeted(subject.program, world)
    try:
        interpreter.run(flow, inputs_of(subject.program.flow(flow), seed, asked))
    except StepFailure:
        return Run(tuple(world.uses), True)
    return Run(tuple(world.uses), False)


def inputs_of(flow: p.Flow, seed: int, asked: str) -> dict[str, Any]:
    """Return inputs for a flow that follow from a seed; the one called `q` is given."""
    digest = sha256(f"{flow.key} {seed}".encode()).digest()
    return {param.name: asked if param.name == "q" else _value(param.type, digest) for param in flow.params}


def _value(kind: Type, digest: bytes) -> Any:
    names = {Text: "text", Int: "int", Bool: "bool", Enum: "kind", List: "texts", Record: "review"}
    return value_of(names[type(kind)], digest)


def same(one: Run, other: Run, endings: bool) -> bool:
    """Whether who watches two runs cannot tell them apart."""
    if one.uses == other.uses or endings:
        return one.uses == other.uses
    short, long = sorted((one, other), key=lambda run: len(run.uses))
    return short.is_early and long.uses[: len(short.uses)] == short.uses


def questions(subject: Subject) -> Iterator[tuple[frozenset[str], frozenset[str], bool]]:
    """Yield what may differ between worlds (names of tools, and whether the question does), and who is to see the same.

    One is for each level that some tool does not take, one for each secret.
    """
    trust = subject.trust
    bad = {UNTRUSTED: (UNTRUSTED,), MODEL: (MODEL, UNTRUSTED)}
    for worst, levels in bad.items():
        sources = frozenset(name for name, level in trust.sources.items() if level in levels)
        watched = frozenset(tool for tool in TOOLS if LEVELS.index(_limit(trust, tool)) < LEVELS.index(worst))
        if worst == MODEL:
            sources |= frozenset(agent.name for agent in subject.program.agents)
        yield sources, watched, trust.inputs.get("q") in levels
    for secret in trust.secrets:
        models = {"fast": "smollm2", "smart": "openai/gpt-4o-mini"}
        agents = frozenset(
            agent.name for agent in subject.program.agents if models[agent.model or ""] not in secret.readers
        )
        tools = frozenset(tool for tool in TOOLS if tool not in (*secret.readers, *secret.sources))
        yield frozenset(secret.sources), agents | tools, bool(secret.inputs)


def _limit(trust: Trust, tool: str) -> str:
    return trust.effects.get(tool, MODEL if tool in ("send", "post", "log") else UNTRUSTED)


def interferes(subject: Subject, worlds: int = WORLDS, seeds: int = 2) -> bool:
    """Whether some world is seen that shows what must not be seen."""
    for differing, watched, asks in questions(subject):
        for flow in entries(subject.program):
            for seed in range(seeds):
                runs = [
                    run(subject, seed, dict.fromkeys(differing, number), watched, flow.key, f"q{number * asks}")
                    for number in range(worlds)
                ]
                if any(not same(runs[0], other, subject.trust.endings) for other in runs[1:]):
                    return True
    return False


def subject(seed: int, size: int = 6) -> Subject | None:
    """Return a generated program with a policy; None where the program has errors."""
    return subject_of(Random(seed), size)


def subject_of(random: Random, size: int = 6) -> Subject | None:
    """Return a program with a policy, both as the source of chances has it; None where the program has errors."""
    text = generate_trust.program(random, 2 + random.randrange(size))
    return checked(text, policy(random))


def checked(text: str, trust: Trust) -> Subject | None:
    """Return a program without a look at its trust; None where it has errors."""
    findings = Findings()
    harmless = Trust({}, dict.fromkeys(TOOLS, UNTRUSTED), {}, {}, (), unnamed=TRUSTED)
    source = Source("generated.mas", text)
    program = pipeline.check_source(source, CONFIG._replace(trust=harmless), findings, priced=False)
    errors = [finding for finding in findings.sorted() if finding.diagnostic.severity == ERROR]
    if program is None or errors:
        codes = {finding.diagnostic.code for finding in errors}
        assert codes <= {"MAS401", "MAS402", "MAS403"}, (errors, text)  # too small a budget, or too many calls
        return None
    return Subject(text, program, bound(program, {}), CONFIG._replace(trust=trust))


TRUE = Judge(policy_of, unproven, analyse)


def accepts(subject: Subject, judge: Judge = TRUE) -> bool:
    """Whether an analysis finds nothing wrong with a program."""
    may_run_out = judge.unproven(subject.program, subject.bounds, subject.config, priced=False)
    found = judge.analyse(subject.program, judge.policy_of(subject.program, subject.config), may_run_out)
    return not found.breaches
