"""Who makes a batch: cuts it into chunks, keeps to its budget, and writes down what comes back.

Outcomes go to the folder as they come, and none is held: what the coordinator remembers of a run is one byte.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from math import ceil
from typing import Final, NamedTuple

from masdsl import tracing
from masdsl.batch.base import NOTHING, Amount, Batch, Chunk, ChunkDone, Doubt, Engine, EngineFault, Job, Outcome, System
from masdsl.batch.budget import NO_MOST, Ledger, Most, shown, worst_cases
from masdsl.batch.reading import Samples
from masdsl.batch.runner import amounts_of
from masdsl.batch.store import JOURNAL, Store
from masdsl.journal import JournalError, UnknownRun, open_journal
from masdsl.runtime.meter import usd_of
from masdsl.tracing import names

LARGEST: Final = 500
"""Runs of the largest chunk."""


class Progress(NamedTuple):
    """How far a batch is. `right` is the sum of scores so far, `graded` how many runs have one.

    `made` counts all runs with an outcome, `now` those that this process made; `seconds` since it began.
    """

    runs: int
    made: int
    now: int
    failed: int
    right: float
    graded: int
    spent: Amount
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take, at the rate so far; None before anything is known."""
        return None if not self.now else (self.runs - self.made) * self.seconds / self.now


class Ended(NamedTuple):
    """How the making of a batch ended. `stopped` says why runs are missing; empty where all are there.

    `resumed` counts runs that an earlier worker had begun, `doubtful` what calls may have taken whose workers died.
    """

    runs: int
    made: int
    spent: Amount
    doubtful: Amount
    resumed: int
    cached: int
    seconds: float
    stopped: str = ""


class Coordinator:
    """Makes what is missing of a batch."""

    def __init__(
        self,
        store: Store,
        batch: Batch,
        engine: Engine,
        job: Job,
        *,
        most: Most = NO_MOST,
        judge: System | None = None,
        priced: Mapping[tuple[str, str], System] | None = None,
        chunk: int | None = None,
        tell: Callable[[Progress], None] = lambda progress: None,
        should_stop: Callable[[], str] = lambda: "",
    ) -> None:
        """Prepare to make a batch.

        Args:
            store: its folder, begun or gone on with.
            batch: what it is.
            engine: who carries the chunks.
            job: what workers have to know.
            most: the budget of the batch as a whole.
            judge: the program of a model judge, whose calls count.
            priced: the systems as they are under each lineup (`worst_cases`).
            chunk: how many runs a chunk has; by default as many as take as long as the engine likes.
            tell: told of every chunk that comes back.
            should_stop: asked before each chunk; with a reason no further one is handed out.

        Raises BadBudget where nothing bounds what a run may take.
        """
        self._store = store
        self._batch = batch
        self._engine = engine
        self._is_limited = most != NO_MOST
        self._job = job._replace(budgeted=self._is_limited)
        self._ledger = Ledger(most, worst_cases(batch, most, judge, priced))
        self._size = chunk
        self._tell = tell
        self._should_stop = should_stop
        self._again: deque[Doubt] = deque()
        self._under_way: set[int] = set()
        self._mean = 0.0
        self._stopped = ""
        self._failed = self._graded = self._now = self._resumed = self._cached = 0
        self._right = 0.0

    def make(self) -> Ended:
        """Make what is missing, and return how that ended.

        Raises EngineFault where the engine cannot go on; what was made is kept.
        """
        began = time.monotonic()
        for outcome in self._store.open(self._batch):
            self._count(outcome)
        Samples(self._batch.samples_path, self._batch.samples_hash, self._batch.samples).close()
        self._check_journal()
        if self._is_limited:
            self._recall()
        known = {names.BATCH: self._batch.id, names.RUNS: self._batch.runs, names.ENGINE: self._engine.name}
        with tracing.workflow("batch", known) as settle:
            self._carry(began)
            spent = self._ledger.spent
            amounts = {"calls": spent.calls, "tokens": spent.tokens, "usd": usd_of(spent.picodollars)}
            told = {names.spent(measure): amount for measure, amount in amounts.items()}
            settle("ended" if self._store.made == self._batch.runs else "stopped", told)
        if self._store.made == self._batch.runs:
            self._stopped = ""
            self._store.put_in_order()
        elif not self._stopped:
            raise EngineFault(f"the engine left out {self._batch.runs - self._store.made} runs: a fault of masdsl")
        return Ended(
            self._batch.runs,
            self._store.made,
            self._ledger.spent,
            self._ledger.doubtful,
            self._resumed,
            self._cached,
            time.monotonic() - began,
            self._stopped,
        )

    def _carry(self, began: float) -> None:
        """Let the engine make what is missing, and take what comes back."""
        chunks = self._chunks()
        try:
            for done in self._engine.work(self._job._replace(trace=tracing.carrier()), chunks):
                self._take(done)
                self._tell(self._progress(time.monotonic() - began))
        finally:
            chunks.close()

    # ------------------------------------------------------------ handing out

    def _chunks(self) -> Generator[Chunk | None]:
        """Yield what is to be made next; None while only what is under way can make room for it."""
        missing = self._store.missing()
        number = next(missing, None)
        while True:
            reason = self._should_stop()
            if reason:
                self._stopped = reason
                return
            first = self._again[0].number if self._again else number
            if first is None:
                if not self._under_way:
                    return
                yield None  # what is under way may come back in doubt
                continue
            chunk = self._doubtful_chunk() if self._again else self._next_chunk(first)
            if chunk is not None:
                while number is not None and chunk.first <= number < chunk.last:
                    number = next(missing, None)
                yield self._handed(chunk)
            elif not self._under_way or not self._ledger.ever_fits(first):
                self._stopped = self._out_of_budget(first)
                return
            else:
                yield None

    def _doubtful_chunk(self) -> Chunk | None:
        """Return the chunk of a run that came back in doubt; None where it has no room."""
        number, _, doubtful = self._again[0]
        if not self._may_hold(number):
            return None
        self._again.popleft()
        return Chunk(number, number + 1, doubtful.calls)

    def _next_chunk(self, first: int) -> Chunk | None:
        """Return a chunk from a run on, as large as it should be and the budget allows; None where that has no room."""
        size = self._size or self._good_size()
        last = first
        while last < self._batch.runs and last - first < size and not self._store.is_made(last):
            if not self._may_hold(last):
                break
            last += 1
        return Chunk(first, last) if last > first else None

    def _may_hold(self, number: int) -> bool:
        if not self._is_limited:
            return True
        if not self._ledger.fits(number):
            return False
        self._ledger.hold(number)
        return True

    def _handed(self, chunk: Chunk) -> Chunk:
        self._store.note_begun(chunk)
        self._under_way.update(range(chunk.first, chunk.last))
        return chunk

    def _good_size(self) -> int:
        """Return how many runs take as long as the engine likes, and leave something for every worker."""
        least = self._job.at_once
        size = least if not self._mean else int(self._engine.aim / self._mean * least)
        left = self._batch.runs - self._store.made - len(self._under_way)
        share = ceil(left / (2 * max(self._job.workers, 1)))
        return max(min(max(size, least), share, LARGEST), 1)

    def _out_of_budget(self, number: int) -> str:
        most = [(name, limit) for name, limit in self._ledger.most._asdict().items() if limit is not None]
        system = self._batch.run(number).system.name
        limits = shown(Amount(**dict(most)), [_MEASURE[name] for name, _ in most])
        return (
            f"{self._store.made} of {self._batch.runs} runs made: {shown(self._ledger.spent)} are taken of the budget "
            f"of {limits}, and one more run of {system} may need more than is left; raise --budget and run again"
        )

    # ------------------------------------------------------------ taking back

    def _take(self, done: ChunkDone) -> None:
        self._under_way.difference_update(range(done.chunk.first, done.chunk.last))
        self._ledger.settle(done)
        for outcome in self._store.add(done):
            self._note(outcome)
            self._now += 1
        self._resumed += done.resumed
        self._cached += done.cached
        if done.seconds:
            mean = sum(done.seconds) / len(done.seconds)
            self._mean = mean if not self._mean else 0.7 * self._mean + 0.3 * mean
        made = {outcome.number for outcome in done.outcomes if outcome.status != "stopped"}
        doubts = {doubt.number: doubt for doubt in done.doubts}
        for number in range(done.chunk.first, done.chunk.last):
            if number not in made:
                if number not in doubts:
                    raise EngineFault(f"run {number} came back without an outcome: a fault of masdsl")
                self._again.append(doubts[number])

    def _count(self, outcome: Outcome) -> None:
        """Count a run that was made before."""
        self._ledger.count(outcome)
        self._note(outcome)

    def _note(self, outcome: Outcome) -> None:
        self._failed += outcome.status != "ended"
        if outcome.score is not None:
            self._graded += 1
            self._right += outcome.score

    def _check_journal(self) -> None:
        """Raise EngineFault where runs were begun and the folder's journal, which has what they paid, is gone."""
        place = self._store.path(JOURNAL)
        if self._job.journal == place and not os.path.exists(place) and next(self._store.open_runs(), None) is not None:
            raise EngineFault(
                f"{place} is missing, in which is what broken-off runs have paid; put it back, or begin the batch anew "
                "in another folder"
            )

    def _recall(self) -> None:
        """Count what broken-off runs have taken: those that were handed out before, and have no outcome."""
        numbers = list(self._store.open_runs())
        if not numbers:
            return
        try:
            journal = open_journal(self._job.journal)
        except JournalError as error:
            raise EngineFault(str(error)) from error
        with journal:
            for number in numbers:
                paid = doubtful = NOTHING
                key = self._batch.run_id(number)
                for name in (key, f"{key}-judge"):
                    try:
                        rows = journal.read(name)[1]
                    except UnknownRun:
                        continue
                    except JournalError as error:
                        raise EngineFault(str(error)) from error
                    certain, more = amounts_of(rows)
                    paid, doubtful = paid.plus(certain), doubtful.plus(more)
                self._ledger.begun(number, paid)
                self._ledger.doubt(number, doubtful)

    def _progress(self, seconds: float) -> Progress:
        store = self._store
        return Progress(
            self._batch.runs,
            store.made,
            self._now,
            self._failed,
            self._right,
            self._graded,
            self._ledger.spent,
            seconds,
        )


_MEASURE: Final = {"calls": "calls", "tokens": "tokens", "picodollars": "usd"}
