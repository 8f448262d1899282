"""A real Postgres server for tests, in a folder of its own, on this machine's loopback only."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: Debian keeps them out of the path."""
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name.split(".")[0]))
    candidates = [*([Path(found).parent] if found else []), *reversed(places)]
    return next((place for place in candidates if (place / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server's databases, without the name of one."""
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
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = os.path.join(folder, "data")

        def run(*command: str) -> None:
            done = subprocess.run(
                [*as_user, *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

        run(str(programs / "initdb"), "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off -c max_connections=40"
        log = os.path.join(folder, "log")
        run(str(programs / "pg_ctl"), "-D", data, "-o", options, "-l", log, "-w", "start")
        try:
            yield f"postgresql://tester@127.0.0.1:{port}"
        finally:
            run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of a database of its own."""
    import psycopg

    name = f"t{os.urandom(6).hex()}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        yield f"{postgres_server}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
