"""Runs of the playground: in the same journal as those of `mas run`, streamed, stopped, changed and gone on with."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.api import load
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import json_document
from masdsl.journal import Journal, JournalBusy, JournalError, Row, RunHeader, RunSummary, UnknownRun
from masdsl.journal.base import SESSION
from masdsl.loaded import LoadedProgram, ProgramError
from masdsl.playground.changes import change, finished
from masdsl.playground.desk import Desk
from masdsl.playground.flows import bound_json
from masdsl.playground.house import House
from masdsl.playground.refusals import Refusal, not_found
from masdsl.playground.workers import Workers
from masdsl.rectify.stored import intervention_of
from masdsl.rectify.texts import texts_of
from masdsl.redaction import one_line
from masdsl.runtime import BudgetExceeded, InputError, RunFailed, StepFailed
from masdsl.runtime.failures import RunStopped
from masdsl.runtime.shapes import plain
from masdsl.serve.endpoints import Endpoint, served
from masdsl.serve.inputs import read_body
from masdsl.serve.ledger import Entry, State, Usage
from masdsl.serve.live import Live, Outcome, run_json, usage_json
from masdsl.serve.outcomes import outcome_of, spent, taken
from masdsl.serve.problems import json_bytes
from masdsl.serve.streaming import ended_events, live_events
from masdsl.source import Source

_log: Final = logging.getLogger("masdsl.playground")
AT_ONCE: Final = 8
"""Runs under way at once."""
LISTED: Final = 50
"""Runs that are listed, the newest ones."""
LOOKED_THROUGH: Final = 1_000
"""Runs of the journal that are looked through for those of this folder's programs."""
KEPT_ENDED: Final = 32
"""Ended runs whose events are kept."""
HEARTBEAT: Final = 15.0
"""Seconds between signs of life of a stream."""
BY_USER: Final = "its user stopped it"
BY_SHUTDOWN: Final = "the playground is shutting down"
_LINE: Final = ("run", "program", "flow", "status", "created", "usage")
_STATES: Final[Mapping[str, State]] = {"ended": "ended", "failed": "failed", "stopped": "stopped"}


class Begun(NamedTuple):
    """A run that goes on: by which patch, empty without one, and how many finished steps it has already."""

    run: str
    patch: str
    reused: int


class Runs:
    """The runs of programs in one folder."""

    def __init__(self, journal: Journal, where: str | None, desk: Desk, house: House, workers: Workers) -> None:
        self._journal = journal
        self._where = where
        self._folder = desk.folder
        self._name_of = desk.name_of
        self._house = house
        self._workers = workers
        self._live: dict[str, Live] = {}
        self._ended: OrderedDict[str, Live] = OrderedDict()
        self._attempts: dict[str, int] = {}
        self._changing: set[str] = set()
        self._bounds: dict[tuple[str, int], Any] = {}
        self._usages: dict[tuple[str, float, int], Usage] = {}
        self._draining = False

    # ---------------------------------------------------------------- beginning

    async def begin(self, path: str, text: str, flow: str, inputs: Any, models: Mapping[str, str]) -> str:
        """Begin a run of a text and return its name. Raises Refusal, and Problem for inputs that do not fit."""
        self._make_room()
        seen = await self._workers.ask("look", path=path, text=text, tiers=models)
        if not seen["ok"]:
            raise _faulty("The program has errors", seen["diagnostics"])
        loaded = await asyncio.to_thread(self._loaded, path, text, models)
        endpoint = await asyncio.to_thread(_endpoint, loaded, flow)
        given = read_body(json_bytes(inputs), endpoint.parameters)
        self._make_room()
        run = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + f"-{os.urandom(4).hex()}"
        entry = _entry(run, self._name_of(path), flow, time.time(), 1)
        self._launch(entry._replace(inputs=given), endpoint, given)
        return run

    def _loaded(self, path: str, text: str, models: Mapping[str, str]) -> LoadedProgram:
        findings = Findings()
        config = self._house.config(models, findings)
        try:
            return load(Source(path, text), config=config, models=self._house.models())
        except ProgramError as error:
            raise _faulty("The program cannot be run", json_document(error.findings)["findings"]) from None

    def _make_room(self) -> None:
        if self._draining:
            raise Refusal(503, "The playground is closing", BY_SHUTDOWN, "start it again")
        if len(self._live) >= AT_ONCE:
            raise Refusal(429, "Too many runs at once", f"{AT_ONCE} runs are under way", "wait, or stop one of them")

    # ---------------------------------------------------------------- going on

    async def resume(self, run: str, text: str | None, patch: str | None) -> Begun:
        """Let a run go on that was stopped, broken off or has failed; as another text says, or a patch.

        What is finished stays, and is not paid again. Raises Refusal; then nothing is changed.
        """
        self._make_room()
        if run in self._live or run in self._changing:
            raise Refusal(409, "The run is under way", f"{run} has not ended", "stop it first")
        self._changing.add(run)
        try:
            return await self._resume(run, text, patch)
        finally:
            self._changing.discard(run)

    async def _resume(self, run: str, text: str | None, patch: str | None) -> Begun:
        header, rows = await self._read(run)
        if header.status == "ended":
            raise Refusal(409, "The run has ended", f"{run} has its value", "begin another run")
        findings = Findings()
        config = self._house.config({}, findings)
        loaded = await asyncio.to_thread(self._house.stored, header, config, findings, self._house.models())
        if loaded is None:
            raise _faulty("The program of the run has errors now", json_document(findings.sorted())["findings"])
        if text is not None or patch:
            asked: dict[str, Any] = {"run": run, "journal": self._where, "text": text, "patch": patch}
            patch = (await self._workers.ask("change", **asked))["patch"]
        endpoint = await asyncio.to_thread(_endpoint, loaded, header.flow)
        if patch:
            header, rows = await change(self._journal, header, rows, loaded, endpoint.key, patch)
        self._make_room()
        entry = _entry(run, self._name_of(header.program), header.flow, header.created, self._attempts.get(run, 1) + 1)
        self._launch(entry._replace(usage=spent(rows)), endpoint, None)
        return Begun(run, patch or "", finished(rows))

    def stop(self, run: str) -> None:
        """Let no further step of a run begin. Raises Refusal where it is not under way."""
        live = self._live.get(run)
        if live is None:
            raise Refusal(409, "The run is not under way", f"there is no run {run} to stop", "look at its state")
        live.stop(BY_USER, by_caller=True)

    # ---------------------------------------------------------------- running

    def _launch(self, entry: Entry, endpoint: Endpoint, inputs: Mapping[str, Any] | None) -> None:
        live = self._live[entry.id] = Live(entry, endpoint)
        self._attempts[entry.id] = entry.attempt
        self._ended.pop(entry.id, None)
        live.task = asyncio.get_running_loop().create_task(self._run(live, inputs), name=f"run {entry.id}")

    async def _run(self, live: Live, inputs: Mapping[str, Any] | None) -> None:
        """Run to an end, whatever it is, and tell those who watch."""
        entry, began = live.entry, time.monotonic()
        outcome = Outcome(entry, "interrupted", entry.usage, reason=BY_SHUTDOWN)
        try:
            result = await live.endpoint.loaded.start(
                live.endpoint.key,
                {} if inputs is None else inputs,
                journal=self._journal,
                resume=entry.id if inputs is None else None,
                run_id=None if inputs is None else entry.id,
                on_event=live.tell,
                should_stop=live.should_stop,
            )
            outcome = Outcome(entry, "ended", taken(result), plain(result.value))
        except RunStopped as stopped:
            outcome = Outcome(entry, "stopped", taken(stopped.result), None, stopped.step, live.stop_reason)
        except RunFailed as failed:
            kind = "run-out-of-budget" if isinstance(failed, BudgetExceeded) else "run-failed"
            outcome = Outcome(entry, "failed", taken(failed.result), None, failed.step, one_line(failed.reason), kind)
        except asyncio.CancelledError:
            pass
        except ProgramError as error:
            reason = "; ".join(one.diagnostic.title() for one in error.findings[:3])
            outcome = Outcome(entry, "failed", entry.usage, None, "", one_line(reason), "run-failed")
        except (JournalError, InputError, StepFailed) as error:
            outcome = Outcome(entry, "failed", entry.usage, None, "", one_line(str(error)), "run-failed")
        except Exception:
            _log.exception("run %s failed", entry.id)
            outcome = Outcome(entry, "failed", entry.usage, None, "", "masdsl made a mistake", "internal")
        finally:
            seconds = round(time.monotonic() - began, 6)
            self._live.pop(entry.id, None)
            self._ended[entry.id] = live
            if len(self._ended) > KEPT_ENDED:
                self._ended.popitem(last=False)
            live.end(outcome._replace(usage=outcome.usage._replace(seconds=seconds)))

    async def drain(self, stop_within: float) -> list[str]:
        """Take no new runs, and stop those under way softly; return the names of those that can be gone on with.

        After `stop_within` seconds the calls under way are cut off. Whatever was paid by then is in the journal.
        """
        self._draining = True
        under_way = list(self._live.values())
        for live in under_way:
            live.stop(BY_SHUTDOWN, by_caller=False)
        tasks = [live.task for live in under_way if live.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=stop_within)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [one.entry.id for one in under_way if one.outcome is not None and one.outcome.state != "ended"]

    # ---------------------------------------------------------------- looking

    def events(self, run: str, last_seen: str) -> AsyncIterator[bytes] | None:
        """Return the events of a run under way or just ended; None where they are kept no more."""
        live = self._live.get(run) or self._ended.get(run)
        if live is None:
            return None
        return live_events(live, last_seen, HEARTBEAT, values=True, last=_last)

    async def past_events(self, run: str, last_seen: str) -> AsyncIterator[bytes]:
        """Return what is left of a run that ended before: how it did. Raises Refusal."""
        header, rows = await self._read(run)
        return ended_events(self._outcome(header, rows), last_seen, _last)

    async def status(self, run: str) -> dict[str, Any]:
        """Return how a run stands. Raises Refusal."""
        live = self._live.get(run)
        try:
            header, rows = await self._read(run)
        except Refusal:
            if live is None or live.entry.inputs is None:
                raise
            return _fresh(live)
        outcome = self._outcome(header, rows)
        shown = run_json(outcome.entry, "running", spent(rows)) if live is not None else outcome_json(outcome)
        texts = await asyncio.to_thread(texts_of, header, rows)
        asked = [one for row in rows if (one := intervention_of(row)) is not None]
        return {
            **shown,
            "inputs": header.inputs,
            "bound": await self._bound(header, rows, len(texts)),
            "text": texts[-1].text,
            "interventions": [one.to_json() for one in asked],
        }

    async def _bound(self, header: RunHeader, rows: Sequence[Row], texts: int) -> Any:
        """Return the worst case of a run's program as it stands; None where it has errors by now."""
        key = header.id, texts
        if key not in self._bounds:
            if len(self._bounds) > LOOKED_THROUGH:
                self._bounds.clear()
            try:
                self._bounds[key] = await self._workers.ask("bound", run=header.id, journal=self._where)
            except Refusal:
                return None
        return self._bounds[key]

    async def recent(self) -> list[dict[str, Any]]:
        """Return the runs of this folder's programs, the newest first."""
        found = await asyncio.to_thread(self._recent)
        known = {one["run"] for one in found}
        fresh = [_fresh(live) for run, live in self._live.items() if run not in known]
        begun = [{key: one[key] for key in _LINE} for one in fresh]
        return [*begun, *found]

    def _recent(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        try:
            for one in self._journal.list(limit=LOOKED_THROUGH):
                if self._is_here(one.program):
                    found.append(self._line(one))
                if len(found) == LISTED:
                    break
        except JournalError as error:
            raise Refusal(503, "The journal cannot be used", str(error), "try again") from None
        return found

    def _line(self, one: RunSummary) -> dict[str, Any]:
        state: str = "running" if one.id in self._live else _STATES.get(one.status, "interrupted")
        if one.status == "damaged" or (one.status == "running" and one.owned):
            state = one.status
        key = one.id, one.changed, one.rows
        if key not in self._usages:
            if len(self._usages) > LOOKED_THROUGH:
                self._usages.clear()
            try:
                self._usages[key] = spent(self._journal.read(one.id)[1])
            except JournalError:
                self._usages[key] = Usage()
        return {
            "run": one.id,
            "program": self._name_of(one.program),
            "flow": one.flow,
            "status": state,
            "created": round(one.created, 3),
            "usage": usage_json(self._usages[key]),
        }

    async def check(self, run: str) -> None:
        """Raise Refusal where there is no such run of a program of this folder."""
        await self._read(run)

    async def _read(self, run: str) -> tuple[RunHeader, Sequence[Row]]:
        try:
            header, rows = await asyncio.to_thread(self._journal.read, run)
        except (UnknownRun, ValueError):
            raise not_found("the journal has no such run") from None
        except JournalBusy as error:
            raise Refusal(409, "The run is somebody else's", str(error), "wait until it has ended") from None
        except JournalError as error:
            raise Refusal(503, "The journal cannot be used", str(error), "try again") from None
        if not self._is_here(header.program):
            raise not_found("that is no run of a program of this folder")
        return header, rows

    def _outcome(self, header: RunHeader, rows: Sequence[Row]) -> Outcome:
        """Return how a run that is not under way here stands, by its journal."""
        entry = _entry(header.id, self._name_of(header.program), header.flow, header.created, 1)
        entry = entry._replace(state=_STATES.get(header.status, "interrupted"), usage=spent(rows))
        if entry.state == "interrupted":
            return Outcome(entry, "interrupted", entry.usage, reason="it was broken off")
        return outcome_of(entry, rows)

    def _is_here(self, program: str) -> bool:
        return program != SESSION and os.path.dirname(program) == self._folder


# ---------------------------------------------------------------- words


def _entry(run: str, program: str, flow: str, created: float, attempt: int) -> Entry:
    return Entry(run, "", f"{program}/{flow}", "", None, created, "running", attempt, Usage())


def _endpoint(loaded: LoadedProgram, flow: str) -> Endpoint:
    endpoints = served([("program", loaded)]).endpoints
    found = endpoints.get(f"program/{flow}")
    if found is None:
        known = ", ".join(one.flow for one in endpoints.values())
        raise Refusal(422, "There is no such flow", f"the program has no flow {flow!r}", f"choose one of {known}")
    return found


def _fresh(live: Live) -> dict[str, Any]:
    """Return a run that has just begun, and that the journal does not show yet."""
    entry, source = live.entry, live.endpoint.loaded.checked.modules[0].source
    return {
        **run_json(entry, "running", entry.usage),
        "inputs": entry.inputs,
        "bound": bound_json(live.endpoint),
        "text": source.text,
        "interventions": [],
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return a run that has come to an end, of whatever kind, as the page is shown it."""
    shown = run_json(outcome.entry, outcome.state, outcome.usage)
    if outcome.state == "ended":
        return {**shown, "value": outcome.value}
    titles = {
        "failed": "A step of the run gave no value",
        "stopped": "The run was stopped",
        "interrupted": "The run was broken off",
    }
    title = "The run's budget had no room" if outcome.problem == "run-out-of-budget" else titles[outcome.state]
    then = "go on with it, as it is or with a changed program: nothing that is finished is paid again"
    problem = {"title": title, "detail": outcome.reason, "step": outcome.step, "next": then}
    return {**shown, "problem": problem}


def _last(outcome: Outcome) -> tuple[str, Any]:
    """Say the last event of a run: `ended`, `failed` or `stopped`."""
    kind = "stopped" if outcome.state == "interrupted" else outcome.state
    return kind, outcome_json(outcome)


def _faulty(title: str, diagnostics: Sequence[Mapping[str, Any]]) -> Refusal:
    first = diagnostics[0]["title"] if diagnostics else "it cannot be read"
    more = f", and {len(diagnostics) - 1} more" if len(diagnostics) > 1 else ""
    return Refusal(422, title, f"{first}{more}", "mend what `diagnostics` lists", diagnostics)
