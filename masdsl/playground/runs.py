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
from masdsl.journal import Journal, JournalError
from masdsl.loaded import LoadedProgram, ProgramError
from masdsl.playground.changes import change, finished
from masdsl.playground.choices import Choices
from masdsl.playground.desk import Desk
from masdsl.playground.flows import bound_json
from masdsl.playground.house import House
from masdsl.playground.kept import LINE, Kept, last_event, usage_of
from masdsl.playground.kept import entry as begun_entry
from masdsl.playground.refusals import Refusal
from masdsl.playground.workers import Workers
from masdsl.reading import decode
from masdsl.redaction import one_line
from masdsl.runtime import BudgetExceeded, InputError, RunFailed, StepFailed
from masdsl.runtime.failures import RunStopped
from masdsl.runtime.shapes import plain
from masdsl.serve.endpoints import Endpoint, served
from masdsl.serve.inputs import fit_inputs
from masdsl.serve.ledger import Entry
from masdsl.serve.live import Live, Outcome, run_json
from masdsl.serve.outcomes import taken
from masdsl.serve.streaming import ended_events, live_events

_log: Final = logging.getLogger("masdsl.playground")
AT_ONCE: Final = 8
"""Runs under way at once."""
KEPT_ENDED: Final = 32
"""Ended runs whose events are kept."""
HEARTBEAT: Final = 15.0
"""Seconds between signs of life of a stream."""
BY_USER: Final = "its user stopped it"
BY_SHUTDOWN: Final = "the playground is shutting down"


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
        self._kept = Kept(journal, where, desk, workers)
        self._name_of = desk.name_of
        self._house = house
        self._workers = workers
        self._live: dict[str, Live] = {}
        self._ended: OrderedDict[str, Live] = OrderedDict()
        self._attempts: dict[str, int] = {}
        self._changing: set[str] = set()
        self._choices = Choices(house.choices, house.write)
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
        given = fit_inputs(inputs, endpoint.parameters)
        self._make_room()
        run = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + f"-{os.urandom(4).hex()}"
        entry = begun_entry(run, self._name_of(path), flow, time.time(), 1)
        self._kept.begins(run, bound_json(endpoint))
        await asyncio.to_thread(self._choices.begins, run, models)
        self._launch(entry._replace(inputs=given), endpoint, given)
        return run

    def _loaded(self, path: str, text: str, models: Mapping[str, str]) -> LoadedProgram:
        findings = Findings()
        config = self._house.config(models, findings)
        source = decode(path, text.encode("utf-8", "surrogatepass"), findings)
        try:
            return load(source, config=config, models=self._house.models())
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
        header, rows = await self._kept.read(run)
        if header.status == "ended":
            raise Refusal(409, "The run has ended", f"{run} has its value", "begin another run")
        findings = Findings()
        models = self._choices.models_of(run)
        config = self._house.config(models, findings)
        loaded = await asyncio.to_thread(self._house.stored, header, config, findings, self._house.models())
        if loaded is None:
            raise _faulty("The program of the run has errors now", json_document(findings.sorted())["findings"])
        if text is not None or patch:
            asked: dict[str, Any] = {"run": run, "journal": self._where, "text": text, "patch": patch}
            patch = (await self._workers.ask("change", models, **asked))["patch"]
        endpoint = await asyncio.to_thread(_endpoint, loaded, header.flow)
        if patch:
            header, rows = await change(self._journal, header, rows, loaded, endpoint.key, patch)
        self._make_room()
        entry = self._kept.entry(header, self._attempts.get(run, 1) + 1)
        self._launch(entry._replace(usage=usage_of(rows)), endpoint, None)
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
            seconds = round(entry.usage.seconds + time.monotonic() - began, 6)
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
        return live_events(live, last_seen, HEARTBEAT, values=True, last=last_event)

    async def past_events(self, run: str, last_seen: str) -> AsyncIterator[bytes]:
        """Return what is left of a run that ended before: how it did. Raises Refusal."""
        header, rows = await self._kept.read(run)
        return ended_events(self._kept.outcome(header, rows), last_seen, last_event)

    async def status(self, run: str) -> dict[str, Any]:
        """Return how a run stands. Raises Refusal."""
        live = self._live.get(run)
        try:
            header, rows = await self._kept.read(run)
        except Refusal:
            if live is None or live.entry.inputs is None:
                raise
            return {**_fresh(live), "began_here": True}
        shown = await self._kept.status(header, rows, is_live=live is not None)
        return {**shown, "began_here": run in self._choices}

    async def recent(self) -> list[dict[str, Any]]:
        """Return the runs of this folder's programs, the newest first."""
        found = await self._kept.recent(frozenset(self._live))
        known = {one["run"] for one in found}
        fresh = [_fresh(live) for run, live in self._live.items() if run not in known]
        return [*({key: one[key] for key in LINE} for one in fresh), *found]

    async def check(self, run: str) -> None:
        """Raise Refusal where there is no such run of a program of this folder."""
        await self._kept.read(run)


# ---------------------------------------------------------------- words


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


def _faulty(title: str, diagnostics: Sequence[Mapping[str, Any]]) -> Refusal:
    first = diagnostics[0]["title"] if diagnostics else "it cannot be read"
    more = f", and {len(diagnostics) - 1} more" if len(diagnostics) > 1 else ""
    return Refusal(422, title, f"{first}{more}", "mend what `diagnostics` lists", diagnostics)
