"""`python -m training.trees CONFIG.toml --out DIR`: trees of Collaborative Tree Optimization; the same again goes on.

In DIR there are `trees.jsonl` (a tree a line, in the order of the queries: what `python -m training.pairs` reads),
`card.json` (counts), `growth.json` and `queries.jsonl` (what it was grown of), `journal.db` (every run and every reply
of a meta-agent) and `grown/` (each tree as soon as it is there).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from masdsl import __version__
from masdsl.batch.base import Chunk, Job, Sample
from masdsl.batch.data import freeze
from masdsl.batch.engines import engine_named
from masdsl.batch.grading import Grader
from masdsl.batch.rows import rows_of
from masdsl.meta.host import Host
from masdsl.runtime.models.base import ModelError
from masdsl.runtime.models.registry import Models
from training.stage.command import configured, ended
from training.stage.faults import NothingMade, TrainingFault
from training.stage.settings import settings_json
from training.trees.card import Tally, told
from training.trees.plan import Plan, read_plan
from training.trees.tree import Shape, line_of, tree_from_json
from training.trees.worker import FORMAT, MODULE, configuration, grader_for, task_in, team_of

_EVERY: Final = 5.0
"""Seconds between two lines of progress."""


class Refused(TrainingFault):
    """The command cannot do what it was asked for; the text says why, and what to do."""


class Paths(NamedTuple):
    """The files of a growth."""

    folder: str

    def of(self, name: str) -> str:
        """Return the path of a file."""
        return os.path.join(self.folder, name)

    def grown(self, number: int) -> str:
        """Return where a tree is kept as soon as it is there."""
        return os.path.join(self.folder, "grown", f"{number // 1000:04d}", f"{number:07d}.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Grow trees; return an exit code."""
    about = "Grow trees of Collaborative Tree Optimization (MAS², section 3.2) from real sessions."
    folder = "the folder for trees.jsonl, card.json and the journal of runs"
    again = "The same command again goes on where it stopped; nothing is paid twice."
    options = configured("trees", about, folder, epilog=again).parse_args(arguments)
    return ended(lambda: _grow(options.config, options.out), options.out)


def _grow(config: str, folder: str) -> None:
    if not grow(read_plan(config), folder):
        raise NothingMade(f"no trees came of the queries; {Paths(folder).of('card.json')} counts why")


def grow(plan: Plan, folder: str) -> int:
    """Grow the trees of a plan into a folder; return how many there are.

    Raises Refused, DataFault, EngineFault, ModelError, JournalError and OSError for what it cannot go on with.
    """
    paths = Paths(os.path.abspath(folder))
    config = configuration(plan)
    grader = grader_for(plan)
    opened = Models(config, plan.folder)
    team_of(plan, Host(config), opened)  # a model that is not there is told now
    task_in(plan, config, "a query")  # and so are tools
    for tier in config.tiers:
        try:
            opened(tier, tier=True)
        except ModelError as error:
            what = f"the tier `{tier}` cannot be used, and systems may be put on it: {error.detail}"
            raise Refused(f"{what}; mend its model in the mas.toml, or take it out of [tiers]") from None
    engine = engine_named(plan.work.engine)
    samples, left_out = _samples(plan, grader)
    described = _described(plan, paths, samples, config.tiers)
    missing = [number for number in range(len(samples)) if not os.path.exists(paths.grown(number))]
    if len(missing) < len(samples):
        print(f"{len(samples) - len(missing)} of {len(samples)} trees are there already", file=sys.stderr)
    job = Job(
        batch=paths.of("growth.json"),
        journal=paths.of("journal.db"),
        at_once=plan.work.at_once,
        workers=plan.work.workers,
        work=MODULE,
    )
    lost: dict[int, str] = {}
    progress = _Progress(len(missing))
    for done in engine.work(job, _chunks(missing)):
        for outcome in done.outcomes:
            value = outcome.value
            if value["tree"] is None:
                lost[outcome.number] = value["why"]
            else:
                _write(paths.grown(outcome.number), json.dumps(value))
            progress.tell(value)
    return _assembled(plan, paths, described, len(samples), left_out, lost)


def _chunks(numbers: list[int]) -> Iterator[Chunk | None]:
    for number in numbers:
        yield Chunk(number, number + 1)


class _Progress:
    """Tells how far a growth is."""

    def __init__(self, trees: int) -> None:
        self._trees, self._done, self._calls = trees, 0, 0
        self._began = self._told = time.monotonic()

    def tell(self, value: Mapping[str, Any]) -> None:
        """Count a tree; say so now and then."""
        self._done += 1
        self._calls += value["counts"].get("paid", {}).get("calls", 0)
        now = time.monotonic()
        if now - self._told >= _EVERY or self._done == self._trees:
            self._told = now
            seconds = now - self._began
            print(f"{self._done}/{self._trees} trees, {self._calls} calls of runs, {seconds:.0f} s", file=sys.stderr)


# ---------------------------------------------------------------- what goes in


def _samples(plan: Plan, grader: Grader) -> tuple[list[Sample], dict[str, int]]:
    """Return the queries that can be graded, and why others are left out. Raises DataFault, Refused."""
    found: list[Sample] = []
    left_out: dict[str, int] = {}
    for place in plan.queries.paths:
        for taken, row in enumerate(rows_of(place)):
            if plan.queries.limit is not None and taken >= plan.queries.limit:
                break
            why = row.fault
            columns = dict(row.columns)
            for name, column in plan.queries.columns.items():
                if column not in columns:
                    raise Refused(f"{place}:{row.number}: it has no column `{column}`, which is to be its {name}")
                columns[name] = columns.pop(column)
            query, answer = columns.pop("query", None), columns.pop("answer", None)
            sample = Sample(len(found), {"query": query}, answer, columns)
            if not why and not (isinstance(query, str) and query.strip()):
                why = "it has no `query`; [queries.columns] may name another column"
            elif not why:
                why = grader.fault_of(sample)
            if why:
                left_out[why] = left_out.get(why, 0) + 1
                print(f"{place}:{row.number}: left out: {why}", file=sys.stderr)
            else:
                found.append(sample)
    if not found:
        raise Refused(
            f"there are no queries that can be graded in {', '.join(plan.queries.paths)}; name a data set with `query` "
            f"and `answer`, and a grader that fits them"
        )
    return found, left_out


def _described(plan: Plan, paths: Paths, samples: list[Sample], tiers: Mapping[str, str]) -> dict[str, Any]:
    """Write what workers read, or make sure that it is what is there. Raises Refused."""
    os.makedirs(paths.folder, exist_ok=True)
    frozen = freeze(samples, paths.of("queries.jsonl.new"))
    kept = settings_json(plan)
    # where things are, and how it is grown, is no part of what is grown
    same = {**kept, "work": {"seed": plan.work.seed}, "queries": {}, "world": {}}
    identity = json.dumps([same, frozen.sha256, dict(tiers)], sort_keys=True)
    name = sha256(identity.encode()).hexdigest()[:10]
    try:
        with open(paths.of("growth.json"), encoding="utf-8") as file:
            before = json.load(file).get("id")
    except FileNotFoundError:
        before = None
    except (ValueError, AttributeError):
        raise Refused(f"{paths.of('growth.json')} is damaged; begin in another folder") from None
    if before not in (None, name):
        raise Refused(
            f"{paths.folder} has trees of another configuration, of other queries or of other tiers; put those back, "
            "or begin in another folder with --out"
        )
    os.replace(paths.of("queries.jsonl.new"), paths.of("queries.jsonl"))
    described = {
        "format": FORMAT,
        "id": name,
        "masdsl": __version__,
        "plan": kept,
        "tiers": dict(tiers),
        "samples_path": paths.of("queries.jsonl"),
        "samples_hash": frozen.sha256,
        "samples": frozen.samples,
    }
    _write(paths.of("growth.json"), json.dumps(described, indent=1))
    return described


# ---------------------------------------------------------------- what comes out


def _assembled(
    plan: Plan,
    paths: Paths,
    described: Mapping[str, Any],
    count: int,
    left_out: Mapping[str, int],
    lost: Mapping[int, str],
) -> int:
    """Write `trees.jsonl` and the card of all trees that are there; return how many."""
    branches = plan.branches
    tally = Tally(Shape(branches.templates, branches.bindings, branches.repairs + branches.alone, branches.rounds))
    for why, times in left_out.items():
        for _ in range(times):
            tally.without(why)
    trees = 0
    with open(paths.of("trees.jsonl.new"), "w", encoding="utf-8", newline="\n") as file:
        for number in range(count):
            if number in lost:
                tally.without(lost[number])
                continue
            try:
                with open(paths.grown(number), encoding="utf-8") as kept:
                    value = json.load(kept)
                tree = tree_from_json(value["tree"])
            except (OSError, ValueError, KeyError) as fault:
                raise Refused(f"{paths.grown(number)} cannot be read: {fault}; delete it and go on") from None
            file.write(line_of(tree))
            tally.add(tree, value["counts"])
            trees += 1
    os.replace(paths.of("trees.jsonl.new"), paths.of("trees.jsonl"))
    told_of = {key: described[key] for key in ("id", "masdsl", "plan", "tiers", "samples_hash")}
    card = {"format": FORMAT, **tally.card(), "grown_by": told_of}
    _write(paths.of("card.json"), json.dumps(card, indent=2, allow_nan=False) + "\n")
    for line in told(card):
        print(line, file=sys.stderr)
    if lost:
        print("the same command again tries those once more", file=sys.stderr)
    print(f"{trees} trees: {paths.of('trees.jsonl')}; card.json beside it has the counts")
    return trees


def _write(path: str, text: str) -> None:
    """Write a file as a whole or not at all; folders are made."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(path + ".new", path)
