"""What a batch is, what its runs leave behind, and what an engine has to do.

    Batch    every run of it follows from this: what is run, on what, how often, how it is graded
    Chunk    runs `first` .. `last - 1` of it: what an engine hands to a worker
    Outcome  what one run left behind; the same on every engine and at every repetition of the batch
    Engine   carries chunks to workers and brings their outcomes back, in any order

Runs are numbered from 0. Their numbers, ids and seeds follow from the batch alone, so any worker can make any run, and
one that was broken off is found in the journal under its id and goes on. Steps are always kept by the journal; an
engine carries chunks of runs only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from operator import add, sub
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from masdsl.runtime.meter import NO_LIMITS, Limits
from masdsl.tracing import below

if TYPE_CHECKING:
    from masdsl.journal import Journal

Status = Literal["ended", "failed", "stopped"]
FORMAT: Final = 1
"""Version of a batch's description and of the outcomes."""


class System(NamedTuple):
    """A program of a batch, and the flow of it that is run.

    `path` is absolute and the same on every machine that has a worker; `program` is its canonical hash: a worker that
    finds another program there refuses. `calls`, `tokens` and `picodollars` are the proved worst case of one run.
    """

    name: str
    path: str
    flow: str
    program: str
    calls: int | None = None
    tokens: int | None = None
    picodollars: int | None = None


class Lineup(NamedTuple):
    """The models of a run: which stands behind each tier. Tiers that it does not name stay the configuration's."""

    name: str
    tiers: Mapping[str, str]


class Sample(NamedTuple):
    """A line of a data set: inputs by the names of the flow's parameters, the right answer, and other columns."""

    number: int
    inputs: Mapping[str, Any]
    answer: Any = None
    extra: Mapping[str, Any] = {}


class Batch(NamedTuple):
    """What is run. Run `n` is repetition `n % repetitions` of sample `.. % samples` under a lineup of a system.

    `samples_path` is a file of JSON lines (`Sample`), absolute; `samples_hash` its SHA-256. `grader` is the name of a
    grader with its arguments (`masdsl.batch.graders`), empty for none. `limits` hold for one run, besides the
    program's own budget. `sampled_calls` says what the cache does with calls of a temperature above 0: `seeded` shares
    those of one seed, `fresh` shares none; `cache` is an absolute path, empty for no cache.
    """

    id: str
    systems: tuple[System, ...]
    lineups: tuple[Lineup, ...]
    samples_path: str
    samples_hash: str
    samples: int
    repetitions: int = 1
    grader: str = ""
    seed: int = 0
    limits: Limits = NO_LIMITS
    cache: str = ""
    sampled_calls: Literal["seeded", "fresh"] = "seeded"

    @property
    def runs(self) -> int:
        """How many runs the batch has."""
        return len(self.systems) * len(self.lineups) * self.samples * self.repetitions

    def run(self, number: int) -> Run:
        """Return what a run is. Raises IndexError for a number that the batch does not have."""
        if not 0 <= number < self.runs:
            raise IndexError(f"the batch has {self.runs} runs, none of the number {number}")
        rest, repetition = divmod(number, self.repetitions)
        rest, sample = divmod(rest, self.samples)
        system, lineup = divmod(rest, len(self.lineups))
        return Run(number, self.systems[system], self.lineups[lineup], sample, repetition, self._seed(number))

    def run_id(self, number: int) -> str:
        """Return the id under which the journal keeps a run."""
        return f"{self.id}-{number}"

    def _seed(self, number: int) -> int:
        """Return the seed of a run: the same for all systems and lineups, so that they are compared in pairs."""
        pair = number % (self.samples * self.repetitions)
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{pair}".encode()).digest()[:6])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "format": FORMAT,
            **self._asdict(),
            "systems": [one._asdict() for one in self.systems],
            "lineups": [{"name": one.name, "tiers": dict(one.tiers)} for one in self.lineups],
            "limits": {name: getattr(self.limits, name) for name in ("calls", "tokens", "usd", "seconds")},
        }


class Run(NamedTuple):
    """One run of a batch; `sample` is the number of its sample."""

    number: int
    system: System
    lineup: Lineup
    sample: int
    repetition: int
    seed: int


class Chunk(NamedTuple):
    """Runs `first` .. `last - 1` of a batch.

    `doubts` is how many calls of them are known to be in doubt (`Doubt`): room was made for them.
    """

    first: int
    last: int
    doubts: int = 0

    @property
    def runs(self) -> int:
        """How many runs it has."""
        return self.last - self.first


class Outcome(NamedTuple):
    """What a run left behind. Nothing in it depends on when, where or how often it was tried.

    `value` is JSON data, None without one; `why` then says what failed, where. `score` is from 0 to 1, None where the
    batch has no grader; a run without a value scores 0. Counts are those of the run's journal: what was paid, also by
    earlier processes. What a model judge took is in `judge_*`.
    """

    number: int
    system: str
    lineup: str
    sample: int
    repetition: int
    status: Status
    value: Any
    score: float | None
    why: str = ""
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    picodollars: int = 0
    judge_calls: int = 0
    judge_tokens: int = 0
    judge_picodollars: int = 0

    def line(self) -> str:
        """Return it as a line of JSON, the same on every machine."""
        return json.dumps(self._asdict(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


class Amount(NamedTuple):
    """What calls took: how many, their tokens in both directions, and picodollars."""

    calls: int = 0
    tokens: int = 0
    picodollars: int = 0

    def plus(self, other: Amount) -> Amount:
        """Return both together."""
        return Amount(*map(add, self, other))

    def minus(self, other: Amount) -> Amount:
        """Return what is left without the other."""
        return Amount(*map(sub, self, other))


NOTHING: Final = Amount()


class Doubt(NamedTuple):
    """A run whose worker died with calls under way: whether they were paid, nobody knows.

    `paid` is what the run took for certain so far, `doubtful` what those calls may have taken at most, besides. They
    are made again, which no outcome shows.
    """

    number: int
    paid: Amount
    doubtful: Amount


class ChunkDone(NamedTuple):
    """What came back from a worker: the outcomes of a chunk in order of number, and figures that differ by machine.

    `seconds` are those of each run, in this order; `resumed` counts the runs that an earlier worker had begun;
    `cached` the calls that the cache answered, and `saved` what they would have taken, which the counts of outcomes
    have: those are the same with and without a cache. `worker` says who it was. `doubts` are those of all runs of the
    chunk, made now or not: under a budget, a run with more calls in doubt than the chunk says is not gone on with, and
    has no outcome yet.
    """

    chunk: Chunk
    outcomes: tuple[Outcome, ...]
    seconds: tuple[float, ...] = ()
    resumed: int = 0
    cached: int = 0
    worker: str = ""
    doubts: tuple[Doubt, ...] = ()
    saved: Amount = NOTHING


class Job(NamedTuple):
    """What a worker has to know besides the batch.

    `batch` is the path of its description (JSON), `journal` where steps are kept: a path or the URL of a database.
    `at_once` is how many runs a worker has under way. `workers` is how many there are: each keeps to its share of the
    models' limits. `budgeted` says that the batch as a whole has a budget. `work` names the module that makes chunks
    (`Work`): other work than a batch's, whose items are runs of many designs, is carried by the same engines. `trace`
    is the batch's span, below which workers trace (`masdsl.tracing.carrier`).
    """

    batch: str
    journal: str
    at_once: int = 16
    workers: int = 1
    budgeted: bool = False
    work: str = "masdsl.batch.runner"
    trace: Mapping[str, str] = {}


class Work(Protocol):
    """What a worker does with chunks: a module with these functions, `masdsl.batch.runner` for the runs of a batch."""

    async def run_chunk(self, job: Job, chunk: Chunk, journal: Journal) -> ChunkDone:
        """Make a chunk; made again it gives the same, and pays nothing twice. Raises EngineFault, JournalError."""

    async def close_all(self) -> None:
        """Close what was opened for chunks on this event loop."""

    def failed_run(self, job: Job, chunk: Chunk, journal: Journal, why: str) -> ChunkDone:
        """Return what is left of a chunk of one item that cannot be made. Raises EngineFault, JournalError."""


def work_of(job: Job) -> Work:
    """Return who makes the chunks of a job. Raises EngineFault for a module that is not there."""
    try:
        module: Any = import_module(job.work)
    except ImportError as error:
        raise EngineFault(f"a worker cannot do the work of `{job.work}`: {error}; is it installed there?") from None
    work: Work = module
    return work


async def make_chunk(job: Job, chunk: Chunk, journal: Journal) -> ChunkDone:
    """Make a chunk of a job, whatever its work is, below the span of its batch. Raises EngineFault, JournalError."""
    with below(job.trace):
        return await work_of(job).run_chunk(job, chunk, journal)


class Engine(Protocol):
    """Carries chunks to workers: `local`, `dbos` or `ray`.

    `work` yields every chunk once, in the order in which they are done. A worker that dies costs nothing but time: its
    chunk is made again by another one, with what the journal has. `chunks` is asked for the next chunk only when a
    worker is free for it, and may come to wait for outcomes (None: ask again after the next outcome). Closing the
    generator stops the workers; what they have paid is in the journal. Raises EngineFault where the engine itself
    cannot go on.
    """

    @property
    def name(self) -> str:
        """What `--engine` calls it."""

    @property
    def aim(self) -> float:
        """Seconds that a chunk should take: so long that little of it is overhead, so short that little is lost."""

    def work(self, job: Job, chunks: Iterator[Chunk | None]) -> Iterator[ChunkDone]:
        """Yield every chunk when it is done."""


class EngineFault(Exception):
    """An engine cannot begin or go on; the text says why and what to do."""
