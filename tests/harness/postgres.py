"""A real Postgres server for tests, in a folder of its own, on this machine's loopback only."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def _programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them out of the path."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name.split(".")[0]))
    candidates = [*([Path(found).parent] if found else []), *reversed(places)]
    return next((place for place in candidates if (place / "initdb").exists()), None)


class Server:
    """A server that was started for tests; it can be killed and started again. `url` is without a database's name."""

    def __init__(self, programs: Path, folder: str, as_user: list[str]) -> None:
        self._programs, self._folder, self._as_user = programs, folder, as_user
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._data = os.path.join(folder, "data")
        self.url = f"postgresql://tester@127.0.0.1:{self._port}"
        self._run("initdb", "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), *arguments]
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start it, also after it was killed."""
        options = f"-c listen_addresses=127.0.0.1 -p {self._port} -k {self._folder} -c fsync=off -c max_connections=60"
        log = os.path.join(self._folder, "log")
        self._run("pg_ctl", "-D", self._data, "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def kill(self) -> None:
        """Kill all its processes, as a machine does that runs out of memory."""
        first = int(Path(self._data, "postmaster.pid").read_text().split()[0])
        below = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, below)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)


@contextmanager
def server() -> Iterator[Server]:
    """Start a server; skip the test where there can be none."""
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not here: pip install 'masdsl[scale]'")
    programs = _programs()
    if programs is None:
        pytest.skip("no Postgres server is on this machine (Debian: apt-get install postgresql)")
    as_user: list[str] = []
    folder = tempfile.mkdtemp(prefix="masdsl-postgres-")
    try:
        if os.geteuid() == 0:  # a server refuses to run as root
            try:
                pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("Postgres does not run as root, and there is no user `postgres`")
            as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(folder, "postgres", "postgres")
        made = Server(programs, folder, as_user)
        made.start()
        try:
            yield made
        finally:
            with suppress(AssertionError):  # a test that failed may have killed it
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server's databases, without the name of one."""
    with server() as made:
        yield made.url


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that the test may kill."""
    with server() as made:
        yield made


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of a database of its own."""
    import psycopg

    name = f"t{os.urandom(6).hex()}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        yield f"{postgres_server}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
