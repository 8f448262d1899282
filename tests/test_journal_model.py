"""A journal in a file is one in memory that outlives its process: the same steps have the same outcomes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from masdsl.journal import Journal, JournalError, MemoryJournal, OpenRun
from masdsl.journal.sqlite import SqliteJournal
from tests.harness.journals import header

NAMES = st.sampled_from(["a", "b", "c", "d"])
BODIES = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=9) | st.just("x" * 5000), max_size=3)


class Journals(RuleBasedStateMachine):
    """Does everything to both, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journals-"))
        self.model = MemoryJournal()
        self.file = SqliteJournal(self.folder / "runs.db")
        self.open: dict[str, tuple[Any, Any]] = {}

    def teardown(self) -> None:
        self.file.close()
        shutil.rmtree(self.folder)

    def both(self, work: Callable[[Journal], Any]) -> tuple[Any, Any]:
        """Return what both return; where one raises, both have to raise the same."""
        outcomes: list[Any] = []
        for journal in (self.model, self.file):
            try:
                outcomes.append(work(journal))
            except (JournalError, ValueError) as error:
                outcomes.append(type(error))
        if type in map(type, outcomes):
            assert outcomes[0] == outcomes[1]
        return outcomes[0], outcomes[1]

    def opened(self, name: str, runs: tuple[Any, Any]) -> None:
        if not isinstance(runs[0], type):
            self.open[name] = runs

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        self.opened(name, self.both(lambda journal: journal.create(header(name))))

    @rule(name=NAMES)
    def resume(self, name: str) -> None:
        self.opened(name, self.both(lambda journal: journal.resume(name)))

    @rule(name=NAMES, child=NAMES, upto=st.integers(-1, 9))
    def fork(self, name: str, child: str, upto: int) -> None:
        self.opened(child, self.both(lambda journal: journal.fork(name, upto, header(child))))

    @rule(name=NAMES, bodies=st.lists(BODIES, min_size=1, max_size=3), in_loop=st.booleans())
    def append(self, name: str, bodies: list[dict[str, Any]], in_loop: bool) -> None:
        async def all_of(run: OpenRun) -> list[int]:
            return await asyncio.gather(*(run.append("done", "main.x", (1,), body=body) for body in bodies))

        if name in self.open:
            one, other = self.open[name]
            if in_loop:
                assert asyncio.run(all_of(one)) == asyncio.run(all_of(other))
            else:
                for run in (one, other):
                    for body in bodies:
                        run.append("done", "main.x", (1,), body=body)

    @rule(name=NAMES, status=st.sampled_from(["running", "ended", "failed", "stopped"]))
    def set_status(self, name: str, status: str) -> None:
        for run in self.open.get(name, ()):
            run.set_status(status)

    @rule(name=NAMES)
    def close(self, name: str) -> None:
        for run in self.open.pop(name, ()):
            asyncio.run(run.close())

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.both(lambda journal: journal.delete(name))

    @rule()
    def prune(self) -> None:
        one, other = self.both(lambda journal: journal.prune(2e10))
        assert one == other

    @rule()
    def reopen(self) -> None:
        self.file.close()
        self.model.close()
        self.open.clear()
        self.file = SqliteJournal(self.folder / "runs.db")

    @invariant()
    def the_same(self) -> None:
        lines = [[(*line[:5], *line[6:]) for line in journal.list()] for journal in (self.model, self.file)]
        assert lines[0] == lines[1]
        for line in self.model.list():
            one, other = self.model.read(line.id), self.file.read(line.id)
            assert one[0] == other[0]
            assert [row[:-1] for row in one[1]] == [row[:-1] for row in other[1]]


TestJournals = Journals.TestCase
TestJournals.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
