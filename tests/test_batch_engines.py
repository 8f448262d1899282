"""The engines give the same outcomes to the byte, and whoever dies meanwhile, no journaled call is made again."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masdsl.batch.base import Chunk, EngineFault, Job
from masdsl.batch.engines import ENGINES, engine_named
from masdsl.batch.engines.deaths import DEATHS, Deaths
from masdsl.batch.engines.supply import FAILURES, Supply
from masdsl.journal import open_journal
from tests.harness.engines import Unfinished, calls_seen, ended_well, made, project, started, wait_for_calls, workers_of

if TYPE_CHECKING:
    from tests.harness.postgres import Network, Server

pytest_plugins = ("tests.harness.postgres",)

RUNS = 32


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"{', '.join(missing)} is not installed (masdsl[scale], masdsl[ray])"
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return project(tmp_path / "project")


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    """The outcomes, made in this process."""
    quiet = project(tmp_path / "quiet" / "project", seconds=0)
    return made(tmp_path / "here", quiet, RUNS, engine_named("local"), workers=0)[1]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[str]:
    """The address of a Ray cluster of two nodes, each with processes of its own."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed (masdsl[ray])")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster()
    try:
        try:
            cluster.add_node(num_cpus=1, include_dashboard=False)
            cluster.add_node(num_cpus=1)
        except Exception as error:  # Ray gives a node 30 s to start, which a busy machine may need more than
            pytest.skip(f"Ray's nodes do not start here: {error}")
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def test_made_here_the_outcomes_are_those_of_workers(tmp_path: Path, program: Path, expected: bytes) -> None:
    assert made(tmp_path / "two", program, RUNS, engine_named("local"), workers=2)[1] == expected
    assert expected.count(b'"status":"ended"') == RUNS


@needs("dbos", "psycopg")
def test_dbos_gives_the_same_outcomes(tmp_path: Path, program: Path, expected: bytes, postgres: str) -> None:
    process = started(tmp_path / "b", program, RUNS, "dbos", journal=postgres)
    ended_well(process)
    assert (tmp_path / "b" / "outcomes.jsonl").read_bytes() == expected


@needs("dbos", "psycopg")
@pytest.mark.parametrize("victim", ["worker", "supervisor"])
def test_dbos_outlives(tmp_path: Path, program: Path, expected: bytes, postgres: str, victim: str) -> None:
    folder = tmp_path / "b"
    process = started(folder, program, RUNS, "dbos", journal=postgres, chunk="5")
    wait_for_calls(folder, RUNS // 4, process)
    workers = workers_of(process, "dbos_worker")
    assert len(workers) == 2
    if victim == "worker":
        killed = workers[:1]
        os.kill(workers[0], signal.SIGKILL)
    else:
        killed = workers
        process.kill()
        process.communicate()
        process = started(folder, program, RUNS, "dbos", journal=postgres, chunk="5")
    ended_well(process)
    assert (folder / "outcomes.jsonl").read_bytes() == expected
    _check_calls(folder, postgres, killed)


@needs("dbos", "psycopg")
def test_dbos_outlives_its_server(tmp_path: Path, program: Path, expected: bytes, own_postgres: Server) -> None:
    folder, url = tmp_path / "b", f"{own_postgres.url}/postgres"
    process = started(folder, program, RUNS, "dbos", journal=url, chunk="5")
    wait_for_calls(folder, RUNS // 4, process)
    workers = workers_of(process, "dbos_worker")
    own_postgres.kill()
    time.sleep(2)
    own_postgres.start()
    ended_well(process)
    assert (folder / "outcomes.jsonl").read_bytes() == expected
    _check_calls(folder, url, workers)


@needs("dbos", "psycopg")
def test_dbos_outlives_a_cut_between_two_hosts(
    tmp_path: Path, program: Path, expected: bytes, other_host: Network
) -> None:
    folder, url = tmp_path / "b", f"{other_host.server.url}/postgres"
    root = str(Path(__file__).parents[1])
    command = ["ip", "netns", "exec", other_host.name, sys.executable, "-m", "masdsl", "worker", "--journal", url]
    environment = os.environ | {"PYTHONPATH": root}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as far:
        try:
            assert far.stderr is not None
            assert b"is there for" in far.stderr.readline()
            assert far.stdin is not None
            far.stdin.close()  # it is nobody's child: the end of its input means nothing
            process = started(folder, program, RUNS, "dbos", journal=url, chunk="4", workers="1")
            wait_for_calls(folder, 2, process)
            until = time.monotonic() + 100
            while not (there := {pid for pid in _callers(folder) if pid in _tree(far.pid)}):
                assert time.monotonic() < until and process.poll() is None, "the other host got no chunk"
                time.sleep(0.02)
            other_host.cut()
            ended_well(process)
            assert (folder / "outcomes.jsonl").read_bytes() == expected
            other_host.mend()
            _check_calls(folder, url, list(there))
        finally:
            far.kill()


def _callers(folder: Path) -> set[int]:
    return {int(line.rpartition(" ")[2]) for line in calls_seen(folder.parent / "seen")}


def _tree(pid: int) -> set[int]:
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {pid, *(one for child in below for one in _tree(int(child)))}


@needs("dbos", "psycopg")
def test_limits_of_models_are_for_workers_from_elsewhere_too() -> None:
    from masdsl.batch.engines.dbos import shared_out

    job = Job("batch.json", "postgresql://db", workers=2)
    assert [shared_out(job, alive).workers for alive in (0, 1, 2, 7)] == [2, 2, 2, 7]
    assert shared_out(job._replace(workers=0), 3).workers == 3


@needs("dbos", "psycopg")
def test_dbos_without_a_database_says_what_to_give(tmp_path: Path, program: Path) -> None:
    with pytest.raises(EngineFault, match="--journal postgresql://"):
        made(tmp_path / "b", program, 2, engine_named("dbos"))
    with pytest.raises(EngineFault, match="cannot be used"):
        made(tmp_path / "c", program, 2, engine_named("dbos"), journal="postgresql://nobody:secret@127.0.0.1:9/none")


@needs("ray")
def test_ray_gives_the_same_outcomes_on_two_nodes(
    tmp_path: Path, program: Path, expected: bytes, postgres: str, two_nodes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", two_nodes)
    with pytest.raises(Unfinished, match="2 nodes, and a journal in a file is for one machine"):
        ended_well(
            started(tmp_path / "a", program, 2, "ray")
        )  # never in this process: Ray puts a `print` of its own there
    folder = tmp_path / "b"
    process = started(folder, program, RUNS, "ray", journal=postgres, chunk="5")
    wait_for_calls(folder, RUNS // 4, process)
    seen = Counter(int(line.rpartition(" ")[2]) for line in calls_seen(tmp_path / "seen"))
    victim = next(iter(seen))
    os.kill(victim, signal.SIGKILL)
    ended_well(process)
    assert (folder / "outcomes.jsonl").read_bytes() == expected
    _check_calls(folder, postgres, [victim])


def _check_calls(folder: Path, journal: str, killed: Sequence[int]) -> None:
    """Only what a killed process had under way was called again, and the journal has every call once."""
    callers: dict[str, list[int]] = {}
    for line in calls_seen(folder.parent / "seen"):
        text, _, pid = line.rpartition(" ")
        callers.setdefault(text, []).append(int(pid))
    assert len(callers) == RUNS
    again = {text: pids for text, pids in callers.items() if len(pids) > 1}
    assert len(again) <= 32 * len(killed), "more than can have been under way"
    for text, pids in again.items():
        assert len(pids) == 2 and pids[0] in killed, f"{text}: {pids}, of which {killed} were killed"
    with open_journal(journal, "full") as opened:
        for number in range(RUNS):
            _, rows = opened.read(f"b-{number}")
            results = Counter(
                (row.path, row.indices, row.part, row.kind) for row in rows if row.kind in ("reply", "tool")
            )
            assert set(results.values()) == {1}, f"run {number}: {results}"


# ---------------------------------------------------------------- what a death means


def test_a_chunk_that_ends_its_workers_is_taken_apart_and_its_runs_fail_one_by_one() -> None:
    deaths, chunk = Deaths(), Chunk(4, 7, doubts=2)
    assert chunk not in deaths
    for _ in range(DEATHS - 1):
        assert deaths.died(chunk) == (chunk,) and chunk in deaths
    parts = deaths.died(chunk)
    assert parts == (Chunk(4, 5, 2), Chunk(5, 6, 2), Chunk(6, 7, 2)) and chunk not in deaths
    assert [deaths.died(parts[0]) for _ in range(DEATHS)] == [(parts[0],)] * (DEATHS - 1) + [()]
    deaths.done(parts[1])
    assert parts[1] not in deaths and parts[2] in deaths


def test_what_has_to_be_made_again_comes_first_and_not_for_ever() -> None:
    supply = Supply(iter([Chunk(0, 2), None, Chunk(2, 4)]))
    assert supply.next() == Chunk(0, 2)
    supply.put_back(Chunk(0, 1), Chunk(1, 2))
    assert [supply.next(again=False), supply.next(), supply.next(), supply.next()] == [
        None,
        Chunk(0, 1),
        Chunk(1, 2),
        Chunk(2, 4),
    ]
    assert (supply.next(), supply.is_empty) == (None, True)
    for _ in range(FAILURES - 1):
        supply.failed(Chunk(2, 4), "connection lost")
        assert not supply.is_empty and supply.next() == Chunk(2, 4)
    with pytest.raises(EngineFault, match=f"runs 2 to 3 ended {FAILURES} times with: connection lost"):
        supply.failed(Chunk(2, 4), "connection lost")


def test_an_unknown_engine_is_told_from_a_misspelt_one() -> None:
    assert set(ENGINES) == {"local", "dbos", "ray"}
    with pytest.raises(EngineFault, match="did you mean `dbos`"):
        engine_named("dboss")
