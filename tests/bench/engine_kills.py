"""A batch on the engine `dbos` whose worker, supervisor and server are killed: `python -m tests.bench.engine_kills`.

Each run calls a tool once, which writes a line to a file. After 20 % of the calls a worker is killed (`kill -9`), after
40 % the supervisor (`mas eval`'s part), which is started again, after 60 % all processes of the Postgres server, which
is started again too. Then every run has to have an outcome, the same as without any kill; the journal has to have one
result of each step; and only runs that a killed process had under way may have called the tool twice.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from masdsl.batch.engines import engine_named
from masdsl.journal import open_journal
from tests.harness.engines import calls_seen, ended_well, made, project, started, wait_for_calls, workers_of
from tests.harness.postgres import server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine_kills")
    parser.add_argument("--runs", type=int, default=10_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as place, server() as postgres:
        quiet = project(Path(place, "quiet", "project"), seconds=0)
        expected = made(Path(place, "quiet", "batch"), quiet, runs, engine_named("local"), workers=2)[1]
        program, folder, url = (
            project(Path(place, "project"), seconds=0.001),
            Path(place, "b"),
            f"{postgres.url}/postgres",
        )
        began = time.monotonic()
        killed: list[int] = []
        process = started(folder, program, runs, "dbos", journal=url)
        wait_for_calls(folder, runs // 5, process, 3600)
        killed += (worker := workers_of(process, "dbos_worker")[:1])
        os.kill(worker[0], signal.SIGKILL)
        wait_for_calls(folder, 2 * runs // 5, process, 3600)
        killed += workers_of(process, "dbos_worker")
        process.kill()
        process.communicate()
        process = started(folder, program, runs, "dbos", journal=url)
        wait_for_calls(folder, 3 * runs // 5, process, 3600)
        killed += workers_of(process, "dbos_worker")  # they live on, and lose what the server had not stored
        postgres.kill()
        time.sleep(2)
        postgres.start()
        ended_well(process, 3600)
        outcomes = (folder / "outcomes.jsonl").read_bytes()
        _report(folder, url, runs, killed, expected, outcomes, time.monotonic() - began)


def _report(
    folder: Path, url: str, runs: int, killed: list[int], expected: bytes, outcomes: bytes, seconds: float
) -> None:
    callers: dict[str, list[int]] = {}
    for line in calls_seen(folder.parent / "seen"):
        text, _, pid = line.rpartition(" ")
        callers.setdefault(text, []).append(int(pid))
    again = [pids for pids in callers.values() if len(pids) > 1]
    strangers = [pids for pids in again if not set(pids[:-1]) <= set(killed)]
    results = twice = 0
    with open_journal(url, "full") as journal:
        for number in range(runs):
            rows = journal.read(f"b-{number}")[1]
            found = Counter((one.path, one.indices, one.part) for one in rows if one.kind in ("reply", "tool"))
            results += len(found)
            twice += sum(count > 1 for count in found.values())
    print(
        f"{runs:,} runs in {seconds:.0f} s; a worker, the supervisor with its workers and the server killed once each"
    )
    print(f"outcomes: {outcomes.count(chr(10).encode()):,}, the same as without kills: {outcomes == expected}")
    print(f"  sha256 {hashlib.sha256(outcomes).hexdigest()[:16]}")
    print(f"results in the journal: {results:,}; steps with more than one: {twice}")
    calls = sum(map(len, callers.values()))
    print(f"calls of the tool: {calls:,}, of {len(callers):,} runs; {len(again)} runs called twice,")
    print(f"  {len(strangers)} of them although nobody was killed who had called before")
    if outcomes != expected or twice or strangers or len(callers) != runs:
        raise SystemExit("this should not be")


if __name__ == "__main__":
    main()
