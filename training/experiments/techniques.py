"""Intra-consistency with a real model: prompts of SmolLM2-135M refined by `training.data`, measured on other queries.

There is no teacher here as large as MAS-GPT's (arXiv:2503.03686: GPT-4o), so there are two small ones: a **bank**,
which is no model at all but a list of published techniques, tried one after the other from a place that the query's
words say; and SmolLM2-135M itself. What each of them proposes goes through the same stage of `training.data`: checks,
scoring of both prompts, acceptance, a statement of reasons.

The queries are one-step problems with small numbers of `training.worlds arithmetic`, the only ones of which this model
solves a fair share.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from statistics import fmean
from typing import Final, Literal, NamedTuple

from masdsl.batch.evaluation import evaluate
from masdsl.batch.statistics import holm, mean_interval, paired_test
from masdsl.batch.store import outcomes_in
from masdsl.batch.systems import config_of
from masdsl.meta.host import Host, model_for
from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, Reply, Request
from training.data.construction import construct, read_refinements
from training.data.plan import Evaluation, Export, Groups, Plan, Queries, Refinement, Systems
from training.data.pools import Query, read_queries, write_samples, write_text
from training.data.refinement import Asked, Refined
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.experiments.parts.running import difference_of
from training.stage.faults import TrainingFault
from training.worlds.arithmetic import make_arithmetic
from training.worlds.files import WorldFault
from training.worlds.teacher import agents_in, patch_of

SYSTEM: Final = """mas 1

agent solver(task) -> text(300)
  "Answer the question: {{ task }}"

## One agent answers.
flow main(query) -> text {
  return solver(query)
}
"""
"""The system of all queries: the answer is read out of a free text, so that there is room to work in."""


GRADER: Final = "numeric"


class Technique(NamedTuple):
    """A published way of prompting: what stands before and after a prompt ({task}: its parameter), or a role."""

    name: str
    paper: str
    before: str = ""
    after: str = ""
    role: str = ""


BANK: Final = (
    Technique("step by step", "arXiv:2205.11916", after="\nLet's think step by step."),
    Technique(
        "plan and solve",
        "arXiv:2305.04091",
        after="\nLet's first understand the problem and devise a plan to solve the problem. Then, let's carry out the "
        "plan and solve the problem step by step.",
    ),
    Technique("deep breath", "arXiv:2309.03409", before="Take a deep breath and work on this problem step-by-step.\n"),
    Technique("re-reading", "arXiv:2309.06275", after="\nRead the question again: {task}"),
    Technique("rephrase and respond", "arXiv:2311.04205", after="\nRephrase and expand the question, and respond."),
    Technique("emotion", "arXiv:2307.11760", after="\nThis is very important to my career."),
    Technique(
        "role",
        "arXiv:2308.07702",
        role="From now on, you are an excellent math teacher and always teach your students math problems correctly.",
    ),
)
_BEGINS: Final = re.compile(r"^patch 1\b", re.MULTILINE)
_PARAMETER: Final = re.compile(r"\{\{.*?\}\}")
_QUERY: Final = re.compile(r"<query>\n(.*?)\n</query>", re.DOTALL)
_REPLY_TOKENS: Final = 300
"""The longest reply of SmolLM2 as a teacher: what is longer has lost its way."""


class Ran(NamedTuple):
    """A run: its score, and the tokens that it took."""

    score: float
    tokens: int


class Extent(NamedTuple):
    """How much is made: problems of the world (a fifth of them is short), queries at most, other seeds, queries of
    the teacher that is SmolLM2.
    """

    world: tuple[int, int]
    train: int
    held_out: int
    seeds: tuple[int, ...]
    taught: int
    tries: int = 2


SIZES: Final[dict[Size, Extent]] = {
    "small": Extent((60, 24), 6, 3, (1,), 1),
    "full": Extent((800, 640), 80, 120, (1, 2), 1),
}


def run(size: Size, out: str, tell: Callable[[str], None]) -> Report:
    """Refine the prompts of the queries that the system solves, and measure them on others.

    Raises TrainingFault where the system solves none of them.
    """
    extent = SIZES[size]
    work = _Work(os.path.abspath(out), extent, tell)
    refined = work.refined("bank, a query each", bank(), work.train)
    if not refined:
        raise TrainingFault("the model solved none of the queries, so there is no prompt to refine; make it larger")
    solved = [one for one in work.train if (one.id,) in refined]
    together = work.refined("bank, all at once", bank(), solved, unit="group")
    own = work.refined("SmolLM2 itself", _Short(work.model()), solved[: extent.taught])
    [for_all] = together.values()
    of_queries = list(refined.values())
    # Whose refinement a held-out query gets is a matter of turn: a query's own would need its answer.
    in_turn = [of_queries[at % len(of_queries)] for at in range(len(work.held_out))]
    base = work.base(work.held_out, 0)
    found = {
        "as it was": base,
        "refined for a query each": work.after(in_turn, work.held_out, 0, base),
        "refined for all at once": work.after([for_all] * len(work.held_out), work.held_out, 0, base),
    }
    tell("held-out queries are measured")
    units = [refined[one.id,] for one in solved]
    before = [work.base(solved, seed) for seed in extent.seeds]
    after = [work.after(units, solved, seed, without) for seed, without in zip(extent.seeds, before, strict=True)]
    yields = {"bank, a query each": refined, "bank, all at once": together, "SmolLM2-135M, a query each": own}
    return _report(extent, yields, found, (before, after), solved)


# ---------------------------------------------------------------- teachers


def bank() -> Asked:
    """Return the teacher that is a list of techniques."""
    return Asked(_said, name="a bank of published techniques")


def _said(system: str, told: str) -> str:
    agents, queries = agents_in(told), _QUERY.findall(told)
    who = ", then ".join(one.name for one in agents)
    reasons = f"The query asks for one number, in a few words; {who or 'one agent'} can work it out alone."
    if not agents or "```patch" not in system:
        return reasons
    # Each patch that stands there was tried: the next technique, from a place of these queries' own.
    tried = len(_BEGINS.findall(told))
    start = int.from_bytes(sha256("\0".join(queries).encode()).digest()[:4])
    return f"{reasons}\n{proposal(BANK[(start + tried) % len(BANK)], agents[0].name, agents[0].prompt)}"


def proposal(technique: Technique, agent: str, prompt: str) -> str:
    """Return the block with the patch that gives an agent a technique."""
    if technique.role:
        return patch_of(agent, technique.role, "role")
    found = _PARAMETER.search(prompt)
    after = technique.after.replace("{task}", found[0] if found else "")
    return patch_of(agent, f"{technique.before}{prompt}{after}")


def technique_of(patch: str) -> str:
    """Return the name of the technique that a patch brings in; empty for another one."""
    for one in BANK:
        said = one.role or (one.before + one.after).replace("{task}", "{{ task }}")
        if json.dumps(said, ensure_ascii=False)[1:-1] in patch or said.strip() in patch:
            return one.name
    return ""


class _Short(ModelAround):
    """A model whose replies are short."""

    async def complete(self, request: Request) -> Reply:
        """Answer one request in at most `_REPLY_TOKENS`."""
        return await self._model.complete(request._replace(max_tokens=min(request.max_tokens, _REPLY_TOKENS)))


# ---------------------------------------------------------------- work


class _Work:
    """A folder with the world, its short problems, constructions and evaluations; what is there is not made again."""

    def __init__(self, out: str, extent: Extent, tell: Callable[[str], None]) -> None:
        self._extent, self._tell = extent, tell
        self.folder = os.path.join(out, "world")
        if not os.path.exists(os.path.join(self.folder, "world.json")):
            try:
                make_arithmetic(self.folder, train=extent.world[0], held_out=extent.world[1])
            except WorldFault as fault:
                raise TrainingFault(str(fault)) from None
        self._system = os.path.join(self.folder, "system", "solver.mas")
        write_text(self._system, SYSTEM)
        self.host = Host(config_of(self._system))
        self.train = self._short("train.jsonl", extent.train)
        self.held_out = self._short("held-out.jsonl", extent.held_out)

    def _short(self, name: str, count: int) -> tuple[Query, ...]:
        found = read_queries([os.path.join(self.folder, name)])
        short = [one for one in found if one.metadata["steps"] == 1 and one.metadata["level"] == "small"]
        if len(short) < count:
            raise TrainingFault(f"{self.folder}: {name} has {len(short)} short problems, not {count}; name a new --out")
        return tuple(short[:count])

    def model(self) -> ChatModel:
        """Return the model of all tiers."""
        return model_for(self.host, "default")

    def refined(
        self, name: str, teacher: ChatModel, queries: Sequence[Query], *, unit: Literal["query", "group"] = "query"
    ) -> dict[tuple[str, ...], Refined]:
        """Return what became of those queries that the system solves, under a teacher; all of them for a group."""
        folder = os.path.join(self.folder, re.sub(r"\W+", "-", name))
        path = os.path.join(folder, "short.jsonl")
        write_samples(queries, path)
        # Queries that were solved once are not chosen a second time: any system, which is the only one, and all kept.
        chosen = queries is not self.train
        plan = Plan(
            Queries((path,)),
            Systems((self._system,)),
            Evaluation(GRADER, engine="local", workers=0, at_once=1, seed=0),
            Groups("metadata", ("source",), system="random" if chosen else "best"),
            Refinement(tries=self._extent.tries if unit == "query" else len(BANK), unit=unit),
            Export(keep="all" if chosen else "solved"),
        )
        construct(plan, folder, tell=self._tell, teacher=teacher)
        return read_refinements(folder)

    def base(self, queries: Sequence[Query], seed: int) -> list[Ran]:
        """Return the runs of the system as it was."""
        return self._runs([SYSTEM] * len(queries), queries, seed)

    def after(self, units: Sequence[Refined], queries: Sequence[Query], seed: int, base: Sequence[Ran]) -> list[Ran]:
        """Return the runs of a refined program on each query; where nothing was accepted, what the base did."""
        patched = [(one.program, query) for one, query in zip(units, queries, strict=True) if one.patch]
        runs = iter(self._runs([one for one, _ in patched], [query for _, query in patched], seed))
        return [next(runs) if one.patch else without for one, without in zip(units, base, strict=True)]

    def _runs(self, programs: Sequence[str], queries: Sequence[Query], seed: int) -> list[Ran]:
        found: dict[str, Ran] = {}
        for program in dict.fromkeys(programs):
            asked = [one for one, own in zip(queries, programs, strict=True) if own == program]
            told = json.dumps([program, [one.id for one in asked], seed])
            folder = os.path.join(self.folder, "measured", sha256(told.encode()).hexdigest()[:16])
            path, data = os.path.join(folder, "system.mas"), os.path.join(folder, "queries.jsonl")
            write_text(path, program)
            write_samples(asked, data)
            place = os.path.join(folder, "evaluation")
            evaluate(
                [path], data, out=place, report=False, grader=GRADER, engine="local", workers=0, at_once=1, seed=seed
            )
            for one in outcomes_in(place):
                found[asked[one.sample].id] = Ran(one.score or 0.0, one.tokens_in + one.tokens_out)
        return [found[one.id] for one in queries]


# ---------------------------------------------------------------- what was found


def _report(
    extent: Extent,
    yields: Mapping[str, Mapping[tuple[str, ...], Refined]],
    found: Mapping[str, Sequence[Ran]],
    again: tuple[Sequence[Sequence[Ran]], Sequence[Sequence[Ran]]],
    solved: Sequence[Query],
) -> Report:
    base, *others = found
    scores = {name: [one.score for one in runs] for name, runs in found.items()}
    adjusted = dict(zip(others, holm([paired_test(scores[one], scores[base]).p for one in others]), strict=True))
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, runs in found.items():
        gain = None if name == base else difference_of(_differences(scores[name], scores[base]))
        tokens = round(fmean(one.tokens for one in runs))
        rows.append((name, (mean_interval(scores[name]), gain, adjusted.get(name), tokens)))
    before, after = ([fmean(one.score for one in same) for same in zip(*runs, strict=True)] for runs in again)
    units = yields["bank, a query each"]
    took = [bool(units[one.id,].patch) for one in solved]
    pairs = [(one, two) for one, two, is_taken in zip(before, after, took, strict=True) if is_taken]
    worse = f"{sum(two < one for one, two in pairs)} of {len(pairs)}"
    chosen = (
        ("when it was chosen", _means([units[one.id,] for one in solved])),
        (
            f"with {len(extent.seeds)} other seeds",
            (mean_interval(before), mean_interval(after), difference_of(_differences(after, before)), worse),
        ),
    )
    columns = ("as it was (%)", "refined (%)", "gain (points)", "worse")
    tried = Counter(technique_of(one.patch) for unit in units.values() for one in unit.attempts)
    taken = Counter(technique_of(one.patch) for unit in units.values() for one in unit.attempts if one.accepted)
    return Report(
        question="Do prompts that a small model's intra-consistency keeps help with other queries?",
        world="real: SmolLM2-135M-Instruct (Q4), one-step arithmetic with small numbers",
        over="queries",
        tables=(
            Table("Held out, **real**", ("right (%)", "gain (points)", "p (Holm)", "tokens of a run"), tuple(rows)),
            Table("The queries that were refined, **real**", columns, chosen),
            Table(
                "What teachers gave, **real**",
                ("units", "patches refused", "patches scored", "accepted", "reasons by the teacher"),
                tuple((name, _yield(list(of.values()))) for name, of in yields.items()),
            ),
        ),
        picture=Picture(
            "the system's prompt",
            "right answers, held out",
            (Series("", tuple(Point(name, mean_interval(of)) for name, of in scores.items())),),
        ),
        facts={**extent._asdict(), "queries solved": len(solved), "bank": {one.name: one.paper for one in BANK}}
        | {"tried": dict(tried), "accepted": dict(taken)},
        raw={
            "held out": {name: list(runs) for name, runs in found.items()},
            "again": {"unrefined": before, "refined": after},
            "units": {name: {" ".join(ids): one.to_json() for ids, one in of.items()} for name, of in yields.items()},
        },
        reading=(
            "The bank is no model: published sentences, one after the other. A patch is accepted where one run on the "
            "query scores no less than one run without it. Held-out queries get the refinements of others in turn."
        ),
    )


def _differences(one: Sequence[float], two: Sequence[float]) -> list[float]:
    return [first - second for first, second in zip(one, two, strict=True)]


def _means(units: Sequence[Refined]) -> tuple[Cell, ...]:
    """Return what base and kept program scored when they were compared."""
    before, after = [one.base for one in units], [one.score for one in units]
    return (mean_interval(before), mean_interval(after), difference_of(_differences(after, before)), None)


def _yield(units: Sequence[Refined]) -> tuple[Cell, ...]:
    return (
        len(units),
        sum(len(one.refused) for one in units),
        sum(len(one.attempts) for one in units),
        sum(bool(one.patch) for one in units),
        sum(one.whose != "description" for one in units),
    )
