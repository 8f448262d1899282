"""The process of a worker of the engine `dbos`: it takes chunks from the queue of a database, on any machine.

    MASDSL_DATABASE=postgresql://.. python -m masdsl.batch.engines.dbos_worker

So the engine starts its own workers; `mas worker` serves until it is stopped, whatever its input is. A workflow of DBOS
is a chunk: what it gets and gives is JSON. Steps go to our journal, in the same database. The worker
leaves on SIGTERM, and when its standard input ends: then who started it has died, or is done.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any, Final

import psycopg
from dbos import DBOS, DBOSConfig, WorkflowSerializationFormat

from masdsl.batch.base import Chunk, EngineFault, Job, make_chunk
from masdsl.batch.engines import DATABASE
from masdsl.batch.engines.heartbeat import Heartbeat, connect, one_line, patient, shown
from masdsl.batch.engines.wire import to_wire
from masdsl.journal import Journal, JournalError, open_journal
from masdsl.tracing.exporting import begin, finish

APPLICATION: Final = "masdsl"
VERSION: Final = "chunks-2"
"""Workers and batches of another version do not see each other's chunks."""
QUEUE: Final = "masdsl-chunks"
WORKFLOW: Final = "masdsl.chunk"
AT_ONCE: Final = 2
"""Chunks of a worker at a time: when the last runs of one are under way, those of the next begin."""
_POLL: Final = 0.1


class _Host:
    """The journal of this worker, opened when it is needed, and anew after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._journal: Journal | None = None
        self._lock = asyncio.Lock()

    async def make(self, job: Job, chunk: Chunk) -> dict[str, Any]:
        """Make a chunk; a batch that cannot go on is a `fault`. Raises JournalError: then it can be tried again."""
        try:
            return {"done": to_wire(await make_chunk(job, chunk, await self._opened()))}
        except EngineFault as fault:
            return {"fault": str(fault)}
        except JournalError:
            self._drop()
            raise

    async def _opened(self) -> Journal:
        async with self._lock:
            if self._journal is None:
                self._journal = await asyncio.to_thread(open_journal, self._url, "full")
            return self._journal

    def _drop(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            try:
                journal.close()
            except JournalError:  # the connection is gone; what was not stored was not acknowledged
                pass


def serve(url: str, *, has_parent: bool = False) -> None:
    """Take chunks until told to leave; one that has a parent leaves when its standard input ends, too.

    Raises EngineFault where the database cannot be used.
    """
    url = patient(url)
    try:
        connect(url).close()
    except psycopg.Error as error:
        raise EngineFault(f"the server of {shown(url)} cannot be used: {one_line(error)}") from None
    worker = f"{os.getpid()}-{os.urandom(4).hex()}"
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": url,
        "application_version": VERSION,
        "executor_id": worker,
        "log_level": "ERROR",
        "use_listen_notify": False,
        "sys_db_pool_size": 4,
    }
    DBOS(config=config)
    host = _Host(url)

    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None, serialization_type=WorkflowSerializationFormat.PORTABLE)
    async def made(job: dict[str, Any], chunk: list[int]) -> str:
        return json.dumps(await host.make(Job(**job), Chunk(*chunk)))

    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    if has_parent:
        threading.Thread(target=_wait_for_the_end_of_input, args=(leave,), daemon=True).start()
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=_POLL, on_conflict="always_update")
    heartbeat = Heartbeat(url, worker)
    sys.stderr.write(f"masdsl: worker {worker} is there for {shown(url)}\n")
    leave.wait()
    heartbeat.stop()
    finish()
    os._exit(0)  # runs under way are in the journal: whoever has the chunk next goes on with them


def _wait_for_the_end_of_input(leave: threading.Event) -> None:
    sys.stdin.buffer.read()
    leave.set()


def main() -> int:
    """Serve; return the exit code."""
    url = os.environ.pop(DATABASE, "")  # not an argument: those of a process are for everybody to see
    if not url.startswith(("postgres://", "postgresql://")):
        sys.stderr.write(
            f"masdsl: set {DATABASE} to the URL of a Postgres database, as in postgresql://user@host/name\n"
        )
        return 2
    begin(os.environ, lambda why: None)  # the command that began the batch has told why not
    try:
        serve(url, has_parent=True)
    except EngineFault as fault:
        sys.stderr.write(f"masdsl: {fault}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
