"""A session's place in a journal: decisions that are there already are not taken again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from masdsl.journal.base import Row, RunHeader, new_id
from masdsl.journal.errors import UnknownRun
from masdsl.meta.records import DECISION, START, NotKept, Tape, TapedModel, emitted_of, header_of, task_of
from masdsl.meta.task import Emitted, Spent, Task
from masdsl.runtime.models.base import ChatModel

if TYPE_CHECKING:
    from masdsl.journal import Journal
    from masdsl.journal.base import OpenRun


class Recorder:
    """Writes what happens in a session, and knows what happened before. With `replay_only` nothing is written."""

    def __init__(self, journal: Journal, run: OpenRun | None, header: RunHeader, rows: Sequence[Row]) -> None:
        """`run` is None for a session that is only shown again."""
        self.journal = journal
        self.header = header
        self._run = run
        self._rows = tuple(rows)
        self._tape = Tape(self._rows)
        self._kept: dict[str, list[dict[str, Any]]] = {}
        self._pending: list[Awaitable[int]] = []
        self.context: Mapping[str, Any] = {}
        """What was shown for the last decision: that of the journal, where it was taken before."""
        for row in self._rows:
            if row.kind == DECISION and row.body["role"] != "rectifier":
                self._kept.setdefault(row.body["role"], []).append(row.body)

    @property
    def id(self) -> str:
        """The session's name."""
        return self.header.id

    @property
    def seed(self) -> int:
        """The session's seed."""
        return self.header.seed

    @property
    def replay_only(self) -> bool:
        """Whether the session is only shown again."""
        return self._run is None

    @property
    def elapsed(self) -> float:
        """The seconds that earlier parts of the session took, as far as that is kept."""
        return max((row.body.get("seconds", 0.0) for row in self._rows), default=0.0)

    def spent_on_repairs(self) -> Spent:
        """Return what earlier parts of the session spent on repairs: their patches are in force, and not made again."""
        whole = Spent()
        for row in self._rows:
            if row.kind == DECISION and row.body["role"] == "rectifier":
                whole = whole.plus(Spent(**row.body["action"]["spent"]))
        return whole

    def rows(self) -> Sequence[Row]:
        """Return what is kept of the session from before."""
        return self._rows

    async def append(self, kind: str, body: dict[str, Any]) -> None:
        """Write a row, after those that are still under way."""
        if self._run is not None:
            await self.flush()
            await self._run.append(kind, body=body)

    async def status(self, status: str) -> None:
        """Say how the session stands."""
        if self._run is not None:
            await self._run.set_status(status)

    async def flush(self) -> None:
        """Wait for the rows under way."""
        while self._pending:
            await self._pending.pop(0)

    async def close(self) -> None:
        """Give the session back, so that any process may go on with it."""
        if self._run is not None:
            try:
                await self.flush()
            finally:
                await self._run.close()

    # ------------------------------------------------------------ decisions

    async def decision(
        self, role: str, by: str, context: Mapping[str, Any], decide: Callable[[], Awaitable[Emitted]]
    ) -> Emitted:
        """Return what was decided before for this role, or decide now. `judged` has to follow either."""
        kept = self._kept.get(role)
        if kept:
            self._last = kept.pop(0)
            self.context = self._last["context"]
            return emitted_of(self._last["action"])
        if self.replay_only:
            raise NotKept(
                f"the session had not come to the decision of the {role}; go on with: mas solve --resume {self.id}"
            )
        self._last = None
        self.context = dict(context)
        self._asked = {"role": role, "by": by, "context": self.context}
        return await decide()

    async def judged(self, emitted: Emitted, why: str, seconds: float) -> None:
        """Keep the last decision, and whether it was taken: `why` says why not."""
        if self._last is not None:
            return
        body = {**self._asked, "action": emitted.to_json(), "taken": not why, "why": why, "seconds": seconds}
        await self.append(DECISION, body)

    def decided_now(
        self, role: str, by: str, context: Mapping[str, Any], emitted: Emitted, why: str, seconds: float
    ) -> None:
        """Keep a decision that was taken while a system ran."""
        if self._run is not None:
            body: dict[str, Any] = {"role": role, "by": by, "context": dict(context), "action": emitted.to_json()}
            body |= {"taken": not why, "why": why, "seconds": seconds}
            self._pending.append(self._run.append(DECISION, body=body))

    _last: dict[str, Any] | None = None
    _asked: dict[str, Any] = {}  # noqa: RUF012  replaced, never changed

    # ------------------------------------------------------------ models, runs

    def taped(self, model: ChatModel, role: str, left: Callable[[], float | None]) -> ChatModel:
        """Return a model whose replies are kept; `left` says how many seconds it may still take."""
        return model if self._run is None else TapedModel(model, self._run, self._tape, role, left)

    def start_of(self, number: int) -> dict[str, Any] | None:
        """Return what is kept of the start of a system, by its number."""
        return next((row.body for row in self._rows if row.kind == START and row.body["number"] == number), None)

    def has_run(self, run: str) -> bool:
        """Whether the journal has this run."""
        try:
            self.journal.read(run)
        except UnknownRun:
            return False
        return True


def begin_session(
    journal: Journal, task: Task, seed: int, tiers: Mapping[str, str], run: str | None = None
) -> Recorder:
    """Begin a session in a journal. Raises JournalError."""
    opened = journal.create(header_of(run or new_id(), task, seed, tiers))
    return Recorder(journal, opened, opened.header, ())


def resume_session(journal: Journal, run: str) -> tuple[Recorder, Task]:
    """Go on with a session. Raises JournalError, also for a run that is no session."""
    header, _ = journal.read(run)
    task = task_of(header)
    opened = journal.resume(run)
    return Recorder(journal, opened, opened.header, opened.rows()), task


def replay_session(journal: Journal, run: str) -> tuple[Recorder, Task]:
    """Show a session again: nothing is written, and no model is asked. Raises JournalError."""
    header, rows = journal.read(run)
    return Recorder(journal, None, header, rows), task_of(header)
