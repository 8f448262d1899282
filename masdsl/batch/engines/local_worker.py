"""The process of a worker of the engine `local`: it reads chunks from standard input and writes what came of them.

    -> [job]                        {"batch": .., "journal": .., ..}        first line
    <- {"ready": true}
    -> [first, last, doubts]        a chunk, any number of them at a time
    <- {"done": CHUNK DONE}         one for each chunk
    <- {"fault": TEXT}              the batch cannot go on
    end of input                    leave: the parent is done, or dead

What tools print goes to standard error: standard output is the parent's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any, BinaryIO, Final

from masdsl.batch.base import Chunk, EngineFault, Job, make_chunk, work_of
from masdsl.batch.engines.wire import to_wire
from masdsl.journal import JournalError, open_journal
from masdsl.tracing.exporting import begin

GRACE: Final = 5.0
"""Seconds that a worker has to leave by itself once its parent is gone."""


async def _serve(job: Job, chunks: asyncio.Queue[Chunk | None], out: BinaryIO) -> None:
    work = work_of(job)
    journal = open_journal(job.journal)
    under_way: set[asyncio.Task[None]] = set()
    fault: list[BaseException] = []

    async def make(chunk: Chunk) -> None:
        try:
            _write(out, {"done": to_wire(await make_chunk(job, chunk, journal))})
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            fault.append(error)
            chunks.put_nowait(None)

    try:
        _write(out, {"ready": True})
        while (chunk := await chunks.get()) is not None:
            task = asyncio.ensure_future(make(chunk))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if fault:
            raise fault[0]
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await work.close_all()
        journal.close()


def _write(out: BinaryIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n")
    out.flush()


def main() -> int:
    """Serve until the input ends; return the exit code."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends us
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lines = sys.stdin.buffer
    first = lines.readline()
    if not first:
        return 0
    end_traces = begin(os.environ, lambda why: None)  # the command that began the batch has told why not
    try:
        asyncio.run(_run(Job(**json.loads(first)), lines, out))
    except (EngineFault, JournalError) as error:
        _write(out, {"fault": str(error)})
        return 1
    except BrokenPipeError:  # the parent is dead
        return 1
    except Exception as error:
        _write(out, {"fault": f"a worker failed: {type(error).__name__}: {error}; this is a fault of masdsl"})
        raise
    finally:
        end_traces()
    return 0


async def _run(job: Job, lines: BinaryIO, out: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()

    def read() -> None:
        for line in lines:
            loop.call_soon_threadsafe(chunks.put_nowait, Chunk(*json.loads(line)))
        timer = threading.Timer(GRACE, os._exit, (1,))  # whatever it hangs in, nobody is there for the result
        timer.daemon = True
        timer.start()
        loop.call_soon_threadsafe(chunks.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    await _serve(job, chunks, out)


if __name__ == "__main__":
    sys.exit(main())
