"""Programs are looked at in other processes: whatever a text holds, the page goes on, and nothing takes for ever.

A worker gets a job as a line of JSON and answers with a line that says how many bytes follow, and those: JSON again. It
ends when its standard input does, so none is left where this process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from json import dumps, loads
from typing import Any, Final

from masdsl.playground import children
from masdsl.playground.refusals import Refusal

JOB_SECONDS: Final = 20.0
"""Processor time that a job may take: the worker ends by itself then, and whoever asks is told so."""
WAIT_SECONDS: Final = 110.0
"""How long a job may take by the clock: on a busy machine a worker waits for its turn as well."""
MOST_WORKERS: Final = 2
MOST_WAITING: Final = 32
"""Jobs that wait for a worker; further ones are refused."""
MOST_ANSWERED: Final = 64 << 20
"""Bytes of an answer."""


class Workers:
    """The workers of one playground, started when they are needed. `module` is what they run, in `folder`.

    `tiers` are the models behind tiers, besides those of the configuration.
    """

    def __init__(self, module: str, folder: str, tiers: Mapping[str, str]) -> None:
        self._module = module
        self._folder = folder
        self._tiers = dict(tiers)
        self._room = asyncio.Semaphore(MOST_WORKERS)
        self._idle: list[asyncio.subprocess.Process] = []
        self._asked = 0

    async def ask(self, job: str, tiers: Mapping[str, str] | None = None, **what: Any) -> Any:
        """Return what a worker makes of a job, with these models behind tiers.

        Raises Refusal: the worker's own, or that it took too long.
        """
        if self._asked >= MOST_WORKERS + MOST_WAITING:
            raise Refusal(503, "Too much at once", f"{self._asked} programs are being looked at", "wait a moment")
        self._asked += 1
        try:
            async with self._room:
                behind = {**self._tiers, **(tiers or {})}
                said = await self._one({"job": job, "folder": self._folder, "tiers": behind, **what})
        finally:
            self._asked -= 1
        if "refused" in said:
            refused = said["refused"]
            raise Refusal(
                refused["status"], refused["title"], refused["detail"], refused["next"], refused.get("diagnostics")
            )
        return said["done"]

    async def close(self) -> None:
        """End the workers that wait for jobs; the others end with those who asked."""
        for process in self._idle:
            await _ended(process)
        self._idle.clear()

    async def _one(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            process = self._idle.pop() if self._idle else await self._started()
        except OSError as error:  # the folder is gone, or there are too many processes
            what = f"the process that looks at programs cannot be started: {error.strerror}"
            raise Refusal(503, "Programs cannot be looked at", what, "see to it and try again") from None
        is_whole = False
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                said = await _exchange(process, dumps({**job, "seconds": JOB_SECONDS}).encode())
            is_whole = True
        except TimeoutError:
            what = f"there was no answer within {WAIT_SECONDS:g} seconds"
            raise Refusal(503, "The machine is too busy", what, "wait until it is less so, and try again") from None
        except (OSError, EOFError, ValueError):
            if await process.wait() == -children.OUT_OF_TIME:
                what = f"it takes more than {JOB_SECONDS:g} seconds of work to look at it"
                raise Refusal(
                    422, "The program is too much", what, "make it smaller, or split it into modules"
                ) from None
            what = "the process that looked at it has ended"
            raise Refusal(422, "The program is too much", what, "make it smaller; report it if it is small") from None
        finally:
            if is_whole:
                self._idle.append(process)
            else:
                await asyncio.shield(_ended(process))
        return said

    async def _started(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *children.words(self._module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self._folder,
            env=children.environment(),
        )


async def _exchange(process: asyncio.subprocess.Process, job: bytes) -> Mapping[str, Any]:
    """Send a job and return the answer. Raises OSError, EOFError and ValueError where the worker has ended."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(job + b"\n")
    await process.stdin.drain()
    size = int(await process.stdout.readline())
    if size > MOST_ANSWERED:
        raise ValueError("the answer is too large")
    found = loads(await process.stdout.readexactly(size))
    assert isinstance(found, dict)
    return found


async def _ended(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
