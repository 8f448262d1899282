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
from typing import NamedTuple

import pytest


def _programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them out of the path."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name.split(".")[0]))
    candidates = [*([Path(found).parent] if found else []), *reversed(places)]
    return next((place for place in candidates if (place / "initdb").exists()), None)


class Server:
    """A server that was started for tests; it can be killed and started again. `url` is without a database's name."""

    def __init__(self, programs: Path, folder: str, as_user: list[str], address: str = "127.0.0.1") -> None:
        self._programs, self._folder, self._as_user, self._address = programs, folder, as_user, address
        with socket.socket() as probe:
            probe.bind((address, 0))
            self._port = probe.getsockname()[1]
        self._data = os.path.join(folder, "data")
        self.url = f"postgresql://tester@{address}:{self._port}"
        self._run("initdb", "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        with Path(self._data, "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), *arguments]
        done = subprocess.run(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        """Start it, also after it was killed."""
        options = (
            f"-c listen_addresses={self._address} -p {self._port} -k {self._folder} -c fsync=off -c max_connections=60"
        )
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

    def cpu_seconds(self) -> float:
        """Return the processor time that its processes have taken so far, those that have ended included."""
        first = int(Path(self._data, "postmaster.pid").read_text().split()[0])
        below = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        ticks = 0
        for pid in (first, *map(int, below)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15] if pid == first else fields[11:13]))  # with children that have ended
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(address: str = "127.0.0.1") -> Iterator[Server]:
    """Start a server at an address of this machine; skip the test where there can be none."""
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
        made = Server(programs, folder, as_user, address)
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


class Network(NamedTuple):
    """Another host, as a network namespace, and a server at our end of the cable between."""

    server: Server
    name: str
    cable: str

    def cut(self) -> None:
        """Unplug the other host: what is sent is lost, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self.cable, "up")


@pytest.fixture
def other_host() -> Iterator[Network]:
    """Another host, on which commands run by `ip netns exec NAME`; skips where none can be had."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs root and `ip` (Debian: apt-get install iproute2)")
    with _own_number() as number:
        name, cable, far = f"mas{number}", f"masa{number}", f"masb{number}"
        if Path("/var/run/netns", name).exists():  # of a test that was killed: the number is ours now
            _ip("netns", "del", name)
        try:
            _ip("netns", "add", name)
            _ip("link", "add", cable, "type", "veth", "peer", "name", far, "netns", name)
        except AssertionError as error:
            pytest.skip(f"no network namespace is to be had here: {error}")
        try:
            _ip("addr", "add", f"10.77.{number}.1/24", "dev", cable)
            _ip("link", "set", cable, "up")
            _ip("-n", name, "addr", "add", f"10.77.{number}.2/24", "dev", far)
            _ip("-n", name, "link", "set", far, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            with server(f"10.77.{number}.1") as made:
                yield Network(made, name, cable)
        finally:
            _ip("netns", "del", name)


@contextmanager
def _own_number() -> Iterator[int]:
    """A number from 0 to 249 that no other process has meanwhile."""
    for number in range(250):
        with socket.socket(socket.AF_UNIX) as lock:
            try:
                lock.bind(
                    f"\0masdsl-tests-host-{number}"
                )  # an abstract name: it goes with the process, however that ends
            except OSError:
                continue
            yield number
            return
    raise AssertionError("all 250 numbers of other hosts are taken")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


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
