"""Evaluating programs: from what somebody asks for to a batch in a folder, made and reported.

    evaluation = evaluate(["a.mas", "b.mas"], "questions.jsonl", grader="exact", out="runs/first")
    for one in evaluation.standings.standings:
        print(one.contender.system, one.contender.lineup, one.interval)

The same call again goes on where it stopped; nothing that was paid is paid twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, Literal, NamedTuple

from masdsl.batch.base import Batch, EngineFault, Job, Lineup, Outcome, Sample, System
from masdsl.batch.budget import MEASURES, NO_MOST, BadBudget, Most, most_of, worst_cases
from masdsl.batch.coordinator import Coordinator, Ended, Progress
from masdsl.batch.data import Frozen, Wanted, freeze, read_samples, wanted_by
from masdsl.batch.engines import DATABASE, engine_named
from masdsl.batch.graders import grader_of
from masdsl.batch.grading import Grader, GraderFault
from masdsl.batch.report import outcomes_of, write_report
from masdsl.batch.rows import DataFault
from masdsl.batch.standings import Standings, Tallies, standings_of, to_json
from masdsl.batch.store import BATCH, JOURNAL, NEW_SAMPLES, OUTCOMES, Store, StoreFault, is_begun, outcomes_in
from masdsl.batch.systems import BadSystem, config_of, describe
from masdsl.config import NoModel, find_model
from masdsl.diagnostics.base import Findings
from masdsl.journal import new_id
from masdsl.loaded import ProgramError
from masdsl.runtime.meter import NO_LIMITS, Limits

CONFIGURED: Final = "configured"
"""The name of the lineup in which every tier is what the configuration says."""
AT_ONCE: Final = 16
"""Runs that a worker has under way, unless somebody says otherwise."""


class EvaluationFault(Exception):
    """An evaluation cannot be made as it was asked for; the text says why and what to do. Nothing was paid."""


class Evaluation(NamedTuple):
    """A batch that was made, or as much of it as could be: its `folder`, how making it `ended`, and how all stand.

    `files` are those of the report in the folder; `missing` says what is not there, and why.
    """

    folder: str
    batch: Batch
    ended: Ended
    standings: Standings
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all runs are made."""
        return self.ended.made == self.ended.runs

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcomes of all runs that were made, from the folder."""
        return outcomes_in(self.folder)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, without outcomes."""
        ended = self.ended
        return {
            "folder": self.folder,
            "batch": self.batch.id,
            "runs": ended.runs,
            "made": ended.made,
            "stopped": ended.stopped,
            "spent": ended.spent._asdict(),
            "doubtful": ended.doubtful._asdict(),
            "files": list(self.files),
            **to_json(self.standings),
        }


class Work(NamedTuple):
    """How a batch is made, which changes nothing about what comes of it.

    `workers` are processes (None: one for each processor; 0: this process), `at_once` the runs that each has under way,
    `chunk` how many runs are handed out together. `report` says whether one is
    written. `journal` is a place for steps other than the batch's own file.
    """

    engine: str = "local"
    workers: int | None = None
    at_once: int = AT_ONCE
    chunk: int | None = None
    budget: Limits | None = None
    journal: str | None = None
    tell: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], str] = lambda: ""
    report: bool = True

    def how(self) -> dict[str, Any]:
        """Return it as options of `evaluate`."""
        return self._asdict()


def evaluate(
    programs: Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    grader: str = "",
    models: Sequence[str] = (),
    repetitions: int = 1,
    seed: int = 0,
    limit: int | None = None,
    flow: str | None = None,
    columns: Mapping[str, str] | None = None,
    run_budget: Limits = NO_LIMITS,
    cache: str = "",
    sampled_calls: Literal["seeded", "fresh"] = "seeded",
    engine: str = "local",
    workers: int | None = None,
    at_once: int = AT_ONCE,
    chunk: int | None = None,
    budget: Limits | None = None,
    journal: str | None = None,
    tell: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], str] | None = None,
    report: bool = True,
) -> Evaluation:
    """Run programs on a data set, grade what they return, and keep all of it in a folder.

    Called again with the same arguments it goes on with what is missing in the folder.

    Args:
        programs: paths of `.mas` files.
        data: a path, or `hf:NAME` (`masdsl.batch.data` says what columns mean).
        out: the folder.
        grader: `NAME` or `NAME:ARGUMENTS` (`masdsl.batch.graders`); empty for none.
        models: lineups: a model for all tiers (`gpt-4o-mini`), or models by tier (`fast=a+smart=b`); by default the
            configuration's tiers as they are.
        repetitions: how often each sample is run, each time with another seed.
        seed: all seeds follow from it.
        limit: how many samples of the data set are taken at most.
        flow: the flow that is run; by default `main`, or the only one.
        columns: other names of columns, by those that are meant: `{"question": "Problem"}`.
        run_budget: limits of each run, besides its program's own.
        cache: a file in which identical calls are shared, among runs and batches; empty for none.
        sampled_calls: whether calls of a temperature above 0 are shared where their seeds are the same.
        engine: who makes the runs: `local`, `dbos` or `ray`.
        workers: how many processes (0: this one); by default as many as there are processors.
        at_once: runs that each worker has under way.
        chunk: runs that are handed out together; by default as many as take about a second.
        budget: what the batch may take in all: calls, tokens, usd. It is never exceeded.
        journal: where steps are kept; by default in the folder, for `dbos` in the database of $MASDSL_DATABASE.
        tell: is told how far it is, after each chunk.
        should_stop: asked before each chunk; a reason ends it there, to be gone on with.
        report: whether tables, manifest and plot are written to the folder at the end.

    Raises:
        EvaluationFault: it cannot be made as asked for.
        masdsl.ProgramError: a program has errors, or the data set has (then the findings are those of its rows).
        masdsl.batch.base.EngineFault: the engine cannot go on. What was made is kept.
    """
    work = Work(engine, workers, at_once, chunk, budget, journal, report=report)
    if tell is not None:
        work = work._replace(tell=tell)
    if should_stop is not None:
        work = work._replace(should_stop=should_stop)
    folder = os.path.abspath(os.fspath(out))
    with _told():
        most = _checked(work, repetitions, limit)
        paths = [os.path.abspath(os.fspath(path)) for path in programs]
        lineups = lineups_of(models, paths)
        systems, wanted = _systems(paths, flow, lineups)
        grading = grader_of(grader, os.getcwd())
        with closing(Store(folder)) as store:
            place = store.path(NEW_SAMPLES)
            frozen = _frozen(os.fspath(data), wanted, place, limit, columns, grading)
            batch = Batch(
                id=new_id(),
                systems=systems,
                lineups=lineups,
                samples_path=place,
                samples_hash=frozen.sha256,
                samples=frozen.samples,
                repetitions=repetitions,
                grader="" if grading is None else grading.spec,
                seed=seed,
                limits=run_budget,
                cache=os.path.abspath(cache) if cache else "",
                sampled_calls=sampled_calls,
            )
            if most != NO_MOST:
                worst_cases(batch, most, _judge_of(batch))  # before anything is kept: it says what is not bounded
            return _made(store, store.begin(batch), work, most)


def resume(out: str | os.PathLike[str], work: Work) -> Evaluation:
    """Go on with the batch in a folder. Raises what `evaluate` raises."""
    folder = os.path.abspath(os.fspath(out))
    with _told():
        most = _checked(work, 1, None)
        if not is_begun(folder):
            raise EvaluationFault(f"there is no batch in {folder}: {BATCH} is missing")
        with closing(Store(folder)) as store:
            return _made(store, store.kept(), work, most)


def _shared_journal(engine: str) -> str:
    """Return the database that workers of an engine share where nobody names one; empty for none."""
    return os.environ.get(DATABASE, "") if engine == "dbos" else ""


def _made(store: Store, batch: Batch, work: Work, most: Most) -> Evaluation:
    """Make what is missing of a batch, and return what there is."""
    engine = engine_named(work.engine)
    workers = (os.cpu_count() or 1) if work.workers is None else work.workers
    job = Job(
        store.path(BATCH), work.journal or _shared_journal(work.engine) or store.path(JOURNAL), work.at_once, workers
    )
    coordinator = Coordinator(
        store,
        batch,
        engine,
        job,
        most=most,
        judge=_judge_of(batch) if most != NO_MOST else None,
        priced=_priced(batch) if most.picodollars is not None else None,
        chunk=work.chunk,
        tell=work.tell,
        should_stop=work.should_stop,
    )
    ended = coordinator.make()
    if work.report:
        limits = None if work.budget is None else {name: getattr(work.budget, name) for name in MEASURES}
        report = write_report(store.folder, budget=limits)
        return Evaluation(store.folder, batch, ended, report.standings, report.files, report.missing)
    tallies = Tallies(batch)
    for _ in tallies.counted(outcomes_of(store.path(OUTCOMES), batch)):
        pass
    return Evaluation(store.folder, batch, ended, standings_of(tallies.contenders(), seed=batch.seed))


# ---------------------------------------------------------------- from what is asked for


@contextmanager
def _told() -> Iterator[None]:
    """Raise what is wrong with what was asked for as one kind of exception."""
    try:
        yield
    except (BadBudget, BadSystem, DataFault, GraderFault, StoreFault) as fault:
        raise EvaluationFault(str(fault)) from fault


def _checked(work: Work, repetitions: int, limit: int | None) -> Most:
    """Return the budget in whole units. Raises EvaluationFault for numbers that are none."""
    least = {"repetitions": (repetitions, 1), "limit": (limit, 1), "workers": (work.workers, 0)}
    least |= {"at_once": (work.at_once, 1), "chunk": (work.chunk, 1)}
    for name, (value, smallest) in least.items():
        if value is not None and value < smallest:
            raise EvaluationFault(f"{name} is {value}: it is at least {smallest}")
    try:
        engine_named(work.engine)
    except EngineFault as fault:
        raise EvaluationFault(str(fault)) from None
    return NO_MOST if work.budget is None else most_of(work.budget)


def lineups_of(models: Sequence[str], programs: Sequence[str]) -> tuple[Lineup, ...]:
    """Return the lineups that words such as `gpt-4o-mini` or `fast=a+smart=b` name, for programs in their folders.

    A model alone stands behind every tier. Raises EvaluationFault for models and tiers that there are not.
    """
    if not models:
        return (Lineup(CONFIGURED, {}),)
    configs = {path: config_of(path) for path in programs}
    lineups = []
    for word in models:
        parts = [part.partition("=") for part in word.split("+")]
        tiers: dict[str, str] = {}
        for name, equals, model in parts:
            own = {name: model} if equals else {}
            for path, config in configs.items():
                if equals and name not in config.tiers:
                    raise EvaluationFault(
                        f"`{word}` names the tier `{name}`, which the configuration of {path} does not have: there are "
                        f"{', '.join(config.tiers)}"
                    )
                own |= {} if equals else dict.fromkeys(config.tiers, name)
                try:
                    find_model(config, model if equals else name, tier=False)
                except NoModel as fault:
                    raise EvaluationFault(f"the lineup `{word}` cannot be used for {path}: {fault}") from None
            tiers |= own
        lineups.append(Lineup(word, tiers))
    if len({one.name for one in lineups}) < len(lineups):
        raise EvaluationFault("a lineup is named twice")
    return tuple(lineups)


def _systems(
    paths: Sequence[str], flow: str | None, lineups: tuple[Lineup, ...]
) -> tuple[tuple[System, ...], tuple[Wanted, ...]]:
    """Return programs as systems, by names that tell them apart, and what each takes."""
    if not paths:
        raise EvaluationFault("no program is given")
    if len(set(paths)) < len(paths):
        raise EvaluationFault("a program is named twice")
    names = _names(paths)
    systems, wanted = [], []
    for path, name in zip(paths, names, strict=True):
        try:
            system, entry = describe(name, path, flow, lineups)
        except BadSystem as fault:
            raise EvaluationFault(f"{path}: {fault}") from None
        systems.append(system)
        wanted.append(wanted_by(entry))
    first = wanted[0]
    for system, other in zip(systems, wanted, strict=True):
        if not (set(other.needed) <= set(first.types) and set(first.needed) <= set(other.types)):
            if other.query and first.query:
                continue  # one input each: whatever it is called
            raise EvaluationFault(
                f"{systems[0].name} takes {', '.join(first.types) or 'nothing'}, and {system.name} takes "
                f"{', '.join(other.types) or 'nothing'}: programs that are compared take the same inputs"
            )
    return tuple(systems), tuple(wanted)


def _names(paths: Sequence[str]) -> list[str]:
    """Return a name for each program: that of its file, with as much of its folder as tells it from the others."""
    parts = [path.removesuffix(".mas").split(os.sep) for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    raise EvaluationFault("two programs have the same name")


def _frozen(
    data: str,
    wanted: tuple[Wanted, ...],
    place: str,
    limit: int | None,
    columns: Mapping[str, str] | None,
    grading: Grader | None,
) -> Frozen:
    """Write the samples of a data set to a file. Raises ProgramError for rows that cannot be used."""
    findings = Findings()
    faults: list[str] = []

    def samples() -> Iterator[Sample]:
        read = read_samples(data, wanted[0], findings, renamed=columns, limit=limit, answered=False)
        for sample in read:
            if grading is not None and not faults and (fault := grading.fault_of(sample)):
                faults.append(f"sample {sample.number} of {data} cannot be graded by `{grading.spec}`: {fault}")
            yield sample

    frozen = freeze(samples(), place)
    if not findings.ok or faults or not frozen.samples:
        os.unlink(place)
        if not findings.ok:
            raise ProgramError(findings.sorted())
        raise EvaluationFault(faults[0] if faults else f"{data} has no samples")
    return frozen


def _priced(batch: Batch) -> dict[tuple[str, str], System]:
    """Return the systems of a batch as they are under each of its lineups: what a run may cost depends on it."""
    return {
        (system.name, lineup.name): describe(system.name, system.path, system.flow, (lineup,))[0]
        for system in batch.systems
        for lineup in batch.lineups
    }


def _judge_of(batch: Batch) -> System | None:
    """Return the program of a model judge, None where the grader is none."""
    if not batch.grader.startswith("judge:"):
        return None
    path = batch.grader.removeprefix("judge:").partition(",out_of=")[0]
    return describe("judge", path, None, (Lineup(CONFIGURED, {}),))[0]
