"""The engine `dbos`: workers on any machines, which take chunks from a queue in a Postgres database (`masdsl[scale]`).

The queue is DBOS's, the journal ours, both in the database of `--journal`. Workers are started here (`--workers`), or
by `mas worker` anywhere that the database, and the paths of the batch, can be reached.

DBOS leaves the chunks of a dead worker alone until that very worker comes back. So this engine supervises: a worker
that has not been seen for some seconds is dead, its chunk is cancelled, and goes to the queue again under another name.
Should it not be dead but cut off, it cannot write any more: the journal's runs are then others'.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import psycopg
from dbos import DBOSClient, WorkflowSerializationFormat

from masdsl.batch.base import Chunk, ChunkDone, EngineFault, Job
from masdsl.batch.engines import DATABASE
from masdsl.batch.engines.dbos_worker import APPLICATION, AT_ONCE, QUEUE, VERSION, WORKFLOW
from masdsl.batch.engines.deaths import Deaths
from masdsl.batch.engines.heartbeat import Alive, alive, connect, one_line, patient, shown
from masdsl.batch.engines.paths import python_path
from masdsl.batch.engines.supply import Supply
from masdsl.batch.engines.wire import from_wire
from masdsl.batch.reading import read_batch
from masdsl.batch.runner import failed_run
from masdsl.journal import open_journal

T = TypeVar("T")

_POLL: Final = 0.1
_BEGIN: Final = 60.0
"""Seconds for the first worker to be there, and for the last one to be back."""
_AWAY: Final = 300.0
"""Seconds for which the server may be away."""
_OVER: Final = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class DbosEngine:
    """Workers that share a Postgres database."""

    name = "dbos"
    aim = 4.0

    def work(self, job: Job, chunks: Iterator[Chunk | None]) -> Iterator[ChunkDone]:
        """Yield every chunk when it is done; see `Engine`."""
        if not job.journal.startswith(("postgres://", "postgresql://")):
            raise EngineFault(
                "the engine dbos keeps its queue and the journal on a Postgres server: give its URL as"
                " --journal postgresql://user@host/database"
            )
        return _Supervisor(job, chunks).work()


def shared_out(job: Job, alive: int) -> Job:
    """Return a job as workers get it: limits of models are shared among all that are there, wherever they began."""
    return job._replace(workers=max(job.workers, alive))


class _Supervisor:
    """Who fills the queue, and looks after the workers."""

    def __init__(self, job: Job, chunks: Iterator[Chunk | None]) -> None:
        self._job = job
        self._url = patient(job.journal)
        self._supply = Supply(chunks)
        self._sent: dict[str, Chunk] = {}
        self._deaths = Deaths()
        self._own: list[subprocess.Popen[bytes]] = []
        self._fresh_ends = 0
        self._prefix = f"{read_batch(job.batch).id}/{os.urandom(4).hex()}"
        self._count = 0
        self._db: psycopg.Connection[tuple[object, ...]] | None = None
        self._client: DBOSClient | None = None

    def work(self) -> Iterator[ChunkDone]:
        try:
            self._begin()
            lonely_since: float | None = None
            while True:
                self._keep_own()
                workers = self._patiently(lambda: alive(self._connection()))
                self._hand_out(len(workers))
                if not self._sent:
                    if self._supply.is_empty:
                        return
                    if workers:
                        raise EngineFault("no chunk is to be had, and none is under way: a fault of masdsl")
                if workers:
                    lonely_since = None
                else:
                    lonely_since = lonely_since or time.monotonic()
                    if time.monotonic() - lonely_since > _BEGIN:
                        raise EngineFault(self._nobody())
                done = list(self._looked_after(workers))
                yield from done
                if not done:
                    time.sleep(_POLL)
        finally:
            self._end()

    # ------------------------------------------------------------ beginning and end

    def _begin(self) -> None:
        """Start workers, and wait for one to be there: it makes DBOS's tables."""
        try:
            self._db = connect(self._url)
        except psycopg.Error as error:
            raise EngineFault(f"the server of {shown(self._job.journal)} cannot be used: {one_line(error)}") from None
        until = time.monotonic() + _BEGIN
        while True:
            self._keep_own()
            if self._patiently(lambda: alive(self._connection())):
                break
            if time.monotonic() > until:
                raise EngineFault(self._nobody())
            time.sleep(_POLL)
        self._client = DBOSClient(system_database_url=self._url, application_name=APPLICATION)
        left = self._client.list_workflows(
            workflow_id_prefix=f"{self._prefix.partition('/')[0]}/",
            status=["ENQUEUED", "PENDING"],
            load_input=False,
            load_output=False,
        )
        if left:  # of this batch, when it was broken off
            self._client.cancel_workflows([one.workflow_id for one in left])

    def _end(self) -> None:
        if self._client is not None:
            try:
                self._client.cancel_workflows(list(self._sent))
                self._client.destroy()
            except Exception:  # the server is away: the next one who makes this batch cancels them
                pass
        if self._db is not None:
            self._db.close()
        for process in self._own:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._own:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _keep_own(self) -> None:
        """Start as many workers here as there should be, also in the place of those that have died."""
        for process in [one for one in self._own if one.poll() is not None]:
            self._own.remove(process)
            self._fresh_ends += 1
            if self._fresh_ends > 3 * max(self._job.workers, 1) and not self._count:
                raise EngineFault(
                    f"workers end before they begin (exit code {process.returncode}); what they said is above"
                )
        while len(self._own) < self._job.workers:
            self._own.append(
                subprocess.Popen(
                    [sys.executable, "-m", "masdsl.batch.engines.dbos_worker"],
                    stdin=subprocess.PIPE,
                    stdout=sys.stderr,
                    env=os.environ | {"PYTHONPATH": python_path(), DATABASE: self._job.journal},
                )
            )

    def _nobody(self) -> str:
        return (
            f"no worker has been seen for {_BEGIN:g} s on {shown(self._job.journal)}; start one there with"
            " `mas worker --journal URL`, or here with --workers"
        )

    # ------------------------------------------------------------ chunks

    def _hand_out(self, workers: int) -> None:
        """Fill the queue, as far as there are workers for it."""
        while len(self._sent) < workers * AT_ONCE:
            chunk = self._supply.next()
            if chunk is None:
                return
            self._send(chunk, shared_out(self._job, workers))

    def _send(self, chunk: Chunk, job: Job) -> None:
        assert self._client is not None
        self._count += 1
        name = f"{self._prefix}/{chunk.first}-{chunk.last}.{self._count}"
        self._client.enqueue(
            {
                "workflow_name": WORKFLOW,
                "queue_name": QUEUE,
                "workflow_id": name,
                "app_version": VERSION,
                "serialization_type": WorkflowSerializationFormat.PORTABLE,
            },
            job._asdict(),
            list(chunk),
        )
        self._sent[name] = chunk

    def _looked_after(self, workers: dict[str, Alive]) -> Iterator[ChunkDone]:
        """Yield what is done; send again what was lost with its worker."""
        assert self._client is not None
        over: list[str] = []
        for status in self._client.list_workflows(workflow_ids=list(self._sent), load_input=False):
            name, chunk = status.workflow_id, self._sent[status.workflow_id]
            if status.status == "PENDING" and status.executor_id not in workers:
                self._client.cancel_workflow(name)
                del self._sent[name]
                over.append(name)
                yield from self._died(chunk)
            elif status.status in _OVER:
                del self._sent[name]
                over.append(name)
                if status.status == "SUCCESS":
                    yield self._done(chunk, json.loads(str(status.output)))
                else:
                    self._supply.failed(chunk, str(status.error or status.status))
        if over:
            self._client.delete_workflows(over)

    def _done(self, chunk: Chunk, told: dict[str, Any]) -> ChunkDone:
        if "fault" in told:
            raise EngineFault(told["fault"])
        self._deaths.done(chunk)
        return from_wire(told["done"])

    def _died(self, chunk: Chunk) -> Iterator[ChunkDone]:
        parts = self._deaths.died(chunk)
        self._supply.put_back(*parts)
        if not parts:
            with open_journal(self._job.journal, "full") as journal:
                yield failed_run(self._job, chunk, journal, "its run ended worker after worker")

    # ------------------------------------------------------------ the server

    def _connection(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._db is None or self._db.closed:
            self._db = connect(self._url)
        return self._db

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the server, as often as it takes until it is back. Raises EngineFault where it stays away."""
        until = time.monotonic() + _AWAY
        while True:
            try:
                return ask()
            except psycopg.Error as error:
                if time.monotonic() > until:
                    raise EngineFault(f"{shown(self._job.journal)} is not to be reached: {one_line(error)}") from None
                if self._db is not None:
                    self._db.close()
                time.sleep(10 * _POLL)
