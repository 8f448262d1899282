"""Runs of a service: begun once for each idempotency key, paid from their key's budget, resumed after whatever came.

Everything that decides (is there such a run? is there room?) happens between two awaits, so that of any number of
requests for the same run one begins it and the others wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from json import dumps
from typing import Any, Final, NamedTuple

from masdsl.journal import Journal, JournalBusy, JournalError, RunExists, UnknownRun
from masdsl.loaded import ProgramError
from masdsl.redaction import one_line
from masdsl.runtime import BudgetExceeded, InputError, RunFailed, StepFailed
from masdsl.runtime.failures import RunStopped
from masdsl.runtime.shapes import plain
from masdsl.serve.endpoints import Endpoint, Served
from masdsl.serve.keys import Bucket, Key, Keys
from masdsl.serve.ledger import Entry, Ledger, LedgerError, OverBudget, State, Usage
from masdsl.serve.live import Live, Outcome, run_json
from masdsl.serve.metrics import Metrics
from masdsl.serve.models import SharedModels
from masdsl.serve.outcomes import outcome_of, spent, taken
from masdsl.serve.problems import Problem

_log: Final = logging.getLogger("masdsl.serve")
KEPT_ENDED: Final = 64
"""Ended runs whose events are kept for readers that were cut off."""
BY_SHUTDOWN: Final = "the service is shutting down"


class Limits(NamedTuple):
    """What a service keeps to: runs under way at once."""

    at_once: int = 256


class Service:
    """The runs of what is served."""

    def __init__(
        self, served: Served, journal: Journal, ledger: Ledger, keys: Keys, limits: Limits, metrics: Metrics
    ) -> None:
        self.served = served
        self.keys = keys
        self.metrics = metrics
        self.draining = False
        self._journal = journal
        self._ledger = ledger
        self._limits = limits
        self._live: dict[str, Live] = {}
        self._ended: OrderedDict[str, Live] = OrderedDict()
        self._buckets: dict[str, Bucket] = {}
        self._models = SharedModels()

    # ---------------------------------------------------------------- asking for runs

    def admit(self, key: Key) -> None:
        """Count a request of a key. Raises Problem `too-many-requests`."""
        if key.requests_per_minute is None:
            return
        bucket = self._buckets.get(key.name)
        if bucket is None:
            bucket = self._buckets[key.name] = Bucket(key.requests_per_minute)
        wait = bucket.take()
        if wait:
            self.metrics.refused("rate")
            raise Problem(
                "too-many-requests", f"the key has {key.requests_per_minute} requests per minute", retry_after=wait
            )

    def begin(
        self, key: Key, endpoint: Endpoint, inputs: dict[str, Any], idempotency: str, *, is_watched: bool = True
    ) -> Live | Outcome:
        """Begin a run, or return the one that this idempotency key stands for. Raises Problem.

        One that is not watched tells no events, which takes less time: for those whose id nobody knows before its end.
        """
        digest = hashlib.sha256(dumps(inputs, sort_keys=True).encode()).hexdigest()
        run = run_of(key, endpoint, idempotency) if idempotency else fresh_id()
        entry = self._ledger.find(run) if idempotency else None
        if entry is not None:
            if entry.digest != digest:
                raise Problem(
                    "key-reused", f"this Idempotency-Key began run {run} with other inputs", more={"run": run}
                )
            return self._same(key, entry)
        self._make_room(key)
        try:
            entry = self._ledger.begin(run, key, endpoint.name, digest, inputs, endpoint.bound)
        except OverBudget as over:
            raise self._over(over) from None
        return self._launch(entry, endpoint, inputs, is_watched=is_watched or bool(idempotency))

    def _same(self, key: Key, entry: Entry) -> Live | Outcome:
        """Return a run that is asked for again: it never runs twice, and goes on if the service had broken it off."""
        live = self._live.get(entry.id)
        if live is not None:
            return live
        if entry.state == "interrupted" or entry.state == "running":
            return self.resume(key, entry)
        return self.outcome(entry)

    def resume(self, key: Key, entry: Entry) -> Live | Outcome:
        """Let a run go on that was stopped, broken off or has failed; wait for one under way. Raises Problem."""
        live = self._live.get(entry.id)
        if live is not None:
            return live
        if entry.state == "ended":
            return self.outcome(entry)
        endpoint = self.served.endpoints.get(entry.endpoint)
        if endpoint is None:
            raise Problem("conflict", f"{entry.endpoint} is not served any more", more={"run": entry.id})
        inputs = None
        if not self._has_begun(entry):
            inputs = entry.inputs
            if inputs is None:
                self._ledger.forget(entry.id)
                raise Problem("not-found", f"the journal has no run {entry.id} any more")
        self._make_room(key)
        try:
            entry = self._ledger.begin_again(entry, key, endpoint.bound)
        except OverBudget as over:
            raise self._over(over) from None
        return self._launch(entry, endpoint, inputs)

    def find(self, key: Key, run: str) -> Entry:
        """Return a run of a key. Raises Problem `not-found`, also for one of another key."""
        entry = self._ledger.find(run)
        if entry is None or entry.key != key.name:
            raise Problem("not-found", "there is no such run")
        return entry

    def live(self, run: str) -> Live | None:
        """Return a run under way, or one that has just ended and whose events are kept."""
        return self._live.get(run) or self._ended.get(run)

    def status(self, entry: Entry) -> dict[str, Any]:
        """Return how a run stands, for its caller."""
        if entry.id in self._live:
            return run_json(entry, "running", entry.usage)
        return self.outcome(entry).to_json()

    def stop(self, entry: Entry) -> dict[str, Any]:
        """Let no further step of a run begin. Raises Problem where it is not under way."""
        live = self._live.get(entry.id)
        if live is None:
            raise Problem("conflict", f"the run is not under way: it is {entry.state}", more={"run": entry.id})
        live.stop("its caller stopped it", by_caller=True)
        return run_json(entry, "running", entry.usage)

    def outcome(self, entry: Entry) -> Outcome:
        """Return how a run that is not under way ended, by the journal. Raises Problem."""
        if entry.state in ("interrupted", "running"):
            reason = "the service ended before the run did"
            return Outcome(entry, "interrupted", entry.usage, reason=reason, problem="run-interrupted")
        try:
            _, rows = self._journal.read(entry.id)
        except UnknownRun:
            self._ledger.forget(entry.id)
            raise Problem("not-found", f"the journal has no run {entry.id} any more") from None
        except JournalError as error:
            raise Problem("journal-unavailable", str(error), retry_after=5, more={"run": entry.id}) from None
        return outcome_of(entry, rows)

    # ---------------------------------------------------------------- room

    def _make_room(self, key: Key) -> None:
        if self.draining:
            self.metrics.refused("draining")
            raise Problem("shutting-down", BY_SHUTDOWN, retry_after=5)
        if key.runs_at_once is not None:
            own = sum(live.entry.key == key.name for live in self._live.values())
            if own >= key.runs_at_once:
                self.metrics.refused("at-once")
                raise Problem("too-many-runs", f"the key may have {key.runs_at_once} runs at once", retry_after=1)
        if len(self._live) >= self._limits.at_once:
            self.metrics.refused("busy")
            raise Problem("busy", f"{self._limits.at_once} runs are under way", retry_after=1)

    def _over(self, over: OverBudget) -> Problem:
        self.metrics.refused("budget")
        if over.never:
            return Problem("budget-too-small", str(over))
        return Problem("budget-exhausted", str(over), retry_after=over.seconds)

    # ---------------------------------------------------------------- running

    def _has_begun(self, entry: Entry) -> bool:
        """Whether the journal has a run. Raises Problem where it cannot say."""
        try:
            self._journal.read(entry.id)
        except UnknownRun:
            return False
        except JournalError as error:
            raise Problem("journal-unavailable", str(error), retry_after=5, more={"run": entry.id}) from None
        return True

    def _launch(
        self, entry: Entry, endpoint: Endpoint, inputs: Mapping[str, Any] | None, *, is_watched: bool = True
    ) -> Live:
        live = self._live[entry.id] = Live(entry, endpoint)
        self.metrics.began()
        running = self._run(live, inputs, is_watched)
        live.task = asyncio.get_running_loop().create_task(running, name=f"run {entry.id}")
        return live

    async def _run(self, live: Live, inputs: Mapping[str, Any] | None, is_watched: bool) -> None:
        """Run to an end, whatever it is, settle what it took, and tell those who wait."""
        entry, endpoint, began = live.entry, live.endpoint, time.monotonic()
        outcome = Outcome(entry, "interrupted", entry.usage, reason=BY_SHUTDOWN, problem="run-interrupted")
        try:
            result = await endpoint.loaded.start(
                endpoint.key,
                {} if inputs is None else inputs,
                journal=self._journal,
                resume=entry.id if inputs is None else None,
                run_id=None if inputs is None else entry.id,
                on_event=live.tell if is_watched else None,
                should_stop=live.should_stop,
                models=self._models.of(endpoint.loaded),
                # a patched program may cost more than the one whose bound is reserved
                ceiling=endpoint.bound.limits() if endpoint.loaded.checked.rectify is not None else None,
            )
            outcome = Outcome(entry, "ended", taken(result), plain(result.value))
        except RunStopped as stopped:
            usage = taken(stopped.result)
            if live.is_stopped_by_caller:
                outcome = Outcome(entry, "stopped", usage, reason=live.stop_reason, problem="run-stopped")
            else:
                outcome = outcome._replace(usage=usage, step=stopped.step)
        except RunFailed as failed:
            kind = "run-out-of-budget" if isinstance(failed, BudgetExceeded) else "run-failed"
            reason = one_line(failed.reason)
            outcome = Outcome(entry, "failed", taken(failed.result), None, failed.step, reason, kind)
        except asyncio.CancelledError:
            outcome = outcome._replace(usage=self._paid(entry, endpoint))
        except RunExists:  # the ledger was lost: whose run it is, and of which inputs, nobody knows
            reason = "the journal has a run of this Idempotency-Key that the ledger does not know; use a new key"
            outcome = Outcome(entry, "failed", entry.usage, reason=reason, problem="conflict")
        except JournalError as error:
            _log.error("run %s: %s", entry.id, error)
            kind = "conflict" if isinstance(error, JournalBusy) else "journal-unavailable"
            outcome = outcome._replace(usage=self._paid(entry, endpoint), reason=one_line(str(error)), problem=kind)
        except (InputError, ProgramError, StepFailed) as error:
            _log.error("run %s: %s", entry.id, error)
            reason = one_line(str(error))
            outcome = Outcome(entry, "failed", self._paid(entry, endpoint), None, "", reason, "run-failed")
        except Exception:
            _log.exception("run %s failed", entry.id)
            reason = "the service made a mistake"
            outcome = Outcome(entry, "failed", self._paid(entry, endpoint), None, "", reason, "internal")
        finally:
            seconds = round(time.monotonic() - began, 6)
            self._settled(live, outcome._replace(usage=outcome.usage._replace(seconds=seconds)))

    def _settled(self, live: Live, outcome: Outcome) -> None:
        entry = live.entry
        try:
            self._ledger.settle(entry.id, outcome.state, outcome.usage)
            if outcome.state == "failed" and outcome.problem == "conflict":
                self._ledger.forget(entry.id)
        except LedgerError as error:  # the reservation stays, which is the safe side
            _log.error("run %s: %s", entry.id, error)
        before, now = entry.usage, outcome.usage
        calls, tokens_in, tokens_out, picodollars = (
            max(one - then, 0) for one, then in zip(now[:4], before[:4], strict=True)
        )
        took = Usage(calls, tokens_in, tokens_out, picodollars, now.seconds)
        self.metrics.ended(live.endpoint.program, live.endpoint.flow, outcome.state, took)
        self._live.pop(entry.id, None)
        if live.was_read:
            self._ended[entry.id] = live
            if len(self._ended) > KEPT_ENDED:
                self._ended.popitem(last=False)
        live.end(outcome)

    def _paid(self, entry: Entry, endpoint: Endpoint) -> Usage:
        """Return what a run took by the journal; where that cannot say, all that it may have."""
        try:
            _, rows = self._journal.read(entry.id)
        except UnknownRun:
            return entry.usage
        except JournalError:
            bound, before = endpoint.bound, entry.usage
            return Usage(
                before.calls + bound.calls,
                before.tokens_in + bound.tokens,
                before.tokens_out,
                before.picodollars + bound.picodollars,
            )
        return spent(rows)

    # ---------------------------------------------------------------- the service's own beginning and end

    def recover(self) -> list[Entry]:
        """Settle what an earlier service left under way; return the runs that were broken off."""
        for entry in self._ledger.unsettled():
            try:
                header, rows = self._journal.read(entry.id)
            except UnknownRun:
                self._ledger.settle(entry.id, "interrupted", entry.usage)
            except JournalError as error:  # its reservation stays
                _log.error("run %s: %s", entry.id, error)
            else:
                states: Mapping[str, State] = {"ended": "ended", "failed": "failed"}
                self._ledger.settle(entry.id, states.get(header.status, "interrupted"), spent(rows))
        return self._ledger.in_state("interrupted", 10_000)

    async def resume_all(self, entries: list[Entry]) -> None:
        """Let runs go on that were broken off, as many at once as there is room for."""
        for entry in entries:
            while len(self._live) >= self._limits.at_once and not self.draining:
                await asyncio.sleep(0.05)
            key = self.keys.named(entry.key)
            current = self._ledger.find(entry.id)
            if key is None or current is None or current.state != "interrupted":
                continue  # its key is gone, or somebody was faster
            try:
                self.resume(key, current)
            except Problem as problem:
                _log.warning("run %s does not go on: %s", entry.id, problem.detail)

    async def drain(self, grace: float, stop_within: float) -> int:
        """Take no new runs, and bring those under way to an end; return how many were broken off.

        For `grace` seconds they may end by themselves. Then no further step begins; after `stop_within` more the calls
        under way are cut off. Whatever was paid by then is in the journal.
        """
        self.draining = True
        await self._wait(grace)
        under_way = list(self._live.values())
        for live in under_way:
            live.stop(BY_SHUTDOWN, by_caller=False)
        await self._wait(stop_within)
        tasks = [live.task for live in self._live.values() if live.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._models.close()
        return sum(live.outcome is not None and live.outcome.state == "interrupted" for live in under_way)

    async def _wait(self, seconds: float) -> None:
        tasks = [live.task for live in self._live.values() if live.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def close(self) -> None:
        """Close the journal and the ledger."""
        self._journal.close()
        self._ledger.close()


def run_of(key: Key, endpoint: Endpoint, idempotency: str) -> str:
    """Return the id of the run that an idempotency key stands for: each API key and each flow has its own."""
    text = "\0".join((key.name, endpoint.name, idempotency))
    return f"i-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}"


def fresh_id() -> str:
    """Return a name for a run that nobody guesses, and that no two runs have."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(10).hex()}"
