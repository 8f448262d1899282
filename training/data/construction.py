"""The whole construction, from a plan to a folder with training data; called again it goes on where it stopped.

queries.jsonl  the queries, in the order of their ids       systems/          the systems, as templates
evaluation/    the N x M runs (`masdsl.evaluate`)           selection.jsonl   the choice of each group
scoring/       evaluations of refinements                   refinements.jsonl what became of each query or group
data.jsonl     the examples, for TRL                        card.json, .md    the data card

Nothing that is in `evaluation`, `scoring` or `refinements.jsonl` is paid again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from masdsl.batch.budget import parse_budget
from masdsl.batch.coordinator import Progress
from masdsl.batch.evaluation import evaluate
from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of, identity
from masdsl.meta.host import Host, fit_of, model_for, shape_of
from masdsl.meta.task import Spent
from masdsl.meta.trained import tools_of
from masdsl.runtime import Limits
from masdsl.runtime.models.base import ChatModel
from training.data.export import (
    Example,
    Step,
    card_text,
    data_card,
    token_counter,
    unique,
    write_examples,
)
from training.data.grouping import Group, alone, by_clusters, by_metadata, k_means
from training.data.plan import Plan
from training.data.pools import PoolSystem, Query, read_queries, read_systems, task_of, write_samples, write_text
from training.data.refinement import (
    BudgetedTeacher,
    Refined,
    Scoring,
    refine,
    refined_from,
    within_budget,
)
from training.data.scores import Table, read_table
from training.data.selection import Choice, at_random, select

Tell = Callable[[str], None]
_EVERY: Final = 10.0
"""Seconds between two lines of progress."""
REFINEMENTS: Final = "refinements.jsonl"


class Made(NamedTuple):
    """What a construction left: its examples, and the data card."""

    examples: tuple[Example, ...]
    card: dict[str, Any]


def construct(plan: Plan, out: str, *, tell: Tell = print, teacher: ChatModel | None = None) -> Made:
    """Make training data in a folder as a plan says; `teacher` takes the place of the plan's.

    Raises DataFault for what cannot be used, and what `masdsl.evaluate` raises.
    """
    out = os.path.abspath(out)
    host = Host(config_of(os.path.join(out, "systems", "pool.mas")))
    count = token_counter(plan.export.tokenizer) if plan.export.tokenizer else None
    queries = read_queries(plan.queries.paths, limit=plan.queries.limit, columns=plan.queries.columns)
    groups = _groups(plan, queries)
    systems, left_out = read_systems(
        plan.systems.paths,
        queries,
        host,
        most_calls=plan.systems.most_calls,
        tools=plan.systems.tools,
    )
    tell(f"{len(queries)} queries in {len(groups)} groups, {len(systems)} systems ({len(left_out)} files left out)")
    for one in left_out:
        tell(f"  left out: {one.path}: {one.why}")
    where = host.config.path or f"masdsl itself, since there is no mas.toml at or above {out}"
    named = [f"{tier} = {model}" for tier, model in host.config.tiers.items()]
    tell(f"models are those of {where}: {', '.join(named)}")
    table = _evaluated(plan, out, queries, systems, tell)
    if table.shortfall():
        tell(f"  {table.shortfall()}; queries that not all systems have a score for decide nothing")
    hashes = [one.hash for one in systems]
    choices = (
        at_random(table, groups, hashes, seed=plan.groups.seed)
        if plan.groups.system == "random"
        else select(table, groups, hashes)
    )
    lines = [json.dumps(one.to_json(table.systems), sort_keys=True) + "\n" for one in choices]
    write_text(os.path.join(out, "selection.jsonl"), "".join(lines))
    chosen = sum(one.system is not None for one in choices)
    tell(f"{chosen} of {len(choices)} groups have a system")
    if teacher is None and plan.refinement.teacher:
        teacher = model_for(host, plan.refinement.teacher)
    work = _Work(plan, out, host, queries, systems, teacher)
    kept, units = _kept(plan, table, choices), []
    for choice in choices:
        for members in _units(plan, [one for one in choice.group.members if one in kept]):
            units += [(choice, members, work.refined(choice, members))]
    if work.out_of_budget:
        tell(
            f"the teacher's budget was too small for {work.out_of_budget} of {len(units)} refinements: raise"
            " [refinement] budget and begin again, and only those are made"
        )
    examples = [one for choice, members, refined in units for one in work.examples(choice, members, refined)]
    taken = unique(examples)
    form = plan.export.form
    write_examples(taken, os.path.join(out, "data.jsonl"), form)
    assigned = sum(len(one.group.members) for one in choices if one.system is not None)
    refined = [one for _, _, one in units]
    accepted = sum(bool(one.patch) for one in refined)
    steps = (
        Step("systems of the pool", len(systems) + len(left_out), len(systems), "one text in, an answer out"),
        Step("runs of the table", table.runs, table.runs - table.missing - table.ungraded, f"{table.failed} failed"),
        Step("groups with a system", len(choices), chosen, "the others have no query that any system solved"),
        Step("queries with a system", len(queries), assigned),
        Step("queries kept", assigned, len(kept), f"keep = {plan.export.keep}"),
        Step("refinements taken", len(units), accepted, "units; the others keep the pool's prompts"),
        Step("examples", len(examples), len(taken), "without duplicates"),
    )
    more: dict[str, Any] = {
        "form": form,
        "grader": plan.evaluation.grader,
        "teacher": None if teacher is None else teacher.name,
        "tokens of the teacher": work.spent.tokens,
        "refinements beyond the teacher's budget": work.out_of_budget,
        "patches refused by the checks": sum(len(one.refused) for one in refined),
        "reasons by": {
            whose: sum(one.whose == whose for one in refined) for whose in sorted({o.whose for o in refined})
        },
        "systems chosen": sorted({systems[one.system].name for one in choices if one.system is not None}),
    }
    card = data_card(taken, steps, count, more)
    write_text(os.path.join(out, "card.json"), json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    write_text(os.path.join(out, "card.md"), card_text(card))
    tell(f"{len(taken)} examples in {os.path.join(out, 'data.jsonl')}")
    return Made(taken, card)


def read_refinements(folder: str) -> dict[tuple[str, ...], Refined]:
    """Return what became of each unit of queries in the folder of a construction, by their ids; the last one counts.

    Raises DataFault for a file that cannot be read; lines that were cut off are passed over.
    """
    path, found = os.path.join(folder, REFINEMENTS), {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                try:
                    row = json.loads(line)
                    found[tuple(row["queries"])] = refined_from(row["refined"])
                except (ValueError, TypeError, KeyError):
                    continue
    except OSError as error:
        raise DataFault(f"{path} cannot be read: {error.strerror or error}; make the data with a teacher") from None
    return found


def _groups(plan: Plan, queries: Sequence[Query]) -> tuple[Group, ...]:
    if plan.groups.by == "metadata":
        return by_metadata(queries, plan.groups.fields)
    if plan.groups.by == "query":
        return alone(queries)
    return by_clusters(queries, plan.groups.count, k_means(plan.groups.by), seed=plan.groups.seed)


def _evaluated(plan: Plan, out: str, queries: Sequence[Query], systems: Sequence[PoolSystem], tell: Tell) -> Table:
    data = os.path.join(out, "queries.jsonl")
    write_samples(queries, data)
    paths = []
    for one in systems:
        paths.append(os.path.join(out, "systems", f"{one.name}.mas"))
        write_text(paths[-1], one.text)
    budget = plan.evaluation.budget
    folder = os.path.join(out, "evaluation")
    limit = parse_budget(budget) if budget else None
    evaluate(paths, data, out=folder, report=False, budget=limit, tell=_progress(tell), **_options(plan))
    return read_table(folder)


def _progress(tell: Tell) -> Callable[[Progress], None]:
    """Return what tells how far the runs are, now and then."""
    told = 0.0

    def so_far(now: Progress) -> None:
        nonlocal told
        if now.seconds - told >= _EVERY:
            told = now.seconds
            left = "" if now.left is None else f", about {now.left:.0f} s more"
            tell(f"  {now.made}/{now.runs} runs, {now.failed} failed, {now.seconds:.0f} s{left}")

    return so_far


def _options(plan: Plan) -> dict[str, Any]:
    """Return the options of all evaluations."""
    given = {name: value for name, value in plan.evaluation._asdict().items() if value is not None}
    model = given.pop("model", None)
    given.pop("budget", None)
    return given | ({"models": [model]} if model else {})


def _kept(plan: Plan, table: Table, choices: Sequence[Choice]) -> frozenset[int]:
    """Return the queries that are kept: those that their group's system solved for the most part, or all it has."""
    found = set()
    for choice in choices:
        for number in choice.group.members if choice.system is not None else ():
            assert choice.system is not None
            cell = table.cells[choice.system][number]
            if plan.export.keep == "all" or (cell is not None and cell.score > 0.5):
                found.add(number)
    return frozenset(found)


def _units(plan: Plan, members: Sequence[int]) -> list[tuple[int, ...]]:
    """Return which queries are refined together."""
    if plan.refinement.unit == "group":
        return [tuple(members)] if members else []
    return [(one,) for one in members]


class _Work:
    """Refinements of a construction, each kept as soon as it is made."""

    def __init__(
        self,
        plan: Plan,
        out: str,
        host: Host,
        queries: Sequence[Query],
        systems: Sequence[PoolSystem],
        teacher: ChatModel | None,
    ) -> None:
        self._plan, self._host, self._queries, self._systems, self._teacher = plan, host, queries, systems, teacher
        self._task = task_of(queries, host)
        self._shape = shape_of(self._task, host)
        self._file = os.path.join(out, REFINEMENTS)
        own = {"repetitions": plan.refinement.repetitions} if plan.refinement.repetitions else {}
        self._scoring = Scoring(os.path.join(out, "scoring"), _options(plan) | own)
        self._known: dict[str, Refined] = {}
        self.spent = Spent()
        """What the teacher took, in earlier processes too."""
        self.out_of_budget = 0
        """Units for which the teacher had no budget left; they are not kept, and made with the next budget."""
        if os.path.exists(self._file):
            with open(self._file, encoding="utf-8") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                        if "refined" in row:
                            self._known[row["key"]] = refined_from(row["refined"])
                            self.spent = self.spent.plus(self._known[row["key"]].spent)
                        else:
                            self.spent = self.spent.plus(Spent(**row["unfinished"]))
                    except (ValueError, TypeError, KeyError):
                        continue  # a line that was cut off when a process ended: that unit is made again
        if teacher is not None and plan.refinement.budget:
            limits = parse_budget(plan.refinement.budget)
            self._teacher = within_budget(teacher, limits, self.spent)

    def refined(self, choice: Choice, members: Sequence[int]) -> Refined:
        """Return what became of the group's system for these queries."""
        assert choice.system is not None
        base = self._systems[choice.system]
        queries = [self._queries[one] for one in members]
        name = "" if self._teacher is None else self._teacher.name
        tries = self._plan.refinement.tries
        said = [base.text, name, tries, self._scoring.options, [(one.id, one.text, one.answer) for one in queries]]
        key = sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        if key not in self._known:
            made = refine(
                base.text, base.about, queries, self._teacher, self._task, self._host, self._scoring, tries=tries
            )
            self.spent = self.spent.plus(made.spent)
            if isinstance(self._teacher, BudgetedTeacher) and self._teacher.used_up:
                self.out_of_budget += 1
                self._teacher.used_up = False
                self._keep({"unfinished": made.spent.to_json()})
                return made
            self._known[key] = made
            self._keep({"key": key, "queries": [one.id for one in queries], "refined": made.to_json()})
        return self._known[key]

    def _keep(self, row: dict[str, Any]) -> None:
        with open(self._file, "a", encoding="utf-8") as file:
            # The line feed in front ends a line that was cut off when a process ended.
            file.write("\n" + json.dumps(row, sort_keys=True) + "\n")

    def examples(self, choice: Choice, members: Sequence[int], refined: Refined) -> list[Example]:
        """Return the examples of these queries."""
        assert choice.system is not None
        base = self._systems[choice.system]
        program = fit_of(refined.program, self._shape, self._host, Limits()).program
        if program is None:
            raise DataFault(f"the program for {choice.group.name} no longer fits: was the configuration changed?")
        provenance = {
            "group": choice.group.name,
            "system": base.name,
            "base": base.hash,
            "patch": refined.patch,
            "reasons_by": refined.whose,
        }
        own = identity(program)
        return [
            Example(
                self._queries[one].id,
                self._queries[one].text,
                refined.reasoning,
                refined.program,
                own,
                {**provenance, "metadata": dict(self._queries[one].metadata)},
                self._task.signature,
                tools_of(refined.program),
                self._plan.systems.most_calls,
            )
            for one in members
        ]
