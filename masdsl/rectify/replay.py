"""A kept run once more, from its journal alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from masdsl.check.program import Program
from masdsl.journal.base import Row, RunHeader, Written
from masdsl.pipeline import load
from masdsl.rectify.checks import Ground
from masdsl.rectify.locate import Sites
from masdsl.rectify.remaining import Version
from masdsl.rectify.stored import stored
from masdsl.runtime import Program as CompiledProgram
from masdsl.runtime import Result
from masdsl.runtime.events import Observer, Witness


class ReadRun:
    """A run that was read, not opened: nothing can be added to it, and whoever owns it is not disturbed."""

    def __init__(self, header: RunHeader, rows: Sequence[Row]) -> None:
        self._header = header
        self._rows = rows

    @property
    def header(self) -> RunHeader:
        """What the run began with."""
        return self._header

    def rows(self) -> Sequence[Row]:
        """Return all rows."""
        return self._rows

    def append(self, *args: Any, **more: Any) -> Awaitable[int]:
        """Refuse: a replay adds nothing. Raises TypeError."""
        raise TypeError("a run that is only read has no more rows")

    def set_status(self, status: str) -> Awaitable[int]:
        """Leave the status as it is."""
        return Written(0)

    async def close(self) -> None:
        """Do nothing: nothing is open."""


async def replay(
    header: RunHeader,
    rows: Sequence[Row],
    ground: Ground,
    observer: Observer | None = None,
    witness: Witness | None = None,
) -> Result:
    """Return what a run gave, calling no model and no tool. The `witness` is told of every step's inputs.

    Raises RunFailed where it failed, `NotInJournal` where it was broken off before it ended, JournalDamaged and
    StoredFaulty as `stored` does.
    """
    kept = stored(header, rows, ground)
    result = await run_again(ReadRun(header, rows), kept.versions[-1], observer, witness)
    return replace(result, interventions=kept.interventions)


async def run_again(
    run: ReadRun,
    version: Version,
    observer: Observer | None = None,
    witness: Witness | None = None,
    compile: Callable[[Program], CompiledProgram] = load,
) -> Result:
    """Run a version of a program with what a run has kept, and nothing else. Raises RunFailed and NotInJournal."""
    compiled = compile(version.program)
    key = list(compiled.flows)[[flow.key for flow in version.program.flows].index(version.entry)]
    return await compiled.run(
        key,
        run.header.inputs,
        run=run,
        policy="strict" if run.header.policy == "strict" else "frozen",
        sites=Sites(version.program, version.program.flow(version.entry)),
        replay_only=True,
        witness=witness,
        on_event=observer,
    )
